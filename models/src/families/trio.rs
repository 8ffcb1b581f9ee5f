//! Trios: melody, bass and drums together.

mod voices;

use super::family::Family;
use super::kinds::{
    Column, ColumnKind, Converter, OutputKind, SEGMENTS, Training, Voice, Walk, Wanted,
};
use super::line::{self, VOCABULARY};
use super::percussion::{self, COMBINATIONS, DrumMap};
use super::place::Place;
use super::search::{Limit, of_stretches};
use super::window::{Tokens, Window};
use crate::clip::Note;
use crate::midi::{NoteSequence, SequenceNote};

/// Melody, bass and drums, a token of each on every step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Trio;

/// The drums of trios.
const MAP: DrumMap = DrumMap::Reduced;
/// Vocabularies of the three voices.
const WIDTHS: [usize; 3] = [VOCABULARY, VOCABULARY, COMBINATIONS];
/// The bass.
const BASS: Voice = Voice { name: "bass", channel: 1, is_drums: false };
/// The three, in the order of their tokens.
const VOICES: [Voice; 3] = [line::MELODY, BASS, percussion::DRUMS];
/// Windows that are kept of one sequence: there may be as many of them as bars and combinations of
/// instruments.
const MAX_WINDOWS: usize = 1 << 14;
/// Bars, of voices and of their combinations, that are looked at in one sequence. Music has some
/// hundred thousand, but a file may have a hundred voices in each of any number of stretches.
const MAX_BARS: usize = 1 << 26;

fn steps(tokens: &Tokens) -> &[[u16; 3]] {
    match tokens {
        Tokens::Trio(steps) => steps,
        _ => &[],
    }
}

impl Family for Trio {
    fn input_depth(&self) -> usize {
        WIDTHS.iter().sum()
    }

