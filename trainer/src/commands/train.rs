//! `interlude train`.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use interlude_models::config::{self, Config};
use interlude_models::network::{self, variables};
use interlude_models::package::{INFO_FILE, Package};
use interlude_models::runtime::{Provider, Runtime};
use interlude_models::weights::Weights;

use super::common::{self, Shared};
use crate::train::batch_size;
use crate::train::plan::{self, Course, Plan};
use crate::train::run::{self, End, Options};
use crate::train::snapshot;
use crate::train::widening;
use interlude_backend::hosted::{self, HostError, TrainingBuild};
use interlude_backend::ranks::Ranks;
use interlude_backend::stepper::Backend;
use interlude_backend::training_api;
use interlude_checkpoint::Checkpoint;
use interlude_dataset::heldout::{self, Halves};

/// Exit status after Ctrl-C, as shells expect it.
const INTERRUPTED: i32 = 130;

/// Train a model on a dataset.
///
/// The folder of the run gets the models `best` (best reconstruction of validation windows) and
/// `last` (the newest). Of a dataset without validation windows some training windows are held out;
/// where it is too small for that, there is `last` only.
#[derive(Args, Debug)]
pub struct Train {
    /// Folder of the dataset.
    #[arg(long)]
    dataset: PathBuf,
    /// Configuration, such as cat-mel_2bar_small.
    #[arg(long)]
    config: String,
    /// Hyper-parameters that differ from the configuration's, such as `z_size=128,max_beta=0.1`.
    #[arg(long, default_value = "")]
    hparams: String,
    /// Largest transposition of training windows, in semitones up and down [default: the
    /// configuration's].
    #[arg(long, value_name = "SEMITONES", value_parser = clap::value_parser!(u8).range(0..=24))]
    transpose: Option<u8>,
    /// Training steps; required unless --schedule is a file. Without --batch-size, `growing` makes
    /// more steps of fewer examples instead, with the same number of examples in all.
    #[arg(long)]
    steps: Option<u64>,
    /// Course of learning rate, KL weight and window length: `growing` (a curriculum that begins
    /// with short windows), `original` (the hyper-parameters, as the original computes them), or a
    /// JSON file with phases [default: `original` with `--from` or where `--hparams` changes a
    /// rate, else `growing`].
    #[arg(long, value_name = "growing|original|FILE")]
    schedule: Option<PathBuf>,
    /// Folder of the run: checkpoints, metrics, models.
    #[arg(long)]
    out: PathBuf,
    /// Examples in a batch, or `auto`: the size with which this machine is fastest, measured once;
    /// a resumed run keeps it [default: 64 with `growing`, else the configuration's].
    #[arg(long, value_name = "NUMBER", value_parser = batch_size)]
    batch_size: Option<BatchSize>,
    /// Back end: `auto` takes ONNX Runtime's training API where the runtime offers it, ordinary
    /// sessions otherwise.
    #[arg(long, value_enum, default_value_t = Choice::Auto)]
    backend: Choice,
    /// Execution provider of the steps. Evaluations run on the CPU.
    #[arg(long, default_value = Provider::Cpu.name(), value_parser = common::provider())]
    provider: Provider,
    /// Threads; 0 means one for each core.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Seed of initial weights, order, transposition and noise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Initial weights of a new run: a model's folder, a run's folder or one of its `.safetensors`,
    /// or a checkpoint that `interlude import` reads. The configuration must be the same; narrower
    /// layers are widened by units that change nothing at first.
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// Whether to resume from the last checkpoint in --out.
    #[arg(long, value_enum, default_value_t = Resume::Auto)]
    resume: Resume,
    /// Steps between two lines of metrics.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    log_every: u64,
    /// Seconds between two checkpoints.
    #[arg(long, default_value_t = 120.0)]
    save_every: f64,
    /// Seconds between two evaluations.
    #[arg(long, default_value_t = 300.0)]
    evaluate_every: f64,
    /// Windows in an evaluation.
    #[arg(long, default_value_t = 1024)]
    evaluate_windows: usize,
    /// Checkpoints to keep.
    #[arg(long, default_value_t = 3)]
    keep: usize,
}

/// Examples in a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BatchSize {
    /// The size with which this machine is fastest.
    Auto,
    /// This number.
    Of(u16),
}

fn batch_size(text: &str) -> Result<BatchSize, String> {
    match text.parse() {
        _ if text == "auto" => Ok(BatchSize::Auto),
        Ok(size) if size > 0 => Ok(BatchSize::Of(size)),
        _ => Err("it is `auto` or a number from 1 to 65535".to_owned()),
    }
}

