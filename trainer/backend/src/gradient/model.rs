//! The whole training graph of a model, and the graph that evaluates it.
//!
//! Inputs of a training graph, as [`Batch`](crate::batch::Batch) describes them: what the
//! model reads and is to write, `noise`, the scalars `beta`, `clip`, `step_size`; with scheduled
//! sampling `uniform` and `sampled` in place of the decoder's `inputs`; with dropout a mask for each
//! LSTM layer; all variables and their moments. Outputs: the scalars of [`REPORT`] and the updated
//! variables and moments.
//!
//! Scheduled sampling runs the decoder twice: a rollout without gradient finds the inputs that
//! sampling leads to, then the usual pass with these inputs gives loss and gradients. No gradient
//! flows through a sampled output, so this is exact.

use interlude_models::config::{Config, OutputKind};
use interlude_models::tokens::Tokens;
use interlude_onnx::{ElementType, Graph, Value};
use thiserror::Error;

use super::core_decoder::Choices;
use super::decoder::{Decoder, Feeding, Windows};
use super::encoder::Encoder;
use super::pieces::{self, Pieces};
use super::posterior::{Divergence, Draw, Posterior};
use super::shape::Shape;
use interlude_gradient::adam::{self, Settings, Update};
use interlude_gradient::cell;
use interlude_gradient::dropout::Dropout;
use interlude_gradient::part::Part;
use interlude_gradient::tensors::{as_float, mean, reshape};
use interlude_gradient::variables::{Variables, dims};

/// Scalar outputs of every training graph: the loss, its reconstruction part, the mean divergence
/// in nats before free bits, the share of right steps, and the norm of all gradients.
pub const REPORT: [&str; 5] = ["loss", "r_loss", "kl", "accuracy", GLOBAL_NORM];
/// The one that graphs do not have which only give gradients out: a part of a batch has none.
pub const GLOBAL_NORM: &str = "global_norm";

/// Why a configuration cannot be trained.
#[derive(Debug, Error, PartialEq)]
pub enum GradientError {
    /// A list of layers is empty.
    #[error("`{name}` cannot be trained: {list} is empty")]
    NoLayer {
        /// Name of the configuration.
        name: String,
        /// The hyper-parameter.
        list: &'static str,
    },
    /// Windows that are no whole number of segments.
    #[error(
        "`{name}` cannot be trained on windows of {steps} steps: they must be a multiple of {segment}"
    )]
    Segments {
        /// Name of the configuration.
        name: String,
        /// Steps of a window.
        steps: usize,
        /// Steps of a segment.
        segment: usize,
    },
    /// Scheduled sampling with dropout, which is not supported.
    #[error("`{0}` cannot be trained with both scheduled sampling and dropout; switch one off")]
    SamplingAndDropout(String),
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

/// A graph under construction with the parts of a model, whose variables are declared.
struct Building<'a> {
    config: &'a Config,
    shape: Shape,
    /// Where operators go: the whole graph, or the body that differentiates a piece of the batch.
    graph: Graph,
    /// What the body of a piece reads; none when the batch is whole.
    pieces: Option<Pieces>,
    dropout: Dropout,
    variables: Variables,
    encoder: Encoder,
    posterior: Posterior,
    decoder: Decoder,
}

/// What both training and evaluation begin with.
struct Encoded {
    windows: Windows,
    pass: super::encoder::EncoderPass,
    draw: Draw,
    divergence: Divergence,
}

/// A training graph: loss, gradients, clipping and Adam's update with the decay `beta_2` of the
/// second moment.
///
/// # Errors
/// [`GradientError`] when the hyper-parameters do not fit each other.
pub fn training(config: &Config, shape: Shape, beta_2: f64) -> Result<Built, GradientError> {
    training_in(Graph::new("training").with_domain(cell::DOMAIN), config, shape, beta_2)
}

/// The same of standard operators only, which every execution provider has.
///
/// # Errors
/// [`GradientError`] when the hyper-parameters do not fit each other.
pub fn portable_training(
    config: &Config,
    shape: Shape,
    beta_2: f64,
) -> Result<Built, GradientError> {
    training_in(Graph::new("training"), config, shape, beta_2)
}

