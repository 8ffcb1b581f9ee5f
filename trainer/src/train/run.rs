//! The training loop.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use interlude_models::config::Config;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::runtime::Runtime;
use interlude_models::weights::{Tensor, Weights};

use super::feed::batches::{Batches, Making};
use super::plan::delay;
use super::plan::schedule::{self, Rates, Schedule};
use super::report::evaluation::Evaluation;
use super::report::line::Line;
use super::report::metrics::Metrics;
use super::report::page;
use super::weights::initial;
use super::weights::snapshot::{self, Progress, Sums};
use crate::evaluate::scores::Scores;
use interlude_backend::batch::Report;
use interlude_backend::distributed::Agreement;
use interlude_backend::gradient::shape::{Frozen, Shape};
use interlude_backend::ranks::Ranks;
use interlude_backend::setup::Setup;
use interlude_backend::state::State;
use interlude_backend::stepper::{Backend, Stepper};
use interlude_dataset::Windows;
use interlude_gradient::adam;

/// Folder of the model that an evaluation found best so far.
pub const BEST: &str = "best";
/// Folder of the model that was evaluated last.
const LAST: &str = "last";

/// Settings of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Configuration to train.
    pub config: Config,
    /// Folder of the run.
    pub out: PathBuf,
    /// Step at which the run ends; without it the schedule's phases say so.
    pub steps: Option<u64>,
    /// Schedule, instead of the hyper-parameters' rates.
    pub schedule: Option<Schedule>,
    /// Examples in a batch, where the schedule does not say.
    pub batch_size: usize,
    /// What runs the steps.
    pub backend: Backend,
    /// Threads of ONNX Runtime.
    pub threads: usize,
    /// Seed of initial weights, order, transposition and noise.
    pub seed: u64,
    /// Initial weights of a new run, instead of random ones.
    pub weights: Option<Weights>,
    /// Whether to go on from the last checkpoint in the folder, if there is one.
    pub resume: bool,
    /// Steps between lines of metrics.
    pub log_every: u64,
    /// Seconds between checkpoints.
    pub save_every: f64,
    /// Seconds between evaluations.
    pub evaluate_every: f64,
    /// Windows in an evaluation.
    pub evaluate_windows: usize,
    /// Checkpoints to keep.
    pub keep: usize,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All steps are done.
    Finished,
    /// It was asked to stop; a later run can go on.
    Stopped,
}

/// Trains until the end, or until `stop` is set.
///
/// # Errors
/// When files cannot be written, ONNX Runtime fails, or the loss is no longer a number.
pub fn run(
    runtime: &Runtime,
    ranks: &Ranks,
    options: &Options,
    windows: &Windows,
    validation: Option<&Windows>,
    stop: &AtomicBool,
) -> anyhow::Result<End> {
    fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make the folder `{}`", options.out.display()))?;
    let mut training = Training::start(runtime, ranks, options, windows, validation)?;
    loop {
        if training.finished() {
            training.evaluate()?;
            training.save()?;
            training.report()?;
            return Ok(End::Finished);
        }
        let asked = stop.load(Ordering::Relaxed);
        if training.stopped || (asked && ranks.size() == 1) {
            training.save()?;
            let path = snapshot::path(&options.out, training.progress.step);
            training.say(&format!("stopped; `{}` is saved", path.display()));
            return Ok(End::Stopped);
        }
        training.step(asked)?;
    }
}

struct Training<'a> {
    runtime: &'a Runtime,
    ranks: &'a Ranks,
    options: &'a Options,
    batches: Batches<'a>,
    windows: &'a Windows,
    validation: Option<(&'a Windows, Evaluation)>,
    state: State,
    /// What stays as it is where no schedule says so: the delay line of a model that has one.
    frozen: Frozen,
    /// What runs steps of a configuration and shape.
    program: Option<(Config, Shape, Stepper)>,
    progress: Progress,
    /// Of the leading process.
    metrics: Option<Metrics>,
    /// Since when this process trains, and when it last looked at the clock, in seconds from then.
    clock: (Instant, f64),
    /// Whether the processes have agreed to stop.
    stopped: bool,
    saved: f64,
    evaluated: f64,
}

