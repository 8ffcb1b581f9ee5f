//! `interlude constrain`: trains a constraint actor and compares samples with and without it.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::latent::constraint::{Constraint, FILE, Range};
use interlude_models::runtime::Runtime;
use serde::Serialize;

use super::card;
use super::common::{self, Shared};
use super::evaluate::Part;
use super::generate::{Model, temperature};
use crate::constrain::comparison::{self, Row, Sampling};
use crate::constrain::{self, Settings};
use crate::evaluate::posteriors;

/// Train an actor that moves codes of the prior to the region of codes of real music.
///
/// Latent constraints (Engel, Hoffman and Roberts 2017): a critic learns to distinguish codes of
/// music from codes of the prior, and an actor learns to satisfy it. The actor is stored in the
/// model's folder; `interlude generate sample --constrained` uses it, with low or high attributes
/// on request. Prints how samples compare with and without it, and adds that to the model card.
#[derive(Args, Debug)]
pub struct Constrain {
    #[command(flatten)]
    model: Model,
    /// Folder of the dataset.
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Training windows, spread evenly over all; 0 takes all.
    #[arg(long, default_value_t = 8192)]
    windows: usize,
    /// Steps of training.
    #[arg(long, default_value_t = 5000)]
    steps: usize,
    /// Initial learning rate; it falls to 0.
    #[arg(long, default_value_t = 0.0005)]
    learning_rate: f32,
    /// Weight of the penalty on the distance that codes are moved; larger keeps samples closer to
    /// the prior's.
    #[arg(long, default_value_t = 1.0)]
    stay: f32,
    /// Attributes that can be wished for, as `interlude attributes` names them, such as
    /// density,syncopation; density of the first voice, with its pitch or of drums syncopation, if none
    /// is named.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    attributes: Vec<String>,
    /// Split whose windows samples are compared with.
    #[arg(long, value_enum, default_value_t = Part::Test)]
    split: Part,
    /// Samples of each kind in the comparison.
    #[arg(long, default_value_t = 512)]
    samples: usize,
    /// Softmax temperature of these samples.
    #[arg(long, default_value_t = 0.5, value_parser = temperature)]
    temperature: f32,
    /// Seed of training and samples.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only measure; do not change the model's folder.
    #[arg(long)]
    dry_run: bool,
    /// Print the comparison as JSON instead of a table.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    windows: usize,
    /// What is low and high of the attributes.
    ranges: Vec<Range>,
    rows: Vec<Row>,
}

impl Constrain {
    /// Runs the command.
    ///
    /// # Errors
    /// When the model or the dataset cannot be read, do not belong together, or hold nothing.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let positive = |value: f32| value.is_finite() && value > 0.0;
        if self.steps == 0 || self.samples < 2 || !positive(self.learning_rate) {
            bail!("--steps and --learning-rate must be above 0, --samples above 1");
        }
        if !(self.stay.is_finite() && self.stay >= 0.0) {
            bail!("--stay must be 0 or above");
        }
        let package = self.model.open()?;
        let config = package.info.config.clone();
        let wished = constrain::wished(&config, &self.attributes).map_err(anyhow::Error::msg)?;
        let windows = Part::learn(&self.dataset, &config, self.windows)?;
        let tests = self.split.read(&self.dataset, &config, self.samples)?;
        let mut engine = self.model.load(shared, &package)?;

        let bar = ProgressBar::new(windows.len() as u64);
        bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {pos} of {len}, {eta} left")?);
        bar.set_message("windows");
        let codes = posteriors(&mut engine, &windows, &mut |count| bar.inc(count as u64))?;
        let mut measures = wished;
        let (ranges, labels) = comparison::labels(&config, &windows, &measures);
        measures.retain(|measure| ranges.iter().any(|range| range.name == measure.name));

