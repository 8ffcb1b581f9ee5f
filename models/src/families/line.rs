//! Lines of one pitch at a time out of 88, as tokens 0 (no event), 1 (note off) and `p − 19`.
//! Shared by melodies and trios.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};

use super::kinds::Voice;
use super::order::{int_hash, set_order, tuple_hash};
use super::place::Place;
use super::quantise::{
    GridNote, OUTPUT_VELOCITY, Stretch, bar_at_or_after, beats, split_on_time_changes, step_of,
};
use super::search::{Cut, for_each_window};
use crate::clip::{Note, STEPS_PER_BAR};
use crate::midi::{NoteSequence, SequenceNote};

/// Lowest pitch with a token.
const LOWEST_PITCH: u8 = 21;
/// Highest pitch with a token.
const HIGHEST_PITCH: u8 = 108;
/// The token of pitch `p` is `p − PITCH_OFFSET`.
const PITCH_OFFSET: u8 = 19;
/// The token of a step on which nothing begins or ends.
pub const NO_EVENT: u8 = 0;
/// The token of a step on which the sounding note ends.
pub const NOTE_OFF: u8 = 1;
/// Tokens that are pitches.
pub const PITCHES: RangeInclusive<u8> = NOTE_OFF + 1..=HIGHEST_PITCH - PITCH_OFFSET;
/// Number of tokens.
pub const VOCABULARY: usize = 1 + (HIGHEST_PITCH - PITCH_OFFSET) as usize;
/// The voice of a single line.
pub(super) const MELODY: Voice = Voice { name: "melody", channel: 0, is_drums: false };
/// Programs of melodic instruments: pianos to guitars.
pub const MELODIC_PROGRAMS: Range<u8> = 0..32;
/// What is read, as text.
pub(super) const WANTED: &str = "notes from A0 to C8, not drums";
/// What a passage needs, as text.
pub(super) const PASSAGE: &str = ", and less than a bar of silence between notes";

const BAR: u64 = STEPS_PER_BAR as u64;

/// The pitch of a token, `None` for the two that are no pitch and those out of range.
pub(crate) fn pitch(token: u8) -> Option<u8> {
    PITCHES.contains(&token).then(|| token + PITCH_OFFSET)
}

/// Whether a pitch has a token.
pub(super) fn has_token(pitch: u8) -> bool {
    (LOWEST_PITCH..=HIGHEST_PITCH).contains(&pitch)
}

/// Whether a number is a token.
pub(super) fn is_token(token: impl Into<usize>) -> bool {
    token.into() < VOCABULARY
}

/// Whether a note of a sequence can be in a line.
pub(super) fn is_usable(note: &SequenceNote, melodic_programs_only: bool) -> bool {
    !note.is_drum
        && has_token(note.pitch)
        && (!melodic_programs_only || MELODIC_PROGRAMS.contains(&note.program))
}

/// The channel of a note in a window that was made of the line of one instrument.
pub(super) fn channel(instruments: &[u32], note: &SequenceNote) -> Option<u8> {
    let is_line = is_usable(note, false) && note.velocity > 0;
    (is_line && instruments.contains(&note.instrument)).then_some(MELODY.channel)
}

/// A monophonic line on the grid of its part.
pub(super) struct Line {
    /// First step, the start of a bar.
    pub(super) start_step: u64,
    /// Steps, whole bars.
    pub(super) length: u64,
    /// Onset and end in steps from `start_step`, and pitch. Onsets ascend.
    notes: Vec<(u64, u64, u8)>,
}

impl Line {
    /// Takes one line from notes sorted by onset, then pitch from high to low.
    ///
    /// The highest note of a step is kept; a new note cuts the one before.
    fn take(sorted: &[GridNote], start_step: u64, cut: Cut) -> Self {
        let mut notes: Vec<(u64, u64, u8)> = Vec::new();
        for grid in sorted {
            if grid.note.is_drum || grid.note.velocity == 0 {
                continue;
            }
            let (start, end) = (grid.start_step - start_step, grid.end_step - start_step);
            if let Some(last) = notes.last_mut() {
                if start == last.0 {
                    continue;
                }
                if start.saturating_sub(last.1) >= cut.gap_steps {
                    break;
                }
                last.1 = last.1.min(start);
            }
            notes.push((start, end, grid.note.pitch));
        }
        let length = bar_at_or_after(notes.last().map_or(0, |last| last.1)).min(cut.max_steps);
        Self { start_step, length, notes }
    }

    /// Its tokens, `length` of them, which must fit in memory.
    pub(super) fn tokens(&self, length: u64) -> Vec<u8> {
        self.tokens_at(0, length)
    }

    /// As [`Line::tokens`], with as many steps of rest before as the part has before the line.
    pub(super) fn tokens_of_part(&self, length: u64) -> Vec<u8> {
        self.tokens_at(self.start_step, length)
    }

