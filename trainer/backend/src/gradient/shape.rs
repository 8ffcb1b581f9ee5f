//! What a training graph is built for.

use serde::{Deserialize, Serialize};

/// What of a hierarchical model stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Frozen {
    /// Nothing: all is trained.
    #[default]
    Nothing,
    /// The way of the posterior's mean: the upper encoder, the mean, the conductor. The posterior's
    /// deviation is trained.
    Means,
    /// All that is between the lower encoder and the decoders: the deviation too.
    Between,
}

impl Frozen {
    /// Whether a variable stays as it is.
    pub fn holds(self, variable: &str) -> bool {
        let means =
            ["encoder/hierarchical_level_1/", "encoder/mu/", "decoder/hierarchical_level_0/"];
        let begins = |part: &str| variable.starts_with(part);
        match self {
            Self::Nothing => false,
            Self::Means => means.into_iter().any(begins),
            Self::Between => means.into_iter().chain(["encoder/sigma/"]).any(begins),
        }
    }
}

/// What a training graph is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Steps of a window.
    pub steps: usize,
    /// Examples in a batch.
    pub batch: usize,
    /// Examples that losses and gradients are means over: those of the batch, or of a larger one
    /// that it is a part of. The losses, accuracies and gradients of all parts add up.
    pub whole: usize,
    /// Whether the decoder's inputs come from scheduled sampling.
    pub sampling: bool,
    /// What has no gradient.
    pub frozen: Frozen,
}

impl Shape {
    /// Of whole batches.
    pub fn new(steps: usize, batch: usize, sampling: bool) -> Self {
        Self { steps, batch, whole: batch, sampling, frozen: Frozen::Nothing }
    }

    /// Of a part of a batch with so many examples.
    pub fn part(self, batch: usize) -> Self {
        Self { batch, ..self }
    }
}
