//! The trait of a family of models, which each of its modules implements.

use super::error::TokenError;
use super::kinds::{Column, Converter, OutputKind, Training, Voice, Walk, Wanted};
use super::kit::DrumMap;
use super::place::Place;
use super::search::Limit;
use super::window::{ControlKind, Controls, Tokens, Window};
use crate::clip::{Clip, Note};
use crate::midi::{NoteSequence, SequenceNote};

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
