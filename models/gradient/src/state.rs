//! The state of an LSTM layer.

use interlude_onnx::{Graph, Value};

/// A layer's state: output `h` and cell `c`, each `[batch, units]`.
#[derive(Clone, Debug)]
pub struct State {
    /// Output h of the cell, `[batch, units]`.
    pub h: Value,
    /// Cell state c, `[batch, units]`.
    pub c: Value,
}

impl State {
    /// Rows as columns, or the other way round.
    pub(crate) fn turned(&self, graph: &mut Graph) -> Self {
        let [h, c] = [&self.h, &self.c].map(|value| graph.transpose(value, &[1, 0]));
        Self { h, c }
    }
}
