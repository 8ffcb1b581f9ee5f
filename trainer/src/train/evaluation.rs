//! Reconstruction of windows from their posterior mean, teacher-forced and free-running.

use std::collections::BTreeMap;

use interlude_models::config::{Config, OutputKind};
use interlude_models::families::percussion::CLASSES;
use interlude_models::runtime::{Provider, Runtime};
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use serde::{Deserialize, Serialize};

use super::batches::plain;
use crate::evaluate::activity::Activity;
use crate::evaluate::number;
use interlude_backend::batch::Batch;
use interlude_backend::error::ProgramError;
use interlude_backend::gradient::model;
use interlude_backend::inputs::Inputs;
use interlude_backend::program::start;
use interlude_backend::state::State;
use interlude_dataset::Windows;

/// Largest batch of an evaluation.
const BATCH: usize = 128;
/// Token of a step on which nothing begins or ends: a melody's hold, no drum.
const HOLD: i64 = 0;

/// Scores of a reconstruction; accuracies are shares, `0..=1`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Windows that were reconstructed.
    pub windows: usize,
    /// Reconstruction loss of a window in nats, teacher-forced, z the posterior's mean.
    pub r_loss: f64,
    /// KL divergence of the posterior in bits, mean over the windows.
    pub kl_bits: f64,
    /// Active latent dimensions (Burda et al. 2016), [`Activity::units`]; none for a single window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_units: Option<usize>,
    /// All parts of all windows together.
    #[serde(flatten)]
    pub all: Accuracy,
    /// Each part on its own, by name, where there are several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parts: BTreeMap<String, Accuracy>,
    /// Windows whose steps are all right, free-running.
    pub windows_exact: f64,
    /// Mean distance of velocities (`0..=1`) and of offsets (`-1..=1`, a step is 2) from the right
    /// ones where there is a hit, teacher-forced; grooves only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groove_errors: Option<[f64; 2]>,
}

/// Step accuracies, `0..=1`. A step of bits is right when all bits are, one of a groove when all
/// hits are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Teacher-forced: the decoder reads the right output before each step.
    pub accuracy_teacher_forced: f64,
    /// Free-running: the decoder reads its own output.
    pub accuracy_free_running: f64,
    /// Of steps on which a note begins or ends, teacher-forced.
    pub accuracy_teacher_forced_events: f64,
    /// Free-running accuracy on these steps.
    pub accuracy_free_running_events: f64,
}

impl Accuracy {
    fn by_name(&self) -> [(&'static str, f64); 4] {
        [
            ("accuracy_teacher_forced", self.accuracy_teacher_forced),
            ("accuracy_free_running", self.accuracy_free_running),
            ("accuracy_teacher_forced_events", self.accuracy_teacher_forced_events),
            ("accuracy_free_running_events", self.accuracy_free_running_events),
        ]
    }
}

impl Scores {
    /// The scores by the names of their fields, without the number of windows; those of a part have
    /// its name behind a slash.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        let whole = [
            ("r_loss", self.r_loss),
            ("kl_bits", self.kl_bits),
            ("windows_exact", self.windows_exact),
        ];
        let errors = self.groove_errors.into_iter().flat_map(|[velocity, offset]| {
            [("velocity_error", velocity), ("offset_error", offset)]
        });
        let active = self.active_units.map(|units| ("active_units", number(units)));
        let mut named: BTreeMap<String, f64> = whole
            .into_iter()
            .chain(active)
            .chain(self.all.by_name())
            .chain(errors)
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        for (part, accuracy) in &self.parts {
            let own = accuracy.by_name().into_iter();
            named.extend(own.map(|(name, value)| (format!("{name}/{part}"), value)));
        }
        named
    }
}

/// A session that reconstructs batches with the weights of a state.
#[derive(Debug)]
pub struct Evaluation {
    config: Config,
    session: Session,
    binding: IoBinding,
    inputs: Inputs,
    r_loss: Tensor<f32>,
    kl: Tensor<f32>,
    /// Means and standard deviations, each `[batch, z]`.
    posteriors: [Tensor<f32>; 2],
    decoded: Decoded,
    batch: usize,
}

