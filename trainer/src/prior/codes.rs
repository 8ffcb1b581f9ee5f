//! Codes of windows, with what is known of each, in memory and as a file beside a run's checkpoints.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use interlude_gradient::flow::Example;
use interlude_gradient::transformer::{BASIS, INVERSE};
use interlude_models::engine::{Engine, EngineError, Posterior};
use interlude_models::latent::flow::{Conditions, Known};
use interlude_models::tokens::{Controls, Tokens};
use interlude_models::weights::{Tensor, Weights};
use nalgebra::DMatrix;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::SafeTensors;

use super::bars::{Bars, Basis};
use super::pieces::Pieces;
use crate::train::batches::fill_normal;

/// Windows that are encoded at once.
const BATCH: usize = 64;
/// Windows that are put together at once.
const WINDOWS: usize = 1024;
/// Key of the file's metadata.
const KEY: &str = "interlude-codes";
/// Probability that nothing at all is told of a window.
const NOTHING: f64 = 0.1;
/// Probability that one thing that is known is not told.
const LEFT_OUT: f64 = 0.15;
/// Probabilities that no neighbour is told, only the one before, only the one after; else both are.
const NEIGHBOURS: [f64; 3] = [0.55, 0.15, 0.15];

/// Codes of windows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Codes {
    /// Numbers of a code.
    latent: usize,
    /// Means, one code after the other.
    mu: Vec<f32>,
    /// Standard deviations, one code after the other, or those of all codes.
    sigma: Vec<f32>,
    /// Where bars are told apart: how the means are put together.
    parts: Option<Parts>,
    /// The class of each condition.
    classes: Vec<Vec<Option<usize>>>,
    /// The window that ends where each begins.
    before: Vec<Option<usize>>,
    /// The window that begins where each ends.
    after: Vec<Option<usize>>,
}

/// Codes as sums of what their bars contribute.
#[derive(Clone, Debug, Default, PartialEq)]
struct Parts {
    /// Bars of a window.
    count: usize,
    /// The bars of each window.
    places: Vec<usize>,
    /// The numbers of each bar.
    numbers: Vec<f32>,
    /// The code of bars of zeros.
    origin: Vec<f32>,
    /// The matrices of the basis, row by row: from codes to bars, and back.
    basis: [Vec<f32>; 2],
}

impl Parts {
    /// The means of all windows.
    fn means(&self) -> Vec<f32> {
        let latent = self.origin.len();
        let part = latent / self.count;
        // Row by row this is the matrix, column by column its transpose.
        let back = DMatrix::from_column_slice(latent, latent, &self.basis[1]);
        let mut means = Vec::with_capacity(self.places.len() * part);
        for places in self.places.chunks(self.count * WINDOWS) {
            let numbers = places.iter().flat_map(|&bar| &self.numbers[bar * part..][..part]);
            let columns = places.len() / self.count;
            let numbers = DMatrix::from_iterator(latent, columns, numbers.copied());
            let mut codes = &back * numbers;
            for mut code in codes.column_iter_mut() {
                code.iter_mut().zip(&self.origin).for_each(|(value, origin)| *value += origin);
            }
            means.extend_from_slice(codes.as_slice());
        }
        means
    }
}

