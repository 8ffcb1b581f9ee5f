//! What can be wrong with a MIDI file.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::{MAX_EVENTS, MAX_FILE_BYTES};

/// Why a MIDI file cannot be read.
#[derive(Debug, Error)]
pub enum MidiError {
    /// No byte in it.
    #[error("the file is empty; export it again from where it was made")]
    Empty,
    /// Its first bytes are not those of a MIDI file.
    #[error("not a MIDI file: it does not begin with `MThd`; choose a Standard MIDI File (.mid)")]
    NotMidi,
    /// It ends before it should.
    #[error("the file is cut off in {place}; fetch or export it again")]
    Truncated {
        /// The part that is not complete.
        place: String,
    },
    /// Bytes that are not an event.
    #[error("{place} holds {what}; export the file again")]
    Malformed {
        /// The part, and the offset within it.
        place: String,
        /// The bytes there.
        what: &'static str,
    },
    /// A time signature of which too little is there.
    #[error(
        "the time signature in track 1, byte {byte}, is not complete, so where its bars begin is \
         not known; set the time signature again and export the file anew"
    )]
    Metre {
        /// Where it stands in the first track.
        byte: usize,
    },
    /// Times in SMPTE frames instead of ticks.
    #[error(
        "the file counts time in SMPTE frames, which gives it no beats; export it with ticks per \
         quarter note"
    )]
    Smpte,
    /// Type 2: tracks that are independent pieces.
    #[error(
        "the file is of type 2, whose tracks are independent pieces; export it as type 0 or type 1"
    )]
    Sequential,
    /// A header with an unknown format or no resolution.
    #[error("the header is unusable ({what}); export the file as type 0 or type 1")]
    Header {
        /// What is wrong.
        what: String,
    },
    /// A file above [`MAX_FILE_BYTES`].
    #[error("the file has {bytes} bytes; MIDI files up to {MAX_FILE_BYTES} bytes can be read")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// More than [`MAX_EVENTS`] of a kind.
    #[error("the file holds more than {MAX_EVENTS} {what}; export a part of it")]
    TooMany {
        /// Of what.
        what: &'static str,
    },
    /// A folder in place of a file.
    #[error("it is a folder; choose a MIDI file in it")]
    Folder,
    /// The file system refused.
    #[error("cannot read the file: {0}")]
    Io(#[from] std::io::Error),
    /// Any of these, with the file.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: Box<MidiError>,
    },
}

/// Damage of a file whose music could still be read, completely or except for some tracks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Bytes before the header.
    Before {
        /// How many.
        bytes: usize,
    },
    /// Bytes that belong to nothing before a track.
    Between {
        /// How many.
        bytes: usize,
        /// The track behind them, from 1.
        track: usize,
    },
    /// A track with a wrong length.
    Length {
        /// The track, from 1.
        track: usize,
        /// Its bytes by its head.
        declared: usize,
        /// Its bytes.
        found: usize,
    },
    /// A tempo that is 0 or of which too little is there; the one before it goes on.
    Tempo {
        /// Where it stands in the first track.
        byte: usize,
    },
    /// Tracks behind those that the header counts, which are left out.
    More {
        /// Tracks by the header.
        declared: u16,
    },
    /// Fewer tracks than the header counts.
    Missing {
        /// Tracks by the header.
        declared: u16,
        /// Tracks in the file.
        found: usize,
    },
    /// A track that cannot be read and is left out.
    LeftOut {
        /// The track, from 1.
        track: usize,
        /// The reason.
        reason: String,
    },
}

impl Warning {
    /// Whether music may be missing because of it.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::More { .. } | Self::Missing { .. } | Self::LeftOut { .. })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Before { bytes } => {
                write!(f, "{bytes} bytes before the header of the MIDI file are skipped")
            }
            Self::Between { bytes, track } => {
                write!(f, "{bytes} bytes before track {track} belong to no track and are skipped")
            }
            Self::Length { track, declared, found } => write!(
                f,
                "track {track} is said to have {declared} bytes but ends after {found}; it is \
                 read to its end"
            ),
            Self::Tempo { byte } => {
                write!(f, "the tempo in track 1, byte {byte}, is 0 or not complete and is skipped")
            }
            Self::More { declared } => {
                write!(f, "the header counts {declared} tracks; those behind them are left out")
            }
            Self::Missing { declared, found } => {
                write!(f, "the header counts {declared} tracks, but only {found} are there")
            }
            Self::LeftOut { track, reason } => {
                write!(f, "track {track} is left out: {reason}")
            }
        }
    }
}
