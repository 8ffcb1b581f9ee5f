//! A tiny variational autoencoder of vectors, trained step by step.
//!
//! With `x = (v − m) / s`, where m is the mean of the examples' means and s the root mean square of
//! their distance from it per dimension, encoder and decoder are perceptrons of one hidden layer; the
//! loss of an example is `Σ (x̂ − x)² / 2 + KL` with a small code of standard normal prior.

use std::ops::ControlFlow;

use interlude_onnx::runtime::Runtime;
use interlude_onnx::weights::{Tensor, Weights};
use interlude_onnx::{ElementType, Graph};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

use super::fit::{Fit, FitError, Network};
use super::perceptron::{Perceptron, initial};
use super::random::{fill_normal, generator};
use super::tensors::mean;
use super::variables::Variables;

/// Examples of a step, drawn with repetition.
const BATCH: usize = 32;
/// Norm to which all gradients together are clipped.
const CLIP: f32 = 100.0;
/// Minimum scale of the vectors, for examples that are all the same.
const SMALLEST_SCALE: f32 = 1e-3;

/// Dimensions of the small code.
const CODE: usize = 8;
/// Units of the hidden layers.
const HIDDEN: usize = 64;
/// Initial learning rate; it falls to 0 along half a cosine.
const LEARNING_RATE: f32 = 0.01;

/// An example: a normal distribution of vectors with independent dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// Mean of each dimension.
    pub mean: Vec<f32>,
    /// Standard deviation of each dimension.
    pub deviation: Vec<f32>,
}

/// Why an autoencoder cannot be trained.
#[derive(Debug, Error)]
pub enum AutoencoderError {
    /// Nothing to learn from.
    #[error(
        "nothing can be learnt: there must be a clip, and codes must be finite and of one size"
    )]
    Examples,
    /// ONNX Runtime fails.
    #[error(transparent)]
    Fit(#[from] FitError),
}

/// Widths of an autoencoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Dimensions of the vectors.
    pub latent: usize,
    /// Units of the hidden layers.
    pub hidden: usize,
    /// Dimensions of the small code.
    pub code: usize,
}

impl Sizes {
    /// Widths of the encoder's layers: mean and logarithm of the variance of the code come out of it.
    pub fn encoder(self) -> [usize; 3] {
        [self.latent, self.hidden, 2 * self.code]
    }

    /// Widths of the decoder's layers.
    pub fn decoder(self) -> [usize; 3] {
        [self.code, self.hidden, self.latent]
    }
}

/// Settings of a training. All else was found on latent codes of clips, by comparing samples with their
/// clips: fewer than 8 dimensions lose the clips' keys, more gain nothing; the variance of x given the
/// code hardly matters, and is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Steps to train, 1 or more.
    pub steps: usize,
    /// Seed of initial weights, order and noise.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { steps: 600, seed: 0 }
    }
}

/// Progress of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub done: usize,
    /// Steps in all.
    pub steps: usize,
    /// Mean squared error of a dimension of x in the last step; the examples' mean alone has 1.
    pub error: f32,
    /// KL divergence in the last step, in nats.
    pub divergence: f32,
}

/// A training in progress. A step takes well below a millisecond for a few hundred dimensions, so
/// the caller can do other work in between.
#[derive(Debug)]
pub struct Training {
    settings: Settings,
    sizes: Sizes,
    examples: Vec<Example>,
    mean: Vec<f32>,
    scale: f32,
    fit: Fit,
    generator: ChaCha8Rng,
    done: usize,
}

impl Training {
    /// Prepares the training.
    ///
    /// # Errors
    /// [`AutoencoderError::Examples`] without examples or for some of different sizes or without finite
    /// values, and [`AutoencoderError::Fit`] when ONNX Runtime refuses.
    pub fn new(
        runtime: &Runtime,
        examples: Vec<Example>,
        settings: Settings,
    ) -> Result<Self, AutoencoderError> {
        let latent = examples.first().map_or(0, |example| example.mean.len());
        let fits =
            |values: &[f32]| values.len() == latent && values.iter().all(|value| value.is_finite());
        let whole = |example: &Example| fits(&example.mean) && fits(&example.deviation);
        if latent == 0 || !examples.iter().all(whole) {
            return Err(AutoencoderError::Examples);
        }
        let sizes = Sizes { latent, hidden: HIDDEN, code: CODE };
        let (mean, scale) = centre(&examples);
        let mut generator = generator(settings.seed, *b"learning", 0);
        let weights = initial_weights(sizes, &mut generator);
        let fit = Fit::new(runtime, network(sizes, BATCH), &weights, CLIP)?;
        Ok(Self { settings, sizes, examples, mean, scale, fit, generator, done: 0 })
    }