    fn tokens_at(&self, offset: u64, length: u64) -> Vec<u8> {
        let mut tokens = vec![NO_EVENT; usize::try_from(length).unwrap_or(0)];
        // Steps beyond the length have no index, as it should be.
        let index = |step: u64| usize::try_from(offset.saturating_add(step)).unwrap_or(usize::MAX);
        for &(start, end, pitch) in &self.notes {
            if let Some(token) = tokens.get_mut(index(end)) {
                *token = NOTE_OFF;
            }
            // Written after the end of the note before, so a note on the same step wins.
            if let Some(token) = tokens.get_mut(index(start)) {
                *token = pitch - PITCH_OFFSET;
            }
        }
        tokens
    }
}

/// All lines of one instrument's notes, in time.
pub(super) fn lines(mut notes: Vec<GridNote>, cut: Cut) -> Vec<Line> {
    notes.sort_by_key(|grid| (grid.start_step, u8::MAX - grid.note.pitch));
    let mut lines = Vec::new();
    let mut rest = notes.as_slice();
    let mut search_start = 0;
    while let Some(first) = rest.first() {
        let start_step = first.start_step - (first.start_step - search_start) % BAR;
        let line = Line::take(rest, start_step, cut);
        if line.notes.is_empty() {
            break;
        }
        // Uncut end: what lies behind the cut belongs to no line.
        let end = line.notes.last().map_or(0, |last| last.1);
        search_start = bar_at_or_after(start_step.saturating_add(end));
        rest = &rest[rest.partition_point(|grid| grid.start_step < search_start)..];
        lines.push(line);
    }
    lines
}

/// Which notes of a part are read.
pub(super) fn usable_notes(part: &Stretch, melodic_programs_only: bool) -> Option<Vec<GridNote>> {
    let mut notes = part.grid_notes()?;
    notes.retain(|grid| {
        has_token(grid.note.pitch)
            && (!melodic_programs_only || MELODIC_PROGRAMS.contains(&grid.note.program))
    });
    Some(notes)
}

/// Replaces note-offs before the first pitch, where no note sounds.
pub(super) fn clean(window: &mut [u8]) {
    for token in window.iter_mut().take_while(|token| **token <= NOTE_OFF) {
        *token = NO_EVENT;
    }
}

/// The hash that CPython has for a window as the original keeps it: a tuple of 1-tuples of events.
pub(super) fn window_hash(window: &[u8]) -> u64 {
    tuple_hash(window.iter().map(|token| {
        let event = match *token {
            NO_EVENT => -2,
            NOTE_OFF => -1,
            token => i64::from(token) + i64::from(PITCH_OFFSET),
        };
        tuple_hash(std::iter::once(int_hash(event)))
    }))
}

