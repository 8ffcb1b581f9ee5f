//! `interlude generate`: music from a model, as `music_vae_generate` of the original makes it.

mod attribute;
mod learned;

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::config::Config;
use interlude_models::engine::{Engine, EngineOptions, Repeats, Taste};
use interlude_models::latent::constraint::{self, Constraint};
use interlude_models::latent::personal::Personal;
use interlude_models::package::Package;
use interlude_models::runtime::{Provider, Runtime};
use interlude_models::steering::Steering;
use interlude_models::tokens::{Controls, Tokens};

use super::common::{self, Shared};
use crate::constrain::requests;
use crate::generate::conditions::Conditions;
use crate::generate::folder;
use crate::generate::input::{self, Apart, Input, Reader};
use crate::generate::output::{self, Given, Report};
use crate::generate::velocities::Velocities;
use crate::generate::{Layout, Settings, decode, keeping, repeats};
use learned::{Asked, Learned};

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
    /// Execution provider.
    #[arg(long, default_value = Provider::Cpu.name(), value_parser = common::provider())]
    provider: Provider,
    /// Threads of one operator; 0 takes as many as there are cores.
    #[arg(long, default_value_t = 0)]
    threads: usize,
}

/// What is read of MIDI files beside what the original reads of them.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(super) struct Reading {
    /// Read the notes of all channels as drums, since pads often send on channels other than 10.
    #[arg(long)]
    drums: bool,
    /// Read melodies of every program; otherwise only programs 0 to 31 (piano to guitar and bass)
    /// count.
    #[arg(long)]
    any_program: bool,
}

impl Reading {
    /// What reads files for a model; damage is told on standard error.
    pub(super) fn of(self, config: &Config) -> Reader<'_> {
        let Self { drums, any_program } = self;
        let reading = input::Reading { drums, any_program };
        Reader { config, reading, warn: &|line| eprintln!("{line}") }
    }
}

/// What is kept while music is made.
#[derive(Args, Clone, Debug, Default)]
struct Keeping {
    /// Lowest and highest MIDI pitch of all notes but drums, such as 48-72.
    #[arg(long, value_name = "LOW-HIGH", value_parser = keeping::range)]
    range: Option<RangeInclusive<u8>>,
    /// Keep this of the input, or of the file of --keep: rhythm, pitch (the order of the notes), each
    /// with the share of it that is kept such as rhythm=0.5; bars=1,3; parts=bass,drums or
    /// parts=kick,closed-hat. May be given several times.
    #[arg(long, value_name = "WHAT[=HOW]")]
    lock: Vec<keeping::Asked>,
    /// A MIDI file with one window, whose notes --lock keeps instead of the input's.
    #[arg(long, value_name = "MIDI", requires = "lock")]
    keep: Option<PathBuf>,
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
        let steering = self.making.steering(config, &[], seed)?;
        let size = config.hparams.z_size;
        let personal = self.personal.as_deref().map(Personal::read).transpose()?;
        let space = package.info.latent_space();
        let personal = personal.map(|personal| personal.fitting(&space, size)).transpose()?;
        let actor = match self.constrained {
            true => Some(package.constraint()?.ok_or_else(|| {
                anyhow!(
                    "`{}` has no `{}`, which --constrained needs; run `interlude constrain` to make it",
                    package.dir.display(),
                    constraint::FILE
                )
            })?),
            false => None,
        };
        let ranges = actor.as_ref().map_or(&[][..], Constraint::ranges);
        let wishes = requests(ranges, &self.attribute).map_err(anyhow::Error::msg)?;
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
        let engine = self.making.model.load(shared, &package)?;
        let controls = vec![controls];
        let pieces = Pieces { codes, controls, steering, ..Pieces::new("sample", seed) };
        self.making.make(engine, pieces)
    }
}