    /// Runs one step. After the last one nothing happens.
    ///
    /// # Errors
    /// [`AutoencoderError::Fit`] when ONNX Runtime fails.
    pub fn step(&mut self) -> Result<Progress, AutoencoderError> {
        if self.done < self.settings.steps {
            let latent = self.sizes.latent;
            let mut noise = vec![0.0; BATCH * latent];
            fill_normal(&mut self.generator, &mut noise);
            let (mut given, mut wanted) = (Vec::new(), Vec::new());
            for noise in noise.chunks_exact(latent) {
                let chosen = &self.examples[self.generator.random_range(0..self.examples.len())];
                for (index, noise) in noise.iter().enumerate() {
                    let centred = chosen.mean[index] - self.mean[index];
                    let noisy = centred + chosen.deviation[index] * noise;
                    wanted.push(centred / self.scale);
                    given.push(noisy / self.scale);
                }
            }
            self.fit.input("given").copy_from_slice(&given);
            self.fit.input("wanted").copy_from_slice(&wanted);
            fill_normal(&mut self.generator, self.fit.input("noise"));
            self.fit.step(LEARNING_RATE * fade(self.done, self.settings.steps))?;
            self.done += 1;
        }
        Ok(self.progress())
    }

    /// Progress of the training.
    pub fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            steps: self.settings.steps,
            error: self.fit.scalar("error"),
            divergence: self.fit.scalar("divergence"),
        }
    }

    /// The weights as they are by now: kernel and bias of `encoder/0`, `encoder/1`, `decoder/0` and
    /// `decoder/1`, and `mean` `[latent]` and `scale` of the vectors.
    pub fn finish(self) -> Weights {
        let mut weights = self.fit.weights();
        weights.insert("mean", Tensor { shape: vec![self.sizes.latent], data: self.mean });
        weights.insert("scale", Tensor { shape: vec![], data: vec![self.scale] });
        weights
    }
}

