//! A training graph in a session of ONNX Runtime, bound to the state it changes.

use std::collections::BTreeMap;

use interlude_models::config::Config;
use interlude_models::runtime::{Provider, Runtime, RuntimeError};
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use thiserror::Error;

use super::state::{State, StateError};
use crate::gradient::model::{self, Built, GradientError, REPORT, Shape};

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
    /// Weight of the divergence.
    pub beta: f32,
    /// Norm or value to which gradients are clipped.
    pub clip: f32,
    /// Adam's step size with its correction of bias.
    pub step_size: f32,
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
    /// Norm of all gradients together.
    pub global_norm: f32,
    /// Share of right tokens.
    pub accuracy: f32,
}

/// A graph of one window length and batch size.
#[derive(Debug)]
pub struct Program {
    session: Session,
    binding: IoBinding,
    integers: BTreeMap<&'static str, Tensor<i64>>,
    floats: BTreeMap<&'static str, Tensor<f32>>,
    truths: BTreeMap<&'static str, Tensor<bool>>,
    scalars: BTreeMap<&'static str, Tensor<f32>>,
    gradients: BTreeMap<String, Tensor<f32>>,
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
        let session = start(runtime, &built, threads)?;
        let binding = session.create_binding()?;
        let mut program = Self {
            session,
            binding,
            integers: BTreeMap::new(),
            floats: BTreeMap::new(),
            truths: BTreeMap::new(),
            scalars: BTreeMap::new(),
            gradients: BTreeMap::new(),
        };
        let Shape { steps, batch, sampling } = shape;
        program.bind_integers("tokens", &[steps, batch])?;
        program.bind_floats("noise", &[batch, config.hparams.z_size])?;
        program.bind_floats("beta", &[])?;
        if sampling {
            program.bind_floats("uniform", &[steps, batch, config.output_depth()])?;
            let tensor = Tensor::<bool>::new(&Allocator::default(), vec![steps, batch])?;
            program.binding.bind_input("sampled", &tensor)?;
            program.truths.insert("sampled", tensor);
        } else {
            program.bind_integers("inputs", &[steps, batch])?;
        }
        for name in REPORT {
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
            program.gradients.insert(variable.clone(), tensor);
        }
        if let Purpose::Train { .. } = purpose {
            program.bind_floats("clip", &[])?;
            program.bind_floats("step_size", &[])?;
        }
        for update in &built.updates {
            program.binding.bind_input(&update.input, state.tensor(&update.input)?)?;
            program.binding.bind_output(&update.output, state.tensor_mut(&update.input)?)?;
        }
        Ok(program)
    }

    fn bind_integers(&mut self, name: &'static str, shape: &[usize]) -> Result<(), ort::Error> {
        let tensor = Tensor::<i64>::new(&Allocator::default(), shape.to_vec())?;
        self.binding.bind_input(name, &tensor)?;
        self.integers.insert(name, tensor);
        Ok(())
    }

    fn bind_floats(&mut self, name: &'static str, shape: &[usize]) -> Result<(), ort::Error> {
        let tensor = Tensor::<f32>::new(&Allocator::default(), shape.to_vec())?;
        self.binding.bind_input(name, &tensor)?;
        self.floats.insert(name, tensor);
        Ok(())
    }

    /// Runs one step. A program made to train has changed the state afterwards.
    ///
    /// # Errors
    /// [`ProgramError::Runtime`] when ONNX Runtime fails.
    ///
    /// # Panics
    /// When a part of the batch has another size than the program was built for.
    pub fn run(&mut self, batch: &Batch) -> Result<Report, ProgramError> {
        for (name, tensor) in &mut self.integers {
            let values = if *name == "tokens" { &batch.tokens } else { &batch.inputs };
            tensor.extract_tensor_mut().1.copy_from_slice(values);
        }
        for (name, tensor) in &mut self.floats {
            let memory = tensor.extract_tensor_mut().1;
            match *name {
                "noise" => memory.copy_from_slice(&batch.noise),
                "uniform" => memory.copy_from_slice(&batch.uniform),
                "beta" => memory[0] = batch.beta,
                "clip" => memory[0] = batch.clip,
                _ => memory[0] = batch.step_size,
            }
        }
        for tensor in self.truths.values_mut() {
            tensor.extract_tensor_mut().1.copy_from_slice(&batch.sampled);
        }
        self.session.run_binding(&self.binding)?;
        let scalar = |name: &str| self.scalars[name].extract_tensor().1[0];
        Ok(Report {
            loss: scalar("loss"),
            r_loss: scalar("r_loss"),
            kl: scalar("kl"),
            global_norm: scalar("global_norm"),
            accuracy: scalar("accuracy"),
        })
    }

    /// The gradients of the last run by variable; empty unless the program was made for them.
    pub fn gradients(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.gradients.iter().map(|(name, tensor)| (name.as_str(), tensor.extract_tensor().1))
    }
}

/// A session for a graph on the CPU.
///
/// # Errors
/// [`ProgramError`] when ONNX Runtime refuses the graph.
pub fn start(runtime: &Runtime, built: &Built, threads: usize) -> Result<Session, ProgramError> {
    let mut builder = runtime.session(Provider::Cpu, threads)?;
    Ok(builder.commit_from_memory(&built.model)?)
}
