//! `interlude generate`: music from a model, as `music_vae_generate` of the original makes it.

mod attribute;
pub(super) mod input;
mod learned;
mod output;
mod steering;

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::clip::Clip;
use interlude_models::config::Config;
use interlude_models::engine::{Engine, EngineOptions, Taste};
use interlude_models::latent::constraint::{self, Constraint};
use interlude_models::latent::personal::Personal;
use interlude_models::package::Package;
use interlude_models::runtime::{Provider, Runtime};
use interlude_models::steering::Steering;
use interlude_models::tokens::{ControlKind, Controls, Tokens, to_clip};

use super::common::{self, Shared};
use crate::generate::chords::progression;
use crate::generate::velocities::Dynamics;
use crate::generate::{Settings, decode, shares};
use input::{Input, Reading};
use learned::{Asked, Learned};
use output::{Code, Folder, Made, Report};
use steering::Keeping;

/// Generate music with a model, and latent codes of music.
#[derive(Debug, Args)]
pub struct Generate {
    #[command(subcommand)]
    mode: Mode,
}

#[derive(Debug, Subcommand)]
enum Mode {
    Sample(Sample),
    Interpolate(Interpolate),
    Vary(Vary),
    Attribute(attribute::Attribute),
    Encode(Encode),
    Decode(Decode),
}

/// Where the model is and what runs it.
#[derive(Debug, Args)]
pub(super) struct Model {
    /// The model folder, as `interlude import` or `interlude train` writes it.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Execution provider: cpu, cuda or directml.
    #[arg(long, default_value = "cpu", value_parser = common::provider)]
    provider: Provider,
    /// Threads of one operator; 0 takes as many as there are cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// How codes become files.
#[derive(Debug, Args)]
struct Making {
    #[command(flatten)]
    model: Model,
    /// Folder to write to; created if it does not exist.
    #[arg(long, value_name = "DIR", default_value = "generated")]
    out: PathBuf,
    /// Softmax temperature; 0 always takes the most probable token.
    #[arg(long, default_value_t = 0.5, value_parser = temperature)]
    temperature: f32,
    /// Pieces that are decoded at the same time.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    batch_size: u16,
    /// Random seed; the same seed repeats a result exactly. Drawn and reported when not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Chords for models that are conditioned on chords: C,Am,F,G or, with --key, I,vi,IV,V.
    /// Default: those of the input, or none.
    #[arg(long, value_name = "CHORDS")]
    chords: Option<String>,
    /// The scale of all notes but drums, such as "D dorian", Am or "C blues", or auto for that of the
    /// input; beside --chords the key of their Roman numerals, such as G or Em.
    #[arg(long)]
    key: Option<String>,
    /// MIDI file whose drum hits are kept, for models that are conditioned on hits. Default: those
    /// of the input, or a plain beat.
    #[arg(long, value_name = "MIDI")]
    hits: Option<PathBuf>,
    /// Print what was made as JSON, with codes and notes.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    reading: Reading,
}

/// Number of files to make.
#[derive(Debug, Args)]
struct Count {
    /// Pieces to make.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    num_outputs: u32,
}

/// Generate pieces from codes drawn from the prior: the learned one, where the model has one.
#[derive(Debug, Args)]
struct Sample {
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    count: Count,
    #[command(flatten)]
    learned: Learned,
    #[command(flatten)]
    asked: Asked,
    /// Use one code for all pieces, which then differ only in how they are sampled.
    #[arg(long)]
    same_z: bool,
    /// Draw codes from a personal model, as `interlude personal` writes it.
    #[arg(long, value_name = "FILE", conflicts_with = "constrained")]
    personal: Option<PathBuf>,
    /// Move codes with the actor that `interlude constrain` stored in the model's folder.
    #[arg(long)]
    constrained: bool,
    /// Request a range of an attribute, such as density=high or pitch=low.
    #[arg(long, value_name = "NAME=RANGE", requires = "constrained")]
    attribute: Vec<String>,
}

/// Generate pieces between two MIDI files, or in the grid between four.
///
/// Each file must hold exactly one window of the model's length; of a file with more, all windows
/// are written so that one can be chosen. Four files A B C D are laid out as Magenta.js does, row by
/// row: A top left, B bottom left, C top right, D bottom right.
#[derive(Debug, Args)]
struct Interpolate {
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    count: Count,
    #[command(flatten)]
    learned: Learned,
    /// Let pieces between two melodies of one key leave their scale and range; with a learned prior
    /// they keep to both, most in the middle.
    #[arg(long)]
    free: bool,
    /// Two or four MIDI files.
    #[arg(required = true, num_args = 2..=4, value_name = "MIDI")]
    inputs: Vec<PathBuf>,
    /// Columns of the grid between four files [default: the number of outputs].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    columns: Option<u32>,
    /// Rows of the grid between four files [default: the number of outputs].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rows: Option<u32>,
    /// Take velocities from the files instead of 80 for every note.
    #[arg(long)]
    keep_velocities: bool,
}

/// Generate variations of a MIDI file.
///
/// As `similar` of Magenta.js: each code lies between the file's and a random one, though on the
/// sphere through both instead of the straight line, and in the noise of a learned prior where the
/// model has one.
#[derive(Debug, Args)]
struct Vary {
    #[command(flatten)]
    making: Making,
    #[command(flatten)]
    count: Count,
    #[command(flatten)]
    learned: Learned,
    /// A MIDI file with exactly one window of the model's length.
    #[arg(value_name = "MIDI")]
    input: PathBuf,
    /// From 0, unlike the file, to 1, the file as the model reconstructs it.
    #[arg(long, default_value_t = 0.7, value_parser = similarity)]
    similarity: f32,
    /// Take velocities from the file instead of 80 for every note.
    #[arg(long)]
    keep_velocities: bool,
}

/// Write the latent codes of MIDI files as JSON, one for every window in them.
#[derive(Debug, Args)]
struct Encode {
    #[command(flatten)]
    model: Model,
    /// MIDI files.
    #[arg(required = true, value_name = "MIDI")]
    inputs: Vec<PathBuf>,
    /// The file to write, and its folder where there is none [default: standard output].
    #[arg(long, value_name = "JSON")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reading: Reading,
}

/// Generate pieces from latent codes.
#[derive(Debug, Args)]
struct Decode {
    #[command(flatten)]
    making: Making,
    /// Codes as `encode` writes them, or as --json prints them.
    #[arg(value_name = "JSON")]
    codes: PathBuf,
}

impl Generate {
    /// Makes what is asked for.
    ///
    /// # Errors
    /// One sentence with the file and what to do. Files that were whole by then are kept.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        match self.mode {
            Mode::Sample(sample) => sample.run(shared),
            Mode::Interpolate(interpolate) => interpolate.run(shared),
            Mode::Vary(vary) => vary.run(shared),
            Mode::Attribute(attribute) => attribute.run(shared),
            Mode::Encode(encode) => encode.run(shared),
            Mode::Decode(decode) => decode.run(shared),
        }
    }
}

