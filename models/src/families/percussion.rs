//! Drums: which classes sound on each step.

use super::order::{frozenset_hash, int_hash, tuple_hash};
use super::quantise::{Part, bar_at_or_after};
use super::{OUTPUT_VELOCITY, beats, step_of};
use crate::clip::{DRUM_CHANNEL, Note, STEPS_PER_BAR};
use crate::config::DrumMap;

const BAR: u64 = STEPS_PER_BAR as u64;

/// Pitches of the 9 classes: kick, snare, closed hat, open hat, low, middle and high tom, crash,
/// ride. The first of each stands for it when notes are made.
const REDUCED: [&[u8]; 9] = [
    &[36, 35],
    &[38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85],
    &[42, 44, 54, 68, 69, 70, 71, 73, 78, 80, 22],
    &[46, 67, 72, 74, 79, 81, 26],
    &[45, 29, 41, 43, 61, 64, 84],
    &[48, 47, 60, 63, 77, 86, 87],
    &[50, 30, 62, 76, 83],
    &[49, 52, 55, 57, 58],
    &[51, 53, 59, 82],
];

/// Pitches of the 61 classes.
const FULL: [u8; 61] = [
    36, 35, 38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85, 42, 44, 54, 68, 69, 70, 71,
    73, 78, 80, 46, 67, 72, 74, 79, 81, 45, 29, 41, 61, 64, 84, 48, 47, 60, 63, 77, 86, 87, 50, 30,
    43, 62, 76, 83, 49, 55, 57, 58, 51, 52, 53, 59, 82,
];

/// The class of a pitch, `None` for one that no class has.
pub(super) fn class(map: DrumMap, pitch: u8) -> Option<usize> {
    match map {
        DrumMap::Reduced => REDUCED.iter().position(|pitches| pitches.contains(&pitch)),
        DrumMap::Full => FULL.iter().position(|of_class| *of_class == pitch),
    }
}

/// The pitch that stands for a class below the map's number of classes.
pub(super) fn class_pitch(map: DrumMap, class: usize) -> u8 {
    match map {
        DrumMap::Reduced => REDUCED[class][0],
        DrumMap::Full => FULL[class],
    }
}

/// Hits on the grid of a part: step and class bits, steps ascending; `None` if the part's bars
/// have not 16 steps.
pub(super) fn hits(part: &Part, map: DrumMap) -> Option<Vec<(u64, u64)>> {
    let notes = part.grid_notes()?;
    let sounding = notes.iter().filter(|grid| grid.note.is_drum && grid.note.velocity > 0);
    Some(gather(sounding.filter_map(|grid| Some((grid.start_step, class(map, grid.note.pitch)?)))))
}

fn gather(hits: impl Iterator<Item = (u64, usize)>) -> Vec<(u64, u64)> {
    let mut hits: Vec<(u64, usize)> = hits.collect();
    hits.sort_unstable();
    let mut steps: Vec<(u64, u64)> = Vec::new();
    for (step, class) in hits {
        match steps.last_mut() {
            Some(last) if last.0 == step => last.1 |= 1 << class,
            _ => steps.push((step, 1 << class)),
        }
    }
    steps
}

/// Cuts hits into tracks at gaps of `gap_steps` and gives each to `each` until that returns
/// `false`: its first step, and the class bits of its steps, whole bars and at most `max_steps`.
pub(super) fn for_each_track(
    hits: &[(u64, u64)],
    gap_steps: u64,
    max_steps: u64,
    mut each: impl FnMut(u64, &[u64]) -> bool,
) {
    let mut rest = hits;
    let mut search_start = 0;
    while let Some(&(first, _)) = rest.first() {
        let start = first - (first - search_start) % BAR;
        let gap = rest.windows(2).position(|pair| pair[1].0 - pair[0].0 > gap_steps);
        let (track, tail) = rest.split_at(gap.map_or(rest.len(), |index| index + 1));
        let length = track.last().map_or(start, |last| last.0) - start + 1;
        let bars = bar_at_or_after(length).min(max_steps);
        let mut steps = vec![0; usize::try_from(bars).unwrap_or(0)];
        for &(step, bits) in track {
            let index = usize::try_from(step - start).unwrap_or(usize::MAX);
            if let Some(entry) = steps.get_mut(index) {
                *entry = bits;
            }
        }
        if !each(start, &steps) {
            return;
        }
        search_start = bar_at_or_after(start + length);
        rest = tail;
    }
}

/// The hash that CPython has for a window as the original keeps it: a tuple of frozensets.
pub(super) fn window_hash(window: &[u64]) -> u64 {
    tuple_hash(window.iter().map(|bits| {
        let classes = (0..64).filter(|class| bits >> class & 1 == 1);
        frozenset_hash(classes.map(int_hash))
    }))
}

/// The class bits of a clip's notes, `steps` long; `None` if no note has a place in it.
///
/// A clip without any note on the drum channel is taken as drums as a whole: pads often play on
/// channel 1.
pub(super) fn from_notes(notes: &[Note], map: DrumMap, steps: usize) -> Option<Vec<u64>> {
    let all = !notes.iter().any(Note::is_drum);
    let mut bits = vec![0; steps];
    let mut found = false;
    for note in notes.iter().filter(|note| all || note.is_drum()) {
        let step = step_of(note.start).and_then(|step| usize::try_from(step).ok());
        let entry = step.and_then(|step| bits.get_mut(step));
        if let (Some(entry), Some(class)) = (entry, class(map, note.pitch)) {
            *entry |= 1 << class;
            found = true;
        }
    }
    found.then_some(bits)
}

/// The notes of class bits, each one step long.
pub(super) fn to_notes(steps: impl Iterator<Item = u64>, map: DrumMap) -> Vec<Note> {
    let mut notes = Vec::new();
    for (step, bits) in steps.enumerate() {
        for class in (0..map.classes()).filter(|class| bits >> class & 1 == 1) {
            notes.push(Note {
                start: beats(step),
                end: beats(step + 1),
                pitch: class_pitch(map, class),
                velocity: OUTPUT_VELOCITY,
                channel: DRUM_CHANNEL,
                program: 0,
            });
        }
    }
    notes
}
