//! Losses, gradients and steps of Adam of one fixture folder, by the trainer's own graphs.

use anyhow::{Context, Result};
use interlude_backend::batch::Batch;
use interlude_backend::gradient::shape::Shape;
use interlude_backend::program::{Program, Purpose};
use interlude_backend::state::State;
use interlude_checkpoint::{Checkpoint, Moment};
use interlude_gradient::adam::{self, first_moment, second_moment};
use interlude_models::config::{Config, OutputKind};
use interlude_models::runtime::Runtime;
use interlude_models::weights::Weights;
use interlude_trainer::train::plan::schedule;

use super::fixture::Arrays;
use super::{Array, Fixture, Row, hot_positions, worst_difference};

/// Tolerance of losses, relative.
pub(super) const LOSS: f64 = 1e-5;
/// Tolerance of gradients, norms and moments, relative to a tensor's largest element.
const GRADIENT: f64 = 1e-3;
/// Tolerance of weights after six steps that move them by up to 6e-3.
const WEIGHT: f64 = 5e-5;
/// Step at which the original computed the losses of a fixture.
const STEP: u64 = 2500;

/// Compares losses, gradients and steps of Adam of a fixture with what the original computed.
///
/// # Errors
/// When the fixture cannot be read or a graph does not run; deviations are no errors but rows that
/// have not passed.
pub fn training(runtime: &Runtime, fixture: &Fixture) -> Result<Vec<Row>> {
    let weights = fixture.weights()?;
    let mut comparison = Comparison { runtime, fixture, weights: &weights, rows: Vec::new() };
    comparison.run()?;
    Ok(comparison.rows)
}

struct Comparison<'a> {
    runtime: &'a Runtime,
    fixture: &'a Fixture,
    weights: &'a Weights,
    rows: Vec<Row>,
}

impl Comparison<'_> {
    fn run(&mut self) -> Result<()> {
        let latent = self.fixture.need("eps")?.data.len();
        self.gradients("mu", &vec![0.0; latent], self.fixture.config.clone())?;
        let mut config = self.fixture.config.clone();
        let free_bits = self.fixture.meta["tensors"]["_loss_eps"]["free_bits"].as_f64();
        config.hparams.free_bits = free_bits.context("free bits of the loss with noise")?;
        self.gradients("eps", &self.fixture.need("eps")?.data, config)?;
        self.scheduled_sampling()?;
        self.steps()
    }

    fn row(&mut self, what: &str, error: f64, tolerance: f64) {
        let fixture = self.fixture.name.clone();
        self.rows.push(Row { fixture, what: what.to_owned(), error, tolerance });
    }

    /// Loss with its parts, and the gradient of every variable, with given noise.
    fn gradients(&mut self, variant: &str, noise: &[f32], config: Config) -> Result<()> {
        let fixture = self.fixture;
        let mut batch = Batch { noise: noise.to_vec(), ..batch(fixture, &fixture.arrays()?)? };
        batch.beta = schedule::reference(&config.hparams, STEP).beta;
        let mut state = State::new(&config, self.weights)?;
        let shape = shape(fixture, false)?;
        let purpose = Purpose::Differentiate;
        let mut program = Program::new(self.runtime, &config, shape, purpose, &mut state, 1)?;
        let report = program.run(&batch)?;
        for (part, ours) in
            [("total", report.loss), ("r_loss", report.r_loss), ("kl_div", report.kl)]
        {
            let name = format!("loss_{variant}_{part}");
            let theirs = mean(&fixture.need(&name)?);
            self.row(&name, ratio(f64::from(ours), theirs), LOSS);
        }
        let mut worst = Vec::new();
        for (variable, ours) in program.gradients().iter() {
            let Some(theirs) = fixture.array(&format!("grad_{variant}/{variable}"))? else {
                // Trio folders leave the gradients of one variant out.
                continue;
            };
            worst.push(relative(ours, &theirs.data));
        }
        let listed = fixture.arrays()?.count(&format!("grad_{variant}/"));
        if listed > 0 {
            let error = if worst.len() == listed { largest(worst) } else { f64::NAN };
            self.row(&format!("grad_{variant} ({listed} variables)"), error, GRADIENT);
        }
        Ok(())
    }

    /// The reconstruction loss when the decoder always reads what it found most probable.
    fn scheduled_sampling(&mut self) -> Result<()> {
        let fixture = self.fixture;
        let Some(theirs) = fixture.array("sched1_r_loss")? else { return Ok(()) };
        let config = &fixture.config;
        let shape = shape(fixture, true)?;
        let Shape { steps, batch: examples, .. } = shape;
        let batch = Batch {
            noise: vec![0.0; examples * config.hparams.z_size],
            // Equal noise on all logits leaves the most probable token the most probable.
            uniform: vec![0.5; steps * examples * config.output_depth()],
            sampled: vec![true; steps * examples],
            ..batch(fixture, &fixture.arrays()?)?
        };
        let mut state = State::new(config, self.weights)?;
        let purpose = Purpose::Differentiate;
        let mut program = Program::new(self.runtime, config, shape, purpose, &mut state, 1)?;
        let report = program.run(&batch)?;
        let error = ratio(f64::from(report.r_loss), mean(&theirs));
        self.row("sched1_r_loss", error, LOSS);
        Ok(())
    }

    /// Six steps of Adam from step 0: losses and norms on the way, weights and moments at the end.
    fn steps(&mut self) -> Result<()> {
        let fixture = self.fixture;
        let Some((log, arrays)) = fixture.trace()? else { return Ok(()) };
        let config = &fixture.config;
        let mut state = State::new(config, self.weights)?;
        let purpose = Purpose::Train { beta_2: adam::BETA_2 };
        let shape = shape(fixture, false)?;
        let mut program = Program::new(self.runtime, config, shape, purpose, &mut state, 1)?;
        let mut batch = batch(fixture, &arrays)?;
        let (mut losses, mut norms, mut learning_rates) = (Vec::new(), Vec::new(), Vec::new());
        let noise = arrays.need("eps")?;
        let steps = log["steps"].as_array().context("steps of the trace")?;
        for (step, (noise, theirs)) in (0..).zip(noise.rows().zip(steps)) {
            let rates = schedule::reference(&config.hparams, step);
            batch.noise = noise.to_vec();
            batch.beta = rates.beta;
            batch.clip = rates.clip;
            batch.step_size = adam::step_size(rates.learning_rate, step, adam::BETA_2);
            let report = program.run(&batch)?;
            let number = |key: &str| theirs[key].as_f64().context("a number in the trace");
            losses.push(ratio(f64::from(report.loss), number("loss")?));
            norms.push(ratio(f64::from(report.global_norm), number("global_norm")?));
            learning_rates.push(ratio(rates.learning_rate, number("learning_rate")?));
        }
        drop(program);
        let count = losses.len();
        self.row(&format!("losses of {count} steps"), largest(losses), LOSS);
        self.row(&format!("norms of {count} steps"), largest(norms), GRADIENT);
        self.row(&format!("learning rates of {count} steps"), largest(learning_rates), 1e-6);

        let ours = state.weights(true);
        let checkpoint = Checkpoint::open(&fixture.folder.join("train_ckpt"))?;
        let (mut weights, mut moments) = (Vec::new(), Vec::new());
        for variable in interlude_models::network::variables(config) {
            let name = &variable.name;
            let mine = |name: &str| &ours.get(name).expect("the state holds all variables").data;
            let after = arrays.need(&format!("after/{name}"))?;
            weights.push(worst_difference(mine(name), &after.data));
            let first = checkpoint.moment(name, Moment::First)?;
            moments.push(relative(mine(&first_moment(name)), &first.data));
            let second = checkpoint.moment(name, Moment::Second)?;
            moments.push(relative(mine(&second_moment(name)), &second.data));
        }
        self.row(&format!("weights after {count} steps"), largest(weights), WEIGHT);
        self.row(&format!("moments after {count} steps"), largest(moments), GRADIENT);
        Ok(())
    }
}

