//! Schedules: how learning rate, weight of the KL divergence and others change in the course of a
//! run.
//!
//! A run without a schedule follows the configuration's hyper-parameters as the original does
//! ([`reference`]); `super::growing` makes a schedule from a number of steps. A schedule file is JSON
//! with a list of phases that follow each other:
//!
//! ```json
//! {
//!   "minutes": 60,
//!   "adam_beta_2": 0.99,
//!   "warm_up": 100,
//!   "phases": [
//!     {"examples": 30000, "window_steps": 8, "batch_size": 32, "learning_rate": [0.004, 0.004]},
//!     {"until": 1.0, "learning_rate": [0.004, 0.00004], "beta": [0.0, 0.05]}
//!   ]
//! }
//! ```
//!
//! A phase ends after a number of examples, or when a share of the minutes of the whole is over.
//! Each rate goes from its first value to its second in the course of its phase: learning rates
//! geometrically, all others linearly.

use std::path::{Path, PathBuf};

use interlude_models::config::{Config, HParams, SamplingSchedule};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::delay;
use interlude_backend::gradient::shape::Frozen;
use interlude_gradient::adam;

/// The phases of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Decay of Adam's second moment.
    #[serde(default = "default_beta_2")]
    pub adam_beta_2: f64,
    /// Steps in which the learning rate rises from 0, at the beginning of the run.
    #[serde(default)]
    pub warm_up: u64,
    /// Minutes of training that the ends of phases are shares of; needed with `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minutes: Option<f64>,
    /// Initial bias of the posterior's standard deviation; -3 makes it 0.05 instead of 0.7.
    #[serde(default)]
    pub initial_sigma_bias: f32,
    /// Whether the kernel of the posterior's mean is initialised like others (Glorot), instead of
    /// with the original's 0.001.
    #[serde(default)]
    pub initial_mu_glorot: bool,
    /// Units for each segment of the delay line that the model is initialised with; 0 for none. For
    /// models with hierarchical encoder and decoder of one layer each; at most a sixteenth of
    /// `upper_enc_rnn_size` and `z_size`, and a seventeenth of `conductor_rnn_size`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub initial_delay: usize,
    /// The phases, in order.
    pub phases: Vec<Phase>,
}

/// A part of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Length in examples; either this or `until` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<u64>,
    /// End as a share of the schedule's minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
    /// Steps of a segment of a hierarchical model; the configuration's if missing. A window has
    /// sixteen of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment_steps: Option<usize>,
    /// Steps of a window; the configuration's, or those of sixteen segments, if missing. Of
    /// hierarchical models a number of segments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_steps: Option<usize>,
    /// Examples in a batch; that of the run if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<usize>,
    /// Weights of a hierarchical model that are frozen: `means` (upper encoder, mean of the
    /// posterior, conductor), or `between` (standard deviation of the posterior too).
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub frozen: Frozen,
    /// Learning rate at the beginning and the end of the phase.
    pub learning_rate: [f64; 2],
    /// Weight of the KL divergence (β) at the beginning and the end.
    #[serde(default)]
    pub beta: [f64; 2],
    /// Standard deviation of the noise that z is drawn with, relative to the posterior's, at the
    /// beginning and the end.
    #[serde(default = "full")]
    pub noise: [f64; 2],
    /// Share of the decoder's inputs that are left out, 0 to 1, at the beginning and the end.
    #[serde(default)]
    pub drop: [f64; 2],
    /// Share of windows of hierarchical models whose segments come each from another window, in
    /// another key, at both ends.
    #[serde(default, skip_serializing_if = "is_never")]
    pub shuffle: [f64; 2],
    /// Share of windows of drums, grooves or trios that get some of their instruments from another
    /// window, and of melodies that are another one, at both ends. What is taken is varied: drums and
    /// grooves are turned by whole beats, drums play other ones; melodies and parts of trios are moved by
    /// octaves, delayed, shortened or have half of their notes elsewhere; all but grooves play twice or
    /// four times as fast.
    #[serde(default)]
    pub mix: [f64; 2],
    /// Probability that the decoder is fed its own token (scheduled sampling), at the beginning and
    /// the end.
    #[serde(default)]
    pub sampling: [f64; 2],
    /// Global norm that gradients are clipped to; the configuration's if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grad_clip: Option<f64>,
}

