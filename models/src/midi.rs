//! MIDI files: read as note sequences in seconds, written from clips.
//!
//! Reading follows note-seq 0.0.5 with pretty_midi 0.2.10, because the models were trained on what
//! those two make of a file; the rules are told in [`read`]. Writing follows them too.

mod instruments;
mod read;
mod riff;
mod write;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use write::to_bytes;

/// Whether a file begins as MIDI files do, plain ones and those within RIFF (`.rmi`); its first 12
/// bytes are enough.
pub fn begins_like_midi(bytes: &[u8]) -> bool {
    riff::is_midi(bytes)
}

/// Largest file that is read, in bytes.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Most notes, and most changes of tempo or time signature, of one file. An opera has some hundred
/// thousand notes; a file within [`MAX_FILE_BYTES`] could have twenty million, which take gigabytes.
pub const MAX_EVENTS: usize = 1 << 20;

/// One note of a [`NoteSequence`]. Times are in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SequenceNote {
    /// Onset in seconds.
    pub start: f64,
    /// End in seconds, after `start`.
    pub end: f64,
    /// Number of the instrument: an index in the order in which instruments ended a note first.
    pub instrument: u32,
    /// MIDI key, in `0..128`.
    pub pitch: u8,
    /// MIDI velocity, in `0..128`.
    pub velocity: u8,
    /// Zero-based General MIDI program.
    pub program: u8,
    /// Whether the note was on the drum channel.
    pub is_drum: bool,
}

/// A tempo from a time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tempo {
    /// Seconds from the start.
    pub time: f64,
    /// Quarter notes per minute, `> 0`.
    pub qpm: f64,
}

/// A time signature from a time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimeSignature {
    /// Seconds from the start.
    pub time: f64,
    /// Beats in a bar.
    pub numerator: u32,
    /// Note value of a beat: 4 for quarter notes.
    pub denominator: u32,
}

/// A chord from a time on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChordChange {
    /// Seconds from the start.
    pub time: f64,
    /// The chord, as the models number them (see [`crate::tokens::Controls::Chords`]).
    pub chord: u8,
}

/// A piece of music in seconds, as the original reads it from a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NoteSequence {
    /// Notes, instrument by instrument, in each by their ends.
    pub notes: Vec<SequenceNote>,
    /// Tempo changes, the first at 0 in a sequence from a file. 120 where there is none.
    pub tempos: Vec<Tempo>,
    /// Time signatures; 4/4 where there is none.
    pub time_signatures: Vec<TimeSignature>,
    /// Chords, for models with chords. Empty in a sequence from a file: they are inferred then.
    pub chords: Vec<ChordChange>,
    /// End of the last note in seconds.
    pub total_time: f64,
    /// Ticks in a quarter note of the file.
    pub ticks_per_quarter: u16,
}

/// Why a MIDI file cannot be read.
#[derive(Debug, Error)]
pub enum MidiError {
    /// No byte in it.
    #[error("the file is empty; export it again from where it was made")]
    Empty,
    /// It begins like no MIDI file.
    #[error("not a MIDI file: it does not begin with `MThd`; choose a Standard MIDI File (.mid)")]
    NotMidi,
    /// It ends before it should.
    #[error("the file is cut off in {place}; fetch or export it again")]
    Truncated {
        /// The part that is not complete.
        place: String,
    },
    /// Bytes that are no event.
    #[error("{place} holds bytes that are no MIDI event; export the file again")]
    Malformed {
        /// The part, and the offset within it.
        place: String,
    },
    /// Times in frames of film.
    #[error(
        "the file counts time in SMPTE frames, which gives it no beats; export it with ticks per \
         quarter note"
    )]
    Smpte,
    /// Tracks that are pieces of their own.
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
    /// The file system refused.
    #[error("cannot read the file: {0}")]
    Io(#[from] std::io::Error),
    /// Any of these, with the file it happened in.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<MidiError>,
    },
}

