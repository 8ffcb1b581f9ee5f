//! The decoder in three graphs: the conductor of hierarchical models, the initial states, one step.
//!
//! A step reads what was sampled before, what the embedding adds to the gates of layer 0 (computed
//! once for a window or segment), the states and random numbers, and gives a sample, the logits
//! behind it and the next states. All randomness comes in from outside, so a graph is a pure
//! function: the sample of `argmax(logits / temperature + Gumbel)` is distributed as
//! `softmax(logits / temperature)`, and a bit of `logit / temperature + logistic ≥ 0` as
//! `σ(logit / temperature)`.

use std::io::{self, Write};

use super::build::Builder;
use super::interface::{self, Part};
use super::variables::{Core, conductor_cell, cores, decoder_cell, embedding_size};
use interlude_onnx::{Attribute, ElementType, Value, extent};

use crate::config::{Config, OutputKind};
use crate::families::percussion::CLASSES;
use crate::weights::Weights;

/// Builds `decoder_conductor.onnx`; the weights go to `data`.
///
/// The conductor runs a step for each segment on an input of zeros from states that the latent code sets.
pub(crate) fn build_conductor(
    config: &Config,
    weights: &Weights,
    data: &mut dyn Write,
) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Part::Conductor, config, weights, data);
    let z = builder.input("z");
    let sizes = config.conductor_sizes();
    let state = builder.dense("decoder/hierarchical_level_0/initial_state", &z);
    let state = builder.graph.tanh(&state);
    let states = split_states(&mut builder, &state, sizes);
    let graph = &mut builder.graph;
    let shape = graph.op("Shape", &[&z], &[]);
    let batch = graph.slice(&shape, 0, 1, 0);
    let (segments, one) = (graph.ints(&[extent(config.segments())]), graph.ints(&[1]));
    let shape = graph.concat(&[&segments, &batch, &one], 0);
    // ConstantOfShape gives zeros.
    let mut x = graph.op("ConstantOfShape", &[&shape], &[]);
    for (layer, (&hidden, (cell, hidden_state))) in sizes.iter().zip(&states).enumerate() {
        let [w, r, b] = builder.lstm_weights(&[conductor_cell(layer)]);
        let h = builder.graph.unsqueeze(hidden_state, &[0]);
        let c = builder.graph.unsqueeze(cell, &[0]);
        let outputs = builder.graph.op_many(
            "LSTM",
            &[&x, &w, &r, &b, &Value::none(), &h, &c],
            &[("hidden_size", Attribute::Int(extent(hidden)))],
            1,
        );
        x = builder.graph.squeeze(&outputs[0], &[1]);
    }
    let embeddings = builder.graph.transpose(&x, &[1, 0, 2]);
    builder.output("embeddings", &embeddings);
    builder.finish()
}

/// Builds `decoder_init.onnx`; the weights go to `data`.
pub(crate) fn build_init(
    config: &Config,
    weights: &Weights,
    data: &mut dyn Write,
) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Part::Init, config, weights, data);
    let embedding = builder.input("embedding");
    let (mut states, mut contexts) = (Vec::new(), Vec::new());
    for core in cores(config) {
        let name = format!("{}decoder/z_to_initial_state", core.prefix);
        let state = builder.dense(&name, &embedding);
        states.push(builder.graph.tanh(&state));
        let cell = decoder_cell(&core, 0);
        let rows = Rows::of(config, &core);
        let kernel = builder.step_kernel(&cell, rows.embedding, 0, "embedding");
        let bias = builder.step_bias(&cell);
        contexts.push(builder.graph.gemm(&embedding, &kernel, &bias));
    }
    let state = builder.graph.concat(&states.iter().collect::<Vec<_>>(), 1);
    let context = builder.graph.concat(&contexts.iter().collect::<Vec<_>>(), 1);
    builder.output("state", &state);
    builder.output("context", &context);
    builder.finish()
}

/// Builds `decoder_step.onnx`; the weights go to `data`.
pub(crate) fn build_step(
    config: &Config,
    weights: &Weights,
    data: &mut dyn Write,
) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Part::Step, config, weights, data);
    let inputs = StepInputs {
        previous: builder.input("previous"),
        noise: builder.input("noise"),
        temperature: builder.input("temperature"),
        control: (config.control_depth() > 0).then(|| builder.input("control")),
    };
    let (context, state) = (builder.input("context"), builder.input("state"));
    let cores = cores(config);
    let widths = interface::Widths::of(config);
    let contexts = split_equally(&mut builder, &context, cores.len(), widths.context);
    let states = split_equally(&mut builder, &state, cores.len(), widths.state);
    let (mut logits, mut next_states) = (Vec::new(), Vec::new());
    let mut part = 0;
    for ((core, context), state) in cores.iter().zip(&contexts).zip(&states) {
        let (output, next) = core_step(&mut builder, config, core, part, &inputs, context, state);
        logits.push(output);
        next_states.extend(next);
        part += core.outputs.len();
    }
    let logits = join(&mut builder, &logits);
    let sample = match config.output_kind() {
        OutputKind::Nade => nade_sample(&mut builder, config, &logits, &inputs),
        OutputKind::Groove => groove_sample(&mut builder, &logits, &inputs),
        OutputKind::Categorical | OutputKind::MultiCategorical | OutputKind::SplitCategorical => {
            categorical_sample(&mut builder, config.outputs(), &logits, &inputs)
        }
    };
    let next_state = join(&mut builder, &next_states);
    builder.output("sample", &sample);
    builder.output("logits", &logits);
    builder.output("next_state", &next_state);
    builder.finish()
}

