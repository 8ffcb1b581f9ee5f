//! `interlude compare`: the losses of several runs side by side.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde::{Deserialize, Serialize};

use super::common;
use crate::train::metrics;

/// Compare the losses of runs, step by step.
///
/// Lines of metrics are means over the steps since the line before: train with `--log-every 1` to
/// compare single steps.
#[derive(Args, Debug)]
pub struct Compare {
    /// Folders of runs.
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Steps between two rows of the table.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    every: u64,
    /// Fail when a loss differs from the first run's by more than this, relative to it.
    #[arg(long)]
    tolerance: Option<f64>,
    /// Also write all steps to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A line of a run's metrics, as far as it is read.
#[derive(Deserialize)]
struct Line {
    step: u64,
    loss: Option<f64>,
}

/// A step of all runs.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    step: u64,
    losses: Vec<f64>,
    /// Largest distance from the first run's loss, relative to it.
    difference: f64,
}

impl Compare {
    /// Runs the command.
    ///
    /// # Errors
    /// When a run has no metrics, the runs have no step in common, or a loss is out of tolerance.
    pub fn run(self) -> anyhow::Result<()> {
        let runs = self.runs.iter().map(|run| losses(run)).collect::<anyhow::Result<Vec<_>>>()?;
        let rows = rows(&runs);
        let Some(worst) = rows.iter().max_by(|a, b| a.difference.total_cmp(&b.difference)) else {
            bail!("the runs have no step in common; train them with the same --log-every");
        };
        let names: Vec<String> = self.runs.iter().map(|run| run.display().to_string()).collect();
        let mut text = format!("{:>8}  {}  {:>10}\n", "step", columns(&names), "difference");
        for row in rows.iter().filter(|row| row.step == 1 || row.step.is_multiple_of(self.every)) {
            let losses: Vec<String> = row.losses.iter().map(|loss| format!("{loss:.6}")).collect();
            writeln!(text, "{:>8}  {}  {:>10.2e}", row.step, columns(&losses), row.difference)?;
        }
        let (count, step) = (rows.len(), worst.step);
        writeln!(
            text,
            "{count} steps, largest difference {:.2e} at step {step}",
            worst.difference
        )?;
        common::print(&text)?;
        if let Some(path) = &self.json {
            let table = serde_json::json!({"runs": names, "steps": rows});
            fs::write(path, table.to_string())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        if let Some(tolerance) = self.tolerance
            && (worst.difference.is_nan() || worst.difference > tolerance)
        {
            bail!("a difference of {:.2e} is above {tolerance:.2e}", worst.difference);
        }
        Ok(())
    }
}

/// Cells of a row, each as wide as the columns are.
fn columns(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:>14}")).collect();
    cells.join("  ")
}

/// The losses of a run by step.
fn losses(run: &Path) -> anyhow::Result<BTreeMap<u64, f64>> {
    let path = run.join(metrics::FILE);
    let text = fs::read_to_string(&path)
        .with_context(|| format!("cannot read `{}`; is it the folder of a run?", path.display()))?;
    let mut losses = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line)
            .with_context(|| format!("line {} of `{}`", index + 1, path.display()))?;
        losses.extend(line.loss.map(|loss| (line.step, loss)));
    }
    Ok(losses)
}

/// The steps that all runs have.
fn rows(runs: &[BTreeMap<u64, f64>]) -> Vec<Row> {
    let Some((first, others)) = runs.split_first() else { return Vec::new() };
    first
        .iter()
        .filter_map(|(&step, &loss)| {
            let rest = others.iter().map(|run| run.get(&step).copied());
            let losses: Vec<f64> =
                std::iter::once(Some(loss)).chain(rest).collect::<Option<_>>()?;
            let distance = |other: &f64| (other - loss).abs() / loss.abs().max(f64::MIN_POSITIVE);
            let difference = losses.iter().map(distance).max_by(f64::total_cmp).unwrap_or(0.0);
            Some(Row { step, losses, difference })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Only steps that all runs have are compared, each with the first run, relative to its loss.
    #[test]
    fn steps_in_common_are_compared() {
        let first = BTreeMap::from([(1, 10.0), (2, 8.0), (3, 4.0)]);
        let second = BTreeMap::from([(1, 10.0), (3, 5.0)]);
        let rows = rows(&[first, second]);
        assert_eq!(rows.iter().map(|row| row.step).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(rows[0].difference, 0.0);
        assert_eq!(rows[1].difference, 0.25);
    }

    // A loss that is not a number has no distance, which no tolerance allows.
    #[test]
    fn what_is_not_a_number_is_worst() {
        let rows = rows(&[BTreeMap::from([(1, 1.0)]), BTreeMap::from([(1, f64::NAN)])]);
        assert!(rows[0].difference.is_nan());
    }
}