/// What a graph of a fixture is built for.
fn shape(fixture: &Fixture, sampling: bool) -> Result<Shape> {
    let batch = fixture.need("enc_mu")?.shape[0];
    Ok(Shape::new(fixture.config.hparams.max_seq_len, batch, sampling))
}

/// The windows of a fixture as a batch without noise and rates.
fn batch(fixture: &Fixture, arrays: &Arrays<'_>) -> Result<Batch> {
    let config = &fixture.config;
    let steps = config.hparams.max_seq_len;
    let inputs = arrays.need("inputs")?;
    let targets = match arrays.get("outputs")? {
        Some(targets) => targets,
        None => arrays.need("inputs")?,
    };
    let controls = arrays.get("controls")?.map(|controls| time_major(&controls, steps));
    let mut batch = Batch { controls: controls.unwrap_or_default(), ..Batch::default() };
    let targets = time_major(&targets, steps);
    if matches!(config.output_kind(), OutputKind::Nade | OutputKind::Groove) {
        batch.encoder_inputs = time_major(&inputs, steps);
        batch.targets = targets;
    } else {
        let sizes = config.outputs();
        batch.tokens = hot_positions(&targets, sizes);
        let row = inputs.shape[0] * sizes.len();
        let none = sizes.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX));
        batch.inputs = none.cycle().take(row).collect();
        batch.inputs.extend_from_slice(&batch.tokens[..batch.tokens.len() - row]);
    }
    Ok(batch)
}

/// `[batch, steps, width]` as `[steps, batch, width]`.
fn time_major(array: &Array, steps: usize) -> Vec<f32> {
    let width = array.data.len() / array.shape[0] / steps;
    let at = |step: usize| {
        array.rows().flat_map(move |row| row[step * width..(step + 1) * width].iter().copied())
    };
    (0..steps).flat_map(at).collect()
}

pub(super) fn mean(array: &Array) -> f64 {
    let sum: f64 = array.data.iter().copied().map(f64::from).sum();
    sum / f64::from(u32::try_from(array.data.len()).unwrap_or(u32::MAX))
}

/// The deviation of a number relative to what it should be.
pub(super) fn ratio(ours: f64, theirs: f64) -> f64 {
    (ours - theirs).abs() / theirs.abs().max(f64::MIN_POSITIVE)
}

/// The worst difference relative to the largest element of what it should be. A tensor that should
/// be all zeros must be so.
fn relative(ours: &[f32], theirs: &[f32]) -> f64 {
    let scale = theirs.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    match worst_difference(ours, theirs) {
        0.0 => 0.0,
        worst => worst / f64::from(scale),
    }
}

/// The largest number; NaN when one is NaN or there is none.
fn largest(numbers: Vec<f64>) -> f64 {
    let larger = |a: f64, b: f64| if b > a || b.is_nan() { b } else { a };
    numbers.into_iter().reduce(larger).unwrap_or(f64::NAN)
}
