//! A flat decoder of one token a step: stacked LSTM layers, each step fed with the token before.

use interlude_models::onnx::{Attribute, ElementType, Graph, Value};

use super::categorical::{argmax, one_hot};
use super::dense::Dense;
use super::lstm::{self, Direction, Lstm, State, Trace};
use super::variables::Variables;

/// The layers of a decoder.
#[derive(Clone, Debug)]
pub struct Decoder {
    initial: Dense,
    layers: Vec<Layer>,
    output: Dense,
    vocabulary: usize,
    /// Rows of the first kernel for tokens, with a last row of zeros for "no token".
    table: Value,
    /// Rows of the first kernel for z.
    latent: Value,
}

/// One LSTM layer.
#[derive(Clone, Debug)]
struct Layer {
    name: String,
    /// Rows of the kernel for the layer below; of the first layer they are in the decoder.
    input: Option<Value>,
    /// Bias with the forget bias.
    bias: Value,
    lstm: Lstm,
}

/// What the forward pass computed.
#[derive(Clone, Debug)]
pub struct Forward {
    /// `[steps·batch, vocabulary]`.
    pub logits: Value,
    z: Value,
    initial: Value,
    traces: Vec<Trace>,
    /// Input of each layer but the first, and of the output layer: `[steps·batch, units]`.
    flat: Vec<Value>,
}

/// Noise and choices of a rollout.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Uniform noise in `(0, 1)`, `[steps, batch, vocabulary]`; without it the most likely token
    /// is taken.
    pub uniform: Option<Value>,
    /// Where the next input is the decoded token (true) and where it is the given one:
    /// `[steps, batch]`. Without it all are decoded.
    pub sampled: Option<Value>,
    /// Given tokens, `[steps, batch]`.
    pub targets: Value,
}

/// What a rollout gave, both `[steps, batch]`.
#[derive(Clone, Debug)]
pub struct Rollout {
    /// Tokens decoded.
    pub tokens: Value,
    /// Tokens that each step was fed; the vocabulary's size stands for none.
    pub inputs: Value,
}

