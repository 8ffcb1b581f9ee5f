//! What a layer reads at each step: parts that lie side by side.

use interlude_onnx::{Attribute, Graph, Value};

use super::tensors::reshape;

/// A stretch of a layer's input, and how it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A token, one-hot, as its number: `[steps, batch]`. The vocabulary's size stands for none,
    /// which is a row of zeros.
    Tokens {
        /// Size of the vocabulary.
        vocabulary: usize,
    },
    /// Numbers, `[steps, batch, width]`.
    Rows {
        /// Numbers in a step.
        width: usize,
    },
    /// The same numbers at all steps, `[batch, width]`.
    Constant {
        /// Numbers.
        width: usize,
    },
}

impl Part {
    /// Width of the stretch.
    pub fn width(self) -> usize {
        match self {
            Self::Tokens { vocabulary: width }
            | Self::Rows { width }
            | Self::Constant { width } => width,
        }
    }

    /// The part as numbers, `[steps·batch, width]`.
    pub fn dense(self, graph: &mut Graph, value: &Value, (steps, batch): (usize, usize)) -> Value {
        match self {
            Self::Tokens { vocabulary } => one_hot(graph, value, vocabulary),
            Self::Rows { width } => reshape(graph, value, &[steps * batch, width]),
            Self::Constant { width } => {
                let shape = [steps, batch, width].map(|n| i64::try_from(n).expect("small"));
                let shape = graph.ints(&shape);
                let all = graph.expand(value, &shape);
                reshape(graph, &all, &[steps * batch, width])
            }
        }
    }

    /// Cuts windows of `steps` into `segments`, each an example of its own: `[steps, batch, …]` to
    /// `[steps / segments, segments·batch, …]`, all first segments first.
    pub fn fold(
        self,
        graph: &mut Graph,
        value: &Value,
        segments: usize,
        (steps, batch): (usize, usize),
    ) -> Value {
        if segments == 1 {
            return value.clone();
        }
        let width = if let Self::Rows { width } = self { width } else { 1 };
        let short = steps / segments;
        let cut = reshape(graph, value, &[segments, short, batch, width]);
        let turned = graph.transpose(&cut, &[1, 0, 2, 3]);
        self.shaped(graph, &turned, (short, segments * batch))
    }

    /// The opposite of [`Part::fold`]; `steps` and `batch` are those of the whole windows.
    pub fn unfold(
        self,
        graph: &mut Graph,
        value: &Value,
        segments: usize,
        (steps, batch): (usize, usize),
    ) -> Value {
        let width = if let Self::Rows { width } = self { width } else { 1 };
        let cut = reshape(graph, value, &[steps / segments, segments, batch, width]);
        let turned = graph.transpose(&cut, &[1, 0, 2, 3]);
        self.shaped(graph, &turned, (steps, batch))
    }

    /// A value in the shape that the part is given in.
    pub fn shaped(self, graph: &mut Graph, value: &Value, (steps, batch): (usize, usize)) -> Value {
        match self {
            Self::Tokens { .. } => reshape(graph, value, &[steps, batch]),
            Self::Rows { width } => reshape(graph, value, &[steps, batch, width]),
            Self::Constant { width } => reshape(graph, value, &[batch, width]),
        }
    }
}

/// Token ids as one-hot rows `[rows, vocabulary]`; an id that is not in the vocabulary is a row of
/// zeros.
pub fn one_hot(graph: &mut Graph, token_ids: &Value, vocabulary: usize) -> Value {
    let flat = graph.reshape(token_ids, &[-1]);
    let depth = graph.int(i64::try_from(vocabulary).expect("vocabularies are small"));
    let values = graph.floats(&[2], &[0.0, 1.0]);
    graph.op("OneHot", &[&flat, &depth, &values], &[("axis", Attribute::Int(-1))])
}