fn training_in(
    graph: Graph,
    config: &Config,
    shape: Shape,
    beta_2: f64,
) -> Result<Built, GradientError> {
    let mut building = Building::new(graph, config, shape, dropout(config))?;
    building.differentiate();
    let Building { mut graph, variables, .. } = building;
    let norm = norm(&mut graph, &variables);
    let limit = graph.input("clip", ElementType::F32, &[]);
    let step_size = graph.input("step_size", ElementType::F32, &[]);
    let settings = settings(config, beta_2);
    let updates = adam::update(&mut graph, &variables, settings, (&norm, &limit, &step_size));
    Ok(Built { updates, ..built(graph, &variables) })
}

/// The norm of all gradients, and the output of [`REPORT`] that tells it.
pub(super) fn norm(graph: &mut Graph, variables: &Variables) -> Value {
    let norm = adam::global_norm(graph, variables);
    graph.output(GLOBAL_NORM, &norm, ElementType::F32, &[]);
    norm
}

/// Settings of clipping and Adam.
pub(super) fn settings(config: &Config, beta_2: f64) -> Settings {
    #[expect(clippy::cast_possible_truncation, reason = "a bound in single precision")]
    let zero_from = config.hparams.grad_norm_clip_to_zero as f32;
    Settings { mode: config.hparams.clip_mode, zero_from, beta_2 }
}

/// A training graph that leaves clipped gradients in buffers, as ONNX Runtime's training API wants
/// it: with the input `lazy_reset_grad`, and for each variable `V` a buffer
/// `V_grad.accumulation.buffer` and an output `V_grad.accumulation.out`.
///
/// # Errors
/// [`GradientError`] when the hyper-parameters do not fit each other.
pub fn accumulating(config: &Config, shape: Shape) -> Result<Built, GradientError> {
    let graph = Graph::new("training");
    let mut building = Building::new(graph, config, shape, dropout(config))?;
    building.differentiate();
    let Building { mut graph, mut variables, .. } = building;
    variables.thaw(&mut graph);
    let norm = norm(&mut graph, &variables);
    let limit = graph.input("clip", ElementType::F32, &[]);
    let settings = settings(config, adam::BETA_2);
    let gradients = adam::clipped(&mut graph, &variables, settings, (&norm, &limit));
    let reset = graph.input("lazy_reset_grad", ElementType::Bool, &[1.into()]);
    for ((name, variable), gradient) in variables.iter().zip(&gradients) {
        let buffer = format!("{name}_grad.accumulation.buffer");
        let buffer = graph.input(&buffer, ElementType::F32, &dims(&variable.shape));
        let inputs = [&buffer, gradient, &reset];
        let done = graph.op_in("com.microsoft", "InPlaceAccumulatorV2", &inputs, &[], 1);
        let output = format!("{name}_grad.accumulation.out");
        graph.output(&output, &done[0], ElementType::Bool, &[1.into()]);
    }
    Ok(built(graph, &variables))
}

/// A graph of the loss and the gradient of every variable that is not frozen, without an update.
///
/// # Errors
/// [`GradientError`] when the hyper-parameters do not fit each other.
pub fn gradients(config: &Config, shape: Shape) -> Result<Built, GradientError> {
    let graph = Graph::new("gradients").with_domain(cell::DOMAIN);
    let mut building = Building::new(graph, config, shape, dropout(config))?;
    building.differentiate();
    let Building { mut graph, variables, .. } = building;
    let mut gradients = Vec::new();
    for (name, variable, gradient) in variables.with_gradients() {
        let output = format!("{name}/gradient");
        graph.output(&output, gradient, ElementType::F32, &dims(&variable.shape));
        gradients.push((name.to_owned(), output));
    }
    Ok(Built { gradients, ..built(graph, &variables) })
}

