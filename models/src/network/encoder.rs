//! The encoder: bidirectional LSTM layers, in one level or two, and the posterior.
//!
//! An example shorter than the others stops at its length: its states freeze there, and the
//! backward pass begins there. That is what `sequence_lens` of ONNX's LSTM operator does.

use std::io::{self, Write};

use super::build::Builder;
use super::interface::Part;
use super::variables::{encoder_cell, encoder_levels};
use interlude_onnx::{Attribute, Value, extent};

use crate::config::Config;
use crate::weights::Weights;

/// The weights of the posterior's deviation, which a graph has no place for when they are all zero.
pub(crate) const SIGMA_KERNEL: &str = "encoder/sigma/kernel";

/// Builds `encoder.onnx`; the weights go to `data`.
pub(crate) fn build(
    config: &Config,
    weights: &Weights,
    data: &mut dyn Write,
) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Part::Encoder, config, weights, data);
    let mut inputs = builder.input("inputs");
    let mut lengths = builder.input("lengths");
    if config.control_depth() > 0 {
        let controls = builder.input("controls");
        inputs = builder.graph.concat(&[&inputs, &controls], 2);
    }
    let sizes = &config.hparams.enc_rnn_size;
    let levels = encoder_levels(config);
    let embedding = match levels.as_slice() {
        [(lower, depth), (upper, embedding)] => {
            // Every segment is an example of its own in the lower level.
            let count = config.segments();
            let steps = extent(config.hparams.max_seq_len / count);
            inputs = builder.graph.reshape(&inputs, &[-1, steps, extent(*depth)]);
            lengths = segment_lengths(&mut builder, &lengths, count);
            let segments = stack(&mut builder, lower, sizes, &inputs, &lengths);
            let shape = [-1, extent(count), extent(*embedding)];
            let segments = builder.graph.reshape(&segments, &shape);
            let sizes = config.upper_encoder_sizes();
            stack(&mut builder, upper, sizes, &segments, &Value::none())
        }
        _ => stack(&mut builder, &levels[0].0, sizes, &inputs, &lengths),
    };
    let mu = builder.dense("encoder/mu", &embedding);
    let sigma = deviation(&mut builder, &embedding, &mu);
    let sigma = builder.graph.op("Softplus", &[&sigma], &[]);
    builder.output("mu", &mu);
    builder.output("sigma", &sigma);
    builder.finish()
}

/// What softplus makes the posterior's deviation of. A kernel of zeros, as whitened codes have one, is
/// left out: the bias then stands for all examples.
fn deviation(builder: &mut Builder<'_>, embedding: &Value, mu: &Value) -> Value {
    if builder.variable(SIGMA_KERNEL).data.iter().any(|&weight| weight != 0.0) {
        return builder.dense("encoder/sigma", embedding);
    }
    let bias = builder.whole("encoder/sigma/bias");
    let shape = builder.graph.op("Shape", &[mu], &[]);
    builder.graph.op("Expand", &[&bias, &shape], &[])
}

/// Lengths `[batch]` divided equally over so many segments: `[batch · segments]`. A length is 0 or
/// whole.
fn segment_lengths(builder: &mut Builder<'_>, lengths: &Value, segments: usize) -> Value {
    let graph = &mut builder.graph;
    let count = graph.int(extent(segments));
    let count = graph.op("Cast", &[&count], &[("to", Attribute::Int(6))]);
    let each = graph.div(lengths, &count);
    let each = graph.unsqueeze(&each, &[1]);
    let repeats = graph.ints(&[1, extent(segments)]);
    let all = graph.op("Tile", &[&each, &repeats], &[]);
    graph.reshape(&all, &[-1])
}

/// Bidirectional layers over `[batch, steps, depth]`; gives the last states of the top layer,
/// forward then backward, `[batch, 2H]`.
fn stack(
    builder: &mut Builder<'_>,
    level: &str,
    sizes: &[usize],
    inputs: &Value,
    lengths: &Value,
) -> Value {
    let mut x = builder.graph.transpose(inputs, &[1, 0, 2]);
    let mut last = Value::none();
    for (layer, &hidden) in sizes.iter().enumerate() {
        let cells = ["fw", "bw"].map(|direction| encoder_cell(level, layer, direction));
        let [w, r, b] = builder.lstm_weights(&cells);
        let outputs = builder.graph.op_many(
            "LSTM",
            &[&x, &w, &r, &b, lengths],
            &[
                ("hidden_size", Attribute::Int(extent(hidden))),
                ("direction", Attribute::String("bidirectional")),
            ],
            2,
        );
        // [steps, 2, batch, H] to [steps, batch, 2H]
        x = builder.graph.transpose(&outputs[0], &[0, 2, 1, 3]);
        x = builder.graph.reshape(&x, &[0, 0, extent(2 * hidden)]);
        last = builder.graph.transpose(&outputs[1], &[1, 0, 2]);
        last = builder.graph.reshape(&last, &[-1, extent(2 * hidden)]);
    }
    last
}
