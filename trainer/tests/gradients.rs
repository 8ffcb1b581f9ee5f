//! The gradient graph of every configuration against differences of its own loss.

use interlude_backend::batch::Batch;
use interlude_backend::gradient::model::{self, GradientError};
use interlude_backend::gradient::pieces;
use interlude_backend::gradient::shape::{Frozen, Shape};
use interlude_backend::program::{Program, Purpose};
use interlude_backend::state::State;
use interlude_dataset::{Windows, layout};
use interlude_gradient::dropout::Dropout;
use interlude_models::config::{self, Config, OutputKind};
use interlude_models::network;
use interlude_models::runtime::Runtime;
use interlude_models::weights::{Tensor, Weights};
use interlude_trainer::train::batches::{Batches, Making};
use interlude_trainer::train::initial;
use interlude_trainer::train::widening;

/// Examples in a batch, where nothing depends on it.
const BATCH: usize = 3;

/// A configuration with layers of a few units, two or three of each.
fn small(name: &str) -> Config {
    let mut config = config::by_name(name).expect("known");
    config.hparams.enc_rnn_size.iter_mut().for_each(|size| *size = 5);
    config.hparams.dec_rnn_size.iter_mut().for_each(|size| *size = 6);
    if config.hierarchical_encoder {
        config.hparams.upper_enc_rnn_size = vec![7; config.hparams.enc_rnn_size.len()];
    }
    if config.hierarchical_decoder {
        config.hparams.conductor_rnn_size = vec![3, 8];
    }
    config.hparams.z_size = 4;
    config.hparams.nade_num_hidden = 3;
    config.hparams.free_bits = 0.0;
    config
}

/// Windows of a configuration with numbers from a simple generator.
fn windows(config: &Config, count: usize) -> Windows {
    let limits = layout::limits(config);
    let mut windows = Windows::new(config.hparams.max_seq_len, limits.len());
    let mut state = 1u32;
    for _ in 0..count {
        let mut number = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u16::try_from((state >> 8) % limit).expect("limits are at most 65536")
        };
        let length = config.hparams.max_seq_len * limits.len();
        let window: Vec<u16> =
            limits.iter().cycle().take(length).map(|&limit| number(limit)).collect();
        windows.push(&window);
    }
    windows
}

fn batch(config: &Config, (steps, batch): (usize, usize), sampling: Option<f32>) -> Batch {
    let windows = windows(config, batch);
    let making = Making { sampling, ..Making::plain(config, steps, batch) };
    Batch { beta: 0.7, ..Batches::new(&windows, 1).make(0, 0, &making) }
}

/// The loss and the gradients of a batch, of so many steps and examples.
fn run(
    config: &Config,
    sizes: (usize, usize),
    weights: &Weights,
    inputs: &Batch,
) -> (f64, Weights) {
    let (steps, batch) = sizes;
    let shape = Shape::new(steps, batch, !inputs.sampled.is_empty());
    run_shape(config, shape, weights, inputs)
}

/// The same for any shape.
fn run_shape(config: &Config, shape: Shape, weights: &Weights, inputs: &Batch) -> (f64, Weights) {
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let mut state = State::new(config, weights).expect("weights of the configuration");
    let purpose = Purpose::Differentiate;
    let mut program =
        Program::new(runtime, config, shape, purpose, &mut state, 1).expect("a graph");
    let report = program.run(inputs).expect("a step");
    let gradient = |(name, values): (&str, &[f32])| {
        let shape = weights.0[name].shape.clone();
        (name.to_owned(), Tensor { shape, data: values.to_vec() })
    };
    (f64::from(report.loss), Weights(program.gradients().iter().map(gradient).collect()))
}

/// Initial weights, none of which are near zero: those would hide what lies behind them.
fn weights(config: &Config) -> Weights {
    let mut weights = initial::weights(config, 3);
    for tensor in weights.0.values_mut() {
        let largest = tensor.data.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        if largest > 0.0 && largest < 0.01 {
            tensor.data.iter_mut().for_each(|value| *value *= 300.0);
        }
    }
    weights
}

