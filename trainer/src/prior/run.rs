//! A training of a prior with its folder: `codes.safetensors`, `checkpoint.safetensors`, the prior as
//! it is by then in `prior.safetensors`, and `metrics.jsonl`.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use interlude_gradient::field::Field;
use interlude_gradient::fit::FitError;
use interlude_gradient::flow::{Settings, TIMES, Training, is_state, tell_time};
use interlude_models::latent::flow::{Conditions, Flow, FlowError, Known};
use interlude_models::runtime::Runtime;
use interlude_models::weights::{Weights, WeightsError};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::codes::Codes;
use crate::train::batches::fill_normal;

/// Name of the checkpoint in a run's folder.
pub const CHECKPOINT: &str = "checkpoint.safetensors";
/// Name of the codes in a run's folder.
pub const CODES: &str = "codes.safetensors";
/// Name of the metrics in a run's folder.
pub const METRICS: &str = "metrics.jsonl";
/// Key of a checkpoint's metadata.
const KEY: &str = "interlude-prior-run";
/// Classes of windows that a prior keeps.
const EXAMPLES: usize = 4096;
/// Rows in an evaluation at once.
const ROWS: usize = 256;

/// A run cannot go on.
#[derive(Debug, Error)]
pub enum RunError {
    /// An error of the file system.
    #[error("cannot access `{}`: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Reason.
        source: io::Error,
    },
    /// A checkpoint is damaged.
    #[error(
        "`{}` is no whole checkpoint of a prior ({reason}); remove it to begin anew",
        path.display()
    )]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The folder holds another run.
    #[error(
        "`{}` holds the training of another prior ({found}); choose another --out, or remove the folder",
        path.display()
    )]
    Other {
        /// The folder.
        path: PathBuf,
        /// What it was made from.
        found: String,
    },
    /// ONNX Runtime fails.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The prior cannot be written.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// The training gave numbers that are no prior.
    #[error("the training gave no prior ({0}); try a lower --learning-rate")]
    Diverged(String),
}

/// What is trained, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder of the run.
    pub out: PathBuf,
    /// What the prior is made from, in words; a folder with a run of something else is refused.
    pub origin: String,
    /// The latent space.
    pub space: String,
    /// Settings of a training.
    pub settings: Settings,
    /// Time between two checkpoints.
    pub save_every: Duration,
    /// Steps between two evaluations.
    pub evaluate_every: u64,
}

/// Where a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Progress {
    origin: String,
    step: u64,
    seconds: f64,
    /// Lowest error of an evaluation, and its step.
    best: Option<(f64, u64)>,
}

/// A line of the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Line {
    /// Steps done.
    pub step: u64,
    /// Seconds trained.
    pub seconds: f64,
    /// Mean squared error of the velocity since the line before.
    pub loss: f64,
    /// The same of windows that are held out.
    pub held_out: Option<f64>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct End {
    /// Whether all steps were made.
    pub finished: bool,
    /// Steps done.
    pub step: u64,
    /// The step of the best evaluation and its error.
    pub best: Option<(f64, u64)>,
    /// Minutes trained.
    pub minutes: f64,
}

/// Steps done in a folder's run: 0 where there is none.
///
/// # Errors
/// [`RunError`] for a checkpoint that is damaged, or whose origin begins otherwise.
pub fn done(out: &Path, origin: &str) -> Result<u64, RunError> {
    let of = |found: &str| found.starts_with(origin);
    Ok(read(out, of)?.map_or(0, |(progress, _)| progress.step))
}