impl<'a> Training<'a> {
    fn start(
        runtime: &'a Runtime,
        ranks: &'a Ranks,
        options: &'a Options,
        windows: &'a Windows,
        validation: Option<&'a Windows>,
    ) -> anyhow::Result<Self> {
        if ranks.leads() {
            snapshot::clean(&options.out)?;
        }
        let resume = options.resume && ranks.leads();
        let last = if resume { snapshot::list(&options.out)?.pop() } else { None };
        let (mut progress, mut weights) = match last {
            Some((_, path)) => {
                let (progress, weights) = snapshot::read(&path)?;
                if progress.config != options.config {
                    bail!(
                        "`{}` trains another configuration or other hyper-parameters; choose \
                         another folder with --out",
                        path.display()
                    );
                }
                (progress, weights)
            }
            None => {
                let progress = Progress {
                    config: options.config.clone(),
                    seed: options.seed,
                    step: 0,
                    examples: 0,
                    seconds: 0.0,
                    phase: 0,
                    phase_examples: 0,
                    phase_seconds: 0.0,
                    best: None,
                    batch_size: Some(options.batch_size),
                    sums: Sums::default(),
                };
                let weights = options.weights.clone().unwrap_or_else(|| {
                    let mut drawn = initial::weights(&options.config, options.seed);
                    if let Some(schedule) = &options.schedule {
                        initial::adjust(&mut drawn, &options.config, schedule, options.seed);
                    }
                    drawn
                });
                (progress, weights)
            }
        };
        if let Some(schedule) = &options.schedule {
            let batch = |phase: &schedule::Phase| examples(phase, options, windows) as u64;
            if let Some((phase, done)) = schedule.position(progress.step, batch) {
                (progress.phase, progress.phase_examples) = (phase, done);
            }
        }
        follow(ranks, &mut progress, &mut weights)?;
        let line = delay::lies_in(&weights, &options.config);
        let frozen = if line { Frozen::Means } else { Frozen::Nothing };
        let state = State::new(&options.config, &weights)?;
        let validation = validation.filter(|windows| !windows.is_empty() && ranks.leads());
        let validation = match validation {
            Some(windows) => {
                let count = windows.len().min(options.evaluate_windows);
                let evaluation =
                    Evaluation::new(runtime, &options.config, count, &state, options.threads)?;
                Some((windows, evaluation))
            }
            None => None,
        };
        let metrics = ranks.leads().then(|| Metrics::open(&options.out, progress.step)).transpose();
        let metrics = metrics
            .with_context(|| format!("cannot write metrics in `{}`", options.out.display()))?;
        if let Some(metrics) = metrics.as_ref().filter(|_| line) {
            let trains = |schedule: &Schedule| {
                schedule.phases.iter().any(|phase| phase.frozen == Frozen::Nothing)
            };
            match &options.schedule {
                None => metrics.say("the model's delay line stays as it is, the rest is trained"),
                Some(schedule) if trains(schedule) => metrics.say(
                    "the schedule trains the model's delay line too, which soon breaks it: say \
                     `\"frozen\": \"means\"` in all phases",
                ),
                Some(_) => {}
            }
        }
        if let Some(metrics) = metrics.as_ref().filter(|_| validation.is_none()) {
            metrics.say(&format!(
                "no window is for validation, so no model can be called the best: the newest one will be \
                 `{}`",
                options.out.join(LAST).display()
            ));
        }
        if let Some(metrics) = metrics.as_ref().filter(|_| windows.len() < options.batch_size) {
            metrics.say(&format!(
                "the dataset has {} windows, fewer than a batch of {}: batches hold each of them \
                 once",
                windows.len(),
                options.batch_size
            ));
        }
        Ok(Self {
            runtime,
            ranks,
            options,
            batches: Batches::new(windows, progress.seed),
            windows,
            validation,
            state,
            frozen,
            program: None,
            metrics,
            clock: (Instant::now(), 0.0),
            stopped: false,
            saved: progress.seconds,
            evaluated: progress.seconds,
            progress,
        })
    }

    /// Whether nothing is left to do.
    fn finished(&self) -> bool {
        let phases = self.options.schedule.as_ref().map(|schedule| schedule.phases.len());
        self.options.steps.is_some_and(|steps| self.progress.step >= steps)
            || phases.is_some_and(|phases| self.progress.phase >= phases)
    }

