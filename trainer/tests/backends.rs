//! The back ends of training take the same steps.

use interlude_backend::batch::{Batch, Report};
use interlude_backend::device::Device;
use interlude_backend::distributed::{Agreement, Distributed};
use interlude_backend::gradient::shape::{Frozen, Shape};
use interlude_backend::parallel::Parallel;
use interlude_backend::program::{Program, Purpose};
use interlude_backend::ranks::Ranks;
use interlude_backend::setup::Setup;
use interlude_backend::state::State;
use interlude_dataset::Windows;
use interlude_gradient::adam::{self, BETA_2};
use interlude_models::config::{self, Config};
use interlude_models::runtime::{Provider, Runtime};
use interlude_trainer::train::batches::{Batches, Making};
use interlude_trainer::train::initial;

const SHAPE: Shape =
    Shape { steps: 32, batch: 5, whole: 5, sampling: false, frozen: Frozen::Nothing };

/// A small model that drops what its layers read, its first weights, and the batch of a step.
fn setting() -> (Config, State, Batch) {
    let mut config = config::by_name("cat-mel_2bar_small").expect("known");
    let changes = "enc_rnn_size=[6],dec_rnn_size=[7,5],z_size=4,dropout_keep_prob=0.7";
    config.override_hparams(changes).expect("valid");
    let state = State::new(&config, &initial::weights(&config, 1)).expect("fits");
    let mut windows = Windows::new(SHAPE.steps, 1);
    for window in 0..7u16 {
        windows.push(&(0..32u16).map(|step| (step * window) % 40 + 20).collect::<Vec<_>>());
    }
    let making = Making::plain(&config, SHAPE.steps, SHAPE.batch);
    let mut batch = Batches::new(&windows, 1).make(0, 0, &making);
    (batch.beta, batch.clip, batch.step_size) = (0.1, 1.0, 0.01);
    (config, state, batch)
}

fn assert_close(found: &[f32], expected: &[f32]) {
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= 1e-5 * largest.max(1e-3), "{found} {expected}");
    }
}

// The losses and gradients of the parts of a batch add up to those of the whole, with noise and
// dropout.
#[test]
fn parts_add_up_to_the_whole() {
    let runtime = Runtime::start(None).expect("a runtime");
    let (config, mut state, batch) = setting();
    let mut find = |batch: &Batch, size: usize| {
        let purpose = Purpose::Differentiate;
        let program = Program::new(runtime, &config, SHAPE.part(size), purpose, &mut state, 1);
        let mut program = program.expect("starts");
        let Report { loss, r_loss, kl, accuracy, .. } = program.run(batch).expect("runs");
        let gradients = program.gradients().iter().flat_map(|(_, values)| values).copied();
        gradients.chain([loss, r_loss, kl, accuracy]).collect::<Vec<_>>()
    };
    let whole = find(&batch, SHAPE.batch);
    let mut sum = vec![0.0; whole.len()];
    for examples in [0..2, 2..5] {
        let part = batch.part(examples.clone(), SHAPE.steps, SHAPE.batch);
        for (sum, value) in sum.iter_mut().zip(find(&part, examples.len())) {
            *sum += value;
        }
    }
    assert_close(&sum, &whole);
}

// Gradients and update in graphs of their own make the step that one graph makes, and so do parts
// on threads of their own.
#[test]
fn a_step_in_several_graphs_is_the_same() {
    let runtime = Runtime::start(None).expect("a runtime");
    let (config, mut whole, batch) = setting();
    let (_, mut apart, _) = setting();
    let (_, mut threads, _) = setting();
    let purpose = Purpose::Train { beta_2: BETA_2 };
    let program = Program::new(runtime, &config, SHAPE, purpose, &mut whole, 1);
    let expected = program.expect("starts").run(&batch).expect("runs");
    let ranks = Ranks::alone();
    let setup = Setup { runtime, config: &config, shape: SHAPE, beta_2: BETA_2, threads: 1 };
    let steps = Distributed::new(&setup, &ranks, &mut apart);
    let own = Agreement { stop: true, seconds: 2.0 };
    let (found, agreed) = steps.expect("starts").run(&ranks, &batch, own).expect("runs");
    assert_eq!(agreed, own);
    assert_close(
        &[found.loss, found.r_loss, found.kl, found.accuracy, found.global_norm],
        &[expected.loss, expected.r_loss, expected.kl, expected.accuracy, expected.global_norm],
    );
    let steps = Parallel::new(&Setup { threads: 3, ..setup }, 3, &mut threads);
    let again = steps.expect("starts").run(&batch).expect("runs");
    assert_close(
        &[again.loss, again.r_loss, again.kl, again.accuracy, again.global_norm],
        &[expected.loss, expected.r_loss, expected.kl, expected.accuracy, expected.global_norm],
    );
    let whole = whole.weights(true);
    for weights in [apart.weights(true), threads.weights(true)] {
        for (name, tensor) in &whole.0 {
            assert_close(&weights.0[name].data, &tensor.data);
        }
    }
}

// Steps with a state of their own, of standard operators, are those that change it in place: on
// the processor losses and weights are equal, and the state is untouched until it is asked for.
#[test]
fn steps_agree_with_those_in_place() {
    let mut config = config::by_name("cat-mel_2bar_small").expect("known");
    config.override_hparams("enc_rnn_size=[24],dec_rnn_size=[24],z_size=8").expect("valid");
    let mut windows = Windows::new(32, 1);
    for index in 0..16u16 {
        let window: Vec<u16> = (0..32).map(|step| 20 + (step * (index + 1)) % 24).collect();
        windows.push(&window);
    }
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let shape = Shape::new(32, 8, false);
    let weights = initial::weights(&config, 1);
    let mut changed = State::new(&config, &weights).expect("weights");
    let mut kept = State::new(&config, &weights).expect("weights");
    let purpose = Purpose::Train { beta_2: adam::BETA_2 };
    let mut program =
        Program::new(runtime, &config, shape, purpose, &mut changed, 1).expect("a session");
    let setup = Setup { runtime, config: &config, shape, beta_2: adam::BETA_2, threads: 1 };
    let mut device = Device::new(&setup, Provider::Cpu, &kept).expect("a session");
    let making = Making::plain(&config, 32, 8);
    let mut batches = Batches::new(&windows, 1);
    for step in 0..5u64 {
        let mut batch = batches.make(step, 8 * step, &making);
        (batch.beta, batch.clip) = (0.1, 1.0);
        batch.step_size = adam::step_size(0.001, step, adam::BETA_2);
        let expected = program.run(&batch).expect("a step");
        assert!(expected.loss > 0.0);
        assert_eq!(device.run(&batch).expect("a step"), expected, "step {step}");
    }
    assert_eq!(kept.weights(false), weights);
    device.store(&mut kept).expect("stored");
    assert_eq!(kept.weights(true), changed.weights(true));
}
