//! A pattern: the notes of one cycle, as the worker answers a request.

use interlude_models::clip::{Clip, Note};

use crate::{key::Key, shape::Shape, slots::Position};

/// Most notes kept of a pattern; 16 bars of a trio with every drum class at every step have fewer.
const MOST_NOTES: usize = 4096;

/// Where the latent code of a pattern comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// From between the slots, at the morph's position.
    #[default]
    Between,
}

/// How notes are drawn from the model's probabilities.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Temperature, `>= 0`; 0 always takes the likeliest.
    pub temperature: f32,
    /// Seed of the noise.
    pub seed: u32,
    /// Whether each cycle has its own noise; otherwise all have that of cycle 0.
    pub evolve: bool,
}

/// What a pattern is made from besides the slots and the model, sampled at its decision point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Position between the slots.
    pub position: Position,
    /// Where the code comes from.
    pub source: Source,
    /// More or less of each attribute.
    pub amounts: Shape,
    /// The key that notes keep to.
    pub key: Key,
    /// How notes are drawn.
    pub sampling: Sampling,
}

#[cfg(test)]
impl Settings {
    /// Those of a new project, at a position between the slots.
    pub(crate) fn at(morph: f32) -> Self {
        Self {
            position: Position::new(morph),
            source: Source::Between,
            amounts: Shape::default(),
            key: Key::FREE,
            sampling: Sampling { temperature: 0.5, seed: 1, evolve: false },
        }
    }

    /// The same with noise of its own for each cycle, or not.
    pub(crate) fn evolving(mut self, evolve: bool) -> Self {
        self.sampling.evolve = evolve;
        self
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
