//! Selects the monophonic parts of a score.

use std::collections::BTreeMap;

use interlude_models::midi::NoteSequence;

/// Share of a part's notes that may begin before the note before ends.
const OVERLAPS: f64 = 0.05;
/// Overlap that is ignored as legato, in seconds.
const LEGATO: f64 = 0.05;

/// Takes away drums and all parts that play several notes at once, and gives the others the first
/// program, so that no instrument's melodies are left out.
pub fn keep_melodies(sequence: &mut NoteSequence) {
    let mut parts: BTreeMap<u32, Vec<(f64, f64)>> = BTreeMap::new();
    for note in sequence.notes.iter().filter(|note| !note.is_drum) {
        parts.entry(note.instrument).or_default().push((note.start, note.end));
    }
    parts.retain(|_, notes| {
        notes.sort_by(|a, b| a.0.total_cmp(&b.0));
        let overlaps = notes.windows(2).filter(|pair| pair[1].0 < pair[0].1 - LEGATO).count();
        let count = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
        count(overlaps) <= OVERLAPS * count(notes.len())
    });
    sequence.notes.retain(|note| !note.is_drum && parts.contains_key(&note.instrument));
    for note in &mut sequence.notes {
        note.program = 0;
    }
}
