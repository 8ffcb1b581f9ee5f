//! Random numbers of a decoding: the ChaCha stream is the cycle, the position in it follows from
//! the step. So a loop repeats itself, and a bar can be decoded without those before it.

use interlude_gradient::random::{generator, uniform};

/// Key of the noise: equal keys give equal numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct NoiseKey {
    /// Seed, chosen by the user.
    pub seed: u64,
    /// Number of the cycle; each has independent noise.
    pub cycle: u64,
}

/// Random words set apart for one step: above the values of the widest output, a trio's.
const WORDS_PER_STEP: u128 = 1024;

/// Distribution of the noise, by what it is added to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoiseKind {
    /// Logits of tokens: `−ln(−ln u)`, standard Gumbel.
    Gumbel,
    /// Logits of bits: `ln(u / (1 − u))`, standard logistic.
    Logistic,
}

/// Noise of one example at one step.
pub(crate) fn step_noise(
    key: NoiseKey,
    step: usize,
    kind: NoiseKind,
    count: usize,
) -> impl Iterator<Item = f32> {
    let mut generator = generator(key.seed, *b"decoding", key.cycle);
    generator.set_word_pos(step as u128 * WORDS_PER_STEP);
    (0..count).map(move |_| {
        let u = uniform(&mut generator);
        let value = match kind {
            NoiseKind::Gumbel => -(-u.ln()).ln(),
            NoiseKind::Logistic => (u / (1.0 - u)).ln(),
        };
        #[expect(clippy::cast_possible_truncation, reason = "noise needs no more than f32")]
        let value = value as f32;
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(key: NoiseKey, step: usize) -> Vec<f32> {
        step_noise(key, step, NoiseKind::Gumbel, 90).collect()
    }

    // The same place gives the same numbers, every other place others.
    #[test]
    fn noise_depends_on_its_place_alone() {
        let key = NoiseKey { seed: 1, cycle: 2 };
        assert_eq!(noise(key, 3), noise(key, 3));
        assert_ne!(noise(key, 3), noise(key, 4));
        assert_ne!(noise(key, 3), noise(NoiseKey { cycle: 3, ..key }, 3));
        assert_ne!(noise(key, 3), noise(NoiseKey { seed: 2, ..key }, 3));
    }

    // The numbers of a step do not reach into those of the next, whatever the configuration.
    #[test]
    fn words_suffice_for_every_output() {
        for config in crate::config::all() {
            assert!(config.output_depth() as u128 <= WORDS_PER_STEP, "{}", config.name);
        }
    }

    // The mean of Gumbel noise is Euler's constant, of logistic noise 0; all numbers are finite.
    #[test]
    fn noise_has_its_distribution() {
        let mean = |kind| {
            let key = NoiseKey { seed: 5, cycle: 0 };
            let values = (0..200).flat_map(|step| step_noise(key, step, kind, 500));
            let values: Vec<f64> = values.map(f64::from).collect();
            assert!(values.iter().all(|value| value.is_finite()));
            values.iter().sum::<f64>() / 100_000.0
        };
        assert!((mean(NoiseKind::Gumbel) - 0.5772).abs() < 0.02);
        assert!(mean(NoiseKind::Logistic).abs() < 0.03);
    }
}
