//! Short ways to say what graphs need again and again.

use interlude_onnx::{Attribute, ElementType, Graph, Value};

/// A tensor in another shape of known extents.
pub fn reshape(graph: &mut Graph, x: &Value, shape: &[usize]) -> Value {
    let shape: Vec<i64> =
        shape.iter().map(|&extent| i64::try_from(extent).expect("extents are small")).collect();
    graph.reshape(x, &shape)
}

/// A tensor as rows of a width.
pub fn rows(graph: &mut Graph, x: &Value, width: usize) -> Value {
    graph.reshape(x, &[-1, i64::try_from(width).expect("widths are small")])
}

/// The mean of all elements, a scalar.
pub fn mean(graph: &mut Graph, x: &Value) -> Value {
    graph.op("ReduceMean", &[x], &[("keepdims", Attribute::Int(0))])
}

/// Truth values or integers as floats.
pub fn float(graph: &mut Graph, x: &Value) -> Value {
    graph.op("Cast", &[x], &[("to", Attribute::Int(ElementType::F32 as i64))])
}

/// Position of the largest element of each row.
pub fn argmax(graph: &mut Graph, x: &Value) -> Value {
    graph.op("ArgMax", &[x], &[("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))])
}

/// A size as a float.
///
/// # Panics
/// When the size does not fit in 16 bits: batches are far smaller.
pub fn as_float(size: usize) -> f32 {
    f32::from(u16::try_from(size).expect("batch sizes are below 65536"))
}
