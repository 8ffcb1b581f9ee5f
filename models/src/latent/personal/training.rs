//! The training of a personal model, step by step.

use std::ops::ControlFlow;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::engine::Posterior;
use crate::runtime::Runtime;
use crate::weights::{Tensor, Weights};
use interlude_gradient::fit::{Fit, Network};
use interlude_gradient::perceptron::{Perceptron, initial};
use interlude_gradient::random::{fill_normal, generator};
use interlude_gradient::variables::Variables;
use interlude_onnx::{Attribute, ElementType, Graph, Value};

use super::{Personal, PersonalError, Sizes};

/// Examples of a step, drawn from the clips' codes with repetition.
const BATCH: usize = 32;
/// Norm to which all gradients together are clipped.
const CLIP: f32 = 100.0;
/// Minimum scale of the codes, for clips that all have the same code.
const SMALLEST_SCALE: f32 = 1e-3;

/// Dimensions of the small code.
const CODE: usize = 8;
/// Units of the hidden layers.
const HIDDEN: usize = 64;
/// Initial learning rate; it falls to 0 along half a cosine.
const LEARNING_RATE: f32 = 0.01;

/// Settings of a training. All else was found by comparing samples with their clips: fewer than 8
/// dimensions lose the clips' keys, more gain nothing; the variance of x given the code hardly
/// matters, and is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Steps.
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
    /// Mean squared error of a dimension of x in the last step; the clips' mean alone has 1.
    pub error: f32,
    /// KL divergence in the last step, in nats.
    pub divergence: f32,
}

/// A training in progress. A step takes well below a millisecond for a few hundred dimensions, so
/// the caller can do other work in between.
#[derive(Debug)]
pub struct Training {
    space: String,
    settings: Settings,
    sizes: Sizes,
    codes: Vec<Posterior>,
    mean: Vec<f32>,
    scale: f32,
    fit: Fit,
    generator: ChaCha8Rng,
    done: usize,
}

impl Training {
    /// Prepares the training on the codes of some windows of music, which all belong to the latent
    /// space of that name.
    ///
    /// # Errors
    /// [`PersonalError::Codes`] without codes or for codes of different sizes or without finite
    /// values, and [`PersonalError::Fit`] when ONNX Runtime refuses.
    pub fn new(
        runtime: &Runtime,
        space: &str,
        codes: Vec<Posterior>,
        settings: Settings,
    ) -> Result<Self, PersonalError> {
        let latent = codes.first().map_or(0, |code| code.mu.len());
        let fits =
            |values: &[f32]| values.len() == latent && values.iter().all(|value| value.is_finite());
        if latent == 0 || !codes.iter().all(|code| fits(&code.mu) && fits(&code.sigma)) {
            return Err(PersonalError::Codes);
        }
        let sizes = Sizes { latent, hidden: HIDDEN, code: CODE };
        let (mean, scale) = centre(&codes);
        let mut generator = generator(settings.seed, *b"learning", 0);
        let weights = initial_weights(sizes, &mut generator);
        let fit = Fit::new(runtime, network(sizes, BATCH), &weights, CLIP)?;
        let space = space.to_owned();
        Ok(Self { space, settings, sizes, codes, mean, scale, fit, generator, done: 0 })
    }

