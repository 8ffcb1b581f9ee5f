//! A core decoder: an LSTM stack that writes one step after the other, each fed the output before
//! it.

use interlude_onnx::{Attribute, ElementType, Graph, Value};

use super::output::Output;
use interlude_gradient::dense::Dense;
use interlude_gradient::dropout::Dropout;
use interlude_gradient::part::Part;
use interlude_gradient::stack::{Stack, StackPass};
use interlude_gradient::state::State;
use interlude_gradient::variables::Variables;

/// The stack between its two dense layers.
#[derive(Clone, Debug)]
pub struct CoreDecoder {
    /// What it writes.
    pub output: Output,
    stack: Stack,
    projection: Dense,
}

/// What the forward pass computed.
#[derive(Clone, Debug)]
pub struct CorePass {
    /// `[steps·batch, logits]`.
    pub logits: Value,
    stack: StackPass,
}

/// Noise and choices of a rollout.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Uniform noise in `(0, 1)`, `[steps, batch, depth]`; without it the most probable is taken.
    pub uniform: Option<Value>,
    /// Where the next input is what was decoded (true) and where it is the target:
    /// `[steps, batch]`. Without it all are decoded.
    pub sampled: Option<Value>,
}

/// What a rollout gave, part by part as the decoder reads it.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// What each step decoded.
    pub decoded: Vec<Value>,
    /// What each step was fed.
    pub inputs: Vec<Value>,
    /// What the step after the last one would be fed; without a steps axis.
    pub next: Vec<Value>,
}

