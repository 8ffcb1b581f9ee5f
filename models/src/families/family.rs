//! The trait of a family of models, which each of its modules implements.

use super::error::TokenError;
use super::percussion::DrumMap;
use super::place::Place;
use super::search::Limit;
use super::window::{ControlKind, Controls, Tokens, Window};
use crate::clip::{Clip, Note};
use crate::midi::{NoteSequence, SequenceNote};

/// Segments of the windows of hierarchical models of melodies and trios, one for each of 16 bars.
pub const SEGMENTS: usize = 16;

/// A family of models: conversion of music to the tokens of a window and back, rows of the
/// networks, and columns of datasets.
///
/// Methods without a body are decided by every family; the others have the default of most. Tokens
/// that a method is given are of the family's own kind, as [`Family::holds`] says; of others they
/// make nothing.
pub trait Family {
    /// Width of one encoder input step, without controls.
    fn input_depth(&self) -> usize;

    /// Widths of the parts of one decoder output step: vocabularies, or the number of bits or values.
    fn outputs(&self) -> &'static [usize];

    /// How an output step is sampled and fed back to the next.
    fn output_kind(&self, hierarchical_decoder: bool) -> OutputKind;

    /// Kind of controls that the networks are conditioned on.
    fn control_kind(&self) -> Option<ControlKind> {
        None
    }

    /// Segments of a window in hierarchical models; `None` for a family that has none of those.
    fn segments(&self) -> Option<usize> {
        None
    }

    /// Whether tokens are in the range of their vocabularies; `None` for tokens of another kind.
    fn holds(&self, tokens: &Tokens) -> Option<bool>;

    /// Writes the encoder's input of a step into a row of `input_depth` zeros.
    fn write_input(&self, tokens: &Tokens, step: usize, row: &mut [f32]);

    /// Writes the decoder's target of a step into a row of zeros, as wide as all
    /// [`Family::outputs`]: one-hot for tokens, bits, or values.
    fn write_output(&self, tokens: &Tokens, step: usize, row: &mut [f32]);

    /// The token of each part of the output, step by step.
    ///
    /// # Errors
    /// A sentence for outputs that are no tokens.
    fn ids(&self, tokens: &Tokens) -> Result<Vec<u16>, &'static str> {
        let _ = tokens;
        Err(NO_IDS)
    }

    /// Tokens of the numbers that [`Family::ids`] gives; not necessarily in range.
    ///
    /// # Errors
    /// A sentence for outputs that are no tokens, and for numbers that make no tokens.
    fn tokens_of_ids(&self, ids: &[u16]) -> Result<Tokens, &'static str> {
        let _ = ids;
        Err(NO_IDS)
    }

    /// Tokens of decoder output that is bits or values, whole steps of it.
    ///
    /// # Errors
    /// A sentence for outputs that are tokens.
    fn tokens_of_values(&self, values: &[f32]) -> Result<Tokens, &'static str> {
        let _ = values;
        Err("its output has no values")
    }

    /// The voices that sound together, in the order of the outputs.
    fn voices(&self) -> &'static [Voice];

    /// The mapping of drum pitches to classes, for families with drums.
    fn drum_map(&self) -> Option<DrumMap>;

    /// Whether notes have velocities and timing of their own, off the grid of 16ths.
    fn is_performed(&self) -> bool {
        false
    }

    /// Whether every note of a clip is read as a tap, whatever its pitch.
    fn reads_taps(&self) -> bool {
        false
    }

    /// Whether hits are dropped from the encoder's input in training, see [`Tokens::drop_hits`].
    fn drops_hits(&self) -> bool {
        false
    }

    /// Whether the program of a note decides about its part.
    fn is_told_by(&self, program: u8) -> bool {
        let _ = program;
        false
    }

    /// One window of a clip's notes, `steps` long; `None` if no note has a place in it.
    fn tokens_of_notes(&self, notes: &[Note], steps: usize) -> Option<Tokens>;

    /// The notes of a window.
    fn to_notes(&self, tokens: &Tokens) -> Vec<Note>;

    /// The controls that follow from tokens alone.
    fn controls_of_tokens(&self, tokens: &Tokens) -> Option<Controls> {
        let _ = tokens;
        None
    }

    /// The controls of a window that follow from the clip it was made of.
    fn controls_of_clip(&self, clip: &Clip, tokens: &Tokens) -> Option<Controls> {
        let _ = clip;
        self.controls_of_tokens(tokens)
    }

    /// How windows are placed in a sequence.
    fn walk(&self) -> Walk;

    /// The windows of a sequence, `steps` long, as the original finds them.
    fn windows(&self, sequence: &NoteSequence, steps: usize, limit: Limit) -> Vec<(Window, Place)>;

    /// The channel that a note of a sequence has in a window that was made of `instruments`, as
    /// [`Place`] says; `None` for a note that was not read.
    fn channel(&self, instruments: &[u32], note: &SequenceNote) -> Option<u8>;

    /// What the family reads, as text.
    fn wanted(&self) -> Wanted;

    /// Whether notes on the drum channel, or the others, can be read.
    fn reads(&self, is_drum: bool) -> bool;

    /// Whether any of the notes can be read, regardless of the length.
    fn has_usable(&self, notes: &[SequenceNote]) -> bool;

    /// Bars of the longest passage, where it takes one instrument to have one.
    fn longest(&self, sequence: &NoteSequence) -> Option<usize>;

    /// Why a sequence in common time has no window, for reasons of the family's own. `name` is the
    /// configuration's, `is_long` whether a passage is as long as a window.
    fn refusal(&self, name: &str, sequence: &NoteSequence, is_long: bool) -> Option<TokenError> {
        let _ = (name, sequence, is_long);
        None
    }

    /// The columns of a step in a dataset.
    fn columns(&self) -> Vec<Column>;

    /// The numbers of a window in a dataset, step by step, each below the limit of its column.
    fn numbers(&self, window: &Window) -> Vec<u16>;

    /// The window of such numbers.
    fn window_of_numbers(&self, numbers: &[u16]) -> Window;

    /// Number of notes that begin in a window; with several voices, in the one with the fewest.
    fn notes(&self, tokens: &Tokens) -> usize;

    /// The symbols that step accuracy compares, one number for each part of the output: tokens,
    /// bits of drum classes, or hits of a groove. 0 stands for a step on which nothing begins or
    /// ends.
    fn symbols(&self, tokens: &Tokens) -> Vec<u64> {
        self.ids(tokens).unwrap_or_default().into_iter().map(u64::from).collect()
    }

    /// How a model of the family is trained, as far as a schedule does not say.
    fn training(&self) -> Training;

    /// Whether a converter of Magenta.js makes the family's tokens.
    fn is_of(&self, converter: &Converter) -> bool;
}

