//! Steps of training through ONNX Runtime's training API.

use std::fs;
use std::ptr;

use interlude_models::runtime::Provider;
use interlude_onnx::proto::ModelProto;
use ort::AsPointer;
use ort::memory::Allocator;
use ort::session::SessionInputValue;
use ort::sys::{OrtTrainingApi, OrtValue};
use ort::training::{Checkpoint, Trainer};
use ort::value::Tensor;
use prost::Message;

use super::batch::{Batch, Report};
use super::error::{CheckpointError, ProgramError};
use super::inputs::Inputs;
use super::setup::Setup;
use super::state::State;
use crate::gradient::artifacts::Artifacts;
use crate::gradient::model::REPORT;
use interlude_gradient::adam::first_moment;

mod checkpoint;

/// Whether the runtime that is loaded offers the training API.
pub fn is_offered() -> bool {
    ort::training::training_api().is_ok()
}

/// A trainer of one window length and batch size. It holds variables and moments itself.
#[derive(Debug)]
pub struct TrainingApi {
    api: &'static OrtTrainingApi,
    trainer: Trainer,
    inputs: Inputs,
    /// The report's scalars, in the order of the model's outputs.
    scalars: Vec<(String, Tensor<f32>)>,
}

impl TrainingApi {
    /// Builds the artifacts and starts a trainer from a copy of the state.
    ///
    /// # Errors
    /// [`ProgramError`] when the configuration cannot be trained, the model is too large for a
    /// checkpoint, or ONNX Runtime refuses.
    pub fn new(setup: &Setup<'_>, state: &State) -> Result<Self, ProgramError> {
        let Setup { runtime, config, shape, beta_2, threads } = *setup;
        let artifacts = Artifacts::new(config, shape, beta_2)?;
        let inputs = Inputs::of(&artifacts.training.model, |name| artifacts.is_given(name))?;
        let scalars = scalars(&artifacts.training.model)?;
        let variables = artifacts.training.variables.iter().map(|(name, _)| name.as_str());
        // The API updates all variables; only without momentum do frozen ones stay as they are.
        let mut weights = state.weights(true);
        for (name, _) in artifacts.training.variables.iter().filter(|(v, _)| shape.frozen.holds(v))
        {
            if let Some(moment) = weights.0.get_mut(&first_moment(name)) {
                moment.data.fill(0.0);
            }
        }
        let checkpoint = checkpoint::write(&weights, variables)?;
        let trainer = Trainer::new_from_memory(
            runtime.session(Provider::Cpu, threads)?,
            Allocator::default(),
            Checkpoint::load_from_buffer(&checkpoint)?,
            &artifacts.training.model,
            &artifacts.evaluation,
            &artifacts.optimizer,
        )?;
        Ok(Self { api: ort::training::training_api()?, trainer, inputs, scalars })
    }

    /// Runs one step.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    ///
    /// # Panics
    /// When a part of the batch has another size than the trainer was built for.
    pub fn run(&mut self, batch: &Batch) -> Result<Report, ProgramError> {
        self.inputs.fill(batch);
        // The binding's own step cannot take over tensors that the runtime makes, so the outputs
        // are given to it.
        let inputs: Vec<SessionInputValue<'_>> = self.inputs.values().collect();
        let inputs: Vec<*const OrtValue> = inputs.iter().map(|value| value.ptr()).collect();
        let mut outputs: Vec<*mut OrtValue> =
            self.scalars.iter_mut().map(|(_, tensor)| tensor.ptr_mut()).collect();
        // SAFETY: the session and all values live as long as `self`; their numbers and order are
        // those of the model, and no output shares memory with an input.
        let status = unsafe {
            (self.api.TrainStep)(
                self.trainer.ptr().cast_mut(),
                ptr::null(),
                inputs.len(),
                inputs.as_ptr(),
                outputs.len(),
                outputs.as_mut_ptr(),
            )
        };
        // SAFETY: the status comes from the runtime and is used once.
        unsafe { ort::Error::result_from_status(status) }?;
        let mut report = Report::default();
        for (name, tensor) in &self.scalars {
            let value = tensor.extract_tensor().1[0];
            match name.as_str() {
                "loss" => report.loss = value,
                "r_loss" => report.r_loss = value,
                "kl" => report.kl = value,
                "accuracy" => report.accuracy = value,
                _ => report.global_norm = value,
            }
        }
        let mut optimizer = self.trainer.optimizer();
        optimizer.set_lr(batch.step_size)?;
        optimizer.step()?;
        optimizer.reset_grad()?;
        Ok(report)
    }

    /// Copies variables and moments into the state.
    ///
    /// # Errors
    /// [`ProgramError`] when the checkpoint that the trainer writes for it cannot be written or
    /// read.
    pub fn store(&self, state: &mut State) -> Result<(), ProgramError> {
        let folder = tempfile::tempdir().map_err(CheckpointError::from)?;
        let path = folder.path().join("checkpoint");
        self.trainer.checkpoint().save(&path, true)?;
        let bytes = fs::read(&path).map_err(CheckpointError::from)?;
        Ok(state.assign(&checkpoint::read(&bytes)?)?)
    }
}

/// Memory for the scalars of a training model; the API keeps the other outputs to itself.
fn scalars(model: &[u8]) -> Result<Vec<(String, Tensor<f32>)>, ort::Error> {
    let model = ModelProto::decode(model).expect("the graph was built here");
    let outputs = model.graph.unwrap_or_default().output.into_iter().map(|output| output.name);
    outputs
        .filter(|name| REPORT.contains(&name.as_str()))
        .map(|name| Ok((name, Tensor::new(&Allocator::default(), Vec::<usize>::new())?)))
        .collect()
}
