//! Drums as one token a step: which of nine classes sound together.

use super::family::Family;
use super::kinds::{Column, Converter, OutputKind, Training, Voice, Walk, Wanted};
use super::percussion::{self, CLASSES, COMBINATIONS, DrumMap};
use super::place::Place;
use super::search::Limit;
use super::window::{Tokens, Window};
use crate::clip::Note;
use crate::midi::{NoteSequence, SequenceNote};

/// Drums, one token a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Drums;

const MAP: DrumMap = DrumMap::Reduced;

/// What drum models read, as text.
pub(super) const WANTED: Wanted = Wanted {
    of_file: "General MIDI drums on channel 10",
    of_clip: percussion::WANTED,
    of_passage: ", and less than a bar without a hit",
};

/// The class bits, if the tokens are drums.
pub(super) fn steps(tokens: &Tokens) -> &[u64] {
    match tokens {
        Tokens::Drums(steps) => steps,
        _ => &[],
    }
}

/// Whether tokens are class bits of a map.
pub(super) fn holds(map: DrumMap, tokens: &Tokens) -> Option<bool> {
    let Tokens::Drums(steps) = tokens else { return None };
    Some(steps.iter().all(|&bits| bits >> map.classes() == 0))
}

impl Family for Drums {
    fn input_depth(&self) -> usize {
        CLASSES + 1
    }

    fn outputs(&self) -> &'static [usize] {
        &[COMBINATIONS]
    }

    fn output_kind(&self, _: bool) -> OutputKind {
        OutputKind::Categorical
    }

    fn holds(&self, tokens: &Tokens) -> Option<bool> {
        holds(MAP, tokens)
    }

    fn write_input(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        percussion::write_encoder_row(steps(tokens)[step], row);
    }

    fn write_output(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        row[usize::try_from(steps(tokens)[step]).unwrap_or(0)] = 1.0;
    }

    fn ids(&self, tokens: &Tokens) -> Result<Vec<u16>, &'static str> {
        Ok(steps(tokens).iter().map(|&bits| u16::try_from(bits).unwrap_or(0)).collect())
    }

    fn tokens_of_ids(&self, ids: &[u16]) -> Result<Tokens, &'static str> {
        Ok(Tokens::Drums(ids.iter().copied().map(u64::from).collect()))
    }

    fn voices(&self) -> &'static [Voice] {
        &[percussion::DRUMS]
    }

    fn drum_map(&self) -> Option<DrumMap> {
        Some(MAP)
    }

    fn tokens_of_notes(&self, notes: &[Note], steps: usize) -> Option<Tokens> {
        percussion::from_notes(notes, MAP, steps).map(Tokens::Drums)
    }

    fn to_notes(&self, tokens: &Tokens) -> Vec<Note> {
        percussion::to_notes(steps(tokens).iter().copied(), MAP)
    }

    fn walk(&self) -> Walk {
        Walk::Bars
    }

    fn windows(&self, sequence: &NoteSequence, steps: usize, limit: Limit) -> Vec<(Window, Place)> {
        percussion::windows(sequence, MAP, steps, limit)
    }

    fn channel(&self, _: &[u32], note: &SequenceNote) -> Option<u8> {
        percussion::channel(MAP, note)
    }

    fn wanted(&self) -> Wanted {
        WANTED
    }

    fn reads(&self, is_drum: bool) -> bool {
        is_drum
    }

    fn has_usable(&self, notes: &[SequenceNote]) -> bool {
        notes.iter().any(|note| percussion::is_usable(MAP, note))
    }

    fn longest(&self, sequence: &NoteSequence) -> Option<usize> {
        Some(percussion::longest(sequence, MAP))
    }

    fn columns(&self) -> Vec<Column> {
        percussion::columns(MAP)
    }

    fn numbers(&self, window: &Window) -> Vec<u16> {
        percussion::numbers(MAP, steps(&window.tokens))
    }

    fn window_of_numbers(&self, numbers: &[u16]) -> Window {
        Tokens::Drums(percussion::from_numbers(MAP, numbers)).into()
    }

    fn notes(&self, tokens: &Tokens) -> usize {
        percussion::count(steps(tokens))
    }

    fn training(&self) -> Training {
        Training { learning_rate: 0.002, beta: [0.002, 0.015], mix: 0.5, ..Training::MELODY }
    }

    fn is_of(&self, converter: &Converter) -> bool {
        converter.is_plain("DrumsConverter")
    }
}
