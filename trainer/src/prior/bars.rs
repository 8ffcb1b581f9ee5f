//! Windows taken apart into bars, and the basis of a latent space in which each bar has numbers of its
//! own, equal for equal bars.
//!
//! The codes of a hierarchical model whose levels hand bars on one by one hold each bar in a subspace,
//! though in no dimensions of its own. The basis is found from windows of bars that were drawn
//! independently: for each place a linear map of codes so that the maps of all places agree on equal
//! bars (generalised canonical correlations, MAXVAR, Kettenring 1971), by power iteration.

use std::collections::HashMap;

use interlude_dataset::layout;
use interlude_models::config::Config;
use interlude_models::engine::{Engine, EngineError};
use interlude_models::tokens::{Tokens, Window};
use nalgebra::DMatrix;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::train::batches::fill_normal;

/// Windows of drawn bars for each dimension.
const WINDOWS: usize = 3;
/// Of as many windows as this share of the dimensions the maps are judged.
const HELD_OUT: usize = 4;
/// Different bars for each window that they are drawn for, as a share.
const POOL: usize = 4;
/// Most iterations.
const ITERATIONS: usize = 16;
/// The iteration ends where the share of the bars' variance that codes tell grows by less.
const LEAST_GAIN: f64 = 1e-4;
/// What is added to the variances, as a share of their mean, so that the maps stay small.
const RIDGE: f64 = 1e-3;
/// Share of the bars' variance that codes must tell at each place.
const LEAST_TOLD: f64 = 0.8;
/// Largest factor by which the inverse of the maps may lengthen a code.
const MOST_LENGTHENED: f64 = 50.0;
/// Windows that are encoded at once.
const BATCH: usize = 64;

/// The different bars of some windows.
#[derive(Clone, Debug, Default)]
pub struct Bars {
    /// Bars of a window.
    pub parts: usize,
    /// The numbers of each different bar.
    pub bars: Vec<Vec<u16>>,
    /// The bars of each window, one window after the other.
    pub places: Vec<usize>,
}

impl Bars {
    /// Takes windows of a hierarchical configuration apart.
    pub fn of(config: &Config, windows: &[Window]) -> Self {
        let parts = config.segments();
        let mut known: HashMap<Vec<u16>, usize> = HashMap::new();
        let mut places = Vec::with_capacity(windows.len() * parts);
        for window in windows {
            let numbers = layout::write(config, window);
            for bar in numbers.chunks_exact(numbers.len() / parts) {
                let next = known.len();
                let place = match known.get(bar) {
                    Some(&place) => place,
                    None => *known.entry(bar.to_vec()).or_insert(next),
                };
                places.push(place);
            }
        }
        let mut bars = vec![Vec::new(); known.len()];
        for (bar, place) in known {
            bars[place] = bar;
        }
        Self { parts, bars, places }
    }

    /// The tokens of a window of some of the bars.
    fn window(&self, config: &Config, bars: &[usize]) -> Tokens {
        let numbers: Vec<u16> = bars.iter().flat_map(|&bar| &self.bars[bar]).copied().collect();
        layout::read(config, &numbers).tokens
    }
}

/// The means of windows of some bars each, one window in a row, and the standard deviations of the
/// last.
fn encode(
    engine: &mut Engine,
    bars: &Bars,
    windows: &[Vec<usize>],
    progress: &mut dyn FnMut(usize),
) -> Result<(DMatrix<f64>, Vec<f32>), EngineError> {
    let config = engine.config().clone();
    let (mut means, mut sigma) = (Vec::new(), Vec::new());
    for windows in windows.chunks(BATCH) {
        let tokens: Vec<Tokens> = windows.iter().map(|bars_| bars.window(&config, bars_)).collect();
        for posterior in engine.encode(&tokens, None)? {
            means.extend(posterior.mu.iter().map(|&value| f64::from(value)));
            sigma = posterior.sigma;
        }
        progress(windows.len());
    }
    Ok((DMatrix::from_row_slice(windows.len(), config.hparams.z_size, &means), sigma))
}

