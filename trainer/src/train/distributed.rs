//! Steps of training by several processes: each finds the gradients of its part of the batch, all
//! add them up, and each makes the same update.
//!
//! Gradients and reports are means over the examples of the whole batch, so those of the parts add up
//! to them. Order, noise and dropout are drawn for the whole batch by every process, hence do not
//! depend on how many there are.

use interlude_models::config::Config;
use interlude_models::runtime::Runtime;

use super::batch::{Batch, Report};
use super::error::ProgramError;
use super::program::{Gradients, Program, Purpose};
use super::ranks::Ranks;
use super::state::State;
use super::update::Update;
use crate::gradient::shape::Shape;

/// The steps of one process among several.
#[derive(Debug)]
pub struct Distributed {
    program: Program,
    /// Gradients of the whole batch.
    gradients: Gradients,
    update: Update,
    shape: Shape,
}

/// What the processes agree on besides the report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Agreement {
    /// Whether one of them was asked to stop.
    pub stop: bool,
    /// The leading process's clock, in seconds.
    pub seconds: f64,
}

impl Distributed {
    /// Builds the graphs for this process's part of batches and binds the state.
    ///
    /// # Errors
    /// [`ProgramError`] when a process would have no example, the configuration cannot be trained,
    /// or ONNX Runtime refuses.
    pub fn new(
        runtime: &Runtime,
        (config, ranks): (&Config, &Ranks),
        shape: Shape,
        beta_2: f64,
        state: &mut State,
        threads: usize,
    ) -> Result<Self, ProgramError> {
        if shape.batch < ranks.size() {
            return Err(ProgramError::Ranks { batch: shape.batch, ranks: ranks.size() });
        }
        let own = shape.part(ranks.share(shape.batch).len());
        let program = Program::new(runtime, config, own, Purpose::Differentiate, state, threads)?;
        let gradients = Gradients::of(config, shape.frozen, state)?;
        let update =
            Update::new(runtime, (config, shape.frozen), beta_2, state, &[&gradients], threads)?;
        Ok(Self { program, gradients, update, shape })
    }

