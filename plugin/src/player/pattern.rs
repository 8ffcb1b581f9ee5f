//! A pattern: the notes of one cycle, as the worker answers a request.

use interlude_models::clip::{Clip, Note};

use crate::shape::Shape;

/// Most notes kept of a pattern; 16 bars of a trio with every drum class at every step have fewer.
const MOST_NOTES: usize = 4096;

/// Settings of a pattern besides the slots and the model, sampled at its decision point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Position between the slots, in `0..=1`.
    pub morph: f32,
    /// Requested change of each attribute, in standard deviations.
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

/// The two ways on which requests travel: one cycle is asked for on each, the current one and the
/// next in turn. Of each lane only the latest request counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// The first.
    One,
    /// The second.
    Two,
}

impl Lane {
    /// The other lane.
    pub fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }
}

/// A request for the pattern of a cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Request {
    /// Id of the request, unique in the lifetime of the plug-in.
    pub id: u64,
    /// Where it travels.
    pub lane: Lane,
    /// Whether nothing that was asked for before it is wanted any more, on the other lane either.
    pub alone: bool,
    /// Number of the cycle.
    pub cycle: i64,
    /// Its settings.
    pub settings: Settings,
}

impl Request {
    /// Whether it makes an older request needless.
    pub fn supersedes(&self, older: &Self) -> bool {
        self.alone || self.lane == older.lane
    }
}

/// The notes of one cycle.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pattern {
    id: u64,
    bars: u32,
    contents: u64,
    notes: Vec<Note>,
}

impl Pattern {
    /// The answer to request `id`: a clip for a cycle of `bars` bars, made of what the slots held at
    /// revision `contents`, without the notes that no MIDI event can express.
    pub fn new(id: u64, bars: u32, contents: u64, clip: &Clip) -> Self {
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
        Self { id, bars, contents, notes }
    }

    /// The request that this answers.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Length in bars.
    pub fn bars(&self) -> u32 {
        self.bars
    }

    /// The revision of the slots and of the model that it was made of.
    pub fn contents(&self) -> u64 {
        self.contents
    }

    /// The notes, ordered by onset, in beats of 4/4 bars from the start of the cycle.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }
}
