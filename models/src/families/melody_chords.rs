//! Melodies over chords.

mod harmony;

use super::error::TokenError;
use super::family::Family;
use super::kinds::{Column, ColumnKind, Converter, OutputKind, Training, Voice, Walk, Wanted};
use super::line;
use super::melody::{self, Melody};
use super::percussion::DrumMap;
use super::place::Place;
use super::quantise::Stretch;
use super::search::{Limit, Unique, of_stretches};
use super::window::{ControlKind, Controls, Tokens, Window};
use crate::chords;
use crate::clip::{Clip, Note};
use crate::midi::{NoteSequence, SequenceNote};

/// Melodies, with a chord for each step as control.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MelodyChords;

/// The melodies: those of all programs.
const LINE: Melody = Melody { melodic_programs_only: false };
/// Maximum number of frames for chord inference in one sequence: five thousand bars of 4/4. A frame
/// takes as long as a thousand windows, and a file may have any number of stretches.
const MAX_CHORD_FRAMES: usize = 10_000;

impl Family for MelodyChords {
    fn input_depth(&self) -> usize {
        LINE.input_depth()
    }

    fn outputs(&self) -> &'static [usize] {
        LINE.outputs()
    }

    fn output_kind(&self, hierarchical_decoder: bool) -> OutputKind {
        LINE.output_kind(hierarchical_decoder)
    }

    fn control_kind(&self) -> Option<ControlKind> {
        Some(ControlKind::Chords)
    }

    fn holds(&self, tokens: &Tokens) -> Option<bool> {
        LINE.holds(tokens)
    }

    fn write_input(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        LINE.write_input(tokens, step, row);
    }

    fn write_output(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        LINE.write_output(tokens, step, row);
    }

    fn ids(&self, tokens: &Tokens) -> Result<Vec<u16>, &'static str> {
        LINE.ids(tokens)
    }

    fn tokens_of_ids(&self, ids: &[u16]) -> Result<Tokens, &'static str> {
        LINE.tokens_of_ids(ids)
    }

    fn voices(&self) -> &'static [Voice] {
        LINE.voices()
    }

    fn drum_map(&self) -> Option<DrumMap> {
        None
    }

    fn tokens_of_notes(&self, notes: &[Note], steps: usize) -> Option<Tokens> {
        LINE.tokens_of_notes(notes, steps)
    }

    fn to_notes(&self, tokens: &Tokens) -> Vec<Note> {
        LINE.to_notes(tokens)
    }

    /// The chords found under the notes; no chord where none can be found.
    fn controls_of_clip(&self, clip: &Clip, tokens: &Tokens) -> Option<Controls> {
        let chord_at = chords_of(&Stretch::of_clip(clip));
        let chord = |step| chord_at.as_ref().and_then(|chord_at| chord_at(step)).unwrap_or(0);
        Some(Controls::Chords((0u64..).take(tokens.len()).map(chord).collect()))
    }

    fn walk(&self) -> Walk {
        Walk::Bars
    }

    /// A melody comes as often as there are different chords to it. The original's order depends on
    /// hashes of text, which differ in every run; here it is that of appearance.
    fn windows(&self, sequence: &NoteSequence, steps: usize, limit: Limit) -> Vec<(Window, Place)> {
        let mut frames_left = MAX_CHORD_FRAMES;
        of_stretches(sequence, limit, |stretch, _| {
            of_stretch(stretch, steps, limit, &mut frames_left)
        })
    }

    fn channel(&self, instruments: &[u32], note: &SequenceNote) -> Option<u8> {
        line::channel(instruments, note)
    }

    fn wanted(&self) -> Wanted {
        LINE.wanted()
    }

    fn reads(&self, is_drum: bool) -> bool {
        LINE.reads(is_drum)
    }

    fn has_usable(&self, notes: &[SequenceNote]) -> bool {
        LINE.has_usable(notes)
    }

    fn longest(&self, sequence: &NoteSequence) -> Option<usize> {
        LINE.longest(sequence)
    }

    fn refusal(&self, name: &str, sequence: &NoteSequence, is_long: bool) -> Option<TokenError> {
        let config = name.to_owned();
        if sequence.chords.iter().any(|change| change.chord.is_none()) {
            return Some(TokenError::UnknownChords { config });
        }
        is_long.then_some(TokenError::NoChords { config })
    }

    fn columns(&self) -> Vec<Column> {
        let limit = u32::try_from(chords::CLASSES).expect("a small number");
        vec![melody::column(), Column { kind: ColumnKind::Chord, limit }]
    }

    fn numbers(&self, window: &Window) -> Vec<u16> {
        let chords: &[u8] = match &window.controls {
            Some(Controls::Chords(chords)) => chords,
            _ => &[],
        };
        let chords = chords.iter().copied().chain(std::iter::repeat(0));
        let steps = melody::steps(&window.tokens).iter().zip(chords);
        steps.flat_map(|(&token, chord)| [u16::from(token), u16::from(chord)]).collect()
    }

    fn window_of_numbers(&self, numbers: &[u16]) -> Window {
        let column = |column: usize| numbers.iter().skip(column).step_by(2).copied();
        let chords = column(1).map(|chord| u8::try_from(chord).unwrap_or(u8::MAX)).collect();
        let tokens = melody::from_numbers(column(0));
        Window { tokens, controls: Some(Controls::Chords(chords)) }
    }

    fn notes(&self, tokens: &Tokens) -> usize {
        LINE.notes(tokens)
    }

    fn training(&self) -> Training {
        Training { mixes: false, ..Training::MELODY }
    }

    fn is_of(&self, converter: &Converter) -> bool {
        converter.name == "MelodyConverter" && converter.chord_encoder == Some("TriadChordEncoder")
    }
}

