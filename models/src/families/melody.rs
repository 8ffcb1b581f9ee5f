//! Melodies.

use serde::{Deserialize, Serialize};

use super::family::Family;
use super::kinds::{
    Column, ColumnKind, Converter, OutputKind, SEGMENTS, Training, Voice, Walk, Wanted,
};
use super::line;
use super::percussion::DrumMap;
use super::place::Place;
use super::search::{Limit, Unique, of_stretches};
use super::window::{Tokens, Window};
use crate::clip::Note;
use crate::midi::{NoteSequence, SequenceNote};

/// Melodies, one token a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Melody {
    /// Whether only notes of programs `0..32` are read from files.
    pub melodic_programs_only: bool,
}

/// The column of a melody in a dataset.
pub(super) fn column() -> Column {
    let limit = u32::try_from(line::VOCABULARY).expect("a small number");
    Column { kind: ColumnKind::Melody, limit }
}

/// The tokens, if they are a melody's.
pub(super) fn steps(tokens: &Tokens) -> &[u8] {
    match tokens {
        Tokens::Melody(steps) => steps,
        _ => &[],
    }
}

/// Tokens of numbers; those that no melody has become the last of 8 bits.
pub(super) fn from_numbers(numbers: impl Iterator<Item = u16>) -> Tokens {
    Tokens::Melody(numbers.map(|number| u8::try_from(number).unwrap_or(u8::MAX)).collect())
}

impl Family for Melody {
    fn input_depth(&self) -> usize {
        line::VOCABULARY
    }

    fn outputs(&self) -> &'static [usize] {
        &[line::VOCABULARY]
    }

    fn output_kind(&self, _: bool) -> OutputKind {
        OutputKind::Categorical
    }

    fn segments(&self) -> Option<usize> {
        Some(SEGMENTS)
    }

    fn holds(&self, tokens: &Tokens) -> Option<bool> {
        let Tokens::Melody(steps) = tokens else { return None };
        Some(steps.iter().all(|&token| line::is_token(token)))
    }

    fn write_input(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        row[usize::from(steps(tokens)[step])] = 1.0;
    }

    fn write_output(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        self.write_input(tokens, step, row);
    }

    fn ids(&self, tokens: &Tokens) -> Result<Vec<u16>, &'static str> {
        Ok(steps(tokens).iter().copied().map(u16::from).collect())
    }

    fn tokens_of_ids(&self, ids: &[u16]) -> Result<Tokens, &'static str> {
        Ok(from_numbers(ids.iter().copied()))
    }

    fn voices(&self) -> &'static [Voice] {
        &[line::MELODY]
    }

    fn drum_map(&self) -> Option<DrumMap> {
        None
    }

    fn tokens_of_notes(&self, notes: &[Note], steps: usize) -> Option<Tokens> {
        line::from_notes(notes, steps).map(Tokens::Melody)
    }

    fn to_notes(&self, tokens: &Tokens) -> Vec<Note> {
        line::to_notes(steps(tokens).iter().copied(), line::MELODY.channel, 0)
    }

    fn walk(&self) -> Walk {
        Walk::Bars
    }

    fn windows(&self, sequence: &NoteSequence, steps: usize, limit: Limit) -> Vec<(Window, Place)> {
        of_stretches(sequence, limit, |stretch, _| {
            let mut unique = Unique::new();
            let only = self.melodic_programs_only;
            line::for_each_window_of(stretch, only, steps, |place, window| {
                unique.push(window, place);
                !unique.is_full()
            });
            let windows = unique.limited(limit, |window| line::window_hash(window));
            let window = |(window, place)| (Tokens::Melody(window).into(), place);
            windows.into_iter().map(window).collect()
        })
    }

    fn channel(&self, instruments: &[u32], note: &SequenceNote) -> Option<u8> {
        line::channel(instruments, note)
    }

    fn wanted(&self) -> Wanted {
        let of_file = if self.melodic_programs_only {
            "notes from A0 to C8 of programs 1 to 32 (pianos to guitars), not drums"
        } else {
            line::WANTED
        };
        Wanted { of_file, of_clip: line::WANTED, of_passage: line::PASSAGE }
    }

    fn reads(&self, is_drum: bool) -> bool {
        !is_drum
    }

    fn has_usable(&self, notes: &[SequenceNote]) -> bool {
        notes.iter().any(|note| line::is_usable(note, self.melodic_programs_only))
    }

    fn longest(&self, sequence: &NoteSequence) -> Option<usize> {
        Some(line::longest(sequence, self.melodic_programs_only))
    }

    fn columns(&self) -> Vec<Column> {
        vec![column()]
    }

    fn numbers(&self, window: &Window) -> Vec<u16> {
        steps(&window.tokens).iter().copied().map(u16::from).collect()
    }

    fn window_of_numbers(&self, numbers: &[u16]) -> Window {
        from_numbers(numbers.iter().copied()).into()
    }

    fn notes(&self, tokens: &Tokens) -> usize {
        line::notes(steps(tokens).iter().copied())
    }

    fn training(&self) -> Training {
        Training::MELODY
    }

    fn is_of(&self, converter: &Converter) -> bool {
        converter.is_plain("MelodyConverter")
    }
}