/// Which back end is asked for.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The training API where the runtime offers it.
    Auto,
    /// Ordinary sessions.
    Onnx,
    /// The training API; an official training build in `runtime-training` is used.
    TrainingApi,
}

impl Choice {
    /// Starts the runtime and says what runs the steps. Where the training API is in a Python
    /// package, the program runs again in there, and this does not return.
    fn start(
        self,
        provider: Provider,
        shared: &Shared,
    ) -> anyhow::Result<(&'static Runtime, Backend)> {
        if provider != Provider::Cpu {
            if self == Self::TrainingApi {
                bail!("the training API runs on the processor; take --backend onnx");
            }
            let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
            // What is missing is told before anything is read.
            runtime.session(provider, 1)?;
            return Ok((runtime, Backend::Device(provider)));
        }
        let given = shared.onnxruntime.as_deref().and_then(TrainingBuild::in_folder);
        if let Some(build) = given.filter(|_| !hosted::is_inside()) {
            match build.run_again()? {}
        }
        match Runtime::start(shared.onnxruntime.as_deref()) {
            Ok(runtime) if self == Self::Onnx => Ok((runtime, Backend::Onnx)),
            Ok(runtime) if training_api::is_offered() => Ok((runtime, Backend::TrainingApi)),
            Ok(runtime) if self == Self::Auto => Ok((runtime, Backend::Onnx)),
            found => match TrainingBuild::find().filter(|_| self == Self::TrainingApi) {
                Some(build) => match build.run_again()? {},
                None => Err(found.map_or_else(Into::into, |_| HostError::NoTrainingBuild.into())),
            },
        }
    }
}

/// How long one of several processes waits for the others.
const GRACE: Duration = Duration::from_millis(600);

/// What to do with a folder that holds a run.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Resume {
    /// Resume it.
    Auto,
    /// Refuse a folder that holds a run.
    Never,
}

impl Train {
    /// Runs the command.
    ///
    /// # Errors
    /// When an option or file is wrong, or training fails.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let (runtime, backend) = self.backend.start(self.provider, shared)?;
        let ranks = Ranks::join()?;
        let result = self.train(runtime, &ranks, backend);
        if let Err(error) = &result
            && ranks.size() > 1
        {
            // What all processes find, the leading one says.
            if !ranks.leads() {
                std::thread::sleep(GRACE);
            }
            eprintln!("interlude: {error:#}");
            ranks.give_up();
        }
        let end = result?;
        ranks.finish();
        match end {
            End::Finished => Ok(()),
            End::Stopped => std::process::exit(INTERRUPTED),
        }
    }

    fn train(self, runtime: &Runtime, ranks: &Ranks, backend: Backend) -> anyhow::Result<End> {
        if ranks.size() > 1 && backend != Backend::Onnx {
            bail!(
                "several processes train with ordinary sessions on the processor only; take \
                 --backend onnx and --provider cpu"
            );
        }
        if ranks.size() > 1 && self.batch_size == Some(BatchSize::Auto) {
            bail!("--batch-size auto measures one process; give several a number");
        }
        let mut config = config::by_name(&self.config)?;
        config.override_hparams(&self.hparams)?;
        config.transpose = self.transpose.unwrap_or(config.transpose);
        let new = snapshot::list(&self.out)?.is_empty();
        if self.resume == Resume::Never && !new {
            bail!(
                "`{}` holds a run; choose another folder, or --resume auto to go on",
                self.out.display()
            );
        }
        let named = config::by_name(&self.config)?;
        let (schedule, begins) = (self.schedule.as_deref(), self.from.is_some());
        let course = Course::choose(schedule, self.steps, begins, &config, &named)?;
        // A run that goes on has its own, and those may be gone.
        let from = self.from.as_deref().filter(|_| new);
        let weights = from.map(|path| beginning(path, &config, self.seed)).transpose()?;
        let Halves { train: windows, validation, note } = heldout::read(&self.dataset, &config)?;
        if let Some(note) = note.filter(|_| ranks.leads()) {
            eprintln!("{note}");
        }
        let batch_size = match self.batch_size {
            Some(BatchSize::Of(size)) => size.into(),
            None => config.hparams.batch_size,
            Some(BatchSize::Auto) => {
                let last = snapshot::list(&self.out)?.pop();
                let kept = match last {
                    Some((_, path)) => snapshot::read(&path)?.0.batch_size,
                    None => None,
                };
                match kept {
                    Some(size) => size,
                    None => {
                        let threads = self.threads;
                        let size = batch_size::find(runtime, &config, backend, &windows, threads)?;
                        eprintln!("batches of {size} examples");
                        size
                    }
                }
            }
        };
        let batch = plan::BatchSize { examples: batch_size, is_chosen: self.batch_size.is_some() };
        let plan = course.plan(&config, self.steps, batch, windows.len())?;
        let Plan { schedule, steps, batch_size, grows } = plan;
        if let Some((count, examples)) = grows.filter(|_| ranks.leads()) {
            eprintln!("{count} steps of {examples} windows that grow");
        }
        static STOP: AtomicBool = AtomicBool::new(false);
        let (several, leads) = (ranks.size() > 1, ranks.leads());
        ctrlc::set_handler(move || {
            STOP.store(true, Ordering::Relaxed);
            if several {
                leave(leads);
            }
        })
        .context("cannot listen to Ctrl-C")?;
        let options = Options {
            config,
            out: self.out,
            steps,
            schedule,
            batch_size,
            backend,
            threads: threads(self.threads, ranks),
            seed: self.seed,
            weights,
            resume: self.resume == Resume::Auto,
            log_every: self.log_every,
            save_every: self.save_every,
            evaluate_every: self.evaluate_every,
            evaluate_windows: self.evaluate_windows,
            keep: self.keep,
        };
        run::run(runtime, ranks, &options, &windows, Some(&validation), &STOP)
    }
}

