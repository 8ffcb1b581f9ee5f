//! Bars that repeat earlier ones while a pattern is decoded, so that between loops there are loops.

use crate::clip::STEPS_PER_BAR;
use crate::config::Config;
use crate::families::{Voice, line};
use crate::network::interface::categorical;
use crate::tokens::Tokens;

/// For each voice the bar that each bar repeats: itself, or an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeats(Vec<Vec<usize>>);

impl Repeats {
    /// Each bar of a voice repeats the first one that it equals in all of some windows; `None` where
    /// none does, and for models of bits and values.
    ///
    /// Bars are equal when the same notes begin in them, last and end.
    pub fn of(config: &Config, windows: &[&Tokens]) -> Option<Self> {
        if windows.is_empty() || !categorical(config) {
            return None;
        }
        let voices = config.family().voices();
        let ids = windows.iter().map(|window| window.ids(config));
        let ids: Vec<Vec<u16>> = ids.collect::<Result<_, _>>().ok()?;
        let firsts = |(index, voice): (usize, &Voice)| {
            let heard = ids.iter().map(|ids| {
                let mut sounds = false;
                let tokens = ids.iter().skip(index).step_by(voices.len());
                tokens.map(|&token| Heard::of(voice, token.into(), &mut sounds)).collect()
            });
            let heard: Vec<Vec<Heard>> = heard.collect();
            let steps = heard.iter().map(Vec::len).min().unwrap_or(0);
            let bar = |window: &Vec<Heard>, bar: usize| {
                window[bar * STEPS_PER_BAR..(bar + 1) * STEPS_PER_BAR].to_vec()
            };
            let equal = |a, b| heard.iter().all(|window| bar(window, a) == bar(window, b));
            let first = |b| (0..b).find(|&a| equal(a, b)).unwrap_or(b);
            (0..steps / STEPS_PER_BAR).map(first).collect::<Vec<usize>>()
        };
        let repeats = Self(voices.iter().enumerate().map(firsts).collect());
        repeats
            .0
            .iter()
            .any(|bars| bars.iter().enumerate().any(|(a, b)| a != *b))
            .then_some(repeats)
    }

    /// The step that a step of a voice repeats, if there is one.
    fn step(&self, voice: usize, step: usize) -> Option<usize> {
        let bar = step / STEPS_PER_BAR;
        let first = *self.0.get(voice)?.get(bar)?;
        (first < bar).then_some(first * STEPS_PER_BAR + step % STEPS_PER_BAR)
    }
}

/// What is heard of a voice in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// A note or drums that begin.
    Onset(i64),
    /// A note that goes on.
    On,
    /// Nothing.
    Off,
}

impl Heard {
    /// What is heard by a token; `sounds` says whether a note sounds before it, then whether one does
    /// after it.
    fn of(voice: &Voice, token: i64, sounds: &mut bool) -> Self {
        if voice.is_drums {
            return Self::Onset(token);
        }
        if token == i64::from(line::NO_EVENT) {
            return if *sounds { Self::On } else { Self::Off };
        }
        *sounds = token != i64::from(line::NOTE_OFF);
        if *sounds { Self::Onset(token) } else { Self::Off }
    }

    /// The token by which it is heard.
    fn token(self, sounds: bool) -> i64 {
        match self {
            Self::Onset(token) => token,
            Self::Off if sounds => line::NOTE_OFF.into(),
            Self::On | Self::Off => line::NO_EVENT.into(),
        }
    }
}

/// The repeats of one example while it is decoded.
#[derive(Debug)]
pub(super) struct Repeating<'a> {
    repeats: &'a Repeats,
    voices: &'static [Voice],
    /// What was heard of each voice so far.
    heard: Vec<Vec<Heard>>,
    sounds: Vec<bool>,
}

impl<'a> Repeating<'a> {
    pub(super) fn new(repeats: &'a Repeats, config: &Config) -> Self {
        let voices = config.family().voices();
        let (heard, sounds) = (vec![Vec::new(); voices.len()], vec![false; voices.len()]);
        Self { repeats, voices, heard, sounds }
    }

