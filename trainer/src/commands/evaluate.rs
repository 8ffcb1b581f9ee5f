//! `interlude evaluate`.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::config::Config;
use interlude_models::engine::{Engine, EngineOptions};
use interlude_models::package::Package;
use interlude_models::runtime::{Provider, Runtime};
use interlude_models::tokens::Window;

use super::common::{self, Shared};
use crate::evaluate::report::Report;
use crate::evaluate::{chosen, interpolation, prior, reconstruction};
use interlude_dataset::{Split, Windows, heldout, store};

/// Windows and samples that the picture shows.
const EXAMPLES: usize = 4;

/// Measure a model on a dataset: reconstruction, samples, interpolations.
#[derive(Args, Debug)]
pub struct Evaluate {
    /// The model folder, as `interlude import` or `interlude train` writes it.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Folder of the dataset.
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Split of its windows.
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// Windows to reconstruct, spread evenly over all; 0 takes all.
    #[arg(long, default_value_t = 2048)]
    windows: usize,
    /// Codes to draw from the prior.
    #[arg(long, default_value_t = 256)]
    samples: usize,
    /// Softmax temperature of the samples.
    #[arg(long, default_value_t = 0.5)]
    temperature: f32,
    /// Pairs of windows to interpolate.
    #[arg(long, default_value_t = 32)]
    pairs: usize,
    /// Seed of samples and pairs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads of one operator; 0 takes as many as there are cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
    /// File to write the figures to as JSON; `-` writes them to standard output instead of the
    /// table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// File to draw the figures and some of the music to (.svg).
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// Splits of a dataset.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Windows that weights were trained on.
    Train,
    /// Windows that training was monitored with.
    Validation,
    /// Windows that no decision was based on.
    Test,
    /// All of them together.
    All,
}

impl Part {
    fn splits(self) -> &'static [Split] {
        match self {
            Self::Train => &[Split::Train],
            Self::Validation => &[Split::Validation],
            Self::Test => &[Split::Test],
            Self::All => &Split::ALL,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self.splits() {
            [split] => split.name(),
            _ => "all",
        }
    }

    /// Windows for training of a dataset, at most `count`, spread evenly over all; 0 takes all. There
    /// is at least one.
    pub(super) fn learn(
        dataset: &Path,
        config: &Config,
        count: usize,
    ) -> anyhow::Result<Vec<Window>> {
        Ok(chosen(config, &heldout::train(dataset, config)?, count))
    }

    /// Windows of a dataset that were chosen with `--split`, at most `count`, spread evenly over all; 0
    /// takes all. There is at least one.
    pub(super) fn read(
        self,
        dataset: &Path,
        config: &Config,
        count: usize,
    ) -> anyhow::Result<Vec<Window>> {
        let mut windows: Option<Windows> = None;
        for &split in self.splits() {
            let more = store::read(dataset, split, config)?;
            match &mut windows {
                Some(windows) => (0..more.len()).for_each(|index| windows.push(more.get(index))),
                None => windows = Some(more),
            }
        }
        let windows = windows.context("there is at least one split")?;
        if windows.is_empty() {
            bail!(
                "`{}` has no window for {} ({}); choose another --split",
                dataset.display(),
                self.name(),
                store::counted(dataset)
            );
        }
        Ok(chosen(config, &windows, count))
    }
}

impl Evaluate {
    /// Runs the command.
    ///
    /// # Errors
    /// When the model or the dataset cannot be read, do not belong together, or hold nothing.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            bail!("--temperature must be 0 or above, it is {}", self.temperature);
        }
        let package = Package::open(&self.model)?;
        let config = &package.info.config;
        let windows = self.split.read(&self.dataset, config, self.windows)?;
        let name = self.split.name();
        let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
        let options = EngineOptions { provider: Provider::Cpu, threads: self.threads };
        let mut engine = Engine::load(runtime, &package, &options)?;

        let bar = ProgressBar::new(windows.len() as u64);
        bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {pos} of {len}, {eta} left")?);
        bar.set_message("windows");
        let reconstruction = reconstruction::run(&mut engine, &windows, EXAMPLES, &|done| {
            bar.set_position(done as u64);
        })?;
        bar.set_style(ProgressStyle::with_template("{spinner} {msg}")?);
        bar.set_message("samples and blends");
        bar.tick();
        let drawing = prior::Drawing { temperature: self.temperature, seed: self.seed };
        let prior = prior::run(&mut engine, &windows, self.samples, drawing, EXAMPLES)?;
        let interpolation = interpolation::run(&mut engine, &windows, self.pairs, self.seed)?;
        bar.finish_and_clear();
        let report = Report {
            model: self.model.display().to_string(),
            dataset: self.dataset.display().to_string(),
            split: name.to_owned(),
            config: config.name.clone(),
            reconstruction,
            prior,
            interpolation,
        };
        if let Some(path) = &self.picture {
            write(path, &report.picture(config).svg())?;
        }
        match &self.json {
            Some(path) if path == Path::new("-") => {
                return common::print(&(serde_json::to_string_pretty(&report)? + "\n"));
            }
            Some(path) => write(path, &(serde_json::to_string_pretty(&report)? + "\n"))?,
            None => {}
        }
        common::print(&report.table())
    }
}

/// Writes a text file, whole or not at all.
fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    interlude_models::files::write(path, text.as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))
}
