//! One token a step: softmax cross-entropy.

use interlude_onnx::{Attribute, Graph, Value};

use interlude_gradient::part::one_hot;
use interlude_gradient::tensors::{argmax, float, mean};

/// What the forward pass found.
pub(super) struct Found {
    /// Cross-entropy in nats, summed over all rows.
    pub(super) sum: Value,
    /// Share of rows whose most likely token is right.
    pub(super) accuracy: Value,
    pub(super) kept: Kept,
}

/// What the gradient is made of, both `[rows, vocabulary]`.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    log_probabilities: Value,
    targets: Value,
}

/// Compares `logits` `[rows, vocabulary]` with as many token ids.
pub(super) fn forward(
    graph: &mut Graph,
    logits: &Value,
    token_ids: &Value,
    vocabulary: usize,
) -> Found {
    let targets = one_hot(graph, token_ids, vocabulary);
    let log_probabilities = graph.op("LogSoftmax", &[logits], &[("axis", Attribute::Int(1))]);
    let chosen = graph.mul(&log_probabilities, &targets);
    let sum = graph.reduce_sum(&chosen, &[0, 1]);
    let sum = graph.op("Neg", &[&sum], &[]);
    let best = argmax(graph, logits);
    let ids = graph.reshape(token_ids, &[-1]);
    let right = graph.op("Equal", &[&best, &ids], &[]);
    let right = float(graph, &right);
    let accuracy = mean(graph, &right);
    Found { sum, accuracy, kept: Kept { log_probabilities, targets } }
}

/// The gradient of the logits for the sum.
pub(super) fn backward(graph: &mut Graph, kept: &Kept) -> Value {
    let probabilities = graph.op("Exp", &[&kept.log_probabilities], &[]);
    graph.sub(&probabilities, &kept.targets)
}
