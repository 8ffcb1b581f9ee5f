//! `interlude dataset`: datasets of windows, built from music, combined and described.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Instant;

use anyhow::Context;
use clap::builder::PossibleValue;
use clap::{Args, Subcommand, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::config::{self, WINDOW_KINDS, WindowKind};

use super::common;
use interlude_dataset::build;
use interlude_dataset::description::{Count, Description, SKIPPED, describe};
use interlude_dataset::options::{Done, Options};
use interlude_dataset::statistics::Statistics;
use interlude_dataset::{combine, merge, splits};
use interlude_picture::as_float;

/// Build datasets from MIDI files, combine and describe them.
#[derive(Args, Debug)]
pub struct Dataset {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    Build(Build),
    Arrange(Arrange),
    Combine(Combine),
    Merge(Merge),
    Info(Info),
}

/// Read MIDI files from folders and archives (.zip, .tar, .tar.gz) into a dataset.
///
/// MIDI files end in .mid, .midi, .kar, .smf or .rmi; files with other names are read when their
/// first bytes are those of one. Magenta's TFRecords of NoteSequences, lead sheets (.jsonl) and
/// drum patterns (.json) are read as well. An interrupted build resumes when it is started again; a
/// build that fails leaves the folder as it was.
///
/// A file that no table (.csv) lists is assigned to training, validation or test by its path below
/// the source. Where validation or test would be empty, a small share of the training files is held
/// out for it, or of few files the ends; the command reports which.
#[derive(Args, Debug)]
struct Build {
    /// Folders, archives or MIDI files.
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    /// Kind of windows, see docs/training-reference.md.
    #[arg(long, value_enum)]
    scheme: SchemeName,
    /// Folder of the dataset.
    #[arg(long)]
    out: PathBuf,
    /// Seed of the split into training, validation and test files.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Read only parts that play one note at a time, of any instrument.
    #[arg(long)]
    monophonic: bool,
    /// Minimum number of notes that begin in a window; with several parts, in each.
    #[arg(long, default_value_t = 1)]
    least_notes: usize,
    /// Column that names the split of a file (train, validation, test) in CSV tables among the
    /// sources; files that no table lists are split by their paths.
    #[arg(long, default_value = splits::COLUMN)]
    split_column: String,
    /// Files whose path contains this text are recordings from Roland drum kits, such as those of
    /// the Groove MIDI Dataset, which use other keys for toms.
    #[arg(long, value_name = "TEXT")]
    roland: Option<String>,
    /// Keep one of this many consecutive windows.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// Read only one shard of the files, such as 2/8, for several machines; `merge` joins the
    /// shards.
    #[arg(long, value_name = "I/N", value_parser = shard)]
    shard: Option<(u32, u32)>,
}

/// Arrange trios of 16 bars by rule, from music that lacks some of the parts.
///
/// Lead sheets (.jsonl) give their melody, and a bass that is derived from their chords; scores of
/// several parts give their highest and their lowest part. Drums repeat one or two bars of a
/// performance, with other bars of it as fills. A piece and its drums belong to the same split.
#[derive(Args, Debug)]
struct Arrange {
    /// Lead sheets and scores: folders, archives or files.
    #[arg(required = true)]
    sources: Vec<PathBuf>,
    /// Drum performances: a folder, archive or file; may be repeated.
    #[arg(long, required = true)]
    drums: Vec<PathBuf>,
    /// Folder of the dataset.
    #[arg(long)]
    out: PathBuf,
    /// Seed of the split, and of the choice of drums.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Minimum number of notes that begin in each part of a window.
    #[arg(long, default_value_t = 8)]
    least_notes: usize,
    /// Keep one of this many consecutive windows, which are a bar apart.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    every: u16,
    /// Column of CSV tables among the drum performances that names the split of each.
    #[arg(long, default_value = splits::COLUMN)]
    split_column: String,
    /// Drum performances whose path contains this text are recordings from Roland drum kits.
    #[arg(long, value_name = "TEXT")]
    roland: Option<String>,
}

/// Add training trios whose melody and bass are any two melodies of another dataset.
///
/// Real trios are few, melodies are many. The drums are those of the trios. Validation and test
/// windows stay as they are, and no melody comes from a held-out file.
#[derive(Args, Debug)]
struct Combine {
    /// Folder of a dataset of trios.
    trios: PathBuf,
    /// Folder of a dataset of melodies of the same length.
    #[arg(long)]
    lines: PathBuf,
    /// Windows to add.
    #[arg(long, default_value_t = 50_000)]
    windows: usize,
    /// Seed of the combinations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the new dataset.
    #[arg(long)]
    out: PathBuf,
}

/// Merge datasets of one scheme; windows that several of them have are kept once.
#[derive(Args, Debug)]
struct Merge {
    /// Folders of the datasets.
    #[arg(required = true)]
    datasets: Vec<PathBuf>,
    /// Folder of the merged dataset.
    #[arg(long)]
    out: PathBuf,
}

/// Describe a dataset: windows, files, notes, pitches, drum classes.
#[derive(Args, Debug)]
struct Info {
    /// Folder of the dataset.
    dataset: PathBuf,
    /// Write the numbers to standard output as JSON.
    #[arg(long)]
    json: bool,
    /// File to draw the figures and some windows to (.svg).
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
}

/// One of the kinds of windows.
#[derive(Clone, Copy, Debug)]
struct SchemeName(&'static WindowKind);

impl ValueEnum for SchemeName {
    fn value_variants<'a>() -> &'a [Self] {
        static ALL: LazyLock<Vec<SchemeName>> =
            LazyLock::new(|| WINDOW_KINDS.iter().map(SchemeName).collect());
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name).help(self.0.about))
    }
}