/// Trains on codes until all steps are made or `stop` says so. The prior with the lowest error on
/// `held_out` codes, or the last where there is none, is in the folder as [`interlude_models::latent::flow::FILE`].
///
/// # Errors
/// [`RunError`] when a file cannot be written or read, or ONNX Runtime fails.
pub fn run(
    runtime: &Runtime,
    options: &Options,
    conditions: &Conditions,
    (codes, held_out): (&Codes, Option<&Codes>),
    stop: &AtomicBool,
    each: &mut dyn FnMut(u64, Option<Line>),
) -> Result<End, RunError> {
    let (mut progress, state) = match read(&options.out, |found| found == options.origin)? {
        Some((_, tensors)) if !is_state(&tensors, options.settings.sizes) => {
            let path = options.out.join(CHECKPOINT);
            let reason = "its tensors are not those of the network".to_owned();
            return Err(RunError::Checkpoint { path, reason });
        }
        Some((progress, tensors)) => {
            let step = progress.step;
            (progress, Some((tensors, step)))
        }
        None => (Progress { origin: options.origin.clone(), ..Progress::default() }, None),
    };
    let settings = options.settings;
    let mut training = Training::new(runtime, settings, codes.basis(), state)?;
    let judge = held_out.filter(|codes| !codes.is_empty());
    let judge = judge.map(|codes| Judge::new(codes, conditions, settings));
    let mut metrics = Metrics::open(&options.out, progress.step)?;
    let (begun, before) = (Instant::now(), progress.seconds);
    let mut saved = Instant::now();
    let (mut sum, mut count) = (0.0, 0.0);
    while training.done() < settings.steps && !stop.load(Ordering::Relaxed) {
        let loss = training.step(&mut |generator, example| {
            codes.example(conditions, generator, example);
        })?;
        sum += f64::from(loss);
        count += 1.0;
        let step = training.done();
        let is_last = step >= settings.steps;
        progress.step = step;
        progress.seconds = before + begun.elapsed().as_secs_f64();
        let mut line = None;
        if is_last || step.is_multiple_of(options.evaluate_every.max(1)) {
            let error = match &judge {
                Some(judge) => Some(judge.error(runtime, training.average())?),
                None => None,
            };
            if !f64::is_finite(sum) {
                return Err(RunError::Diverged("its weights are no finite numbers".to_owned()));
            }
            let better = |error: f64| progress.best.is_none_or(|(best, _)| error < best);
            if error.is_none_or(better) {
                progress.best = error.map(|error| (error, step));
                let examples = codes.examples(EXAMPLES);
                let weights = training.average().clone();
                let (space, latent) = (options.space.clone(), settings.sizes.size());
                Flow::new(space, conditions.clone(), examples, latent, weights)
                    .map_err(RunError::Diverged)?
                    .write(&options.out.join(interlude_models::latent::flow::FILE))?;
            }
            let told = Line { step, seconds: progress.seconds, loss: sum / count, held_out: error };
            metrics.write(&told)?;
            line = Some(told);
            (sum, count) = (0.0, 0.0);
        }
        if is_last || saved.elapsed() >= options.save_every {
            write(options, &progress, &training.state())?;
            saved = Instant::now();
        }
        each(step, line);
    }
    let finished = training.done() >= settings.steps;
    if !finished {
        write(options, &progress, &training.state())?;
    }
    let minutes = progress.seconds / 60.0;
    Ok(End { finished, step: training.done(), best: progress.best, minutes })
}

fn write(options: &Options, progress: &Progress, state: &Weights) -> Result<(), RunError> {
    let path = options.out.join(CHECKPOINT);
    let text = serde_json::to_string(progress).expect("plain data has a JSON form");
    let metadata = HashMap::from([(KEY.to_owned(), text)]);
    let bytes = safetensors::serialize(state.iter(), Some(metadata)).expect("whole tensors");
    interlude_models::files::write(&path, &bytes).map_err(|source| RunError::Io { path, source })
}

/// The checkpoint of a folder, if there is one, of an origin that is expected.
fn read(
    out: &Path,
    expected: impl Fn(&str) -> bool,
) -> Result<Option<(Progress, Weights)>, RunError> {
    let path = out.join(CHECKPOINT);
    let wrong = |reason: String| RunError::Checkpoint { path: path.clone(), reason };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(RunError::Io { path, source }),
    };
    let (_, metadata) =
        SafeTensors::read_metadata(&bytes).map_err(|error| wrong(error.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|entries| entries.get(KEY));
    let text = text.ok_or_else(|| wrong("it does not say where the run is".to_owned()))?;
    let progress: Progress =
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if !expected(&progress.origin) {
        return Err(RunError::Other { path: out.to_owned(), found: progress.origin });
    }
    let tensors = Weights::read(&path).map_err(|error| match error {
        WeightsError::Io { path, source } => RunError::Io { path, source },
        error => wrong(error.to_string()),
    })?;
    Ok(Some((progress, tensors)))
}

