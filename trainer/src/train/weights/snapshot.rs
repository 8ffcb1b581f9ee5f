//! Checkpoints of a run: one safetensors file with weights, moments and where the run is.
//!
//! A file is written beside and renamed, so a run that is killed finds its last whole one.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use interlude_models::config::Config;
use interlude_models::weights::{Weights, WeightsError};
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Key of the progress in a file's metadata.
const KEY: &str = "interlude-progress";
/// What names of checkpoints begin with; the step follows.
const STEM: &str = "checkpoint-";

/// What names begin with, and how long they are, of files that the writer of safetensors did not
/// finish.
const UNFINISHED: (&str, usize) = (".tmp", 10);

/// Where a run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Configuration that is trained.
    pub config: Config,
    /// Seed of order, transposition and noise.
    pub seed: u64,
    /// Steps done.
    pub step: u64,
    /// Examples seen.
    pub examples: u64,
    /// Seconds trained.
    pub seconds: f64,
    /// Index of the schedule's phase.
    pub phase: usize,
    /// Examples seen in this phase.
    pub phase_examples: u64,
    /// Seconds trained in this phase.
    pub phase_seconds: f64,
    /// Best score of an evaluation so far.
    pub best: Option<f64>,
    /// Examples in a batch where the schedule does not say; of use when the program chose them.
    #[serde(default)]
    pub batch_size: Option<usize>,
    /// Sums since the last line of metrics, so that the next line is that of an unbroken run.
    #[serde(default)]
    pub sums: Sums,
}

/// Sums over steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Loss, reconstruction loss, divergence, accuracy, norm of the gradients.
    pub report: [f64; 5],
    /// Steps since the last line of metrics.
    pub steps: u32,
    /// Examples in these steps.
    pub examples: u64,
    /// Seconds trained before the first of them.
    pub from: f64,
}

/// Why a checkpoint cannot be written or read.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// An error of the file system.
    #[error("cannot access `{}`: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is not a checkpoint of a run.
    #[error("`{}` is not a checkpoint of a training run ({reason}); remove it to go on from an earlier one", path.display())]
    Format {
        /// The checkpoint.
        path: PathBuf,
        /// What it lacks.
        reason: String,
    },
    /// The tensors cannot be read.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

/// The file of a step in a run's folder.
pub fn path(run: &Path, step: u64) -> PathBuf {
    run.join(format!("{STEM}{step:09}.safetensors"))
}

/// Checkpoints in a run's folder by step, oldest first.
///
/// # Errors
/// [`SnapshotError::Io`] when the folder cannot be listed; one that is not there has none.
pub fn list(run: &Path) -> Result<Vec<(u64, PathBuf)>, SnapshotError> {
    let failed = |source| SnapshotError::Io { path: run.to_owned(), source };
    let entries = match fs::read_dir(run) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let step = name
            .to_str()
            .and_then(|name| name.strip_prefix(STEM)?.strip_suffix(".safetensors")?.parse().ok());
        found.extend(step.map(|step| (step, entry.path())));
    }
    found.sort();
    Ok(found)
}

/// Writes a checkpoint and removes the oldest ones beyond `keep`.
///
/// # Errors
/// [`SnapshotError`] when the file system refuses; the earlier checkpoints stay.
pub fn write(
    run: &Path,
    progress: &Progress,
    weights: &Weights,
    keep: usize,
) -> Result<PathBuf, SnapshotError> {
    let path = path(run, progress.step);
    let failed = |source| SnapshotError::Io { path: path.clone(), source };
    let format = |reason: String| SnapshotError::Format { path: path.clone(), reason };
    let text = serde_json::to_string(progress).map_err(|error| format(error.to_string()))?;
    let metadata = HashMap::from([(KEY.to_owned(), text)]);
    let content = safetensors::serialize(weights.iter(), Some(metadata))
        .map_err(|error| format(error.to_string()))?;
    let mut temporary = interlude_models::files::beside(&path).map_err(failed)?;
    temporary.write_all(&content).map_err(failed)?;
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(&path).map_err(|error| failed(error.error))?;
    let found = list(run)?;
    for (_, old) in &found[..found.len().saturating_sub(keep.max(1))] {
        fs::remove_file(old).map_err(|source| SnapshotError::Io { path: old.clone(), source })?;
    }
    Ok(path)
}

/// Removes what a killed run left half written, if the folder holds a run.
///
/// # Errors
/// [`SnapshotError::Io`] when the folder cannot be listed or a file cannot be removed.
pub fn clean(run: &Path) -> Result<(), SnapshotError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| SnapshotError::Io { path, source }
    };
    if !run.join(crate::train::report::metrics::FILE).is_file() {
        return Ok(());
    }
    for entry in fs::read_dir(run).map_err(failed(run))? {
        let path = entry.map_err(failed(run))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
        let (prefix, length) = UNFINISHED;
        let foreign = name.starts_with(prefix) && name.len() == length && path.is_file();
        if foreign || name.starts_with(interlude_models::files::TEMPORARY) {
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(failed(&path))?;
        }
    }
    Ok(())
}

/// Reads a checkpoint.
///
/// # Errors
/// [`SnapshotError`] when the file cannot be read or is not a checkpoint.
pub fn read(path: &Path) -> Result<(Progress, Weights), SnapshotError> {
    let format = |reason: String| SnapshotError::Format { path: path.to_owned(), reason };
    let bytes =
        fs::read(path).map_err(|source| SnapshotError::Io { path: path.to_owned(), source })?;
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|error| format(error.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|entries| entries.get(KEY));
    let text = text.ok_or_else(|| format("it does not say where the run is".to_owned()))?;
    let progress = serde_json::from_str(text).map_err(|error| format(error.to_string()))?;
    Ok((progress, Weights::read(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Half written files of a run are removed, other files never, and none where no run is.
    #[test]
    fn only_leftovers_of_runs_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = [".interlude-abcdef", ".tmpAbCdEf", ".tmp", ".tmp-notes.txt", "music.mid"];
        for name in names {
            fs::write(folder.path().join(name), b"").expect("writes");
        }
        let left = || {
            let entries = fs::read_dir(folder.path()).expect("lists").flatten();
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().into_string().expect("Unicode")).collect();
            names.sort();
            names
        };
        clean(folder.path()).expect("no run");
        assert_eq!(left().len(), names.len());
        fs::write(folder.path().join(crate::train::report::metrics::FILE), b"").expect("writes");
        clean(folder.path()).expect("cleans");
        assert_eq!(left(), [".tmp", ".tmp-notes.txt", "metrics.jsonl", "music.mid"]);
    }
}