/// A basis of a latent space.
#[derive(Clone, Debug)]
pub struct Basis {
    /// The mean of codes of windows of drawn bars, `[1, latent]`.
    mean: DMatrix<f64>,
    /// From a code, a row, to the bars one after the other.
    map: DMatrix<f64>,
    inverse: DMatrix<f64>,
    parts: usize,
    /// The least share of the bars' variance that the codes tell, of all places.
    pub told: f64,
}

impl Basis {
    /// How many windows [`Basis::find`] encodes.
    pub fn windows(latent: usize) -> usize {
        WINDOWS * latent + latent / HELD_OUT
    }

    /// Finds the basis of a model; `None` where its codes do not tell bars apart.
    ///
    /// # Errors
    /// As [`Engine::encode`].
    pub fn find(
        engine: &mut Engine,
        bars: &Bars,
        seed: u64,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Option<Self>, EngineError> {
        let (latent, parts) = (engine.config().hparams.z_size, bars.parts);
        if parts < 2 || !latent.is_multiple_of(parts) || bars.bars.len() < latent / parts {
            return Ok(None);
        }
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let learnt = WINDOWS * latent;
        let pool = (learnt / POOL).min(bars.bars.len());
        let pool = rand::seq::index::sample(&mut generator, bars.bars.len(), pool).into_vec();
        let drawn: Vec<Vec<usize>> = (0..Self::windows(latent))
            .map(|_| (0..parts).map(|_| generator.random_range(0..pool.len())).collect())
            .collect();
        let windows: Vec<Vec<usize>> =
            drawn.iter().map(|bars| bars.iter().map(|&bar| pool[bar]).collect()).collect();
        let (codes, _) = encode(engine, bars, &windows, progress)?;
        let mut start = vec![0.0; pool.len() * (latent / parts)];
        fill_normal(&mut generator, &mut start);
        let start = start.into_iter().map(f64::from);
        let start = DMatrix::from_iterator(pool.len(), latent / parts, start);
        Ok(Self::agreeing(&codes, &drawn, learnt, start))
    }

    /// The maps of all places that agree best on equal bars, from codes of windows, of which the first
    /// `learnt` are to be learnt from. `means` are numbers of each bar to begin with.
    fn agreeing(
        codes: &DMatrix<f64>,
        drawn: &[Vec<usize>],
        learnt: usize,
        mut means: DMatrix<f64>,
    ) -> Option<Self> {
        let latent = codes.ncols();
        let (part, parts) = (means.ncols(), latent / means.ncols());
        let mean = codes.rows(0, learnt).row_mean();
        let centred = DMatrix::from_fn(codes.nrows(), latent, |row, column| {
            codes[(row, column)] - mean[column]
        });
        let own = centred.rows(0, learnt);
        let mut gram = own.tr_mul(&own);
        #[expect(clippy::cast_precision_loss, reason = "codes are short")]
        let ridge = RIDGE * gram.trace() / latent as f64;
        (0..latent).for_each(|index| gram[(index, index)] += ridge);
        let gram = gram.cholesky()?.inverse();
        let mut best: Option<(f64, DMatrix<f64>)> = None;
        for _ in 0..ITERATIONS {
            whiten(&mut means, &drawn[..learnt])?;
            // What each window's bars are to be, all places side by side.
            let wanted = DMatrix::from_fn(codes.nrows(), latent, |row, column| {
                means[(drawn[row][column / part], column % part)]
            });
            let map = &gram * own.tr_mul(&wanted.rows(0, learnt));
            let found = &centred * &map;
            let told = (0..parts).map(|place| {
                let columns = (place * part..(place + 1) * part)
                    .flat_map(|column| (learnt..codes.nrows()).map(move |row| (row, column)));
                let (wrong, all) = columns.fold((0.0, 0.0), |(wrong, all), at| {
                    (wrong + (found[at] - wanted[at]).powi(2), all + wanted[at].powi(2))
                });
                1.0 - wrong / all
            });
            let told = told.fold(f64::INFINITY, f64::min);
            let mut sums = DMatrix::<f64>::zeros(means.nrows(), part);
            let mut counts = vec![0.0; means.nrows()];
            for (row, bars) in drawn[..learnt].iter().enumerate() {
                for (place, &bar) in bars.iter().enumerate() {
                    counts[bar] += 1.0;
                    for column in 0..part {
                        sums[(bar, column)] += found[(row, place * part + column)];
                    }
                }
            }
            means = DMatrix::from_fn(means.nrows(), part, |bar, column| {
                sums[(bar, column)] / f64::max(counts[bar], 1.0)
            });
            let gain = best.as_ref().map_or(f64::INFINITY, |(best, _)| told - best);
            if gain > 0.0 {
                best = Some((told, map));
            }
            if told > LEAST_TOLD && gain < LEAST_GAIN {
                break;
            }
        }
        let longest = |matrix: &DMatrix<f64>| {
            let squares = matrix.tr_mul(matrix);
            squares.symmetric_eigenvalues().max().max(0.0).sqrt()
        };
        let (told, map) = best.filter(|(told, _)| *told >= LEAST_TOLD)?;
        let inverse = map.clone().try_inverse()?;
        let mean = DMatrix::from_row_slice(1, latent, mean.as_slice());
        (longest(&inverse) <= MOST_LENGTHENED).then_some(Self { mean, map, inverse, parts, told })
    }

    /// Encodes each bar once: returns the numbers of each, and the standard deviations of codes, which
    /// are those of any window.
    ///
    /// # Errors
    /// As [`Engine::encode`].
    pub fn numbers(
        &self,
        engine: &mut Engine,
        bars: &Bars,
        progress: &mut dyn FnMut(usize),
    ) -> Result<(Vec<f32>, Vec<f32>), EngineError> {
        let count = bars.bars.len();
        let windows: Vec<Vec<usize>> = (0..count.div_ceil(self.parts))
            .map(|row| (0..self.parts).map(|place| (row * self.parts + place) % count).collect())
            .collect();
        let (codes, sigma) = encode(engine, bars, &windows, progress)?;
        let part = self.map.ncols() / self.parts;
        let found = DMatrix::from_fn(codes.nrows(), codes.ncols(), |row, column| {
            codes[(row, column)] - self.mean[column]
        });
        let found = found * &self.map;
        let mut numbers = Vec::with_capacity(count * part);
        for bar in 0..count {
            let (row, place) = (bar / self.parts, bar % self.parts);
            numbers.extend((0..part).map(|at| narrow(found[(row, place * part + at)])));
        }
        Ok((numbers, sigma))
    }

    /// The code whose bars are all zero, and the matrices from codes, as rows, to bars one after the
    /// other and back, row by row.
    pub fn matrices(&self) -> (Vec<f32>, [Vec<f32>; 2]) {
        // nalgebra's matrices lie column by column.
        let rows = |matrix: &DMatrix<f64>| matrix.transpose().iter().copied().map(narrow).collect();
        (rows(&self.mean), [&self.map, &self.inverse].map(rows))
    }
}

/// Subtracts the mean over the bars of windows, and makes their covariance 1.
fn whiten(means: &mut DMatrix<f64>, drawn: &[Vec<usize>]) -> Option<()> {
    let mut counts = vec![0.0; means.nrows()];
    drawn.iter().flatten().for_each(|&bar| counts[bar] += 1.0);
    let all: f64 = counts.iter().sum();
    for mut column in means.column_iter_mut() {
        let mean = column.iter().zip(&counts).map(|(value, count)| value * count).sum::<f64>();
        column.add_scalar_mut(-mean / all);
    }
    let weighted = DMatrix::from_fn(means.nrows(), means.ncols(), |row, column| {
        means[(row, column)] * counts[row] / all
    });
    let covariance = means.tr_mul(&weighted);
    let eigen = nalgebra::SymmetricEigen::new(covariance);
    if eigen.eigenvalues.iter().any(|&value| value <= f64::EPSILON || !value.is_finite()) {
        return None;
    }
    let mut turned = &*means * &eigen.eigenvectors;
    for (mut column, variance) in turned.column_iter_mut().zip(eigen.eigenvalues.iter()) {
        column.scale_mut(1.0 / variance.sqrt());
    }
    *means = turned;
    Some(())
}

fn narrow(value: f64) -> f32 {
    #[expect(clippy::cast_possible_truncation, reason = "codes are single precision")]
    let value = value as f32;
    value
}

#[cfg(test)]
mod tests {
    use interlude_models::config::by_name;

