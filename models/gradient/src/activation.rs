//! Functions between layers: layer normalisation and SiLU, each with its gradient.

use interlude_onnx::{Attribute, Graph, Value};

/// Added to the variance, so that a constant row stays finite.
const EPSILON: f32 = 1e-5;

/// Layer normalisation without learned scale and shift: each row gets mean 0 and variance 1.
#[derive(Clone, Debug)]
pub struct Normal {
    /// `[rows, width]`.
    pub output: Value,
    /// One over the standard deviation of each row, `[rows, 1]`.
    inverse: Value,
}

impl Normal {
    /// Normalises the rows of `x` `[rows, width]`.
    pub fn forward(graph: &mut Graph, x: &Value, width: usize) -> Self {
        let ones = graph.floats(&[width], &vec![1.0; width]);
        let attributes = [("axis", Attribute::Int(-1)), ("epsilon", Attribute::Float(EPSILON))];
        let mut outputs = graph.op_many("LayerNormalization", &[x, &ones], &attributes, 3);
        let inverse = outputs.swap_remove(2);
        Self { output: outputs.swap_remove(0), inverse }
    }

    /// The gradient of the input from that of the output:
    /// `(dy − mean(dy) − y · mean(dy · y)) / deviation`.
    pub fn backward(&self, graph: &mut Graph, output_gradient: &Value) -> Value {
        let mean = |graph: &mut Graph, x: &Value| {
            let attributes = [("axes", Attribute::Ints(vec![-1])), ("keepdims", Attribute::Int(1))];
            graph.op("ReduceMean", &[x], &attributes)
        };
        let centre = mean(graph, output_gradient);
        let centred = graph.sub(output_gradient, &centre);
        let along = graph.mul(output_gradient, &self.output);
        let along = mean(graph, &along);
        let along = graph.mul(&along, &self.output);
        let rest = graph.sub(&centred, &along);
        graph.mul(&rest, &self.inverse)
    }
}

/// `x · σ(x)` with the logistic function σ.
#[derive(Clone, Debug)]
pub struct Silu {
    /// Of the shape of the input.
    pub output: Value,
    gate: Value,
}

impl Silu {
    /// Applies the function to each element.
    pub fn forward(graph: &mut Graph, x: &Value) -> Self {
        let gate = graph.sigmoid(x);
        let output = graph.mul(x, &gate);
        Self { output, gate }
    }

    /// The gradient of the input from that of the output: `dy · (σ + y · (1 − σ))`.
    pub fn backward(&self, graph: &mut Graph, output_gradient: &Value) -> Value {
        let one = graph.scalar(1.0);
        let closed = graph.sub(&one, &self.gate);
        let slope = graph.mul(&self.output, &closed);
        let slope = graph.add(&slope, &self.gate);
        graph.mul(output_gradient, &slope)
    }
}