    /// Runs one step. After the last one nothing happens.
    ///
    /// # Errors
    /// [`PersonalError::Fit`] when ONNX Runtime fails.
    pub fn step(&mut self) -> Result<Progress, PersonalError> {
        if self.done < self.settings.steps {
            let latent = self.sizes.latent;
            let mut noise = vec![0.0; BATCH * latent];
            fill_normal(&mut self.generator, &mut noise);
            let (mut given, mut wanted) = (Vec::new(), Vec::new());
            for noise in noise.chunks_exact(latent) {
                let chosen = &self.codes[self.generator.random_range(0..self.codes.len())];
                for (index, noise) in noise.iter().enumerate() {
                    let centred = chosen.mu[index] - self.mean[index];
                    let noisy = centred + chosen.sigma[index] * noise;
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

    /// The model as it is by now.
    ///
    /// # Errors
    /// [`PersonalError::Format`] when a weight is no finite number.
    pub fn finish(self) -> Result<Personal, PersonalError> {
        let mut weights = self.fit.weights();
        weights.insert("mean", Tensor { shape: vec![self.sizes.latent], data: self.mean });
        weights.insert("scale", Tensor { shape: vec![], data: vec![self.scale] });
        Personal::of(self.space, weights)
    }
}

/// Trains a model on the codes of some windows. `on_step` is called after every step and may stop.
///
/// # Errors
/// As [`Training::new`] and [`Training::step`]. A training that was stopped gives `None`.
pub fn train(
    runtime: &Runtime,
    space: &str,
    codes: Vec<Posterior>,
    settings: Settings,
    on_step: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Option<Personal>, PersonalError> {
    let mut training = Training::new(runtime, space, codes, settings)?;
    for _ in 0..settings.steps {
        if on_step(training.step()?).is_break() {
            return Ok(None);
        }
    }
    training.finish().map(Some)
}

fn initial_weights(sizes: Sizes, generator: &mut ChaCha8Rng) -> Weights {
    let mut weights = Weights::default();
    let mut uniform = || generator.random::<f32>();
    initial(&mut weights, "encoder", &sizes.encoder(), &mut uniform);
    initial(&mut weights, "decoder", &sizes.decoder(), &mut uniform);
    weights
}

/// The mean of the codes, and the root mean square of their distance from it per dimension; not less
/// than that of the noise, which alone counts where all codes are the same.
fn centre(codes: &[Posterior]) -> (Vec<f32>, f32) {
    let latent = codes[0].mu.len();
    let mut mean = vec![0.0f32; latent];
    let count = number(codes.len());
    for code in codes {
        mean.iter_mut().zip(&code.mu).for_each(|(mean, mu)| *mean += mu / count);
    }
    let square = |code: &Posterior| -> f32 {
        code.mu.iter().zip(&mean).map(|(mu, mean)| (mu - mean).powi(2)).sum()
    };
    let root = |sum: f32| (sum / (count * number(latent))).sqrt();
    let spread = root(codes.iter().map(square).sum());
    let sigmas = codes.iter().flat_map(|code| &code.sigma);
    let noise = root(sigmas.map(|sigma| sigma * sigma).sum());
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
    let mut graph = Graph::new("personal");
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

/// The mean of all elements, a scalar.
fn mean(graph: &mut Graph, x: &Value) -> Value {
    graph.op("ReduceMean", &[x], &[("keepdims", Attribute::Int(0))])
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNTIME: &str = "an ONNX Runtime";

    /// Codes on a circle in a plane of the latent space, around a point outside the origin, and the
    /// distance of a code from the nearest point of the circle.
    fn circle() -> (Vec<Posterior>, impl Fn(&[f32]) -> f32) {
        let code = |index: u16| {
            let (sine, cosine) = (std::f32::consts::TAU * f32::from(index) / 40.0).sin_cos();
            let mut mu = vec![3.0; 16];
            mu[2] += 2.0 * cosine;
            mu[7] += 2.0 * sine;
            Posterior { mu, sigma: vec![0.05; 16] }
        };
        let distance = |z: &[f32]| {
            let across = ((z[2] - 3.0).hypot(z[7] - 3.0) - 2.0).powi(2);
            let others = (0..16).filter(|index| ![2, 7].contains(index));
            (across + others.map(|index| (z[index] - 3.0).powi(2)).sum::<f32>()).sqrt()
        };
        ((0..40).map(code).collect(), distance)
    }

    // The gradients lead up the loss as steeply as they say, for every variable.
    #[test]
    fn gradients_are_slopes() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let sizes = Sizes { latent: 5, hidden: 7, code: 3 };
        let mut generator = generator(1, *b"learning", 0);
        let weights = initial_weights(sizes, &mut generator);
        let mut values = [0.0; 16 + 12];
        fill_normal(&mut generator, &mut values);
        let run = |weights: &Weights| {
            // A rate of 0 leaves the weights, and without clipping the first moments are a tenth of
            // the gradients.
            let mut fit = Fit::new(runtime, network(sizes, 4), weights, f32::MAX).expect("a graph");
            fit.input("noise").copy_from_slice(&values[16..]);
            let pattern = values.iter().cycle();
            for (name, skipped) in [("given", 3), ("wanted", 9)] {
                let inputs = fit.input(name).iter_mut();
                inputs
                    .zip(pattern.clone().skip(skipped))
                    .for_each(|(input, &value)| *input = value);
            }
            fit.step(0.0).expect("a step");
            fit
        };
        let fit = run(&weights);
        for name in weights.0.keys() {
            let gradient: Vec<f32> = fit.moment(name).iter().map(|moment| 10.0 * moment).collect();
            let norm: f32 = gradient.iter().map(|value| value * value).sum();
            let step = 0.02 / norm.sqrt();
            let moved = |sign: f32| {
                let mut weights = weights.clone();
                let tensor = weights.0.get_mut(name).expect("a variable");
                let values = tensor.data.iter_mut().zip(&gradient);
                values.for_each(|(value, gradient)| *value += sign * step * gradient);
                run(&weights).scalar("loss")
            };
            let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
            assert!((slope / norm - 1.0).abs() < 0.02, "{name}: {slope} instead of {norm}");
        }
    }

    // A model of codes on a circle gives the codes back, and its samples lie all around the circle.
    #[test]
    fn samples_resemble_the_codes() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let (codes, distance) = circle();
        let mut errors = Vec::new();
        let settings = Settings::default();
        let personal = train(runtime, "space", codes.clone(), settings, &mut |progress| {
            errors.push(progress.error);
            ControlFlow::Continue(())
        });
        let personal = personal.expect("a training").expect("nobody stopped it");
        assert_eq!(errors.len(), settings.steps);
        assert!(errors[0] > 0.8 && errors[settings.steps - 1] < 0.3, "{errors:?}");
        for code in &codes {
            let again = personal.decode(&personal.encode(&code.mu));
            assert!(distance(&again) < 0.5, "{again:?}");
        }
        let samples: Vec<Vec<f32>> = (0..100).map(|index| personal.sample(1, index, 1.0)).collect();
        let near = samples.iter().filter(|sample| distance(sample) < 1.0).count();
        assert!(near > 60, "{near} of 100 are near the circle");
        for quarter in [[1.0f32, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]] {
            let inside =
                |z: &&Vec<f32>| (z[2] - 3.0) * quarter[0] > 0.0 && (z[7] - 3.0) * quarter[1] > 0.0;
            assert!(samples.iter().filter(inside).count() >= 8, "{quarter:?}");
        }
        assert_eq!(samples[7], personal.sample(1, 7, 1.0));
        assert_eq!(personal.sample(1, 7, 0.0), personal.sample(2, 8, 0.0));
    }

    // The same seed gives the same model; one code alone, given several times, is what the samples
    // are; a listener can stop.
    #[test]
    fn trainings_repeat_and_stop() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let settings = Settings { steps: 20, seed: 3 };
        let go_on = &mut |_: Progress| ControlFlow::Continue(());
        let codes = vec![Posterior { mu: vec![0.5; 6], sigma: vec![0.1; 6] }; 3];
        let [first, second] = [(); 2]
            .map(|()| train(runtime, "space", codes.clone(), settings, go_on).expect("a training"));
        assert_eq!(first, second);
        let sample = first.expect("nobody stopped it").sample(0, 0, 1.0);
        assert!(sample.iter().all(|value| (value - 0.5).abs() < 0.05), "{sample:?}");
        let mut steps = 0;
        let stopped = train(runtime, "space", codes, settings, &mut |progress| {
            steps = progress.done;
            if steps < 5 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert_eq!((stopped.expect("a training"), steps), (None, 5));
    }

    // Nothing, codes of several sizes and values that are no numbers are refused.
    #[test]
    fn unusable_codes_are_refused() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let code = |values: &[f32]| Posterior { mu: values.to_vec(), sigma: vec![0.1; 2] };
        for codes in [vec![], vec![code(&[0.0; 2]), code(&[0.0; 3])], vec![code(&[0.0, f32::NAN])]]
        {
            let refused = Training::new(runtime, "space", codes, Settings::default());
            assert!(matches!(refused, Err(PersonalError::Codes)));
        }
    }
}
