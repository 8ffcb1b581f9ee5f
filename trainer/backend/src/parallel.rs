//! Steps of one process on several threads, each of which differentiates a part of the batch.
//!
//! ONNX Runtime shares the large products among threads, but not the many short operators between
//! them; here each thread has its own.

use std::ops::Range;

use interlude_models::config::Config;

use super::batch::{Batch, Report};
use super::error::ProgramError;
use super::program::{Gradients, Program, Purpose};
use super::ranks::share;
use super::setup::Setup;
use super::state::State;
use super::update::Update;
use crate::gradient::shape::Shape;

/// Columns that the products of a part have at least; with fewer they are slow.
const COLUMNS: usize = 32;

/// The steps of one process.
#[derive(Debug)]
pub struct Parallel {
    programs: Vec<(Program, Range<usize>)>,
    update: Update,
    shape: Shape,
}

/// How many parts the batches of a shape are worth on so many threads.
pub fn parts(config: &Config, shape: Shape, threads: usize) -> usize {
    let hierarchical = config.is_hierarchical();
    let segment = config.hparams.max_seq_len / config.segments();
    let segments = if hierarchical { shape.steps / segment.max(1) } else { 1 };
    (shape.batch * segments / COLUMNS).min(shape.batch).clamp(1, threads)
}

impl Parallel {
    /// Builds the graphs for `parts` parts of a batch, on the setup's threads together, of which there
    /// is one for each part or more, and binds the state.
    ///
    /// # Errors
    /// [`ProgramError`] when the configuration cannot be trained, or ONNX Runtime refuses.
    pub fn new(setup: &Setup<'_>, parts: usize, state: &mut State) -> Result<Self, ProgramError> {
        let Setup { runtime, config, shape, threads, .. } = *setup;
        let mut programs = Vec::new();
        for part in 0..parts {
            let examples = share(part, parts, shape.batch);
            let (own, purpose) = (shape.part(examples.len()), Purpose::Differentiate);
            let program = Program::new(runtime, config, own, purpose, state, threads / parts)?;
            programs.push((program, examples));
        }
        let gradients: Vec<&Gradients> =
            programs.iter().map(|(program, _)| program.gradients()).collect();
        let update = Update::new(setup, state, &gradients)?;
        Ok(Self { programs, update, shape })
    }

    /// Runs one step.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    ///
    /// # Panics
    /// When a thread has panicked.
    pub fn run(&mut self, batch: &Batch) -> Result<Report, ProgramError> {
        let Shape { steps, batch: whole, .. } = self.shape;
        // Threads inherit that the processor takes tiny numbers for zero, which ONNX Runtime sets
        // for the thread that made its first session.
        let reports: Vec<Result<Report, ProgramError>> = std::thread::scope(|scope| {
            let run = |(program, examples): &mut (Program, Range<usize>)| {
                program.run(&batch.part(examples.clone(), steps, whole))
            };
            let (first, rest) = self.programs.split_first_mut().expect("there is a part");
            let threads: Vec<_> =
                rest.iter_mut().map(|own| scope.spawn(move || run(own))).collect();
            let first = run(first);
            let rest = threads.into_iter().map(|thread| thread.join().expect("it does not panic"));
            std::iter::once(first).chain(rest).collect()
        });
        let mut sum = Report::default();
        for report in reports {
            let Report { loss, r_loss, kl, accuracy, .. } = report?;
            sum.loss += loss;
            sum.r_loss += r_loss;
            sum.kl += kl;
            sum.accuracy += accuracy;
        }
        sum.global_norm = self.update.run(batch)?;
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    // There are as many parts as threads, unless products would have fewer than 32 columns: one for
    // each example, or for each segment of it.
    #[test]
    fn parts_are_worth_their_threads() {
        for (name, steps, batch, threads, expected) in [
            ("cat-mel_2bar_small", 32, 64, 2, 2),
            ("cat-mel_2bar_small", 32, 64, 16, 2),
            ("cat-mel_2bar_small", 32, 512, 16, 16),
            ("cat-mel_2bar_small", 32, 20, 4, 1),
            ("hier-mel_16bar", 256, 16, 4, 4),
            ("hier-mel_16bar", 256, 1, 4, 1),
            ("hier-mel_16bar", 16, 64, 4, 2),
        ] {
            let config = config::by_name(name).expect("known");
            let found = parts(&config, Shape::new(steps, batch, false), threads);
            assert_eq!(found, expected, "{name}: {steps} steps, {batch} examples, {threads}");
        }
    }
}
