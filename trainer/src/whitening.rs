//! Whitening: an affine change of basis after which the aggregate posterior has mean 0 and
//! covariance 1.
//!
//! A model that is trained with a small weight of the divergence puts its codes anywhere, packed
//! together and dependent on each other, and what the prior draws is no music. Decoder and encoder
//! read and write codes by linear layers, though, which can take any linear change of the space: the
//! model reconstructs what it did, and over the data each number of the new codes has mean 0,
//! variance 1 together with its noise, and nothing in common with the others.
//!
//! With N the mean variances of the noise and C the covariance of the means, the axes are those of
//! the eigenvectors of N^-½ C N^-½ (simultaneous diagonalisation, Fukunaga, "Introduction to
//! Statistical Pattern Recognition", 1990, section 2.3); an eigenvalue λ is the power of a number in
//! units of its noise, and ½ ln(1 + λ) the nats that it can hold.

use interlude_models::config::Config;
use interlude_models::engine::Posterior;
use interlude_models::network::{Variable, variables};
use interlude_models::weights::{Tensor, Weights};
use nalgebra::{DMatrix, DVector, RowDVector, SymmetricEigen};

/// Least power of a number, in units of its noise, that is kept.
const LEAST: f64 = 0.01;

/// A linear change of latent space: `new = (old − mean) · forward`, `old = mean + new · backward`.
#[derive(Clone, Debug)]
pub struct Whitening {
    mean: RowDVector<f64>,
    /// `[old size, new size]`.
    forward: DMatrix<f64>,
    /// `[new size, old size]`.
    backward: DMatrix<f64>,
    /// Standard deviation of the noise of each new number.
    noise: Vec<f64>,
}

impl Whitening {
    /// The change that whitens some posteriors; none when they do not differ or have no noise.
    pub fn of(codes: &[Posterior]) -> Option<Self> {
        let (count, size) = (codes.len(), codes.first()?.mu.len());
        let means = DMatrix::from_fn(count, size, |row, column| f64::from(codes[row].mu[column]));
        let square = |code: &Posterior, column: usize| f64::from(code.sigma[column]).powi(2);
        let variance = |column| codes.iter().map(|code| square(code, column)).sum::<f64>();
        let number = f64::from(u32::try_from(count).ok()?);
        let noise = DVector::from_fn(size, |column, _| (variance(column) / number).sqrt());
        if noise.iter().any(|&noise| !(noise.is_normal() && noise > 0.0)) {
            return None;
        }
        let mean = means.row_mean();
        let mut units = means;
        for mut row in units.row_iter_mut() {
            row -= &mean;
            row.component_div_assign(&noise.transpose());
        }
        let eigen = SymmetricEigen::new(units.tr_mul(&units) / number);
        let mut order: Vec<usize> =
            (0..size).filter(|&axis| eigen.eigenvalues[axis] > LEAST).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        // Power of signal and noise together, in units of the noise.
        let power = |axis: usize| 1.0 + eigen.eigenvalues[axis];
        let forward = DMatrix::from_fn(size, order.len(), |old, new| {
            let axis = order[new];
            eigen.eigenvectors[(old, axis)] / noise[old] / power(axis).sqrt()
        });
        let backward = DMatrix::from_fn(order.len(), size, |new, old| {
            let axis = order[new];
            eigen.eigenvectors[(old, axis)] * noise[old] * power(axis).sqrt()
        });
        let noise = order.iter().map(|&axis| power(axis).sqrt().recip()).collect();
        (!order.is_empty()).then_some(Self { mean, forward, backward, noise })
    }

    /// How many numbers new codes have.
    pub fn size(&self) -> usize {
        self.noise.len()
    }

    /// Mean divergence from the prior of the codes it was made for, in nats.
    pub fn divergence(&self) -> f64 {
        -self.noise.iter().map(|noise| noise.ln()).sum::<f64>()
    }

    /// A model with the change in its weights, and its configuration. The noise of a number is the
    /// same for all windows.
    ///
    /// # Panics
    /// When the weights are not those of the configuration.
    pub fn apply(&self, config: &Config, weights: &Weights) -> (Config, Weights) {
        let mut other = config.clone();
        other.hparams.z_size += 1;
        let own = variables(config);
        let mut new = weights.clone();
        // Moments of training, of the old shapes, stay behind.
        new.0.retain(|name, _| own.iter().any(|variable| variable.name == *name));
        for (variable, other) in own.into_iter().zip(variables(&other)) {
            let Some(layer) = variable.name.strip_suffix("/kernel") else { continue };
            let bias = format!("{layer}/bias");
            let [kernel, own] = [&variable.name, &bias].map(|name| matrix(weights, name));
            match layer {
                "encoder/mu" => {
                    put(&mut new, &variable.name, &(kernel * &self.forward));
                    let bias_of = (own.row(0) - &self.mean) * &self.forward;
                    new.insert(bias, vector(bias_of.iter().copied()));
                }
                "encoder/sigma" => {
                    put(&mut new, &variable.name, &DMatrix::zeros(kernel.nrows(), self.size()));
                    // The inverse of softplus.
                    let before = self.noise.iter().map(|noise| noise.exp_m1().ln());
                    new.insert(bias, vector(before));
                }
                _ => {
                    // Rows that are more in a model with more numbers read the code.
                    let Some((from, size)) = differing(&variable, &other) else { continue };
                    let read = kernel.rows(from, size);
                    let (above, below) = (kernel.rows(0, from), kernel.rows_range(from + size..));
                    let rows: Vec<_> = above
                        .row_iter()
                        .map(|row| row.into_owned())
                        .chain((&self.backward * read).row_iter().map(|row| row.into_owned()))
                        .chain(below.row_iter().map(|row| row.into_owned()))
                        .collect();
                    put(&mut new, &variable.name, &DMatrix::from_rows(&rows));
                    let bias_of = own.row(0) + &self.mean * read;
                    new.insert(bias, vector(bias_of.iter().copied()));
                }
            }
        }
        let mut changed = config.clone();
        changed.hparams.z_size = self.size();
        (changed, new)
    }
}

/// The first row and the number of those by which two variables differ, as they are in the first.
fn differing(variable: &Variable, other: &Variable) -> Option<(usize, usize)> {
    let parts = || variable.rows.iter().zip(&other.rows);
    let part = parts().position(|(own, other)| own != other)?;
    Some((variable.rows[..part].iter().sum(), variable.rows[part]))
}

/// A variable as a matrix, a bias as a row.
fn matrix(weights: &Weights, name: &str) -> DMatrix<f64> {
    let tensor = weights.get(name).expect("a weight of the configuration");
    let columns = tensor.shape.last().copied().unwrap_or(1);
    let values = tensor.data.iter().map(|&value| f64::from(value));
    DMatrix::from_row_iterator(tensor.data.len() / columns.max(1), columns, values)
}

fn put(weights: &mut Weights, name: &str, matrix: &DMatrix<f64>) {
    // nalgebra keeps columns together, weights rows.
    let data = matrix.transpose().iter().map(|&value| narrow(value)).collect();
    let shape = vec![matrix.nrows(), matrix.ncols()];
    weights.insert(name, Tensor { shape, data });
}

fn vector(values: impl Iterator<Item = f64>) -> Tensor {
    let data: Vec<f32> = values.map(narrow).collect();
    Tensor { shape: vec![data.len()], data }
}

#[expect(clippy::cast_possible_truncation, reason = "weights are single")]
fn narrow(value: f64) -> f32 {
    value as f32
}
