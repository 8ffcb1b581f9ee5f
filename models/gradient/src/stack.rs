//! LSTM layers on top of each other, all started from one vector: what conductors and core decoders
//! have in common.

use interlude_onnx::{Graph, Value};

use super::dense::Dense;
use super::dropout::Dropout;
use super::layer::{Back, Layer, Pass};
use super::lstm::Direction;
use super::part::Part;
use super::state::State;
use super::variables::Variables;

/// A stack of LSTM layers, and the dense layer that gives their initial states.
#[derive(Clone, Debug)]
pub struct Stack {
    initial: Dense,
    layers: Vec<Layer>,
}

/// A forward pass, kept for the backward pass.
#[derive(Clone, Debug)]
pub struct StackPass {
    /// Outputs of the top layer, `[steps·batch, units]`.
    pub top: Value,
    source: Value,
    initial: Value,
    passes: Vec<Pass>,
}

/// Gradients of a backward pass.
#[derive(Clone, Debug)]
pub struct StackBack {
    /// Gradient of the vector that the initial states come from.
    pub source: Value,
    /// What was found in the first layer.
    first: Back,
}

impl Stack {
    /// Declares the variables. `initial` names the dense layer on a vector of width `source`, `cell`
    /// the layers; the first one reads `parts`, the others the layer below.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        (initial, source): (&str, usize),
        cell: impl Fn(usize) -> String,
        parts: Vec<Part>,
        units: &[usize],
    ) -> Self {
        let state: usize = units.iter().map(|units| 2 * units).sum();
        let initial = Dense::declare(graph, variables, initial, source, state);
        let mut below = parts;
        let mut layers = Vec::new();
        for (index, &units) in units.iter().enumerate() {
            let size = (units, Direction::Forward);
            layers.push(Layer::declare(graph, variables, &cell(index), &below, size));
            below = vec![Part::Rows { width: units }];
        }
        Self { initial, layers }
    }

    /// Width of the output.
    pub fn units(&self) -> usize {
        self.layers.last().map_or(0, Layer::units)
    }

    /// `tanh` of the dense layer on `source`, and its parts as states: c_0, h_0, c_1, h_1, …
    pub fn initial_states(&self, graph: &mut Graph, source: &Value) -> (Value, Vec<State>) {
        let initial = self.initial.forward(graph, source);
        let initial = graph.tanh(&initial);
        let sizes: Vec<usize> = self.layers.iter().flat_map(|layer| [layer.units(); 2]).collect();
        let parts = graph.split(&initial, &sizes, 1);
        let states = parts
            .chunks_exact(2)
            .map(|pair| State { c: pair[0].clone(), h: pair[1].clone() })
            .collect();
        (initial, states)
    }

    /// Runs all layers over all steps from `source` `[batch, width]`. `values` are the parts that
    /// the first layer reads.
    pub fn forward(
        &self,
        graph: &mut Graph,
        dropout: Dropout,
        source: &Value,
        values: Vec<Value>,
        (steps, batch): (usize, usize),
    ) -> StackPass {
        let (initial, states) = self.initial_states(graph, source);
        let mut values = values;
        let mut passes = Vec::<Pass>::new();
        for (layer, state) in self.layers.iter().zip(&states) {
            let mask = dropout.mask(graph, layer.name(), &[steps, batch, layer.width()]);
            let pass = layer.forward(graph, values, mask.as_ref(), state, (steps, batch));
            values = vec![pass.trace.outputs(graph)];
            passes.push(pass);
        }
        let part = Part::Rows { width: self.units() };
        let top = part.dense(graph, &values[0], (steps, batch));
        StackPass { top, source: source.clone(), initial, passes }
    }

    /// Sets the gradients of all variables from that of the outputs `[steps·batch, units]`.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &StackPass,
        outputs: &Value,
        (steps, batch): (usize, usize),
    ) -> StackBack {
        let mut outputs = outputs.clone();
        let (mut states, mut first) = (Vec::new(), None);
        for (index, (layer, own)) in self.layers.iter().zip(&pass.passes).enumerate().rev() {
            let back =
                layer.backward(graph, variables, own, (Some(&outputs), None), (steps, batch));
            states.push(back.initial.clone());
            if index > 0 {
                outputs = layer.input_gradient(graph, own, &back, 0, (steps, batch));
            }
            first = Some(back);
        }
        states.reverse();
        let parts: Vec<&Value> = states.iter().flat_map(|state| [&state.c, &state.h]).collect();
        let gradient = graph.concat(&parts, 1);
        // The derivative of tanh is 1 − tanh².
        let squared = graph.mul(&pass.initial, &pass.initial);
        let one = graph.scalar(1.0);
        let slope = graph.sub(&one, &squared);
        let gradient = graph.mul(&gradient, &slope);
        let source = self.initial.backward(graph, variables, &pass.source, &gradient);
        StackBack { source, first: first.expect("a stack has a layer") }
    }

    /// The gradient of a part that the first layer reads.
    pub fn input_gradient(
        &self,
        graph: &mut Graph,
        pass: &StackPass,
        back: &StackBack,
        index: usize,
        sizes: (usize, usize),
    ) -> Value {
        self.layers[0].input_gradient(graph, &pass.passes[0], &back.first, index, sizes)
    }

    /// What is the same at all steps for the first layer and for each other one.
    pub fn offsets(&self, graph: &mut Graph, values: &[Value]) -> Vec<Value> {
        let offset = |(index, layer): (usize, &Layer)| {
            layer.offset(graph, if index == 0 { values } else { &[] })
        };
        self.layers.iter().enumerate().map(offset).collect()
    }

    /// One step in the body of a `Scan`: the states after it, of which the last one's `h` is the
    /// output.
    pub fn step(
        &self,
        body: &mut Graph,
        offsets: &[Value],
        values: Vec<Value>,
        states: &[State],
        batch: usize,
    ) -> Vec<State> {
        let mut values = values;
        let mut next = Vec::<State>::new();
        for ((layer, offset), state) in self.layers.iter().zip(offsets).zip(states) {
            let state = layer.step(body, offset, &values, state, batch);
            values = vec![state.h.clone()];
            next.push(state);
        }
        next
    }
}
