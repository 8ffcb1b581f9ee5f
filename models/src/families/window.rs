//! One window of a model's music, with its controls.

use serde::{Deserialize, Serialize};

use super::kit;
use crate::chords;

/// The tokens of one window, by family. The outer length is the number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tokens {
    /// Melody tokens: 0 no event, 1 note off, `p − 19` for pitch `p` in `21..=108`.
    Melody(Vec<u8>),
    /// Bit `k` is set when drum class `k` sounds (of the reduced or the full map).
    Drums(Vec<u64>),
    /// Melody token, bass token, and the drum classes as bits.
    Trio(Vec<[u16; 3]>),
    /// Hits (0 or 1), velocities (`0..=1`) and offsets (`-1..=1`, early positive) of the drum classes.
    Groove(Vec<GrooveStep>),
}

/// One step of a groove: hits, velocities, offsets, each of all classes.
pub type GrooveStep = [f32; 3 * kit::CLASSES];

/// Controls: what encoder and decoder are conditioned on besides the music, one entry for each
/// step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controls {
    /// Chord: 0 none, then 12 each of major (1 is C), minor, augmented, diminished.
    Chords(Vec<u8>),
    /// Bit `k` is set when drum class `k` is hit.
    Hits(Vec<u16>),
}

/// Kinds of [`Controls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlKind {
    /// A chord.
    Chords,
    /// Hits of drums.
    Hits,
}

/// One window of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The tokens.
    pub tokens: Tokens,
    /// Its controls, for families with controls.
    pub controls: Option<Controls>,
}

impl Tokens {
    /// Number of steps.
    pub fn len(&self) -> usize {
        match self {
            Self::Melody(steps) => steps.len(),
            Self::Drums(steps) => steps.len(),
            Self::Trio(steps) => steps.len(),
            Self::Groove(steps) => steps.len(),
        }
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Controls {
    /// Number of steps.
    pub fn len(&self) -> usize {
        match self {
            Self::Chords(steps) => steps.len(),
            Self::Hits(steps) => steps.len(),
        }
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What they are.
    pub fn kind(&self) -> ControlKind {
        match self {
            Self::Chords(_) => ControlKind::Chords,
            Self::Hits(_) => ControlKind::Hits,
        }
    }

    /// What encoder and decoder read, `[steps, kind.depth()]`; `None` for a number out of range.
    pub(crate) fn hot(&self) -> Option<Vec<f32>> {
        let depth = self.kind().depth();
        let mut rows = vec![0.0; self.len() * depth];
        match self {
            Self::Chords(chords) => {
                for (row, chord) in rows.chunks_exact_mut(depth).zip(chords) {
                    *row.get_mut(usize::from(*chord))? = 1.0;
                }
            }
            Self::Hits(hits) => {
                for (row, &bits) in rows.chunks_exact_mut(depth).zip(hits) {
                    kit::write_bits(u64::from(bits), row);
                }
            }
        }
        Some(rows)
    }
}

impl ControlKind {
    /// Width of one control step.
    pub const fn depth(self) -> usize {
        match self {
            Self::Chords => chords::CLASSES,
            Self::Hits => kit::CLASSES,
        }
    }

    /// Empty controls: no chord, or no hits.
    pub fn none(self, steps: usize) -> Controls {
        match self {
            Self::Chords => Controls::Chords(vec![0; steps]),
            Self::Hits => Controls::Hits(vec![0; steps]),
        }
    }
}

impl From<Tokens> for Window {
    fn from(tokens: Tokens) -> Self {
        Self { tokens, controls: None }
    }
}
