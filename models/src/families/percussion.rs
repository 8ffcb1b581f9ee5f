//! Drums: which classes sound on each step. What drums, drum rolls, trios and grooves share.

use super::kinds::{Column, ColumnKind, Voice};
pub use super::kit::{CLASS_NAMES, CLASSES, COMBINATIONS, DrumMap, class_pitch};
pub(crate) use super::kit::{class, read_bits, write_bits};
use super::order::{frozenset_hash, int_hash, tuple_hash};
use super::place::Place;
use super::quantise::{
    OUTPUT_VELOCITY, Stretch, bar_at_or_after, beats, split_on_time_changes, step_of,
};
use super::search::{Cut, Limit, Unique, for_each_window, of_stretches};
use super::window::{Tokens, Window};
use crate::clip::{DRUM_CHANNEL, Note, STEPS_PER_BAR};
use crate::midi::{NoteSequence, SequenceNote};

const BAR: u64 = STEPS_PER_BAR as u64;

/// The voice of drums.
pub(super) const DRUMS: Voice = Voice { name: "drums", channel: DRUM_CHANNEL, is_drums: true };
/// What is read of a clip, in words.
pub(super) const WANTED: &str = "General MIDI drums";
/// Bits of drum classes in one column of a dataset.
const WORD: usize = 16;

/// Hits on the grid of a part: step and class bits, steps ascending; `None` if the part's bars
/// have not 16 steps.
pub(super) fn hits(part: &Stretch, map: DrumMap) -> Option<Vec<(u64, u64)>> {
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

/// Whether a note of a sequence is a drum with a class.
pub(super) fn is_usable(map: DrumMap, note: &SequenceNote) -> bool {
    note.is_drum && class(map, note.pitch).is_some()
}

/// The channel of a note in a window of drums, if it was read.
pub(super) fn channel(map: DrumMap, note: &SequenceNote) -> Option<u8> {
    (is_usable(map, note) && note.velocity > 0).then_some(DRUM_CHANNEL)
}

/// The windows of a sequence.
pub(super) fn windows(
    sequence: &NoteSequence,
    map: DrumMap,
    steps: usize,
    limit: Limit,
) -> Vec<(Window, Place)> {
    of_stretches(sequence, limit, |stretch, _| {
        let Some(hits) = hits(stretch, map) else { return Vec::new() };
        let Cut { gap_steps, max_steps } = Cut::DEFAULT;
        let mut unique = Unique::new();
        for_each_track(&hits, gap_steps, max_steps, |first, track| {
            for_each_window(track, steps, |start, window| {
                unique.push(window.to_vec(), Place::new(stretch, first + start, Vec::new()));
                !unique.is_full()
            })
        });
        let windows = unique.limited(limit, |window| window_hash(window));
        let window = |(window, place)| (Tokens::Drums(window).into(), place);
        windows.into_iter().map(window).collect()
    })
}

/// Bars of the longest track of a sequence.
pub(super) fn longest(sequence: &NoteSequence, map: DrumMap) -> usize {
    let Cut { gap_steps, max_steps } = Cut::DEFAULT;
    let mut steps = 0;
    for hits in split_on_time_changes(sequence).iter().filter_map(|it| hits(it, map)) {
        for_each_track(&hits, gap_steps, max_steps, |_, track| {
            steps = steps.max(track.len());
            true
        });
    }
    steps / STEPS_PER_BAR
}

/// A row of an encoder: the bits of the classes, and 1 for a step without any.
pub(super) fn write_encoder_row(bits: u64, row: &mut [f32]) {
    let Some((rest, row)) = row.split_last_mut() else { return };
    write_bits(bits, row);
    *rest = f32::from(u8::from(bits == 0));
}

/// How many classes are hit on all steps.
pub(super) fn count(steps: &[u64]) -> usize {
    steps.iter().map(|bits| bits.count_ones() as usize).sum()
}

/// The columns of a dataset: the bits of the classes, 16 in a column, the first class lowest.
pub(super) fn columns(map: DrumMap) -> Vec<Column> {
    let bits = (0..map.classes()).step_by(WORD).map(|first| (map.classes() - first).min(WORD));
    bits.map(|bits| Column { kind: ColumnKind::Drums, limit: 1 << bits }).collect()
}

/// Class bits as numbers of these columns.
pub(super) fn numbers(map: DrumMap, steps: &[u64]) -> Vec<u16> {
    let columns = map.classes().div_ceil(WORD);
    let word = |bits: u64, column: usize| {
        u16::try_from(bits >> (WORD * column) & 0xffff).expect("16 bits are left")
    };
    steps.iter().flat_map(|&bits| (0..columns).map(move |column| word(bits, column))).collect()
}

/// Class bits of such numbers.
pub(super) fn from_numbers(map: DrumMap, numbers: &[u16]) -> Vec<u64> {
    let bits =
        |step: &[u16]| step.iter().rev().fold(0, |bits, &word| bits << WORD | u64::from(word));
    numbers.chunks_exact(map.classes().div_ceil(WORD)).map(bits).collect()
}
