//! `interlude personal`: a small model of a few clips within the latent space of a large one.

use std::fmt::Write;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use interlude_gradient::autoencoder::{self, Example, Settings};
use interlude_models::config::Config;
use interlude_models::engine::Engine;
use interlude_models::latent::personal::Personal;
use interlude_models::latent::prior;
use interlude_models::midi::begins_like_midi;
use interlude_models::package::Package;
use interlude_models::runtime::Runtime;
use interlude_models::tokens::{Controls, Tokens};
use serde::Serialize;

use super::common::{self, Shared};
use super::generate::{Model, Reading, temperature};
use crate::evaluate::resemblance::Resemblance;
use crate::generate::input::{self, Input};
use crate::generate::{self, decode};

/// Train a personal model of a few MIDI files, in seconds.
///
/// An autoencoder of the latent codes of the files (MidiMe, Dinculescu et al. 2019); `interlude
/// generate sample --personal` and the plug-in draw new music from it. Prints how its samples
/// compare with the files and with samples of the prior.
#[derive(Args, Debug)]
pub struct Command {
    #[command(flatten)]
    model: Model,
    /// MIDI files, or folders of MIDI files; all windows in them are used. A file that cannot be
    /// used is reported and left out.
    #[arg(long, required = true, num_args = 1.., value_name = "MIDI")]
    input: Vec<PathBuf>,
    #[command(flatten)]
    reading: Reading,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Steps of training.
    #[arg(long, default_value_t = Settings::default().steps)]
    steps: usize,
    /// Seed of training and samples.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Samples to compare; 0 skips the comparison.
    #[arg(long, default_value_t = 64)]
    samples: usize,
    /// Softmax temperature of the compared samples.
    #[arg(long, default_value_t = 0.5, value_parser = temperature)]
    temperature: f32,
    /// Print the comparison as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

/// What the command tells.
#[derive(Debug, Serialize)]
struct Report {
    /// Windows learnt from.
    windows: usize,
    seconds: f64,
    /// Mean squared error of a latent dimension, as a share of its variance.
    error: f32,
    /// KL divergence of the small code from its prior, in bits.
    bits: f32,
    /// The files themselves, their reconstructions by the personal model, its samples and those of
    /// the prior.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    comparison: Vec<(&'static str, Resemblance)>,
}

impl Command {
    /// Trains, writes the file and compares.
    ///
    /// # Errors
    /// When the model or a file cannot be read, a file holds no window, or the place cannot be
    /// written to.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        if self.steps == 0 {
            bail!("--steps must be 1 or above");
        }
        let package = self.model.open()?;
        let config = &package.info.config;
        let inputs = self.inputs(config)?;
        let mut engine = self.model.load(shared, &package)?;
        let codes = input::encode(&mut engine, &inputs)?;