impl Decoder {
    /// Declares the variables.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        vocabulary: usize,
        latent: usize,
        units: &[usize],
    ) -> Self {
        let state: usize = units.iter().map(|units| 2 * units).sum();
        let initial = Dense::declare(graph, variables, "decoder/z_to_initial_state", latent, state);
        let mut layers = Vec::new();
        let mut first = None;
        let mut below = vocabulary + latent;
        for (index, &units) in units.iter().enumerate() {
            let name = format!("decoder/multi_rnn_cell/cell_{index}/lstm_cell");
            let shape = [below + units, 4 * units];
            let kernel = variables.declare(graph, &format!("{name}/kernel"), &shape);
            let bias = variables.declare(graph, &format!("{name}/bias"), &[4 * units]);
            let bias = lstm::with_forget_bias(graph, &bias, units);
            let (input, recurrent) = if index == 0 {
                let parts = graph.split(&kernel, &[vocabulary, latent, units], 0);
                let none = graph.floats(&[1, 4 * units], &vec![0.0; 4 * units]);
                first = Some((graph.concat(&[&parts[0], &none], 0), parts[1].clone()));
                (None, parts[2].clone())
            } else {
                let parts = graph.split(&kernel, &[below, units], 0);
                (Some(parts[0].clone()), parts[1].clone())
            };
            let lstm = Lstm { units, recurrent, direction: Direction::Forward };
            layers.push(Layer { name, input, bias, lstm });
            below = units;
        }
        let (table, latent) = first.expect("a decoder has at least one layer");
        let output =
            Dense::declare(graph, variables, "decoder/output_projection", below, vocabulary);
        Self { initial, layers, output, vocabulary, table, latent }
    }

    /// `tanh` of the dense layer on z, and its parts as states: c_0, h_0, c_1, h_1, …
    fn initial_states(&self, graph: &mut Graph, z: &Value) -> (Value, Vec<State>) {
        let initial = self.initial.forward(graph, z);
        let initial = graph.tanh(&initial);
        let sizes: Vec<usize> =
            self.layers.iter().flat_map(|layer| [layer.lstm.units; 2]).collect();
        let parts = graph.split(&initial, &sizes, 1);
        let states = parts
            .chunks_exact(2)
            .map(|pair| State { c: pair[0].clone(), h: pair[1].clone() })
            .collect();
        (initial, states)
    }

    /// `z·W_z + b`, the same in all steps: `[batch, 4·units]`.
    fn constant(&self, graph: &mut Graph, z: &Value) -> Value {
        graph.gemm(z, &self.latent, &self.layers[0].bias)
    }

    /// Decodes with given inputs: `inputs` `[steps, batch]` holds the token before each step, or
    /// the vocabulary's size for none.
    pub fn forward(
        &self,
        graph: &mut Graph,
        z: &Value,
        inputs: &Value,
        (steps, batch): (usize, usize),
    ) -> Forward {
        let (initial, states) = self.initial_states(graph, z);
        let constant = self.constant(graph, z);
        let picked = graph.gather(&self.table, inputs);
        let mut preactivations = graph.add(&picked, &constant);
        let (mut traces, mut flat) = (Vec::<Trace>::new(), Vec::new());
        for (layer, state) in self.layers.iter().zip(&states) {
            let units = layer.lstm.units;
            if let Some(input) = &layer.input {
                let below = flat.last().expect("only the first layer has none below");
                let sum = graph.gemm(below, input, &layer.bias);
                preactivations = lstm::reshape(graph, &sum, &[steps, batch, 4 * units]);
            }
            let trace = layer.lstm.forward(graph, &preactivations, state);
            flat.push(lstm::rows(graph, &trace.h, steps * batch, units));
            traces.push(trace);
        }
        let top = flat.last().expect("a decoder has at least one layer");
        let logits = self.output.forward(graph, top);
        Forward { logits, z: z.clone(), initial, traces, flat }
    }

    /// Sets the gradients of all variables from that of the logits, and returns that of z.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        forward: &Forward,
        inputs: &Value,
        (logits, steps, batch): (&Value, usize, usize),
    ) -> Value {
        let top = forward.flat.last().expect("a decoder has at least one layer");
        let mut outputs = self.output.backward(graph, variables, top, logits);
        let mut states = Vec::new();
        let mut dz = None;
        for (index, (layer, trace)) in self.layers.iter().zip(&forward.traces).enumerate().rev() {
            let units = layer.lstm.units;
            let own = lstm::reshape(graph, &outputs, &[steps, batch, units]);
            let found = layer.lstm.backward(graph, trace, Some(&own), None, (steps, batch));
            states.push(found.initial);
            let flat = lstm::rows(graph, &found.preactivations, steps * batch, 4 * units);
            let (kernel, bias) = if let Some(input) = &layer.input {
                let below = graph.gemm_tn(&forward.flat[index - 1], &flat);
                outputs = graph.gemm_nt(&flat, input);
                let bias = graph.reduce_sum(&flat, &[0]);
                (graph.concat(&[&below, &found.recurrent], 0), bias)
            } else {
                let tokens = one_hot(graph, inputs, self.vocabulary);
                let tokens = graph.gemm_tn(&tokens, &flat);
                let constant = graph.reduce_sum(&found.preactivations, &[0]);
                let latent = graph.gemm_tn(&forward.z, &constant);
                dz = Some(graph.gemm_nt(&constant, &self.latent));
                let bias = graph.reduce_sum(&constant, &[0]);
                (graph.concat(&[&tokens, &latent, &found.recurrent], 0), bias)
            };
            variables.set_gradient(&format!("{}/kernel", layer.name), kernel);
            variables.set_gradient(&format!("{}/bias", layer.name), bias);
        }
        states.reverse();
        let parts: Vec<&Value> = states.iter().flat_map(|state| [&state.c, &state.h]).collect();
        let dinitial = graph.concat(&parts, 1);
        let squared = graph.mul(&forward.initial, &forward.initial);
        let one = graph.scalar(1.0);
        let slope = graph.sub(&one, &squared);
        let dinitial = graph.mul(&dinitial, &slope);
        let from_initial = self.initial.backward(graph, variables, &forward.z, &dinitial);
        let from_steps = dz.expect("the first layer sets it");
        graph.add(&from_steps, &from_initial)
    }

    /// Decodes step by step, feeding back what it decodes, wholly or where `choices` say so. No
    /// gradient flows through it.
    ///
    /// A token is drawn at temperature 1 by adding Gumbel noise `−ln(−ln u)` to the logits.
    pub fn rollout(
        &self,
        graph: &mut Graph,
        z: &Value,
        choices: &Choices,
        batch: usize,
    ) -> Rollout {
        let (_, states) = self.initial_states(graph, z);
        let constant = self.constant(graph, z);
        let none = i64::try_from(self.vocabulary).expect("vocabularies are small");
        let start = graph.int(none);
        let shape = graph.ints(&[i64::try_from(batch).expect("batches are small")]);
        let start = graph.expand(&start, &shape);

        let mut body = graph.body("rollout");
        let token = body.body_input("token", ElementType::I64);
        let inner: Vec<State> = (0..states.len())
            .map(|layer| State {
                h: body.body_input(&format!("h{layer}"), ElementType::F32),
                c: body.body_input(&format!("c{layer}"), ElementType::F32),
            })
            .collect();
        let target = body.body_input("target", ElementType::I64);
        let mut scanned = vec![&choices.targets];
        let uniform = choices.uniform.as_ref().map(|value| {
            scanned.push(value);
            body.body_input("uniform", ElementType::F32)
        });
        let sampled = choices.sampled.as_ref().map(|value| {
            scanned.push(value);
            body.body_input("sampled", ElementType::Bool)
        });

        let picked = body.gather(&self.table, &token);
        let mut preactivations = body.add(&picked, &constant);
        let mut next = Vec::<State>::new();
        for (layer, state) in self.layers.iter().zip(&inner) {
            if let (Some(input), Some(below)) = (&layer.input, next.last()) {
                preactivations = body.gemm(&below.h, input, &layer.bias);
            }
            let lstm = &layer.lstm;
            let (_, _, state) =
                lstm::step(&mut body, lstm.units, &lstm.recurrent, &preactivations, state);
            next.push(state);
        }
        let top = next.last().expect("a decoder has at least one layer");
        let mut logits = self.output.forward(&mut body, &top.h);
        if let Some(uniform) = uniform {
            let log = body.op("Log", &[&uniform], &[]);
            let log = body.op("Neg", &[&log], &[]);
            let log = body.op("Log", &[&log], &[]);
            logits = body.sub(&logits, &log);
        }
        let decoded = argmax(&mut body, &logits, 1);
        let fed = match sampled {
            Some(sampled) => body.op("Where", &[&sampled, &decoded, &target], &[]),
            None => body.op("Identity", &[&decoded], &[]),
        };
        let input = body.op("Identity", &[&token], &[]);
        let decoded = body.op("Identity", &[&decoded], &[]);
        body.expose(&fed, ElementType::I64, None);
        for state in &next {
            body.expose(&state.h, ElementType::F32, None);
            body.expose(&state.c, ElementType::F32, None);
        }
        body.expose(&decoded, ElementType::I64, None);
        body.expose(&input, ElementType::I64, None);

        let mut inputs = vec![&start];
        inputs.extend(states.iter().flat_map(|state| [&state.h, &state.c]));
        inputs.extend(&scanned);
        let count = i64::try_from(scanned.len()).expect("a few inputs");
        let outputs = graph.op_many(
            "Scan",
            &inputs,
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(count)),
            ],
            1 + 2 * states.len() + 2,
        );
        let [.., tokens, inputs] = &outputs[..] else { unreachable!("there are at least two") };
        Rollout { tokens: tokens.clone(), inputs: inputs.clone() }
    }
}
