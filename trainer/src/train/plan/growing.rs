//! The default schedule: a curriculum of growing windows for a given number of steps.
//!
//! With whole windows from the start, as in the original, a decoder ignores z for thousands of
//! steps. On short windows it uses z after the first hundred (`docs/laboratory.md`).

use interlude_models::config::Config;
use interlude_models::families::Training;

use super::schedule::{Phase, Schedule};
use interlude_backend::gradient::shape::Frozen;

/// Default number of examples in a batch: it takes hundreds of steps until the decoder uses z, and
/// small steps are faster.
const BATCH_SIZE: usize = 64;
/// Shares of the steps for a quarter of the window, half of it, and all.
const FLAT: [f64; 3] = [0.25, 0.25, 0.5];
/// Shares of the steps for one segment of a hierarchical model, two, four, eight, and all.
const SEGMENTED: [f64; 5] = [0.25, 0.25, 0.2, 0.15, 0.15];
/// Share of the steps after which the learning rate falls and the divergence's weight rises.
const TURN: f64 = 0.5;
/// The last learning rate, as a share of the first.
const LAST_RATE: f64 = 0.05;
/// Encoders of more units than this take smaller learning rates.
const RATED_UNITS: f64 = 512.0;
/// Steps of the rise of the learning rate, if the run is long enough for them to be a twentieth.
const WARM_UP: u64 = 100;

/// What differs from one kind of models to another.
struct Course {
    learning_rate: f64,
    beta: [f64; 2],
    mix: f64,
    initial_sigma_bias: f32,
}

impl Course {
    fn of(config: &Config) -> Self {
        let training = config.family().training();
        if config.is_hierarchical() {
            let beta = training.hierarchical_beta;
            return Self { learning_rate: 0.003, beta, mix: 0.0, initial_sigma_bias: -6.0 };
        }
        let Training { learning_rate, beta, mix, .. } = training;
        Self { learning_rate, beta, mix, initial_sigma_bias: -3.0 }
    }
}

/// As many examples as steps of a batch size have, in steps of at most 64: their number and size.
pub fn smaller(steps: u64, batch_size: usize) -> (u64, usize) {
    let size = batch_size.clamp(1, BATCH_SIZE);
    (steps.saturating_mul(batch_size as u64) / size as u64, size)
}

/// The schedule for so many steps of so many examples: short windows first, and in the second half
/// a falling learning rate. Without steps it has no phases.
pub fn schedule(config: &Config, steps: u64, batch_size: usize) -> Schedule {
    let course = Course::of(config);
    let units = config.hparams.enc_rnn_size.iter().copied().max().unwrap_or(0);
    let peak = course.learning_rate * (RATED_UNITS / count(units as u64)).min(1.0);
    let full = config.hparams.max_seq_len;
    let hierarchical = config.is_hierarchical();
    let (shares, first) = if hierarchical {
        (&SEGMENTED[..], full / config.segments())
    } else {
        (&FLAT[..], full / 4)
    };
    let mut phases = Vec::new();
    let (mut begin, mut share) = (0.0, 0.0);
    for (index, part) in shares.iter().enumerate() {
        share += part;
        let end =
            if index + 1 == shares.len() { count(steps) } else { (share * count(steps)).round() };
        let along =
            [begin, end].map(|step| ((step / count(steps.max(1)) - TURN) / (1.0 - TURN)).max(0.0));
        let [from, to] = course.beta;
        let window =
            (index + 1 < shares.len()).then_some(first << index).filter(|&steps| steps > 0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of steps, which is whole and below that of the run"
        )]
        let length = (end - begin) as u64;
        if length > 0 {
            phases.push(Phase {
                examples: Some(length * batch_size as u64),
                until: None,
                segment_steps: None,
                window_steps: window,
                batch_size: Some(batch_size),
                frozen: Frozen::Nothing,
                learning_rate: along.map(|along| peak * LAST_RATE.powf(along)),
                beta: along.map(|along| from + (to - from) * along),
                noise: [1.0; 2],
                drop: [0.0; 2],
                shuffle: [0.0; 2],
                mix: [course.mix; 2],
                sampling: [0.0; 2],
                grad_clip: None,
            });
        }
        begin = end;
    }
    Schedule {
        adam_beta_2: 0.99,
        warm_up: WARM_UP.min(steps / 20),
        minutes: None,
        initial_sigma_bias: course.initial_sigma_bias,
        initial_mu_glorot: true,
        initial_delay: 0,
        phases,
    }
}

#[expect(clippy::cast_precision_loss, reason = "steps and units are far below 2^52")]
fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    fn of(name: &str, steps: u64, batch_size: usize) -> Schedule {
        schedule(&config::by_name(name).expect("known"), steps, batch_size)
    }

    // Windows grow to the whole, the phases last as long as the run, rates join where phases do, and
    // the last rate is a twentieth of the first.
    #[test]
    fn windows_grow() {
        let [flat, segmented] = [
            (of("cat-mel_2bar_small", 1001, 64), vec![Some(8), Some(16), None]),
            (of("hier-mel_16bar", 1001, 64), vec![Some(16), Some(32), Some(64), Some(128), None]),
        ]
        .map(|(schedule, windows)| {
            let phases = &schedule.phases;
            assert_eq!(phases.iter().map(|phase| phase.window_steps).collect::<Vec<_>>(), windows);
            assert_eq!(phases.iter().filter_map(|phase| phase.examples).sum::<u64>(), 1001 * 64);
            for pair in phases.windows(2) {
                assert_eq!(pair[0].learning_rate[1], pair[1].learning_rate[0]);
                assert_eq!(pair[0].beta[1], pair[1].beta[0]);
            }
            let [first, last] =
                [phases[0].learning_rate[0], phases[phases.len() - 1].learning_rate[1]];
            assert!((last / first / LAST_RATE - 1.0).abs() < 1e-9);
            first
        });
        assert_eq!((flat, segmented), (0.004, 0.0015));
        assert_eq!(of("cat-mel_2bar_big", 10, 1).phases[0].learning_rate[0], 0.001);
    }

    // Large steps become smaller ones of as many examples; small ones stay.
    #[test]
    fn steps_become_smaller() {
        assert_eq!(smaller(200, 512), (1600, 64));
        assert_eq!(smaller(3, 100), (4, 64));
        assert_eq!(smaller(7, 20), (7, 20));
    }

    // Every configuration gets a schedule whose phases are valid, however few the steps.
    #[test]
    fn every_configuration_has_one() {
        for config in config::all() {
            for steps in [0, 1, 2, 3, 50, 100_000] {
                let schedule = schedule(&config, steps, 7);
                let phases = schedule.phases;
                assert_eq!(
                    phases.iter().filter_map(|phase| phase.examples).sum::<u64>(),
                    steps * 7
                );
                for phase in &phases {
                    assert_eq!(phase.check(&config), Ok(()), "{} {steps}", config.name);
                }
            }
        }
    }
}