impl Sample {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.making.model.open()?;
        let config = &package.info.config;
        let controls = self.making.controls(config, None)?;
        let seed = self.making.seed();
        let size = config.hparams.z_size;
        let personal = self.personal.as_deref().map(Personal::read).transpose()?;
        let space = package.info.latent_space();
        let personal = personal.map(|personal| personal.fitting(&space, size)).transpose()?;
        let actor = match self.constrained {
            true => Some(Constraint::read(&package.dir.join(constraint::FILE), size)?),
            false => None,
        };
        let wishes = wishes(actor.as_ref().map_or(&[], Constraint::ranges), &self.attribute)?;
        let indices: Vec<u64> = (0..u64::from(self.count.num_outputs))
            .map(|index| if self.same_z { 0 } else { index })
            .collect();
        let codes: Vec<_> = match (&personal, &actor) {
            (Some(personal), _) => {
                indices.iter().map(|&index| personal.sample(seed, index, 1.0)).collect()
            }
            (None, Some(actor)) => {
                indices.iter().map(|&index| actor.sample(seed, index, &wishes)).collect()
            }
            (None, None) => {
                let mut codes = self.learned.start(shared, &package)?;
                codes.samples(&package, &self.asked, seed, &indices)?
            }
        };
        let controls = vec![controls; codes.len()];
        self.making.make("sample", seed, shared, &package, &codes, &controls, |_, _| {})
    }
}

