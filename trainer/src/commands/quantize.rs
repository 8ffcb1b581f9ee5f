//! `interlude quantize`: a model with int8 weights, and what that costs.

use std::fmt::Write;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::engine::{DecodeSettings, Engine, EngineOptions, NoiseKey};
use interlude_models::latent::prior;
use interlude_models::network::Part;
use interlude_models::package::{CARD_FILE, Package};
use interlude_models::runtime::{Provider, Runtime};
use interlude_models::tokens::{Controls, Window};
use serde::Serialize;

use super::common::{self, Shared};
use super::evaluate;
use crate::evaluate::reconstruction::{self, Reconstruction};

/// Decodings of which the fastest counts.
const RUNS: u64 = 15;

/// Quantise a model to int8 weights, a quarter of the size, and measure what that costs.
///
/// Size and speed are compared, with a dataset also reconstruction. The new model loads wherever
/// the old one does.
#[derive(Args, Debug)]
pub struct Quantize {
    /// The model folder, as `interlude import` or `interlude train` writes it.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Model folder to write; an existing model is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Folder of a dataset to compare reconstructions on.
    #[arg(long, value_name = "DIR")]
    dataset: Option<PathBuf>,
    /// Split of its windows.
    #[arg(long, value_enum, default_value_t = evaluate::Part::Test)]
    split: evaluate::Part,
    /// Windows to reconstruct, spread evenly over all; 0 takes all.
    #[arg(long, default_value_t = 1024)]
    windows: usize,
    /// Threads of one operator; 0 takes as many as there are cores.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Print the comparison as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// One of the two models in numbers.
#[derive(Debug, Serialize)]
struct Measured {
    /// Bytes of all graphs and weights.
    bytes: u64,
    /// Milliseconds for one step of decoding one example, the fastest of some.
    milliseconds_per_step: f64,
    /// Reconstruction of the windows of a dataset, where one is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    reconstruction: Option<Reconstruction>,
}

#[derive(Debug, Serialize)]
struct Comparison {
    model: String,
    float32: Measured,
    int8: Measured,
}

impl Quantize {
    /// Writes the new model, whole or not at all.
    ///
    /// # Errors
    /// When the model cannot be read, is quantised already or was written by another program, and
    /// when the dataset does not belong to it.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = Package::open(&self.model)?;
        let same = |path: &Path| path.canonicalize().ok();
        if same(&self.model) == same(&self.out) {
            bail!("{} is the model itself; choose another --out", self.out.display());
        }
        let windows = match &self.dataset {
            Some(dataset) => self.split.read(dataset, &package.info.config, self.windows)?,
            None => Vec::new(),
        };
        let mut info = package.info.clone();
        info.provenance.source.push_str("; weights quantised to int8");
        // Qualities are those of the old weights.
        info.metrics.retain(|name, _| name.starts_with("training_"));
        let temporary = tempfile::tempdir().context("cannot make a temporary folder")?;
        let small = package.quantise(&temporary.path().join("model"), &info, "")?;

        let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
        let comparison = Comparison {
            model: self.model.display().to_string(),
            float32: self.measure(runtime, &package, &windows, "float32")?,
            int8: self.measure(runtime, &small, &windows, "int8")?,
        };
        if let Some(reconstruction) = &comparison.int8.reconstruction {
            info.metrics.extend(reconstruction.scores.by_name());
        }
        let old = fs::read_to_string(package.dir.join(CARD_FILE)).unwrap_or_default();
        let name = self.model.file_name().unwrap_or_default().to_string_lossy();
        let table = comparison.table();
        let card = format!(
            "{old}\n## int8 weights\n\nMade from `{name}` by `interlude quantize`. What stands \
             above was measured before.\n\n{table}"
        );
        package.quantise(&self.out, &info, card.trim_start())?;
        if self.json {
            return common::print(&(serde_json::to_string_pretty(&comparison)? + "\n"));
        }
        common::print(&format!("{table}wrote {}\n", self.out.display()))
    }

    fn measure(
        &self,
        runtime: &Runtime,
        package: &Package,
        windows: &[Window],
        what: &'static str,
    ) -> anyhow::Result<Measured> {
        let options = EngineOptions { provider: Provider::Cpu, threads: self.threads };
        let mut engine = Engine::load(runtime, package, &options)?;
        let milliseconds_per_step = milliseconds_per_step(&mut engine)?;
        let reconstruction = if windows.is_empty() {
            None
        } else {
            let bar = ProgressBar::new(windows.len() as u64);
            let style = "{msg} {bar:30} {pos} of {len}, {eta} left";
            bar.set_style(ProgressStyle::with_template(style)?);
            bar.set_message(what);
            let done = |done| bar.set_position(done as u64);
            let reconstruction = reconstruction::run(&mut engine, windows, 0, &done)?;
            bar.finish_and_clear();
            Some(reconstruction)
        };
        Ok(Measured { bytes: bytes(package)?, milliseconds_per_step, reconstruction })
    }
}

/// Bytes of a model's graphs and weights.
fn bytes(package: &Package) -> anyhow::Result<u64> {
    let mut sum = 0;
    for part in Part::all(&package.info.config) {
        for file in [part.file(), &part.data_file()] {
            let path = package.dir.join(file);
            let read = || format!("cannot read {}", path.display());
            sum += fs::metadata(&path).with_context(read)?.len();
        }
    }
    Ok(sum)
}

fn milliseconds_per_step(engine: &mut Engine) -> anyhow::Result<f64> {
    let config = engine.config().clone();
    let steps = config.hparams.max_seq_len;
    let mut fastest = f64::INFINITY;
    for run in 0..RUNS {
        let settings = DecodeSettings {
            keys: vec![NoiseKey { seed: 1, cycle: 0 }],
            controls: Controls::none(&config, steps).map(|none| vec![none]),
            ..DecodeSettings::default()
        };
        let code = prior(1, run, config.hparams.z_size);
        let start = Instant::now();
        engine.decode(&[code], &settings, &mut |_| ControlFlow::Continue(()))?;
        let steps = u32::try_from(steps).context("a window has fewer steps")?;
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e3 / f64::from(steps));
    }
    Ok(fastest)
}

impl Comparison {
    /// The two models side by side, as a table in Markdown.
    fn table(&self) -> String {
        let [old, new] = [&self.float32, &self.int8];
        let mut text = String::from("| | float32 | int8 |\n| --- | --- | --- |\n");
        let mut row = |name: &str, old: String, new: String| {
            let _ = writeln!(text, "| {name} | {old} | {new} |");
        };
        #[expect(clippy::cast_precision_loss, reason = "a file has less than 2^53 bytes")]
        let size = |measured: &Measured| format!("{:.2} MB", measured.bytes as f64 / 1e6);
        row("size", size(old), size(new));
        let speed = |measured: &Measured| format!("{:.3} ms", measured.milliseconds_per_step);
        row("one step", speed(old), speed(new));
        if let (Some(old), Some(new)) = (&old.reconstruction, &new.reconstruction) {
            let (old, new) = (&old.scores, &new.scores);
            for ((name, old), new) in old.by_name().into_iter().zip(new.by_name().into_values()) {
                row(&name, format!("{old:.4}"), format!("{new:.4} ({:+.4})", new - old));
            }
            row("windows", old.windows.to_string(), new.windows.to_string());
        }
        text
    }
}
