//! The whole training graph of a model, and the graph that evaluates it.
//!
//! Inputs of a training graph: `tokens` `[steps, batch]`, `noise` `[batch, latent]`, the scalars
//! `beta`, `clip`, `step_size`; the decoder's `inputs` `[steps, batch]` (the token before each step,
//! the vocabulary's size for none), or with scheduled sampling `uniform`
//! `[steps, batch, vocabulary]` and `sampled` `[steps, batch]` in their place; all variables and
//! their moments. Outputs: the scalars of [`REPORT`] and the updated variables and moments.
//!
//! Scheduled sampling runs the decoder twice: a rollout without gradient finds the inputs that
//! sampling leads to, then the usual pass with these inputs gives loss and gradients. No gradient
//! flows through a sampled token, so this is exact.

use interlude_models::config::{Config, OutputKind};
use interlude_models::onnx::{ElementType, Graph, Value};
use interlude_models::tokens::Tokens;
use thiserror::Error;

use super::adam::{self, Settings, Update};
use super::categorical::{self, one_hot};
use super::decoder::{Choices, Decoder};
use super::encoder::Encoder;
use super::posterior::{Posterior, mean};
use super::variables::{Variables, dims};

/// Scalar outputs of every training graph: the loss, its reconstruction part, the mean divergence
/// in nats before free bits, the norm of all gradients, and the share of right tokens.
pub const REPORT: [&str; 5] = ["loss", "r_loss", "kl", "global_norm", "accuracy"];

/// A configuration that the gradient graph cannot express.
#[derive(Debug, Error, PartialEq)]
pub enum GradientError {
    /// The output or encoder is of a kind without a backward pass.
    #[error("`{0}` cannot be trained: only flat models of one token a step without controls can")]
    Unsupported(String),
    /// The encoder has several layers.
    #[error("`{name}` cannot be trained: enc_rnn_size has {layers} layers, one can be trained")]
    EncoderLayers {
        /// Configuration.
        name: String,
        /// Layers asked for.
        layers: usize,
    },
    /// The decoder has no layer.
    #[error("`{0}` cannot be trained: dec_rnn_size is empty")]
    NoDecoder(String),
}

/// What a training graph is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Steps of a window.
    pub steps: usize,
    /// Examples in a batch.
    pub batch: usize,
    /// Whether the decoder's inputs come from scheduled sampling.
    pub sampling: bool,
}

/// A graph ready for a session.
#[derive(Debug)]
pub struct Built {
    /// Bytes of the `.onnx` file.
    pub model: Vec<u8>,
    /// Names and shapes of all variables.
    pub variables: Vec<(String, Vec<usize>)>,
    /// Inputs that a step replaces; empty when nothing is updated.
    pub updates: Vec<Update>,
    /// Outputs that carry the gradient of a variable: variable and output.
    pub gradients: Vec<(String, String)>,
}

/// A size as a float.
///
/// # Panics
/// When the size does not fit in 16 bits: batches are far smaller.
pub fn as_float(size: usize) -> f32 {
    f32::from(u16::try_from(size).expect("batch sizes are below 65536"))
}

/// The parts of a model whose variables are declared.
struct Parts {
    variables: Variables,
    encoder: Encoder,
    posterior: Posterior,
    decoder: Decoder,
}

fn check(config: &Config) -> Result<(), GradientError> {
    let name = || config.name.clone();
    if config.output_kind() != OutputKind::Categorical
        || config.hierarchical_encoder
        || config.hierarchical_decoder
        || config.control_depth() > 0
    {
        return Err(GradientError::Unsupported(name()));
    }
    if config.hparams.enc_rnn_size.len() != 1 {
        let layers = config.hparams.enc_rnn_size.len();
        return Err(GradientError::EncoderLayers { name: name(), layers });
    }
    if config.hparams.dec_rnn_size.is_empty() {
        return Err(GradientError::NoDecoder(name()));
    }
    Ok(())
}

/// The rows by which the encoder reads the tokens, for configurations whose encoder does not read
/// them one-hot.
fn codes(graph: &mut Graph, config: &Config) -> Option<Value> {
    let shape = [config.output_depth(), config.input_depth()];
    if shape[0] == shape[1] {
        return None;
    }
    let ids: Vec<u16> = (0..=u16::MAX).take(shape[0]).collect();
    let rows = Tokens::from_ids(config, &ids).and_then(|tokens| tokens.input_rows(config));
    Some(graph.floats(&shape, &rows.expect("the vocabulary's own tokens have rows")))
}

impl Parts {
    fn declare(graph: &mut Graph, config: &Config) -> Result<Self, GradientError> {
        check(config)?;
        let hparams = &config.hparams;
        let (vocabulary, latent) = (config.output_depth(), hparams.z_size);
        let mut variables = Variables::default();
        let units = hparams.enc_rnn_size[0];
        let codes = codes(graph, config);
        let encoder = Encoder::declare(graph, &mut variables, config.input_depth(), units, codes);
        let posterior = Posterior::declare(graph, &mut variables, 2 * units, latent);
        let decoder =
            Decoder::declare(graph, &mut variables, vocabulary, latent, &hparams.dec_rnn_size);
        Ok(Self { variables, encoder, posterior, decoder })
    }

