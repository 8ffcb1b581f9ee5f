//! Place of a window in its sequence.

use super::quantise::Stretch;
use crate::clip::Note;

/// Place of a window in its sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// Start of its section of constant tempo and time signature, in seconds; `None` in a sequence
    /// that is read as a whole.
    pub(super) start: Option<f64>,
    /// Its first step in that section.
    pub(super) step: u64,
    /// The instruments that it was made of, for families that read some of them alone.
    pub(super) instruments: Vec<u32>,
}

/// A note that a window was made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    /// The step of the window on which it begins.
    pub step: usize,
    /// The note, in beats from the start of the window; on the channel that the window's own notes
    /// have.
    pub note: Note,
}

impl Place {
    /// In a stretch, from one of its steps on, of some of its instruments.
    pub(super) fn new(stretch: &Stretch, step: u64, instruments: Vec<u32>) -> Self {
        Self { start: Some(stretch.start), step, instruments }
    }

    /// In a sequence that is read as a whole.
    pub(super) fn in_whole(step: u64) -> Self {
        Self { start: None, step, instruments: Vec::new() }
    }
}
