//! Weights before training, drawn as the configuration's variables ask.

use interlude_models::config::Config;
use interlude_models::network::{Init, variables};
use interlude_models::weights::{Tensor, Weights};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::train::feed::batches::fill_normal;
use crate::train::plan::delay;
use crate::train::plan::schedule::Schedule;

/// Stream of the generator that initial weights are drawn from; batches use those from 0 up.
const STREAM: u64 = u64::MAX;

/// The initial weights of a configuration; equal seeds give equal weights.
pub fn weights(config: &Config, seed: u64) -> Weights {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(STREAM);
    let mut weights = Weights::default();
    for variable in variables(config) {
        let mut tensor = Tensor::zeros(&variable.shape);
        match variable.init {
            Init::Zeros => {}
            Init::GlorotUniform => fill_uniform(&mut generator, &mut tensor),
            Init::Normal { deviation } => {
                fill_normal(&mut generator, &mut tensor.data);
                tensor.data.iter_mut().for_each(|value| *value *= deviation);
            }
            Init::TruncatedNormal { deviation } => {
                for value in &mut tensor.data {
                    let mut drawn = [f32::INFINITY];
                    while drawn[0].abs() > 2.0 {
                        fill_normal(&mut generator, &mut drawn);
                    }
                    *value = drawn[0] * deviation;
                }
            }
        }
        weights.insert(variable.name, tensor);
    }
    weights
}

/// Changes initial weights as a schedule asks.
pub fn adjust(weights: &mut Weights, config: &Config, schedule: &Schedule, seed: u64) {
    if let Some(bias) = weights.0.get_mut("encoder/sigma/bias") {
        bias.data.fill(schedule.initial_sigma_bias);
    }
    let kernel = weights.0.get_mut("encoder/mu/kernel");
    if let Some(kernel) = kernel.filter(|_| schedule.initial_mu_glorot) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(STREAM - 1);
        fill_uniform(&mut generator, kernel);
    }
    if schedule.initial_delay > 0 {
        delay::lay(weights, config, schedule.initial_delay, seed);
    }
}

/// Fills a matrix with uniform numbers in `±sqrt(6 / (fan-in + fan-out))`.
fn fill_uniform(generator: &mut ChaCha8Rng, tensor: &mut Tensor) {
    let limit = glorot_limit(&tensor.shape);
    tensor.data.fill_with(|| limit * (2.0 * generator.random::<f32>() - 1.0));
}

/// `sqrt(6 / (fan-in + fan-out))` of a matrix.
fn glorot_limit(shape: &[usize]) -> f32 {
    let fans: usize = shape.iter().sum();
    #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
    let fans = fans as f32;
    (6.0 / fans).sqrt()
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    // Initial weights fit the configuration, repeat with the seed, and have the asked spread.
    #[test]
    fn weights_are_drawn_as_asked() {
        let config = config::by_name("cat-mel_2bar_small").expect("known");
        let drawn = weights(&config, 1);
        interlude_models::network::check(&config, &drawn).expect("fits");
        assert_eq!(drawn, weights(&config, 1));
        assert_ne!(drawn, weights(&config, 2));
        let kernel = drawn.get("decoder/output_projection/kernel").expect("present");
        let limit = glorot_limit(&kernel.shape);
        let largest = kernel.data.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        assert!(largest <= limit && largest > 0.99 * limit, "{largest} against {limit}");
    }
}
