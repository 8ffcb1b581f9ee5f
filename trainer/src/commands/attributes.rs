//! `interlude attributes`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::attributes;
use interlude_models::engine::{Engine, EngineOptions};
use interlude_models::latent::attributes::{Attributes as Directions, FILE};
use interlude_models::package::Package;
use interlude_models::runtime::{Provider, Runtime};
use interlude_models::tokens::Window;

use super::card;
use super::common::{self, Shared};
use super::evaluate::Part;
use crate::attributes::report::Report;
use crate::attributes::{Found, Method, check, find, work};

/// Approximate number of windows that attribute vectors are chosen with.
const CHOICE_WINDOWS: usize = 256;

/// Compute attribute vectors: directions in latent space that change one attribute of the music,
/// such as its density.
///
/// They are computed from training windows and checked on other clips. Those along which their
/// attribute rises are written to `attributes.safetensors` in the model's folder; what each does to
/// every attribute (crosstalk) is added to the model card.
#[derive(Args, Debug)]
pub struct Attributes {
    /// The model folder, as `interlude import` or `interlude train` writes it.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Folder of the dataset.
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Training windows to compute the vectors from, spread evenly over all; 0 takes all.
    #[arg(long, default_value_t = 8192)]
    windows: usize,
    /// Windows of --split to check them on, spread evenly over all; 0 takes all.
    #[arg(long, default_value_t = 512)]
    clips: usize,
    /// Split that the vectors are checked on.
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// How the vectors are computed.
    #[arg(long, value_enum, default_value_t)]
    method: Method,
    /// How far `--method response` moves codes, as a share of their distance from the mean code. Of
    /// several (1,0.2) the first is taken along which an attribute rises.
    #[arg(long, value_name = "SHARE", value_delimiter = ',', default_value = "1", value_parser = reach)]
    reach: Vec<f64>,
    /// Seed of the pairing of codes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads of one operator; 0 takes as many as there are cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// Only measure; do not change the model's folder.
    #[arg(long)]
    dry_run: bool,
    /// File to write the figures to as JSON; `-` writes them to standard output instead of the
    /// table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// File to draw the effect of each vector to (.svg).
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

impl Attributes {
    /// Runs the command.
    ///
    /// # Errors
    /// When the model or the dataset cannot be read, do not belong together, or hold nothing.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = Package::open(&self.model)?;
        let config = &package.info.config;
        let windows = Part::learn(&self.dataset, config, self.windows)?;
        let clips = self.split.read(&self.dataset, config, self.clips)?;
        let measures = attributes::of_config(config);
        if windows.len() < config.hparams.z_size {
            eprintln!(
                "only {} windows for {} dimensions: directions will be rough",
                windows.len(),
                config.hparams.z_size
            );
        }
        let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
        let options = EngineOptions { provider: Provider::Cpu, threads: self.threads };
        let mut engine = Engine::load(runtime, &package, &options)?;

        let bar = ProgressBar::new(work(windows.len(), self.method, self.reach.len()) as u64);
        bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {percent} %, {eta} left")?);
        bar.set_message("directions");
        let mut progress = |count: usize| bar.inc(count as u64);
        let (method, reaches) = (self.method, &self.reach);
        let Found { candidates, missing } =
            find(&mut engine, &windows, &measures, method, reaches, self.seed, &mut progress)?;
        // Some of the windows, spread over all of them, tell along which directions attributes rise.
        let apart = (windows.len() / CHOICE_WINDOWS).max(1);
        let some: Vec<Window> = windows.iter().step_by(apart).cloned().collect();
        bar.set_message("choice");
        bar.set_length((some.len() * candidates.len() * check::AMOUNTS.len()) as u64);
        bar.reset();
        let chosen = check::choose(&mut engine, &some, candidates, &mut progress)?;
        let (found, chosen): (Vec<_>, Vec<_>) =
            chosen.into_iter().map(|(measure, attribute, how)| ((measure, attribute), how)).unzip();
        bar.set_message("check");
        bar.set_length((clips.len() * found.len() * check::AMOUNTS.len()) as u64);
        bar.reset();
        let outcomes = check::run(&mut engine, &clips, &found, &mut progress)?;
        bar.finish_and_clear();

        let stored = found.into_iter().zip(&outcomes).filter(|(_, outcome)| outcome.monotonic);
        let stored = stored.map(|((_, attribute), _)| attribute).collect();
        let stored = Directions::new(stored, config.hparams.z_size).map_err(anyhow::Error::msg)?;
        let report = Report {
            model: self.model.display().to_string(),
            dataset: self.dataset.display().to_string(),
            config: config.name.clone(),
            method: self.method,
            windows: windows.len(),
            split: self.split.name().to_owned(),
            clips: clips.len(),
            seed: self.seed,
            amounts: check::AMOUNTS,
            reaches: self.reach,
            chosen,
            attributes: outcomes,
            missing,
        };
        if let Some(path) = &self.picture {
            write(path, report.picture().svg().as_bytes())?;
        }
        let json = serde_json::to_string_pretty(&report)? + "\n";
        match &self.json {
            Some(path) if path == Path::new("-") => common::print(&json)?,
            Some(path) => write(path, json.as_bytes())?,
            None => {}
        }
        if self.json.as_deref() != Some(Path::new("-")) {
            common::print(&report.table())?;
        }
        if self.dry_run {
            return Ok(());
        }
        if stored.is_empty() {
            bail!("no direction moves its attribute; the model's folder stays as it is");
        }
        stored.write(&package.dir.join(FILE))?;
        let places = [&self.model, &self.dataset].map(|folder| card::place(folder));
        card::put(&package.dir, "attributes", &report.section(&places))
    }
}

fn reach(text: &str) -> Result<f64, String> {
    let share = text.parse::<f64>().ok().filter(|share| (0.01..=2.0).contains(share));
    share.ok_or_else(|| "it is a number from 0.01 to 2".to_owned())
}

/// Writes a file, whole or not at all.
fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    interlude_models::files::write(path, content)
        .with_context(|| format!("cannot write `{}`", path.display()))
}