    fn names(&self) -> Vec<(String, Vec<usize>)> {
        self.variables
            .iter()
            .map(|(name, variable)| (name.to_owned(), variable.shape.clone()))
            .collect()
    }
}

/// A training graph: loss, gradients, clipping and Adam's update with the decay `beta_2` of the
/// second moment.
///
/// # Errors
/// [`GradientError`] when the configuration is of a kind that cannot be trained.
pub fn training(config: &Config, shape: Shape, beta_2: f64) -> Result<Built, GradientError> {
    let mut graph = Graph::new("training");
    let mut parts = Parts::declare(&mut graph, config)?;
    differentiate(&mut graph, &mut parts, config, shape);
    let norm = adam::global_norm(&mut graph, &parts.variables);
    graph.output("global_norm", &norm, ElementType::F32, &[]);
    let limit = graph.input("clip", ElementType::F32, &[]);
    let step_size = graph.input("step_size", ElementType::F32, &[]);
    let settings = settings(config, beta_2);
    let updates = adam::update(&mut graph, &parts.variables, settings, (&norm, &limit, &step_size));
    let variables = parts.names();
    Ok(Built { model: graph.into_model(), variables, updates, gradients: Vec::new() })
}

/// How gradients are clipped and remembered.
fn settings(config: &Config, beta_2: f64) -> Settings {
    #[expect(clippy::cast_possible_truncation, reason = "a bound in single precision")]
    let zero_from = config.hparams.grad_norm_clip_to_zero as f32;
    Settings { mode: config.hparams.clip_mode, zero_from, beta_2 }
}

/// A training graph that leaves clipped gradients in buffers, as ONNX Runtime's training API wants
/// it: with the input `lazy_reset_grad`, and for each variable `V` a buffer
/// `V_grad.accumulation.buffer` and an output `V_grad.accumulation.out`.
///
/// # Errors
/// [`GradientError`] when the configuration is of a kind that cannot be trained.
pub fn accumulating(config: &Config, shape: Shape) -> Result<Built, GradientError> {
    let mut graph = Graph::new("training");
    let mut parts = Parts::declare(&mut graph, config)?;
    differentiate(&mut graph, &mut parts, config, shape);
    let norm = adam::global_norm(&mut graph, &parts.variables);
    graph.output("global_norm", &norm, ElementType::F32, &[]);
    let limit = graph.input("clip", ElementType::F32, &[]);
    let settings = settings(config, adam::BETA_2);
    let gradients = adam::clipped(&mut graph, &parts.variables, settings, (&norm, &limit));
    let reset = graph.input("lazy_reset_grad", ElementType::Bool, &[1.into()]);
    for ((name, variable), gradient) in parts.variables.iter().zip(&gradients) {
        let buffer = format!("{name}_grad.accumulation.buffer");
        let buffer = graph.input(&buffer, ElementType::F32, &dims(&variable.shape));
        let inputs = [&buffer, gradient, &reset];
        let done = graph.op_in("com.microsoft", "InPlaceAccumulatorV2", &inputs, &[], 1);
        let output = format!("{name}_grad.accumulation.out");
        graph.output(&output, &done[0], ElementType::Bool, &[1.into()]);
    }
    let variables = parts.names();
    Ok(Built { model: graph.into_model(), variables, updates: Vec::new(), gradients: Vec::new() })
}

/// A graph of the loss and the gradient of every variable, without an update.
///
/// # Errors
/// [`GradientError`] when the configuration is of a kind that cannot be trained.
pub fn gradients(config: &Config, shape: Shape) -> Result<Built, GradientError> {
    let mut graph = Graph::new("gradients");
    let mut parts = Parts::declare(&mut graph, config)?;
    differentiate(&mut graph, &mut parts, config, shape);
    let norm = adam::global_norm(&mut graph, &parts.variables);
    graph.output("global_norm", &norm, ElementType::F32, &[]);
    let mut gradients = Vec::new();
    for (name, variable, gradient) in parts.variables.with_gradients() {
        let output = format!("{name}/gradient");
        graph.output(&output, gradient, ElementType::F32, &dims(&variable.shape));
        gradients.push((name.to_owned(), output));
    }
    let variables = parts.names();
    Ok(Built { model: graph.into_model(), variables, updates: Vec::new(), gradients })
}

