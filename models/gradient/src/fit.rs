//! The training of a small network: its graph in a session, with variables and moments in memory
//! that ONNX Runtime changes in place.

use std::collections::BTreeMap;

use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use thiserror::Error;

use crate::adam::ClipMode;
use interlude_onnx::runtime::{Provider, Runtime, RuntimeError};
use interlude_onnx::weights::{self, Weights};
use interlude_onnx::{ElementType, Graph};

use super::adam::{self, BETA_2};
use super::variables::Variables;

/// Why a network cannot be trained.
#[derive(Debug, Error)]
pub enum FitError {
    /// ONNX Runtime refuses the graph or fails in it.
    #[error("ONNX Runtime: {0}")]
    Runtime(#[from] ort::Error),
    /// The session's options are refused.
    #[error(transparent)]
    Session(#[from] RuntimeError),
}

/// Settings of the optimiser, Adam with clipped gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Norm to which all gradients together are clipped.
    pub clip: f32,
    /// β₂: decay rate of the second moment.
    pub beta_2: f64,
    /// Steps that were made before, whose moments are among the weights given.
    pub steps: u64,
}

/// A graph of a network's loss and gradients.
#[derive(Debug)]
pub struct Network {
    /// The graph, without an update.
    pub graph: Graph,
    /// Its variables, each with its gradient.
    pub variables: Variables,
    /// Names and shapes of its inputs beside the variables.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// Names and shapes of its outputs.
    pub outputs: Vec<(&'static str, Vec<usize>)>,
}

/// A network in training, on the CPU.
#[derive(Debug)]
pub struct Fit {
    session: Session,
    binding: IoBinding,
    inputs: BTreeMap<String, Tensor<f32>>,
    outputs: BTreeMap<&'static str, Tensor<f32>>,
    state: BTreeMap<String, Tensor<f32>>,
    variables: Vec<String>,
    beta_2: f64,
    steps: u64,
}

impl Fit {
    /// Adds clipping to the norm `clip` and Adam to a network and starts it with initial `weights`.
    /// One thread works.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime refuses the graph.
    ///
    /// # Panics
    /// When weights or gradients are missing: a fault of the caller.
    pub fn new(
        runtime: &Runtime,
        network: Network,
        weights: &Weights,
        clip: f32,
    ) -> Result<Self, FitError> {
        Self::with(runtime, network, weights, Settings { clip, beta_2: BETA_2, steps: 0 })
    }

    /// [`Fit::new`] with other settings, or with what an earlier [`Fit::state`] gave.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime refuses the graph.
    ///
    /// # Panics
    /// When weights or gradients are missing, or weights have another shape: a fault of the caller.
    pub fn with(
        runtime: &Runtime,
        network: Network,
        weights: &Weights,
        options: Settings,
    ) -> Result<Self, FitError> {
        let Settings { clip, beta_2, steps } = options;
        let Network { mut graph, variables, mut inputs, outputs } = network;
        let norm = adam::global_norm(&mut graph, &variables);
        let limit = graph.scalar(clip);
        let step_size = graph.input("step_size", ElementType::F32, &[]);
        inputs.push(("step_size".to_owned(), Vec::new()));
        let settings = adam::Settings { mode: ClipMode::GlobalNorm, zero_from: f32::MAX, beta_2 };
        let given = (&norm, &limit, &step_size);
        let updates = adam::update(&mut graph, &variables, settings, given);

        let builder = runtime.session(Provider::Cpu, 1)?;
        // Fading moments become numbers so small that the processor takes ten times as long for each.
        let mut builder = builder.with_flush_to_zero().map_err(ort::Error::from)?;
        let session = builder.commit_from_memory(&graph.into_model())?;
        let binding = session.create_binding()?;
        let mut fit = Self {
            session,
            binding,
            inputs: BTreeMap::new(),
            outputs: BTreeMap::new(),
            state: BTreeMap::new(),
            variables: variables.iter().map(|(name, _)| name.to_owned()).collect(),
            beta_2,
            steps,
        };
        for (name, shape) in inputs {
            let tensor = zeros(&shape)?;
            fit.binding.bind_input(&name, &tensor)?;
            fit.inputs.insert(name, tensor);
        }
        for (name, shape) in outputs {
            let mut tensor = zeros(&shape)?;
            fit.binding.bind_output(name, &mut tensor)?;
            fit.outputs.insert(name, tensor);
        }
        for update in updates {
            let mut tensor = zeros(&update.shape)?;
            if let Some(values) = weights.get(&update.input) {
                tensor.extract_tensor_mut().1.copy_from_slice(&values.data);
            }
            fit.binding.bind_input(&update.input, &tensor)?;
            fit.binding.bind_output(&update.output, &mut tensor)?;
            fit.state.insert(update.input, tensor);
        }
        let missing = fit.variables.iter().find(|name| weights.get(name).is_none());
        assert!(missing.is_none(), "no initial weights of {missing:?}");
        Ok(fit)
    }

    /// The memory of an input, to be filled before a step.
    ///
    /// # Panics
    /// When there is no input of that name.
    pub fn input(&mut self, name: &str) -> &mut [f32] {
        let tensor = self.inputs.get_mut(name).unwrap_or_else(|| panic!("no input {name}"));
        tensor.extract_tensor_mut().1
    }

    /// One step: forward and backward pass, clipping, Adam's update with a learning rate.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime fails.
    pub fn step(&mut self, learning_rate: f32) -> Result<(), FitError> {
        let step_size = adam::step_size(learning_rate.into(), self.steps, self.beta_2);
        self.steps += 1;
        self.input("step_size")[0] = step_size;
        self.session.run_binding(&self.binding)?;
        Ok(())
    }

    /// An output of the last step, computed before its update.
    ///
    /// # Panics
    /// When there is no output of that name.
    pub fn output(&self, name: &str) -> &[f32] {
        self.outputs[name].extract_tensor().1
    }

    /// The first number of an output.
    ///
    /// # Panics
    /// When there is no output of that name.
    pub fn scalar(&self, name: &str) -> f32 {
        self.output(name)[0]
    }

    /// The first moment of a variable.
    ///
    /// # Panics
    /// When there is no variable of that name.
    pub fn moment(&self, name: &str) -> Vec<f32> {
        self.copy(&adam::first_moment(name)).data
    }

    /// A copy of the variables.
    pub fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        for name in &self.variables {
            weights.insert(name, self.copy(name));
        }
        weights
    }

    /// A copy of the variables and their moments.
    pub fn state(&self) -> Weights {
        let mut weights = Weights::default();
        for name in self.state.keys() {
            weights.insert(name, self.copy(name));
        }
        weights
    }

    /// Calls `each` with each variable, which it may change.
    pub fn for_each_variable(&mut self, each: &mut dyn FnMut(&str, &mut [f32])) {
        for name in &self.variables {
            if let Some(tensor) = self.state.get_mut(name) {
                each(name, tensor.extract_tensor_mut().1);
            }
        }
    }

    /// A copy of a variable or moment.
    fn copy(&self, name: &str) -> weights::Tensor {
        let (shape, data) = self.state[name].extract_tensor();
        let extents = shape.iter().map(|&extent| usize::try_from(extent).unwrap_or(0));
        weights::Tensor { shape: extents.collect(), data: data.to_vec() }
    }
}

fn zeros(shape: &[usize]) -> Result<Tensor<f32>, ort::Error> {
    let mut tensor = Tensor::<f32>::new(&Allocator::default(), shape.to_vec())?;
    tensor.extract_tensor_mut().1.fill(0.0);
    Ok(tensor)
}
