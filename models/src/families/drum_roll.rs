//! Drums as bits that depend on each other, one for each class.

use serde::{Deserialize, Serialize};

use super::drums::{WANTED, holds, steps};
use super::family::Family;
use super::kinds::{Column, Converter, OutputKind, Training, Voice, Walk, Wanted};
use super::percussion::{self, DrumMap};
use super::place::Place;
use super::search::Limit;
use super::window::{Tokens, Window};
use crate::clip::Note;
use crate::midi::{NoteSequence, SequenceNote};

/// Drums as one bit for each class of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DrumRoll(pub DrumMap);

impl Family for DrumRoll {
    fn input_depth(&self) -> usize {
        self.0.classes() + 1
    }

    fn outputs(&self) -> &'static [usize] {
        match self.0 {
            DrumMap::Reduced => const { &[DrumMap::Reduced.classes()] },
            DrumMap::Full => const { &[DrumMap::Full.classes()] },
        }
    }

    fn output_kind(&self, _: bool) -> OutputKind {
        OutputKind::Nade
    }

    fn holds(&self, tokens: &Tokens) -> Option<bool> {
        holds(self.0, tokens)
    }

    fn write_input(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        percussion::write_encoder_row(steps(tokens)[step], row);
    }

    fn write_output(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        percussion::write_bits(steps(tokens)[step], row);
    }

    fn tokens_of_values(&self, values: &[f32]) -> Result<Tokens, &'static str> {
        let steps = values.chunks_exact(self.0.classes());
        Ok(Tokens::Drums(steps.map(percussion::read_bits).collect()))
    }

    fn voices(&self) -> &'static [Voice] {
        &[percussion::DRUMS]
    }

    fn drum_map(&self) -> Option<DrumMap> {
        Some(self.0)
    }

    fn tokens_of_notes(&self, notes: &[Note], steps: usize) -> Option<Tokens> {
        percussion::from_notes(notes, self.0, steps).map(Tokens::Drums)
    }

    fn to_notes(&self, tokens: &Tokens) -> Vec<Note> {
        percussion::to_notes(steps(tokens).iter().copied(), self.0)
    }

    fn walk(&self) -> Walk {
        Walk::Bars
    }

    fn windows(&self, sequence: &NoteSequence, steps: usize, limit: Limit) -> Vec<(Window, Place)> {
        percussion::windows(sequence, self.0, steps, limit)
    }

    fn channel(&self, _: &[u32], note: &SequenceNote) -> Option<u8> {
        percussion::channel(self.0, note)
    }

    fn wanted(&self) -> Wanted {
        WANTED
    }

    fn reads(&self, is_drum: bool) -> bool {
        is_drum
    }

    fn has_usable(&self, notes: &[SequenceNote]) -> bool {
        notes.iter().any(|note| percussion::is_usable(self.0, note))
    }

    fn longest(&self, sequence: &NoteSequence) -> Option<usize> {
        Some(percussion::longest(sequence, self.0))
    }

    fn columns(&self) -> Vec<Column> {
        percussion::columns(self.0)
    }

    fn numbers(&self, window: &Window) -> Vec<u16> {
        percussion::numbers(self.0, steps(&window.tokens))
    }

    fn window_of_numbers(&self, numbers: &[u16]) -> Window {
        Tokens::Drums(percussion::from_numbers(self.0, numbers)).into()
    }

    fn notes(&self, tokens: &Tokens) -> usize {
        percussion::count(steps(tokens))
    }

    fn symbols(&self, tokens: &Tokens) -> Vec<u64> {
        steps(tokens).to_vec()
    }

    fn training(&self) -> Training {
        Training { learning_rate: 0.002, beta: [0.002, 0.01], mixes: false, ..Training::MELODY }
    }

    fn is_of(&self, converter: &Converter) -> bool {
        let is_full = converter.drum_classes == Some(DrumMap::Full.classes());
        converter.is_plain("DrumRollConverter") && is_full == (self.0 == DrumMap::Full)
    }
}