impl NoteSequence {
    /// Reads a MIDI file from its bytes.
    ///
    /// # Errors
    /// [`MidiError`] for everything that is not a whole type 0 or type 1 file in ticks, plain or
    /// within RIFF.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MidiError> {
        read::sequence(riff::unwrap(bytes))
    }

    /// Reads a MIDI file.
    ///
    /// # Errors
    /// [`MidiError::File`] with the path and the cause.
    pub fn open(path: &Path) -> Result<Self, MidiError> {
        read_bounded(path)
            .and_then(|bytes| Self::from_bytes(&bytes))
            .map_err(|source| MidiError::File { path: path.to_owned(), source: Box::new(source) })
    }

    /// Moves every pitched note by `semitones`; notes that leave `0..128` are dropped and drums
    /// stay. Chords move along. The length stays as it is, as in the original's augmentation.
    #[must_use]
    pub fn transposed(&self, semitones: i8) -> Self {
        let mut moved = self.clone();
        moved.notes.retain_mut(|note| {
            if note.is_drum {
                return true;
            }
            match note.pitch.checked_add_signed(semitones) {
                Some(pitch) if pitch < 128 => {
                    note.pitch = pitch;
                    true
                }
                _ => false,
            }
        });
        for change in &mut moved.chords {
            change.chord = crate::tokens::transpose_chord(change.chord, semitones);
        }
        moved
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, MidiError> {
    use std::io::Read;

    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file that is too large, also when its size is not known
    // beforehand (a pipe).
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size > MAX_FILE_BYTES {
        let bytes = std::fs::metadata(path).map_or(size, |data| data.len());
        return Err(MidiError::TooLarge { bytes });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::{Clip, Note};

    fn file() -> Vec<u8> {
        let note =
            |start, end, pitch| Note { start, end, pitch, velocity: 80, channel: 0, program: 0 };
        to_bytes(&Clip::new(vec![note(0.0, 1.0, 60), note(1.0, 1.5, 60)], 4.0), 60.0)
    }

    fn error(bytes: &[u8]) -> String {
        NoteSequence::from_bytes(bytes).unwrap_err().to_string()
    }

    /// A written file is read back with its notes, and its tempo sets their seconds.
    #[test]
    fn a_written_file_is_read_back() {
        let sequence = NoteSequence::from_bytes(&file()).unwrap();
        let times: Vec<_> = sequence.notes.iter().map(|note| (note.start, note.end)).collect();
        assert_eq!(times, [(0.0, 1.0), (1.0, 1.5)]);
        assert_eq!(sequence.tempos, [Tempo { time: 0.0, qpm: 60.0 }]);
        assert_eq!(sequence.total_time, 1.5);
    }

    /// Every unusable file has its own sentence.
    #[test]
    fn unusable_files_are_told_apart() {
        assert!(error(&[]).contains("empty"));
        assert!(error(b"RIFF....").contains("not a MIDI file"));
        for length in 1..file().len() {
            assert!(error(&file()[..length]).contains("cut off"), "{length} bytes");
        }
        let with = |offset: usize, value: [u8; 2]| {
            let mut bytes = file();
            bytes[offset..offset + 2].copy_from_slice(&value);
            error(&bytes)
        };
        assert!(with(8, [0, 2]).contains("type 2"));
        assert!(with(8, [0, 7]).contains("format 7"));
        assert!(with(12, [0xE7, 40]).contains("SMPTE"));
        assert!(with(12, [0x80, 0]).contains("SMPTE"));
        assert!(with(12, [0, 0]).contains("0 ticks"));
        // The first event of the first track: a system message, which no file may hold.
        assert!(with(22, [0, 0xF1]).contains("track 1, byte 0"));
    }

    /// A file with more notes, or changes of tempo, than any music has is refused.
    #[test]
    fn events_are_counted() {
        let error = |track: Vec<u8>| {
            let length = u32::try_from(track.len()).unwrap().to_be_bytes();
            let header = b"MThd\0\0\0\x06\0\0\0\x01\0\x18MTrk";
            NoteSequence::from_bytes(&[&header[..], &length, &track].concat()).unwrap_err()
        };
        // Notes that never end, so that only the number of beginnings can tell.
        let notes = error([0, 0x90, 60, 80].repeat(MAX_EVENTS + 1)).to_string();
        assert!(notes.contains("more than 1048576 notes"), "{notes}");
        let tempos = [1, 0xff, 0x51, 3, 7, 0xa1, 0x20, 1, 0xff, 0x51, 3, 6, 0xa1, 0x20];
        let tempos = error(tempos.repeat(MAX_EVENTS / 2 + 1)).to_string();
        assert!(tempos.contains("more than 1048576 changes of tempo"), "{tempos}");
    }

    /// Missing files are named.
    #[test]
    fn a_missing_file_is_named() {
        let error = NoteSequence::open(Path::new("no such.mid")).unwrap_err().to_string();
        assert!(error.starts_with("no such.mid: cannot read"), "{error}");
    }

    /// Transposition drops what leaves the range and spares drums.
    #[test]
    fn transposition_spares_drums() {
        let note = |pitch, is_drum| SequenceNote {
            start: 0.0,
            end: 1.0,
            instrument: 0,
            pitch,
            velocity: 80,
            program: 0,
            is_drum,
        };
        let notes = vec![note(60, false), note(126, false), note(36, true)];
        let sequence = NoteSequence { notes, total_time: 1.0, ..NoteSequence::default() };
        let pitches: Vec<u8> = sequence.transposed(3).notes.iter().map(|note| note.pitch).collect();
        assert_eq!(pitches, [63, 36]);
    }
}