/// What the most probable outputs are, with the right ones fed and with the decoder's own:
/// `[steps, batch, parts]`, or rows `[steps, batch, output depth]`.
#[derive(Debug)]
enum Decoded {
    Tokens([Tensor<i64>; 2]),
    Rows([Tensor<f32>; 2]),
}

impl Evaluation {
    /// A session for at most `windows` windows.
    ///
    /// # Errors
    /// [`ProgramError`] when the configuration cannot be trained, or ONNX Runtime refuses.
    pub fn new(
        runtime: &Runtime,
        config: &Config,
        windows: usize,
        state: &State,
        threads: usize,
    ) -> Result<Self, ProgramError> {
        let (steps, batch) = (config.hparams.max_seq_len, windows.clamp(1, BATCH));
        let built = model::evaluation(config, steps, batch)?;
        let session = start(runtime, Provider::Cpu, &built, threads)?;
        let mut binding = session.create_binding()?;
        let allocator = Allocator::default();
        let variable = |name: &str| built.variables.iter().any(|(variable, _)| variable == name);
        let inputs = Inputs::of(&built.model, |name| !variable(name))?;
        inputs.bind(&mut binding)?;
        for (name, _) in &built.variables {
            binding.bind_input(name, state.tensor(name)?)?;
        }
        let scalar = || Tensor::<f32>::new(&allocator, Vec::<usize>::new());
        let (mut r_loss, mut kl) = (scalar()?, scalar()?);
        binding.bind_output("r_loss", &mut r_loss)?;
        binding.bind_output("kl", &mut kl)?;
        let codes = || Tensor::<f32>::new(&allocator, vec![batch, config.hparams.z_size]);
        let mut posteriors = [codes()?, codes()?];
        for (name, tensor) in ["mu", "sigma"].into_iter().zip(&mut posteriors) {
            binding.bind_output(name, tensor)?;
        }
        let shape = vec![steps, batch, model::window_width(config)];
        let decoded = if model::draws_tokens(config) {
            let tokens = || Tensor::<i64>::new(&allocator, shape.clone());
            let (mut forced, mut free) = (tokens()?, tokens()?);
            binding.bind_output("forced", &mut forced)?;
            binding.bind_output("free", &mut free)?;
            Decoded::Tokens([forced, free])
        } else {
            let rows = || Tensor::<f32>::new(&allocator, shape.clone());
            let (mut forced, mut free) = (rows()?, rows()?);
            binding.bind_output("forced", &mut forced)?;
            binding.bind_output("free", &mut free)?;
            Decoded::Rows([forced, free])
        };
        let config = config.clone();
        Ok(Self { config, session, binding, inputs, r_loss, kl, posteriors, decoded, batch })
    }

    /// Scores of up to `limit` windows, spread evenly over all. Windows that do not fill a last
    /// batch are left out.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    pub fn run(&mut self, windows: &Windows, limit: usize) -> Result<Scores, ProgramError> {
        let batches = windows.len().min(limit) / self.batch;
        let count = batches * self.batch;
        let mut tally = Tally::new(&self.config, self.batch);
        for batch in 0..batches {
            let spread = |index| (batch * self.batch + index) * windows.len() / count;
            let chosen: Vec<usize> = (0..self.batch).map(spread).collect();
            let batch = plain(windows, &self.config, &chosen);
            self.run_batch(&batch)?;
            tally.r_loss += f64::from(self.r_loss.extract_tensor().1[0]);
            tally.kl += f64::from(self.kl.extract_tensor().1[0]);
            let size = self.config.hparams.z_size;
            let [mu, sigma] = self.posteriors.each_ref().map(|tensor| tensor.extract_tensor().1);
            for (mu, sigma) in mu.chunks_exact(size).zip(sigma.chunks_exact(size)) {
                tally.activity.add(mu, sigma);
            }
            match &self.decoded {
                Decoded::Tokens(decoded) => {
                    let [forced, free] = decoded.each_ref().map(|tensor| tensor.extract_tensor().1);
                    tally.count_tokens(&batch.tokens, forced, free);
                }
                Decoded::Rows(decoded) => {
                    let [forced, free] = decoded.each_ref().map(|tensor| tensor.extract_tensor().1);
                    tally.count_rows(&batch.targets, forced, free);
                }
            }
        }
        Ok(tally.scores(count, batches))
    }

    /// Reconstructs one batch of as many examples as the session was made for.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    fn run_batch(&mut self, batch: &Batch) -> Result<(), ProgramError> {
        self.inputs.fill(batch);
        self.session.run_binding(&self.binding)?;
        Ok(())
    }
}