/// A graph that reconstructs windows from the mean of their posterior.
///
/// Inputs: what training reads but the noise and rates, and all variables. Outputs: the scalars
/// `r_loss` and `kl` (nats), the posteriors `mu` and `sigma` `[batch, z]`, and `forced` and `free`:
/// the most probable outputs with the given inputs, and with the decoder's own; tokens
/// `[steps, batch, parts]` or numbers `[steps, batch, output depth]`.
///
/// # Errors
/// [`GradientError`] when the hyper-parameters do not fit each other.
pub fn evaluation(config: &Config, steps: usize, batch: usize) -> Result<Built, GradientError> {
    let shape = Shape::new(steps, batch, false);
    let graph = Graph::new("evaluation");
    let mut building = Building::new(graph, config, shape, Dropout::NONE)?;
    let latent = building.posterior.latent();
    let noise = building.graph.floats(&[batch, latent], &vec![0.0; batch * latent]);
    let Encoded { windows, draw, divergence, .. } = building.encode(&noise, 0.0);
    let Building { mut graph, variables, decoder, .. } = building;
    let feeding = Feeding::Given;
    let pass = decoder.forward(&mut graph, Dropout::NONE, &draw.mu, &windows, &feeding);
    let (r_loss, _) = pass.quality(&mut graph);
    let nats = mean(&mut graph, &divergence.nats);
    graph.output("r_loss", &r_loss, ElementType::F32, &[]);
    graph.output("kl", &nats, ElementType::F32, &[]);
    for (name, value) in [("mu", &draw.mu), ("sigma", &draw.sigma)] {
        graph.output(name, value, ElementType::F32, &dims(&[batch, latent]));
    }
    let forced = decoder.forced(&mut graph, &pass, (steps, batch));
    let free = decoder.free(&mut graph, &pass, &draw.mu, &windows);
    for (name, parts) in [("forced", forced), ("free", free)] {
        let (element, whole) = if draws_tokens(config) {
            let parts: Vec<Value> = parts.iter().map(|part| graph.unsqueeze(part, &[2])).collect();
            (ElementType::I64, graph.concat(&parts.iter().collect::<Vec<_>>(), 2))
        } else {
            (ElementType::F32, parts[0].clone())
        };
        let extents = [steps, batch, window_width(config)];
        graph.output(name, &whole, element, &dims(&extents));
    }
    Ok(built(graph, &variables))
}

/// The dropout of training.
fn dropout(config: &Config) -> Dropout {
    #[expect(clippy::cast_possible_truncation, reason = "a probability in single precision")]
    let keep = config.hparams.dropout_keep_prob as f32;
    Dropout { keep }
}

/// Whether a model's outputs are tokens; otherwise they are rows of numbers.
pub fn draws_tokens(config: &Config) -> bool {
    config.output_kind().is_tokens()
}

/// Columns of one step of a window: tokens, or numbers.
pub fn window_width(config: &Config) -> usize {
    if draws_tokens(config) { config.outputs().len() } else { config.output_depth() }
}

pub(super) fn built(graph: Graph, variables: &Variables) -> Built {
    let names = variables.iter().map(|(name, variable)| (name.to_owned(), variable.shape.clone()));
    Built {
        variables: names.collect(),
        model: graph.into_model(),
        updates: Vec::new(),
        gradients: Vec::new(),
    }
}

fn check(config: &Config, shape: Shape, dropout: Dropout) -> Result<(), GradientError> {
    let name = config.name.clone();
    let hparams = &config.hparams;
    for (list, sizes) in
        [("enc_rnn_size", &hparams.enc_rnn_size), ("dec_rnn_size", &hparams.dec_rnn_size)]
    {
        if sizes.is_empty() {
            return Err(GradientError::NoLayer { name, list });
        }
    }
    let segment = hparams.max_seq_len / config.segments();
    let hierarchical = config.is_hierarchical();
    if hierarchical && (segment == 0 || !shape.steps.is_multiple_of(segment)) {
        return Err(GradientError::Segments { name, steps: shape.steps, segment });
    }
    if shape.sampling && dropout.keep < 1.0 {
        return Err(GradientError::SamplingAndDropout(name));
    }
    Ok(())
}

/// What the encoder reads, part by part.
fn encoder_parts(config: &Config) -> Vec<Part> {
    let mut parts: Vec<Part> = if config.encoder_reads_tokens() {
        config.outputs().iter().map(|&vocabulary| Part::Tokens { vocabulary }).collect()
    } else {
        vec![Part::Rows { width: config.input_depth() }]
    };
    let width = config.control_depth();
    parts.extend((width > 0).then_some(Part::Rows { width }));
    parts
}

