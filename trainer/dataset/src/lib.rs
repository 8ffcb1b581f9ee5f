//! Datasets: windows of tokens from folders and archives of MIDI files, in Parquet files.
//!
//! A dataset is a folder with `dataset.json` and one Parquet file for each split. Its columns are
//! `tokens` (the numbers of a window, step by step as [`layout`] says, all windows equally long)
//! and `source` (the file it is from).
//!
//! Each folder is a room that knows only the rooms before it:
//!
//! | room | modules | are |
//! | --- | --- | --- |
//! | formats | [`source`], [`names`] | files in folders and archives, and their names |
//! | | [`records`], [`leadsheets`], [`patterns`], [`monophony`] | formats besides MIDI, and monophonic parts |
//! | storage | [`layout`] | windows as numbers |
//! | | [`splits`], [`heldout`] | splits from tables or paths, held-out windows |
//! | | [`description`], [`store`], [`journal`] | a dataset on disk |
//! | synthesis | [`arrange`], [`combine`] | arranged trios, combined trios |
//! | pipeline | [`options`], [`reading`], [`build`] | options of a build, windows of a file, the build |
//! | | [`merge`], [`statistics`] | merged datasets, figures about one |
//!
//! ```
//! use interlude_dataset::Windows;
//!
//! let mut windows = Windows::new(2, 3);
//! windows.push(&[1, 2, 3, 4, 5, 6]);
//! assert_eq!(windows.len(), 1);
//! assert_eq!(windows.get(0)[3..], [4, 5, 6]);
//! ```

mod formats;
mod pipeline;
mod storage;
mod synthesis;

pub use formats::{leadsheets, monophony, names, patterns, records, source};
pub use pipeline::{build, merge, options, reading, statistics};
pub(crate) use storage::staging;
pub use storage::{description, heldout, journal, layout, splits, store};
pub use synthesis::{arrange, combine};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Windows of one split in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Windows {
    steps: usize,
    width: usize,
    numbers: Vec<u16>,
}

impl Windows {
    /// No windows, of a number of steps with a number of columns each.
    ///
    /// # Panics
    /// When one of them is 0.
    pub fn new(steps: usize, width: usize) -> Self {
        assert!(steps > 0 && width > 0, "windows have steps, and steps have columns");
        Self { steps, width, numbers: Vec::new() }
    }

    /// Adds a window.
    ///
    /// # Panics
    /// When it has another length.
    pub fn push(&mut self, window: &[u16]) {
        assert_eq!(window.len(), self.steps * self.width, "windows of a split are equally long");
        self.numbers.extend_from_slice(window);
    }

    /// Numbers of a window, step by step.
    ///
    /// # Panics
    /// When there is no window of that index.
    pub fn get(&self, index: usize) -> &[u16] {
        let length = self.steps * self.width;
        &self.numbers[index * length..][..length]
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.numbers.len() / (self.steps * self.width)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// Steps of each window.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Columns of each step.
    pub fn width(&self) -> usize {
        self.width
    }
}

/// Part of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Windows that weights are trained on.
    Train,
    /// Windows that training is monitored with.
    Validation,
    /// Windows that no decision is based on.
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

/// Why a dataset cannot be written or read.
#[derive(Debug, Error)]
pub enum DatasetError {
    /// An error of the file system.
    #[error("cannot access `{}`: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file is damaged or of another kind.
    #[error("`{}` is not part of a dataset: {reason}; build the dataset again", path.display())]
    Format {
        /// The description or Parquet file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A dataset of another scheme.
    #[error(
        "`{}` holds windows of {found} numbers, `{config}` needs {steps} steps of {width}; build a \
         dataset for it",
        path.display()
    )]
    Length {
        /// The Parquet file.
        path: PathBuf,
        /// Name of the configuration that it was to be read for.
        config: String,
        /// Numbers in its windows.
        found: usize,
        /// Steps that are needed.
        steps: usize,
        /// Numbers in a step that are needed.
        width: usize,
    },
    /// A dataset whose windows are of another kind.
    #[error(
        "`{}` holds windows for `{found}`, not for `{config}`; build a dataset for it",
        dataset.display()
    )]
    Scheme {
        /// The dataset's folder.
        dataset: PathBuf,
        /// Configuration that it was built for.
        found: String,
        /// Configuration that it was to be read for.
        config: String,
    },
    /// A build without a window.
    #[error("no usable window in {files} files; {reasons}")]
    Empty {
        /// Files that were read.
        files: usize,
        /// Some of the reasons, or what was looked for.
        reasons: String,
    },
    /// A source does not exist.
    #[error("there is no `{}`; look at how the path is written", path.display())]
    Missing {
        /// Path of the source.
        path: PathBuf,
    },
    /// A table of splits that cannot be applied.
    #[error(transparent)]
    Splits(#[from] splits::SplitError),
    /// No window is for training.
    #[error(
        "`{}` has no window to train on ({counts}); build it again, from more files, or with a table \
         that names some for training",
        dataset.display()
    )]
    NothingToTrain {
        /// The dataset's folder.
        dataset: PathBuf,
        /// Windows of each split, as text.
        counts: String,
    },
}
