//! Personal models: a small variational autoencoder over the latent codes of a few clips, after
//! MidiMe (Dinculescu, Engel and Roberts 2019). Its samples are codes that resemble those of the
//! clips.
//!
//! Its weights are what [`interlude_gradient::autoencoder`] learns of the clips' posteriors.

mod file;

pub use file::PersonalError;
use interlude_gradient::autoencoder::Sizes;
use interlude_gradient::perceptron::Trained;
use interlude_gradient::random::{fill_normal, generator};

use crate::weights::Weights;

/// A trained personal model.
#[derive(Clone, Debug, PartialEq)]
pub struct Personal {
    /// The latent space that its codes belong to, see
    /// [`ModelInfo::latent_space`](crate::package::ModelInfo::latent_space).
    space: String,
    sizes: Sizes,
    /// `encoder/…`, `decoder/…`, `mean` and `scale`.
    weights: Weights,
    encoder: Trained,
    decoder: Trained,
}

impl Personal {
    /// The latent space that its codes belong to.
    pub fn space(&self) -> &str {
        &self.space
    }

    /// Dimensions of the latent codes that it models.
    pub fn latent_size(&self) -> usize {
        self.sizes.latent
    }

    /// Dimensions of its own small code.
    pub fn code_size(&self) -> usize {
        self.sizes.code
    }

    fn centre(&self) -> (&[f32], f32) {
        let data = |name| self.weights.get(name).map_or(&[][..], |tensor| tensor.data.as_slice());
        (data("mean"), data("scale").first().copied().unwrap_or(1.0))
    }

    /// The mean of the small code of a latent code of [`Personal::latent_size`] values.
    pub fn encode(&self, z: &[f32]) -> Vec<f32> {
        let (mean, scale) = self.centre();
        let x: Vec<f32> = z.iter().zip(mean).map(|(z, mean)| (z - mean) / scale).collect();
        let mut code = self.encoder.apply(&x);
        code.truncate(self.sizes.code);
        code
    }

    /// The latent code of a small code of [`Personal::code_size`] values.
    pub fn decode(&self, code: &[f32]) -> Vec<f32> {
        let (mean, scale) = self.centre();
        let x = self.decoder.apply(code);
        x.iter().zip(mean).map(|(x, mean)| mean + scale * x).collect()
    }

    /// A latent code, determined by seed and index, from a small code drawn from its prior.
    /// `temperature` is the standard deviation of the small code: 1 samples the range of the clips,
    /// 0 their centre.
    pub fn sample(&self, seed: u64, index: u64, temperature: f32) -> Vec<f32> {
        let mut code = vec![0.0; self.sizes.code];
        fill_normal(&mut generator(seed, *b"personal", index), &mut code);
        code.iter_mut().for_each(|value| *value *= temperature);
        self.decode(&code)
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use interlude_gradient::autoencoder::{Example, Settings, train};

    use super::*;
    use crate::engine::Posterior;
    use crate::runtime::Runtime;

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

    // A model of codes on a circle gives the codes back, and its samples lie all around the circle.
    #[test]
    fn samples_resemble_the_codes() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let (codes, distance) = circle();
        let mut errors = Vec::new();
        let settings = Settings::default();
        let examples = codes.iter().cloned().map(Example::from).collect();
        let weights = train(runtime, examples, settings, &mut |progress| {
            errors.push(progress.error);
            ControlFlow::Continue(())
        });
        let weights = weights.expect("a training").expect("nobody stopped it");
        let personal = Personal::of("space".to_owned(), weights).expect("a model");
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
}
