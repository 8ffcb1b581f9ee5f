//! Steps of training by several processes: each finds the gradients of its part of the batch, all
//! add them up, and each makes the same update.
//!
//! Gradients and reports are means over the examples of the whole batch, so those of the parts add up
//! to them. Order, noise and dropout are drawn for the whole batch by every process, hence do not
//! depend on how many there are.

use super::batch::{Batch, Report};
use super::error::ProgramError;
use super::program::{Gradients, Program, Purpose};
use super::ranks::Ranks;
use super::setup::Setup;
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
    pub fn new(setup: &Setup<'_>, ranks: &Ranks, state: &mut State) -> Result<Self, ProgramError> {
        let Setup { runtime, config, shape, threads, .. } = *setup;
        if shape.batch < ranks.size() {
            return Err(ProgramError::Ranks { batch: shape.batch, ranks: ranks.size() });
        }
        let own = shape.part(ranks.share(shape.batch).len());
        let program = Program::new(runtime, config, own, Purpose::Differentiate, state, threads)?;
        let gradients = Gradients::of(config, shape.frozen, state)?;
        let update = Update::new(setup, state, &[&gradients])?;
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