/// Trains on some examples. `on_step` is called after every step and may stop.
///
/// # Errors
/// As [`Training::new`] and [`Training::step`]. A training that was stopped gives `None`.
pub fn train(
    runtime: &Runtime,
    examples: Vec<Example>,
    settings: Settings,
    on_step: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Weights>, AutoencoderError> {
    let mut training = Training::new(runtime, examples, settings)?;
    for _ in 0..settings.steps {
        if on_step(training.step()?).is_break() {
            return Ok(None);
        }
    }
    Ok(Some(training.finish()))
}

fn initial_weights(sizes: Sizes, generator: &mut ChaCha8Rng) -> Weights {
    let mut weights = Weights::default();
    let mut uniform = || generator.random::<f32>();
    initial(&mut weights, "encoder", &sizes.encoder(), &mut uniform);
    initial(&mut weights, "decoder", &sizes.decoder(), &mut uniform);
    weights
}

/// The mean of the examples, and the root mean square of their distance from it per dimension; not less
/// than that of the noise, which alone counts where all examples are the same.
fn centre(examples: &[Example]) -> (Vec<f32>, f32) {
    let latent = examples[0].mean.len();
    let mut mean = vec![0.0f32; latent];
    let count = number(examples.len());
    for example in examples {
        mean.iter_mut().zip(&example.mean).for_each(|(mean, value)| *mean += value / count);
    }
    let square = |example: &Example| -> f32 {
        example.mean.iter().zip(&mean).map(|(value, mean)| (value - mean).powi(2)).sum()
    };
    let root = |sum: f32| (sum / (count * number(latent))).sqrt();
    let spread = root(examples.iter().map(square).sum());
    let deviations = examples.iter().flat_map(|example| &example.deviation);
    let noise = root(deviations.map(|deviation| deviation * deviation).sum());
    (mean, spread.max(noise).max(SMALLEST_SCALE))
}

/// From 1 to 0 along half a cosine.
fn fade(done: usize, steps: usize) -> f32 {
    0.5 + 0.5 * (std::f32::consts::PI * number(done) / number(steps)).cos()
}

fn number(count: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^24")]
    let number = count as f32;
    number
}

/// Loss and gradients. Inputs: `given` and `wanted` `[batch, latent]`, `noise` `[batch, code]`.
/// Outputs: `loss`, `error`, `divergence`.
fn network(sizes: Sizes, batch: usize) -> Network {
    let mut graph = Graph::new("autoencoder");
    let g = &mut graph;
    let mut variables = Variables::default();
    let input = |g: &mut Graph, name, width: usize| {
        g.input(name, ElementType::F32, &[batch.into(), width.into()])
    };
    let given = input(g, "given", sizes.latent);
    let wanted = input(g, "wanted", sizes.latent);
    let noise = input(g, "noise", sizes.code);
    let encoder = Perceptron::declare(g, &mut variables, "encoder", &sizes.encoder());
    let decoder = Perceptron::declare(g, &mut variables, "decoder", &sizes.decoder());

    // The code is mu + exp(s / 2) · noise with the logarithm s of the variance.
    let encoded = encoder.forward(g, &given);
    let parts = g.split(&encoded.output, &[sizes.code, sizes.code], 1);
    let (mu, log_variance) = (&parts[0], &parts[1]);
    let (half, one) = (g.scalar(0.5), g.scalar(1.0));
    let exponent = g.mul(log_variance, &half);
    let deviation = g.op("Exp", &[&exponent], &[]);
    let offset = g.mul(&deviation, &noise);
    let code = g.add(mu, &offset);
    let decoded = decoder.forward(g, &code);
    let difference = g.sub(&decoded.output, &wanted);

    // Mean over the examples of ½ Σ (x̂ − x)² + ½ Σ (mu² + exp(s) − 1 − s).
    let squares = g.mul(&difference, &difference);
    let error = mean(g, &squares);
    let variance = g.mul(&deviation, &deviation);
    let above = g.sub(&variance, &one);
    let excess = g.sub(&above, log_variance);
    let mu_squared = g.mul(mu, mu);
    let nats = g.add(&mu_squared, &excess);
    let nats = mean(g, &nats);
    let weight = g.scalar(0.5 * number(sizes.code));
    let divergence = g.mul(&nats, &weight);
    let weight = g.scalar(0.5 * number(sizes.latent));
    let misfit = g.mul(&error, &weight);
    let loss = g.add(&misfit, &divergence);
    for (name, value) in [("loss", &loss), ("error", &error), ("divergence", &divergence)] {
        g.output(name, value, ElementType::F32, &[]);
    }

    let share = g.scalar(1.0 / number(batch));
    let dx = g.mul(&difference, &share);
    let dcode = decoder.backward(g, &mut variables, &decoded, &dx);
    let pull = g.mul(&share, mu);
    let dmu = g.add(&dcode, &pull);
    // The code's slope in s is half of `offset`, the divergence's half of `above`.
    let through = g.mul(&dcode, &offset);
    let pull = g.mul(&share, &above);
    let ds = g.add(&through, &pull);
    let ds = g.mul(&ds, &half);
    let dencoded = g.concat(&[&dmu, &ds], 1);
    encoder.backward(g, &mut variables, &encoded, &dencoded);

    let inputs = vec![
        ("given".to_owned(), vec![batch, sizes.latent]),
        ("wanted".to_owned(), vec![batch, sizes.latent]),
        ("noise".to_owned(), vec![batch, sizes.code]),
    ];
    let outputs = ["loss", "error", "divergence"].map(|name| (name, Vec::new()));
    Network { graph, variables, inputs, outputs: outputs.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slopes::assert_slopes;

    const RUNTIME: &str = "an ONNX Runtime";

    // The gradients lead up the loss as steeply as they say, for every variable.
    #[test]
    fn gradients_are_slopes() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let sizes = Sizes { latent: 5, hidden: 7, code: 3 };
        let mut generator = generator(1, *b"learning", 0);
        let weights = initial_weights(sizes, &mut generator);
        let mut values = [0.0; 16 + 12];
        fill_normal(&mut generator, &mut values);
        let given = |skipped| values.iter().copied().cycle().skip(skipped).take(4 * 5).collect();
        let inputs = [("noise", values[16..].to_vec()), ("given", given(3)), ("wanted", given(9))];
        assert_slopes(runtime, || network(sizes, 4), &weights, &inputs, 0.02);
    }

    // The same seed gives the same weights; one example alone, given several times, is the mean; a
    // listener can stop.
    #[test]
    fn trainings_repeat_and_stop() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let settings = Settings { steps: 20, seed: 3 };
        let go_on = &mut |_: Progress| ControlFlow::Continue(());
        let examples = vec![Example { mean: vec![0.5; 6], deviation: vec![0.1; 6] }; 3];
        let [first, second] = [(); 2]
            .map(|()| train(runtime, examples.clone(), settings, go_on).expect("a training"));
        assert_eq!(first, second);
        let weights = first.expect("nobody stopped it");
        assert_eq!(weights.get("mean").expect("a mean").data, [0.5; 6]);
        let mut steps = 0;
        let stopped = train(runtime, examples, settings, &mut |progress| {
            steps = progress.done;
            if steps < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!((stopped.expect("a training"), steps), (None, 5));
    }

    // Nothing, examples of several sizes and values that are no numbers are refused.
    #[test]
    fn unusable_examples_are_refused() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let code = |values: &[f32]| Example { mean: values.to_vec(), deviation: vec![0.1; 2] };
        for examples in
            [vec![], vec![code(&[0.0; 2]), code(&[0.0; 3])], vec![code(&[0.0, f32::NAN])]]
        {
            let refused = Training::new(runtime, examples, Settings::default());
            assert!(matches!(refused, Err(AutoencoderError::Examples)));
        }
    }
}