/// Rows of a core's layer-0 kernel by the input that they read.
struct Rows {
    output: std::ops::Range<usize>,
    embedding: std::ops::Range<usize>,
    control: std::ops::Range<usize>,
    hidden: std::ops::Range<usize>,
}

impl Rows {
    fn of(config: &Config, core: &Core) -> Self {
        let output = core.outputs.iter().sum();
        let embedding = output + embedding_size(config);
        let control = embedding + config.control_depth();
        let hidden = control + config.hparams.dec_rnn_size[0];
        Self {
            output: 0..output,
            embedding: output..embedding,
            control: embedding..control,
            hidden: control..hidden,
        }
    }
}

struct StepInputs {
    previous: Value,
    noise: Value,
    temperature: Value,
    control: Option<Value>,
}

/// One step of one LSTM stack whose outputs begin at `part`; gives its projection and its next
/// states in the order `c_0, h_0, c_1, h_1, …`.
fn core_step(
    builder: &mut Builder<'_>,
    config: &Config,
    core: &Core,
    part: usize,
    inputs: &StepInputs,
    context: &Value,
    state: &Value,
) -> (Value, Vec<Value>) {
    let sizes = &config.hparams.dec_rnn_size;
    let states = split_states(builder, state, sizes);
    let rows = Rows::of(config, core);
    let cell = decoder_cell(core, 0);
    let mut gates = context.clone();
    if interface::categorical(config) {
        // A one-hot vector times the kernel is one of its rows; the row of zeros is "none yet".
        let mut first = rows.output.start;
        for (index, &size) in core.outputs.iter().enumerate() {
            let label = format!("output_{}", part + index);
            let table = builder.step_kernel(&cell, first..first + size, 1, &label);
            let from = extent(part + index);
            let token = builder.graph.slice(&inputs.previous, from, from + 1, 1);
            let token = builder.graph.squeeze(&token, &[1]);
            let row = builder.graph.gather(&table, &token);
            gates = builder.graph.add(&gates, &row);
            first += size;
        }
    } else {
        let kernel = builder.step_kernel(&cell, rows.output, 0, "output");
        gates = builder.graph.gemm(&inputs.previous, &kernel, &gates);
    }
    if let Some(control) = &inputs.control {
        let kernel = builder.step_kernel(&cell, rows.control, 0, "control");
        gates = builder.graph.gemm(control, &kernel, &gates);
    }
    let kernel = builder.step_kernel(&cell, rows.hidden, 0, "hidden");
    gates = builder.graph.gemm(&states[0].1, &kernel, &gates);
    let (c, mut h) = cell_step(builder, &gates, &states[0].0, sizes[0]);
    let mut next = vec![c, h.clone()];
    for (layer, (&hidden, (cell_state, hidden_state))) in
        sizes.iter().zip(&states).enumerate().skip(1)
    {
        let cell = decoder_cell(core, layer);
        let kernel = builder.step_kernel(&cell, 0..sizes[layer - 1] + hidden, 0, "kernel");
        let bias = builder.step_bias(&cell);
        let x = builder.graph.concat(&[&h, hidden_state], 1);
        let gates = builder.graph.gemm(&x, &kernel, &bias);
        let (c, top) = cell_step(builder, &gates, cell_state, hidden);
        h = top;
        next.extend([c, h.clone()]);
    }
    (builder.dense(&format!("{}decoder/output_projection", core.prefix), &h), next)
}

/// The LSTM cell on gates in the order of a step: gives the next cell and hidden state.
fn cell_step(
    builder: &mut Builder<'_>,
    gates: &Value,
    cell: &Value,
    hidden: usize,
) -> (Value, Value) {
    let graph = &mut builder.graph;
    let parts = graph.split(gates, &[3 * hidden, hidden], 1);
    let logistic = graph.sigmoid(&parts[0]);
    let candidate = graph.tanh(&parts[1]);
    let logistic = graph.split(&logistic, &[hidden; 3], 1);
    let kept = graph.mul(&logistic[1], cell);
    let written = graph.mul(&logistic[0], &candidate);
    let cell = graph.add(&kept, &written);
    let squashed = graph.tanh(&cell);
    let output = graph.mul(&logistic[2], &squashed);
    (cell, output)
}

