//! Clipping of gradients and Adam's update, in TensorFlow's form.
//!
//! `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `w ← w − s·m / (√v + ε)` with the step size
//! `s = lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ)` given as an input.

use interlude_onnx::{Attribute, ElementType, Graph, Value};
use serde::{Deserialize, Serialize};

use super::variables::{Variables, dims};

/// How gradients are clipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClipMode {
    /// By the norm of all gradients together.
    GlobalNorm,
    /// Each element on its own.
    Value,
}

/// β₁: decay rate of the first moment.
pub const BETA_1: f64 = 0.9;
/// β₂ of the original: decay rate of the second moment.
pub const BETA_2: f64 = 0.999;
/// ε of Adam, which keeps the update finite where the second moment is 0.
pub const EPSILON: f32 = 1e-8;

/// Settings of clipping and Adam.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Clipping by norm or by value.
    pub mode: ClipMode,
    /// Global gradient norm from which on the step is skipped.
    pub zero_from: f32,
    /// β₂: decay rate of the second moment.
    pub beta_2: f64,
}

/// An input of the graph and the output that replaces it after a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The variable, or its moment.
    pub input: String,
    /// The output that carries its new value.
    pub output: String,
    /// Extents of its axes.
    pub shape: Vec<usize>,
}

/// Name of a variable's first moment.
pub fn first_moment(variable: &str) -> String {
    format!("{variable}/Adam")
}

/// Name of a variable's second moment.
pub fn second_moment(variable: &str) -> String {
    format!("{variable}/Adam_1")
}

/// Whether a name is that of a moment.
pub fn is_moment(name: &str) -> bool {
    name.ends_with("/Adam") || name.ends_with("/Adam_1")
}

/// The norm of all gradients together: a scalar. Frozen variables have none.
pub fn global_norm(graph: &mut Graph, variables: &Variables) -> Value {
    let squares: Vec<Value> = variables
        .with_gradients()
        .map(|(_, _, gradient)| {
            graph.op("ReduceSumSquare", &[gradient], &[("keepdims", Attribute::Int(0))])
        })
        .collect();
    let sum = graph.op("Sum", &squares.iter().collect::<Vec<_>>(), &[]);
    graph.op("Sqrt", &[&sum], &[])
}

/// Clipping of gradients: each is bounded by [`Clip::bound`], then multiplied by the scale.
struct Clip {
    /// A scalar.
    scale: Value,
    /// Lowest and highest value of an element, where values are clipped.
    bounds: Option<(Value, Value)>,
}

impl Clip {
    fn new(graph: &mut Graph, settings: Settings, norm: &Value, limit: &Value) -> Self {
        let (zero, one) = (graph.scalar(0.0), graph.scalar(1.0));
        match settings.mode {
            ClipMode::GlobalNorm => {
                let larger = graph.op("Max", &[norm, limit], &[]);
                let scale = graph.div(limit, &larger);
                let bound = graph.scalar(settings.zero_from);
                let usable = graph.op("Less", &[norm, &bound], &[]);
                let scale = graph.op("Where", &[&usable, &scale, &zero], &[]);
                Self { scale, bounds: None }
            }
            // The scale is 1 and serves the order of evaluation only.
            ClipMode::Value => {
                let usable = graph.op("GreaterOrEqual", &[norm, &zero], &[]);
                let scale = graph.op("Where", &[&usable, &one, &zero], &[]);
                let low = graph.op("Neg", &[limit], &[]);
                Self { scale, bounds: Some((low, limit.clone())) }
            }
        }
    }

    fn bound(&self, graph: &mut Graph, gradient: &Value) -> Value {
        match &self.bounds {
            None => gradient.clone(),
            Some((low, high)) => graph.op("Clip", &[gradient, low, high], &[]),
        }
    }
}

