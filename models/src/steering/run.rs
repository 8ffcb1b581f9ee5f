//! Steers one example through its decoding.

use super::plan::{Event, Plan, Rule, event};
use crate::config::Config;
use crate::families::{OutputKind, Voice, percussion};

/// What the noise of a token or bit becomes that must not, or must, be drawn: out of reach of every
/// logit.
const CERTAIN: f32 = 1e30;

/// The steering of one example.
#[derive(Debug)]
pub(crate) struct Run {
    plan: Plan,
    /// Of each token of a line whether scale and range allow it.
    in_key: Vec<bool>,
    voices: &'static [Voice],
    outputs: &'static [usize],
    kind: OutputKind,
    /// Onsets so far in each voice.
    onsets: Vec<usize>,
    /// The noise of this step.
    noise: Vec<f32>,
}

impl Run {
    pub(super) fn new(plan: Plan, in_key: Vec<bool>, config: &Config) -> Self {
        let family = config.family();
        let voices = family.voices();
        let (outputs, kind) = (family.outputs(), config.output_kind());
        let onsets = vec![0; voices.len()];
        Self { plan, in_key, voices, outputs, kind, onsets, noise: Vec::new() }
    }

    /// Makes the noise of a step such that only what is allowed is drawn. Scale and range do not count
    /// yet: were notes outside masked here, fewer would begin.
    pub(crate) fn mask(&mut self, step: usize, noise: &mut [f32]) {
        if !self.kind.is_tokens() {
            self.mask_bits(step, noise);
            return;
        }
        let mut first = 0;
        for (voice, &width) in self.outputs.iter().enumerate() {
            let tokens = || 0..width as u64;
            // The strictest that leaves anything.
            let leaves = |&strictness: &Strictness| {
                tokens().any(|token| self.allows(step, voice, token, strictness))
            };
            let strictness = Strictness::ALL.into_iter().find(leaves).unwrap_or(Strictness::Token);
            for (token, noise) in tokens().zip(&mut noise[first..first + width]) {
                if !self.allows(step, voice, token, strictness.without_key()) {
                    *noise = -CERTAIN;
                }
            }
            first += width;
        }
        self.noise.clear();
        self.noise.extend_from_slice(noise);
    }

    /// Classes of drums that must or must not sound.
    fn mask_bits(&self, step: usize, noise: &mut [f32]) {
        let (rule, kept) = (self.rule(step, 0), self.plan.tokens[step]);
        let (mask, bits) = match rule {
            Rule { token: Some(token), .. } => (u64::MAX, token),
            Rule { event: Some(Event::Hold), classes, .. } => (u64::MAX, kept & classes),
            Rule { classes, .. } => (classes, kept & classes),
        };
        for (class, noise) in noise.iter_mut().enumerate() {
            if mask >> class & 1 == 1 {
                *noise = if bits >> class & 1 == 1 { CERTAIN } else { -CERTAIN };
            }
        }
    }

    fn rule(&self, step: usize, voice: usize) -> Rule {
        self.plan.rules[step * self.voices.len() + voice]
    }

    /// Whether a token may come, where wishes up to a strictness count.
    fn allows(&self, step: usize, voice: usize, token: u64, strictness: Strictness) -> bool {
        let rule = self.rule(step, voice);
        let kept = self.plan.tokens[step * self.voices.len() + voice];
        if let Some(only) = rule.token {
            return token == only;
        }
        if (token ^ kept) & rule.classes != 0 {
            return false;
        }
        let event = event(&self.voices[voice], token);
        let lets_go = !(rule.lets_go && event == Event::Hold);
        let in_time = rule.event.is_none_or(|kept| kept == event) && lets_go;
        let in_turn = || self.is_in_turn(step, voice, token, event);
        let in_key = || {
            let order = self.plan.orders[voice].as_deref().unwrap_or_default();
            let is_kept = event == Event::Onset
                && order.get(self.onsets[voice]).is_some_and(|&(_, must)| must);
            self.voices[voice].is_drums
                || is_kept
                || usize::try_from(token).is_ok_and(|token| self.in_key[token])
        };
        match strictness {
            Strictness::All => in_time && in_turn() && in_key(),
            Strictness::Turn => in_time && in_turn(),
            Strictness::Time => in_time,
            Strictness::Token => true,
        }
    }

