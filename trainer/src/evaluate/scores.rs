//! Scores of reconstructions, the same for a model's folder and for weights in training.

use std::collections::BTreeMap;

use interlude_models::config::{Config, OutputKind};
use interlude_models::engine::Posterior;
use serde::Serialize;

use super::activity::Activity;
use super::number;

/// A number, or one for each part of a trio.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Score {
    /// Of a model of one part.
    One(f64),
    /// By the part's name: melody, bass, drums.
    Parts(BTreeMap<&'static str, f64>),
}

impl Score {
    /// Names and numbers; the name of a single part is empty.
    pub fn parts(&self) -> Vec<(&'static str, f64)> {
        match self {
            Self::One(number) => vec![("", *number)],
            Self::Parts(parts) => parts.iter().map(|(&name, &number)| (name, number)).collect(),
        }
    }

    /// The mean of the parts.
    pub fn mean(&self) -> f64 {
        super::mean(self.parts().into_iter().map(|(_, number)| number))
    }
}

impl Default for Score {
    fn default() -> Self {
        Self::One(0.0)
    }
}

/// Scores of the reconstruction of windows from their posterior mean. Accuracies are shares of steps,
/// `0..=1`; a step of drums is right when all classes are, one of a groove when all hits are. Losses
/// are in nats, divergences in bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Scores {
    /// Windows that were reconstructed.
    pub windows: usize,
    /// Teacher-forced step accuracy: the decoder reads the right output before each step.
    pub accuracy_teacher_forced: Score,
    /// Free-running step accuracy: the decoder reads its own output.
    pub accuracy_free_running: Score,
    /// Teacher-forced accuracy on steps on which something begins or ends.
    pub accuracy_teacher_forced_events: Score,
    /// Free-running accuracy on these steps.
    pub accuracy_free_running_events: Score,
    /// Share of steps on which nothing begins or ends: the accuracy of a model that always holds.
    pub holds: Score,
    /// Share of windows whose steps are all right in all parts, free-running.
    pub windows_exact: f64,
    /// KL divergence of the posterior from the prior in bits, mean over the windows.
    pub kl_bits: f64,
    /// Active latent dimensions (Burda et al. 2016), [`Activity::units`]; none for a single window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_units: Option<usize>,
    /// Reconstruction loss of a window in nats, teacher-forced, z the posterior's mean. For grooves
    /// it holds the squares of errors, as in training; none where the decoder tells no likelihoods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r_loss: Option<f64>,
    /// Mean error of the velocity of hits that are right, in MIDI's 127ths, teacher-forced; grooves
    /// only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub velocity_error: Option<f64>,
    /// The same of their timing, in steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing_error: Option<f64>,
}

impl Scores {
    /// The scores by the names of their fields, without the number of windows and what only the data
    /// says; those of a part have its name behind a slash, beside the mean of the parts.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let accuracies = [
            ("accuracy_teacher_forced", &self.accuracy_teacher_forced),
            ("accuracy_free_running", &self.accuracy_free_running),
            ("accuracy_teacher_forced_events", &self.accuracy_teacher_forced_events),
            ("accuracy_free_running_events", &self.accuracy_free_running_events),
        ];
        let mut named = BTreeMap::new();
        for (name, score) in accuracies {
            named.insert(name.to_owned(), score.mean());
            if let Score::Parts(parts) = score {
                named.extend(parts.iter().map(|(part, value)| (format!("{name}/{part}"), *value)));
            }
        }
        let numbers = [
            ("windows_exact", Some(self.windows_exact)),
            ("kl_bits", Some(self.kl_bits)),
            ("active_units", self.active_units.map(number)),
            ("r_loss", self.r_loss),
            ("velocity_error", self.velocity_error),
            ("timing_error", self.timing_error),
        ];
        named.extend(numbers.into_iter().filter_map(|(name, it)| Some((name.to_owned(), it?))));
        named
    }
}

/// Sums over windows, from which scores are made.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    /// One for each part.
    parts: Vec<Counts>,
    names: Vec<&'static str>,
    is_groove: bool,
    windows: usize,
    exact: usize,
    activity: Activity,
    /// Sum of the divergences in nats.
    nats: f64,
    hits: f64,
    /// Sums of the distances of velocities (`0..=1`) and of offsets (half a step is 1).
    errors: [f64; 2],
}

/// Steps of a part, and how many of them are right.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    steps: u32,
    events: u32,
    forced: u32,
    free: u32,
    forced_events: u32,
    free_events: u32,
}