/// Sums over batches.
#[derive(Clone, Debug)]
struct Tally {
    r_loss: f64,
    kl: f64,
    activity: Activity,
    /// One for each part.
    parts: Vec<Counts>,
    names: Vec<&'static str>,
    batch: usize,
    exact: u32,
    groove: bool,
    /// Numbers in a row.
    depth: usize,
    /// Sums of the distances of velocities and of offsets at hits, and number of hits.
    errors: [f64; 2],
    hits: u32,
}

/// Numbers of steps of a part, and how many are right.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    steps: u32,
    events: u32,
    forced: u32,
    free: u32,
    forced_events: u32,
    free_events: u32,
}

impl Counts {
    fn add(&mut self, event: bool, forced: bool, free: bool) {
        self.steps += 1;
        self.events += u32::from(event);
        self.forced += u32::from(forced);
        self.free += u32::from(free);
        self.forced_events += u32::from(event && forced);
        self.free_events += u32::from(event && free);
    }

    fn plus(self, other: Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            events: self.events + other.events,
            forced: self.forced + other.forced,
            free: self.free + other.free,
            forced_events: self.forced_events + other.forced_events,
            free_events: self.free_events + other.free_events,
        }
    }

    fn accuracy(&self) -> Accuracy {
        Accuracy {
            accuracy_teacher_forced: share(self.forced, self.steps),
            accuracy_free_running: share(self.free, self.steps),
            accuracy_teacher_forced_events: share(self.forced_events, self.events),
            accuracy_free_running_events: share(self.free_events, self.events),
        }
    }
}

fn share(part: u32, whole: u32) -> f64 {
    f64::from(part) / f64::from(whole.max(1))
}

