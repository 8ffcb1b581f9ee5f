//! Learning a style beside the music: a file, a window or a step of training at a time.
//!
//! Each of these takes a few milliseconds, and between them the worker looks for requests, so that
//! patterns come as if nothing were learnt.

use std::{collections::VecDeque, path::PathBuf};

use interlude_gradient::autoencoder::{Example, Settings, Training};
use interlude_models::{engine::Posterior, latent::personal::Personal, tokens::Window};

use super::{files, model::Model};

/// Windows that are learnt from at most.
const MOST_WINDOWS: usize = 1000;
/// Share of the progress at which encoding begins.
const ENCODING: f32 = 0.1;
/// Share of the progress at which training begins.
const TRAINING: f32 = 0.4;

/// A style that is being learnt.
pub(super) struct Learning {
    /// What it is learnt from, for people.
    pub(super) source: String,
    files: VecDeque<PathBuf>,
    file_count: usize,
    windows: VecDeque<Window>,
    codes: Vec<Posterior>,
    training: Option<Training>,
    /// The latent space that is learnt in.
    space: String,
    /// What was wrong with the first file that could not be used.
    pub(super) problem: Option<String>,
}

/// What became of a step.
pub(super) enum Outcome {
    /// The share that is done, in `0..=1`.
    Learning(f32),
    /// The end.
    Learnt(Personal),
}

impl Learning {
    /// Learning from MIDI files.
    pub(super) fn from_files(files: Vec<PathBuf>) -> Self {
        let source = match files.as_slice() {
            [file] => file.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            files => format!("{} files", files.len()),
        };
        Self::new(source, files, Vec::new())
    }

    /// Learning from windows that were read already.
    pub(super) fn from_windows(source: &str, windows: Vec<Window>) -> Self {
        Self::new(source.to_owned(), Vec::new(), windows)
    }

    fn new(source: String, files: Vec<PathBuf>, windows: Vec<Window>) -> Self {
        Self {
            source,
            file_count: files.len(),
            files: files.into(),
            windows: windows.into(),
            codes: Vec::new(),
            training: None,
            space: String::new(),
            problem: None,
        }
    }

    /// Does the next piece of the work.
    pub(super) fn step(&mut self, model: &mut Model) -> Result<Outcome, String> {
        if let Some(path) = self.files.pop_front() {
            let most = (MOST_WINDOWS / self.file_count).max(1);
            match files::windows(&path, model.config(), most) {
                Ok(windows) => self.windows.extend(windows),
                Err(problem) => {
                    self.problem.get_or_insert(problem);
                }
            }
            let read = self.file_count - self.files.len();
            return Ok(Outcome::Learning(ENCODING * share(read, self.file_count)));
        }
        if let Some(window) = self.windows.pop_front() {
            self.codes.push(model.encode(window.tokens, window.controls.as_ref())?);
            let all = self.codes.len() + self.windows.len();
            let done = share(self.codes.len(), all);
            return Ok(Outcome::Learning(ENCODING + (TRAINING - ENCODING) * done));
        }
        let Some(training) = &mut self.training else {
            if self.codes.is_empty() {
                let problem = self.problem.take();
                return Err(problem.unwrap_or_else(|| "There is nothing to learn from.".to_owned()));
            }
            let codes = std::mem::take(&mut self.codes);
            let settings = Settings::default();
            let examples = codes.into_iter().map(Example::from).collect();
            let training = Training::new(model.runtime(), examples, settings);
            model.space().clone_into(&mut self.space);
            self.training = Some(training.map_err(|error| error.to_string())?);
            return Ok(Outcome::Learning(TRAINING));
        };
        let progress = training.step().map_err(|error| error.to_string())?;
        let done = share(progress.done, progress.steps);
        if progress.done < progress.steps {
            return Ok(Outcome::Learning(TRAINING + (1.0 - TRAINING) * done));
        }
        let trained = self.training.take().map(Training::finish);
        let weights = trained.ok_or("The training has ended already.")?;
        let personal = Personal::of(std::mem::take(&mut self.space), weights);
        personal.map(Outcome::Learnt).map_err(|error| error.to_string())
    }
}

fn share(done: usize, all: usize) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "a share for the eye")]
    let share = done as f32 / all.max(1) as f32;
    share
}
