//! What the worker answers: the notes of one cycle.

use interlude_models::clip::{Clip, Note};

use crate::shape::Shape;

/// Most notes kept of a pattern; 16 bars of a trio with every drum class at every step have fewer.
const MOST_NOTES: usize = 4096;

/// What a pattern is made from besides the slots and the model, sampled at its decision point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Position between the slots, in `0..=1`.
    pub morph: f32,
    /// More or less of each attribute.
    pub shape: Shape,
    /// Temperature of the sampling, `> 0`.
    pub temperature: f32,
    /// Seed of the noise.
    pub seed: u32,
    /// Whether each cycle has its own noise; otherwise all have that of cycle 0.
    pub evolve: bool,
}

#[cfg(test)]
impl Settings {
    /// Those of a new project, at a position between the slots.
    pub(crate) fn at(morph: f32) -> Self {
        Self { morph, shape: Shape::default(), temperature: 0.5, seed: 1, evolve: false }
    }
}

/// Which cycle a request is for, seen from the playing position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The cycle that the position lies in.
    Current,
    /// The cycle that comes next, by time or by the loop.
    Next,
}

/// A request for the pattern of a cycle. Of each role only the latest request counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Names the request in its answer; never repeats while the plug-in lives.
    pub id: u64,
    /// Which cycle it is for, seen from the playing position.
    pub role: Role,
    /// Number of the cycle.
    pub cycle: i64,
    /// What to make it from.
    pub settings: Settings,
}

/// The notes of one cycle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern {
    id: u64,
    bars: u32,
    notes: Vec<Note>,
}

impl Pattern {
    /// The answer to request `id`: a clip for a cycle of `bars` bars, without the notes that no
    /// MIDI event can express.
    pub fn new(id: u64, bars: u32, clip: &Clip) -> Self {
        let mut notes: Vec<Note> = clip
            .notes
            .iter()
            .filter(|note| {
                note.start >= 0.0
                    && note.end > note.start
                    && note.end.is_finite()
                    && note.pitch < 128
                    && (1..128).contains(&note.velocity)
                    && note.channel < 16
            })
            .take(MOST_NOTES)
            .copied()
            .collect();
        notes.sort_by(|a, b| a.start.total_cmp(&b.start));
        Self { id, bars, notes }
    }

    /// The request that this answers.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Length in bars.
    pub fn bars(&self) -> u32 {
        self.bars
    }

    /// The notes, ordered by onset, in beats of 4/4 bars from the start of the cycle.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}