impl Interpolate {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        if self.inputs.len() == 3 {
            bail!("give two MIDI files for a line between them, or four for a square, not three");
        }
        if self.inputs.len() == 2 && (self.columns.is_some() || self.rows.is_some()) {
            bail!("--columns and --rows need four MIDI files; two make a line of --num-outputs");
        }
        let package = self.making.model.open()?;
        let config = &package.info.config;
        let reading = (self.making.reading, self.keep_velocities);
        let inputs = input::single_windows(config, &self.inputs, reading, &self.making.out)?;
        let controls = self.making.controls(config, inputs.first())?;
        let ends_of_way: Vec<&Tokens> = inputs.iter().map(|input| &input.window.tokens).collect();
        let seed = self.making.seed();
        let steering = self.making.steering(config, &ends_of_way, seed)?;
        let mut engine = self.making.model.load(shared, &package)?;
        let ends = input::means(&mut engine, &inputs)?;
        let count = usize::try_from(self.count.num_outputs)?;
        let columns = self.columns.map_or(Ok(count), usize::try_from)?;
        let rows = self.rows.map_or(Ok(count), usize::try_from)?;
        let mut codes = self.learned.start(shared, &package)?;
        let taste = Taste::of(&ends_of_way).filter(|_| codes.blends() && !self.free);
        let tastes = match (taste, inputs.len()) {
            (Some(taste), 2) => shares(count).map(|t| taste.at(t)).collect(),
            _ => Vec::new(),
        };
        let codes = match ends.as_slice() {
            [a, b, c, d] => codes.grid([a, b, c, d], columns, rows)?,
            [a, b, ..] => codes.line([a, b], count)?,
            _ => Vec::new(),
        };
        let dynamics: Vec<_> = inputs.iter().map(|input| input.dynamics(config)).collect();
        let places: Vec<(f64, f64)> = match inputs.len() {
            4 => shares(rows)
                .flat_map(|y| shares(columns).map(move |x| (x.into(), y.into())))
                .collect(),
            _ => shares(count).map(|t| (0.0, t.into())).collect(),
        };
        let velocities = |index: usize, clip: &mut Clip| {
            let (x, y) = places[index];
            let row = |left: usize, right: usize| {
                let [left, right] = [left, right].map(|it| dynamics.get(it)?.as_ref());
                Dynamics::blend_any(left, right, x)
            };
            // Of two files each is a row.
            let (top, bottom) = (row(0, 2), row(1, 3));
            let blended = Dynamics::blend_any(top.as_ref(), bottom.as_ref(), y);
            if let Some(blended) = blended.filter(|_| self.keep_velocities) {
                blended.apply(clip);
            }
        };
        let controls = vec![controls; codes.len()];
        let music = (codes.as_slice(), tastes, steering);
        self.making.make_with("interpolate", seed, engine, music, &controls, velocities)
    }
}

impl Vary {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.making.model.open()?;
        let seed = self.making.seed();
        let mut learned = self.learned.start(shared, &package)?;
        let indices: Vec<u64> = (0..self.count.num_outputs.into()).collect();
        let codes = |centre: &[f32]| learned.around(centre, self.similarity, seed, &indices);
        let around = (&*self.input, self.keep_velocities);
        self.making.make_around("vary", seed, shared, &package, around, codes)
    }
}

impl Encode {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.model.open()?;
        let config = &package.info.config;
        let inputs: Vec<Vec<Input>> = self
            .inputs
            .iter()
            .map(|path| input::windows(config, path, self.reading))
            .collect::<Result<_, _>>()?;
        let inputs: Vec<Input> = inputs.into_iter().flatten().collect();
        let mut engine = self.model.load(shared, &package)?;
        let posteriors = input::encode(&mut engine, &inputs)?;
        let codes = inputs.into_iter().zip(posteriors).map(|(input, posterior)| Code {
            source: Some(input.path.display().to_string()),
            window: Some(input.number),
            mu: Some(posterior.mu),
            sigma: Some(posterior.sigma),
            controls: input.window.controls,
            ..Code::default()
        });
        let report = Report {
            config: config.name.clone(),
            mode: "encode".to_owned(),
            seed: None,
            temperature: None,
            codes: codes.collect(),
        };
        match self.out {
            Some(path) => output::write(&path, report.to_json()?.as_bytes()),
            None => report.print(),
        }
    }
}

impl Decode {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.making.model.open()?;
        let config = &package.info.config;
        let given = Report::read(&self.codes)?.codes;
        let mut codes = Vec::with_capacity(given.len());
        let mut controls = Vec::with_capacity(given.len());
        let asked = self.making.has_controls();
        for (index, code) in given.into_iter().enumerate() {
            controls.push(match code.controls {
                Some(controls) if !asked => Some(controls),
                _ => self.making.controls(config, None)?,
            });
            codes.push(code.z.or(code.mu).ok_or_else(|| {
                anyhow!("{}: code {index} has neither `z` nor `mu`", self.codes.display())
            })?);
        }
        let seed = self.making.seed();
        self.making.make("decode", seed, shared, &package, &codes, &controls, |_, _| {})
    }
}

