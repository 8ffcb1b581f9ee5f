//! Hierarchical models that begin with delay lines: what is in a segment has a place of its own in z.
//!
//! To give sixteen segments back, the upper encoder has to put each of them elsewhere in its state,
//! and the conductor has to bring one after the other to where the decoders read. LSTMs learn that
//! slowly. Here groups of units begin as shift registers: each hands its values on to the next group
//! at each segment. The upper encoder's first group reads the segment, so that in the end every group
//! holds one; z has them side by side; the conductor's groups begin with them, and its first group,
//! which the decoders read, gets the first, then the second, and so on. Units beyond the groups begin
//! as they always do. What comes along such a line tells the decoders nothing at first, and training
//! shuts off what only disturbs: phases that leave the line as it is
//! ([`Frozen`](interlude_backend::gradient::shape::Frozen)) let the decoders learn to read it.
//!
//! Source of recurrent weights that begin as a memory: Le, Jaitly and Hinton, "A Simple Way to
//! Initialize Recurrent Networks of Rectified Linear Units" (2015), there the identity; of delay
//! lines: White, Lee and Sompolinsky, "Short-Term Memory in Orthogonal Neural Networks" (2004).

use interlude_models::config::Config;
use interlude_models::network::{conductor_cell, encoder_cell, encoder_levels, variables};
use interlude_models::weights::{Tensor, Weights};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Stream of the generator that the decoders' rows are drawn from.
const STREAM: u64 = u64::MAX - 2;
/// Bias of input and output gates that let everything through, of which 0.9975 is left.
const OPEN: f32 = 6.0;
/// The same where a group reads a segment: gates that are to learn.
const HALF_OPEN: f32 = 2.0;
/// Stored bias of forget gates that keep nothing; running cells add 1.
const FORGETFUL: f32 = -7.0;
/// Weight from one group to the next. What the two hyperbolic tangents and the gates of a step take
/// away from values of 0.15, it gives back.
const HAND_ON: f32 = 1.02;
/// Standard deviation of values in the groups.
const VALUES: f32 = 0.15;
/// That of what a step's token, a segment's embedding and a group add to the gates that read them:
/// what is too quiet at first is drowned by what changes for all segments alike.
const EFFECT: f32 = 0.7;
/// How much larger than drawn the weights become by which the first group reads segments.
const HEED: f32 = 2.0;
/// Stored bias of the forget gates of the lower encoder, which is to hear a segment as a whole.
const RETENTIVE: f32 = 1.5;

/// Why a configuration cannot begin with groups of so many units; nothing when there are none.
pub(crate) fn problem(config: &Config, units: usize) -> Option<&'static str> {
    let hparams = &config.hparams;
    let one = [&hparams.enc_rnn_size[..], &hparams.dec_rnn_size].iter().all(|list| list.len() == 1);
    let ([upper], [conductor], true) =
        (config.upper_encoder_sizes(), config.conductor_sizes(), one)
    else {
        return (units > 0).then_some("which is for models of one layer each");
    };
    if units == 0 {
        None
    } else if !(config.hierarchical_encoder && config.hierarchical_decoder) {
        Some("which is for models whose encoder and decoder are hierarchical")
    } else if units > upper.min(&hparams.z_size) / config.segments()
        || units > conductor / (config.segments() + 1)
    {
        Some(
            "of which as many as there are segments have to fit in `upper_enc_rnn_size` (or else \
             `enc_rnn_size`) and `z_size`, and one more in `conductor_rnn_size` (or else `dec_rnn_size`)",
        )
    } else {
        None
    }
}

/// Makes groups of `units` in drawn weights the delay lines described above.
///
/// # Panics
/// When there is a [`problem`], or the weights are not the configuration's.
pub(crate) fn lay(weights: &mut Weights, config: &Config, units: usize, seed: u64) {
    assert_eq!(problem(config, units), None, "the schedule was checked");
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(STREAM);
    let (levels, segments) = (encoder_levels(config), config.segments());
    for direction in ["fw", "bw"] {
        lower(&mut generator, weights, config, &encoder_cell(&levels[0].0, 0, direction));
        let cell = Cell::of(weights, &encoder_cell(&levels[1].0, 0, direction));
        upper(cell, units, segments).put_back(weights);
    }
    posterior(weights, config.upper_encoder_sizes()[0], units, segments);
    initial_state(weights, config.conductor_sizes()[0], units, segments);
    let mut cell = Cell::of(weights, &conductor_cell(0));
    for group in 0..=segments {
        cell.hand_on(units, group, Some(group + 1).filter(|&from| from <= segments));
    }
    cell.put_back(weights);
    readers(&mut generator, weights, config, units);
}

/// Whether a model hands segments on in a delay line: whether units of its conductor for all segments
/// hear one other unit each. Weights of 8 bits count as the numbers they stand for, where 0 is 0.
pub(crate) fn lies_in(weights: &Weights, config: &Config) -> bool {
    let ([hidden], true) =
        (config.conductor_sizes(), config.hierarchical_encoder && config.hierarchical_decoder)
    else {
        return false;
    };
    let Some(kernel) = weights.get(&format!("{}/kernel", conductor_cell(0))) else { return false };
    let heard = |unit: usize| {
        let candidate = kernel.data.iter().skip(hidden + unit).step_by(4 * hidden);
        candidate.filter(|weight| **weight != 0.0).count()
    };
    (0..*hidden).filter(|&unit| heard(unit) == 1).count() >= config.segments()
}

