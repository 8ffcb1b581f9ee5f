//! Comparison with outputs of the original implementation.
//!
//! A fixture folder holds a checkpoint that the original wrote (`<name>.ckpt.*` and the same in
//! `<name>.tar`), its configuration and variables (`meta.json`) and what it computed
//! (`io.safetensors`). Everything here goes the way of a user's checkpoint: it is read from the
//! archive, written as a model folder, loaded and run.

pub mod converters;
mod fixture;
mod networks;
mod reconstruction;
mod training;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use fixture::{Array, Fixture};
pub use networks::networks;
pub use reconstruction::reconstruction;
pub use training::training;

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Name of the fixture folder.
    pub fixture: String,
    /// What was compared.
    pub what: String,
    /// The worst deviation; NaN when there was nothing to compare.
    pub error: f64,
    /// The largest deviation that passes.
    pub tolerance: f64,
}

impl Row {
    /// Whether the deviation is within the tolerance.
    pub fn passed(&self) -> bool {
        self.error <= self.tolerance
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed() { "pass" } else { "FAIL" };
        let Self { fixture, what, error, tolerance } = self;
        write!(f, "{fixture:<32} {what:<36} {error:>10.2e} {tolerance:>10.0e}  {verdict}")
    }
}

/// The largest absolute difference; NaN when the numbers of elements differ or one is NaN.
pub fn worst_difference(ours: &[f32], theirs: &[f32]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::NAN;
    }
    let differences = ours.iter().zip(theirs).map(|(&a, &b)| (f64::from(a) - f64::from(b)).abs());
    differences.fold(0.0, |worst, next| if next > worst || next.is_nan() { next } else { worst })
}

/// How many elements differ; NaN when the numbers of elements differ.
pub fn count_different<T: PartialEq>(ours: &[T], theirs: &[T]) -> f64 {
    if ours.len() != theirs.len() {
        return f64::NAN;
    }
    let count = ours.iter().zip(theirs).filter(|(a, b)| a != b).count();
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// One-hot vectors `[batch, sum of sizes]` as positions `[batch, parts]`.
fn hot_positions(rows: &[f32], sizes: &[usize]) -> Vec<i64> {
    let mut positions = Vec::new();
    for row in rows.chunks_exact(sizes.iter().sum()) {
        let mut first = 0;
        for &size in sizes {
            let part = &row[first..first + size];
            // A vector without a hot element is "none".
            let hot = part.iter().position(|&value| value > 0.5).unwrap_or(size);
            positions.push(i64::try_from(hot).unwrap_or(i64::MAX));
            first += size;
        }
    }
    positions
}

/// Fixture folders with networks at `folder` or below it, in the order of their names.
///
/// # Errors
/// When a folder cannot be read.
pub fn fixture_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if folder.join("meta.json").is_file() {
        found.push(folder.to_owned());
    }
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder `{}`", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(fixture_folders(&path)?);
        }
    }
    found.sort();
    Ok(found)
}
