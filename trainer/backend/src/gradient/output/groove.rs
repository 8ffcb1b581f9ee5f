//! Hits, velocities and offsets of the classes of drums.
//!
//! The loss of a step is the log-loss of the hits plus the squared errors of the squashed velocities
//! and offsets: `Σ −(y·ln(p + ε) + (1 − y)·ln(1 − p + ε)) + Σ (σ(v) − y)² + Σ (tanh(o) − y)²`.

pub(super) use interlude_models::families::percussion::CLASSES;
use interlude_onnx::{Graph, Value};

use interlude_gradient::tensors::{float, mean, rows};

/// Keeps logarithms finite.
const EPSILON: f32 = 1e-7;

/// What the gradient is made of: squashed outputs and targets of hits, velocities and offsets, all
/// `[rows, 9]`.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    squashed: [Value; 3],
    targets: [Value; 3],
}

/// The loss summed over all rows, and the share of right hits.
pub(super) fn forward(graph: &mut Graph, logits: &Value, targets: &Value) -> (Value, Value, Kept) {
    let squashed = squash(graph, logits);
    let targets = rows(graph, targets, 3 * CLASSES);
    let targets: [Value; 3] =
        graph.split(&targets, &[CLASSES; 3], 1).try_into().expect("three parts");
    let [p, velocities, offsets] = &squashed;
    let y = &targets[0];
    let (one, epsilon) = (graph.scalar(1.0), graph.scalar(EPSILON));
    let hit = graph.add(p, &epsilon);
    let hit = graph.op("Log", &[&hit], &[]);
    let hit = graph.mul(y, &hit);
    let rest = graph.sub(&one, y);
    let miss = graph.sub(&one, p);
    let miss = graph.add(&miss, &epsilon);
    let miss = graph.op("Log", &[&miss], &[]);
    let miss = graph.mul(&rest, &miss);
    let likelihood = graph.add(&hit, &miss);
    let likelihood = graph.reduce_sum(&likelihood, &[0, 1]);
    let mut sum = graph.op("Neg", &[&likelihood], &[]);
    for (ours, theirs) in [(velocities, &targets[1]), (offsets, &targets[2])] {
        let difference = graph.sub(ours, theirs);
        let square = graph.mul(&difference, &difference);
        let square = graph.reduce_sum(&square, &[0, 1]);
        sum = graph.add(&sum, &square);
    }
    let half = graph.scalar(0.5);
    let drawn = graph.op("Greater", &[p, &half], &[]);
    let wanted = graph.op("Greater", &[y, &half], &[]);
    let right = graph.op("Equal", &[&drawn, &wanted], &[]);
    let right = float(graph, &right);
    let accuracy = mean(graph, &right);
    (sum, accuracy, Kept { squashed, targets })
}

/// The gradient of the logits, divided by the number of examples.
pub(super) fn backward(graph: &mut Graph, kept: &Kept, examples: &Value) -> Value {
    let [p, velocity, offset] = &kept.squashed;
    let [y, wanted_velocity, wanted_offset] = &kept.targets;
    let (one, two, epsilon) = (graph.scalar(1.0), graph.scalar(2.0), graph.scalar(EPSILON));
    // d/dp of the log-loss is (1 − y)/(1 − p + ε) − y/(p + ε); dp/dl is p·(1 − p).
    let miss = graph.sub(&one, p);
    let slope = graph.mul(p, &miss);
    let miss = graph.add(&miss, &epsilon);
    let hit = graph.add(p, &epsilon);
    let hit = graph.div(y, &hit);
    let rest = graph.sub(&one, y);
    let rest = graph.div(&rest, &miss);
    let difference = graph.sub(&rest, &hit);
    let hits = graph.mul(&difference, &slope);
    // Twice the error times the slope, σ·(1 − σ) and 1 − tanh².
    let rest = graph.sub(&one, velocity);
    let slope = graph.mul(velocity, &rest);
    let error = graph.sub(velocity, wanted_velocity);
    let velocities = graph.mul(&error, &slope);
    let velocities = graph.mul(&velocities, &two);
    let squared = graph.mul(offset, offset);
    let slope = graph.sub(&one, &squared);
    let error = graph.sub(offset, wanted_offset);
    let offsets = graph.mul(&error, &slope);
    let offsets = graph.mul(&offsets, &two);
    let gradient = graph.concat(&[&hits, &velocities, &offsets], 1);
    graph.div(&gradient, examples)
}

/// Drawn hits (with `uniform` noise `[rows, 27]`, otherwise the more probable), velocities, offsets.
pub(super) fn decode(graph: &mut Graph, logits: &Value, uniform: Option<&Value>) -> Value {
    let [p, velocities, offsets] = squash(graph, logits);
    let bound = match uniform {
        Some(uniform) => graph.split(uniform, &[CLASSES; 3], 1)[0].clone(),
        None => graph.scalar(0.5),
    };
    let hits = graph.op("Greater", &[&p, &bound], &[]);
    let hits = float(graph, &hits);
    graph.concat(&[&hits, &velocities, &offsets], 1)
}

/// Probabilities of hits, velocities in `0..1`, offsets in `-1..1`.
fn squash(graph: &mut Graph, logits: &Value) -> [Value; 3] {
    let parts = graph.split(logits, &[CLASSES; 3], 1);
    [graph.sigmoid(&parts[0]), graph.sigmoid(&parts[1]), graph.tanh(&parts[2])]
}