/// Forward and backward pass; sets all gradients and declares the outputs but the norm.
fn differentiate(graph: &mut Graph, parts: &mut Parts, config: &Config, shape: Shape) {
    let Parts { variables, encoder, posterior, decoder } = parts;
    let Shape { steps, batch, .. } = shape;
    let vocabulary = config.output_depth();
    let tokens = graph.input("tokens", ElementType::I64, &[steps.into(), batch.into()]);
    let noise = graph.input("noise", ElementType::F32, &[batch.into(), posterior.latent().into()]);
    let beta = graph.input("beta", ElementType::F32, &[]);

    let (embedding, traces) = encoder.forward(graph, &tokens, batch);
    let draw = posterior.forward(graph, &embedding, &noise);
    #[expect(clippy::cast_possible_truncation, reason = "a setting in single precision")]
    let free_bits = config.hparams.free_bits as f32;
    let divergence = Posterior::divergence(graph, &draw, free_bits);
    let inputs = decoder_inputs(graph, decoder, &tokens, &draw.z, vocabulary, shape);
    let forward = decoder.forward(graph, &draw.z, &inputs, (steps, batch));
    let targets = one_hot(graph, &tokens, vocabulary);
    let prediction = categorical::forward(graph, &forward.logits, &targets, &tokens, batch);
    let weighted = graph.mul(&beta, &divergence.cost);
    let loss = graph.add(&prediction.loss, &weighted);
    let nats = mean(graph, &divergence.nats);
    let report = [
        ("loss", &loss),
        ("r_loss", &prediction.loss),
        ("kl", &nats),
        ("accuracy", &prediction.accuracy),
    ];
    for (name, value) in report {
        graph.output(name, value, ElementType::F32, &[]);
    }

    let dlogits = categorical::backward(graph, &prediction);
    let dz = decoder.backward(graph, variables, &forward, &inputs, (&dlogits, steps, batch));
    let dembedding = posterior.backward(graph, variables, &draw, &divergence, (&dz, &beta, batch));
    encoder.backward(graph, variables, &traces, &targets, (&dembedding, steps, batch));
}

/// The token before each step: an input of the graph, or what scheduled sampling leads to.
fn decoder_inputs(
    graph: &mut Graph,
    decoder: &Decoder,
    tokens: &Value,
    z: &Value,
    vocabulary: usize,
    shape: Shape,
) -> Value {
    let Shape { steps, batch, sampling } = shape;
    if !sampling {
        return graph.input("inputs", ElementType::I64, &[steps.into(), batch.into()]);
    }
    let extents = [steps.into(), batch.into(), vocabulary.into()];
    let uniform = graph.input("uniform", ElementType::F32, &extents);
    let sampled = graph.input("sampled", ElementType::Bool, &[steps.into(), batch.into()]);
    let choices =
        Choices { uniform: Some(uniform), sampled: Some(sampled), targets: tokens.clone() };
    decoder.rollout(graph, z, &choices, batch).inputs
}

/// A graph that reconstructs windows from the mean of their posterior.
///
/// Inputs: `tokens` `[steps, batch]`, `inputs` `[steps, batch]` and all variables. Outputs: the
/// scalars `r_loss` and `kl` (nats), and `forced` and `free`, both `[steps, batch]`: the most likely
/// tokens with the given inputs, and with the decoder's own.
///
/// # Errors
/// [`GradientError`] when the configuration is of a kind that cannot be trained.
pub fn evaluation(config: &Config, steps: usize, batch: usize) -> Result<Built, GradientError> {
    let mut graph = Graph::new("evaluation");
    let parts = Parts::declare(&mut graph, config)?;
    let graph = &mut graph;
    let vocabulary = config.output_depth();
    let extents = [steps.into(), batch.into()];
    let tokens = graph.input("tokens", ElementType::I64, &extents);
    let inputs = graph.input("inputs", ElementType::I64, &extents);
    let (embedding, _) = parts.encoder.forward(graph, &tokens, batch);
    let latent = parts.posterior.latent();
    let noise = graph.floats(&[batch, latent], &vec![0.0; batch * latent]);
    let draw = parts.posterior.forward(graph, &embedding, &noise);
    let divergence = Posterior::divergence(graph, &draw, 0.0);
    let forward = parts.decoder.forward(graph, &draw.mu, &inputs, (steps, batch));
    let targets = one_hot(graph, &tokens, vocabulary);
    let prediction = categorical::forward(graph, &forward.logits, &targets, &tokens, batch);
    let nats = mean(graph, &divergence.nats);
    graph.output("r_loss", &prediction.loss, ElementType::F32, &[]);
    graph.output("kl", &nats, ElementType::F32, &[]);
    let forced = categorical::argmax(graph, &forward.logits, 1);
    let forced = super::lstm::reshape(graph, &forced, &[steps, batch]);
    graph.output("forced", &forced, ElementType::I64, &extents);
    let choices = Choices { uniform: None, sampled: None, targets: tokens };
    let rollout = parts.decoder.rollout(graph, &draw.mu, &choices, batch);
    graph.output("free", &rollout.tokens, ElementType::I64, &extents);
    let variables = parts.names();
    let graph = std::mem::replace(graph, Graph::new("done"));
    Ok(Built { model: graph.into_model(), variables, updates: Vec::new(), gradients: Vec::new() })
}
