//! The conductor of a hierarchical decoder: from z one embedding for each segment.

use interlude_onnx::{Graph, Value};

use interlude_gradient::dropout::Dropout;
use interlude_gradient::part::Part;
use interlude_gradient::stack::{Stack, StackPass};
use interlude_gradient::variables::Variables;

/// LSTM layers that read nothing: their only input is a zero.
#[derive(Clone, Debug)]
pub struct Conductor(Stack);

impl Conductor {
    /// Declares the variables.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        latent: usize,
        units: &[usize],
    ) -> Self {
        let initial = "decoder/hierarchical_level_0/initial_state";
        let cell = |layer| format!("decoder/hierarchical_level_0/cell_{layer}/lstm_cell");
        let parts = vec![Part::Rows { width: 1 }];
        Self(Stack::declare(graph, variables, (initial, latent), cell, parts, units))
    }

    /// Width of the embeddings.
    pub fn units(&self) -> usize {
        self.0.units()
    }

    /// Runs over all segments; the pass's `top` are the embeddings `[segments·batch, units]`.
    pub fn forward(
        &self,
        graph: &mut Graph,
        dropout: Dropout,
        z: &Value,
        (segments, batch): (usize, usize),
    ) -> StackPass {
        let zeros = graph.floats(&[segments, batch, 1], &vec![0.0; segments * batch]);
        self.0.forward(graph, dropout, z, vec![zeros], (segments, batch))
    }

    /// Sets the gradients of all variables from that of the embeddings, and returns that of z.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &StackPass,
        embeddings: &Value,
        sizes: (usize, usize),
    ) -> Value {
        self.0.backward(graph, variables, pass, embeddings, sizes).source
    }
}