/// The weights of a run, best first, of a file, of a model, or of a checkpoint of the original, widened
/// to the configuration's sizes.
fn beginning(path: &Path, config: &Config, seed: u64) -> anyhow::Result<Weights> {
    let best = path.join(run::BEST);
    let mut weights = if path.extension().is_some_and(|extension| extension == "safetensors") {
        Weights::read(path)?
    } else if best.join(INFO_FILE).is_file() {
        Package::open(&best)?.weights()?
    } else if let Some((_, last)) =
        path.is_dir().then(|| snapshot::list(path)).transpose()?.and_then(|mut all| all.pop())
    {
        Weights::read(&last)?
    } else if path.join(INFO_FILE).is_file() {
        Package::open(path)?.weights()?
    } else {
        Checkpoint::open(path)?.weights()?
    };
    let all = variables(config);
    weights.0.retain(|name, _| all.iter().any(|variable| variable.name == *name));
    let own = widening::measured(config, &weights);
    let narrow = widening::narrower(config, &weights);
    network::check(narrow.as_ref().unwrap_or(config), &weights).with_context(|| {
        format!(
            "`{}` does not fit `{}`; give --config as it was there, and in --hparams as many layers \
             that are as wide or wider than {}",
            path.display(),
            config.name,
            sizes(&own)
        )
    })?;
    Ok(match narrow {
        Some(narrow) => widening::widen(&weights, &narrow, config, seed),
        None => weights,
    })
}

/// The widths of a model's layers and codes as `--hparams` takes them.
fn sizes(config: &Config) -> String {
    let hparams = &config.hparams;
    let own = [
        ("enc_rnn_size", &hparams.enc_rnn_size),
        ("upper_enc_rnn_size", &hparams.upper_enc_rnn_size),
        ("dec_rnn_size", &hparams.dec_rnn_size),
        ("conductor_rnn_size", &hparams.conductor_rnn_size),
    ];
    let own = own.into_iter().filter(|(_, sizes)| !sizes.is_empty());
    let own: String = own.map(|(name, sizes)| format!("{name}={sizes:?},")).collect();
    format!("{own}z_size={}", hparams.z_size)
}

/// Threads of one process: several share the processors, when none are asked for.
fn threads(asked: usize, ranks: &Ranks) -> usize {
    if asked > 0 || ranks.size() == 1 {
        return asked;
    }
    std::thread::available_parallelism().map_or(1, |cores| (cores.get() / ranks.size()).max(1))
}

/// Ends one of several processes that was told to. The others may be gone, and what waits for them
/// waits for ever; `mpirun` kills what has not ended a second after it was told to.
fn leave(leads: bool) {
    std::thread::sleep(GRACE);
    if leads {
        eprintln!(
            "interlude: the run was stopped, or one of its processes was lost; start it again to \
             go on from its last checkpoint"
        );
    }
    std::process::exit(INTERRUPTED);
}