        let settings = Settings { steps: self.steps, seed: self.seed };
        let progress = ProgressBar::new(self.steps as u64);
        progress.set_style(ProgressStyle::with_template("{bar:30} {pos} of {len}, {eta} left")?);
        let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
        let begun = Instant::now();
        let mut last = None;
        let space = package.info.latent_space();
        let examples = codes.iter().cloned().map(Example::from).collect();
        let trained = autoencoder::train(runtime, examples, settings, &mut |state| {
            progress.set_position(state.done as u64);
            last = Some(state);
            ControlFlow::Continue(())
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        progress.finish_and_clear();
        let (weights, last) =
            trained.zip(last).context("the training ended before its first step")?;
        let personal = Personal::of(space, weights)?;
        personal.write(&self.out)?;

        let mut report = Report {
            windows: inputs.len(),
            seconds,
            error: last.error,
            bits: last.divergence / std::f32::consts::LN_2,
            comparison: Vec::new(),
        };
        if self.samples > 0 {
            let means: Vec<Vec<f32>> = codes.into_iter().map(|code| code.mu).collect();
            report.comparison = self.compare(&package, &mut engine, &inputs, &means, &personal)?;
        }
        if self.json {
            return common::print(&(serde_json::to_string_pretty(&report)? + "\n"));
        }
        common::print(&(report.table() + &format!("wrote {}\n", self.out.display())))
    }

    /// The windows of all files that can be used; the error is that of the only one, or says that none
    /// can be.
    fn inputs(&self, config: &Config) -> anyhow::Result<Vec<Input>> {
        let mut paths = Vec::new();
        for path in &self.input {
            match path.is_dir() {
                true => paths.extend(files_in(path)?),
                false => paths.push(path.clone()),
            }
        }
        let reader = self.reading.of(config);
        let mut inputs = Vec::new();
        for path in &paths {
            match reader.windows(path) {
                Ok(windows) => inputs.extend(windows),
                Err(error) if paths.len() == 1 => return Err(error.into()),
                Err(error) => eprintln!("interlude: {error}; it is left out"),
            }
        }
        if inputs.is_empty() {
            bail!("none of the {} files can be learnt from", paths.len());
        }
        Ok(inputs)
    }

    fn compare(
        &self,
        package: &Package,
        engine: &mut Engine,
        inputs: &[Input],
        means: &[Vec<f32>],
        personal: &Personal,
    ) -> anyhow::Result<Vec<(&'static str, Resemblance)>> {
        let config = &package.info.config;
        // Drawn with replacement no window would say more than once.
        let count = inputs.len().min(self.samples);
        let chosen: Vec<usize> = (0..count).map(|n| n * inputs.len() / count).collect();
        let clips: Vec<Tokens> = inputs.iter().map(|input| input.window.tokens.clone()).collect();
        let controls = |index: usize| inputs[index % inputs.len()].window.controls.clone();
        let mut made = |codes: Vec<Vec<f32>>, controls: Vec<Option<Controls>>| {
            let settings = generate::Settings {
                temperature: self.temperature,
                batch_size: 64,
                seed: self.seed,
                tastes: Vec::new(),
                steering: None,
                repeats: Vec::new(),
            };
            decode(engine, &codes, &controls, &settings, &mut |_| {})
        };
        let all = 0..self.samples as u64;
        let again = chosen.iter().map(|&index| personal.decode(&personal.encode(&means[index])));
        let again = made(again.collect(), chosen.iter().map(|&index| controls(index)).collect())?;
        let given: Vec<_> = (0..self.samples).map(controls).collect();
        let mine = all.clone().map(|index| personal.sample(self.seed, index, 1.0)).collect();
        let mine = made(mine, given.clone())?;
        let drawn = all.map(|index| prior(self.seed, index, config.hparams.z_size)).collect();
        let drawn = made(drawn, given)?;
        let of = |windows: &[Tokens]| Resemblance::of(config, &clips, windows, false);
        Ok(vec![
            ("files", Resemblance::of(config, &clips, &clips, true)),
            ("files through the model", of(&again)),
            ("samples of the model", of(&mine)),
            ("samples of the prior", of(&drawn)),
        ])
    }
}

/// The MIDI files in a folder, in the order of their names; at least one.
fn files_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read the folder {}", folder.display());
    let entries = std::fs::read_dir(folder).with_context(unreadable)?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(unreadable)?.path();
        // Other files, and what cannot be read, are none of these.
        if !path.is_file() {
            continue;
        }
        let mut head = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(12).read_to_end(&mut head));
        if read.is_ok() && begins_like_midi(&head) {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        bail!("{} is a folder without MIDI files; name some", folder.display());
    }
    paths.sort();
    Ok(paths)
}

impl Report {
    fn table(&self) -> String {
        let mut text = format!(
            "learnt from {} windows in {:.1} s: {:.0} % of the codes' variance told by {:.1} bits\n",
            self.windows,
            self.seconds,
            100.0 * (1.0 - self.error),
            self.bits
        );
        if !self.comparison.is_empty() {
            let names = "pitch distance, notes per bar, in scale, nearest, spread, distinct";
            text += &format!("{:25}", "");
            for name in names.split(", ") {
                let _ = write!(text, "{name:>16}");
            }
            text += "\n";
        }
        for (name, is) in &self.comparison {
            let _ = write!(text, "{name:25}");
            for value in [
                is.pitch_distance,
                is.notes_per_bar,
                is.in_scale,
                is.nearest,
                is.spread,
                is.distinct,
            ] {
                let _ = write!(text, "{value:>16.2}");
            }
            text += "\n";
        }
        text
    }
}
