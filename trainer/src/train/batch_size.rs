//! Finding a batch size: the largest at which a machine still gains.

use std::time::Instant;

use interlude_models::config::Config;
use interlude_models::runtime::Runtime;

use super::feed::batches::{Batches, Making};
use super::plan::schedule;
use super::weights::initial;
use interlude_backend::distributed::Agreement;
use interlude_backend::error::ProgramError;
use interlude_backend::gradient::shape::Shape;
use interlude_backend::ranks::Ranks;
use interlude_backend::setup::Setup;
use interlude_backend::state::State;
use interlude_backend::stepper::{Backend, Stepper};
use interlude_dataset::Windows;
use interlude_gradient::adam;

/// Sizes that are tried, smallest first.
const SIZES: [usize; 6] = [32, 64, 128, 256, 512, 1024];
/// Steps whose time is measured, after one that is not.
const STEPS: u64 = 3;
/// How much faster a larger size must be, in examples a second.
const GAIN: f64 = 1.1;
/// Bytes of activations that are allowed.
const MEMORY: usize = 4 << 30;

/// The largest size that is at least a tenth faster, in examples a second, than the one before it.
///
/// # Errors
/// [`ProgramError`] when the configuration cannot be trained, or ONNX Runtime refuses.
pub fn find(
    runtime: &Runtime,
    config: &Config,
    backend: Backend,
    windows: &Windows,
    threads: usize,
) -> Result<usize, ProgramError> {
    let mut state = State::new(config, &initial::weights(config, 0))?;
    let mut batches = Batches::new(windows, 0);
    let alone = Ranks::alone();
    let rates = schedule::reference(&config.hparams, 0);
    let steps = config.hparams.max_seq_len;
    let (mut best, mut fastest) = (SIZES[0].min(windows.len()), 0.0);
    for batch in SIZES {
        if batch > windows.len() || steps * batch * bytes_of_step(config) > MEMORY {
            break;
        }
        let shape = Shape::new(steps, batch, rates.sampling.is_some());
        let setup = Setup { runtime, config, shape, beta_2: adam::BETA_2, threads };
        let mut stepper = Stepper::new(&setup, backend, &alone, &mut state)?;
        let making = Making::plain(config, steps, batch).with(&rates);
        let mut begin = Instant::now();
        for step in 0..=STEPS {
            if step == 1 {
                begin = Instant::now();
            }
            // A step size of 0 leaves the weights as they are.
            stepper.run(&alone, &batches.make(step, 0, &making), Agreement::default())?;
        }
        let measured =
            f64::from(u16::try_from(STEPS).unwrap_or(1)) * interlude_picture::as_float(batch);
        let speed = measured / begin.elapsed().as_secs_f64().max(1e-9);
        if speed < GAIN * fastest {
            break;
        }
        (best, fastest) = (batch, speed);
    }
    Ok(best)
}

/// Bytes that a training step keeps for one step of one example, about: what the backward pass needs
/// of each LSTM, and the outputs.
fn bytes_of_step(config: &Config) -> usize {
    let hparams = &config.hparams;
    let units =
        2 * hparams.enc_rnn_size.iter().sum::<usize>() + hparams.dec_rnn_size.iter().sum::<usize>();
    4 * (16 * units + 8 * config.output_depth())
}