/// Compares the change of the loss along the gradient with the gradient's squared norm.
fn check(config: &Config, steps: usize, sampling: Option<f32>) {
    let weights = weights(config);
    let sizes = (steps, BATCH);
    let batch = batch(config, sizes, sampling);
    let (loss, gradients) = run(config, sizes, &weights, &batch);
    let norm: f64 = gradients
        .0
        .values()
        .flat_map(|tensor| &tensor.data)
        .map(|&value| f64::from(value) * f64::from(value))
        .sum();
    // A step that changes the loss by about a ten-thousandth of itself.
    let step = 1e-4 * loss / norm;
    let moved = |sign: f64| {
        let mut moved = weights.clone();
        for (name, tensor) in &mut moved.0 {
            let gradient = &gradients.0[name].data;
            for (value, &gradient) in tensor.data.iter_mut().zip(gradient) {
                #[expect(clippy::cast_possible_truncation, reason = "weights are single")]
                let change = (sign * step * f64::from(gradient)) as f32;
                *value += change;
            }
        }
        run(config, sizes, &moved, &batch).0
    };
    let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
    let error = (slope / norm - 1.0).abs();
    assert!(error < 0.01, "{}: slope {slope}, squared norm {norm}", config.name);
}

// The gradients of every configuration, dropout included where it has some, lead up the loss as
// steeply as they say.
#[test]
fn gradients_are_slopes() {
    for config in config::all() {
        let config = small(&config.name);
        check(&config, config.hparams.max_seq_len, None);
    }
}

// The same holds with scheduled sampling, for one part, several, segments and bits, as long as the
// sampled outputs stay the same.
#[test]
fn gradients_are_slopes_with_scheduled_sampling() {
    for name in ["cat-mel_2bar_small", "flat-trio_16bar", "hierdec-trio_16bar"] {
        let config = small(name);
        check(&config, 32, Some(0.5));
    }
    let mut config = small("nade-drums_2bar_reduced");
    config.hparams.max_seq_len = 8;
    check(&config, 8, Some(0.5));
}

// A batch that is differentiated in pieces has the loss and the gradients that its pieces have on
// average, with several parts, controls, bits and scheduled sampling.
#[test]
fn pieces_have_the_gradients_of_the_whole() {
    for (name, (steps, batch), sampling) in [
        ("cat-mel_2bar_small", (32, 256), None),
        ("hier-trio_16bar", (256, 32), None),
        ("hierdec-trio_16bar", (64, 192), Some(0.5)),
        ("cat-mel_2bar_med_chords", (32, 256), None),
        ("nade-drums_2bar_reduced", (32, 256), Some(0.5)),
    ] {
        let mut config = small(name);
        config.hparams.free_bits = 3.0;
        let weights = weights(&config);
        let shape = Shape::new(steps, batch, sampling.is_some());
        let pieces = pieces::count(shape, Dropout::NONE);
        assert!(pieces > 1, "{name}");
        let whole = self::batch(&config, (steps, batch), sampling);
        let (loss, gradients) = run(&config, (steps, batch), &weights, &whole);
        let size = batch / pieces;
        let of_pieces: Vec<(f64, Weights)> = (0..pieces)
            .map(|piece| {
                let part = whole.part(piece * size..(piece + 1) * size, steps, batch);
                run(&config, (steps, size), &weights, &part)
            })
            .collect();
        let count = f64::from(u32::try_from(pieces).expect("few"));
        let mean = of_pieces.iter().map(|(loss, _)| loss).sum::<f64>() / count;
        assert!((loss / mean - 1.0).abs() < 1e-5, "{name}: {loss}, pieces {mean}");
        for (variable, tensor) in &gradients.0 {
            let largest = tensor.data.iter().fold(0.0f64, |a, &b| a.max(f64::from(b).abs()));
            for (index, &value) in tensor.data.iter().enumerate() {
                let parts =
                    of_pieces.iter().map(|(_, part)| f64::from(part.0[variable].data[index]));
                let difference = (f64::from(value) - parts.sum::<f64>() / count).abs();
                assert!(difference <= 1e-5 * largest.max(1e-3), "{name}: {variable} {difference}");
            }
        }
    }
}

