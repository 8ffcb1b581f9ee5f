//! Runs a model: windows of music to latent codes and back.
//!
//! Encoding is one run of a graph. Decoding runs a graph for each step and feeds back what it
//! sampled; all examples of a batch advance together, which costs little more than one alone.
//! An engine belongs to one thread at a time and keeps no state between calls.

mod decoder;
mod repeats;
mod session;
mod taste;

use std::ops::ControlFlow;
use std::path::PathBuf;

use thiserror::Error;

pub use crate::noise::NoiseKey;
pub use decoder::{Decoder, Sample};
use interlude_gradient::autoencoder::Example;
pub use repeats::Repeats;
pub use taste::Taste;

use crate::config::Config;
use crate::families::line;
use crate::network::Part;
use crate::network::interface::categorical;
use crate::package::Package;
use crate::runtime::{Provider, Runtime, RuntimeError};
use crate::steering::{Run, Steering, SteeringError};
use crate::tokens::{Controls, TokenError, Tokens};
use repeats::Repeating;
use session::Network;

/// Examples that are encoded in one run at most, which bounds memory.
const ENCODER_BATCH: usize = 64;

/// Where a model runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineOptions {
    /// What computes.
    pub provider: Provider,
    /// Threads of one operator; 0 leaves the choice to the runtime.
    pub threads: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { provider: Provider::Cpu, threads: 1 }
    }
}

/// What the encoder believes about a window: a normal distribution of latent codes with
/// independent dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Posterior {
    /// Mean of each dimension.
    pub mu: Vec<f32>,
    /// Standard deviation of each dimension, above 0.
    pub sigma: Vec<f32>,
}

impl Posterior {
    /// Kullback-Leibler divergence from the prior, the standard normal distribution, in nats.
    pub fn divergence(&self) -> f64 {
        let nats = |(&mu, &sigma): (&f32, &f32)| {
            let (mu, sigma) = (f64::from(mu), f64::from(sigma));
            0.5 * (mu * mu + sigma * sigma - 1.0) - sigma.ln()
        };
        self.mu.iter().zip(&self.sigma).map(nats).sum()
    }
}

impl From<Posterior> for Example {
    fn from(posterior: Posterior) -> Self {
        Self { mean: posterior.mu, deviation: posterior.sigma }
    }
}

/// How to decode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecodeSettings {
    /// How far samples stray from the most probable: 1 follows the model's probabilities, 0 always
    /// takes the most probable.
    pub temperature: f32,
    /// Where each example's noise comes from.
    pub keys: Vec<NoiseKey>,
    /// Controls of each example, for models that have them.
    pub controls: Option<Vec<Controls>>,
    /// Steps to decode; the model's window when absent.
    pub steps: Option<usize>,
    /// What each example leans to, of models of melodies; nothing when empty.
    pub tastes: Vec<Taste>,
    /// What each example keeps to; nothing when empty.
    pub steering: Vec<Steering>,
    /// The bars that each example repeats, unless it keeps some of a pattern; none when empty.
    pub repeats: Vec<Option<Repeats>>,
}