const NO_IDS: &str = "its output has no classes";

/// The shape of the decoder's output at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// One token out of a vocabulary.
    Categorical,
    /// Several tokens, each out of its own vocabulary, from one LSTM stack.
    MultiCategorical,
    /// Several tokens, each from an LSTM stack of its own.
    SplitCategorical,
    /// Bits that depend on each other in order.
    Nade,
    /// Hits, velocities and offsets of each class of drums.
    Groove,
}

impl OutputKind {
    /// Whether a step consists of tokens rather than bits or values.
    pub const fn is_tokens(self) -> bool {
        match self {
            Self::Categorical | Self::MultiCategorical | Self::SplitCategorical => true,
            Self::Nade | Self::Groove => false,
        }
    }
}

/// A voice: a part of a family's music, such as melody, bass or drums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Name, one lower-case word.
    pub name: &'static str,
    /// Zero-based MIDI channel of its notes.
    pub channel: u8,
    /// Whether it is drums; else it plays one note at a time.
    pub is_drums: bool,
}

/// How windows are placed in a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// In each section of constant tempo and time signature, a window may begin at any bar.
    Bars,
    /// The sequence is read as a whole, and a window begins where the one before ends.
    Windows,
}

impl Walk {
    /// Windows of `bars` bars after one of them that share bars with it.
    pub const fn overlap(self, bars: usize) -> usize {
        match self {
            Self::Bars => bars.saturating_sub(1),
            Self::Windows => 0,
        }
    }
}

/// What a family reads, as parts of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of a file: "it needs …".
    pub of_file: &'static str,
    /// Of a clip: "it needs …".
    pub of_clip: &'static str,
    /// A further condition for a passage to be long enough, after the number of its bars.
    pub of_passage: &'static str,
}

/// How models of a family are trained where a run is only told how many steps it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Learning rate of models of one level.
    pub learning_rate: f64,
    /// Weights of the KL divergence of models of one level, at the beginning and the end.
    pub beta: [f64; 2],
    /// The same of hierarchical models.
    pub hierarchical_beta: [f64; 2],
    /// Share of windows of models of one level that are mixed with others.
    pub mix: f64,
    /// Whether windows can be varied and mixed at all.
    pub mixes: bool,
}

impl Training {
    /// Settings of melodies, the default of others.
    pub const MELODY: Self = Self {
        learning_rate: 0.004,
        beta: [0.0, 0.02],
        hierarchical_beta: [0.0, 0.005],
        mix: 0.0,
        mixes: true,
    };
}

/// A converter of Magenta.js, as a model's `config.json` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converter<'a> {
    /// Its type.
    pub name: &'a str,
    /// The encoder of chords, if there is one.
    pub chord_encoder: Option<&'a str>,
    /// Number of its classes of drums, if it names them.
    pub drum_classes: Option<usize>,
    /// Whether the encoder's input is a tapped rhythm.
    pub tapify: bool,
    /// Whether the encoder's input has neither velocities nor timing.
    pub humanize: bool,
}

impl Converter<'_> {
    /// Whether it has a type, and no chords.
    pub(super) fn is_plain(&self, name: &str) -> bool {
        self.name == name && self.chord_encoder.is_none()
    }
}

/// A column of the steps of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Meaning of its numbers.
    pub kind: ColumnKind,
    /// Exclusive upper limit of its numbers.
    pub limit: u32,
}

impl Column {
    /// Whether a number means that a note begins or ends.
    pub const fn is_event(&self, number: u16) -> bool {
        match self.kind {
            ColumnKind::Melody | ColumnKind::Drums | ColumnKind::Hit => number != 0,
            ColumnKind::Chord | ColumnKind::Value => false,
        }
    }
}

/// Meaning of the numbers in a dataset's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Number of melody tokens.
    Melody,
    /// Classes of chords.
    Chord,
    /// Bits of drum classes, the first lowest.
    Drums,
    /// 1 for a hit of one class of drums, else 0.
    Hit,
    /// A velocity or offset that goes with a hit.
    Value,
}