// What is frozen has no gradients, and all others are as they were.
#[test]
fn frozen_parts_have_no_gradient() {
    let config = small("hier-trio_16bar");
    let (weights, sizes) = (weights(&config), (64, BATCH));
    let batch = batch(&config, sizes, None);
    let (_, free) = run(&config, sizes, &weights, &batch);
    for frozen in [Frozen::Means, Frozen::Between] {
        let shape = Shape { frozen, ..Shape::new(sizes.0, sizes.1, false) };
        let (_, gradients) = run_shape(&config, shape, &weights, &batch);
        for (name, gradient) in &gradients.0 {
            assert!(!frozen.holds(name), "{name}");
            assert_eq!(gradient.data, free.0[name].data, "{name}");
        }
        let held = free.0.len() - gradients.0.len();
        // Kernel and bias of each cell, of the mean and of the initial state.
        let cells = 2 * config.upper_encoder_sizes().len() + config.conductor_sizes().len();
        let deviation = usize::from(frozen == Frozen::Between);
        assert_eq!(held, 2 * (cells + 2 + deviation));
    }
}

// Weights of narrow layers, widened, reconstruct as they did, in every configuration; all that is new
// moves with the next step.
#[test]
fn wider_layers_compute_the_same_at_first() {
    for config in config::all() {
        let mut narrow = small(&config.name);
        narrow.hparams.dropout_keep_prob = 1.0;
        let mut wide = narrow.clone();
        wide.hparams.enc_rnn_size.iter_mut().for_each(|size| *size += 3);
        wide.hparams.dec_rnn_size.iter_mut().for_each(|size| *size += 2);
        wide.hparams.conductor_rnn_size.iter_mut().for_each(|size| *size += 1);
        wide.hparams.z_size += 1;
        if wide.output_kind() == OutputKind::Nade {
            wide.hparams.nade_num_hidden += 2;
        }
        let old = weights(&narrow);
        assert_eq!(widening::narrower(&wide, &old).as_ref(), Some(&narrow), "{}", config.name);
        assert_eq!(widening::narrower(&narrow, &old), None, "equal sizes");
        let new = widening::widen(&old, &narrow, &wide, 1);
        assert_eq!(widening::narrower(&narrow, &new), None, "never less");

        let sizes = (narrow.hparams.max_seq_len, BATCH);
        let batch = batch(&narrow, sizes, None);
        let of = |config: &Config, weights: &Weights| {
            let noise = vec![0.0; BATCH * config.hparams.z_size];
            run(config, sizes, weights, &Batch { beta: 0.0, noise, ..batch.clone() })
        };
        let ((before, _), (after, gradients)) = (of(&narrow, &old), of(&wide, &new));
        assert!((after / before - 1.0).abs() < 1e-5, "{}: {before}, {after}", config.name);
        let still = |name: &&String| gradients.0[*name].data.iter().all(|&value| value == 0.0);
        let names: Vec<_> = gradients.0.keys().filter(still).collect();
        assert!(names.iter().all(|name| name.starts_with("encoder/sigma/")), "{names:?}");
    }
}

// The variables of the training graph are those of the networks, in name and shape.
#[test]
fn variables_are_those_of_the_networks() {
    for config in config::all() {
        let config = small(&config.name);
        let shape = Shape::new(config.hparams.max_seq_len, BATCH, false);
        let built = model::gradients(&config, shape).expect("a graph");
        let mut wanted: Vec<(String, Vec<usize>)> =
            network::variables(&config).into_iter().map(|v| (v.name, v.shape)).collect();
        wanted.sort();
        assert_eq!(built.variables, wanted, "{}", config.name);
    }
}

// What does not fit is refused with a reason: windows that are no whole number of segments, and
// scheduled sampling with dropout.
#[test]
fn misfits_are_refused() {
    let shape = Shape::new(24, BATCH, false);
    let refused = model::gradients(&small("hierdec-mel_16bar"), shape).expect_err("24 steps");
    let name = "hierdec-mel_16bar".to_owned();
    assert_eq!(refused, GradientError::Segments { name, steps: 24, segment: 16 });
    let shape = Shape::new(32, BATCH, true);
    let refused = model::gradients(&small("groovae_2bar_humanize"), shape).expect_err("dropout");
    let name = "groovae_2bar_humanize".to_owned();
    assert_eq!(refused, GradientError::SamplingAndDropout(name));
}
