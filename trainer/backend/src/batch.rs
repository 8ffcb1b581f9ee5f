//! What a step of training is given, and what it tells.

use std::ops::Range;

/// What a step is given besides the state. What a model does not read stays empty: models of tokens
/// have `tokens` and `inputs`, those of numbers or bits `encoder_inputs` and `targets`.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Tokens of the windows, `[steps, batch, parts]`; a model of one token a step has one part.
    pub tokens: Vec<i64>,
    /// Tokens before each step, a part's vocabulary's size for none, `[steps, batch, parts]`; unused
    /// with scheduled sampling.
    pub inputs: Vec<i64>,
    /// What the encoder reads, `[steps, batch, input depth]`.
    pub encoder_inputs: Vec<f32>,
    /// What the decoder is to write, `[steps, batch, output depth]`.
    pub targets: Vec<f32>,
    /// Controls of encoder and decoder, `[steps, batch, control depth]`.
    pub controls: Vec<f32>,
    /// Standard normal noise, `[batch, latent]`.
    pub noise: Vec<f32>,
    /// Uniform noise in `(0, 1)`, `[steps, batch, output depth]`; scheduled sampling only.
    pub uniform: Vec<f32>,
    /// Whether what was decoded is the next input, `[steps, batch]`; scheduled sampling only.
    pub sampled: Vec<bool>,
    /// Seed of the dropout masks, another one for each step.
    pub dropout_seed: u64,
    /// Which examples of a larger batch these are, and its size: noise of dropout is drawn for all
    /// of it.
    pub part: Option<(Range<usize>, usize)>,
    /// Weight of the KL divergence.
    pub beta: f32,
    /// Norm or value to which gradients are clipped.
    pub clip: f32,
    /// Adam's step size with its correction of bias.
    pub step_size: f32,
}

impl Batch {
    /// Some examples of a batch of `whole` windows of so many steps.
    pub fn part(&self, examples: Range<usize>, steps: usize, whole: usize) -> Self {
        let of = (steps, whole);
        Self {
            tokens: columns(&self.tokens, &examples, of),
            inputs: columns(&self.inputs, &examples, of),
            encoder_inputs: columns(&self.encoder_inputs, &examples, of),
            targets: columns(&self.targets, &examples, of),
            controls: columns(&self.controls, &examples, of),
            noise: columns(&self.noise, &examples, (1, whole)),
            uniform: columns(&self.uniform, &examples, of),
            sampled: columns(&self.sampled, &examples, of),
            part: Some((examples, whole)),
            ..*self
        }
    }
}

/// What a step found, all before its update.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report {
    /// Loss in nats.
    pub loss: f32,
    /// Reconstruction part of the loss in nats.
    pub r_loss: f32,
    /// Mean divergence in nats, free bits not taken off.
    pub kl: f32,
    /// Norm of all gradients together; 0 where they are only given out.
    pub global_norm: f32,
    /// Share of right tokens.
    pub accuracy: f32,
}

/// Some examples of a tensor `[steps, batch, …]`.
pub(super) fn columns<T: Copy>(
    values: &[T],
    examples: &Range<usize>,
    (steps, batch): (usize, usize),
) -> Vec<T> {
    let width = values.len() / (steps * batch);
    if width == 0 {
        return Vec::new();
    }
    let rows = values.chunks_exact(batch * width);
    rows.flat_map(|row| &row[examples.start * width..examples.end * width]).copied().collect()
}
