//! Generating music with a model, as `music_vae_generate` of the original does.

pub mod chords;
pub mod velocities;

use std::ops::ControlFlow;

use interlude_models::engine::{DecodeSettings, Engine, EngineError, NoiseKey, Taste};
use interlude_models::latent::slerp;
use interlude_models::steering::Steering;
use interlude_models::tokens::{Controls, Tokens};

/// Settings of a generation.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Softmax temperature; 0 always takes the most probable token.
    pub temperature: f32,
    /// Examples decoded together at most, above 0.
    pub batch_size: usize,
    /// Seed of the noise. Example `n` has the noise of cycle `n`, whatever the batches are.
    pub seed: u64,
    /// Bias of each example towards a scale and range; none when empty.
    pub tastes: Vec<Taste>,
    /// What all examples keep to; of what is kept in part each keeps other steps.
    pub steering: Option<Steering>,
}

/// Decodes latent codes in batches. `controls`, where the model needs some, are the same for all.
/// `on_step` is called after each step of each batch with the number of examples in it.
///
/// # Errors
/// As [`Engine::decode`].
pub fn decode(
    engine: &mut Engine,
    codes: &[Vec<f32>],
    controls: &[Option<Controls>],
    settings: &Settings,
    on_step: &mut dyn FnMut(usize),
) -> Result<Vec<Tokens>, EngineError> {
    let mut decoded = Vec::with_capacity(codes.len());
    for (number, batch) in codes.chunks(settings.batch_size.max(1)).enumerate() {
        let first = number * settings.batch_size.max(1);
        let keys = (first..first + batch.len())
            .map(|index| NoiseKey { seed: settings.seed, cycle: index as u64 })
            .collect();
        let steering = |index| {
            let mut steering = settings.steering.clone()?;
            if let Some(kept) = &mut steering.kept {
                kept.seed = kept.seed.wrapping_add(index as u64);
            }
            Some(steering)
        };
        let settings = DecodeSettings {
            temperature: settings.temperature,
            keys,
            controls: controls[first..first + batch.len()].iter().cloned().collect(),
            steps: None,
            tastes: settings.tastes.iter().skip(first).take(batch.len()).copied().collect(),
            steering: (first..first + batch.len()).filter_map(steering).collect(),
        };
        decoded.extend(engine.decode(batch, &settings, &mut |_| {
            on_step(batch.len());
            ControlFlow::Continue(())
        })?);
    }
    Ok(decoded)
}

/// `count` codes from `a` to `b`, both included; one code is `a`.
pub fn line(a: &[f32], b: &[f32], count: usize) -> Vec<Vec<f32>> {
    shares(count).map(|t| slerp(a, b, t)).collect()
}

/// A grid of codes between four, row by row, in the layout of Magenta.js: `a` top left, `b` bottom
/// left, `c` top right, `d` bottom right.
pub fn grid([a, b, c, d]: [&[f32]; 4], columns: usize, rows: usize) -> Vec<Vec<f32>> {
    let mut codes = Vec::with_capacity(columns * rows);
    for y in shares(rows) {
        codes.extend(
            shares(columns).map(|x| interlude_models::latent::bilinear([a, c, b, d], x, y)),
        );
    }
    codes
}

/// `count` numbers from 0 to 1, both included; one number is 0.
pub fn shares(count: usize) -> impl Iterator<Item = f32> + Clone {
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^24")]
    (0..count).map(move |index| index as f32 / (count.max(2) - 1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    // A line begins and ends with its ends; a line of one is its beginning.
    #[test]
    fn lines_meet_their_ends() {
        let (a, b) = ([1.0, 0.0], [0.0, 1.0]);
        let codes = line(&a, &b, 3);
        assert_eq!(codes.len(), 3);
        assert!((codes[2][0]).abs() < 1e-6 && (codes[2][1] - 1.0).abs() < 1e-6);
        assert!((codes[1][0] - codes[1][1]).abs() < 1e-6);
        assert_eq!(line(&a, &b, 1), [a.to_vec()]);
        assert!(line(&a, &b, 0).is_empty());
    }

    // A grid has its four codes in the corners that Magenta.js gives them.
    #[test]
    fn grids_meet_their_corners() {
        let [a, b, c, d] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0]];
        let codes = grid([&a, &b, &c, &d], 3, 2);
        assert_eq!(codes.len(), 6);
        for (index, corner) in [(0, a), (2, c), (3, b), (5, d)] {
            let far = codes[index].iter().zip(&corner).any(|(x, y)| (x - y).abs() > 1e-5);
            assert!(!far, "{index}: {:?}", codes[index]);
        }
    }
}
