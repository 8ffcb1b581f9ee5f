//! Clipping and Adam's update in a session of its own.

use interlude_models::runtime::Provider;
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use super::batch::Batch;
use super::error::ProgramError;
use super::inputs::Inputs;
use super::program::{Gradients, start};
use super::setup::Setup;
use super::state::State;
use crate::gradient::model::GLOBAL_NORM;
use crate::gradient::update::{gradient_of, update};

/// A session that is bound to the state and to the gradients of the parts of a batch.
#[derive(Debug)]
pub struct Update {
    session: Session,
    binding: IoBinding,
    rates: Inputs,
    global_norm: Tensor<f32>,
}

impl Update {
    /// Builds the graph and binds the state, and the gradients of each part where they lie.
    ///
    /// # Errors
    /// [`ProgramError`] when the state or the gradients do not belong to the configuration, or ONNX
    /// Runtime refuses.
    pub fn new(
        setup: &Setup<'_>,
        state: &mut State,
        parts: &[&Gradients],
    ) -> Result<Self, ProgramError> {
        let Setup { runtime, config, shape, beta_2, threads } = *setup;
        let built = update(config, shape.frozen, beta_2, parts.len());
        let session = start(runtime, Provider::Cpu, &built, threads)?;
        let mut binding = session.create_binding()?;
        let rates = Inputs::of(&built.model, |name| matches!(name, "clip" | "step_size"))?;
        rates.bind(&mut binding)?;
        for (index, part) in parts.iter().enumerate() {
            for (variable, tensor) in part.tensors() {
                binding.bind_input(gradient_of(variable, index), tensor)?;
            }
        }
        let mut global_norm = Tensor::<f32>::new(&Allocator::default(), Vec::<usize>::new())?;
        binding.bind_output(GLOBAL_NORM, &mut global_norm)?;
        for update in &built.updates {
            binding.bind_input(&update.input, state.tensor(&update.input)?)?;
            binding.bind_output(&update.output, state.tensor_mut(&update.input)?)?;
        }
        Ok(Self { session, binding, rates, global_norm })
    }

    /// Updates the state with the gradients as they are now, and gives the norm of their sum.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    pub fn run(&mut self, batch: &Batch) -> Result<f32, ProgramError> {
        self.rates.fill(batch);
        self.session.run_binding(&self.binding)?;
        Ok(self.global_norm.extract_tensor().1[0])
    }
}
