//! What a run tells of its steps.

use serde::Serialize;

/// One line: means over the steps since the line before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Line {
    /// Steps done.
    pub step: u64,
    /// Examples seen.
    pub examples: u64,
    /// Seconds trained.
    pub seconds: f64,
    /// Index of the schedule's phase.
    pub phase: usize,
    /// Loss in nats.
    pub loss: f64,
    /// Reconstruction part in nats.
    pub r_loss: f64,
    /// KL divergence in bits.
    pub kl_bits: f64,
    /// Share of right tokens.
    pub accuracy: f64,
    /// Norm of all gradients.
    pub global_norm: f64,
    /// Weight of the KL divergence at the last step.
    pub beta: f64,
    /// Learning rate at the last step.
    pub lr: f64,
    /// Probability that the decoder is fed its own token, when sampling is scheduled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling: Option<f64>,
    /// Examples in a second.
    pub examples_per_second: f64,
}
