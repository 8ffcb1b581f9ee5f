//! Checkpoints of the original: TensorFlow V2 bundles and folders of Magenta.js.
//!
//! A [`Checkpoint`] lists what it holds without reading it and reads one tensor at a time, so that
//! memory is bounded by the largest tensor. Checkpoints are untrusted: sizes are compared with
//! those of the files before memory is allocated, checksums are verified, and archives are read in
//! place.
//!
//! | module | is |
//! | --- | --- |
//! | `locate`, `files` | where a checkpoint lies: files, a folder, an archive |
//! | `table`, `bundle`, `data` | TensorFlow's index and shards |
//! | `magenta_js` | the manifest and shards of Magenta.js |
//! | `names` | the names of variables, as all versions of the original wrote them |
//! | `guess` | the configuration that fits the tensors |
//! | `writer` | a checkpoint that the original reads |
//!
//! ```
//! use interlude_checkpoint::{Checkpoint, Writer};
//! use interlude_models::weights::Tensor;
//!
//! let folder = tempfile::tempdir()?;
//! let prefix = folder.path().join("model.ckpt");
//! let mut writer = Writer::create(&prefix)?;
//! writer.add("encoder/mu/bias", &Tensor::zeros(&[4]))?;
//! writer.finish(7)?;
//! let checkpoint = Checkpoint::open(&prefix)?;
//! assert_eq!(checkpoint.global_step()?, Some(7));
//! assert_eq!(checkpoint.read("encoder/mu/bias")?.shape, [4]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bundle;
mod data;
mod files;
mod guess;
mod locate;
mod magenta_js;
mod names;
mod table;

pub use table::masked_crc;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use interlude_models::weights::{Tensor, Weights};
use thiserror::Error;

use data::Data;
use guess::Hint;
use locate::Found;

use files::Files;
pub use files::FilesError;
pub use guess::{GuessError, configure, measure};
pub use writer::Writer;

/// Why a checkpoint cannot be used.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// A file that cannot be read.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// No checkpoint is found, or it is not clear which is meant.
    #[error("{place}: {reason}")]
    Locate {
        /// Where it was looked for.
        place: String,
        /// What was found instead, and the remedy.
        reason: String,
    },
    /// The index is damaged or of a kind that is not supported.
    #[error("{file}: {reason}")]
    Index {
        /// The index file.
        file: String,
        /// What is wrong.
        reason: String,
    },
    /// A tensor's data is missing or damaged.
    #[error("{file}: tensor `{tensor}` {reason}")]
    Shard {
        /// The file with the data.
        file: String,
        /// The variable.
        tensor: String,
        /// What is wrong.
        reason: String,
    },
    /// A required variable that is missing.
    #[error(
        "{checkpoint} has no tensor `{tensor}`; it belongs to another configuration or is no checkpoint of MusicVAE"
    )]
    Absent {
        /// The checkpoint.
        checkpoint: String,
        /// The variable.
        tensor: String,
    },
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// 32-bit floats, the type of all weights.
    F32,
    /// 32-bit integers.
    I32,
    /// 64-bit integers, the type of `global_step`.
    I64,
    /// Any other, by TensorFlow's number.
    Other(i32),
}

impl ElementType {
    fn from_tensorflow(number: i32) -> Self {
        match number {
            1 => Self::F32,
            3 => Self::I32,
            9 => Self::I64,
            other => Self::Other(other),
        }
    }

    fn to_tensorflow(self) -> i32 {
        match self {
            Self::F32 => 1,
            Self::I32 => 3,
            Self::I64 => 9,
            Self::Other(number) => number,
        }
    }

    fn bytes(self) -> Option<usize> {
        match self {
            Self::F32 | Self::I32 => Some(4),
            Self::I64 => Some(8),
            Self::Other(_) => None,
        }
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::F32 => formatter.write_str("32-bit floats"),
            Self::I32 => formatter.write_str("32-bit integers"),
            Self::I64 => formatter.write_str("64-bit integers"),
            Self::Other(number) => write!(formatter, "elements of TensorFlow type {number}"),
        }
    }
}

/// What the index says of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Extents; empty for a scalar.
    pub shape: Vec<usize>,
    /// Type of the elements.
    pub element_type: ElementType,
}

/// A stored tensor, under its name in [`interlude_models::network`].
#[derive(Clone, Debug)]
struct Stored {
    entry: Entry,
    data: Data,
    /// Name in the file.
    name: String,
    /// Whether the +1 of the forget gate is part of the stored bias.
    forget_bias_included: bool,
}

/// Which moving average of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Of the gradients (`m`, stored as `<variable>/Adam`).
    First,
    /// Of their squares (`v`, stored as `<variable>/Adam_1`).
    Second,
}

/// An opened checkpoint.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    place: String,
    variables: BTreeMap<String, Stored>,
    training: BTreeMap<String, Stored>,
    hint: Option<Hint>,
}