fn default_beta_2() -> f64 {
    adam::BETA_2
}

fn is_zero(units: &usize) -> bool {
    *units == 0
}

fn is_nothing(frozen: &Frozen) -> bool {
    *frozen == Frozen::Nothing
}

fn is_never(share: &[f64; 2]) -> bool {
    *share == [0.0; 2]
}

fn full() -> [f64; 2] {
    [1.0, 1.0]
}

/// The rates of one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Learning rate.
    pub learning_rate: f64,
    /// Weight of the KL divergence.
    pub beta: f32,
    /// Relative standard deviation of the noise.
    pub noise: f32,
    /// Share of inputs left out.
    pub drop: f32,
    /// Share of windows whose segments come each from another.
    pub shuffle: f32,
    /// Share of windows that are mixed of two, or varied.
    pub mix: f32,
    /// Probability of the decoder's own token, when there is a schedule for it.
    pub sampling: Option<f32>,
    /// Clipping norm.
    pub clip: f32,
}

/// Why a schedule file is rejected.
#[derive(Debug, Error)]
pub enum ScheduleError {
    /// The file cannot be read.
    #[error("cannot read the schedule `{}`: {source}", path.display())]
    Io {
        /// The schedule's JSON file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The JSON is not a schedule.
    #[error("the schedule `{}` is not valid: {source}", path.display())]
    Json {
        /// The schedule's JSON file.
        path: PathBuf,
        /// Line and column, and what was expected there.
        source: serde_json::Error,
    },
    /// `minutes` is missing although a phase has `until`.
    #[error("the schedule `{}` has a phase with `until`, so it needs `minutes` above 0", path.display())]
    Minutes {
        /// The schedule's JSON file.
        path: PathBuf,
    },
    /// The model cannot begin with such a delay line.
    #[error("the schedule `{}` asks for an `initial_delay`, {reason}", path.display())]
    Delay {
        /// The schedule's JSON file.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// A phase with invalid values.
    #[error("phase {number} of the schedule `{}`: {reason}", path.display())]
    Phase {
        /// The schedule's JSON file.
        path: PathBuf,
        /// Number of the phase, from 1.
        number: usize,
        /// What is wrong.
        reason: &'static str,
    },
}

impl Schedule {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ScheduleError`] names the file and what is wrong in it.
    pub fn read(path: &Path, config: &Config) -> Result<Self, ScheduleError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScheduleError::Io { path: path.to_owned(), source })?;
        let schedule: Self = serde_json::from_str(&text)
            .map_err(|source| ScheduleError::Json { path: path.to_owned(), source })?;
        if schedule.phases.iter().any(|phase| phase.until.is_some())
            && !schedule.minutes.is_some_and(|minutes| minutes.is_finite() && minutes > 0.0)
        {
            return Err(ScheduleError::Minutes { path: path.to_owned() });
        }
        if let Some(reason) = delay::problem(config, schedule.initial_delay) {
            return Err(ScheduleError::Delay { path: path.to_owned(), reason });
        }
        for (index, phase) in schedule.phases.iter().enumerate() {
            phase.check(config).map_err(|reason| ScheduleError::Phase {
                path: path.to_owned(),
                number: index + 1,
                reason,
            })?;
        }
        Ok(schedule)
    }

    /// Where a run is after so many steps: its phase, and the examples done of it. `None` when that
    /// depends on the clock. `batch` gives the number of examples in a step of a phase.
    pub fn position(&self, steps: u64, batch: impl Fn(&Phase) -> u64) -> Option<(usize, u64)> {
        let mut left = steps;
        for (index, phase) in self.phases.iter().enumerate() {
            let batch = batch(phase).max(1);
            let length = phase.examples?.div_ceil(batch);
            if left < length {
                return Some((index, left * batch));
            }
            left -= length;
        }
        Some((self.phases.len(), 0))
    }
}

impl Phase {
    /// The configuration that is trained: that of the run with segments as long as the phase has
    /// them.
    pub fn config(&self, config: &Config) -> Config {
        let mut own = config.clone();
        if let Some(steps) = self.segment_steps {
            own.hparams.max_seq_len = config.segments() * steps;
        }
        own
    }

    /// Checks the phase for a configuration; the error says what is wrong.
    pub(crate) fn check(&self, config: &Config) -> Result<(), &'static str> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        let share = |values: [f64; 2]| values.iter().all(|value| (0.0..=1.0).contains(value));
        if self.until.is_some() == self.examples.is_some() {
            return Err("give either `examples` or `until`");
        }
        if self.until.is_some_and(|until| !(0.0..=1.0).contains(&until)) {
            return Err("`until` must be between 0 and 1");
        }
        let hierarchical = config.is_hierarchical();
        if self.frozen != Frozen::Nothing
            && !(config.hierarchical_encoder && config.hierarchical_decoder)
        {
            return Err("`frozen` is for models whose encoder and decoder are hierarchical");
        }
        if self.segment_steps.is_some() && !hierarchical {
            return Err("`segment_steps` is for hierarchical models");
        }
        let longest = config.hparams.max_seq_len / config.segments();
        if self.segment_steps.is_some_and(|steps| steps == 0 || steps > longest) {
            return Err("`segment_steps` must be between 1 and a segment of the model's length");
        }
        let length = self.config(config).hparams.max_seq_len;
        if self.window_steps.is_some_and(|steps| steps == 0 || steps > length) {
            return Err("`window_steps` must be between 1 and the model's length, or that of \
                        all segments");
        }
        let segment = length / config.segments();
        if hierarchical && self.window_steps.is_some_and(|steps| !steps.is_multiple_of(segment)) {
            return Err("`window_steps` of a hierarchical model must be whole segments");
        }
        if self.batch_size.is_some_and(|size| size == 0 || size > usize::from(u16::MAX)) {
            return Err("`batch_size` must be between 1 and 65535");
        }
        if !self.learning_rate.iter().all(|&rate| positive(rate)) {
            return Err("`learning_rate` must be above 0");
        }
        if ![self.drop, self.shuffle, self.mix, self.sampling].into_iter().all(share) {
            return Err("`drop`, `shuffle`, `mix` and `sampling` must be between 0 and 1");
        }
        if !hierarchical && !is_never(&self.shuffle) {
            return Err("`shuffle` is for hierarchical models, whose windows have segments");
        }
        if !self.beta.iter().chain(&self.noise).all(|value| value.is_finite() && *value >= 0.0) {
            return Err("`beta` and `noise` must not be below 0");
        }
        if self.grad_clip.is_some_and(|clip| !positive(clip)) {
            return Err("`grad_clip` must be above 0");
        }
        Ok(())
    }

    /// The rates when a share of the phase (`0..=1`) is done.
    pub fn rates(&self, done: f64, hparams: &HParams) -> Rates {
        let between = |[from, to]: [f64; 2]| single(from + (to - from) * done);
        let [from, to] = self.learning_rate;
        Rates {
            learning_rate: from * (to / from).powf(done),
            beta: between(self.beta),
            noise: between(self.noise),
            drop: between(self.drop),
            shuffle: between(self.shuffle),
            mix: between(self.mix),
            sampling: self.samples().then(|| between(self.sampling)),
            clip: single(self.grad_clip.unwrap_or(hparams.grad_clip)),
        }
    }

    /// Whether the decoder is ever fed its own tokens.
    pub fn samples(&self) -> bool {
        self.sampling != [0.0, 0.0]
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rates enter the graph in single precision")]
fn single(value: f64) -> f32 {
    value as f32
}

/// The rates that the hyper-parameters give for a step, as the original computes them: in single
/// precision.
pub fn reference(hparams: &HParams, step: u64) -> Rates {
    #[expect(clippy::cast_precision_loss, reason = "as the original does")]
    let time = step as f32;
    let lowest = single(hparams.min_learning_rate);
    let range = single(hparams.learning_rate - hparams.min_learning_rate);
    let learning_rate = range * single(hparams.decay_rate).powf(time) + lowest;
    let beta = (1.0 - single(hparams.beta_rate).powf(time)) * single(hparams.max_beta);
    Rates {
        learning_rate: f64::from(learning_rate),
        beta,
        noise: 1.0,
        drop: 0.0,
        shuffle: 0.0,
        mix: 0.0,
        sampling: samples(hparams).then(|| sampling_probability(hparams, step)),
        clip: single(hparams.grad_clip),
    }
}

/// Whether the hyper-parameters ask for scheduled sampling.
pub fn samples(hparams: &HParams) -> bool {
    hparams.sampling_schedule != SamplingSchedule::Constant || hparams.sampling_rate > 0.0
}

/// Probability that the decoder is fed its own token at a step.
pub fn sampling_probability(hparams: &HParams, step: u64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    let time = step as f64;
    let rate = hparams.sampling_rate;
    single(match hparams.sampling_schedule {
        SamplingSchedule::Constant => rate,
        SamplingSchedule::Exponential => 1.0 - rate.powf(time),
        SamplingSchedule::InverseSigmoid => 1.0 - rate / (rate + (time / rate).exp()),
    })
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    fn read(text: &str) -> Result<Schedule, ScheduleError> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("schedule.json");
        std::fs::write(&path, text).expect("writes");
        Schedule::read(&path, &config::by_name("cat-mel_2bar_small").expect("known"))
    }

    // Learning rates go geometrically from end to end, all else linearly, and what a phase leaves
    // out has its default.
    #[test]
    fn rates_go_from_end_to_end() {
        let schedule = read(
            r#"{"phases": [{"examples": 10, "learning_rate": [0.01, 0.0001], "beta": [0, 0.2],
                "drop": [0.5, 0.1], "sampling": [0, 1], "grad_clip": 3}]}"#,
        )
        .expect("valid");
        assert_eq!(schedule.adam_beta_2, adam::BETA_2);
        let hparams = HParams::default();
        let at = |done| schedule.phases[0].rates(done, &hparams);
        for (done, rate) in [(0.0, 0.01), (0.5, 0.001), (1.0, 0.0001)] {
            assert!((at(done).learning_rate / rate - 1.0f64).abs() < 1e-9, "{done}");
        }
        assert_eq!((at(0.0).beta, at(0.5).beta, at(1.0).beta), (0.0, 0.1, 0.2));
        assert_eq!((at(0.5).drop, at(0.5).noise, at(0.5).clip), (0.3, 1.0, 3.0));
        assert_eq!(at(0.25).sampling, Some(0.25));
        let plain =
            read(r#"{"phases": [{"examples": 1, "learning_rate": [1, 1]}]}"#).expect("valid");
        let rates = plain.phases[0].rates(0.5, &hparams);
        assert_eq!((rates.sampling, rates.clip), (None, 1.0));
    }

    // The place of a run follows from its steps: a phase ends with the step that reaches its
    // examples; phases that end by the clock give no place.
    #[test]
    fn places_follow_from_steps() {
        let schedule = read(
            r#"{"phases": [{"examples": 10, "batch_size": 4, "learning_rate": [1, 1]},
                {"examples": 6, "learning_rate": [1, 1]}]}"#,
        )
        .expect("valid");
        let place = |steps| schedule.position(steps, |phase| phase.batch_size.unwrap_or(3) as u64);
        for (steps, found) in [(0, (0, 0)), (2, (0, 8)), (3, (1, 0)), (4, (1, 3)), (5, (2, 0))] {
            assert_eq!(place(steps), Some(found), "{steps}");
        }
        assert_eq!(place(99), Some((2, 0)));
        let text = r#"{"minutes": 1, "phases": [{"until": 1, "learning_rate": [1, 1]}]}"#;
        assert_eq!(read(text).expect("valid").position(0, |_| 1), None);
    }

    // Segments may be shorter than the model's, and a window is then sixteen of them.
    #[test]
    fn segments_grow() {
        let config = config::by_name("hier-mel_16bar").expect("known");
        let phase = |text: &str| -> Phase {
            let text = format!(r#"{{"examples": 1, "learning_rate": [1, 1], {text}}}"#);
            serde_json::from_str(&text).expect("a phase")
        };
        let short = phase(r#""segment_steps": 4, "window_steps": 8"#);
        assert_eq!(short.check(&config), Ok(()));
        assert_eq!(short.config(&config).hparams.max_seq_len, 64);
        let whole = phase(r#""shuffle": [1, 0]"#);
        assert_eq!(whole.config(&config), config);
        for (text, word) in [
            (r#""segment_steps": 17"#, "segment_steps"),
            (r#""segment_steps": 4, "window_steps": 6"#, "whole segments"),
            (r#""segment_steps": 4, "window_steps": 128"#, "window_steps"),
        ] {
            let reason = phase(text).check(&config).expect_err(text);
            assert!(reason.contains(word), "{text}: {reason}");
        }
    }

    // The schedules that are given to people can be read, each for its configuration.
    #[test]
    fn given_schedules_are_valid() {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schedules"));
        for (file, config, hparams) in [
            ("melody-2bar.json", "cat-mel_2bar_small", ""),
            ("drums-2bar.json", "cat-drums_2bar_small", ""),
            ("groove-2bar.json", "groovae_2bar_humanize", ""),
            (
                "melody-16bar.json",
                "hier-mel_16bar",
                "upper_enc_rnn_size=[512],conductor_rnn_size=[544],enc_rnn_size=[320],\
                 dec_rnn_size=[320],z_size=512",
            ),
            (
                "trio-16bar.json",
                "hier-trio_16bar",
                "upper_enc_rnn_size=[896],conductor_rnn_size=[952],enc_rnn_size=[448],\
                 dec_rnn_size=[448],z_size=896",
            ),
        ] {
            let mut config = config::by_name(config).expect("known");
            config.override_hparams(hparams).expect("valid");
            let schedule = Schedule::read(&folder.join(file), &config).expect(file);
            assert!(!schedule.phases.is_empty(), "{file}");
        }
    }

    // What makes no sense is refused with the number of its phase and what it should be.
    #[test]
    fn impossible_phases_are_named() {
        let rate = r#""learning_rate": [0.1, 0.1]"#;
        for (phase, word) in [
            (format!("{{{rate}}}"), "either"),
            (format!(r#"{{"examples": 1, "until": 0.5, {rate}}}"#), "either"),
            (format!(r#"{{"until": 1.5, {rate}}}"#), "between 0 and 1"),
            (format!(r#"{{"examples": 1, "window_steps": 64, {rate}}}"#), "window_steps"),
            (format!(r#"{{"examples": 1, "batch_size": 0, {rate}}}"#), "batch_size"),
            (r#"{"examples": 1, "learning_rate": [0, 1]}"#.to_owned(), "learning_rate"),
            (format!(r#"{{"examples": 1, "sampling": [0, 2], {rate}}}"#), "sampling"),
            (format!(r#"{{"examples": 1, "shuffle": [0, 1], {rate}}}"#), "shuffle"),
            (format!(r#"{{"examples": 1, "segment_steps": 2, {rate}}}"#), "segment_steps"),
            (format!(r#"{{"examples": 1, "frozen": "means", {rate}}}"#), "frozen"),
            (format!(r#"{{"examples": 1, "beta": [-1, 0], {rate}}}"#), "beta"),
            (format!(r#"{{"examples": 1, "grad_clip": 0, {rate}}}"#), "grad_clip"),
        ] {
            let first = format!(r#"{{"examples": 1, {rate}}}"#);
            let text = format!(r#"{{"minutes": 1, "phases": [{first}, {phase}]}}"#);
            let message = read(&text).expect_err(&phase).to_string();
            assert!(message.contains("phase 2") && message.contains(word), "{phase}: {message}");
        }
        let text = format!(r#"{{"phases": [{{"until": 1, {rate}}}]}}"#);
        assert!(read(&text).expect_err("no measure").to_string().contains("minutes"));
        assert!(
            read(r#"{"phases": [], "typo": 1}"#).expect_err("unknown").to_string().contains("typo")
        );
        assert!(read("{").is_err());
    }

    // Without a file the rates are the original's: the learning rate decays towards its least, the
    // divergence's weight rises towards its most, and sampling follows its schedule.
    #[test]
    fn the_reference_decays() {
        let config = config::by_name("cat-mel_2bar_small").expect("known");
        let hparams = &config.hparams;
        let first = reference(hparams, 0);
        assert!((first.learning_rate - 1e-3).abs() < 1e-9);
        assert_eq!(first.beta, 0.0);
        let later = reference(hparams, 10_000);
        assert!((later.learning_rate - (9.9e-4 * 0.9999f64.powi(10_000) + 1e-5)).abs() < 1e-6);
        assert!((f64::from(later.beta) - 0.2 * (1.0 - 0.99999f64.powi(10_000))).abs() < 1e-4);
        let probability = f64::from(later.sampling.expect("scheduled"));
        assert!((probability - (1.0 - 1000.0 / (1000.0 + 10f64.exp()))).abs() < 1e-6);
        let end = reference(hparams, 10_000_000);
        assert!((end.learning_rate - 1e-5).abs() < 1e-8 && (end.beta - 0.2).abs() < 1e-6);
    }
}
