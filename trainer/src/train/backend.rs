//! The two ways to run a step: a session of ONNX Runtime, or its training API.

use clap::ValueEnum;
use interlude_models::config::Config;
use interlude_models::runtime::Runtime;

use super::program::{Batch, Program, ProgramError, Purpose, Report};
use super::state::State;
use super::training_api::TrainingApi;
use crate::gradient::model::Shape;

/// What runs the steps of a run.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// An ordinary session, in any ONNX Runtime.
    #[default]
    Onnx,
    /// The training API, in a runtime that offers it.
    TrainingApi,
}

/// The steps of one window length and batch size.
#[derive(Debug)]
pub enum Stepper {
    /// A session that changes the state in place.
    Onnx(Box<Program>),
    /// A trainer with a state of its own.
    TrainingApi(Box<TrainingApi>),
}

impl Stepper {
    /// Builds the graphs and starts with the state as it is; Adam's second moment decays with
    /// `beta_2`.
    ///
    /// # Errors
    /// [`ProgramError`] when the configuration cannot be trained, or ONNX Runtime refuses.
    pub fn new(
        runtime: &Runtime,
        (config, backend): (&Config, Backend),
        shape: Shape,
        beta_2: f64,
        state: &mut State,
        threads: usize,
    ) -> Result<Self, ProgramError> {
        Ok(match backend {
            Backend::Onnx => {
                let purpose = Purpose::Train { beta_2 };
                let program = Program::new(runtime, config, shape, purpose, state, threads)?;
                Self::Onnx(Box::new(program))
            }
            Backend::TrainingApi => {
                let trainer = TrainingApi::new(runtime, config, shape, beta_2, state, threads)?;
                Self::TrainingApi(Box::new(trainer))
            }
        })
    }

    /// Runs one step.
    ///
    /// # Errors
    /// [`ProgramError`] when ONNX Runtime fails.
    pub fn run(&mut self, batch: &Batch) -> Result<Report, ProgramError> {
        match self {
            Self::Onnx(program) => program.run(batch),
            Self::TrainingApi(trainer) => trainer.run(batch),
        }
    }

    /// Brings the state up to date.
    ///
    /// # Errors
    /// [`ProgramError`] when the training API does not give out its state.
    pub fn store(&self, state: &mut State) -> Result<(), ProgramError> {
        match self {
            Self::Onnx(_) => Ok(()),
            Self::TrainingApi(trainer) => trainer.store(state),
        }
    }
}