/// The lower encoder: tokens that are heard, and gates that keep them.
fn lower(generator: &mut ChaCha8Rng, weights: &mut Weights, config: &Config, name: &str) {
    let mut cell = Cell::of(weights, name);
    let rows = config.input_depth() * 4 * cell.hidden;
    fill(generator, &mut cell.kernel[..rows], EFFECT / count(config.outputs().len()).sqrt());
    cell.bias[2 * cell.hidden..3 * cell.hidden].fill(RETENTIVE);
    cell.put_back(weights);
}

/// The upper encoder: the first group reads segments, each of the others the one before it.
fn upper(mut cell: Cell, units: usize, segments: usize) -> Cell {
    for group in 0..segments {
        cell.hand_on(units, group, group.checked_sub(1));
    }
    let candidates = cell.hidden..cell.hidden + units;
    let rows = cell.inputs();
    for row in cell.kernel.chunks_exact_mut(4 * cell.hidden).take(rows) {
        row[candidates.clone()].iter_mut().for_each(|weight| *weight *= HEED);
    }
    cell
}

/// The mean of z: in the place of each segment what both directions hold of it, and in the numbers
/// beyond as drawn.
fn posterior(weights: &mut Weights, encoder: usize, units: usize, segments: usize) {
    let kernel = tensor(weights, "encoder/mu/kernel");
    let width = kernel.shape[1];
    for (row, values) in kernel.data.chunks_exact_mut(width).enumerate() {
        values[..segments * units].fill(0.0);
        let (backward, unit) = (row / encoder == 1, row % encoder);
        if unit < segments * units {
            // The last segment that a direction read is in its first group.
            let group = unit / units;
            let segment = if backward { group } else { segments - 1 - group };
            values[segment * units + unit % units] = 1.0;
        }
    }
}

/// The conductor's groups but the first begin with the places of z, in their order.
fn initial_state(weights: &mut Weights, conductor: usize, units: usize, segments: usize) {
    let kernel = &mut tensor(weights, "decoder/hierarchical_level_0/initial_state/kernel").data;
    for (row, values) in kernel.chunks_exact_mut(2 * conductor).enumerate() {
        let (_, hidden) = values.split_at_mut(conductor);
        hidden[..(segments + 1) * units].fill(0.0);
        if row < segments * units {
            hidden[units + row] = 1.0;
        }
    }
}

/// The rows of the decoders that read the embedding: the conductor's first group and, at first,
/// nothing else, since the others hold other segments.
fn readers(generator: &mut ChaCha8Rng, weights: &mut Weights, config: &Config, units: usize) {
    let embedding = config.conductor_sizes()[0];
    for variable in variables(config) {
        let name = &variable.name;
        // Initial states read the embedding alone, layers the output before it too.
        let first = match name.strip_prefix("core_decoder/") {
            Some(part) if part.ends_with("/z_to_initial_state/kernel") => 0,
            Some(part) if part.ends_with("/lstm_cell/kernel") => variable.rows[0],
            _ => continue,
        };
        let width: usize = variable.columns.iter().sum();
        let rows = &mut tensor(weights, name).data[first * width..][..embedding * width];
        let (heard, rest) = rows.split_at_mut(units * width);
        fill(generator, heard, EFFECT / VALUES / count(units).sqrt());
        rest.fill(0.0);
    }
}

/// Fills with uniform numbers of a standard deviation.
fn fill(generator: &mut ChaCha8Rng, values: &mut [f32], deviation: f32) {
    let limit = deviation * 3.0f32.sqrt();
    values.fill_with(|| limit * (2.0 * generator.random::<f32>() - 1.0));
}

/// A number of units or parts.
fn count(number: usize) -> f32 {
    f32::from(u16::try_from(number).expect("layers are not so wide"))
}

fn tensor<'a>(weights: &'a mut Weights, name: &str) -> &'a mut Tensor {
    weights.0.get_mut(name).expect("a variable of hierarchical models")
}

/// Kernel `[inputs + hidden, 4 · hidden]` and bias of an LSTM cell, taken out of the weights.
struct Cell {
    name: String,
    hidden: usize,
    kernel: Vec<f32>,
    bias: Vec<f32>,
}

impl Cell {
    fn of(weights: &mut Weights, name: &str) -> Self {
        let [kernel, bias] = ["kernel", "bias"]
            .map(|part| std::mem::take(&mut tensor(weights, &format!("{name}/{part}")).data));
        Self { name: name.to_owned(), hidden: bias.len() / 4, kernel, bias }
    }

    fn put_back(self, weights: &mut Weights) {
        tensor(weights, &format!("{}/kernel", self.name)).data = self.kernel;
        tensor(weights, &format!("{}/bias", self.name)).data = self.bias;
    }

    /// Rows that read the layer's input.
    fn inputs(&self) -> usize {
        self.kernel.len() / (4 * self.hidden) - self.hidden
    }

    /// Makes a group take over what another one holds, or the input where there is none; one beyond
    /// the last is silence.
    fn hand_on(&mut self, units: usize, group: usize, from: Option<usize>) {
        let (hidden, inputs) = (self.hidden, self.inputs());
        let width = 4 * hidden;
        let gate = if from.is_some() { OPEN } else { HALF_OPEN };
        let emptied = if from.is_some() { 0 } else { inputs };
        for unit in group * units..(group + 1) * units {
            for row in self.kernel.chunks_exact_mut(width).skip(emptied) {
                (0..4).for_each(|part| row[part * hidden + unit] = 0.0);
            }
            for (part, value) in [gate, 0.0, FORGETFUL, gate].into_iter().enumerate() {
                self.bias[part * hidden + unit] = value;
            }
            if let Some(from) = from {
                let row = inputs + from * units + unit % units;
                self.kernel[row * width + hidden + unit] = HAND_ON;
            }
        }
    }
}