        bar.set_message("steps");
        bar.set_length(self.steps as u64);
        bar.reset();
        let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
        let settings = Settings {
            steps: self.steps,
            learning_rate: self.learning_rate,
            stay: self.stay,
            seed: self.seed,
        };
        let weights = constrain::train(runtime, &codes, &labels, settings, &mut |_| bar.inc(1))?;
        bar.finish_and_clear();
        let actor = Constraint::new(ranges.clone(), config.hparams.z_size, weights)
            .map_err(|reason| anyhow!("the training gave no actor: {reason}"))?;

        let name = format!("windows of the {} split", self.split.name());
        let mut rows = vec![Row::of(&name, &config, &tests, &measures, 1.0)];
        let sampling =
            Sampling { samples: self.samples, temperature: self.temperature, seed: self.seed };
        rows.extend(sampling.compare(&mut engine, &tests, &measures, &actor)?);
        let report = Report { windows: windows.len(), ranges, rows };
        if !self.dry_run {
            actor.write(&package.dir.join(FILE))?;
            card::put(&package.dir, "constrain", &self.section(&report))?;
        }
        if self.json {
            return common::print(&(serde_json::to_string_pretty(&report)? + "\n"));
        }
        common::print(&report.table())
    }

    /// The section of the model card, as Markdown.
    fn section(&self, report: &Report) -> String {
        let mut text = format!(
            "## Samples through the actor\n\n`{FILE}` moves codes of the prior to where music lies \
             (latent constraints, Engel, Hoffman and Roberts 2017). {} samples at temperature {}, and \
             as many windows of the {} files:\n\n",
            self.samples,
            self.temperature,
            self.split.name()
        );
        let names: Vec<&str> = report.columns().collect();
        text += &format!("| | {} |\n|{}\n", names.join(" | "), " --- |".repeat(names.len() + 1));
        for row in &report.rows {
            let values: Vec<String> = row.values().map(shown).collect();
            text += &format!("| {} | {} |\n", row.name, values.join(" | "));
        }
        text += "\nSpread is the edit distance between two windows in shares of their length, \
                 different the share of windows like no other.";
        for Range { name, low, high } in &report.ranges {
            text += &format!(" A {name} is low below {low:.2}, high above {high:.2}.");
        }
        let Self { samples, windows, steps, temperature, seed, .. } = self;
        let [model, dataset] = [self.model.folder(), &self.dataset].map(card::place);
        let split = match self.split {
            Part::Test => String::new(),
            split => format!(" --split {}", split.name()),
        };
        let attributes = match self.attributes.as_slice() {
            [] => String::new(),
            names => format!(" --attributes {}", names.join(",")),
        };
        text += &format!(
            "\n\nMade and measured with\n\n```sh\ninterlude constrain --model {model} --dataset \
             {dataset} --windows {windows} --steps {steps} --learning-rate {} --stay \
             {}{attributes} --samples {samples}{split} --temperature {temperature} --seed {seed}\n```\n",
            self.learning_rate, self.stay
        );
        text
    }
}

fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"))
}

impl Report {
    /// What is told of each kind of samples.
    fn columns(&self) -> impl Iterator<Item = &str> {
        let names = ["empty bars", "notes per bar", "in range", "in scale", "spread", "different"];
        names.into_iter().chain(self.ranges.iter().map(|range| range.name.as_str()))
    }

    fn table(&self) -> String {
        let mut text = format!("learnt from {} windows\n", self.windows);
        for range in &self.ranges {
            let Range { name, low, high } = range;
            let _ = writeln!(text, "{name}: low below {low:.2}, high above {high:.2}");
        }
        let _ = write!(text, "{:28}", "");
        for name in self.columns() {
            let _ = write!(text, "{name:>15}");
        }
        text += "\n";
        for row in &self.rows {
            let _ = write!(text, "{:28}", row.name);
            for value in row.values().map(shown) {
                let _ = write!(text, "{value:>15}");
            }
            text += "\n";
        }
        text
    }
}