/// Cuts states into `(c, h)` of each layer.
fn split_states(builder: &mut Builder<'_>, state: &Value, sizes: &[usize]) -> Vec<(Value, Value)> {
    let widths: Vec<usize> = sizes.iter().flat_map(|&size| [size, size]).collect();
    let parts = builder.graph.split(state, &widths, 1);
    parts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn split_equally(builder: &mut Builder<'_>, x: &Value, parts: usize, width: usize) -> Vec<Value> {
    if parts == 1 {
        return vec![x.clone()];
    }
    builder.graph.split(x, &vec![width / parts; parts], 1)
}

fn join(builder: &mut Builder<'_>, parts: &[Value]) -> Value {
    match parts {
        [only] => only.clone(),
        _ => builder.graph.concat(&parts.iter().collect::<Vec<_>>(), 1),
    }
}

/// One token of each part, `[batch, parts]`.
fn categorical_sample(
    builder: &mut Builder<'_>,
    outputs: &[usize],
    logits: &Value,
    inputs: &StepInputs,
) -> Value {
    let graph = &mut builder.graph;
    let scaled = graph.div(logits, &inputs.temperature);
    let noisy = graph.add(&scaled, &inputs.noise);
    let parts = if outputs.len() == 1 { vec![noisy] } else { graph.split(&noisy, outputs, 1) };
    let tokens: Vec<Value> = parts
        .iter()
        .map(|part| graph.op("ArgMax", &[part], &[("axis", Attribute::Int(1))]))
        .collect();
    join(builder, &tokens)
}

/// 1 where `logit / temperature + noise ≥ 0`, else 0.
fn draw_bits(
    graph: &mut interlude_onnx::Graph,
    logit: &Value,
    noise: &Value,
    temperature: &Value,
) -> Value {
    let scaled = graph.div(logit, temperature);
    let noisy = graph.add(&scaled, noise);
    let zero = graph.scalar(0.0);
    let set = graph.op("GreaterOrEqual", &[&noisy, &zero], &[]);
    graph.op("Cast", &[&set], &[("to", Attribute::Int(ElementType::F32 as i64))])
}

/// Bits one after the other, each depending on those before (NADE); `[batch, bits]`.
///
/// `logits` holds the hidden pre-activations `a` and the decoder's biases `c`. For each bit `i`:
/// `l_i = c_i + σ(a) · w_dec[i]`, draw `v_i`, `a += v_i · w_enc[i]`.
fn nade_sample(
    builder: &mut Builder<'_>,
    config: &Config,
    logits: &Value,
    inputs: &StepInputs,
) -> Value {
    let w_enc = builder.whole("decoder/nade/w_enc");
    let w_dec = builder.whole("decoder/nade/w_dec_t");
    let graph = &mut builder.graph;
    let widths = [config.hparams.nade_num_hidden, config.output_depth()];
    let parts = graph.split(logits, &widths, 1);
    let biases = graph.transpose(&parts[1], &[1, 0]);
    let noise = graph.transpose(&inputs.noise, &[1, 0]);

    let mut body = graph.body("bit");
    let hidden = body.body_input("hidden", ElementType::F32);
    let bias = body.body_input("bias", ElementType::F32);
    let noise_of_bit = body.body_input("noise", ElementType::F32);
    let encode = body.body_input("w_enc", ElementType::F32);
    let decode = body.body_input("w_dec", ElementType::F32);
    let active = body.sigmoid(&hidden);
    let logit = body.matmul(&active, &decode);
    let logit = body.squeeze(&logit, &[1]);
    let logit = body.add(&logit, &bias);
    let bit = draw_bits(&mut body, &logit, &noise_of_bit, &inputs.temperature);
    let column = body.unsqueeze(&bit, &[1]);
    let change = body.matmul(&column, &encode);
    let next = body.add(&hidden, &change);
    body.body_output(&next, ElementType::F32);
    body.body_output(&bit, ElementType::F32);
    let body = body.into_body();

    let outputs = graph.op_many(
        "Scan",
        &[&parts[0], &biases, &noise, &w_enc, &w_dec],
        &[("body", Attribute::Graph(body)), ("num_scan_inputs", Attribute::Int(4))],
        2,
    );
    graph.transpose(&outputs[1], &[1, 0])
}

/// Drawn hits, velocities, offsets of each class; `[batch, 3 · classes]`. Temperature touches the hits
/// only.
fn groove_sample(builder: &mut Builder<'_>, logits: &Value, inputs: &StepInputs) -> Value {
    let graph = &mut builder.graph;
    let parts = graph.split(logits, &[CLASSES; 3], 1);
    let hits = draw_bits(graph, &parts[0], &inputs.noise, &inputs.temperature);
    let velocities = graph.sigmoid(&parts[1]);
    let offsets = graph.tanh(&parts[2]);
    graph.concat(&[&hits, &velocities, &offsets], 1)
}
