//! A training graph in a session of ONNX Runtime, bound to the state it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use interlude_models::config::Config;
use interlude_models::runtime::{Provider, Runtime, RuntimeError};
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use thiserror::Error;

use super::inputs::Inputs;
use super::state::{State, StateError};
use super::training_api::CheckpointError;
use crate::gradient::cell::operators;
use crate::gradient::model::{self, Built, Frozen, GLOBAL_NORM, GradientError, REPORT, Shape};

/// A graph cannot be built, loaded or run.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The configuration cannot be trained.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// ONNX Runtime refuses the graph or fails in it.
    #[error("ONNX Runtime: {0}")]
    Runtime(#[from] ort::Error),
    /// The session's options are refused.
    #[error(transparent)]
    Session(#[from] RuntimeError),
    /// The state does not fit.
    #[error(transparent)]
    State(#[from] StateError),
    /// A process would have nothing to do.
    #[error(
        "a batch of {batch} cannot be shared by {ranks} processes; take fewer, or a larger \
         --batch-size"
    )]
    Ranks {
        /// Examples in a batch.
        batch: usize,
        /// Processes.
        ranks: usize,
    },
    /// The training API's checkpoint does not serve.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// What a step is given besides the state. What a model does not read stays empty: models of tokens
/// have `tokens` and `inputs`, those of numbers or bits `encoder_inputs` and `targets`.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Tokens of the windows, `[steps, batch, parts]`; a model of one token a step has one part.
    pub tokens: Vec<i64>,
    /// Tokens before each step, a part's vocabulary's size for none, `[steps, batch, parts]`; unused
    /// with scheduled sampling.
    pub inputs: Vec<i64>,
    /// What the encoder reads, `[steps, batch, input depth]`.
    pub encoder_inputs: Vec<f32>,
    /// What the decoder is to write, `[steps, batch, output depth]`.
    pub targets: Vec<f32>,
    /// Controls of encoder and decoder, `[steps, batch, control depth]`.
    pub controls: Vec<f32>,
    /// Standard normal noise, `[batch, latent]`.
    pub noise: Vec<f32>,
    /// Uniform noise in `(0, 1)`, `[steps, batch, output depth]`; scheduled sampling only.
    pub uniform: Vec<f32>,
    /// Whether what was decoded is the next input, `[steps, batch]`; scheduled sampling only.
    pub sampled: Vec<bool>,
    /// Seed of the dropout masks, another one for each step.
    pub dropout_seed: u64,
    /// Which examples of a larger batch these are, and its size: noise of dropout is drawn for all
    /// of it.
    pub part: Option<(Range<usize>, usize)>,
    /// Weight of the divergence.
    pub beta: f32,
    /// Norm or value to which gradients are clipped.
    pub clip: f32,
    /// Adam's step size with its correction of bias.
    pub step_size: f32,
}

impl Batch {
    /// Some examples of a batch of `whole` windows of so many steps.
    pub fn part(&self, examples: Range<usize>, steps: usize, whole: usize) -> Self {
        let of = (steps, whole);
        Self {
            tokens: columns(&self.tokens, &examples, of),
            inputs: columns(&self.inputs, &examples, of),
            encoder_inputs: columns(&self.encoder_inputs, &examples, of),
            targets: columns(&self.targets, &examples, of),
            controls: columns(&self.controls, &examples, of),
            noise: columns(&self.noise, &examples, (1, whole)),
            uniform: columns(&self.uniform, &examples, of),
            sampled: columns(&self.sampled, &examples, of),
            part: Some((examples, whole)),
            ..*self
        }
    }
}

/// Some examples of a tensor `[steps, batch, …]`.
pub(super) fn columns<T: Copy>(
    values: &[T],
    examples: &Range<usize>,
    (steps, batch): (usize, usize),
) -> Vec<T> {
    let width = values.len() / (steps * batch);
    if width == 0 {
        return Vec::new();
    }
    let rows = values.chunks_exact(batch * width);
    rows.flat_map(|row| &row[examples.start * width..examples.end * width]).copied().collect()
}

/// What a step found, all before its update.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Loss in nats.
    pub loss: f32,
    /// Reconstruction part of the loss in nats.
    pub r_loss: f32,
    /// Mean divergence in nats, free bits not taken off.
    pub kl: f32,
    /// Norm of all gradients together; 0 where they are only given out.
    pub global_norm: f32,
    /// Share of right tokens.
    pub accuracy: f32,
}

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
