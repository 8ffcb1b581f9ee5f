//! The MIDI files that generation begins with.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{anyhow, bail};
use clap::Args;
use interlude_models::config::Config;
use interlude_models::engine::{Engine, Posterior};
use interlude_models::families::line::MELODIC_PROGRAMS;
use interlude_models::midi::{self, NoteSequence};
use interlude_models::tokens::{Limit, Place, TokenError, Window, extract_with_places, to_clip};

use super::output::Folder;
use crate::generate::velocities::Dynamics;

/// Most that is said of what is wrong with one file.
const MAX_WARNINGS: usize = 3;

/// Windows to choose from that get velocities: nobody looks through more, and each takes as long as
/// reading the file.
const MAX_KEPT: usize = 1000;

/// What is read of MIDI files beside what the original reads of them.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(in crate::commands) struct Reading {
    /// Read the notes of all channels as drums, since pads often send on channels other than 10.
    #[arg(long)]
    drums: bool,
    /// Read melodies of every program; otherwise only programs 0 to 31 (piano to guitar and bass)
    /// count.
    #[arg(long)]
    any_program: bool,
}

impl Reading {
    /// Reads a file, and tells what is wrong with it where it can be read all the same.
    fn open(self, config: &Config, path: &Path) -> anyhow::Result<NoteSequence> {
        let (mut sequence, warnings) = midi::open(path)?;
        for warning in warnings.iter().take(MAX_WARNINGS) {
            eprintln!("{}: {warning}", path.display());
        }
        if let more @ 1.. = warnings.len().saturating_sub(MAX_WARNINGS) {
            eprintln!("{}: and {more} more like these", path.display());
        }
        self.apply(config, &mut sequence);
        Ok(sequence)
    }

    fn apply(self, config: &Config, sequence: &mut NoteSequence) {
        for note in &mut sequence.notes {
            note.is_drum |= self.drums;
            // A trio tells its bass by the program.
            let is_told = config.family().is_told_by(note.program);
            let is_melodic = MELODIC_PROGRAMS.contains(&note.program);
            if self.any_program && !is_melodic && !is_told {
                note.program = 0;
            }
        }
    }

    /// What to do about a sequence that gives no window: the option that makes it give some.
    fn remedy(self, config: &Config, sequence: &NoteSequence) -> &'static str {
        let options = [
            (Self { any_program: true, ..self }, "it can be read with --any-program"),
            (Self { drums: true, ..self }, "its notes are read as drums with --drums"),
        ];
        let helps = |option: &&(Self, &str)| {
            let mut sequence = sequence.clone();
            option.0.apply(config, &mut sequence);
            extract_with_places(config, &sequence, Limit::First(1)).is_ok()
        };
        options.iter().find(helps).map_or("try another MIDI file", |(_, remedy)| *remedy)
    }
}

/// One window of a file.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Input {
    pub(super) path: PathBuf,
    /// Which window of the file.
    pub(super) number: usize,
    pub(in crate::commands) window: Window,
    place: Place,
    sequence: Rc<NoteSequence>,
}

impl Input {
    /// The velocities of the window, for models that make none of their own.
    pub(super) fn dynamics(&self, config: &Config) -> Option<Dynamics> {
        if config.family().is_performed() {
            return None;
        }
        Dynamics::of(config, &self.sequence, &self.place)
    }
}

/// All windows of a file; there is at least one.
pub(in crate::commands) fn windows(
    config: &Config,
    path: &Path,
    reading: Reading,
) -> anyhow::Result<Vec<Input>> {
    let sequence = Rc::new(reading.open(config, path)?);
    let windows = extract_with_places(config, &sequence, Limit::All).map_err(|error| {
        let remedy = match error {
            // These say themselves what to do.
            TokenError::NoLength { .. } | TokenError::NoEnd { .. } => String::new(),
            _ => format!("; {}", reading.remedy(config, &sequence)),
        };
        anyhow!("{}: {error}{remedy}", path.display())
    })?;
    let input = |(number, (window, place))| Input {
        path: path.to_owned(),
        number,
        window,
        place,
        sequence: Rc::clone(&sequence),
    };
    Ok(windows.into_iter().enumerate().map(input).collect())
}

/// The only window of each file. Where a file has several, they are written to `out`, with its
/// velocities if they are to be kept, for one to be chosen, and that is the error.
pub(super) fn single_windows(
    config: &Config,
    paths: &[PathBuf],
    (reading, keep_velocities): (Reading, bool),
    out: &Path,
) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    let mut several = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let mut windows = windows(config, path, reading)?;
        if windows.len() == 1 {
            inputs.append(&mut windows);
            continue;
        }
        let stem = format!("{}_input{}-extractions", config.name, index + 1);
        let folder = Folder::create(out, &stem, windows.len())?;
        for window in &windows {
            let mut clip = to_clip(config, &window.window.tokens);
            if keep_velocities
                && window.number < MAX_KEPT
                && let Some(dynamics) = window.dynamics(config)
            {
                dynamics.apply(&mut clip);
            }
            folder.write(window.number, &clip)?;
        }
        several.push(format!(
            "{} holds {} windows of {} bars, written to {}",
            path.display(),
            windows.len(),
            config.bars(),
            folder.pattern()
        ));
    }
    if !several.is_empty() {
        bail!("{}; choose one of them as input", several.join(", and "));
    }
    Ok(inputs)
}

/// Encodes windows, each with its own controls where the model has some.
pub(in crate::commands) fn encode(
    engine: &mut Engine,
    inputs: &[Input],
) -> anyhow::Result<Vec<Posterior>> {
    let tokens: Vec<_> = inputs.iter().map(|input| input.window.tokens.clone()).collect();
    let controls: Option<Vec<_>> =
        inputs.iter().map(|input| input.window.controls.clone()).collect();
    Ok(engine.encode(&tokens, controls.as_deref())?)
}

/// The posterior mean of each window.
pub(super) fn means(engine: &mut Engine, inputs: &[Input]) -> anyhow::Result<Vec<Vec<f32>>> {
    Ok(encode(engine, inputs)?.into_iter().map(|posterior| posterior.mu).collect())
}
