//! Dropout of what LSTM layers read, as the original applies it: on the input of each layer, drawn
//! anew at each step; outputs and states are left alone.

use interlude_onnx::{ElementType, Graph, Value};

use super::tensors::float;
use super::variables::dims;

/// Prefix of the names of noise inputs; the layer's name follows.
pub const NOISE: &str = "dropout/";

/// Whether and how much is dropped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability that a number is kept; 1 for no dropout.
    pub keep: f32,
}

impl Dropout {
    /// Everything is kept.
    pub const NONE: Self = Self { keep: 1.0 };

    /// What a layer's input of a shape is multiplied with: 0 for what is dropped, `1 / keep` for
    /// the rest. Uniform noise in `(0, 1)` of that shape becomes an input of the graph.
    pub fn mask(self, graph: &mut Graph, layer: &str, shape: &[usize]) -> Option<Value> {
        if self.keep >= 1.0 {
            return None;
        }
        let noise = graph.input(&format!("{NOISE}{layer}"), ElementType::F32, &dims(shape));
        let keep = graph.scalar(self.keep);
        let kept = graph.op("Less", &[&noise, &keep], &[]);
        let kept = float(graph, &kept);
        Some(graph.div(&kept, &keep))
    }
}