impl Tally {
    fn new(config: &Config, batch: usize) -> Self {
        let names: Vec<&'static str> = match config.family().voices() {
            [_] => vec!["all"],
            voices => voices.iter().map(|voice| voice.name).collect(),
        };
        let groove = config.output_kind() == OutputKind::Groove;
        let parts = vec![Counts::default(); names.len()];
        let (r_loss, kl, errors) = (0.0, 0.0, [0.0; 2]);
        let depth = config.output_depth();
        let activity = Activity::default();
        let (exact, hits) = (0, 0);
        Self { r_loss, kl, activity, parts, names, batch, exact, groove, depth, errors, hits }
    }

    /// Adds a batch of tokens, `[steps, batch, parts]`: the right ones and both reconstructions.
    fn count_tokens(&mut self, right: &[i64], forced: &[i64], free: &[i64]) {
        let parts = self.parts.len();
        let mut exact = vec![true; self.batch];
        for (index, ((&right, &forced), &free)) in right.iter().zip(forced).zip(free).enumerate() {
            self.parts[index % parts].add(right != HOLD, forced == right, free == right);
            exact[index / parts % self.batch] &= free == right;
        }
        self.exact += exact.iter().map(|&exact| u32::from(exact)).sum::<u32>();
    }

    /// Adds a batch of rows, `[steps, batch, depth]`: of bits all are compared, of a groove the hits.
    fn count_rows(&mut self, right: &[f32], forced: &[f32], free: &[f32]) {
        let depth = self.depth;
        let compared = if self.groove { CLASSES } else { depth };
        let bits = |row: &[f32]| -> Vec<bool> {
            row[..compared].iter().map(|&value| value > 0.5).collect()
        };
        let mut exact = vec![true; self.batch];
        let rows = right.chunks_exact(depth).zip(forced.chunks_exact(depth));
        for (index, ((right, forced), free)) in rows.zip(free.chunks_exact(depth)).enumerate() {
            let wanted = bits(right);
            let free_right = bits(free) == wanted;
            self.parts[0].add(wanted.contains(&true), bits(forced) == wanted, free_right);
            exact[index % self.batch] &= free_right;
            if self.groove {
                for class in (0..CLASSES).filter(|&class| wanted[class]) {
                    self.hits += 1;
                    for (kind, sum) in self.errors.iter_mut().enumerate() {
                        let column = (kind + 1) * CLASSES + class;
                        *sum += f64::from((right[column] - forced[column]).abs());
                    }
                }
            }
        }
        self.exact += exact.iter().map(|&exact| u32::from(exact)).sum::<u32>();
    }

    fn scores(&self, windows: usize, batches: usize) -> Scores {
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let mean = |sum: f64| sum / f64::from(count(batches).max(1));
        let all = self.parts.iter().copied().fold(Counts::default(), Counts::plus);
        let parts = if self.parts.len() > 1 { &self.parts[..] } else { &[] };
        let named = self.names.iter().zip(parts);
        Scores {
            windows,
            r_loss: mean(self.r_loss),
            kl_bits: mean(self.kl) / std::f64::consts::LN_2,
            active_units: self.activity.units(),
            all: all.accuracy(),
            parts: named.map(|(name, part)| ((*name).to_owned(), part.accuracy())).collect(),
            windows_exact: share(self.exact, count(windows)),
            groove_errors: self
                .groove
                .then(|| self.errors.map(|sum| sum / f64::from(self.hits.max(1)))),
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    fn tally(name: &str, batch: usize) -> Tally {
        Tally::new(&config::by_name(name).expect("known"), batch)
    }

    // Accuracies count steps, events leave holds out, and a window counts as exact only whole.
    #[test]
    fn shares_are_counted_by_step_and_by_window() {
        let mut tally = tally("cat-mel_2bar_small", 2);
        // Two windows of two steps: [5, 0] and [7, 1].
        tally.count_tokens(&[5, 7, 0, 1], &[5, 7, 0, 2], &[5, 6, 0, 1]);
        let scores = tally.scores(2, 1);
        assert_eq!(scores.all.accuracy_teacher_forced, 0.75);
        assert_eq!(scores.all.accuracy_free_running, 0.75);
        assert_eq!(scores.all.accuracy_teacher_forced_events, 2.0 / 3.0);
        assert_eq!(scores.all.accuracy_free_running_events, 2.0 / 3.0);
        assert_eq!(scores.windows_exact, 0.5);
        assert!(scores.parts.is_empty());
    }

    // Each part of a trio has its own accuracy.
    #[test]
    fn parts_are_counted_alone() {
        let mut tally = tally("hierdec-trio_16bar", 1);
        tally.count_tokens(&[5, 6, 7, 0, 0, 0], &[5, 6, 8, 0, 1, 0], &[5, 6, 7, 0, 0, 0]);
        let scores = tally.scores(1, 1);
        let forced: Vec<f64> =
            ["melody", "bass", "drums"].map(|p| scores.parts[p].accuracy_teacher_forced).into();
        assert_eq!(forced, [1.0, 0.5, 0.5]);
        assert_eq!(scores.windows_exact, 1.0);
        assert_eq!(scores.by_name()["accuracy_teacher_forced/bass"], 0.5);
    }

    // A groove's step is right when its hits are; velocities and offsets are measured at hits.
    #[test]
    fn grooves_are_compared_by_hits() {
        let mut tally = tally("groovae_2bar_humanize", 1);
        let mut right = [0.0; 54];
        (right[0], right[9], right[18]) = (1.0, 0.5, 0.25);
        let mut forced = right;
        (forced[9], forced[18], forced[10]) = (0.75, 0.125, 1.0);
        let mut free = right;
        free[27] = 1.0;
        tally.count_rows(&right, &forced, &free);
        let scores = tally.scores(1, 1);
        assert_eq!(scores.all.accuracy_teacher_forced, 1.0);
        assert_eq!(scores.all.accuracy_free_running, 0.5);
        assert_eq!(scores.groove_errors, Some([0.25, 0.125]));
        assert_eq!(scores.windows_exact, 0.0);
    }
}