    /// The share of the current phase that is done.
    fn phase_done(&self) -> f64 {
        let Some(schedule) = &self.options.schedule else { return 0.0 };
        let Some(phase) = schedule.phases.get(self.progress.phase) else { return 1.0 };
        let done = match (phase.examples, phase.until) {
            (Some(examples), _) => ratio(self.progress.phase_examples, examples),
            (None, Some(until)) => {
                let end = until * 60.0 * schedule.minutes.unwrap_or(0.0);
                let begin = self.progress.seconds - self.progress.phase_seconds;
                self.progress.phase_seconds / (end - begin).max(f64::MIN_POSITIVE)
            }
            (None, None) => 1.0,
        };
        done.min(1.0)
    }

    /// The share of the whole run that is done, for the progress bar.
    fn done(&self) -> f64 {
        match (&self.options.schedule, self.options.steps) {
            (Some(Schedule { minutes: Some(minutes), .. }), _) => {
                self.progress.seconds / (60.0 * minutes)
            }
            (Some(Schedule { phases, .. }), _) => {
                let examples = |phases: &[schedule::Phase]| {
                    phases.iter().filter_map(|phase| phase.examples).sum::<u64>()
                };
                ratio(self.progress.examples, examples(phases).max(1))
            }
            (None, Some(steps)) => ratio(self.progress.step, steps),
            (None, None) => 0.0,
        }
    }

    /// The configuration of the next step, its rates, its shape, and the decay of Adam's second moment.
    fn settings(&self) -> (Config, Rates, Shape, f64) {
        let config = &self.options.config;
        let hparams = &config.hparams;
        match &self.options.schedule {
            Some(schedule) => {
                let phase = &schedule.phases[self.progress.phase];
                let mut rates = phase.rates(self.phase_done(), hparams);
                if self.progress.step < schedule.warm_up {
                    rates.learning_rate *= ratio(self.progress.step + 1, schedule.warm_up);
                }
                let config = phase.config(config);
                let steps = phase.window_steps.unwrap_or(config.hparams.max_seq_len);
                let batch = examples(phase, self.options, self.windows);
                let shape = Shape::new(steps, batch, rates.sampling.is_some());
                (config, rates, Shape { frozen: phase.frozen, ..shape }, schedule.adam_beta_2)
            }
            None => {
                let rates = schedule::reference(hparams, self.progress.step);
                let batch = self.options.batch_size.min(self.windows.len());
                let shape = Shape::new(hparams.max_seq_len, batch, rates.sampling.is_some());
                (config.clone(), rates, Shape { frozen: self.frozen, ..shape }, adam::BETA_2)
            }
        }
    }

    fn step(&mut self, asked_to_stop: bool) -> anyhow::Result<()> {
        let (config, rates, shape, beta_2) = self.settings();
        let Shape { steps, batch, .. } = shape;
        let fits = |(own, built, _): &(Config, Shape, _)| *own == config && *built == shape;
        if !self.program.as_ref().is_some_and(fits) {
            self.store()?;
            let Options { backend, threads, .. } = *self.options;
            let setup = Setup { runtime: self.runtime, config: &config, shape, beta_2, threads };
            let program = Stepper::new(&setup, backend, self.ranks, &mut self.state)?;
            self.program = Some((config.clone(), shape, program));
        }
        let making = Making::plain(&config, steps, batch).with(&rates);
        let mut inputs = self.batches.make(self.progress.step, self.progress.examples, &making);
        inputs.beta = rates.beta;
        inputs.clip = rates.clip;
        inputs.step_size = adam::step_size(rates.learning_rate, self.progress.step, beta_2);
        let (_, _, program) = self.program.as_mut().expect("it was made above");
        let own = Agreement { stop: asked_to_stop, seconds: self.clock.0.elapsed().as_secs_f64() };
        let (report, agreed) = program.run(self.ranks, &inputs, own)?;
        self.stopped = agreed.stop && self.ranks.size() > 1;
        if !report.loss.is_finite() || !report.global_norm.is_finite() {
            let good = if self.ranks.leads() { self.last_good()? } else { None };
            let kept = good.map_or_else(String::new, |path| {
                format!("; the last good checkpoint is `{}`", path.display())
            });
            bail!(
                "the loss is not a number at step {}; lower the learning rate{kept}",
                self.progress.step
            );
        }
        self.advance(&report, batch, agreed);
        if self.progress.step.is_multiple_of(self.options.log_every) {
            self.log(&rates)?;
        }
        if self.progress.seconds - self.saved >= self.options.save_every {
            self.save()?;
        }
        if self.progress.seconds - self.evaluated >= self.options.evaluate_every {
            self.evaluate()?;
        }
        Ok(())
    }

