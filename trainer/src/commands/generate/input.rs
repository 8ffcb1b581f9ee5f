//! The MIDI files that generation begins with.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{anyhow, bail};
use interlude_models::config::{Config, Scheme};
use interlude_models::engine::{Engine, Posterior};
use interlude_models::midi::NoteSequence;
use interlude_models::tokens::{Limit, Window, extract, to_clip};

use super::output::Folder;
use crate::generate::velocities::Dynamics;

/// One window of a file.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Input {
    pub(super) path: PathBuf,
    /// Which window of the file.
    pub(super) number: usize,
    pub(in crate::commands) window: Window,
    sequence: Rc<NoteSequence>,
}

impl Input {
    /// The velocities of the window, for models that make none of their own.
    pub(super) fn dynamics(&self, config: &Config) -> Option<Dynamics> {
        if matches!(config.scheme, Scheme::Groove(_)) {
            return None;
        }
        let clip = to_clip(config, &self.window.tokens);
        Dynamics::of(&self.sequence, &clip, config.hparams.max_seq_len)
    }
}

/// All windows of a file; there is at least one.
pub(in crate::commands) fn windows(config: &Config, path: &Path) -> anyhow::Result<Vec<Input>> {
    let sequence = Rc::new(NoteSequence::open(path)?);
    let windows = extract(config, &sequence, Limit::All)
        .map_err(|error| anyhow!("{}: {error}; try another MIDI file", path.display()))?;
    let input = |(number, window)| Input {
        path: path.to_owned(),
        number,
        window,
        sequence: Rc::clone(&sequence),
    };
    Ok(windows.into_iter().enumerate().map(input).collect())
}

/// The only window of each file. Where a file has several, they are written to `out`, for one to
/// be chosen, and that is the error.
pub(super) fn single_windows(
    config: &Config,
    paths: &[PathBuf],
    out: &Path,
) -> anyhow::Result<Vec<Input>> {
    let mut inputs = Vec::new();
    let mut several = Vec::new();
    for (index, path) in paths.iter().enumerate() {
        let mut windows = windows(config, path)?;
        if windows.len() == 1 {
            inputs.append(&mut windows);
            continue;
        }
        let stem = format!("{}_input{}-extractions", config.name, index + 1);
        let folder = Folder::create(out, &stem, windows.len())?;
        for window in &windows {
            folder.write(window.number, &to_clip(config, &window.window.tokens))?;
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

/// The means of what the encoder believes about each window.
pub(super) fn means(engine: &mut Engine, inputs: &[Input]) -> anyhow::Result<Vec<Vec<f32>>> {
    Ok(encode(engine, inputs)?.into_iter().map(|posterior| posterior.mu).collect())
}
