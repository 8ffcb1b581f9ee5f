//! Errors of tokenisation.

use thiserror::Error;

/// Why a sequence or clip has no tokens.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum TokenError {
    /// No note at all.
    #[error("there is no note in it; choose music with notes")]
    Empty,
    /// Only notes without length.
    #[error(
        "its {count} {what} have no length: each ends where it begins, and such notes are not \
         read; make them a 16th long, say, and export the file again"
    )]
    NoLength {
        /// How many.
        count: usize,
        /// What they are.
        what: &'static str,
    },
    /// Only notes that never end.
    #[error(
        "its {count} {what} never end, as no note-off follows them, and such notes are not read; \
         export the file again"
    )]
    NoEnd {
        /// How many.
        count: usize,
        /// What they are.
        what: &'static str,
    },
    /// No note that the configuration can express.
    #[error("`{config}` finds nothing to read: it needs {wanted}")]
    NoUsableNote {
        /// The configuration's name.
        config: String,
        /// What it reads.
        wanted: &'static str,
    },
    /// No stretch of 16-step bars.
    #[error("no part of it is in 4/4 ({metres}); `{config}` knows bars of four quarter notes only")]
    NoCommonTime {
        /// The configuration's name.
        config: String,
        /// What it is in.
        metres: String,
    },
    /// A groove in several tempos or time signatures.
    #[error(
        "its tempo or time signature changes; `{config}` reads music in one tempo and 4/4 only"
    )]
    Changes {
        /// The configuration's name.
        config: String,
    },
    /// Not long enough.
    #[error(
        "no passage in 4/4 is long enough{found}: `{config}` needs {bars} bars without a change of \
         tempo or time signature{and}"
    )]
    TooShort {
        /// The configuration's name.
        config: String,
        /// Bars of one window.
        bars: usize,
        /// How long the longest is, where that is known.
        found: String,
        /// What else it needs.
        and: &'static str,
    },
    /// A melody whose chords cannot be told.
    #[error(
        "its chords cannot be told, which `{config}` needs: they are looked for in up to 500 bars \
         of 4/4 or 2/2; take a part of it"
    )]
    NoChords {
        /// The configuration's name.
        config: String,
    },
    /// Chord symbols that are not understood, in every passage that is long enough.
    #[error(
        "its chord symbols are not understood everywhere, or stand for chords that `{config}` does \
         not know: it has major, minor, augmented and diminished triads, with and without more notes"
    )]
    UnknownChords {
        /// The configuration's name.
        config: String,
    },
    /// Numbers that do not belong to the configuration.
    #[error("these are not steps of `{config}`: {what}")]
    Shape {
        /// The configuration's name.
        config: String,
        /// What is wrong.
        what: String,
    },
}