impl Checkpoint {
    /// Opens a checkpoint.
    ///
    /// `source` is a `.tar` (or gzipped `.tar`) with the three files of a checkpoint, the common
    /// prefix of these files or one of them, a folder with one such checkpoint, or a folder of a
    /// training run, whose file `checkpoint` says which one is the latest; or a folder of Magenta.js
    /// with `weights_manifest.json`.
    ///
    /// # Errors
    /// [`CheckpointError`] names the file and what is wrong with it. Only the index is read here.
    pub fn open(source: &Path) -> Result<Self, CheckpointError> {
        let (place, stored, hint) = match locate::locate(source)? {
            Found::Bundle(files, prefix) => {
                (files.describe(&prefix), bundle::open(&files, &prefix)?, None)
            }
            Found::MagentaJs(folder) => {
                let files = Files::Folder(folder.clone());
                let hint = magenta_js::hint(&files)?;
                (folder.display().to_string(), magenta_js::open(&files)?, hint)
            }
        };
        let mut variables: BTreeMap<String, Stored> = BTreeMap::new();
        let mut training = BTreeMap::new();
        for (name, (entry, data)) in stored {
            let canonical = names::canonical(&name);
            let stored =
                Stored { entry, data, name, forget_bias_included: canonical.forget_bias_included };
            if canonical.training {
                training.insert(canonical.name, stored);
            } else if let Some(twin) = variables.get(&canonical.name) {
                return Err(CheckpointError::Index {
                    file: place,
                    reason: format!(
                        "tensors `{}` and `{}` mean the same variable; the checkpoint mixes models",
                        twin.name, stored.name
                    ),
                });
            } else {
                variables.insert(canonical.name, stored);
            }
        }
        Ok(Self { place, variables, training, hint })
    }

    /// File and prefix, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The model's variables by the names that [`interlude_models::network::variables`] uses,
    /// without what only training needs.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.variables.iter().map(|(name, stored)| (name.as_str(), &stored.entry))
    }

    /// The training step at which the checkpoint was written, if it says so.
    ///
    /// # Errors
    /// [`CheckpointError`] when the value is damaged.
    pub fn global_step(&self) -> Result<Option<u64>, CheckpointError> {
        let Some(stored) = self.training.get(names::GLOBAL_STEP) else { return Ok(None) };
        let kind = stored.entry.element_type;
        if !matches!(kind, ElementType::I64 | ElementType::I32) {
            return Err(mistyped(stored, kind, "integers"));
        }
        let step = stored.data.integer(names::GLOBAL_STEP, kind)?;
        Ok(u64::try_from(step).ok())
    }

    /// Reads one of the [variables](Self::variables). Memory: the tensor and a small buffer.
    ///
    /// # Errors
    /// [`CheckpointError`] when it is absent, of another element type, or damaged.
    pub fn read(&self, name: &str) -> Result<Tensor, CheckpointError> {
        let stored = self.variables.get(name).ok_or_else(|| self.absent(name))?;
        let mut tensor = floats(stored)?;
        if stored.forget_bias_included {
            // Gates lie in the order i, j, f, o. The network adds 1 to the forget gate at run
            // time, a cuDNN cell keeps that 1 in its bias.
            let gate = tensor.data.len() / 4;
            tensor.data[2 * gate..3 * gate].iter_mut().for_each(|bias| *bias -= 1.0);
        }
        Ok(tensor)
    }

    /// Reads all variables.
    ///
    /// # Errors
    /// As [`Checkpoint::read`].
    pub fn weights(&self) -> Result<Weights, CheckpointError> {
        self.variables
            .keys()
            .map(|name| Ok((name.clone(), self.read(name)?)))
            .collect::<Result<_, _>>()
            .map(Weights)
    }

    /// Reads Adam's moving average for a variable.
    ///
    /// # Errors
    /// [`CheckpointError::Absent`] for a checkpoint that was not written by a training run, others
    /// as [`Checkpoint::read`].
    pub fn moment(&self, variable: &str, moment: Moment) -> Result<Tensor, CheckpointError> {
        let name = match moment {
            Moment::First => format!("{variable}/Adam"),
            Moment::Second => format!("{variable}/Adam_1"),
        };
        floats(self.training.get(&name).ok_or_else(|| self.absent(&name))?)
    }

    /// Adam's `beta1^(t+1)` and `beta2^(t+1)` after `t` steps, as TensorFlow stores them.
    ///
    /// # Errors
    /// As [`Checkpoint::moment`].
    pub fn beta_powers(&self) -> Result<(f32, f32), CheckpointError> {
        let power = |name: &str| {
            let tensor = floats(self.training.get(name).ok_or_else(|| self.absent(name))?)?;
            tensor.data.first().copied().ok_or_else(|| self.absent(name))
        };
        Ok((power("beta1_power")?, power("beta2_power")?))
    }

    fn absent(&self, tensor: &str) -> CheckpointError {
        CheckpointError::Absent { checkpoint: self.place.clone(), tensor: tensor.to_owned() }
    }
}

fn floats(stored: &Stored) -> Result<Tensor, CheckpointError> {
    if stored.entry.element_type != ElementType::F32 {
        return Err(mistyped(stored, stored.entry.element_type, "32-bit floats"));
    }
    stored.data.floats(&stored.name, &stored.entry.shape)
}

fn mistyped(stored: &Stored, found: ElementType, wanted: &str) -> CheckpointError {
    CheckpointError::Shard {
        file: stored.data.file().to_owned(),
        tensor: stored.name.clone(),
        reason: format!("holds {found} where {wanted} are needed; it is no checkpoint of MusicVAE"),
    }
}