    /// Whether a token keeps the order of the pattern's onsets: each in its turn, none left over.
    fn is_in_turn(&self, step: usize, voice: usize, token: u64, event: Event) -> bool {
        let Some(order) = &self.plan.orders[voice] else { return true };
        let next = self.onsets[voice];
        if event == Event::Onset {
            return order.get(next).is_some_and(|&(kept, must)| !must || kept == token);
        }
        // Those that still must come need a step each.
        order.len().saturating_sub(next) < self.plan.steps - step
    }

    /// Takes what was drawn of tokens. In the place of a note outside scale or range the one is drawn,
    /// by the same logits, temperature and noise, that comes first among the notes within: whether a
    /// note begins is as likely as it was, and which one is as likely as those within are to each other.
    pub(crate) fn drew(
        &mut self,
        step: usize,
        tokens: &mut [i64],
        logits: &[f32],
        temperature: f32,
    ) {
        let mut first = 0;
        for (voice, drawn) in tokens.iter_mut().enumerate() {
            let width = self.outputs[voice];
            let token = u64::try_from(*drawn).unwrap_or(0);
            let is_onset = |token| event(&self.voices[voice], token) == Event::Onset;
            if is_onset(token) && !self.allows(step, voice, token, Strictness::All) {
                let noisy = logits[first..first + width].iter().zip(&self.noise[first..]);
                let within = (0i64..).zip(noisy).filter(|&(token, _)| {
                    u64::try_from(token).is_ok_and(|token| {
                        is_onset(token) && self.allows(step, voice, token, Strictness::All)
                    })
                });
                let within =
                    within.map(|(token, (logit, noise))| (token, logit / temperature + noise));
                if let Some((token, _)) = within.max_by(|a, b| a.1.total_cmp(&b.1)) {
                    *drawn = token;
                }
            }
            first += width;
            let token = u64::try_from(*drawn).unwrap_or(0);
            self.onsets[voice] += usize::from(event(&self.voices[voice], token) == Event::Onset);
        }
    }

    /// Takes what was drawn of bits or values, and makes of it what is kept where no mask could:
    /// which drums sound together in their turn, a hit that must be and was not drawn, and velocities
    /// and timing of hits that are kept.
    pub(crate) fn settle(&mut self, step: usize, sample: &mut [f32]) {
        let classes = match self.kind {
            OutputKind::Groove => percussion::CLASSES,
            _ => sample.len(),
        };
        let (rule, kept) = (self.rule(step, 0), self.plan.tokens[step]);
        let mut bits = percussion::read_bits(&sample[..classes]);
        if rule.token.is_none() {
            if let Some(order) = &self.plan.orders[0]
                && rule.event != Some(Event::Hold)
            {
                let next = self.onsets[0];
                let is_late = order.len().saturating_sub(next) >= self.plan.steps - step;
                bits = match order.get(next) {
                    Some(&(kept, must)) if bits != 0 && must || bits == 0 && is_late => kept,
                    Some(_) => bits,
                    None => 0,
                };
            }
            if rule.event == Some(Event::Onset) && bits == 0 {
                bits = kept;
            }
            bits = bits & !rule.classes | kept & rule.classes;
            percussion::write_bits(bits, &mut sample[..classes]);
        }
        self.onsets[0] += usize::from(bits != 0);
        let exact = if rule.token.is_some() { u64::MAX } else { rule.classes };
        if let Some(values) = self.plan.values.get(step) {
            for class in (0..classes).filter(|class| exact >> class & 1 == 1) {
                for index in [class, classes + class, 2 * classes + class] {
                    sample[index] = values[index];
                }
            }
        }
    }
}

/// How many of the wishes count, where not all can be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strictness {
    All,
    /// Not scale and range.
    Turn,
    /// Not the order of pitches either.
    Time,
    /// Nothing but kept tokens and drums.
    Token,
}

impl Strictness {
    const ALL: [Self; 4] = [Self::All, Self::Turn, Self::Time, Self::Token];

    fn without_key(self) -> Self {
        if self == Self::All { Self::Turn } else { self }
    }
}