impl CoreDecoder {
    /// Declares the variables, whose names begin with `prefix`. Each step reads the output before
    /// it, an embedding of width `embedding`, and `controls` numbers.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        prefix: &str,
        output: Output,
        (embedding, controls): (usize, usize),
        units: &[usize],
    ) -> Self {
        let mut parts = output.parts();
        parts.push(Part::Constant { width: embedding });
        parts.extend((controls > 0).then_some(Part::Rows { width: controls }));
        let initial = format!("{prefix}decoder/z_to_initial_state");
        let cell = |layer| format!("{prefix}decoder/multi_rnn_cell/cell_{layer}/lstm_cell");
        let stack = Stack::declare(graph, variables, (&initial, embedding), cell, parts, units);
        let name = format!("{prefix}decoder/output_projection");
        let projection = Dense::declare(graph, variables, &name, stack.units(), output.logits());
        Self { output, stack, projection }
    }

    /// Parts of the first layer: the output before, the embedding, the controls.
    fn values(previous: &[Value], embedding: &Value, controls: Option<&Value>) -> Vec<Value> {
        previous.iter().chain([embedding]).chain(controls).cloned().collect()
    }

    /// Decodes all steps from `embedding` `[batch, width]` with given inputs `previous`, part by
    /// part.
    pub fn forward(
        &self,
        graph: &mut Graph,
        dropout: Dropout,
        embedding: &Value,
        (previous, controls): (&[Value], Option<&Value>),
        sizes: (usize, usize),
    ) -> CorePass {
        let values = Self::values(previous, embedding, controls);
        let stack = self.stack.forward(graph, dropout, embedding, values, sizes);
        let logits = self.projection.forward(graph, &stack.top);
        CorePass { logits, stack }
    }

    /// Sets the gradients of all variables from that of the logits, and returns that of the
    /// embedding.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &CorePass,
        logits: &Value,
        sizes: (usize, usize),
    ) -> Value {
        let outputs = self.projection.backward(graph, variables, &pass.stack.top, logits);
        let back = self.stack.backward(graph, variables, &pass.stack, &outputs, sizes);
        let index = self.output.parts().len();
        let from_steps = self.stack.input_gradient(graph, &pass.stack, &back, index, sizes);
        graph.add(&from_steps, &back.source)
    }

    /// Decodes step by step from `embedding`, feeding back what it decodes, wholly or where
    /// `choices` say so; `start` is what the first step is fed. No gradient flows through it.
    ///
    /// `targets` are the right outputs, which the others steps are fed.
    pub fn rollout(
        &self,
        graph: &mut Graph,
        embedding: &Value,
        (start, targets, controls): (&[Value], &[Value], Option<&Value>),
        choices: &Choices,
        batch: usize,
    ) -> Rollout {
        let (_, states) = self.stack.initial_states(graph, embedding);
        let outer = Self::values(start, embedding, controls);
        let offsets = self.stack.offsets(graph, &outer);
        let element = self.output.element();

        let mut body = graph.body("rollout");
        let named = |body: &mut Graph, stem: &str, count: usize, element| -> Vec<Value> {
            (0..count).map(|part| body.body_input(&format!("{stem}{part}"), element)).collect()
        };
        let fed = named(&mut body, "fed", start.len(), element);
        let inner: Vec<State> = (0..states.len())
            .map(|layer| State {
                h: body.body_input(&format!("h{layer}"), ElementType::F32),
                c: body.body_input(&format!("c{layer}"), ElementType::F32),
            })
            .collect();
        let target = named(&mut body, "target", targets.len(), element);
        let control = controls.map(|_| body.body_input("control", ElementType::F32));
        let uniform =
            choices.uniform.as_ref().map(|_| body.body_input("uniform", ElementType::F32));
        let sampled =
            choices.sampled.as_ref().map(|_| body.body_input("sampled", ElementType::Bool));

        let values = Self::values(&fed, embedding, control.as_ref());
        let next = self.stack.step(&mut body, &offsets, values, &inner, batch);
        let top = next.last().expect("a decoder has at least one layer");
        let logits = self.projection.forward(&mut body, &top.h);
        let decoded = self.output.decode(&mut body, &logits, uniform.as_ref());
        let following = self.following(&mut body, &decoded, &target, sampled.as_ref());
        // A value may be an output only once, and only where it was computed.
        let copies = |body: &mut Graph, values: &[Value]| -> Vec<Value> {
            values.iter().map(|value| body.op("Identity", &[value], &[])).collect()
        };
        let decoded = copies(&mut body, &decoded);
        let read = copies(&mut body, &fed);
        following.iter().for_each(|value| body.expose(value, element, None));
        for state in &next {
            body.expose(&state.h, ElementType::F32, None);
            body.expose(&state.c, ElementType::F32, None);
        }
        decoded.iter().chain(&read).for_each(|value| body.expose(value, element, None));

        let scanned: Vec<&Value> = targets
            .iter()
            .chain(controls)
            .chain(&choices.uniform)
            .chain(&choices.sampled)
            .collect();
        let mut given: Vec<&Value> = start.iter().collect();
        given.extend(states.iter().flat_map(|state| [&state.h, &state.c]));
        given.extend(&scanned);
        let count = i64::try_from(scanned.len()).expect("a few inputs");
        let parts = start.len();
        let mut outputs = graph.op_many(
            "Scan",
            &given,
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(count)),
            ],
            3 * parts + 2 * states.len(),
        );
        let inputs = outputs.split_off(outputs.len() - parts);
        let decoded = outputs.split_off(outputs.len() - parts);
        outputs.truncate(parts);
        Rollout { decoded, inputs, next: outputs }
    }

    /// What the step after this one is fed: what was decoded, or the target where `sampled`
    /// `[batch]` says so.
    fn following(
        &self,
        body: &mut Graph,
        decoded: &[Value],
        target: &[Value],
        sampled: Option<&Value>,
    ) -> Vec<Value> {
        let Some(sampled) = sampled else {
            return decoded.iter().map(|value| body.op("Identity", &[value], &[])).collect();
        };
        let mut following = Vec::new();
        for ((part, decoded), target) in self.output.parts().into_iter().zip(decoded).zip(target) {
            let sampled = match part {
                Part::Tokens { .. } => sampled.clone(),
                _ => body.unsqueeze(sampled, &[1]),
            };
            following.push(body.op("Where", &[&sampled, decoded, target], &[]));
        }
        following
    }
}
