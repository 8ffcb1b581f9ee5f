//! The encoder: bidirectional LSTM layers, in one level or two.
//!
//! In the lower of two levels each segment of a window is an example of its own; the upper one reads
//! the embeddings of the segments.

use interlude_onnx::{Graph, Value};

use interlude_gradient::dropout::Dropout;
use interlude_gradient::layer::{Layer, Pass};
use interlude_gradient::lstm::{self, Direction};
use interlude_gradient::part::Part;
use interlude_gradient::variables::Variables;

/// All levels, lowest first.
#[derive(Clone, Debug)]
pub struct Encoder {
    parts: Vec<Part>,
    levels: Vec<Level>,
}

/// What the forward pass computed, level by level.
#[derive(Clone, Debug)]
pub struct EncoderPass(Vec<LevelPass>);

/// Layers of one level, each forward and backward in time.
#[derive(Clone, Debug)]
struct Level(Vec<[Layer; 2]>);

#[derive(Clone, Debug)]
struct LevelPass {
    layers: Vec<[Pass; 2]>,
    sizes: (usize, usize),
}

impl Encoder {
    /// Declares the variables for inputs of some parts; widths of an `upper` level ask for two levels.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        parts: &[Part],
        units: &[usize],
        upper: Option<&[usize]>,
    ) -> Self {
        let mut level = |name: &str, parts: &[Part], units: &[usize]| {
            Level::declare(graph, variables, name, parts, units)
        };
        let levels = if let Some(upper) = upper {
            let lower = level("encoder/hierarchical_level_0", parts, units);
            let embedding = Part::Rows { width: lower.width() };
            vec![lower, level("encoder/hierarchical_level_1", &[embedding], upper)]
        } else {
            vec![level("encoder", parts, units)]
        };
        Self { parts: parts.to_vec(), levels }
    }

    /// Width of the embedding.
    pub fn width(&self) -> usize {
        self.levels.last().map_or(0, Level::width)
    }

    /// Reads `values`, the parts in order, and returns the embedding `[batch, width]` with what the
    /// backward pass needs. A hierarchical encoder reads windows of so many `segments`.
    pub fn forward(
        &self,
        graph: &mut Graph,
        dropout: Dropout,
        values: &[Value],
        segments: usize,
        (steps, batch): (usize, usize),
    ) -> (Value, EncoderPass) {
        if let [only] = self.levels.as_slice() {
            let pass = only.forward(graph, dropout, values.to_vec(), (steps, batch));
            let embedding = pass.embedding(graph);
            return (embedding, EncoderPass(vec![pass]));
        }
        let folded = self.parts.iter().zip(values);
        let folded: Vec<Value> =
            folded.map(|(part, value)| part.fold(graph, value, segments, (steps, batch))).collect();
        let sizes = (steps / segments, segments * batch);
        let lower = self.levels[0].forward(graph, dropout, folded, sizes);
        let embeddings = lower.embedding(graph);
        let part = Part::Rows { width: self.levels[0].width() };
        let embeddings = part.shaped(graph, &embeddings, (segments, batch));
        let upper = self.levels[1].forward(graph, dropout, vec![embeddings], (segments, batch));
        (upper.embedding(graph), EncoderPass(vec![lower, upper]))
    }

    /// Sets the gradients of all variables from that of the embedding.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &EncoderPass,
        embedding: &Value,
    ) {
        let mut embedding = embedding.clone();
        for (index, (level, pass)) in self.levels.iter().zip(&pass.0).enumerate().rev() {
            let below = level.backward(graph, variables, pass, &embedding, index > 0);
            embedding = below.unwrap_or(embedding);
        }
    }
}

impl Level {
    fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        name: &str,
        parts: &[Part],
        units: &[usize],
    ) -> Self {
        let mut below = parts.to_vec();
        let mut layers = Vec::new();
        for (index, &units) in units.iter().enumerate() {
            let directions = [("fw", Direction::Forward), ("bw", Direction::Backward)];
            layers.push(directions.map(|(half, direction)| {
                let name = format!(
                    "{name}/cell_{index}/bidirectional_rnn/{half}/multi_rnn_cell/cell_0/lstm_cell"
                );
                Layer::declare(graph, variables, &name, &below, (units, direction))
            }));
            below = vec![Part::Rows { width: units }; 2];
        }
        Self(layers)
    }

    /// Width of the embedding.
    fn width(&self) -> usize {
        self.0.last().map_or(0, |[forward, _]| 2 * forward.units())
    }

    fn forward(
        &self,
        graph: &mut Graph,
        dropout: Dropout,
        values: Vec<Value>,
        sizes: (usize, usize),
    ) -> LevelPass {
        let (steps, batch) = sizes;
        let mut values = values;
        let mut layers = Vec::<[Pass; 2]>::new();
        for halves in &self.0 {
            if let Some(below) = layers.last() {
                values = below.iter().map(|pass| pass.trace.outputs(graph)).collect();
            }
            let passes = halves.each_ref().map(|layer| {
                let mask = dropout.mask(graph, layer.name(), &[steps, batch, layer.width()]);
                let zeros = lstm::zero_state(graph, batch, layer.units());
                layer.forward(graph, values.clone(), mask.as_ref(), &zeros, sizes)
            });
            layers.push(passes);
        }
        LevelPass { layers, sizes }
    }

    /// Sets the gradients of all variables from that of the embedding `[batch, width]`; returns the
    /// gradient of the inputs, which are one part of rows, when `below` asks for it.
    fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &LevelPass,
        embedding: &Value,
        below: bool,
    ) -> Option<Value> {
        let units = self.width() / 2;
        let last = graph.split(embedding, &[units; 2], 1);
        // Of both directions of a layer: the gradient of all outputs.
        let mut outputs: [Option<Value>; 2] = [None, None];
        for (index, (halves, passes)) in self.0.iter().zip(&pass.layers).enumerate().rev() {
            let top = index + 1 == self.0.len();
            let mut found = [None, None];
            for (half, (layer, own)) in halves.iter().zip(passes).enumerate() {
                let last = top.then(|| &last[half]);
                let gradients = (outputs[half].as_ref(), last);
                let back = layer.backward(graph, variables, own, gradients, pass.sizes);
                let parts = if index > 0 { 2 } else { usize::from(below) };
                for (part, sum) in found.iter_mut().enumerate().take(parts) {
                    let own = layer.input_gradient(graph, own, &back, part, pass.sizes);
                    *sum = Some(match sum.take() {
                        Some(sum) => graph.add(&sum, &own),
                        None => own,
                    });
                }
            }
            outputs = found;
        }
        let [first, _] = outputs;
        first
    }
}

impl LevelPass {
    /// Last outputs of both directions of the top layer, `[batch, width]`.
    fn embedding(&self, graph: &mut Graph) -> Value {
        let [forward, backward] = self.layers.last().expect("a level has a layer");
        let halves = [forward, backward].map(|half| half.trace.last(graph));
        graph.concat(&[&halves[0], &halves[1]], 1)
    }
}