    /// Runs one step of a whole batch. `own` is what this process knows; what all agree on comes
    /// back.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    pub fn run(
        &mut self,
        ranks: &Ranks,
        batch: &Batch,
        own: Agreement,
    ) -> Result<(Report, Agreement), ProgramError> {
        let share = ranks.share(self.shape.batch);
        let report = self.program.run(&batch.part(share, self.shape.steps, self.shape.batch))?;
        let mut sums: Vec<f32> = self
            .program
            .gradients()
            .iter()
            .flat_map(|(_, values)| values)
            .copied()
            .chain([report.loss, report.r_loss, report.kl, report.accuracy])
            .collect();
        sums.push(f32::from(u8::from(own.stop)));
        let mut clock = own.seconds.to_le_bytes();
        ranks.follow(&mut clock);
        ranks.sum(&mut sums);
        let Some((gradients, &[loss, r_loss, kl, accuracy, stop])) = sums.split_last_chunk() else {
            unreachable!("five numbers were added above")
        };
        self.gradients.fill(gradients);
        let global_norm = self.update.run(batch)?;
        let report = Report { loss, r_loss, kl, accuracy, global_norm };
        Ok((report, Agreement { stop: stop > 0.0, seconds: f64::from_le_bytes(clock) }))
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::super::batches::{Batches, Making};
    use super::super::initial;
    use super::super::parallel::Parallel;
    use super::*;
    use crate::dataset::Windows;
    use crate::gradient::shape::Frozen;
    use interlude_gradient::adam::BETA_2;

    const SHAPE: Shape =
        Shape { steps: 32, batch: 5, whole: 5, sampling: false, frozen: Frozen::Nothing };

    /// A small model that drops what its layers read, its first weights, and the batch of a step.
    fn setting() -> (Config, State, Batch) {
        let mut config = config::by_name("cat-mel_2bar_small").expect("known");
        let changes = "enc_rnn_size=[6],dec_rnn_size=[7,5],z_size=4,dropout_keep_prob=0.7";
        config.override_hparams(changes).expect("valid");
        let state = State::new(&config, &initial::weights(&config, 1)).expect("fits");
        let mut windows = Windows::new(SHAPE.steps, 1);
        for window in 0..7u16 {
            windows.push(&(0..32u16).map(|step| (step * window) % 40 + 20).collect::<Vec<_>>());
        }
        let making = Making::plain(&config, SHAPE.steps, SHAPE.batch);
        let mut batch = Batches::new(&windows, 1).make(0, 0, &making);
        (batch.beta, batch.clip, batch.step_size) = (0.1, 1.0, 0.01);
        (config, state, batch)
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-5 * largest.max(1e-3), "{found} {expected}");
        }
    }

    // The losses and gradients of the parts of a batch add up to those of the whole, with noise and
    // dropout.
    #[test]
    fn parts_add_up_to_the_whole() {
        let runtime = Runtime::start(None).expect("a runtime");
        let (config, mut state, batch) = setting();
        let mut find = |batch: &Batch, size: usize| {
            let purpose = Purpose::Differentiate;
            let program = Program::new(runtime, &config, SHAPE.part(size), purpose, &mut state, 1);
            let mut program = program.expect("starts");
            let Report { loss, r_loss, kl, accuracy, .. } = program.run(batch).expect("runs");
            let gradients = program.gradients().iter().flat_map(|(_, values)| values).copied();
            gradients.chain([loss, r_loss, kl, accuracy]).collect::<Vec<_>>()
        };
        let whole = find(&batch, SHAPE.batch);
        let mut sum = vec![0.0; whole.len()];
        for examples in [0..2, 2..5] {
            let part = batch.part(examples.clone(), SHAPE.steps, SHAPE.batch);
            for (sum, value) in sum.iter_mut().zip(find(&part, examples.len())) {
                *sum += value;
            }
        }
        assert_close(&sum, &whole);
    }

    // Gradients and update in graphs of their own make the step that one graph makes, and so do parts
    // on threads of their own.
    #[test]
    fn a_step_in_several_graphs_is_the_same() {
        let runtime = Runtime::start(None).expect("a runtime");
        let (config, mut whole, batch) = setting();
        let (_, mut apart, _) = setting();
        let (_, mut threads, _) = setting();
        let purpose = Purpose::Train { beta_2: BETA_2 };
        let program = Program::new(runtime, &config, SHAPE, purpose, &mut whole, 1);
        let expected = program.expect("starts").run(&batch).expect("runs");
        let ranks = Ranks::alone();
        let steps = Distributed::new(runtime, (&config, &ranks), SHAPE, BETA_2, &mut apart, 1);
        let own = Agreement { stop: true, seconds: 2.0 };
        let (found, agreed) = steps.expect("starts").run(&ranks, &batch, own).expect("runs");
        assert_eq!(agreed, own);
        assert_close(
            &[found.loss, found.r_loss, found.kl, found.accuracy, found.global_norm],
            &[expected.loss, expected.r_loss, expected.kl, expected.accuracy, expected.global_norm],
        );
        let steps = Parallel::new(runtime, &config, SHAPE, BETA_2, &mut threads, (3, 3));
        let again = steps.expect("starts").run(&batch).expect("runs");
        assert_close(
            &[again.loss, again.r_loss, again.kl, again.accuracy, again.global_norm],
            &[expected.loss, expected.r_loss, expected.kl, expected.accuracy, expected.global_norm],
        );
        let whole = whole.weights(true);
        for weights in [apart.weights(true), threads.weights(true)] {
            for (name, tensor) in &whole.0 {
                assert_close(&weights.0[name].data, &tensor.data);
            }
        }
    }
}