    /// The newest checkpoint from before the state that gave no number. One of that very state is
    /// removed when there is an earlier one.
    fn last_good(&self) -> anyhow::Result<Option<PathBuf>> {
        let mut found = snapshot::list(&self.options.out)?;
        let bad = found.len() > 1 && found.last().is_some_and(|last| last.0 == self.progress.step);
        if let Some((_, path)) = found.pop_if(|_| bad) {
            fs::remove_file(&path)
                .with_context(|| format!("cannot remove `{}`", path.display()))?;
        }
        Ok(found.pop().map(|(_, path)| path))
    }

    fn advance(&mut self, report: &Report, batch: usize, agreed: Agreement) {
        let examples = batch as u64;
        self.progress.step += 1;
        self.progress.examples += examples;
        self.progress.phase_examples += examples;
        self.tick(agreed.seconds);
        let values = [report.loss, report.r_loss, report.kl, report.accuracy, report.global_norm];
        for (sum, value) in self.progress.sums.report.iter_mut().zip(values) {
            *sum += f64::from(value);
        }
        self.progress.sums.steps += 1;
        self.progress.sums.examples += examples;
        let phases = self.options.schedule.as_ref().map_or(0, |schedule| schedule.phases.len());
        if self.progress.phase < phases && self.phase_done() >= 1.0 {
            self.progress.phase += 1;
            self.progress.phase_examples = 0;
            self.progress.phase_seconds = 0.0;
        }
    }

    /// Adds the time since the last call; several processes go by the clock of the leading one.
    fn tick(&mut self, agreed: f64) {
        let alone = self.ranks.size() == 1;
        let now = if alone { self.clock.0.elapsed().as_secs_f64() } else { agreed };
        let seconds = now - self.clock.1;
        self.clock.1 = now;
        self.progress.seconds += seconds;
        self.progress.phase_seconds += seconds;
    }

    /// Shows a line, where this process leads.
    fn say(&self, text: &str) {
        if let Some(metrics) = &self.metrics {
            metrics.say(text);
        }
    }

    fn log(&mut self, rates: &Rates) -> anyhow::Result<()> {
        let sums = &self.progress.sums;
        let steps = f64::from(sums.steps.max(1));
        let [loss, r_loss, kl, accuracy, global_norm] = sums.report.map(|sum| sum / steps);
        let seconds = (self.progress.seconds - sums.from).max(1e-9);
        let line = Line {
            step: self.progress.step,
            examples: self.progress.examples,
            seconds: self.progress.seconds,
            phase: self.progress.phase,
            loss,
            r_loss,
            kl_bits: kl / std::f64::consts::LN_2,
            accuracy,
            global_norm,
            beta: f64::from(rates.beta),
            lr: rates.learning_rate,
            sampling: rates.sampling.map(f64::from),
            examples_per_second: ratio(sums.examples, 1) / seconds,
        };
        self.progress.sums = Sums { from: self.progress.seconds, ..Sums::default() };
        let done = self.done();
        let Some(metrics) = &mut self.metrics else { return Ok(()) };
        let path = metrics.path().to_owned();
        metrics.step(&line, done).with_context(|| format!("cannot write `{}`", path.display()))
    }