impl Model {
    pub(super) fn open(&self) -> anyhow::Result<Package> {
        Ok(Package::open(&self.model)?)
    }

    pub(super) fn folder(&self) -> &Path {
        &self.model
    }

    pub(super) fn load(&self, shared: &Shared, package: &Package) -> anyhow::Result<Engine> {
        let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
        let options = EngineOptions { provider: self.provider, threads: self.threads };
        Ok(Engine::load(runtime, package, &options)?)
    }
}

/// The request for each attribute: −1 low, 1 high.
fn wishes(ranges: &[constraint::Range], asked: &[String]) -> anyhow::Result<Vec<Option<f32>>> {
    let mut wishes = vec![None; ranges.len()];
    for asked in asked {
        let (name, value) = asked.split_once('=').unwrap_or((asked, ""));
        let value = match value {
            "low" => -1.0,
            "high" => 1.0,
            _ => bail!("--attribute {asked} is not of the form NAME=low or NAME=high"),
        };
        let Some(index) = ranges.iter().position(|range| range.name == name) else {
            let names: Vec<&str> = ranges.iter().map(|range| range.name.as_str()).collect();
            bail!("the model's actor knows no `{name}`; it knows {}", names.join(", "));
        };
        wishes[index] = Some(value);
    }
    Ok(wishes)
}

/// Hits of a plain beat: bass drum and snare drum in turn on the beats, hi-hat on the 8ths.
fn beat(steps: usize) -> Controls {
    let [bass, snare, hat] = [1, 2, 4];
    let bar = [bass | hat, 0, hat, 0, snare | hat, 0, hat, 0];
    Controls::Hits(bar.into_iter().cycle().take(steps).collect())
}

