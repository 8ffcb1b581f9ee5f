//! The loss of one token a step: softmax cross-entropy.

use interlude_models::onnx::{Attribute, Graph, Value};

use super::posterior::{float, mean};

/// Loss and quality of predictions.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Cross-entropy in nats, summed over the steps, mean over the examples: a scalar.
    pub loss: Value,
    /// Share of steps whose most likely token is right: a scalar.
    pub accuracy: Value,
    log_probabilities: Value,
    targets: Value,
    batch: Value,
}

/// Compares `logits` `[steps·batch, vocabulary]` with one-hot `targets` of the same shape.
pub fn forward(
    graph: &mut Graph,
    logits: &Value,
    targets: &Value,
    token_ids: &Value,
    batch: usize,
) -> Prediction {
    let batch = graph.scalar(super::model::as_float(batch));
    let log_probabilities = graph.op("LogSoftmax", &[logits], &[("axis", Attribute::Int(1))]);
    let chosen = graph.mul(&log_probabilities, targets);
    let sum = graph.reduce_sum(&chosen, &[0, 1]);
    let sum = graph.op("Neg", &[&sum], &[]);
    let loss = graph.div(&sum, &batch);
    let best = argmax(graph, logits, 1);
    let ids = graph.reshape(token_ids, &[-1]);
    let right = graph.op("Equal", &[&best, &ids], &[]);
    let right = float(graph, &right);
    let accuracy = mean(graph, &right);
    Prediction { loss, accuracy, log_probabilities, targets: targets.clone(), batch }
}

/// The gradient of the logits.
pub fn backward(graph: &mut Graph, prediction: &Prediction) -> Value {
    let probabilities = graph.op("Exp", &[&prediction.log_probabilities], &[]);
    let difference = graph.sub(&probabilities, &prediction.targets);
    graph.div(&difference, &prediction.batch)
}

/// Index of the largest element along an axis, which disappears.
pub fn argmax(graph: &mut Graph, x: &Value, axis: i64) -> Value {
    graph.op("ArgMax", &[x], &[("axis", Attribute::Int(axis)), ("keepdims", Attribute::Int(0))])
}

/// Token ids as one-hot rows `[rows, vocabulary]`; an id that is not in the vocabulary is a row of
/// zeros.
pub fn one_hot(graph: &mut Graph, token_ids: &Value, vocabulary: usize) -> Value {
    let flat = graph.reshape(token_ids, &[-1]);
    let depth = graph.int(i64::try_from(vocabulary).expect("vocabularies are small"));
    let values = graph.floats(&[2], &[0.0, 1.0]);
    graph.op("OneHot", &[&flat, &depth, &values], &[("axis", Attribute::Int(-1))])
}
