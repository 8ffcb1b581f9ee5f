//! What can go wrong in a step of training.

use flatbuffers::InvalidFlatbuffer;
use interlude_models::runtime::RuntimeError;
use thiserror::Error;

use super::state::StateError;
use crate::gradient::model::GradientError;

/// A graph cannot be built, loaded or run.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// The configuration cannot be trained.
    #[error(transparent)]
    Gradient(#[from] GradientError),
    /// ONNX Runtime refuses the graph or fails in it.
    #[error("ONNX Runtime: {0}")]
    Runtime(#[from] ort::Error),
    /// The session's options are refused.
    #[error(transparent)]
    Session(#[from] RuntimeError),
    /// The state does not fit.
    #[error(transparent)]
    State(#[from] StateError),
    /// A process would have nothing to do.
    #[error(
        "a batch of {batch} cannot be shared by {ranks} processes; take fewer, or a larger \
         --batch-size"
    )]
    Ranks {
        /// Examples in a batch.
        batch: usize,
        /// Processes of MPI that share a batch.
        ranks: usize,
    },
    /// The training API's checkpoint does not serve.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// Why a checkpoint of the training API cannot be made, written or read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The tensors do not fit into the format.
    #[error(
        "the model's {bytes} bytes do not fit into a checkpoint of the training API, which ends at \
         2 GiB; train with --backend onnx"
    )]
    TooLarge {
        /// Bytes of variables and moments.
        bytes: usize,
    },
    /// The temporary file cannot be written or read.
    #[error("cannot exchange a checkpoint with the training API: {0}; check the temporary folder")]
    Io(#[from] std::io::Error),
    /// What was read is no checkpoint.
    #[error("the training API wrote a checkpoint that cannot be read: {0}")]
    Format(String),
}

impl From<InvalidFlatbuffer> for CheckpointError {
    fn from(error: InvalidFlatbuffer) -> Self {
        Self::Format(error.to_string())
    }
}