impl Interpolate {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let number = |count: Option<u32>| count.map(usize::try_from).transpose();
        let (columns, rows) = (number(self.columns)?, number(self.rows)?);
        let count = usize::try_from(self.count.num_outputs)?;
        let layout = Layout::between(self.inputs.len(), count, columns, rows)?;
        let package = self.making.model.open()?;
        let config = &package.info.config;
        let inputs = self.making.inputs(config, &self.inputs, self.keep_velocities)?;
        let controls = self.making.controls(config, inputs.first())?;
        let windows: Vec<&Tokens> = inputs.iter().map(|input| &input.window.tokens).collect();
        let seed = self.making.seed();
        let steering = self.making.steering(config, &windows, seed)?;
        let mut engine = self.making.model.load(shared, &package)?;
        let ends = input::means(&mut engine, &inputs)?;
        let mut learned = self.learned.start(shared, &package)?;
        let tastes = match learned.blends() && !self.free {
            true => layout.tastes(&windows),
            false => Vec::new(),
        };
        let repeats = repeats(config, &windows, &layout.places());
        let codes = match (layout, ends.as_slice()) {
            (Layout::Grid { columns, rows }, [a, b, c, d]) => {
                learned.grid([a, b, c, d], columns, rows)?
            }
            (Layout::Line(count), [a, b]) => learned.line([a, b], count)?,
            _ => unreachable!("a line has two inputs, a grid four"),
        };
        let velocities = match self.keep_velocities {
            true => Velocities::Between {
                ends: inputs.iter().map(|input| input.dynamics(config)).collect(),
                places: layout.places(),
            },
            false => Velocities::Own,
        };
        let controls = vec![controls];
        let new = Pieces::new("interpolate", seed);
        let pieces = Pieces { codes, controls, tastes, repeats, steering, velocities, ..new };
        self.making.make(engine, pieces)
    }
}

impl Vary {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.making.model.open()?;
        let seed = self.making.seed();
        let mut learned = self.learned.start(shared, &package)?;
        let indices: Vec<u64> = (0..self.count.num_outputs.into()).collect();
        let centre = Centre { path: &self.input, keep_velocities: self.keep_velocities };
        let (engine, mut pieces, centre) =
            self.making.around(shared, &package, centre, Pieces::new("vary", seed))?;
        pieces.codes = learned.around(&centre, self.similarity, seed, &indices)?;
        self.making.make(engine, pieces)
    }
}

impl Encode {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.model.open()?;
        let config = &package.info.config;
        let reader = self.reading.of(config);
        let inputs: Vec<Vec<Input>> =
            self.inputs.iter().map(|path| reader.windows(path)).collect::<Result<_, _>>()?;
        let inputs: Vec<Input> = inputs.into_iter().flatten().collect();
        let mut engine = self.model.load(shared, &package)?;
        let posteriors = input::encode(&mut engine, &inputs)?;
        let report = Report::of_inputs(config, inputs, posteriors).to_json();
        match self.out {
            Some(path) => Ok(folder::write(&path, report.as_bytes())?),
            None => common::print(&(report + "\n")),
        }
    }
}

impl Decode {
    fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.making.model.open()?;
        let config = &package.info.config;
        let given = Report::read(&self.codes)?.into_codes(&self.codes)?;
        let asked = self.making.controls(config, None)?;
        let keeps = !self.making.conditions().is_asked();
        let (codes, controls) = given
            .into_iter()
            .map(|Given { z, controls }| (z, controls.filter(|_| keeps).or_else(|| asked.clone())))
            .unzip();
        let seed = self.making.seed();
        let steering = self.making.steering(config, &[], seed)?;
        let engine = self.making.model.load(shared, &package)?;
        let pieces = Pieces { codes, controls, steering, ..Pieces::new("decode", seed) };
        self.making.make(engine, pieces)
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

/// Pieces that are to be made.
struct Pieces<'a> {
    /// The verb, or the attribute that is changed: part of the files' names.
    mode: &'a str,
    seed: u64,
    /// Latent codes, and the controls of each.
    codes: Vec<Vec<f32>>,
    controls: Vec<Option<Controls>>,
    tastes: Vec<Taste>,
    repeats: Vec<Option<Repeats>>,
    steering: Option<Steering>,
    velocities: Velocities,
}

impl<'a> Pieces<'a> {
    /// None yet.
    fn new(mode: &'a str, seed: u64) -> Self {
        Self {
            mode,
            seed,
            codes: Vec::new(),
            controls: Vec::new(),
            tastes: Vec::new(),
            repeats: Vec::new(),
            steering: None,
            velocities: Velocities::Own,
        }
    }
}

/// The input around which pieces are made.
struct Centre<'a> {
    path: &'a Path,
    keep_velocities: bool,
}

