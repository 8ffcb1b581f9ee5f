//! Personal models: a small variational autoencoder over the latent codes of a few clips, after
//! MidiMe (Dinculescu, Engel and Roberts 2019). Its samples are codes that resemble those of the
//! clips.
//!
//! With `x = (z − m) / s`, where m is the mean of the clips' codes and s the root mean square of
//! their distance from it per dimension, encoder and decoder are perceptrons of one hidden layer;
//! the loss of an example is `Σ (x̂ − x)² / 2v + β · KL` with a small code of standard normal prior.

mod file;
mod training;

pub use file::PersonalError;
pub use training::{Progress, Settings, Training, train};

use crate::weights::Weights;
use interlude_gradient::perceptron::Trained;
use interlude_gradient::random::{fill_normal, generator};

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

/// Widths of a personal model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sizes {
    latent: usize,
    hidden: usize,
    code: usize,
}

impl Sizes {
    /// The encoder's output: mean and log variance of the small code.
    fn encoder(self) -> [usize; 3] {
        [self.latent, self.hidden, 2 * self.code]
    }

    fn decoder(self) -> [usize; 3] {
        [self.code, self.hidden, self.latent]
    }
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
