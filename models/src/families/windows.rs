//! The windows of a sequence, found as the original finds them.

use std::collections::HashSet;
use std::hash::Hash;

use super::melody::Cut;
use super::place::Place;
use super::quantise::{Part, split_on_time_changes};
use super::reason::reason;
use super::{Controls, TokenError, Tokens, Window, drums, groove, harmony, melody, order, trio};
use crate::clip::STEPS_PER_BAR;
use crate::config::{Config, DrumMap, Scheme};
use crate::midi::NoteSequence;

/// Windows that are looked at in one part. No piece of music has as many; the bound keeps time
/// and memory small for files made to exhaust them.
const MAX_WINDOWS: usize = 1 << 20;
/// Different windows that are kept of one sequence.
const MAX_UNIQUE_WINDOWS: usize = 1 << 16;
/// Frames in which chords are looked for in one sequence: five thousand bars of 4/4. A frame takes as
/// long as a thousand windows, and a file may have any number of parts.
const MAX_CHORD_FRAMES: usize = 10_000;
/// Windows of three voices that are kept of one sequence: there may be as many of them as bars and
/// combinations of instruments.
const MAX_TRIO_WINDOWS: usize = 1 << 14;
/// Bars, of voices and of their combinations, that are looked at in one sequence. Music has some
/// hundred thousand, but a file may have a hundred voices in each of any number of parts.
const MAX_TRIO_BARS: usize = 1 << 26;

/// How many windows to take from a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// All different windows in the order of their appearance; at most 65,536, of trios 16,384, of
    /// grooves 4,096.
    All,
    /// At most this many, picked and ordered as the original does when it does not train. Its own
    /// limit is [`Limit::ORIGINAL`]; for grooves it has none.
    First(usize),
}

impl Limit {
    /// The limit of the original for one file.
    pub const ORIGINAL: Self = Self::First(5);

    fn count(self) -> usize {
        match self {
            Self::All => MAX_UNIQUE_WINDOWS,
            Self::First(count) => count.min(MAX_UNIQUE_WINDOWS),
        }
    }
}

/// The windows of a sequence, found as the original finds them.
///
/// Windows are made of whole bars of 16 steps, within one tempo and time signature. Melodies and
/// drums move on by one bar from window to window and no window comes twice; grooves move on by
/// their length.
///
/// # Errors
/// [`TokenError`] says why there is none.
pub fn extract(
    config: &Config,
    sequence: &NoteSequence,
    limit: Limit,
) -> Result<Vec<Window>, TokenError> {
    let found = extract_with_places(config, sequence, limit)?;
    Ok(found.into_iter().map(|(window, _)| window).collect())
}

/// As [`extract`], each window with the place where it comes first.
///
/// # Errors
/// As [`extract`].
pub fn extract_with_places(
    config: &Config,
    sequence: &NoteSequence,
    limit: Limit,
) -> Result<Vec<(Window, Place)>, TokenError> {
    let steps = config.hparams.max_seq_len;
    let windows = match config.scheme {
        Scheme::Melody { melodic_programs_only } => {
            of_parts(sequence, limit, |part, _| melodies(part, melodic_programs_only, steps, limit))
        }
        Scheme::MelodyChords => {
            let mut frames_left = MAX_CHORD_FRAMES;
            of_parts(sequence, limit, |part, _| {
                melodies_with_chords(part, steps, limit, &mut frames_left)
            })
        }
        Scheme::Drums => {
            of_parts(sequence, limit, |part, _| drum_windows(part, DrumMap::Reduced, steps, limit))
        }
        Scheme::DrumRoll(map) => {
            of_parts(sequence, limit, |part, _| drum_windows(part, map, steps, limit))
        }
        Scheme::Trio => {
            let mut work = trio::Work(MAX_TRIO_BARS);
            of_parts(sequence, limit, |part, count| {
                let count = count.min(MAX_TRIO_WINDOWS);
                let windows = trio::windows(part, count, &mut work).unwrap_or_default();
                let window = |(window, step, instruments)| {
                    (Window::new(Tokens::Trio(window)), Place::of_trio(part, step, instruments))
                };
                windows.into_iter().map(window).collect()
            })
        }
        Scheme::Groove(_) => {
            let window = |(tokens, place)| {
                let tokens = Tokens::Groove(tokens);
                (Window { controls: Controls::of_tokens(config, &tokens), tokens }, place)
            };
            let places = (0u64..).map(|index| Place::in_whole(index * steps as u64));
            groove::windows(sequence, steps, limit.count())
                .into_iter()
                .zip(places)
                .map(window)
                .collect()
        }
    };
    if windows.is_empty() { Err(reason(config, sequence)) } else { Ok(windows) }
}

