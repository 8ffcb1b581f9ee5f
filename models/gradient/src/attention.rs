//! Attention between the parts of a sequence (Vaswani et al. 2017): each part takes from all others
//! what is like what it asks for.
//!
//! With queries q, keys k and values v of a head with d numbers, the output is
//! `softmax(q·kᵀ / √d)·v`. The layer has no variables: its input holds q, k and v side by side.

use interlude_onnx::{Attribute, Graph, Value, extent};

/// Sizes of the layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attention {
    /// Parts of a sequence.
    pub parts: usize,
    /// Heads.
    pub heads: usize,
    /// Numbers of a head.
    pub depth: usize,
}

/// What the forward pass computed; all but the output are `[rows, heads, …, …]`.
#[derive(Clone, Debug)]
pub struct Pass {
    /// `[rows · parts, heads · depth]`.
    pub output: Value,
    queries: Value,
    keys: Value,
    values: Value,
    /// How much each part takes from each, `[…, parts, parts]`; rows sum to 1.
    shares: Value,
}

impl Attention {
    /// Numbers of a part, in the input of queries as in the output.
    pub fn width(self) -> usize {
        self.heads * self.depth
    }

    /// `[rows · parts, width]` as `[rows, heads, parts, depth]`.
    fn apart(self, graph: &mut Graph, x: &Value) -> Value {
        let shape = [-1, extent(self.parts), extent(self.heads), extent(self.depth)];
        let x = graph.reshape(x, &shape);
        graph.transpose(&x, &[0, 2, 1, 3])
    }

    /// The inverse of [`Self::apart`].
    fn together(self, graph: &mut Graph, x: &Value) -> Value {
        let x = graph.transpose(x, &[0, 2, 1, 3]);
        graph.reshape(&x, &[-1, extent(self.width())])
    }

    /// One over the root of the depth.
    fn scaled(self, graph: &mut Graph, x: &Value) -> Value {
        #[expect(clippy::cast_precision_loss, reason = "heads are narrow")]
        let scale = graph.scalar(1.0 / (self.depth as f32).sqrt());
        graph.mul(x, &scale)
    }

    /// `x` `[rows · parts, 3 · width]`: queries, keys, values.
    pub fn forward(self, graph: &mut Graph, x: &Value) -> Pass {
        let all = graph.split(x, &[self.width(); 3], 1);
        let queries = self.apart(graph, &all[0]);
        let queries = self.scaled(graph, &queries);
        let [keys, values] = [1, 2].map(|index| self.apart(graph, &all[index]));
        let turned = swapped(graph, &keys);
        let likeness = graph.matmul(&queries, &turned);
        let shares = graph.op("Softmax", &[&likeness], &[("axis", Attribute::Int(-1))]);
        let output = graph.matmul(&shares, &values);
        let output = self.together(graph, &output);
        Pass { output, queries, keys, values, shares }
    }

    /// The gradient of the input from that of the output. Of the softmax s it is
    /// `s · (ds − Σ ds·s)`.
    pub fn backward(self, graph: &mut Graph, pass: &Pass, output_gradient: &Value) -> Value {
        let g = graph;
        let gradient = self.apart(g, output_gradient);
        let turned = swapped(g, &pass.shares);
        let values = g.matmul(&turned, &gradient);
        let turned = swapped(g, &pass.values);
        let shares = g.matmul(&gradient, &turned);
        let along = g.mul(&shares, &pass.shares);
        let axes = g.ints(&[-1]);
        let sum = g.op("ReduceSum", &[&along, &axes], &[("keepdims", Attribute::Int(1))]);
        let rest = g.sub(&shares, &sum);
        let likeness = g.mul(&rest, &pass.shares);
        let queries = g.matmul(&likeness, &pass.keys);
        let queries = self.scaled(g, &queries);
        let turned = swapped(g, &likeness);
        let keys = g.matmul(&turned, &pass.queries);
        let all = [queries, keys, values].map(|x| self.together(g, &x));
        g.concat(&[&all[0], &all[1], &all[2]], 1)
    }
}

/// Rows and columns of the matrices exchanged.
fn swapped(graph: &mut Graph, x: &Value) -> Value {
    graph.transpose(x, &[0, 1, 3, 2])
}
