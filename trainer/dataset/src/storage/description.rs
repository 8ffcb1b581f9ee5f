//! Description of a dataset, `dataset.json` in its folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use interlude_models::config;
use serde::{Deserialize, Serialize};

use crate::{DatasetError, Split, layout};

/// Name of the description in a dataset's folder.
pub const DESCRIPTION: &str = "dataset.json";
/// Name of the list of files without a window.
pub const SKIPPED: &str = "skipped.txt";
/// Name of the list of files of which music is missing; there only when there are some.
pub const INCOMPLETE: &str = "incomplete.txt";

/// Description of a dataset, `dataset.json` in its folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Configuration whose windows these are.
    pub config: String,
    /// Steps of a window.
    pub steps: usize,
    /// Seed of the split.
    pub seed: u64,
    /// Sources of the files.
    pub sources: Vec<String>,
    /// Whether only parts without chords were read, of any instrument.
    pub monophonic: bool,
    /// Fewest notes that begin in a window.
    pub least_notes: usize,
    /// Text in the paths of the files that were read as recordings from Roland's kits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roland: Option<String>,
    /// Whether windows were made by rule from music that is no trio; their sources begin with
    /// [`crate::names::ARRANGED`].
    #[serde(default)]
    pub arranged: bool,
    /// Whether a table named the split of some file.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub listed: bool,
    /// Shard of the files: number (from 1) and count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard: Option<(u32, u32)>,
    /// Files read.
    pub files: usize,
    /// Files that gave no window.
    pub skipped: usize,
    /// Files of which music is missing, since a track could not be read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub incomplete: usize,
    /// Duplicate windows.
    pub duplicates: usize,
    /// Windows and files of each split.
    pub splits: BTreeMap<Split, Count>,
    /// Remarks for the user: about the splits, about damaged files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Description {
    /// That of a folder with windows of so many steps of a configuration, as tests write them.
    #[cfg(test)]
    pub(crate) fn example(folder: &Path, config: &str, steps: usize) -> Self {
        Self {
            config: config.to_owned(),
            steps,
            seed: 1,
            sources: vec![folder.display().to_string()],
            monophonic: false,
            least_notes: 1,
            roland: None,
            arranged: false,
            listed: false,
            shard: None,
            files: 1,
            skipped: 0,
            incomplete: 0,
            duplicates: 0,
            splits: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Columns of a step and steps of a window; datasets with equal ones can be merged.
    pub(crate) fn scheme(&self) -> Option<(Vec<u32>, usize)> {
        let config = config::by_name(&self.config).ok()?;
        Some((layout::limits(&config), self.steps))
    }

    /// The sources as paths.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.sources.iter().map(PathBuf::from).collect()
    }
}

/// Size of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Windows of the split, each once.
    pub windows: usize,
    /// Files they are from.
    pub files: usize,
}

/// Writes what a dataset's folder says about it.
pub(crate) fn write_description(
    dataset: &Path,
    description: &Description,
) -> Result<(), DatasetError> {
    let text = serde_json::to_string_pretty(description).expect("plain data has a JSON form");
    write_text(&dataset.join(DESCRIPTION), &text)
}

/// Reads what a dataset's folder says about it.
///
/// # Errors
/// [`DatasetError`] when the description is missing or damaged.
pub fn describe(dataset: &Path) -> Result<Description, DatasetError> {
    let path = dataset.join(DESCRIPTION);
    let text = fs::read_to_string(&path)
        .map_err(|source| DatasetError::Io { path: path.clone(), source })?;
    serde_json::from_str(&text)
        .map_err(|error| DatasetError::Format { path, reason: error.to_string() })
}

/// Writes a text file of a dataset, whole or not at all.
pub(crate) fn write_text(path: &Path, text: &str) -> Result<(), DatasetError> {
    interlude_models::files::write(path, text.as_bytes())
        .map_err(|source| DatasetError::Io { path: path.to_owned(), source })
}