impl Making {
    /// The seed, drawn where none is given: small enough for any reader of JSON.
    fn seed(&self) -> u64 {
        self.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()))
    }

    fn conditions(&self) -> Conditions {
        let Self { chords, key, hits, .. } = self;
        Conditions { chords: chords.clone(), key: key.clone(), hits: hits.clone() }
    }

    /// The only window of each file.
    fn inputs(
        &self,
        config: &Config,
        paths: &[PathBuf],
        keep_velocities: bool,
    ) -> anyhow::Result<Vec<Input>> {
        let apart = Apart { out: &self.out, keep_velocities };
        Ok(self.reading.of(config).single_windows(paths, apart)?)
    }

    /// Controls that the decoder is conditioned on: those requested, else those of the input.
    fn controls(&self, config: &Config, input: Option<&Input>) -> anyhow::Result<Option<Controls>> {
        let own = input.and_then(|input| input.window.controls.clone());
        let apart = Apart { out: &self.out, keep_velocities: false };
        Ok(self.conditions().controls(&self.reading.of(config), own, apart)?)
    }

    /// What the music keeps to. Of a pattern that is `--keep`'s, else the only input.
    fn steering(
        &self,
        config: &Config,
        inputs: &[&Tokens],
        seed: u64,
    ) -> anyhow::Result<Option<Steering>> {
        let keep: Vec<PathBuf> = self.keeping.keep.iter().cloned().collect();
        let keep = self.inputs(config, &keep, false)?;
        let kept: Vec<&Tokens> = keep.iter().map(|input| &input.window.tokens).collect();
        let keeping = keeping::Keeping {
            key: self.key.as_deref().filter(|_| self.chords.is_none()),
            range: self.keeping.range.clone(),
            locks: &self.keeping.lock,
            inputs: if inputs.is_empty() { &kept } else { inputs },
            pattern: match (kept.as_slice(), inputs) {
                ([kept], _) => Some(*kept),
                ([], [input]) => Some(*input),
                _ => None,
            },
            seed,
        };
        Ok(keeping.steering(config)?)
    }

    /// Makes ready for pieces around a file with one window: loads the model, gives `pieces` what they
    /// share with the file, and returns the file's code.
    fn around<'a>(
        &self,
        shared: &Shared,
        package: &Package,
        centre: Centre<'_>,
        pieces: Pieces<'a>,
    ) -> anyhow::Result<(Engine, Pieces<'a>, Vec<f32>)> {
        let config = &package.info.config;
        let inputs = self.inputs(config, &[centre.path.to_owned()], centre.keep_velocities)?;
        let controls = self.controls(config, inputs.first())?;
        let windows: Vec<&Tokens> = inputs.iter().map(|input| &input.window.tokens).collect();
        let steering = self.steering(config, &windows, pieces.seed)?;
        let mut engine = self.model.load(shared, package)?;
        let means = input::means(&mut engine, &inputs)?;
        let code = means.into_iter().next().ok_or_else(|| anyhow!("the model gave no code"))?;
        let dynamics = inputs.first().and_then(|input| input.dynamics(config));
        let velocities = dynamics.filter(|_| centre.keep_velocities).map(Velocities::Same);
        let velocities = velocities.unwrap_or_default();
        Ok((engine, Pieces { controls: vec![controls], steering, velocities, ..pieces }, code))
    }

    /// Decodes codes, writes the files and tells about them. Where there is one entry of controls, it is
    /// that of all pieces.
    fn make(&self, mut engine: Engine, pieces: Pieces<'_>) -> anyhow::Result<()> {
        let config = engine.config().clone();
        let Pieces { mode, seed, codes, mut controls, tastes, repeats, steering, velocities } =
            pieces;
        if let [all] = controls.as_slice() {
            controls = vec![all.clone(); codes.len()];
        }
        let steps = config.hparams.max_seq_len * codes.len();
        let progress = ProgressBar::new(steps as u64);
        progress.set_style(ProgressStyle::with_template("{bar:30} {percent:>3} % {eta}")?);
        let (temperature, batch_size) = (self.temperature, self.batch_size.into());
        let settings = Settings { temperature, batch_size, seed, tastes, steering, repeats };
        let decoded = decode(&mut engine, &codes, &controls, &settings, &mut |examples| {
            progress.inc(examples as u64);
        })
        .with_context(|| format!("model {}", self.model.model.display()))?;
        progress.finish_and_clear();

        let (made, folder) = output::write_pieces(&config, mode, &decoded, &velocities, &self.out)?;
        if self.json {
            let report = Report::of_pieces(&config, mode, &settings, made, &codes, &controls);
            return common::print(&(report.to_json() + "\n"));
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