impl Tally {
    pub(crate) fn new(config: &Config) -> Self {
        let names: Vec<&'static str> = match config.family().voices() {
            [_] => vec![""],
            voices => voices.iter().map(|voice| voice.name).collect(),
        };
        Self {
            parts: vec![Counts::default(); names.len()],
            names,
            is_groove: config.output_kind() == OutputKind::Groove,
            windows: 0,
            exact: 0,
            activity: Activity::default(),
            nats: 0.0,
            hits: 0.0,
            errors: [0.0; 2],
        }
    }

    /// Adds a window: its symbols and those of both reconstructions, `[steps, parts]`. A symbol is a
    /// token, the bits of a step of drums, or the hits of a groove; 0 is a step on which nothing begins
    /// or ends.
    pub(crate) fn window(&mut self, right: &[u64], forced: &[u64], free: &[u64]) {
        let parts = self.parts.len();
        for (index, ((right, forced), free)) in right.iter().zip(forced).zip(free).enumerate() {
            let (event, forced, free) = (*right != 0, forced == right, free == right);
            let counts = &mut self.parts[index % parts];
            counts.steps += 1;
            counts.events += u32::from(event);
            counts.forced += u32::from(forced);
            counts.free += u32::from(free);
            counts.forced_events += u32::from(event && forced);
            counts.free_events += u32::from(event && free);
        }
        self.windows += 1;
        self.exact += usize::from(right == free);
    }

    /// Adds the posterior of a window.
    pub(crate) fn posterior(&mut self, posterior: &Posterior) {
        self.activity.add(&posterior.mu, &posterior.sigma);
        self.nats += posterior.divergence();
    }

    /// Adds a hit of a groove that is right, by the distance of its velocity (`0..=1`) and of its
    /// offset (`-1..=1` is a step).
    pub(crate) fn hit(&mut self, velocity: f32, offset: f32) {
        self.hits += 1.0;
        self.errors[0] += f64::from(velocity.abs());
        self.errors[1] += f64::from(offset.abs());
    }

    /// The scores, with a loss of a window in nats.
    pub(crate) fn scores(&self, r_loss: Option<f64>) -> Scores {
        let score = |of: fn(&Counts) -> [u32; 2]| {
            let share = |counts: &Counts| {
                let [count, all] = of(counts);
                f64::from(count) / f64::from(all.max(1))
            };
            match self.parts.as_slice() {
                [one] => Score::One(share(one)),
                parts => {
                    Score::Parts(self.names.iter().copied().zip(parts.iter().map(share)).collect())
                }
            }
        };
        let windows = number(self.windows.max(1));
        let error = |kind: usize, unit: f64| {
            self.is_groove.then(|| unit * self.errors[kind] / self.hits.max(1.0))
        };
        Scores {
            windows: self.windows,
            accuracy_teacher_forced: score(|it| [it.forced, it.steps]),
            accuracy_free_running: score(|it| [it.free, it.steps]),
            accuracy_teacher_forced_events: score(|it| [it.forced_events, it.events]),
            accuracy_free_running_events: score(|it| [it.free_events, it.events]),
            holds: score(|it| [it.steps - it.events, it.steps]),
            windows_exact: number(self.exact) / windows,
            kl_bits: self.nats / windows / std::f64::consts::LN_2,
            active_units: self.activity.units(),
            r_loss,
            velocity_error: error(0, 127.0),
            timing_error: error(1, 0.5),
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config::by_name;

    use super::*;

    fn tally(name: &str) -> Tally {
        Tally::new(&by_name(name).expect("known"))
    }

    // Accuracies count steps, events leave holds out, and a window is exact only whole.
    #[test]
    fn shares_are_counted_by_step_and_by_window() {
        let mut tally = tally("cat-mel_2bar_small");
        tally.window(&[5, 0], &[5, 0], &[5, 0]);
        tally.window(&[7, 1], &[7, 2], &[6, 1]);
        let scores = tally.scores(Some(2.0));
        assert_eq!(scores.windows, 2);
        assert_eq!(scores.accuracy_teacher_forced, Score::One(0.75));
        assert_eq!(scores.accuracy_free_running, Score::One(0.75));
        assert_eq!(scores.accuracy_teacher_forced_events, Score::One(2.0 / 3.0));
        assert_eq!(scores.accuracy_free_running_events, Score::One(2.0 / 3.0));
        assert_eq!(scores.holds, Score::One(0.25));
        assert_eq!(scores.windows_exact, 0.5);
        assert_eq!((scores.velocity_error, scores.r_loss), (None, Some(2.0)));
    }

    // Each part of a trio has its own accuracy; by name they stand beside their mean.
    #[test]
    fn parts_are_counted_alone() {
        let mut tally = tally("hierdec-trio_16bar");
        tally.window(&[5, 6, 7, 0, 0, 0], &[5, 6, 8, 0, 1, 0], &[5, 6, 7, 0, 0, 0]);
        let scores = tally.scores(None);
        let forced = scores.accuracy_teacher_forced.parts();
        assert_eq!(forced, [("bass", 0.5), ("drums", 0.5), ("melody", 1.0)]);
        assert_eq!(scores.windows_exact, 1.0);
        let named = scores.by_name();
        assert_eq!(named["accuracy_teacher_forced/bass"], 0.5);
        assert!((named["accuracy_teacher_forced"] - 2.0 / 3.0).abs() < 1e-12);
        assert!(!named.contains_key("r_loss"));
    }

    // Errors of a groove's hits are in 127ths and in steps; divergences are in bits.
    #[test]
    fn units_are_those_that_are_told() {
        let mut tally = tally("groovae_2bar_humanize");
        tally.window(&[1], &[1], &[0]);
        tally.hit(-0.5, 0.25);
        tally.hit(0.5, -0.75);
        // ln 2 nats.
        tally.posterior(&Posterior { mu: vec![(2.0 * 2f32.ln()).sqrt()], sigma: vec![1.0] });
        let scores = tally.scores(None);
        assert_eq!((scores.velocity_error, scores.timing_error), (Some(63.5), Some(0.25)));
        assert!((scores.kl_bits - 1.0).abs() < 1e-6, "{}", scores.kl_bits);
    }
}
