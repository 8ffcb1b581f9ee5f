//! Generating music with a model, as `music_vae_generate` of the original does.

pub mod chords;
pub mod conditions;
pub mod error;
pub mod folder;
pub mod input;
pub mod keeping;
pub mod output;
pub mod velocities;

use std::ops::ControlFlow;

use interlude_models::config::Config;
use interlude_models::engine::{DecodeSettings, Engine, EngineError, NoiseKey, Repeats, Taste};
use interlude_models::latent::slerp;
use interlude_models::steering::Steering;
use interlude_models::tokens::{Controls, Tokens};

use error::GenerateError;

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
    /// The bars that each example repeats; none when empty.
    pub repeats: Vec<Option<Repeats>>,
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
            repeats: settings.repeats.iter().skip(first).take(batch.len()).cloned().collect(),
        };
        decoded.extend(engine.decode(batch, &settings, &mut |_| {
            on_step(batch.len());
            ControlFlow::Continue(())
        })?);
    }
    Ok(decoded)
}

/// How pieces lie between inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// So many from one input to another, both included.
    Line(usize),
    /// A grid between four, row by row, as [`grid`] lays it out.
    Grid {
        /// Pieces in a row.
        columns: usize,
        /// Pieces in a column.
        rows: usize,
    },
}

impl Layout {
    /// The layout between so many inputs: a line of `outputs` pieces between two, between four a grid
    /// that has as many columns and rows where these are not given.
    ///
    /// # Errors
    /// [`GenerateError::Inputs`] for other numbers of inputs, [`GenerateError::GridOfTwo`] for columns or
    /// rows of a line.
    pub fn between(
        inputs: usize,
        outputs: usize,
        columns: Option<usize>,
        rows: Option<usize>,
    ) -> Result<Self, GenerateError> {
        match inputs {
            2 if columns.is_some() || rows.is_some() => Err(GenerateError::GridOfTwo),
            2 => Ok(Self::Line(outputs)),
            4 => Ok(Self::Grid {
                columns: columns.unwrap_or(outputs),
                rows: rows.unwrap_or(outputs),
            }),
            _ => Err(GenerateError::Inputs(inputs)),
        }
    }

    /// Column and row of each piece, each from 0 to 1; those of a line are rows.
    pub fn places(self) -> Vec<[f32; 2]> {
        match self {
            Self::Line(count) => shares(count).map(|y| [0.0, y]).collect(),
            Self::Grid { columns, rows } => {
                shares(rows).flat_map(|y| shares(columns).map(move |x| [x, y])).collect()
            }
        }
    }

    /// What each piece of a line between melodies of one key leans to; none of a grid and of other
    /// music.
    pub fn tastes(self, ends: &[&Tokens]) -> Vec<Taste> {
        match (self, Taste::of(ends)) {
            (Self::Line(count), Some(taste)) => shares(count).map(|t| taste.at(t)).collect(),
            _ => Vec::new(),
        }
    }
}

/// The bars that each piece at some places between windows repeats: those that are equal in all of the
/// windows. At the ends the windows stay what they are. None where no bars are.
pub fn repeats(config: &Config, windows: &[&Tokens], places: &[[f32; 2]]) -> Vec<Option<Repeats>> {
    let Some(repeats) = Repeats::of(config, windows) else { return Vec::new() };
    let is_end = |place: &[f32; 2]| place.iter().all(|share| share.fract() == 0.0);
    places.iter().map(|place| (!is_end(place)).then(|| repeats.clone())).collect()
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
    use interlude_models::config;

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

    // Two inputs make a line, four a grid as large as asked for; other numbers, and a grid of two, are
    // refused. There is a place for each code that `line` and `grid` make, in their order.
    #[test]
    fn layouts_have_a_place_for_each_piece() {
        assert_eq!(Layout::between(2, 3, None, None).expect("a line"), Layout::Line(3));
        assert_eq!(Layout::Line(3).places(), [[0.0, 0.0], [0.0, 0.5], [0.0, 1.0]]);
        let layout = Layout::between(4, 3, None, Some(2)).expect("a grid");
        assert_eq!(layout, Layout::Grid { columns: 3, rows: 2 });
        let codes = grid([&[0.0, 1.0], &[0.0, 1.0], &[1.0, 0.0], &[1.0, 0.0]], 3, 2);
        let places = layout.places();
        assert_eq!(places.len(), codes.len());
        for ([x, _], code) in places.iter().zip(&codes) {
            let angle = code[0].atan2(code[1]) / std::f32::consts::FRAC_PI_2;
            assert!((angle - x).abs() < 1e-5, "{x}: {code:?}");
        }
        assert!(matches!(Layout::between(3, 3, None, None), Err(GenerateError::Inputs(3))));
        assert!(matches!(Layout::between(2, 3, Some(2), None), Err(GenerateError::GridOfTwo)));
    }

    // Pieces between two melodies of one key lean to it, most in the middle; in a grid, and between
    // other music, each is free.
    #[test]
    fn only_lines_between_melodies_have_a_taste() {
        let scale = [60, 62, 64, 65, 67, 69, 71, 72].map(|pitch: u8| pitch - 19);
        let melody = Tokens::Melody(scale.into_iter().flat_map(|token| [token, 0, 0, 0]).collect());
        let drums = Tokens::Drums(vec![1; 32]);
        let tastes = Layout::Line(5).tastes(&[&melody, &melody]);
        let taste = Taste::of(&[&melody]).expect("C major");
        assert_eq!(tastes, [0.0, 0.25, 0.5, 0.75, 1.0].map(|t| taste.at(t)));
        assert!(Layout::Grid { columns: 2, rows: 2 }.tastes(&[&melody; 4]).is_empty());
        assert!(Layout::Line(5).tastes(&[&melody, &drums]).is_empty());
    }

    // Pieces between two loops repeat their bars, but the loops themselves are left as they are; other
    // music is free.
    #[test]
    fn only_pieces_between_loops_repeat() {
        let config = config::by_name("hierdec-mel_16bar").expect("known");
        let melody = |length: usize| {
            let token = |step: usize| 2 + (step % length / 16 * 5 + step % 16) % 80;
            let token = |step: usize| u8::try_from(token(step)).expect("a token");
            Tokens::Melody((0..256).map(token).collect())
        };
        let (one, two, free) = (melody(16), melody(32), melody(256));
        let between = |a: &Tokens, b: &Tokens| {
            let repeats = repeats(&config, &[a, b], &Layout::Line(3).places());
            repeats.iter().map(Option::is_some).collect::<Vec<_>>()
        };
        assert_eq!(between(&one, &two), [false, true, false]);
        assert!(between(&one, &free).is_empty());
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