    use super::*;

    const PARTS: usize = 4;
    const PART: usize = 2;

    /// Windows of drawn bars, and codes that mix what is in all of their bars, with noise.
    fn codes(count: usize, noise: f64) -> (DMatrix<f64>, Vec<Vec<usize>>, DMatrix<f64>) {
        let mut generator = ChaCha8Rng::seed_from_u64(5);
        let mut normal = |rows: usize, columns: usize| {
            let mut values = vec![0.0; rows * columns];
            fill_normal(&mut generator, &mut values);
            DMatrix::from_iterator(rows, columns, values.into_iter().map(f64::from))
        };
        let (bars, errors) = (normal(40, PART), normal(count, PARTS * PART));
        let mixing = normal(PARTS * PART, PARTS * PART);
        let drawn: Vec<Vec<usize>> = (0..count)
            .map(|_| (0..PARTS).map(|_| generator.random_range(0..40)).collect())
            .collect();
        let own = DMatrix::from_fn(count, PARTS * PART, |row, column| {
            bars[(drawn[row][column / PART], column % PART)]
        });
        (own * &mixing + errors * noise, drawn, mixing)
    }

    fn found(count: usize, noise: f64) -> Option<(Basis, DMatrix<f64>)> {
        let (codes, drawn, mixing) = codes(count, noise);
        let mut generator = ChaCha8Rng::seed_from_u64(6);
        let mut start = vec![0.0; 40 * PART];
        fill_normal(&mut generator, &mut start);
        let start = DMatrix::from_iterator(40, PART, start.into_iter().map(f64::from));
        let basis = Basis::agreeing(&codes, &drawn, count - 50, start)?;
        Some((basis, mixing))
    }