impl Window {
    fn new(tokens: Tokens) -> Self {
        Self { tokens, controls: None }
    }
}

/// Windows part by part, until there are enough; the number still wanted is told.
fn of_parts(
    sequence: &NoteSequence,
    limit: Limit,
    mut of_part: impl FnMut(&Part, usize) -> Vec<(Window, Place)>,
) -> Vec<(Window, Place)> {
    let mut windows = Vec::new();
    for part in split_on_time_changes(sequence) {
        let wanted = limit.count() - windows.len();
        if wanted == 0 {
            break;
        }
        let mut more = of_part(&part, wanted);
        more.truncate(wanted);
        windows.append(&mut more);
    }
    windows
}

fn melodies(
    part: &Part,
    melodic_programs_only: bool,
    steps: usize,
    limit: Limit,
) -> Vec<(Window, Place)> {
    let mut unique = Unique::new();
    for_each_melody_window(part, melodic_programs_only, steps, |place, window| {
        unique.push(window, place);
        !unique.is_full()
    });
    let windows = unique.limited(limit, |window| melody::window_hash(window));
    let window = |(window, place)| (Window::new(Tokens::Melody(window)), place);
    windows.into_iter().map(window).collect()
}

/// Melodies with the chords under them. A melody comes as often as there are different chords to
/// it. The original's order depends on hashes of text, which differ in every run; here it is that
/// of appearance.
fn melodies_with_chords(
    part: &Part,
    steps: usize,
    limit: Limit,
    frames_left: &mut usize,
) -> Vec<(Window, Place)> {
    // Chords are found from the notes that melodies may use.
    let mut audible = part.clone();
    audible.notes.retain(|note| melody::has_token(note.pitch));
    if audible.chords.is_empty() {
        let Some(frames) = harmony::frames(&audible) else { return Vec::new() };
        let Some(left) = frames_left.checked_sub(frames) else { return Vec::new() };
        *frames_left = left;
    }
    let Some(chord_at) = chords_of(&audible) else { return Vec::new() };
    let mut unique = Unique::new();
    for_each_melody_window(part, false, steps, |place, window| {
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
pub(super) fn chords_of(part: &Part) -> Option<impl Fn(u64) -> Option<u8> + use<>> {
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

/// Calls `each` with the place and the tokens of every window until it returns `false`.
fn for_each_melody_window(
    part: &Part,
    melodic_programs_only: bool,
    steps: usize,
    mut each: impl FnMut(Place, Vec<u8>) -> bool,
) {
    let Some(notes) = melody::usable_notes(part, melodic_programs_only) else { return };
    for notes in melody::by_instrument(notes) {
        let Some(instrument) = notes.first().map(|grid| grid.note.instrument) else { continue };
        for line in melody::lines(notes, Cut::DEFAULT) {
            let more = for_each_window(&line.tokens(line.length), steps, |start, window| {
                let mut window = window.to_vec();
                melody::clean(&mut window);
                each(Place::of_melody(part, line.start_step + start, instrument), window)
            });
            if !more {
                return;
            }
        }
    }
}

fn drum_windows(part: &Part, map: DrumMap, steps: usize, limit: Limit) -> Vec<(Window, Place)> {
    let Some(hits) = drums::hits(part, map) else { return Vec::new() };
    let Cut { gap_steps, max_steps } = Cut::DEFAULT;
    let mut unique = Unique::new();
    drums::for_each_track(&hits, gap_steps, max_steps, |first, track| {
        for_each_window(track, steps, |start, window| {
            unique.push(window.to_vec(), Place::of_drums(part, first + start));
            !unique.is_full()
        })
    });
    let windows = unique.limited(limit, |window| drums::window_hash(window));
    let window = |(window, place)| (Window::new(Tokens::Drums(window)), place);
    windows.into_iter().map(window).collect()
}

/// Calls `each` with every complete window that begins on a bar, and its first step, until it
/// returns `false`. Returns whether it never did.
fn for_each_window<T>(events: &[T], steps: usize, mut each: impl FnMut(u64, &[T]) -> bool) -> bool {
    for start in (0..events.len()).step_by(STEPS_PER_BAR) {
        let Some(window) = events.get(start..start + steps) else { break };
        if !each(start as u64, window) {
            return false;
        }
    }
    true
}

/// Different things, each with its first place, in the order in which they came, up to the bounds.
struct Unique<T> {
    seen: HashSet<T>,
    items: Vec<(T, Place)>,
    looked_at: usize,
}

impl<T: Clone + Eq + Hash> Unique<T> {
    fn new() -> Self {
        Self { seen: HashSet::new(), items: Vec::new(), looked_at: 0 }
    }

    fn is_full(&self) -> bool {
        self.looked_at >= MAX_WINDOWS || self.items.len() >= MAX_UNIQUE_WINDOWS
    }

    fn push(&mut self, item: T, place: Place) {
        self.looked_at += 1;
        if !self.seen.contains(&item) {
            self.seen.insert(item.clone());
            self.items.push((item, place));
        }
    }

    /// The items that `limit` lets through, in its order.
    fn limited(self, limit: Limit, hash: impl Fn(&T) -> u64) -> Vec<(T, Place)> {
        match limit {
            Limit::All => self.items,
            Limit::First(count) => {
                let hashes: Vec<u64> = self.items.iter().map(|(item, _)| hash(item)).collect();
                let order = order::set_order(&hashes);
                order.into_iter().take(count).map(|index| self.items[index].clone()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::by_name;

    /// Parts of `seconds` seconds each, with one long note of each of these programs; 128 stands for
    /// drums.
    fn parts(count: u32, seconds: f64, programs: &[u8]) -> NoteSequence {
        let mut sequence = NoteSequence::default();
        for part in 0..count {
            let time = f64::from(part) * seconds;
            let qpm = 120.0 + f64::from(part % 2);
            sequence.tempos.push(crate::midi::Tempo { time, qpm });
            sequence.notes.extend((0u32..).zip(programs).map(|(instrument, program)| {
                crate::midi::SequenceNote {
                    start: time,
                    end: time + seconds,
                    instrument,
                    pitch: 36,
                    velocity: 80,
                    program: program % 128,
                    is_drum: *program == 128,
                }
            }));
        }
        sequence.total_time = f64::from(count) * seconds;
        sequence
    }

    /// Chords are looked for in so many frames of a sequence only, however many parts it has.
    #[test]
    fn chords_have_an_end() {
        // At 120 to the minute a second is a frame.
        let sequence = parts(4, 10.0, &[0]);
        let parts = split_on_time_changes(&sequence);
        let mut frames_left = 25;
        let found: Vec<bool> = parts
            .iter()
            .map(|part| !melodies_with_chords(part, 32, Limit::All, &mut frames_left).is_empty())
            .collect();
        assert_eq!(found, [true, true, false, false]);
        assert_eq!(frames_left, 4);
    }

    /// A bar under a chord that is not understood is in no window; those around it are.
    #[test]
    fn unknown_chords_give_no_window() {
        let config = by_name("cat-mel_2bar_med_chords").unwrap();
        // Eight bars of one note.
        let mut sequence = parts(1, 16.0, &[0]);
        let change = |time, chord| crate::midi::ChordChange { time, chord };
        sequence.chords = vec![change(0.0, Some(1)), change(4.0, None), change(6.0, Some(6))];
        let windows = extract(&config, &sequence, Limit::All).unwrap();
        let chords: Vec<_> = windows.into_iter().map(|window| window.controls.unwrap()).collect();
        assert_eq!(chords, [1, 6].map(|chord| Controls::Chords(vec![chord; 32])));
        sequence.chords = vec![change(0.0, None)];
        let error = extract(&config, &sequence, Limit::All).unwrap_err();
        assert!(matches!(error, TokenError::UnknownChords { .. }), "{error}");
    }

    /// Voices and their combinations are gone through until the work allowed for a sequence is done,
    /// so that a file of many instruments and parts has an end.
    #[test]
    fn trios_have_an_end() {
        // At 120 to the minute 32 seconds are 16 bars.
        let sequence = parts(1, 32.0, &[0, 33, 128]);
        let part = &split_on_time_changes(&sequence)[0];
        let windows = |bars| {
            let found = trio::windows(part, 9, &mut trio::Work(bars));
            found.map(|windows| windows.len())
        };
        assert_eq!(windows(3 * 16 + 16), Some(1));
        assert_eq!(windows(3 * 16 + 15), Some(0));
        assert_eq!(windows(3 * 16 - 1), None);
        let config = by_name("hierdec-trio_16bar").unwrap();
        assert_eq!(extract(&config, &sequence, Limit::All).unwrap().len(), 1);
    }
}
