//! `interlude prior`: a learned prior for a model.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use interlude_gradient::flow::Settings;
use interlude_gradient::velocity::Sizes;
use interlude_models::config::Config;
use interlude_models::engine::Engine;
use interlude_models::latent::flow::{Conditions, FILE, Flow, sizes, sizes_of_parts};
use interlude_models::package::Package;
use interlude_models::runtime::Runtime;

use super::card;
use super::common::{self, Shared};
use super::generate::Model;
use crate::prior::bars::{Bars, Basis};
use crate::prior::codes::Codes;
use crate::prior::conditions::Measures;
use crate::prior::pieces::{self, Pieces};
use crate::prior::run::{self, CODES, End, Options};
use interlude_dataset::Split;

/// Exit status after Ctrl-C, as shells expect it.
const INTERRUPTED: i32 = 130;
/// Minimum number of training windows.
const LEAST_WINDOWS: usize = 64;
/// Windows from which on a network has this width and number of blocks.
const NETWORKS: [(usize, [usize; 2]); 3] = [(40_000, [384, 4]), (4_000, [256, 3]), (0, [128, 2])];
/// Windows that are held out at most.
const HELD_OUT: usize = 2048;
/// The same of networks over the bars of codes.
const NETWORKS_OF_BARS: [(usize, [usize; 2]); 3] =
    [(40_000, [192, 4]), (4_000, [160, 3]), (0, [96, 2])];

