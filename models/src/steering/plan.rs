//! What is kept of a pattern, step by step, before any of it is decoded.

use interlude_gradient::random::{generator, uniform};

use super::{Kept, Lock, SteeringError};
use crate::clip::STEPS_PER_BAR;
use crate::config::Config;
use crate::families::{OutputKind, Voice, line, percussion};
use crate::tokens::Tokens;

/// What a token of a voice does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// Nothing begins or ends.
    Hold,
    /// The sounding note ends.
    End,
    /// A note begins, or drums sound.
    Onset,
}

/// What a token of a voice does. Those of drums are the bits of the classes that sound.
pub(super) fn event(voice: &Voice, token: u64) -> Event {
    if token == u64::from(line::NO_EVENT) {
        Event::Hold
    } else if token == u64::from(line::NOTE_OFF) && !voice.is_drums {
        Event::End
    } else {
        Event::Onset
    }
}

/// What must be so on one step of one voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rule {
    /// The token itself.
    pub(super) token: Option<u64>,
    /// What the token does.
    pub(super) event: Option<Event>,
    /// A note that was held must not be held on.
    pub(super) lets_go: bool,
    /// Classes of drums that are kept.
    pub(super) classes: u64,
}

/// What is kept of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// Steps to decode.
    pub(super) steps: usize,
    /// Of each step each voice's.
    pub(super) rules: Vec<Rule>,
    /// Of each step each voice's token in the pattern.
    pub(super) tokens: Vec<u64>,
    /// Of each voice, where an order is kept, the tokens that begin something, and whether each must
    /// come in its turn.
    pub(super) orders: Vec<Option<Vec<(u64, bool)>>>,
    /// The pattern's values, of families that have some.
    pub(super) values: Vec<Vec<f32>>,
}

impl Plan {
    /// Of nothing kept.
    pub(super) fn free(config: &Config, steps: usize) -> Self {
        let voices = config.family().voices().len();
        Self {
            steps,
            rules: vec![Rule::default(); steps * voices],
            tokens: vec![0; steps * voices],
            orders: vec![None; voices],
            values: Vec::new(),
        }
    }

    pub(super) fn new(kept: &Kept, config: &Config, steps: usize) -> Result<Self, SteeringError> {
        let family = config.family();
        let voices = family.voices();
        let tokens = tokens(&kept.pattern, config);
        let wrong = || SteeringError::Pattern {
            config: config.name.clone(),
            expected: steps,
            found: kept.pattern.len(),
        };
        let tokens = tokens.filter(|it| it.len() == steps * voices.len()).ok_or_else(wrong)?;
        let values = match &kept.pattern {
            Tokens::Groove(steps) => steps.iter().map(|step| step.to_vec()).collect(),
            _ => Vec::new(),
        };
        let mut begins = tokens.iter().zip(voices.iter().cycle());
        if !begins.any(|(&token, voice)| event(voice, token) == Event::Onset) {
            return Err(SteeringError::Silent);
        }
        let mut plan = Self { tokens, values, ..Self::free(config, steps) };
        for lock in &kept.locks {
            plan.add(lock, kept.seed, config)?;
        }
        Ok(plan)
    }

    fn add(&mut self, lock: &Lock, seed: u64, config: &Config) -> Result<(), SteeringError> {
        let voices = config.family().voices();
        let no_voice = || SteeringError::Voice { config: config.name.clone() };
        match lock {
            Lock::Rhythm(amount) => {
                let chosen = dice(seed, *b"rhythm  ", self.steps, *amount);
                for (index, rule) in self.rules.iter_mut().enumerate() {
                    let (step, voice) = (index / voices.len(), &voices[index % voices.len()]);
                    if chosen[step] {
                        rule.event = Some(event(voice, self.tokens[index]));
                    }
                }
            }
            Lock::Pitch(amount) => {
                let chosen = dice(seed, *b"pitches ", self.steps, *amount);
                for (place, voice) in voices.iter().enumerate() {
                    let own = self.tokens.iter().skip(place).step_by(voices.len()).copied();
                    let onsets = own.filter(|&token| event(voice, token) == Event::Onset);
                    self.orders[place] = Some(onsets.zip(chosen.iter().copied()).collect());
                }
            }
            Lock::Bars(bars) => {
                let count = self.steps.div_ceil(STEPS_PER_BAR);
                if let Some(bar) = bars.iter().find(|&&bar| bar >= count) {
                    let (config, bar) = (config.name.clone(), bar + 1);
                    return Err(SteeringError::Bar { config, bar, bars: count });
                }
                for (place, voice) in voices.iter().enumerate() {
                    self.keep_bars(bars, place, voice, voices.len());
                }
            }
            Lock::Voices(places) => {
                if places.iter().any(|&place| place >= voices.len()) {
                    return Err(no_voice());
                }
                for (index, rule) in self.rules.iter_mut().enumerate() {
                    if places.contains(&(index % voices.len())) {
                        rule.token = Some(self.tokens[index]);
                    }
                }
            }
            Lock::Drums(classes) => {
                let place = voices.iter().position(|it| it.is_drums).ok_or_else(no_voice)?;
                let known = config.family().drum_map().map_or(0, |map| map.classes());
                if classes >> known.min(63) != 0 {
                    return Err(no_voice());
                }
                for rule in self.rules.iter_mut().skip(place).step_by(voices.len()) {
                    rule.classes |= classes;
                }
            }
        }
        Ok(())
    }

    /// Keeps bars of a voice, and to its end what sounds on beyond them.
    fn keep_bars(&mut self, bars: &[usize], place: usize, voice: &Voice, voices: usize) {
        let mut sounds = false;
        for step in 0..self.steps {
            let index = step * voices + place;
            let token = self.tokens[index];
            let rule = &mut self.rules[index];
            if bars.contains(&(step / STEPS_PER_BAR)) {
                rule.token = Some(token);
                sounds = match event(voice, token) {
                    Event::Onset => !voice.is_drums,
                    Event::End => false,
                    Event::Hold => sounds,
                };
            } else if sounds {
                sounds = event(voice, token) == Event::Hold;
                if sounds {
                    rule.token = Some(token);
                } else {
                    rule.lets_go = true;
                }
            }
        }
    }
}

/// One number for each step and voice: the token, or the bits of the classes that sound. `None` for a
/// pattern of another family.
fn tokens(pattern: &Tokens, config: &Config) -> Option<Vec<u64>> {
    let family = config.family();
    if family.holds(pattern) != Some(true) {
        return None;
    }
    match (config.output_kind(), pattern) {
        (OutputKind::Groove, Tokens::Groove(steps)) => Some(
            steps.iter().map(|step| percussion::read_bits(&step[..percussion::CLASSES])).collect(),
        ),
        (OutputKind::Nade, Tokens::Drums(steps)) => Some(steps.clone()),
        _ => Some(family.ids(pattern).ok()?.into_iter().map(u64::from).collect()),
    }
}

/// Which of some things are chosen, where a share of them is.
fn dice(seed: u64, purpose: [u8; 8], count: usize, share: f32) -> Vec<bool> {
    let mut generator = generator(seed, purpose, 0);
    (0..count).map(|_| uniform(&mut generator) < f64::from(share)).collect()
}