fn of_stretch(
    stretch: &Stretch,
    steps: usize,
    limit: Limit,
    frames_left: &mut usize,
) -> Vec<(Window, Place)> {
    // Chords are found from the notes that melodies may use.
    let mut audible = stretch.clone();
    audible.notes.retain(|note| line::has_token(note.pitch));
    if audible.chords.is_empty() {
        let Some(frames) = harmony::frames(&audible) else { return Vec::new() };
        let Some(left) = frames_left.checked_sub(frames) else { return Vec::new() };
        *frames_left = left;
    }
    let Some(chord_at) = chords_of(&audible) else { return Vec::new() };
    let mut unique = Unique::new();
    line::for_each_window_of(stretch, false, steps, |place, window| {
        // Under a chord that is not understood there is nothing to learn.
        let chords: Option<Vec<u8>> = (place.step..).take(window.len()).map(&chord_at).collect();
        if let Some(chords) = chords {
            unique.push((window, chords), place);
        }
        !unique.is_full()
    });
    let pairs = unique.items.into_iter().take(limit.count());
    pairs
        .map(|((melody, chords), place)| {
            let controls = Some(Controls::Chords(chords));
            (Window { tokens: Tokens::Melody(melody), controls }, place)
        })
        .collect()
}

/// The chord at each step of a part, given or found; `None` where none can be found. A step whose
/// chord is not understood has none.
fn chords_of(part: &Stretch) -> Option<impl Fn(u64) -> Option<u8> + use<>> {
    // Step from which on each chord is in force.
    let changes: Vec<(u64, Option<u8>)> = if part.chords.is_empty() {
        let (steps_per_frame, chords) = harmony::infer(part)?;
        (0u64..).zip(chords).map(|(frame, chord)| (frame * steps_per_frame, Some(chord))).collect()
    } else {
        part.chords.iter().map(|change| (part.step(change.time), change.chord)).collect()
    };
    let notes = part.grid_notes()?;
    let end = notes.iter().map(|grid| grid.end_step).max().unwrap_or(0);
    let last_step = end.max(part.step(part.total_time)).saturating_sub(1);
    Some(move |step: u64| {
        let after = changes.partition_point(|(start, _)| *start <= step.min(last_step));
        after.checked_sub(1).map_or(Some(0), |index| changes[index].1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::quantise::split_on_time_changes;
    use crate::families::testing::parts;

    /// Chords are looked for in so many frames of a sequence only, however many parts it has.
    #[test]
    fn chords_have_an_end() {
        // At 120 to the minute a second is a frame.
        let sequence = parts(4, 10.0, &[0]);
        let stretches = split_on_time_changes(&sequence);
        let mut frames_left = 25;
        let found: Vec<bool> = stretches
            .iter()
            .map(|stretch| !of_stretch(stretch, 32, Limit::All, &mut frames_left).is_empty())
            .collect();
        assert_eq!(found, [true, true, false, false]);
        assert_eq!(frames_left, 4);
    }
}
