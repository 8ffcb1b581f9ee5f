//! Counter-based random numbers: each depends only on its key, stream and position.
//!
//! A ChaCha8 generator is a function of key, stream and position, so the number at any place can
//! be computed alone: the key holds the seed and a purpose, the stream is a number within it.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A generator for a purpose; the name of the purpose is part of the key.
pub fn generator(seed: u64, purpose: [u8; 8], stream: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&purpose);
    let mut generator = ChaCha8Rng::from_seed(key);
    generator.set_stream(stream);
    generator
}

/// A number strictly between 0 and 1.
pub fn uniform(generator: &mut ChaCha8Rng) -> f64 {
    (f64::from(generator.next_u32()) + 0.5) / 4_294_967_296.0
}

/// Fills a slice with standard normal numbers.
pub fn fill_normal(generator: &mut ChaCha8Rng, values: &mut [f32]) {
    #[expect(clippy::cast_possible_truncation, reason = "noise needs no more than f32")]
    let narrow = |value: f64| value as f32;
    for pair in values.chunks_mut(2) {
        // Box and Muller: two uniform numbers give two normal ones.
        let radius = (-2.0 * uniform(generator).ln()).sqrt();
        let (sine, cosine) = (std::f64::consts::TAU * uniform(generator)).sin_cos();
        pair[0] = narrow(radius * cosine);
        if let Some(second) = pair.get_mut(1) {
            *second = narrow(radius * sine);
        }
    }
}