/// Why a model could not be loaded or run.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The runtime lacks the provider.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A graph's file cannot be loaded.
    #[error("`{}` cannot be loaded: {reason}", file.display())]
    Load {
        /// The file.
        file: PathBuf,
        /// The runtime's words.
        reason: String,
    },
    /// A graph is not the one that the configuration needs.
    #[error("`{}` does not fit `{config}`: expected {expected}, found {found}", file.display())]
    Interface {
        /// The file.
        file: PathBuf,
        /// Name of the configuration.
        config: String,
        /// What is needed.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A graph fails while it runs.
    #[error("`{}` fails: {reason}", file.display())]
    Run {
        /// The file.
        file: PathBuf,
        /// The runtime's words.
        reason: String,
    },
    /// Tokens or controls do not fit the model.
    #[error(transparent)]
    Tokens(#[from] TokenError),
    /// Controls are missing, or there are some that the model does not know.
    #[error("`{config}` {expected}")]
    Controls {
        /// Name of the configuration.
        config: String,
        /// What it needs, in words.
        expected: String,
    },
    /// A window with more steps than the model reads, or with fewer where it reads whole ones.
    #[error("a window has {found} steps, `{config}` reads {expected}")]
    Steps {
        /// Name of the configuration.
        config: String,
        /// Steps of the window.
        found: usize,
        /// What it reads, in words.
        expected: String,
    },
    /// A latent code of another size.
    #[error("a latent code has {found} dimensions, the model has {expected}")]
    Latent {
        /// Dimensions of the model.
        expected: usize,
        /// Dimensions given.
        found: usize,
    },
    /// A latent code with NaN or infinity.
    #[error("latent code {index} holds a value that is no finite number")]
    NotFinite {
        /// Which example.
        index: usize,
    },
    /// What is to be kept cannot be made.
    #[error(transparent)]
    Steering(#[from] SteeringError),
    /// Settings that do not belong to the examples.
    #[error("decoding: {0}")]
    Settings(String),
}

/// A loaded model.
#[derive(Debug)]
pub struct Engine {
    config: Config,
    provider: Provider,
    encoder: Network,
    conductor: Option<Network>,
    init: Network,
    step: Network,
}

impl Engine {
    /// Loads the graphs of a model.
    ///
    /// # Errors
    /// [`EngineError`] names the file that is missing, damaged, or of another model.
    pub fn load(
        runtime: &Runtime,
        package: &Package,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let config = package.info.config.clone();
        let load = |part| Network::load(runtime, package, part, options);
        Ok(Self {
            provider: options.provider,
            encoder: load(Part::Encoder)?,
            conductor: config.hierarchical_decoder.then(|| load(Part::Conductor)).transpose()?,
            init: load(Part::Init)?,
            step: load(Part::Step)?,
            config,
        })
    }

    /// The model's configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What computes.
    pub fn provider(&self) -> Provider {
        self.provider
    }

    /// Encodes windows, with the controls of each for models that have them.
    ///
    /// # Errors
    /// [`EngineError`] for windows or controls that do not fit the model, and a graph that fails.
    pub fn encode(
        &mut self,
        windows: &[Tokens],
        controls: Option<&[Controls]>,
    ) -> Result<Vec<Posterior>, EngineError> {
        check_count(controls, windows.len())?;
        let mut posteriors = Vec::with_capacity(windows.len());
        for (index, windows) in windows.chunks(ENCODER_BATCH).enumerate() {
            let first = index * ENCODER_BATCH;
            let controls = controls.map(|controls| &controls[first..first + windows.len()]);
            posteriors.extend(self.encode_batch(windows, controls)?);
        }
        Ok(posteriors)
    }

    fn encode_batch(
        &mut self,
        windows: &[Tokens],
        controls: Option<&[Controls]>,
    ) -> Result<Vec<Posterior>, EngineError> {
        let config = &self.config;
        let longest = config.hparams.max_seq_len;
        let mut inputs = EncoderInputs::default();
        for (index, window) in windows.iter().enumerate() {
            let steps = window.len();
            inputs.rows.push(window.input_rows(config)?);
            let controls = controls.map(|controls| &controls[index]);
            inputs.controls.push(control_rows(config, controls, steps)?);
            inputs.lengths.push(steps);
        }
        let wrong = |&steps: &usize| EngineError::Steps {
            config: config.name.clone(),
            found: steps,
            expected: if config.hierarchical_encoder {
                format!("exactly {longest}")
            } else {
                format!("up to {longest}")
            },
        };
        let bad =
            |&&steps: &&usize| steps > longest || (config.hierarchical_encoder && steps != longest);
        if let Some(steps) = inputs.lengths.iter().find(bad) {
            return Err(wrong(steps));
        }
        self.encode_rows(&inputs)
    }

    /// Encodes vectors of any content, all rows as they are.
    ///
    /// # Errors
    /// [`EngineError::Run`] when the graph fails.
    pub fn encode_rows(&mut self, inputs: &EncoderInputs) -> Result<Vec<Posterior>, EngineError> {
        let config = &self.config;
        let batch = inputs.lengths.len();
        if batch == 0 {
            return Ok(Vec::new());
        }
        let steps = if config.hierarchical_encoder {
            config.hparams.max_seq_len
        } else {
            inputs.lengths.iter().copied().max().unwrap_or(0).max(1)
        };
        let padded = |rows: &[Vec<f32>], depth: usize| {
            let mut all = Vec::with_capacity(batch * steps * depth);
            for row in rows {
                let taken = row.len().min(steps * depth);
                all.extend_from_slice(&row[..taken]);
                all.resize(all.len() + steps * depth - taken, 0.0);
            }
            all
        };
        let lengths: Vec<i32> = inputs
            .lengths
            .iter()
            .map(|&length| i32::try_from(length).unwrap_or(i32::MAX))
            .collect();
        let graph = &mut self.encoder;
        let depth = config.input_depth();
        let rows = graph.tensor(&[batch, steps, depth], padded(&inputs.rows, depth))?;
        let mut values = vec![
            ("inputs".into(), rows.into()),
            ("lengths".into(), graph.tensor(&[batch], lengths)?.into()),
        ];
        let depth = config.control_depth();
        if depth > 0 {
            let controls = padded(&inputs.controls, depth);
            let controls = graph.tensor(&[batch, steps, depth], controls)?;
            values.push(("controls".into(), controls.into()));
        }
        let size = config.hparams.z_size;
        let outputs = graph.run(values)?;
        let mu = outputs.elements::<f32>("mu", batch * size)?;
        let sigma = outputs.elements::<f32>("sigma", batch * size)?;
        let posterior =
            |(mu, sigma): (&[f32], &[f32])| Posterior { mu: mu.to_vec(), sigma: sigma.to_vec() };
        Ok(mu.chunks_exact(size).zip(sigma.chunks_exact(size)).map(posterior).collect())
    }

    /// Begins to decode latent codes, to be advanced step by step.
    ///
    /// # Errors
    /// [`EngineError`] for latent codes of another size or without finite values.
    pub fn begin(&mut self, z: &[Vec<f32>]) -> Result<Decoder<'_>, EngineError> {
        Decoder::new(self, z)
    }

    /// Decodes latent codes. After each step `on_step` is told its zero-based number; when it
    /// breaks, what is decoded so far is returned.
    ///
    /// # Errors
    /// [`EngineError`] for latent codes or settings that do not fit, and a graph that fails.
    pub fn decode(
        &mut self,
        z: &[Vec<f32>],
        settings: &DecodeSettings,
        on_step: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Tokens>, EngineError> {
        let steps = self.check_settings(z, settings)?;
        let config = self.config.clone();
        let depth = config.control_depth();
        let controls = (0..z.len())
            .map(|index| {
                let controls = settings.controls.as_ref().map(|controls| &controls[index]);
                control_rows(&config, controls, steps)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let (mut tokens, mut values) = (vec![Vec::new(); z.len()], vec![Vec::new(); z.len()]);
        let steering = settings.steering.iter().map(|steering| steering.begin(&config, steps));
        let mut steering = steering.collect::<Result<Vec<Run>, _>>()?;
        let mut repeating = repeating(&config, settings, z.len());
        if !z.is_empty() {
            let mut decoder = self.begin(z)?;
            for step in 0..steps {
                let noise = (settings.temperature > 0.0).then(|| decoder.noise(&settings.keys));
                let (temperature, noise) = leaning(settings, noise, &tokens, z.len(), &config);
                let (temperature, noise) = decoder.masked(&mut steering, temperature, noise);
                let row = |controls: &Vec<f32>| controls[step * depth..(step + 1) * depth].to_vec();
                let control = (depth > 0).then(|| controls.iter().flat_map(row).collect());
                decoder.step(temperature, noise, control)?;
                decoder.repeat(&repeating);
                decoder.settle(&mut steering, temperature);
                match decoder.sample() {
                    Sample::Tokens(sample) => {
                        let width = sample.len() / z.len();
                        let samples = sample.chunks_exact(width);
                        for (repeating, sample) in repeating.iter_mut().zip(samples) {
                            repeating.iter_mut().for_each(|it| it.hear(sample));
                        }
                        append(&mut tokens, sample);
                    }
                    Sample::Values(sample) => append(&mut values, sample),
                }
                if on_step(step).is_break() {
                    break;
                }
            }
        }
        if categorical(&config) {
            // A token beyond 16 bits is beyond every vocabulary, which is an error below.
            let narrow = |&token: &i64| u16::try_from(token).unwrap_or(u16::MAX);
            let ids = tokens.iter().map(|tokens| tokens.iter().map(narrow).collect::<Vec<_>>());
            Ok(ids.map(|ids| Tokens::from_ids(&config, &ids)).collect::<Result<_, _>>()?)
        } else {
            let values = values.iter().map(|values| Tokens::from_output_rows(&config, values));
            Ok(values.collect::<Result<_, _>>()?)
        }
    }

    /// Runs each graph on an empty window, so that what a provider does in its first runs, such as
    /// compiling kernels, is done, and a provider that cannot run the model fails here.
    ///
    /// # Errors
    /// [`EngineError::Run`] when a graph fails.
    pub fn warm_up(&mut self) -> Result<(), EngineError> {
        let config = &self.config;
        let (window, size) = (config.hparams.max_seq_len, config.hparams.z_size);
        let steps = window.min(2);
        let controls = Controls::none(config, steps).map(|controls| vec![controls]);
        let empty = || vec![Vec::new()];
        let inputs = EncoderInputs { rows: empty(), controls: empty(), lengths: vec![window] };
        self.encode_rows(&inputs)?;
        let steps = Some(steps);
        let settings = DecodeSettings { controls, steps, ..DecodeSettings::default() };
        self.decode(&[vec![0.0; size]], &settings, &mut |_| ControlFlow::Continue(()))?;
        Ok(())
    }

    /// Number of steps to decode, when the settings fit the examples.
    fn check_settings(
        &self,
        z: &[Vec<f32>],
        settings: &DecodeSettings,
    ) -> Result<usize, EngineError> {
        let window = self.config.hparams.max_seq_len;
        let steps = settings.steps.unwrap_or(window);
        if steps > window {
            let text = format!("{steps} steps are more than the model's window of {window}");
            return Err(EngineError::Settings(text));
        }
        if !(settings.temperature.is_finite() && settings.temperature >= 0.0) {
            let text = format!("temperature {} is not 0 or above", settings.temperature);
            return Err(EngineError::Settings(text));
        }
        if settings.temperature > 0.0 && settings.keys.len() != z.len() {
            let text = format!(
                "{} latent codes need as many noise keys, not {}",
                z.len(),
                settings.keys.len()
            );
            return Err(EngineError::Settings(text));
        }
        check_count(settings.controls.as_deref(), z.len())?;
        if !settings.steering.is_empty() && settings.steering.len() != z.len() {
            let text = format!(
                "{} latent codes need as many things to keep to, not {}",
                z.len(),
                settings.steering.len()
            );
            return Err(EngineError::Settings(text));
        }
        if !settings.repeats.is_empty() && settings.repeats.len() != z.len() {
            let text = format!(
                "{} latent codes need as many repeats, not {}",
                z.len(),
                settings.repeats.len()
            );
            return Err(EngineError::Settings(text));
        }
        let is_melody = self.config.outputs() == [line::VOCABULARY];
        if !settings.tastes.is_empty() && (settings.tastes.len() != z.len() || !is_melody) {
            let text = "tastes are for models of melodies, one for each latent code".to_owned();
            return Err(EngineError::Settings(text));
        }
        Ok(steps)
    }
}

/// Vectors for the encoder, one entry for each example.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EncoderInputs {
    /// `[steps, input depth]`, row-major.
    pub rows: Vec<Vec<f32>>,
    /// `[steps, control depth]`, row-major; empty for models without.
    pub controls: Vec<Vec<f32>>,
    /// Steps that count.
    pub lengths: Vec<usize>,
}

/// The noise of a step with what each example leans to, and the temperature that goes with it: where
/// there was no noise the most probable is still taken.
fn leaning(
    settings: &DecodeSettings,
    noise: Option<Vec<f32>>,
    tokens: &[Vec<i64>],
    examples: usize,
    config: &Config,
) -> (f32, Option<Vec<f32>>) {
    if settings.tastes.is_empty() {
        return (settings.temperature, noise);
    }
    let temperature = if noise.is_some() { settings.temperature } else { 1.0 };
    let width = config.output_depth();
    let mut noise = noise.unwrap_or_else(|| vec![0.0; examples * width]);
    let rows = noise.chunks_exact_mut(width).zip(&settings.tastes).zip(tokens);
    for ((noise, taste), tokens) in rows {
        let pitch = |&token: &i64| u8::try_from(token).ok().and_then(line::pitch);
        taste.lean(noise, tokens.iter().rev().find_map(pitch), temperature);
    }
    (temperature, Some(noise))
}

fn check_count(controls: Option<&[Controls]>, examples: usize) -> Result<(), EngineError> {
    match controls {
        Some(controls) if controls.len() != examples => Err(EngineError::Settings(format!(
            "{examples} examples need as many controls, not {}",
            controls.len()
        ))),
        _ => Ok(()),
    }
}

/// Controls of one example, `[steps, control depth]`; empty for models without.
fn control_rows(
    config: &Config,
    controls: Option<&Controls>,
    steps: usize,
) -> Result<Vec<f32>, EngineError> {
    let wrong = |expected: String| EngineError::Controls { config: config.name.clone(), expected };
    match controls {
        None if config.control_depth() == 0 => Ok(Vec::new()),
        None => Err(wrong("needs controls: a chord, or hits, for each step".to_owned())),
        Some(controls) if controls.len() != steps => Err(wrong(format!(
            "needs controls for each of {steps} steps, but there are {}",
            controls.len()
        ))),
        Some(controls) => Ok(controls.rows(config)?),
    }
}

/// The repeats of each example, none where some of a pattern is kept.
fn repeating<'a>(
    config: &Config,
    settings: &'a DecodeSettings,
    examples: usize,
) -> Vec<Option<Repeating<'a>>> {
    let of = |index: usize| {
        let keeps = settings.steering.get(index).is_some_and(|steering| steering.kept.is_some());
        let repeats = settings.repeats.get(index)?.as_ref().filter(|_| !keeps)?;
        Some(Repeating::new(repeats, config))
    };
    (0..examples).map(of).collect()
}

/// Deals the rows of a step out to the examples.
fn append<T: Copy>(examples: &mut [Vec<T>], sample: &[T]) {
    let width = sample.len() / examples.len();
    for (example, row) in examples.iter_mut().zip(sample.chunks_exact(width)) {
        example.extend_from_slice(row);
    }
}
