//! The ways to run a step: a session of ONNX Runtime, or its training API; in one process, or in
//! several.

use interlude_models::runtime::Provider;

use super::batch::{Batch, Report};
use super::device::Device;
use super::distributed::{Agreement, Distributed};
use super::error::ProgramError;
use super::parallel::{Parallel, parts};
use super::program::{Program, Purpose};
use super::ranks::Ranks;
use super::setup::Setup;
use super::state::State;
use super::training_api::TrainingApi;

/// What runs the steps of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// An ordinary session, in any ONNX Runtime.
    #[default]
    Onnx,
    /// The training API, in a runtime that offers it.
    TrainingApi,
    /// An ordinary session on an execution provider with memory of its own.
    Device(Provider),
}

/// The steps of one window length and batch size.
#[derive(Debug)]
pub enum Stepper {
    /// A session that changes the state in place.
    Onnx(Box<Program>),
    /// Sessions for parts of each batch, on threads of their own.
    Parallel(Box<Parallel>),
    /// A trainer with a state of its own.
    TrainingApi(Box<TrainingApi>),
    /// A session with a state of its own on a graphics card.
    Device(Box<Device>),
    /// A session for a part of each batch.
    Distributed(Box<Distributed>),
}

impl Stepper {
    /// Builds the graphs and starts with the state as it is.
    ///
    /// # Errors
    /// [`ProgramError`] when the configuration cannot be trained, or ONNX Runtime refuses.
    pub fn new(
        setup: &Setup<'_>,
        backend: Backend,
        ranks: &Ranks,
        state: &mut State,
    ) -> Result<Self, ProgramError> {
        let Setup { runtime, config, shape, beta_2, threads } = *setup;
        let parts = parts(config, shape, actual(threads));
        Ok(match backend {
            Backend::Onnx if ranks.size() > 1 => {
                Self::Distributed(Box::new(Distributed::new(setup, ranks, state)?))
            }
            Backend::Onnx if parts > 1 => {
                let setup = Setup { threads: actual(threads), ..*setup };
                Self::Parallel(Box::new(Parallel::new(&setup, parts, state)?))
            }
            Backend::Onnx => {
                let purpose = Purpose::Train { beta_2 };
                let program = Program::new(runtime, config, shape, purpose, state, threads)?;
                Self::Onnx(Box::new(program))
            }
            Backend::Device(provider) => {
                Self::Device(Box::new(Device::new(setup, provider, state)?))
            }
            Backend::TrainingApi => Self::TrainingApi(Box::new(TrainingApi::new(setup, state)?)),
        })
    }

    /// Runs one step. `own` is what this process knows; what all processes agree on comes back.
    ///
    /// # Errors
    /// [`ProgramError`] when ONNX Runtime fails.
    pub fn run(
        &mut self,
        ranks: &Ranks,
        batch: &Batch,
        own: Agreement,
    ) -> Result<(Report, Agreement), ProgramError> {
        match self {
            Self::Onnx(program) => Ok((program.run(batch)?, own)),
            Self::Parallel(steps) => Ok((steps.run(batch)?, own)),
            Self::TrainingApi(trainer) => Ok((trainer.run(batch)?, own)),
            Self::Device(steps) => Ok((steps.run(batch)?, own)),
            Self::Distributed(steps) => steps.run(ranks, batch, own),
        }
    }

    /// Brings the state up to date.
    ///
    /// # Errors
    /// [`ProgramError`] when the training API or the card does not give out its state.
    pub fn store(&self, state: &mut State) -> Result<(), ProgramError> {
        match self {
            Self::Onnx(_) | Self::Parallel(_) | Self::Distributed(_) => Ok(()),
            Self::TrainingApi(trainer) => trainer.store(state),
            Self::Device(steps) => steps.store(state),
        }
    }
}

/// A number of threads: that of the processor's cores where 0 asks for as many.
fn actual(threads: usize) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    if threads == 0 { cores() } else { threads }
}
