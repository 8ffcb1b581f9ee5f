//! A training graph in a session of ONNX Runtime, bound to the state it changes.

use std::collections::{BTreeMap, BTreeSet};

use interlude_models::config::Config;
use interlude_models::runtime::{Provider, Runtime};
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;

use super::batch::{Batch, Report};
use super::error::ProgramError;
use super::inputs::Inputs;
use super::state::State;
use crate::gradient::model::{self, Built, GLOBAL_NORM, REPORT};
use crate::gradient::shape::{Frozen, Shape};
use interlude_gradient::cell::operators;

/// A graph of one window length and batch size.
#[derive(Debug)]
pub struct Program {
    session: Session,
    binding: IoBinding,
    inputs: Inputs,
    scalars: BTreeMap<&'static str, Tensor<f32>>,
    gradients: Gradients,
}

/// What a program does with the gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Purpose {
    /// Update the state with them; Adam's second moment decays with this factor.
    Train {
        /// Decay of the second moment.
        beta_2: f64,
    },
    /// Give them out.
    Differentiate,
}

impl Program {
    /// Builds the graph, starts a session with `threads` threads and binds the state.
    ///
    /// # Errors
    /// [`ProgramError`] when the configuration cannot be trained, or ONNX Runtime refuses.
    pub fn new(
        runtime: &Runtime,
        config: &Config,
        shape: Shape,
        purpose: Purpose,
        state: &mut State,
        threads: usize,
    ) -> Result<Self, ProgramError> {
        let built = match purpose {
            Purpose::Train { beta_2 } => model::training(config, shape, beta_2)?,
            Purpose::Differentiate => model::gradients(config, shape)?,
        };
        let session = start(runtime, Provider::Cpu, &built, threads)?;
        let mut binding = session.create_binding()?;
        let kept: BTreeSet<&str> = built
            .variables
            .iter()
            .map(|(name, _)| name.as_str())
            .chain(built.updates.iter().map(|update| update.input.as_str()))
            .collect();
        let inputs = Inputs::of(&built.model, |name| !kept.contains(name))?;
        inputs.bind(&mut binding)?;
        let mut program = Self {
            session,
            binding,
            inputs,
            scalars: BTreeMap::new(),
            gradients: Gradients::default(),
        };
        let trains = purpose != Purpose::Differentiate;
        for name in REPORT.into_iter().filter(|&name| trains || name != GLOBAL_NORM) {
            let mut tensor = Tensor::<f32>::new(&Allocator::default(), Vec::<usize>::new())?;
            program.binding.bind_output(name, &mut tensor)?;
            program.scalars.insert(name, tensor);
        }
        for (name, _) in &built.variables {
            program.binding.bind_input(name, state.tensor(name)?)?;
        }
        for (variable, output) in &built.gradients {
            let shape = state.tensor(variable)?.shape().to_vec();
            let mut tensor = Tensor::<f32>::new(&Allocator::default(), shape)?;
            program.binding.bind_output(output, &mut tensor)?;
            program.gradients.0.insert(variable.clone(), tensor);
        }
        for update in &built.updates {
            program.binding.bind_input(&update.input, state.tensor(&update.input)?)?;
            program.binding.bind_output(&update.output, state.tensor_mut(&update.input)?)?;
        }
        Ok(program)
    }

    /// Runs one step. A program made to train has changed the state afterwards.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    ///
    /// # Panics
    /// When a part of the batch has another size than the program was built for.
    pub fn run(&mut self, batch: &Batch) -> Result<Report, ProgramError> {
        self.inputs.fill(batch);
        self.session.run_binding(&self.binding)?;
        let scalar = |name| {
            self.scalars.get(name).map_or(0.0, |tensor: &Tensor<f32>| tensor.extract_tensor().1[0])
        };
        Ok(Report {
            loss: scalar("loss"),
            r_loss: scalar("r_loss"),
            kl: scalar("kl"),
            global_norm: scalar(GLOBAL_NORM),
            accuracy: scalar("accuracy"),
        })
    }

    /// The gradients of the last run; none unless the program was made for them.
    pub fn gradients(&self) -> &Gradients {
        &self.gradients
    }
}

/// The gradients of variables, each in memory that sessions can be bound to.
#[derive(Debug, Default)]
pub struct Gradients(BTreeMap<String, Tensor<f32>>);

impl Gradients {
    /// Memory for the gradients of a configuration's variables that are not frozen.
    ///
    /// # Errors
    /// [`ProgramError::State`] when the state is of another configuration.
    pub fn of(config: &Config, frozen: Frozen, state: &State) -> Result<Self, ProgramError> {
        let mut gradients = Self::default();
        let variables = interlude_models::network::variables(config).into_iter();
        for variable in variables.filter(|variable| !frozen.holds(&variable.name)) {
            let shape = state.tensor(&variable.name)?.shape().to_vec();
            let tensor = Tensor::<f32>::new(&Allocator::default(), shape)?;
            gradients.0.insert(variable.name, tensor);
        }
        Ok(gradients)
    }

    /// Variables and the memory of their gradients, in the order of the names.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor<f32>)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Variables and their gradients, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.tensors().map(|(name, tensor)| (name, tensor.extract_tensor().1))
    }

    /// Copies all gradients, one after the other in the order of the names, into the memory.
    ///
    /// # Panics
    /// When there are fewer numbers than in the gradients.
    pub fn fill(&mut self, mut numbers: &[f32]) {
        for tensor in self.0.values_mut() {
            let memory = tensor.extract_tensor_mut().1;
            let (own, rest) = numbers.split_at(memory.len());
            memory.copy_from_slice(own);
            numbers = rest;
        }
    }
}

/// A session for a graph.
///
/// # Errors
/// [`ProgramError`] when the runtime lacks the provider or refuses the graph.
pub fn start(
    runtime: &Runtime,
    provider: Provider,
    built: &Built,
    threads: usize,
) -> Result<Session, ProgramError> {
    // Moments of rare tokens fade away to numbers so small that the processor takes ten times as
    // long for each; nothing is lost when they become zero.
    let builder = runtime.session(provider, threads)?;
    let builder = builder.with_flush_to_zero().map_err(ort::Error::from)?;
    // A plan of the memory would come on top of what the first step has allocated, which is kept.
    let builder = builder.with_memory_pattern(false).map_err(ort::Error::from)?;
    // A step is thousands of short operators; a thread that sleeps between them wakes too late.
    let builder = builder.with_intra_op_spinning(true).map_err(ort::Error::from)?;
    // Between runs it would take a core from the threads that differentiate.
    let builder =
        builder.with_config_entry("session.force_spinning_stop", "1").map_err(ort::Error::from)?;
    let mut builder = builder.with_operators(operators()?).map_err(ort::Error::from)?;
    Ok(builder.commit_from_memory(&built.model)?)
}