    /// Puts what is repeated in the place of what was drawn in a step.
    pub(super) fn repeat(&self, step: usize, tokens: &mut [i64]) {
        for (voice, token) in tokens.iter_mut().enumerate() {
            let first = self.repeats.step(voice, step);
            if let Some(heard) = first.and_then(|first| self.heard[voice].get(first)) {
                *token = heard.token(self.sounds[voice]);
            }
        }
    }

    /// Takes note of what is heard in the next step.
    pub(super) fn hear(&mut self, tokens: &[i64]) {
        for (voice, &token) in tokens.iter().enumerate() {
            let heard = Heard::of(&self.voices[voice], token, &mut self.sounds[voice]);
            self.heard[voice].push(heard);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::by_name;

    use super::*;

    fn melody(bars: &[[u8; 2]]) -> Tokens {
        let mut tokens = vec![line::NO_EVENT; 256];
        for (bar, places) in bars.iter().enumerate() {
            (tokens[16 * bar], tokens[16 * bar + 8]) = (places[0], places[1]);
        }
        Tokens::Melody(tokens)
    }

    /// A bar repeats the first that it equals in every window; a rest is one whether an earlier note
    /// must be ended for it or not.
    #[test]
    fn equal_bars_repeat() {
        let config = by_name("hierdec-mel_16bar").expect("known");
        let (a, b, off) = ([40, 41], [50, 1], line::NOTE_OFF);
        let one = melody(&[a, b, a, a]);
        let other = melody(&[b, a, b, a]);
        let found = |windows: &[&Tokens]| {
            Repeats::of(&config, windows).map(|repeats| repeats.0[0][..4].to_vec())
        };
        assert_eq!(found(&[&one]), Some(vec![0, 1, 0, 0]));
        assert_eq!(found(&[&one, &other]), Some(vec![0, 1, 0, 3]));
        let rests = melody(&[[0, 40], [off, 40], [off, 40], [0, 40]]);
        assert_eq!(found(&[&rests]), Some(vec![0, 0, 0, 3]));
        assert_eq!(Repeats::of(&config, &[]), None);
        let bits = by_name("nade-drums_2bar_reduced").expect("known");
        assert_eq!(Repeats::of(&bits, &[&Tokens::Drums(vec![1; 32])]), None);
    }

    /// What is repeated sounds as it did, though a note has to be ended for a rest.
    #[test]
    fn rests_are_repeated() {
        let config = by_name("hierdec-mel_16bar").expect("known");
        let rests = melody(&[[0, 40], [line::NOTE_OFF, 40]]);
        let repeats = Repeats::of(&config, &[&rests]).expect("equal bars");
        let mut repeating = Repeating::new(&repeats, &config);
        let drawn = |step: usize| if step == 12 { 30 } else { 0 };
        let mut made = Vec::new();
        for step in 0..32 {
            let mut tokens = [drawn(step)];
            repeating.repeat(step, &mut tokens);
            repeating.hear(&tokens);
            made.push(tokens[0]);
        }
        let mut expected = vec![0; 32];
        (expected[12], expected[16], expected[28]) = (30, line::NOTE_OFF.into(), 30);
        assert_eq!(made, expected);
    }

    /// Voices repeat bars of their own.
    #[test]
    fn voices_repeat_alone() {
        let config = by_name("hierdec-trio_16bar").expect("known");
        let step = |step: usize| {
            let bar = u16::try_from(step / 16).expect("small");
            [2 + bar, 2 + bar / 2, 3]
        };
        let trio = Tokens::Trio((0..256).map(step).collect());
        let Repeats(voices) = Repeats::of(&config, &[&trio]).expect("equal bars");
        assert_eq!(voices[0], (0..16).collect::<Vec<_>>());
        assert_eq!(voices[1], (0..16).map(|bar| bar / 2 * 2).collect::<Vec<_>>());
        assert_eq!(voices[2], vec![0; 16]);
    }
}