/// Train a learned prior: the distribution of the latent codes of real music.
///
/// A flow from normal noise to the codes of a dataset's windows, conditioned on their key, density
/// and other attributes, and on the windows before and after. It is stored in the model's folder;
/// `interlude generate` and the plug-in then draw samples from it and interpolate through it.
/// Ctrl-C saves a checkpoint, the same command resumes.
#[derive(Args, Debug)]
pub struct Prior {
    #[command(flatten)]
    model: Model,
    /// Folder of the dataset.
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Folder of the run: codes, checkpoint, metrics [default: the model's folder with -prior].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Training windows; 0 takes all.
    #[arg(long, default_value_t = 200_000)]
    windows: usize,
    /// How often each window is taken, each time in another key; more than once where windows are few.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    keys: u16,
    /// Total number of steps; a resumed run may be given another.
    #[arg(long, default_value_t = 50_000)]
    steps: u64,
    /// Windows in a step.
    #[arg(long, default_value_t = 384, value_parser = clap::value_parser!(u16).range(1..))]
    batch_size: u16,
    /// Learning rate; it falls in the second half.
    #[arg(long, default_value_t = 0.001)]
    learning_rate: f32,
    /// Units of each layer [default: by the number of windows].
    #[arg(long, value_parser = clap::value_parser!(u16).range(8..=2048))]
    width: Option<u16>,
    /// Residual blocks [default: by the number of windows].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=64))]
    blocks: Option<u16>,
    /// Use the prior for samples only, not for interpolations.
    #[arg(long)]
    samples_only: bool,
    /// Seed of transposition, initial weights, order and noise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two checkpoints.
    #[arg(long, default_value_t = 120.0)]
    save_every: f64,
    /// Steps between two evaluations on held-out windows.
    #[arg(long, default_value_t = 1000)]
    evaluate_every: u64,
}

impl Prior {
    /// Runs the command.
    ///
    /// # Errors
    /// When the model or the dataset cannot be read, do not belong together, or hold too little.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let positive = |value: f32| value.is_finite() && value > 0.0;
        if self.steps == 0 || self.evaluate_every == 0 || !positive(self.learning_rate) {
            bail!("--steps, --evaluate-every and --learning-rate must be above 0");
        }
        let package = self.model.open()?;
        let config = &package.info.config;
        let out = self.out.clone().unwrap_or_else(|| {
            let mut name = package.dir.file_name().unwrap_or_default().to_owned();
            name.push("-prior");
            package.dir.with_file_name(name)
        });
        std::fs::create_dir_all(&out)
            .with_context(|| format!("cannot make the folder `{}`", out.display()))?;
        static STOP: AtomicBool = AtomicBool::new(false);
        ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed))
            .context("cannot listen to Ctrl-C")?;

        let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
        let amount = (self.windows, self.keys.into());
        let taken = pieces::read(&self.dataset, Split::Train, config, amount, self.seed)?;
        let count = taken.windows.len();
        if count < LEAST_WINDOWS {
            bail!(
                "`{}` has {count} windows to learn from; a prior needs {LEAST_WINDOWS} at least, and \
                 {} for a network of full size",
                self.dataset.display(),
                NETWORKS[0].0
            );
        }
        let measures = Measures::of(config);
        let (list, classes) = measures.conditions(&taken.windows);
        let latent = config.hparams.z_size;
        let conditions = Conditions::new(list, latent).map_err(anyhow::Error::msg)?;
        let space = package.info.latent_space();
        let dataset = card::place(&self.dataset);
        let source = format!("{space}, {count} windows of {dataset} with seed {},", self.seed);
        // A folder of another run is told before windows are encoded.
        let done = run::done(&out, &source)?;

        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(2));
        bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {pos} of {len}, {eta} left")?);
        let path = out.join(CODES);
        let codes = match Codes::read(&path, &source) {
            Some(codes) => codes,
            None => {
                let mut engine = self.model.load(shared, &package)?;
                let codes = self.encode(&mut engine, &taken, classes, &bar)?;
                codes
                    .write(&path, &source)
                    .with_context(|| format!("cannot write `{}`", path.display()))?;
                codes
            }
        };
        drop(taken);
        let amount = (HELD_OUT, 1);
        let others = pieces::read(&self.dataset, Split::Validation, config, amount, self.seed)?;
        let classes = measures.classes(conditions.list(), &others.windows);
        let mut engine = self.model.load(shared, &package)?;
        let held_out = Codes::encode(&mut engine, &others, classes, &mut |_| {})?;
        drop(engine);

        let sizes = self.sizes(config, &conditions, &codes);
        let options = Options {
            out: out.clone(),
            origin: format!("{source} {}", told(sizes)),
            space: space.clone(),
            settings: Settings {
                sizes,
                batch: self.batch_size.into(),
                steps: self.steps,
                learning_rate: self.learning_rate,
                seed: self.seed,
            },
            save_every: Duration::from_secs_f64(self.save_every.clamp(0.0, 1e9)),
            evaluate_every: self.evaluate_every,
        };
        bar.set_message("steps");
        bar.set_length(self.steps);
        bar.set_position(done);
        bar.reset_eta();
        let say =
            |text: String| if bar.is_hidden() { eprintln!("{text}") } else { bar.println(text) };
        let end = run::run(
            runtime,
            &options,
            &conditions,
            (&codes, Some(&held_out)),
            &STOP,
            &mut |step, line| {
                bar.set_position(step);
                if let Some(line) = line {
                    let held_out = line
                        .held_out
                        .map_or(String::new(), |error| format!(", held out {error:.4}"));
                    let minutes = line.seconds / 60.0;
                    say(format!("step {step}, {minutes:.1} min: error {:.4}{held_out}", line.loss));
                }
            },
        )?;
        bar.finish_and_clear();
        if !end.finished {
            eprintln!(
                "stopped after {} of {} steps; the same command goes on",
                end.step, self.steps
            );
            std::process::exit(INTERRUPTED);
        }
        let flow = Flow::read(&out.join(FILE), &space, latent)?.with_blends(!self.samples_only);
        flow.write(&package.dir.join(FILE))?;
        card::put(&package.dir, "prior", &self.section(&package, &flow, count, &end))?;
        let place = package.dir.join(FILE);
        common::print(&format!("wrote {}\n", place.display()))
    }

    /// Encodes windows, those of hierarchical models bar by bar if their codes tell bars apart.
    fn encode(
        &self,
        engine: &mut Engine,
        taken: &Pieces,
        classes: Vec<Vec<Option<usize>>>,
        bar: &ProgressBar,
    ) -> anyhow::Result<Codes> {
        let config = engine.config().clone();
        let begin = |what: &'static str, count: usize| {
            bar.set_message(what);
            bar.set_length(count as u64);
            bar.set_position(0);
        };
        let mut encoded = |windows: usize| bar.inc(windows as u64);
        if config.is_hierarchical() {
            let bars = Bars::of(&config, &taken.windows);
            begin("windows of any bars", Basis::windows(config.hparams.z_size));
            if let Some(basis) = Basis::find(engine, &bars, self.seed, &mut encoded)? {
                begin("windows of all bars", bars.bars.len().div_ceil(bars.parts));
                let (told, count) = (100.0 * basis.told, bars.bars.len());
                eprintln!("codes tell {told:.1} % of what is in a bar; {count} different bars");
                return Ok(Codes::of_bars(engine, taken, classes, (bars, &basis), &mut encoded)?);
            }
            eprintln!("the bars of codes cannot be told apart: the prior takes codes as a whole");
        }
        begin("windows", taken.windows.len());
        Ok(Codes::encode(engine, taken, classes, &mut encoded)?)
    }

    /// The network's sizes: as asked for, else by the number of windows.
    fn sizes(&self, config: &Config, conditions: &Conditions, codes: &Codes) -> Sizes {
        let (latent, count) = (config.hparams.z_size, codes.len());
        let of_bars = codes.basis().iter().next().is_some();
        let networks = if of_bars { NETWORKS_OF_BARS } else { NETWORKS };
        let (full, [most_width, most_blocks]) = networks[0];
        let (_, [width, blocks]) =
            networks.into_iter().find(|(least, _)| count >= *least).unwrap_or(networks[2]);
        if count < full && self.width.is_none() && self.blocks.is_none() {
            eprintln!(
                "{count} windows: a network of {blocks} blocks {width} wide; from {full} windows on it \
                 would have {most_blocks} of {most_width}"
            );
        }
        let width = self.width.map_or(width, usize::from);
        let blocks = self.blocks.map_or(blocks, usize::from);
        if of_bars {
            sizes_of_parts((config.segments(), latent), conditions, width, blocks)
        } else {
            sizes(latent, conditions, width, blocks)
        }
    }

    /// The section of the model card, as Markdown.
    fn section(&self, package: &Package, flow: &Flow, windows: usize, end: &End) -> String {
        let names: Vec<&str> =
            flow.conditions().list().iter().map(|condition| condition.name.as_str()).collect();
        let best = end.best.map_or(String::new(), |(error, step)| {
            format!(", kept after step {step} with an error of {error:.4} on held-out windows")
        });
        let dataset = card::place(&self.dataset);
        let name = package.dir.file_name().unwrap_or_default().to_string_lossy();
        format!(
            "## Prior\n\n`{FILE}` is a learned prior: a flow that carries normal noise to the aggregate \
             posterior (conditional flow matching). It has {} 16-bit weights and was trained on {windows} \
             windows in {} steps of {} in {:.0} minutes{best}. It can be conditioned on: {}; and the \
             windows before and after.\n\nMade with\n\n```sh\ninterlude prior --model {name} --dataset {dataset} --windows {}{} --steps {} \
             --batch-size {} --learning-rate {} --seed {}{}\n```\n",
            flow.weight_count(),
            end.step,
            self.batch_size,
            end.minutes,
            names.join(", "),
            self.windows,
            if self.keys > 1 { format!(" --keys {}", self.keys) } else { String::new() },
            self.steps,
            self.batch_size,
            self.learning_rate,
            self.seed,
            if self.samples_only { " --samples-only" } else { "" }
        )
    }
}

/// A network in words.
fn told(sizes: Sizes) -> String {
    match sizes {
        Sizes::Whole(sizes) => format!("{} blocks {} wide", sizes.blocks, sizes.width),
        Sizes::Parts(sizes) => {
            format!("{} blocks {} wide over {} bars", sizes.blocks, sizes.width, sizes.parts)
        }
    }
}
