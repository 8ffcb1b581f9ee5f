//! Datasets: windows of tokens from folders and archives of MIDI files, in Parquet files.
//!
//! A dataset is a folder with `dataset.json` and one Parquet file for each split. Its columns are
//! `tokens` (the bytes of a window, all of the same length) and `source` (the file it is from).

pub mod build;
pub mod monophony;
pub mod source;
pub mod store;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Windows of one split in memory, one byte a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Windows {
    steps: usize,
    bytes: Vec<u8>,
}

impl Windows {
    /// No windows of a length.
    ///
    /// # Panics
    /// When the length is 0.
    pub fn new(steps: usize) -> Self {
        assert!(steps > 0, "windows have steps");
        Self { steps, bytes: Vec::new() }
    }

    /// Adds a window.
    ///
    /// # Panics
    /// When it has another length.
    pub fn push(&mut self, window: &[u8]) {
        assert_eq!(window.len(), self.steps, "windows of a split are equally long");
        self.bytes.extend_from_slice(window);
    }

    /// Tokens of a window.
    ///
    /// # Panics
    /// When there is no window of that index.
    pub fn get(&self, index: usize) -> &[u8] {
        &self.bytes[index * self.steps..][..self.steps]
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.bytes.len().checked_div(self.steps).unwrap_or(0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Steps of each window.
    pub fn steps(&self) -> usize {
        self.steps
    }
}

/// Part of a dataset.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What weights are made from.
    Train,
    /// What tells how training goes.
    Validation,
    /// What nothing is decided by.
    Test,
}

impl Split {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// Name in file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

/// A dataset cannot be written or read.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// The file system refuses.
    #[error("cannot access `{}`: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Reason.
        source: std::io::Error,
    },
    /// A file is damaged or of another kind.
    #[error("`{}` is not part of a dataset: {reason}; build the dataset again", path.display())]
    Format {
        /// File.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The dataset is for other models.
    #[error(
        "`{}` holds windows of {found} steps, `{config}` needs {expected}; build a dataset for it",
        path.display()
    )]
    Steps {
        /// File.
        path: PathBuf,
        /// Configuration.
        config: String,
        /// Steps of its windows.
        found: usize,
        /// Steps that are needed.
        expected: usize,
    },
    /// The configuration's tokens are not stored in this form yet.
    #[error("there are no datasets for `{0}`; only melodies without chords have them")]
    Unsupported(String),
    /// No window came out.
    #[error("no usable window in {files} files; the first reasons are: {reasons}")]
    Empty {
        /// Files that were read.
        files: usize,
        /// Some of the reasons.
        reasons: String,
    },
}