impl<'a> Building<'a> {
    fn new(
        mut graph: Graph,
        config: &'a Config,
        shape: Shape,
        dropout: Dropout,
    ) -> Result<Self, GradientError> {
        check(config, shape, dropout)?;
        let hparams = &config.hparams;
        let mut variables = Variables::default();
        let encoder = Encoder::declare(
            &mut graph,
            &mut variables,
            &encoder_parts(config),
            &hparams.enc_rnn_size,
            config.hierarchical_encoder.then(|| config.upper_encoder_sizes()),
        );
        let width = encoder.width();
        let posterior = Posterior::declare(&mut graph, &mut variables, width, hparams.z_size);
        let decoder = Decoder::declare(&mut graph, &mut variables, config);
        variables.freeze(|name| shape.frozen.holds(name));
        let pieces = None;
        Ok(Self { config, shape, graph, pieces, dropout, variables, encoder, posterior, decoder })
    }

    /// Declares an input with the batch at an axis.
    fn input(
        &mut self,
        name: &str,
        element: ElementType,
        extents: &[usize],
        batch_axis: usize,
    ) -> Value {
        match &mut self.pieces {
            Some(pieces) => pieces.input(&mut self.graph, name, element, extents, batch_axis),
            None => self.graph.input(name, element, &dims(extents)),
        }
    }

    /// Declares the windows; what the encoder reads, and what the decoder does.
    fn windows(&mut self) -> (Vec<Value>, Windows) {
        let config = self.config;
        let Shape { steps, batch, whole, sampling, .. } = self.shape;
        let extents = [steps, batch, window_width(config)];
        let (mut read, targets, previous) = if draws_tokens(config) {
            let tokens = self.input("tokens", ElementType::I64, &extents, 1);
            let tokens = columns(&mut self.graph, &tokens, extents);
            let previous = if sampling {
                earlier(&mut self.graph, &self.decoder, &tokens, (steps, batch))
            } else {
                let previous = self.input("inputs", ElementType::I64, &extents, 1);
                columns(&mut self.graph, &previous, extents)
            };
            let read = match codes(&mut self.graph, config) {
                Some(codes) => vec![self.graph.gather(&codes, &tokens[0])],
                None => tokens.clone(),
            };
            (read, tokens, previous)
        } else {
            let wide = [steps, batch, config.input_depth()];
            let read = self.input("encoder_inputs", ElementType::F32, &wide, 1);
            let targets = vec![self.input("targets", ElementType::F32, &extents, 1)];
            let previous = earlier(&mut self.graph, &self.decoder, &targets, (steps, batch));
            (vec![read], targets, previous)
        };
        let width = config.control_depth();
        let controls = (width > 0)
            .then(|| self.input("controls", ElementType::F32, &[steps, batch, width], 1));
        read.extend(controls.clone());
        (read, Windows { targets, previous, controls, sizes: (steps, batch), whole })
    }

    /// Encoder, posterior and a draw from it.
    fn encode(&mut self, noise: &Value, free_bits: f32) -> Encoded {
        let (read, windows) = self.windows();
        let Self { config, shape, graph, dropout, encoder, posterior, .. } = self;
        let segments = shape.steps / (config.hparams.max_seq_len / config.segments()).max(1);
        let (embedding, pass) = encoder.forward(graph, *dropout, &read, segments, windows.sizes);
        let draw = posterior.forward(graph, &embedding, noise);
        let divergence = Posterior::divergence(graph, &draw, free_bits);
        Encoded { windows, pass, draw, divergence }
    }

    /// Forward and backward pass, a piece of the batch at a time if it is large; sets all gradients,
    /// and declares the outputs of [`REPORT`] but the norm.
    fn differentiate(&mut self) {
        let beta = self.graph.input("beta", ElementType::F32, &[]);
        let count = pieces::count(self.shape, self.dropout);
        let report = if count == 1 {
            self.pass(&beta)
        } else {
            let (pieces, body) = Pieces::begin(&mut self.graph, &self.variables, count);
            let whole = std::mem::replace(&mut self.graph, body);
            self.shape.batch /= count;
            self.pieces = Some(pieces);
            let report = self.pass(&beta);
            self.shape.batch *= count;
            let body = std::mem::replace(&mut self.graph, whole);
            let pieces = self.pieces.take().expect("it was set above");
            pieces.end(&mut self.graph, body, &mut self.variables, report)
        };
        for (name, value) in REPORT.into_iter().zip(&report) {
            self.graph.output(name, value, ElementType::F32, &[]);
        }
    }

