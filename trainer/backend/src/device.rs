//! Steps on any execution provider, with a state of their own in its memory.
//!
//! On the processor sessions read and write the state where it is. A graphics card cannot, so here
//! what a step writes stays on the card and is what the next one reads; only batches go there and
//! only the report comes back, until the state is asked for.

use std::collections::BTreeMap;

use interlude_models::runtime::Provider;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, Session};
use ort::value::{Tensor, TensorValueType};

use super::batch::{Batch, Report};
use super::error::ProgramError;
use super::inputs::Inputs;
use super::program::start;
use super::setup::Setup;
use super::state::State;
use crate::gradient::model::{self, GLOBAL_NORM, REPORT};

/// The steps of one window length and batch size.
#[derive(Debug)]
pub struct Device {
    session: Session,
    binding: IoBinding,
    inputs: Inputs,
    /// Where the state stays.
    memory: MemoryInfo<'static>,
    /// Variables and moments by the input that reads them.
    state: BTreeMap<String, Tensor<f32>>,
    /// The output that writes each of them.
    updates: Vec<(String, String)>,
}

impl Device {
    /// Builds the graph, of operators that all providers have, and starts with a copy of the state.
    ///
    /// # Errors
    /// [`ProgramError`] when the configuration cannot be trained, the runtime lacks the provider, or
    /// ONNX Runtime refuses.
    pub fn new(setup: &Setup<'_>, provider: Provider, state: &State) -> Result<Self, ProgramError> {
        let Setup { runtime, config, shape, beta_2, threads } = *setup;
        let built = model::portable_training(config, shape, beta_2)?;
        let session = start(runtime, provider, &built, threads)?;
        let binding = session.create_binding()?;
        let mut own = BTreeMap::new();
        let variables = built.variables.iter().map(|(name, _)| name);
        for name in variables.chain(built.updates.iter().map(|update| &update.input)) {
            let kept = state.tensor(name)?;
            let mut copy = Tensor::<f32>::new(&Allocator::default(), kept.shape().to_vec())?;
            copy.extract_tensor_mut().1.copy_from_slice(kept.extract_tensor().1);
            own.insert(name.clone(), copy);
        }
        let inputs = Inputs::of(&built.model, |name| !own.contains_key(name))?;
        let memory = memory(provider.memory())?;
        let updates = built.updates.into_iter().map(|update| (update.input, update.output));
        Ok(Self { session, binding, inputs, memory, state: own, updates: updates.collect() })
    }

    /// Runs one step.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    ///
    /// # Panics
    /// When a part of the batch has another size than the graph was built for.
    pub fn run(&mut self, batch: &Batch) -> Result<Report, ProgramError> {
        self.inputs.fill(batch);
        // A value is taken to the card when it is bound, so batches are bound for each step.
        self.inputs.bind(&mut self.binding)?;
        for (name, value) in &self.state {
            self.binding.bind_input(name, value)?;
        }
        // Bound anew, an output gets memory of its own, beside that of the value it follows.
        for (_, output) in &self.updates {
            self.binding.bind_output_to_device(output, &self.memory)?;
        }
        for name in REPORT {
            self.binding.bind_output_to_device(name, &memory(AllocationDevice::CPU)?)?;
        }
        let mut outputs = self.session.run_binding(&self.binding)?;
        let scalar = |name: &str| -> Result<f32, ort::Error> {
            let value = outputs.get(name).map(|value| value.try_extract_tensor::<f32>());
            Ok(value.transpose()?.and_then(|(_, values)| values.first().copied()).unwrap_or(0.0))
        };
        let report = Report {
            loss: scalar("loss")?,
            r_loss: scalar("r_loss")?,
            kl: scalar("kl")?,
            global_norm: scalar(GLOBAL_NORM)?,
            accuracy: scalar("accuracy")?,
        };
        for (input, output) in &self.updates {
            if let Some(value) = outputs.remove(output) {
                self.state.insert(input.clone(), value.downcast::<TensorValueType<f32>>()?);
            }
        }
        Ok(report)
    }

    /// Copies variables and moments into the state.
    ///
    /// # Errors
    /// [`ProgramError`] when the state is of another configuration, or ONNX Runtime fails.
    pub fn store(&self, state: &mut State) -> Result<(), ProgramError> {
        for (name, value) in &self.state {
            let value = value.to(AllocationDevice::CPU, 0)?;
            let memory = state.tensor_mut(name)?.extract_tensor_mut().1;
            memory.copy_from_slice(value.extract_tensor().1);
        }
        Ok(())
    }
}

fn memory(device: AllocationDevice<'static>) -> Result<MemoryInfo<'static>, ort::Error> {
    MemoryInfo::new(device, 0, AllocatorType::Device, MemoryType::Default)
}