impl Codes {
    /// Codes of windows whose bars are told apart by a basis, of which each is encoded once.
    /// `progress` hears of windows that are done.
    ///
    /// # Errors
    /// As [`Engine::encode`].
    pub fn of_bars(
        engine: &mut Engine,
        pieces: &Pieces,
        classes: Vec<Vec<Option<usize>>>,
        (bars, basis): (Bars, &Basis),
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self, EngineError> {
        let (numbers, sigma) = basis.numbers(engine, &bars, progress)?;
        let (origin, basis) = basis.matrices();
        let (count, places) = (bars.parts, bars.places);
        let parts = Parts { count, places, numbers, origin, basis };
        Ok(Self {
            latent: engine.config().hparams.z_size,
            mu: parts.means(),
            parts: Some(parts),
            sigma,
            classes,
            before: pieces.before.clone(),
            after: pieces.after.clone(),
        })
    }

    /// The matrices of the basis in which bars are told apart, as a network has them; none where they
    /// are not.
    pub fn basis(&self) -> Weights {
        let mut weights = Weights::default();
        if let Some(parts) = &self.parts {
            for (name, data) in [BASIS, INVERSE].into_iter().zip(&parts.basis) {
                let shape = vec![self.latent; 2];
                weights.insert(name, Tensor { shape, data: data.clone() });
            }
        }
        weights
    }

    /// Encodes windows whose classes are known. `progress` hears of windows that are done.
    ///
    /// # Errors
    /// As [`Engine::encode`].
    pub fn encode(
        engine: &mut Engine,
        pieces: &Pieces,
        classes: Vec<Vec<Option<usize>>>,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Self, EngineError> {
        let mut codes = Self {
            latent: engine.config().hparams.z_size,
            classes,
            before: pieces.before.clone(),
            after: pieces.after.clone(),
            ..Self::default()
        };
        for windows in pieces.windows.chunks(BATCH) {
            let tokens: Vec<Tokens> = windows.iter().map(|window| window.tokens.clone()).collect();
            let controls: Option<Vec<Controls>> =
                windows.iter().map(|window| window.controls.clone()).collect();
            for Posterior { mu, sigma } in engine.encode(&tokens, controls.as_deref())? {
                codes.mu.extend(mu);
                codes.sigma.extend(sigma);
            }
            progress(windows.len());
        }
        Ok(codes)
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.classes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Classes of at most `count` windows, spread evenly.
    pub fn examples(&self, count: usize) -> Vec<Vec<Option<usize>>> {
        let count = count.min(self.len());
        (0..count).map(|index| self.classes[index * self.len() / count].clone()).collect()
    }

    /// The classes of a window.
    pub fn classes(&self, index: usize) -> &[Option<usize>] {
        &self.classes[index]
    }

    /// A code of a window, drawn from its posterior with a share of its standard deviation.
    pub fn draw(&self, index: usize, share: f32, generator: &mut ChaCha8Rng, code: &mut [f32]) {
        let range = index * self.latent..(index + 1) * self.latent;
        fill_normal(generator, code);
        let mu = &self.mu[range.clone()];
        let sigma = if self.sigma.len() == self.latent { 0..self.latent } else { range };
        for ((value, mu), sigma) in code.iter_mut().zip(mu).zip(&self.sigma[sigma]) {
            *value = mu + share * sigma * *value;
        }
    }

    /// Fills an example of a training: a window, with some of what is known of it.
    ///
    /// # Panics
    /// When there is no window.
    pub fn example(
        &self,
        conditions: &Conditions,
        generator: &mut ChaCha8Rng,
        example: Example<'_>,
    ) {
        let index = generator.random_range(0..self.len());
        self.draw(index, 1.0, generator, example.data);
        let mut known = Known::default();
        if !generator.random_bool(NOTHING) {
            let mut told =
                |class: &Option<usize>| class.filter(|_| !generator.random_bool(LEFT_OUT));
            known.classes = self.classes[index].iter().map(&mut told).collect();
        }
        let kind: f64 = generator.random();
        let [none, only_before, only_after] = NEIGHBOURS;
        let with_before = (none..none + only_before).contains(&kind);
        let with_both = kind >= none + only_before + only_after;
        let with_after = kind >= none && !with_before;
        // A neighbour is told as it is found in use: the mean of a clip, or a code that was drawn.
        let mut neighbour = |wanted: bool, other: Option<usize>| {
            let other = other.filter(|_| wanted)?;
            let mut code = vec![0.0; self.latent];
            let share = generator.random();
            self.draw(other, share, generator, &mut code);
            Some(code)
        };
        known.before = neighbour(with_before || with_both, self.before[index]);
        known.after = neighbour(with_after, self.after[index]);
        conditions.tell(example.context, &known);
    }

    /// Writes the codes, with a text that says what they are of.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let (rows, columns) = (self.len(), self.classes.first().map_or(0, Vec::len));
        let mut tensors = Weights::default();
        let mut put = |name: &str, shape: &[usize], data: Vec<f32>| {
            tensors.insert(name, Tensor { shape: shape.to_vec(), data });
        };
        let latent = self.latent;
        match &self.parts {
            None => put("mu", &[rows, latent], self.mu.clone()),
            Some(parts) => {
                let places = parts.places.iter().map(|&place| stored(&Some(place))).collect();
                put("places", &[rows, parts.count], places);
                let part = latent / parts.count;
                put("numbers", &[parts.numbers.len() / part, part], parts.numbers.clone());
                put("origin", &[latent], parts.origin.clone());
                for (name, data) in [BASIS, INVERSE].into_iter().zip(&parts.basis) {
                    put(name, &[latent, latent], data.clone());
                }
            }
        }
        put("sigma", &[self.sigma.len() / latent.max(1), latent], self.sigma.clone());
        put("classes", &[rows, columns], self.classes.iter().flatten().map(stored).collect());
        put("before", &[rows], self.before.iter().map(stored).collect());
        put("after", &[rows], self.after.iter().map(stored).collect());
        let metadata = HashMap::from([(KEY.to_owned(), text.to_owned())]);
        let bytes = safetensors::serialize(tensors.iter(), Some(metadata))
            .map_err(|error| io::Error::other(error.to_string()))?;
        interlude_models::files::write(path, &bytes)
    }

    /// Reads codes that were written with the same text; `None` for any other file.
    pub fn read(path: &Path, text: &str) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).ok()?;
        metadata.metadata().as_ref()?.get(KEY).filter(|found| *found == text)?;
        let tensors = Weights::read(path).ok()?;
        let take = |name: &str| tensors.get(name).cloned();
        let (sigma, classes) = (take("sigma")?, take("classes")?);
        let (&[deviations, latent], &[rows, columns]) = (&sigma.shape[..], &classes.shape[..])
        else {
            return None;
        };
        let (mu, parts) = match take("mu") {
            Some(mu) => ((mu.shape == [rows, latent]).then_some(mu.data)?, None),
            None => {
                let parts = Parts::read(&tensors, rows, latent)?;
                (parts.means(), Some(parts))
            }
        };
        let indices = |name: &str| -> Option<Vec<Option<usize>>> {
            let found: Vec<_> = take(name)?.data.iter().map(|&value| restored(value)).collect();
            (found.len() == rows && found.iter().flatten().all(|&index| index < rows))
                .then_some(found)
        };
        let (before, after) = (indices("before")?, indices("after")?);
        let classes: Vec<Vec<Option<usize>>> = classes
            .data
            .chunks_exact(columns.max(1))
            .map(|row| row.iter().map(|&value| restored(value)).collect())
            .collect();
        let whole = [1, rows].contains(&deviations) && classes.len() == rows && latent > 0;
        whole.then_some(Self { latent, mu, sigma: sigma.data, parts, classes, before, after })
    }
}