    /// Forward and backward pass over what the graph reads: sets all gradients, and returns loss,
    /// reconstruction loss, divergence in nats and accuracy.
    fn pass(&mut self, beta: &Value) -> [Value; 4] {
        let Shape { steps, batch, whole, sampling, .. } = self.shape;
        let config = self.config;
        let noise = [batch, self.posterior.latent()];
        let noise = self.input("noise", ElementType::F32, &noise, 0);
        #[expect(clippy::cast_possible_truncation, reason = "a setting in single precision")]
        let free_bits = config.hparams.free_bits as f32;
        let Encoded { windows, pass, draw, divergence } = self.encode(&noise, free_bits);
        let feeding = if sampling {
            let extents = [steps, batch, config.output_depth()];
            // NADE takes the more probable bits and needs no noise.
            let uniform = (config.output_kind() != OutputKind::Nade)
                .then(|| self.input("uniform", ElementType::F32, &extents, 1));
            let sampled = self.input("sampled", ElementType::Bool, &[steps, batch], 1);
            Feeding::Sampled(Choices { uniform, sampled: Some(sampled) })
        } else {
            Feeding::Given
        };
        let Self { graph, dropout, variables, encoder, posterior, decoder, .. } = self;
        let decoded = decoder.forward(graph, *dropout, &draw.z, &windows, &feeding);
        let (r_loss, accuracy) = decoded.quality(graph);
        let nats = mean(graph, &divergence.nats);
        // The reconstruction loss is a mean over all examples of the whole already.
        let share = graph.scalar(as_float(batch) / as_float(whole));
        let [cost, nats, accuracy] =
            [&divergence.cost, &nats, &accuracy].map(|mean| graph.mul(&share, mean));
        let weighted = graph.mul(beta, &cost);
        let loss = graph.add(&r_loss, &weighted);

        let dz = decoder.backward(graph, variables, &decoded);
        let rest = (&dz, beta, whole);
        let dembedding = posterior.backward(graph, variables, &draw, &divergence, rest);
        encoder.backward(graph, variables, &pass, &dembedding);
        [loss, r_loss, nats, accuracy]
    }
}

/// The rows by which the encoder reads tokens that it does not read one-hot.
fn codes(graph: &mut Graph, config: &Config) -> Option<Value> {
    if !draws_tokens(config) || config.encoder_reads_tokens() {
        return None;
    }
    let shape = [config.output_depth(), config.input_depth()];
    let ids: Vec<u16> = (0..=u16::MAX).take(shape[0]).collect();
    let rows = Tokens::from_ids(config, &ids).and_then(|tokens| tokens.input_rows(config));
    Some(graph.floats(&shape, &rows.expect("all tokens of the vocabulary have rows")))
}

/// The columns of tokens `[steps, batch, parts]`, each `[steps, batch]`.
fn columns(graph: &mut Graph, tokens: &Value, [steps, batch, parts]: [usize; 3]) -> Vec<Value> {
    let columns = graph.split(tokens, &vec![1; parts], 2);
    columns.iter().map(|column| reshape(graph, column, &[steps, batch])).collect()
}

/// Each part one step later, with "none" at the first step.
fn earlier(
    graph: &mut Graph,
    decoder: &Decoder,
    parts: &[Value],
    (steps, batch): (usize, usize),
) -> Vec<Value> {
    let last = i64::try_from(steps).expect("windows are short") - 1;
    let none = decoder.none(graph, batch);
    let shift = |(part, none): (&Value, Value)| {
        let kept = graph.slice(part, 0, last, 0);
        let none = graph.unsqueeze(&none, &[0]);
        graph.concat(&[&none, &kept], 0)
    };
    parts.iter().zip(none).map(shift).collect()
}