    /// Brings the state up to date with what was trained.
    fn store(&mut self) -> anyhow::Result<()> {
        match &self.program {
            Some((_, _, program)) => Ok(program.store(&mut self.state)?),
            None => Ok(()),
        }
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.saved = self.progress.seconds;
        self.store()?;
        if self.ranks.leads() {
            let weights = self.state.weights(true);
            snapshot::write(&self.options.out, &self.progress, &weights, self.options.keep)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> anyhow::Result<()> {
        self.store()?;
        let scores = match &mut self.validation {
            Some((windows, evaluation)) => {
                Some(evaluation.run(windows, self.options.evaluate_windows)?)
            }
            None => None,
        };
        self.tick(self.clock.1);
        self.evaluated = self.progress.seconds;
        let Some(metrics) = &mut self.metrics else { return Ok(()) };
        let Some(scores) = scores else {
            return self.write_model(LAST, &self.state.weights(false), None);
        };
        let path = metrics.path().to_owned();
        metrics
            .validation(self.progress.step, self.progress.seconds, &scores)
            .with_context(|| format!("cannot write `{}`", path.display()))?;
        let weights = self.state.weights(false);
        self.write_model(LAST, &weights, Some(&scores))?;
        if self.progress.best.is_none_or(|best| score(&scores) > best) {
            self.progress.best = Some(score(&scores));
            self.write_model(BEST, &weights, Some(&scores))?;
        }
        Ok(())
    }

    /// Writes the page about the run, when there is a model to tell of.
    fn report(&self) -> anyhow::Result<()> {
        let Options { out, threads, .. } = self.options;
        let model = if out.join(BEST).is_dir() { BEST } else { LAST };
        if !self.ranks.leads() || !out.join(model).is_dir() {
            return Ok(());
        }
        let (windows, heading) = match &self.validation {
            Some((windows, _)) => (*windows, "Windows and what came back of them"),
            None => (self.windows, "Windows that were trained on and what came back of them"),
        };
        let subject = page::Subject { model, windows, heading };
        page::write(self.runtime, out, subject, *threads)
            .with_context(|| format!("cannot write `{}`", out.join(page::FILE).display()))?;
        self.say(&format!("the report is `{}`", out.join(page::FILE).display()));
        Ok(())
    }

    /// Writes weights as a model folder in the run's folder.
    fn write_model(
        &self,
        name: &str,
        weights: &Weights,
        scores: Option<&Scores>,
    ) -> anyhow::Result<()> {
        let out = &self.options.out;
        let mut info =
            ModelInfo::new(self.options.config.clone(), "trained with `interlude train`");
        info.provenance.step = Some(self.progress.step);
        info.provenance.schedule =
            self.options.schedule.as_ref().map(serde_json::to_value).transpose()?;
        info.metrics = scores.map(Scores::by_name).unwrap_or_default();
        info.metrics.insert("training_minutes".to_owned(), self.progress.seconds / 60.0);
        info.metrics.insert("training_examples".to_owned(), ratio(self.progress.examples, 1));
        Package::write(&out.join(name), &info, weights)?;
        Ok(())
    }
}

/// Examples in a step of a phase.
fn examples(phase: &schedule::Phase, options: &Options, windows: &Windows) -> usize {
    phase.batch_size.unwrap_or(options.batch_size).min(windows.len())
}

/// Takes over where the leading process is and what it knows.
fn follow(ranks: &Ranks, progress: &mut Progress, weights: &mut Weights) -> anyhow::Result<()> {
    if ranks.size() == 1 {
        return Ok(());
    }
    let mut text = serde_json::to_string(progress)?;
    ranks.follow_text(&mut text);
    *progress = serde_json::from_str(&text)?;
    // A run that begins has no moments yet; all processes need the same tensors.
    let names: Vec<String> = weights.0.keys().cloned().collect();
    for moment in [adam::first_moment, adam::second_moment] {
        for name in names.iter().filter(|name| !adam::is_moment(name)) {
            let shape = &weights.0[name].shape;
            let zeros = Tensor::zeros(shape);
            weights.0.entry(moment(name)).or_insert(zeros);
        }
    }
    for tensor in weights.0.values_mut() {
        ranks.follow_numbers(&mut tensor.data);
    }
    Ok(())
}

/// The score that selects the best checkpoint: free-running step accuracy; for grooves, whose hits
/// may be given and whose velocities and offsets are never exact, minus the loss.
fn score(scores: &Scores) -> f64 {
    match (scores.velocity_error, scores.r_loss) {
        (Some(_), Some(loss)) => -loss,
        _ => scores.accuracy_free_running.mean(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