/// The clipped gradients of all variables in the order of their names. `limit` is the clipping norm
/// or value, a scalar.
pub fn clipped(
    graph: &mut Graph,
    variables: &Variables,
    settings: Settings,
    (norm, limit): (&Value, &Value),
) -> Vec<Value> {
    let clip = Clip::new(graph, settings, norm, limit);
    variables
        .with_gradients()
        .map(|(_, _, gradient)| {
            let bounded = clip.bound(graph, gradient);
            graph.mul(&bounded, &clip.scale)
        })
        .collect()
}

/// Adds clipping and the update of every variable that is not frozen. `limit` (the clipping norm or
/// value) and `step_size` are scalars. Moments become inputs of the graph.
///
/// Every update depends on the norm of all gradients, hence comes after the last use of any
/// variable: inputs and outputs may share memory.
pub fn update(
    graph: &mut Graph,
    variables: &Variables,
    settings: Settings,
    (norm, limit, step_size): (&Value, &Value, &Value),
) -> Vec<Update> {
    let clip = Clip::new(graph, settings, norm, limit);
    #[expect(clippy::cast_possible_truncation, reason = "constants in single precision")]
    let (beta_1, beta_2, rest_1, rest_2) = {
        let beta_2 = settings.beta_2;
        (BETA_1 as f32, beta_2 as f32, (1.0 - BETA_1) as f32, (1.0 - beta_2) as f32)
    };
    let (beta_1, beta_2) = (graph.scalar(beta_1), graph.scalar(beta_2));
    let (rest_1, rest_2) = (graph.scalar(rest_1), graph.scalar(rest_2));
    let squared = graph.mul(&clip.scale, &clip.scale);
    let first_weight = graph.mul(&clip.scale, &rest_1);
    let second_weight = graph.mul(&squared, &rest_2);
    let epsilon = graph.scalar(EPSILON);

    let mut updates = Vec::new();
    for (name, variable, gradient) in variables.with_gradients() {
        let shape = dims(&variable.shape);
        let gradient = clip.bound(graph, gradient);
        let (m_name, v_name) = (first_moment(name), second_moment(name));
        let m = graph.input(&m_name, ElementType::F32, &shape);
        let v = graph.input(&v_name, ElementType::F32, &shape);
        let kept = graph.mul(&m, &beta_1);
        let added = graph.mul(&gradient, &first_weight);
        let m = graph.add(&kept, &added);
        let kept = graph.mul(&v, &beta_2);
        let square = graph.mul(&gradient, &gradient);
        let added = graph.mul(&square, &second_weight);
        let v = graph.add(&kept, &added);
        let root = graph.op("Sqrt", &[&v], &[]);
        let root = graph.add(&root, &epsilon);
        let ratio = graph.div(&m, &root);
        let change = graph.mul(&ratio, step_size);
        let next = graph.sub(&variable.value, &change);
        for (input, value) in [(name.to_owned(), next), (m_name, m), (v_name, v)] {
            graph.expose(&value, ElementType::F32, Some(&shape));
            let output = value.name().to_owned();
            updates.push(Update { input, output, shape: variable.shape.clone() });
        }
    }
    updates
}

/// Adam's step size at the `step`-th update (from 0): the learning rate with the correction of the
/// moments' bias, `lr·√(1 − β₂ᵗ)/(1 − β₁ᵗ)`.
pub fn step_size(learning_rate: f64, step: u64, beta_2: f64) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    let time = (step + 1) as f64;
    let size = learning_rate * (1.0 - beta_2.powf(time)).sqrt() / (1.0 - BETA_1.powf(time));
    #[expect(clippy::cast_possible_truncation, reason = "a rate in single precision")]
    let size = size as f32;
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    // Adam's step size has the correction of both moments: √(1 − β₂)/(1 − β₁) at first, 1 in the end.
    #[test]
    fn step_sizes_are_corrected() {
        let first = f64::from(step_size(0.5, 0, 0.99));
        assert!((first - 0.5 * 0.1 / (1.0 - BETA_1)).abs() < 1e-6, "{first}");
        assert!((step_size(0.5, 100_000, 0.99) - 0.5).abs() < 1e-6);
    }
}