impl Making {
    /// The seed, drawn where none is given: small enough for any reader of JSON.
    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()))
    }

    fn has_controls(&self) -> bool {
        self.chords.is_some() || self.hits.is_some()
    }

    /// Controls that the decoder is conditioned on: those requested, else those of the input.
    fn controls(&self, config: &Config, input: Option<&Input>) -> anyhow::Result<Option<Controls>> {
        let kind = config.family().control_kind();
        let takes_chords = kind == Some(ControlKind::Chords);
        let takes_hits = kind == Some(ControlKind::Hits);
        if self.chords.is_some() && !takes_chords {
            bail!("`{}` takes no chords; leave out --chords", config.name);
        }
        if self.hits.is_some() && !takes_hits {
            bail!("`{}` takes no hits; leave out --hits", config.name);
        }
        if let Some(chords) = &self.chords {
            let chords = progression(chords, self.key.as_deref(), config.hparams.max_seq_len)?;
            return Ok(Some(Controls::Chords(chords)));
        }
        if let Some(hits) = &self.hits {
            let hits = std::slice::from_ref(hits);
            let inputs = input::single_windows(config, hits, (self.reading, false), &self.out)?;
            return Ok(inputs.into_iter().next().and_then(|input| input.window.controls));
        }
        let steps = config.hparams.max_seq_len;
        let given = input.and_then(|input| input.window.controls.clone());
        Ok(given
            .or_else(|| if takes_hits { Some(beat(steps)) } else { Controls::none(config, steps) }))
    }

    /// What the music keeps to. Of a pattern that is `--keep`'s, else the only input.
    fn steering(
        &self,
        config: &Config,
        inputs: &[&Tokens],
        seed: u64,
    ) -> anyhow::Result<Option<Steering>> {
        let keep: Vec<PathBuf> = self.keeping.keep.iter().cloned().collect();
        let keep = input::single_windows(config, &keep, (self.reading, false), &self.out)?;
        let kept: Vec<&Tokens> = keep.iter().map(|input| &input.window.tokens).collect();
        let pattern = match (kept.as_slice(), inputs) {
            ([kept], _) => Some(*kept),
            ([], [input]) => Some(*input),
            _ => None,
        };
        let key = self.key.as_deref().filter(|_| self.chords.is_none());
        let inputs = if inputs.is_empty() { &kept } else { inputs };
        self.keeping.steering(config, key, inputs, pattern, seed)
    }

    /// Loads the model, then as [`Making::make_with`].
    #[expect(clippy::too_many_arguments, reason = "what all modes end in")]
    fn make(
        &self,
        mode: &str,
        seed: u64,
        shared: &Shared,
        package: &Package,
        codes: &[Vec<f32>],
        controls: &[Option<Controls>],
        finish: impl Fn(usize, &mut Clip),
    ) -> anyhow::Result<()> {
        let steering = self.steering(&package.info.config, &[], seed)?;
        let engine = self.model.load(shared, package)?;
        self.make_with(mode, seed, engine, (codes, Vec::new(), steering), controls, finish)
    }

    /// Makes pieces of the `codes` around that of a file with one window, with the file's velocities
    /// if they are to be kept.
    fn make_around(
        &self,
        mode: &str,
        seed: u64,
        shared: &Shared,
        package: &Package,
        (path, keep_velocities): (&Path, bool),
        codes: impl FnOnce(&[f32]) -> anyhow::Result<Vec<Vec<f32>>>,
    ) -> anyhow::Result<()> {
        let config = &package.info.config;
        let paths = [path.to_owned()];
        let reading = (self.reading, keep_velocities);
        let inputs = input::single_windows(config, &paths, reading, &self.out)?;
        let controls = self.controls(config, inputs.first())?;
        let windows: Vec<&Tokens> = inputs.iter().map(|input| &input.window.tokens).collect();
        let steering = self.steering(config, &windows, seed)?;
        let mut engine = self.model.load(shared, package)?;
        let means = input::means(&mut engine, &inputs)?;
        let codes = codes(means.first().ok_or_else(|| anyhow!("the model gave no code"))?)?;
        let dynamics = inputs.first().and_then(|input| input.dynamics(config));
        let dynamics = dynamics.filter(|_| keep_velocities);
        let velocities = |_: usize, clip: &mut Clip| {
            if let Some(dynamics) = &dynamics {
                dynamics.apply(clip);
            }
        };
        let controls = vec![controls; codes.len()];
        self.make_with(mode, seed, engine, (&codes, Vec::new(), steering), &controls, velocities)
    }

    /// Decodes codes, passes each clip to `finish`, writes the files and tells about them.
    fn make_with(
        &self,
        mode: &str,
        seed: u64,
        mut engine: Engine,
        (codes, tastes, steering): (&[Vec<f32>], Vec<Taste>, Option<Steering>),
        controls: &[Option<Controls>],
        finish: impl Fn(usize, &mut Clip),
    ) -> anyhow::Result<()> {
        let config = engine.config().clone();
        let steps = config.hparams.max_seq_len * codes.len();
        let progress = ProgressBar::new(steps as u64);
        progress.set_style(ProgressStyle::with_template("{bar:30} {percent:>3} % {eta}")?);
        let settings = Settings {
            temperature: self.temperature,
            batch_size: self.batch_size.into(),
            seed,
            tastes,
            steering,
        };
        let decoded = decode(&mut engine, codes, controls, &settings, &mut |examples| {
            progress.inc(examples as u64);
        })
        .with_context(|| format!("model {}", self.model.model.display()))?;
        progress.finish_and_clear();

        let folder = Folder::create(&self.out, &format!("{}_{mode}", config.name), codes.len())?;
        let mut made = Vec::with_capacity(codes.len());
        for (index, tokens) in decoded.iter().enumerate() {
            let mut clip = to_clip(&config, tokens);
            finish(index, &mut clip);
            let file = folder.write(index, &clip)?;
            made.push(Made { file, clip });
        }
        if self.json {
            let codes = made.into_iter().zip(codes).zip(controls);
            let report = Report {
                config: config.name,
                mode: mode.to_owned(),
                seed: Some(seed),
                temperature: Some(self.temperature),
                codes: codes.map(|((made, z), controls)| Code::made(made, z, controls)).collect(),
            };
            return report.print();
        }
        println!("wrote {} files: {} (seed {seed})", made.len(), folder.pattern());
        Ok(())
    }
}

pub(super) fn temperature(text: &str) -> Result<f32, String> {
    number(text, 100.0)
}

fn similarity(text: &str) -> Result<f32, String> {
    number(text, 1.0)
}

fn number(text: &str, high: f32) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|number| (0.0..=high).contains(number));
    number.ok_or_else(|| format!("it is a number from 0 to {high}"))
}