    fn outputs(&self) -> &'static [usize] {
        &WIDTHS
    }

    fn output_kind(&self, hierarchical_decoder: bool) -> OutputKind {
        if hierarchical_decoder {
            OutputKind::SplitCategorical
        } else {
            OutputKind::MultiCategorical
        }
    }

    fn segments(&self) -> Option<usize> {
        Some(SEGMENTS)
    }

    fn holds(&self, tokens: &Tokens) -> Option<bool> {
        let Tokens::Trio(steps) = tokens else { return None };
        let fits = |step: &[u16; 3]| {
            step.iter().zip(WIDTHS).all(|(&token, width)| usize::from(token) < width)
        };
        Some(steps.iter().all(fits))
    }

    fn write_input(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        let mut first = 0;
        for (&token, width) in steps(tokens)[step].iter().zip(WIDTHS) {
            row[first + usize::from(token)] = 1.0;
            first += width;
        }
    }

    fn write_output(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        self.write_input(tokens, step, row);
    }

    fn ids(&self, tokens: &Tokens) -> Result<Vec<u16>, &'static str> {
        Ok(steps(tokens).as_flattened().to_vec())
    }

    fn tokens_of_ids(&self, ids: &[u16]) -> Result<Tokens, &'static str> {
        match ids.as_chunks::<3>() {
            (steps, []) => Ok(Tokens::Trio(steps.to_vec())),
            _ => Err("the number of classes is not three a step"),
        }
    }

    fn voices(&self) -> &'static [Voice] {
        &VOICES
    }

    fn drum_map(&self) -> Option<DrumMap> {
        Some(MAP)
    }

    fn is_told_by(&self, program: u8) -> bool {
        voices::BASS_PROGRAMS.contains(&program)
    }

    fn tokens_of_notes(&self, notes: &[Note], steps: usize) -> Option<Tokens> {
        voices::from_notes(notes, steps).map(Tokens::Trio)
    }

    fn to_notes(&self, tokens: &Tokens) -> Vec<Note> {
        voices::to_notes(steps(tokens))
    }

    fn walk(&self) -> Walk {
        Walk::Bars
    }

    fn windows(&self, sequence: &NoteSequence, _: usize, limit: Limit) -> Vec<(Window, Place)> {
        let mut work = voices::Work(MAX_BARS);
        of_stretches(sequence, limit, |stretch, count| {
            let count = count.min(MAX_WINDOWS);
            let windows = voices::windows(stretch, count, &mut work).unwrap_or_default();
            let window = |(window, step, instruments): voices::Found| {
                (Tokens::Trio(window).into(), Place::new(stretch, step, instruments.to_vec()))
            };
            windows.into_iter().map(window).collect()
        })
    }

    fn channel(&self, instruments: &[u32], note: &SequenceNote) -> Option<u8> {
        if note.velocity == 0 {
            return None;
        }
        let voice = VOICES.get(instruments.iter().position(|it| *it == note.instrument)?)?;
        let is_heard = if voice.is_drums {
            percussion::class(MAP, note.pitch).is_some()
        } else {
            line::is_usable(note, false)
        };
        is_heard.then_some(voice.channel)
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            of_file: "a melody (programs 1 to 32), a bass (33 to 40) and drums (channel 10)",
            of_clip: "a melody, a bass or drums",
            of_passage: ", with melody, bass and drums never silent for more than four bars",
        }
    }

    fn reads(&self, _: bool) -> bool {
        true
    }

    fn has_usable(&self, notes: &[SequenceNote]) -> bool {
        voices::has_all_roles(notes)
    }

    fn longest(&self, _: &NoteSequence) -> Option<usize> {
        None
    }

    fn columns(&self) -> Vec<Column> {
        let column = |(voice, width): (&Voice, usize)| Column {
            kind: if voice.is_drums { ColumnKind::Drums } else { ColumnKind::Melody },
            limit: u32::try_from(width).expect("a small number"),
        };
        VOICES.iter().zip(WIDTHS).map(column).collect()
    }

    fn numbers(&self, window: &Window) -> Vec<u16> {
        steps(&window.tokens).as_flattened().to_vec()
    }

    fn window_of_numbers(&self, numbers: &[u16]) -> Window {
        Tokens::Trio(numbers.as_chunks::<3>().0.to_vec()).into()
    }

    fn notes(&self, tokens: &Tokens) -> usize {
        let steps = steps(tokens);
        let of_voice = |(index, voice): (usize, &Voice)| {
            let tokens = steps.iter().map(|step| step[index]);
            if voice.is_drums {
                tokens.map(|bits| bits.count_ones() as usize).sum()
            } else {
                line::notes(tokens.map(|token| u8::try_from(token).unwrap_or(u8::MAX)))
            }
        };
        VOICES.iter().enumerate().map(of_voice).min().unwrap_or(0)
    }

    fn training(&self) -> Training {
        Training {
            learning_rate: 0.002,
            beta: [0.002, 0.01],
            hierarchical_beta: [0.0002, 0.002],
            ..Training::MELODY
        }
    }

    fn is_of(&self, converter: &Converter) -> bool {
        converter.is_plain("TrioConverter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::families::quantise::split_on_time_changes;
    use crate::families::testing::parts;

    /// Voices and their combinations are searched until the budget of a sequence is used up, so
    /// that a file of many instruments and parts has an end.
    #[test]
    fn trios_have_an_end() {
        // At 120 to the minute 32 seconds are 16 bars.
        let sequence = parts(1, 32.0, &[0, 33, 128]);
        let stretch = &split_on_time_changes(&sequence)[0];
        let windows = |bars| {
            let found = voices::windows(stretch, 9, &mut voices::Work(bars));
            found.map(|windows| windows.len())
        };
        assert_eq!(windows(3 * 16 + 16), Some(1));
        assert_eq!(windows(3 * 16 + 15), Some(0));
        assert_eq!(windows(3 * 16 - 1), None);
        assert_eq!(Trio.windows(&sequence, 256, Limit::All).len(), 1);
    }
}