impl Dataset {
    /// Runs the command.
    ///
    /// # Errors
    /// When nothing usable is found or a file cannot be read or written.
    pub fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::Build(build) => build.run(),
            Action::Arrange(arrange) => arrange.run(),
            Action::Combine(combine) => combine.run(),
            Action::Merge(merge) => merge.run(),
            Action::Info(info) => info.run(),
        }
    }
}

impl Build {
    fn run(self) -> anyhow::Result<()> {
        let options = Options {
            sources: self.sources,
            config: config::by_name(self.scheme.0.config)?,
            out: self.out,
            seed: self.seed,
            monophonic: self.monophonic,
            least_notes: self.least_notes,
            split_column: self.split_column,
            roland: self.roland,
            drums: None,
            every: self.every.into(),
            shard: self.shard,
        };
        run(&options)
    }
}

impl Arrange {
    fn run(self) -> anyhow::Result<()> {
        run(&Options {
            sources: self.sources,
            config: config::by_name("hierdec-trio_16bar")?,
            out: self.out,
            seed: self.seed,
            monophonic: false,
            least_notes: self.least_notes,
            split_column: self.split_column,
            roland: self.roland,
            drums: Some(self.drums),
            every: self.every.into(),
            shard: None,
        })
    }
}

impl Combine {
    fn run(self) -> anyhow::Result<()> {
        print(&combine::combine(&self.trios, &self.lines, self.windows, self.seed, &self.out)?)
    }
}

impl Merge {
    fn run(self) -> anyhow::Result<()> {
        print(&merge::merge(&self.datasets, &self.out)?)
    }
}

fn run(options: &Options) -> anyhow::Result<()> {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}, {eta} left")
        .context("the template of the progress bar")?;
    let bar = ProgressBar::new(0).with_style(style);
    let begin = Instant::now();
    let description = build::build(options, &|Done { files, read, of }| {
        bar.set_length(of);
        bar.set_position(read.min(of));
        let rate = as_float(files) / begin.elapsed().as_secs_f64().max(1e-3);
        bar.set_message(format!("{files} files, {rate:.0} a second"));
    })?;
    bar.finish_and_clear();
    print(&description)?;
    if description.skipped > 0 {
        let list = options.out.join(SKIPPED);
        common::print(&format!("why files were skipped: {}\n", list.display()))?;
    }
    Ok(())
}

impl Info {
    fn run(self) -> anyhow::Result<()> {
        let description = describe(&self.dataset)?;
        let mut config = config::by_name(&description.config)?;
        config.hparams.max_seq_len = description.steps;
        let found = Statistics::of(&self.dataset, &config)?;
        if let Some(path) = &self.picture {
            let title = self.dataset.display().to_string();
            interlude_models::files::write(path, found.picture(&title).svg().as_bytes())
                .with_context(|| format!("cannot write `{}`", path.display()))?;
        }
        if self.json {
            let all = serde_json::json!({ "description": description, "statistics": found });
            return common::print(&(serde_json::to_string_pretty(&all)? + "\n"));
        }
        print(&description)?;
        let mut text = format!(
            "{:.1} notes in a window, {} different steps, {:.1} % of all steps without an event\n",
            found.mean_notes(),
            found.different_steps,
            100.0 * found.empty_steps
        );
        if let (Some(low), Some(high)) =
            (found.pitches.keys().next(), found.pitches.keys().next_back())
        {
            text += &format!("pitches {low} to {high}\n");
        }
        let hits: usize = found.drums.values().sum();
        for (name, count) in &found.drums {
            let share = 100.0 * as_float(*count) / as_float(hits);
            text += &format!("{name:>10}: {share:.1} % of the hits\n");
        }
        if found.arranged > 0 {
            text += &format!("{} windows were made by rule\n", found.arranged);
        }
        common::print(&text)
    }
}

fn shard(text: &str) -> Result<(u32, u32), String> {
    let (number, count) = text.split_once('/').ok_or("write it as 2/8: the second of eight")?;
    let number: u32 = number.parse().map_err(|_| "the share is a whole number from 1")?;
    let count: u32 = count.parse().map_err(|_| "the number of shares is a whole number")?;
    if (1..=count).contains(&number) {
        Ok((number, count))
    } else {
        Err(format!("there is no share {number} of {count}"))
    }
}

fn print(description: &Description) -> anyhow::Result<()> {
    let mut text = format!(
        "{} files read, {} without a window; windows of {} steps for {}\n",
        description.files, description.skipped, description.steps, description.config
    );
    for (split, count) in &description.splits {
        let Count { windows, files } = count;
        text += &format!("{:>10}: {windows} windows from {files} files\n", split.name());
    }
    text += &format!("{} windows were there more than once\n", description.duplicates);
    for note in &description.notes {
        text += &format!("note: {note}\n");
    }
    common::print(&text)
}
