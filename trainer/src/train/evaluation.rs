//! How well windows come back from the mean of their posterior, teacher-forced and free-running.

use std::collections::BTreeMap;

use interlude_models::config::Config;
use interlude_models::runtime::Runtime;
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use serde::{Deserialize, Serialize};

use super::batches::earlier;
use super::program::{ProgramError, start};
use super::state::State;
use crate::dataset::Windows;
use crate::gradient::model;

/// Largest batch of an evaluation.
const BATCH: usize = 128;
/// Token of a step on which nothing begins or ends.
const HOLD: i64 = 0;

/// Shares of right tokens and the like, `0..=1` unless they say otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Windows that were reconstructed.
    pub windows: usize,
    /// Reconstruction loss of a window in nats, teacher-forced, z the posterior's mean.
    pub r_loss: f64,
    /// Divergence of the posterior in bits, mean of the windows.
    pub kl_bits: f64,
    /// Steps right when the decoder reads the right token before each.
    pub accuracy_teacher_forced: f64,
    /// Steps right when the decoder reads its own tokens.
    pub accuracy_free_running: f64,
    /// As before, only of steps on which a note begins or ends, teacher-forced.
    pub accuracy_teacher_forced_events: f64,
    /// As before, free-running.
    pub accuracy_free_running_events: f64,
    /// Windows whose steps are all right, free-running.
    pub windows_exact: f64,
}

impl Scores {
    /// The scores by the names of their fields, without the number of windows.
    pub fn by_name(&self) -> BTreeMap<String, f64> {
        [
            ("r_loss", self.r_loss),
            ("kl_bits", self.kl_bits),
            ("accuracy_teacher_forced", self.accuracy_teacher_forced),
            ("accuracy_free_running", self.accuracy_free_running),
            ("accuracy_teacher_forced_events", self.accuracy_teacher_forced_events),
            ("accuracy_free_running_events", self.accuracy_free_running_events),
            ("windows_exact", self.windows_exact),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

/// A session that reconstructs batches with the weights of a state.
#[derive(Debug)]
pub struct Evaluation {
    session: Session,
    binding: IoBinding,
    tokens: Tensor<i64>,
    inputs: Tensor<i64>,
    r_loss: Tensor<f32>,
    kl: Tensor<f32>,
    forced: Tensor<i64>,
    free: Tensor<i64>,
    steps: usize,
    batch: usize,
    none: i64,
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
        let session = start(runtime, &built, threads)?;
        let mut binding = session.create_binding()?;
        let allocator = Allocator::default();
        let matrix = || Tensor::<i64>::new(&allocator, vec![steps, batch]);
        let scalar = || Tensor::<f32>::new(&allocator, Vec::<usize>::new());
        let (tokens, inputs, mut forced, mut free) = (matrix()?, matrix()?, matrix()?, matrix()?);
        let (mut r_loss, mut kl) = (scalar()?, scalar()?);
        binding.bind_input("tokens", &tokens)?;
        binding.bind_input("inputs", &inputs)?;
        for (name, _) in &built.variables {
            binding.bind_input(name, state.tensor(name)?)?;
        }
        binding.bind_output("r_loss", &mut r_loss)?;
        binding.bind_output("kl", &mut kl)?;
        binding.bind_output("forced", &mut forced)?;
        binding.bind_output("free", &mut free)?;
        let none = i64::try_from(config.output_depth()).expect("vocabularies are small");
        Ok(Self { session, binding, tokens, inputs, r_loss, kl, forced, free, steps, batch, none })
    }

    /// Scores of up to `limit` windows, spread evenly over all. Windows that do not fill a last
    /// batch are left out.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    pub fn run(&mut self, windows: &Windows, limit: usize) -> Result<Scores, ProgramError> {
        let batches = windows.len().min(limit) / self.batch;
        let count = batches * self.batch;
        let mut tally = Tally::default();
        for batch in 0..batches {
            let tokens = self.tokens.extract_tensor_mut().1;
            for index in 0..self.batch {
                let window = (batch * self.batch + index) * windows.len() / count;
                for (step, &token) in windows.get(window).iter().take(self.steps).enumerate() {
                    tokens[step * self.batch + index] = i64::from(token);
                }
            }
            let inputs = earlier(tokens, self.batch, &[self.none]);
            self.inputs.extract_tensor_mut().1.copy_from_slice(&inputs);
            self.session.run_binding(&self.binding)?;
            tally.r_loss += f64::from(self.r_loss.extract_tensor().1[0]);
            tally.kl += f64::from(self.kl.extract_tensor().1[0]);
            let right = self.tokens.extract_tensor().1;
            tally.count(
                right,
                self.forced.extract_tensor().1,
                self.free.extract_tensor().1,
                self.batch,
            );
        }
        Ok(tally.scores(count, batches))
    }
}

/// Sums over batches.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    r_loss: f64,
    kl: f64,
    steps: u32,
    events: u32,
    forced: u32,
    free: u32,
    forced_events: u32,
    free_events: u32,
    exact: u32,
}

impl Tally {
    /// Adds a batch of tokens, `[steps, batch]`: the right ones and both reconstructions.
    fn count(&mut self, right: &[i64], forced: &[i64], free: &[i64], batch: usize) {
        let mut exact = vec![true; batch];
        for (index, ((&right, &forced), &free)) in right.iter().zip(forced).zip(free).enumerate() {
            let event = right != HOLD;
            self.steps += 1;
            self.events += u32::from(event);
            self.forced += u32::from(forced == right);
            self.free += u32::from(free == right);
            self.forced_events += u32::from(event && forced == right);
            self.free_events += u32::from(event && free == right);
            exact[index % batch] &= free == right;
        }
        self.exact += exact.iter().map(|&exact| u32::from(exact)).sum::<u32>();
    }

    fn scores(&self, windows: usize, batches: usize) -> Scores {
        let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let mean = |sum: f64| sum / f64::from(count(batches).max(1));
        Scores {
            windows,
            r_loss: mean(self.r_loss),
            kl_bits: mean(self.kl) / std::f64::consts::LN_2,
            accuracy_teacher_forced: share(self.forced, self.steps),
            accuracy_free_running: share(self.free, self.steps),
            accuracy_teacher_forced_events: share(self.forced_events, self.events),
            accuracy_free_running_events: share(self.free_events, self.events),
            windows_exact: share(self.exact, count(windows)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Accuracies count steps, events leave holds out, and a window counts as exact only whole.
    #[test]
    fn shares_are_counted_by_step_and_by_window() {
        let mut tally = Tally::default();
        // Two windows of two steps: [5, 0] and [7, 1].
        tally.count(&[5, 7, 0, 1], &[5, 7, 0, 2], &[5, 6, 0, 1], 2);
        let scores = tally.scores(2, 1);
        assert_eq!(scores.accuracy_teacher_forced, 0.75);
        assert_eq!(scores.accuracy_free_running, 0.75);
        assert_eq!(scores.accuracy_teacher_forced_events, 2.0 / 3.0);
        assert_eq!(scores.accuracy_free_running_events, 2.0 / 3.0);
        assert_eq!(scores.windows_exact, 0.5);
    }
}