/// Notes grouped by instrument, in the order of the original: that of a CPython set of their
/// numbers.
pub(super) fn by_instrument(notes: Vec<GridNote>) -> Vec<Vec<GridNote>> {
    let mut numbers: HashMap<u32, usize> = HashMap::new();
    let mut hashes = Vec::new();
    let mut groups: Vec<Vec<GridNote>> = Vec::new();
    for grid in notes {
        let index = *numbers.entry(grid.note.instrument).or_insert_with(|| {
            hashes.push(int_hash(i64::from(grid.note.instrument)));
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[index].push(grid);
    }
    set_order(&hashes).into_iter().map(|index| std::mem::take(&mut groups[index])).collect()
}

/// The melody of a clip's notes, `steps` long; `None` if no note has a place in it.
pub(super) fn from_notes<'a>(
    notes: impl IntoIterator<Item = &'a Note>,
    steps: usize,
) -> Option<Vec<u8>> {
    let steps = u64::try_from(steps).unwrap_or(u64::MAX);
    let mut grid: Vec<GridNote> = notes
        .into_iter()
        .filter(|note| !note.is_drum() && has_token(note.pitch) && note.end > note.start)
        .filter_map(grid_note)
        .filter(|grid| grid.start_step < steps)
        .collect();
    grid.sort_by_key(|grid| (grid.start_step, u8::MAX - grid.note.pitch));
    let line = Line::take(&grid, 0, Cut { gap_steps: u64::MAX, max_steps: steps });
    (!line.notes.is_empty()).then(|| line.tokens(steps))
}

/// A clip's note on the grid; `None` if its onset is negative or not finite.
fn grid_note(note: &Note) -> Option<GridNote> {
    let start_step = step_of(note.start)?;
    let end_step = step_of(note.end).unwrap_or(u64::MAX).max(start_step + 1);
    let note = SequenceNote {
        start: note.start,
        end: note.end,
        instrument: 0,
        pitch: note.pitch,
        velocity: note.velocity,
        program: note.program,
        is_drum: note.is_drum(),
    };
    Some(GridNote { start_step, end_step, note })
}

/// The notes of melody tokens: each lasts until the next, a note off, or the end.
pub(super) fn to_notes(
    tokens: impl ExactSizeIterator<Item = u8>,
    channel: u8,
    program: u8,
) -> Vec<Note> {
    let end = beats(tokens.len());
    let mut notes: Vec<Note> = Vec::new();
    let mut sounding = false;
    for (step, token) in tokens.enumerate() {
        if token == NO_EVENT || (token != NOTE_OFF && pitch(token).is_none()) {
            continue;
        }
        let now = beats(step);
        if let (true, Some(last)) = (sounding, notes.last_mut()) {
            last.end = now;
        }
        sounding = false;
        if let Some(pitch) = pitch(token) {
            let velocity = OUTPUT_VELOCITY;
            notes.push(Note { start: now, end, pitch, velocity, channel, program });
            sounding = true;
        }
    }
    notes
}

/// Calls `each` with the place and the tokens of every window of a stretch until it returns `false`.
pub(super) fn for_each_window_of(
    stretch: &Stretch,
    melodic_programs_only: bool,
    steps: usize,
    mut each: impl FnMut(Place, Vec<u8>) -> bool,
) {
    let Some(notes) = usable_notes(stretch, melodic_programs_only) else { return };
    for notes in by_instrument(notes) {
        let Some(instrument) = notes.first().map(|grid| grid.note.instrument) else { continue };
        for line in lines(notes, Cut::DEFAULT) {
            let more = for_each_window(&line.tokens(line.length), steps, |start, window| {
                let mut window = window.to_vec();
                clean(&mut window);
                each(Place::new(stretch, line.start_step + start, vec![instrument]), window)
            });
            if !more {
                return;
            }
        }
    }
}

/// Bars of the longest line of a sequence.
pub(super) fn longest(sequence: &NoteSequence, melodic_programs_only: bool) -> usize {
    let stretches = split_on_time_changes(sequence);
    let notes = stretches.iter().filter_map(|it| usable_notes(it, melodic_programs_only));
    let instruments = notes.flat_map(by_instrument);
    let lines = instruments.flat_map(|notes| lines(notes, Cut::DEFAULT));
    let longest = lines.map(|line| line.length).max().unwrap_or(0);
    usize::try_from(longest).unwrap_or(usize::MAX) / STEPS_PER_BAR
}

/// How many notes begin in tokens.
pub(super) fn notes(tokens: impl Iterator<Item = u8>) -> usize {
    tokens.filter(|token| PITCHES.contains(token)).count()
}

#[cfg(test)]
mod tests {
    use crate::clip::{Clip, Note};
    use crate::config::by_name;
    use crate::tokens::{TokenError, Tokens, from_clip, to_clip};

    fn note(start: f64, end: f64, pitch: u8) -> Note {
        Note { start, end, pitch, velocity: 100, channel: 0, program: 40 }
    }

    /// A step's highest note is kept, a new note cuts the one before, and gaps become note-offs.
    #[test]
    fn a_clip_becomes_its_upper_line() {
        let config = by_name("cat-mel_2bar_big").unwrap();
        let clip = Clip::new(
            vec![note(0.0, 1.0, 60), note(0.02, 0.6, 64), note(0.5, 0.75, 67), note(7.9, 9.0, 50)],
            8.0,
        );
        let mut expected = vec![0; 32];
        (expected[0], expected[2], expected[3]) = (64 - 19, 67 - 19, 1);
        assert_eq!(from_clip(&config, &clip), Ok(Tokens::Melody(expected)));
    }

    /// Tokens that are as compact as can be survive the way to notes and back.
    #[test]
    fn tokens_survive_the_way_to_notes_and_back() {
        let config = by_name("hierdec-mel_16bar").unwrap();
        let mut steps = vec![0; 256];
        (steps[3], steps[7], steps[16], steps[20], steps[250]) = (2, 1, 89, 40, 41);
        let tokens = Tokens::Melody(steps);
        let clip = to_clip(&config, &tokens);
        assert_eq!(clip.length, 64.0);
        assert_eq!(from_clip(&config, &clip), Ok(tokens));
    }

    /// A clip without a usable note says what the model reads.
    #[test]
    fn a_clip_of_drums_is_no_melody() {
        let config = by_name("cat-mel_2bar_small").unwrap();
        let drum = Note { channel: 9, ..note(0.0, 1.0, 36) };
        let error = from_clip(&config, &Clip::new(vec![drum], 8.0)).unwrap_err();
        assert!(matches!(error, TokenError::NoUsableNote { .. }));
        assert_eq!(from_clip(&config, &Clip::default()), Err(TokenError::Empty));
    }
}
