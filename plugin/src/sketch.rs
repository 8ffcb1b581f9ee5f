//! The notes of a recording while it is made, for the editor: written by the audio thread, read by
//! any other, without a lock. Each note is one number, so none is ever seen half written.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use interlude_models::clip::{Clip, Note};

use crate::capture::MOST_NOTES;

/// Parts of a beat that are told apart; 64 beats then fit 16 bits.
const PARTS: f64 = 512.0;
/// The end of a note that still sounds.
const OPEN: u16 = u16::MAX;

/// What is being recorded into a slot.
#[derive(Debug)]
pub struct Sketch {
    notes: Box<[AtomicU64]>,
    count: AtomicUsize,
}

impl Default for Sketch {
    fn default() -> Self {
        let notes = (0..MOST_NOTES).map(|_| AtomicU64::new(0)).collect();
        Self { notes, count: AtomicUsize::new(0) }
    }
}

impl Sketch {
    /// Shows the notes of a recording; none ends it.
    pub fn show(&self, notes: &[Note]) {
        for (place, note) in self.notes.iter().zip(notes) {
            place.store(pack(note), Ordering::Relaxed);
        }
        self.count.store(notes.len().min(self.notes.len()), Ordering::Release);
    }

    /// The notes as a clip of `length` beats, of which the share `done` is past: so far sound the
    /// notes that have no end yet.
    pub fn clip(&self, length: f64, done: f32) -> Clip {
        let now = f64::from(done) * length;
        let count = self.count.load(Ordering::Acquire);
        let notes =
            self.notes[..count].iter().map(|note| unpack(note.load(Ordering::Relaxed), now));
        Clip::new(notes.collect(), length)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
fn pack(note: &Note) -> u64 {
    let start = (note.start * PARTS) as u16;
    let end = if note.end.is_finite() { ((note.end * PARTS) as u16).min(OPEN - 1) } else { OPEN };
    u64::from(start)
        | u64::from(end) << 16
        | u64::from(note.pitch) << 32
        | u64::from(note.velocity) << 40
        | u64::from(note.channel) << 48
}

#[expect(clippy::cast_possible_truncation, reason = "each part was put where it is taken from")]
fn unpack(bits: u64, now: f64) -> Note {
    let start = f64::from(bits as u16) / PARTS;
    let end = match (bits >> 16) as u16 {
        OPEN => now,
        end => f64::from(end) / PARTS,
    };
    Note {
        start,
        // Visible from its first moment on.
        end: end.max(start + 1.0 / 32.0),
        pitch: (bits >> 32) as u8,
        velocity: (bits >> 40) as u8,
        channel: (bits >> 48) as u8,
        program: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The editor sees the notes as they are played, those that still sound up to now.
    #[test]
    fn notes_are_seen() {
        let sketch = Sketch::default();
        assert!(sketch.clip(8.0, 0.5).is_empty());
        let note =
            |start, end, pitch| Note { start, end, pitch, velocity: 100, channel: 9, program: 0 };
        sketch.show(&[note(0.0, 1.5, 36), note(63.0, f64::INFINITY, 127)]);
        let clip = sketch.clip(64.0, 0.996_093_75);
        assert_eq!(clip, Clip::new(vec![note(0.0, 1.5, 36), note(63.0, 63.75, 127)], 64.0));
        sketch.show(&[]);
        assert!(sketch.clip(8.0, 0.5).is_empty());
    }
}
