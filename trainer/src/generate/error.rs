//! Why music could not be made.

use std::io;
use std::path::PathBuf;

use interlude_models::engine::EngineError;
use interlude_models::midi::MidiError;
use interlude_models::scale::NoScale;
use interlude_models::tokens::TokenError;
use thiserror::Error;

use super::chords::ChordError;

/// Why music could not be made; each message says what to do.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// An input is no MIDI file that can be read.
    #[error(transparent)]
    Midi(#[from] MidiError),
    /// An input has no window that the model can read.
    #[error("{}: {reason}{}", path.display(), remedy.map(|text| format!("; {text}")).unwrap_or_default())]
    NoWindow {
        /// The MIDI file.
        path: PathBuf,
        /// Why not.
        reason: TokenError,
        /// What to do, where the reason does not say it.
        remedy: Option<&'static str>,
    },
    /// Inputs with more than one window, which were written to files of their own.
    #[error("{}; choose one of them as input", .0.join(", and "))]
    SeveralWindows(
        /// Each input with its number of windows and where they are.
        Vec<String>,
    ),
    /// Another number of inputs than a line or a grid has.
    #[error("give two MIDI files for a line between them, or four for a square, not {0}")]
    Inputs(
        /// Files given.
        usize,
    ),
    /// Columns and rows of a line.
    #[error("--columns and --rows need four MIDI files; two make a line of --num-outputs")]
    GridOfTwo,
    /// Conditions that the model does not take.
    #[error("`{config}` takes no {what}; leave out --{what}")]
    NotConditioned {
        /// Name of the configuration.
        config: String,
        /// The option, and what it gives: `chords` or `hits`.
        what: &'static str,
    },
    /// A chord progression that cannot be read.
    #[error(transparent)]
    Chords(#[from] ChordError),
    /// A scale that cannot be read.
    #[error(transparent)]
    Scale(#[from] NoScale),
    /// `--key auto` for music without a key.
    #[error("--key auto finds no key: {0}; name one, such as --key \"D dorian\"")]
    NoKey(
        /// Why there is none, as a phrase.
        &'static str,
    ),
    /// A lock without a pattern.
    #[error("--lock needs a pattern to keep: give a MIDI file with one window as --keep")]
    NoPattern,
    /// A part to keep that the model does not have.
    #[error("`{config}` has no part `{part}`; it has {known}")]
    NoPart {
        /// Name of the configuration.
        config: String,
        /// The part that was named.
        part: String,
        /// The parts there are, separated by commas.
        known: String,
    },
    /// Pitches for a model that plays drums only.
    #[error("`{config}` plays drums only; leave out --key and --range")]
    NoPitches {
        /// Name of the configuration.
        config: String,
    },
    /// A file of codes that cannot be used.
    #[error("{} {reason}", path.display())]
    Codes {
        /// The file.
        path: PathBuf,
        /// What it holds instead, and what to do.
        reason: String,
    },
    /// A graph failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A file or folder could not be read, written or made.
    #[error("cannot {action} {}: {reason}", path.display())]
    File {
        /// What was tried, such as `write`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        reason: io::Error,
    },
}

impl GenerateError {
    /// The error of an `action` on a file.
    pub(super) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |reason| Self::File { action, path, reason }
    }
}