impl Parts {
    /// Those that were written for windows with codes of `latent` numbers.
    fn read(tensors: &Weights, windows: usize, latent: usize) -> Option<Self> {
        let take = |name: &str| tensors.get(name).cloned();
        let (places, numbers, origin) = (take("places")?, take("numbers")?, take("origin")?);
        let basis = [take(BASIS)?, take(INVERSE)?];
        let (&[rows, count], &[bars, part]) = (&places.shape[..], &numbers.shape[..]) else {
            return None;
        };
        let places: Vec<usize> = places.data.into_iter().filter_map(restored).collect();
        let whole = rows == windows
            && places.len() == rows * count
            && places.iter().all(|&place| place < bars)
            && count.checked_mul(part) == Some(latent)
            && origin.shape == [latent]
            && basis.iter().all(|matrix| matrix.shape == [latent; 2]);
        let basis = basis.map(|matrix| matrix.data);
        let (numbers, origin) = (numbers.data, origin.data);
        whole.then_some(Self { count, places, numbers, origin, basis })
    }
}

/// A number below 2^24, or −1 for none.
fn stored(value: &Option<usize>) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "there are fewer windows than 2^24")]
    let number = value.map_or(-1.0, |value| value as f32);
    number
}

fn restored(value: f32) -> Option<usize> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let index = (value >= 0.0).then_some(value as usize);
    index
}