/// Windows that are held out, as points on their ways with what is known of them.
struct Judge {
    settings: Settings,
    contexts: Vec<f32>,
    points: Vec<f32>,
    velocities: Vec<f32>,
}

impl Judge {
    /// Times are spread as in training, and the same in every run.
    fn new(codes: &Codes, conditions: &Conditions, settings: Settings) -> Self {
        let (size, context) = (settings.sizes.size(), settings.sizes.context());
        let mut generator = ChaCha8Rng::seed_from_u64(0);
        let mut judge =
            Self { settings, contexts: Vec::new(), points: Vec::new(), velocities: Vec::new() };
        let (mut data, mut noise) = (vec![0.0; size], vec![0.0; size]);
        for index in 0..codes.len() {
            codes.draw(index, 1.0, &mut generator, &mut data);
            fill_normal(&mut generator, &mut noise);
            let mut normal = [0.0; 2];
            fill_normal(&mut generator, &mut normal);
            let time = 1.0 / (1.0 + (-normal[0]).exp());
            let mut told = vec![0.0; context];
            tell_time(&mut told, time);
            let mut known = Known::default();
            // As in training most windows are told of, and some are not.
            if generator.random_bool(0.8) {
                known.classes = codes.classes(index).to_vec();
            }
            conditions.tell(&mut told[TIMES..], &known);
            judge.contexts.extend(told);
            let point = data.iter().zip(&noise).map(|(x, n)| (1.0 - time) * n + time * x);
            judge.points.extend(point);
            judge.velocities.extend(data.iter().zip(&noise).map(|(x, n)| x - n));
        }
        judge
    }

    fn error(&self, runtime: &Runtime, weights: &Weights) -> Result<f64, FitError> {
        let (size, context) = (self.settings.sizes.size(), self.settings.sizes.context());
        let mut field = Field::new(runtime, self.settings.sizes, weights)?;
        let mut sum = 0.0;
        for ((contexts, points), velocities) in self
            .contexts
            .chunks(context * ROWS)
            .zip(self.points.chunks(size * ROWS))
            .zip(self.velocities.chunks(size * ROWS))
        {
            let modulation = field.modulation(contexts.to_vec())?;
            let found = field.velocity(points.to_vec(), modulation)?;
            let squares = found.iter().zip(velocities).map(|(a, b)| f64::from(a - b).powi(2));
            sum += squares.sum::<f64>();
        }
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let count = self.velocities.len() as f64;
        Ok(sum / count)
    }
}

/// Lines of JSON.
struct Metrics {
    path: PathBuf,
    file: fs::File,
}

impl Metrics {
    /// Goes on after `step` steps: later lines are taken away.
    fn open(run: &Path, step: u64) -> Result<Self, RunError> {
        let path = run.join(METRICS);
        let io = |source| RunError::Io { path: path.clone(), source };
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            text => text.unwrap_or_default(),
        };
        let is_earlier = |line: &&str| {
            let value = serde_json::from_str::<serde_json::Value>(line).ok();
            value.and_then(|value| value["step"].as_u64()).is_some_and(|at| at <= step)
        };
        let kept: String = text.lines().filter(is_earlier).flat_map(|line| [line, "\n"]).collect();
        interlude_models::files::write(&path, kept.as_bytes()).map_err(io)?;
        let file = OpenOptions::new().append(true).open(&path).map_err(io)?;
        Ok(Self { path, file })
    }

    fn write(&mut self, line: &Line) -> Result<(), RunError> {
        let text = serde_json::to_string(line).expect("plain data has a JSON form");
        writeln!(self.file, "{text}")
            .map_err(|source| RunError::Io { path: self.path.clone(), source })
    }
}