    /// Bars that codes mix are told apart, each by a map of its own part alone, and the same for equal
    /// bars in all places.
    #[test]
    fn mixed_bars_are_told_apart() {
        let (basis, mixing) = found(400, 0.01).expect("a basis");
        let through = mixing * &basis.map;
        let block = |row: usize, column: usize| {
            through.view((row * PART, column * PART), (PART, PART)).into_owned()
        };
        for (row, column) in (0..PARTS).flat_map(|row| (0..PARTS).map(move |it| (row, it))) {
            let expected = if row == column { block(0, 0) } else { DMatrix::zeros(PART, PART) };
            let far = (block(row, column) - expected).amax();
            assert!(far < 0.1, "{row}, {column}: {far}");
        }
        assert!(basis.told > 0.98, "{}", basis.told);
        let again = &basis.map * &basis.inverse;
        assert!((again - DMatrix::identity(8, 8)).amax() < 1e-6);
    }

    /// Codes that hardly tell what is in a bar give no basis.
    #[test]
    fn noise_gives_no_basis() {
        assert!(found(400, 30.0).is_none());
    }

    /// Equal bars are found wherever they are, and their windows again.
    #[test]
    fn bars_are_shared() {
        let config = by_name("hierdec-mel_16bar").expect("known");
        let window = |bars: [u8; 2]| {
            let token = |step: usize| if step % 16 == 3 { bars[step / 16 % 2] } else { 0 };
            Window { tokens: Tokens::Melody((0..256).map(token).collect()), controls: None }
        };
        let windows = [window([40, 41]), window([41, 50])];
        let bars = Bars::of(&config, &windows);
        assert_eq!((bars.parts, bars.bars.len()), (16, 3));
        assert_eq!(bars.places[..4], [0, 1, 0, 1]);
        assert_eq!(bars.places[16..20], [1, 2, 1, 2]);
        assert_eq!(bars.window(&config, &bars.places[16..]), windows[1].tokens);
    }
}
