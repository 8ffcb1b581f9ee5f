//! Reconstruction of windows from their posterior mean, teacher-forced and free-running.

use interlude_models::config::{Config, OutputKind};
use interlude_models::engine::Posterior;
use interlude_models::families::percussion::CLASSES;
use interlude_models::runtime::{Provider, Runtime};
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use crate::evaluate::number;
use crate::evaluate::scores::{Scores, Tally};
use crate::train::feed::batches::plain;
use interlude_backend::batch::Batch;
use interlude_backend::error::ProgramError;
use interlude_backend::gradient::model;
use interlude_backend::inputs::Inputs;
use interlude_backend::program::start;
use interlude_backend::state::State;
use interlude_dataset::Windows;

/// Largest batch of an evaluation.
const BATCH: usize = 128;

/// A session that reconstructs batches with the weights of a state.
#[derive(Debug)]
pub struct Evaluation {
    config: Config,
    session: Session,
    binding: IoBinding,
    inputs: Inputs,
    r_loss: Tensor<f32>,
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
        let mut r_loss = Tensor::<f32>::new(&allocator, Vec::<usize>::new())?;
        binding.bind_output("r_loss", &mut r_loss)?;
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
        Ok(Self { config, session, binding, inputs, r_loss, posteriors, decoded, batch })
    }

    /// Scores of up to `limit` windows, spread evenly over all. Windows that do not fill a last
    /// batch are left out.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    pub fn run(&mut self, windows: &Windows, limit: usize) -> Result<Scores, ProgramError> {
        let batches = windows.len().min(limit) / self.batch;
        let count = batches * self.batch;
        let mut tally = Tally::new(&self.config);
        let mut loss = 0.0;
        for batch in 0..batches {
            let spread = |index| (batch * self.batch + index) * windows.len() / count;
            let chosen: Vec<usize> = (0..self.batch).map(spread).collect();
            let batch = plain(windows, &self.config, &chosen);
            self.run_batch(&batch)?;
            loss += f64::from(self.r_loss.extract_tensor().1[0]);
            let size = self.config.hparams.z_size;
            let [mu, sigma] = self.posteriors.each_ref().map(|tensor| tensor.extract_tensor().1);
            for (mu, sigma) in mu.chunks_exact(size).zip(sigma.chunks_exact(size)) {
                tally.posterior(&Posterior { mu: mu.to_vec(), sigma: sigma.to_vec() });
            }
            match &self.decoded {
                Decoded::Tokens(decoded) => {
                    let [forced, free] = decoded.each_ref().map(|tensor| tensor.extract_tensor().1);
                    count_tokens(
                        &mut tally,
                        &self.config,
                        self.batch,
                        [&batch.tokens, forced, free],
                    );
                }
                Decoded::Rows(decoded) => {
                    let [forced, free] = decoded.each_ref().map(|tensor| tensor.extract_tensor().1);
                    count_rows(
                        &mut tally,
                        &self.config,
                        self.batch,
                        [&batch.targets, forced, free],
                    );
                }
            }
        }
        Ok(tally.scores(Some(loss / number(batches.max(1)))))
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

/// The rows of one example of a batch, from `[steps, batch, width]`.
fn of_example<T>(
    all: &[T],
    width: usize,
    batch: usize,
    example: usize,
) -> impl Iterator<Item = &[T]> {
    all.chunks_exact(width).skip(example).step_by(batch)
}

/// Counts a batch of tokens, `[steps, batch, parts]`: the right ones, teacher-forced and free-running
/// ones.
fn count_tokens(tally: &mut Tally, config: &Config, batch: usize, all: [&[i64]; 3]) {
    let parts = model::window_width(config);
    for example in 0..batch {
        let [right, forced, free] = all.map(|tokens| {
            let tokens = of_example(tokens, parts, batch, example).flatten();
            tokens.map(|token| token.cast_unsigned()).collect::<Vec<u64>>()
        });
        tally.window(&right, &forced, &free);
    }
}

/// Counts a batch of rows, `[steps, batch, output depth]`: of bits all are compared, of a groove the
/// hits, and velocities and offsets of those that are right teacher-forced.
fn count_rows(tally: &mut Tally, config: &Config, batch: usize, all: [&[f32]; 3]) {
    let depth = config.output_depth();
    let is_groove = config.output_kind() == OutputKind::Groove;
    let compared = if is_groove { CLASSES } else { depth };
    let bits = |row: &[f32]| {
        (0..).zip(&row[..compared]).map(|(bit, &on)| u64::from(on > 0.5) << bit).sum::<u64>()
    };
    for example in 0..batch {
        let rows = all.map(|all| of_example(all, depth, batch, example));
        let [right, forced, free] = rows.map(|rows| rows.map(bits).collect::<Vec<_>>());
        tally.window(&right, &forced, &free);
        if !is_groove {
            continue;
        }
        let [right, forced, _] = all.map(|all| of_example(all, depth, batch, example));
        for (right, forced) in right.zip(forced) {
            let hits = (0..CLASSES).filter(|&class| right[class] > 0.5 && forced[class] > 0.5);
            for class in hits {
                let error = |column: usize| forced[column] - right[column];
                tally.hit(error(CLASSES + class), error(2 * CLASSES + class));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config::by_name;

    use super::*;
    use crate::evaluate::scores::Score;

    // Examples lie beside each other in a batch, step by step; each is a window of its own.
    #[test]
    fn examples_of_a_batch_are_windows() {
        let config = by_name("cat-mel_2bar_small").expect("known");
        let mut tally = Tally::new(&config);
        // Two windows of two steps: [5, 0] and [7, 1].
        let all: [&[i64]; 3] = [&[5, 7, 0, 1], &[5, 7, 0, 2], &[5, 7, 0, 1]];
        count_tokens(&mut tally, &config, 2, all);
        let scores = tally.scores(None);
        assert_eq!((scores.windows, scores.windows_exact), (2, 1.0));
        assert_eq!(scores.accuracy_teacher_forced, Score::One(0.75));
    }

    // A groove's step is right when its hits are; velocities and offsets are measured at those that
    // are right teacher-forced.
    #[test]
    fn grooves_are_compared_by_hits() {
        let config = by_name("groovae_2bar_humanize").expect("known");
        let mut tally = Tally::new(&config);
        let mut right = [0.0; 54];
        (right[0], right[9], right[18]) = (1.0, 0.5, 0.25);
        let mut forced = right;
        (forced[9], forced[18], forced[10]) = (0.75, 0.125, 1.0);
        let mut free = right;
        free[27] = 1.0;
        count_rows(&mut tally, &config, 1, [&right, &forced, &free]);
        let scores = tally.scores(None);
        assert_eq!(scores.accuracy_teacher_forced, Score::One(1.0));
        assert_eq!(scores.accuracy_free_running, Score::One(0.5));
        assert_eq!(scores.velocity_error, Some(0.25 * 127.0));
        assert_eq!(scores.timing_error, Some(0.125 / 2.0));
        assert_eq!(scores.windows_exact, 0.0);
    }
}
