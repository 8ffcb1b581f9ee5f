//! MIDI files: read as note sequences in seconds, written from clips.
//!
//! Reading follows note-seq 0.0.5 with pretty_midi 0.2.10, because the original models were trained
//! on files read by those; the rules are in [`read`]. Writing follows them too.

mod chunks;
mod error;
mod events;
mod instruments;
mod read;
mod riff;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use crate::clip::DRUM_CHANNEL;

pub use error::{MidiError, Warning};
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
    /// Index of the instrument, in the order in which instruments first ended a note.
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
    /// The chord, as the models number them (see [`crate::chords`]); `None` for a
    /// symbol that is not understood, or a chord that has no number.
    pub chord: Option<u8>,
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
    /// Notes that are not among them.
    pub lost: Lost,
    /// End of the last note in seconds.
    pub total_time: f64,
    /// Ticks in a quarter note of the file.
    pub ticks_per_quarter: u16,
}

/// Numbers of notes that the original does not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Drums that end where they begin.
    pub drums_without_length: usize,
    /// Other notes that end where they begin.
    pub notes_without_length: usize,
    /// Drums without an end.
    pub drums_without_end: usize,
    /// Other notes without an end.
    pub notes_without_end: usize,
}

impl Lost {
    fn count_without_length(&mut self, channel: u8, count: usize) {
        match channel {
            DRUM_CHANNEL => self.drums_without_length += count,
            _ => self.notes_without_length += count,
        }
    }

    fn count_without_end(&mut self, channel: u8, count: usize) {
        match channel {
            DRUM_CHANNEL => self.drums_without_end += count,
            _ => self.notes_without_end += count,
        }
    }
}

impl NoteSequence {
    /// Reads a MIDI file from its bytes, as [`from_bytes`].
    ///
    /// # Errors
    /// As [`from_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MidiError> {
        Ok(from_bytes(bytes)?.0)
    }

    /// Reads a MIDI file, as [`open`].
    ///
    /// # Errors
    /// As [`open`].
    pub fn open(path: &Path) -> Result<Self, MidiError> {
        Ok(open(path)?.0)
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
            let moved = |chord| crate::chords::transpose_chord(chord, semitones);
            change.chord = change.chord.map(moved);
        }
        moved
    }
}

/// Reads a MIDI file from its bytes, with warnings about damage that leaves its music, or that of
/// some of its tracks, intact.
///
/// # Errors
/// [`MidiError`] for anything but a type 0 or type 1 file in ticks, plain or within RIFF, and for
/// files whose first track, or every track with notes, is damaged.
pub fn from_bytes(bytes: &[u8]) -> Result<(NoteSequence, Vec<Warning>), MidiError> {
    read::sequence(riff::unwrap(bytes))
}

/// Reads a MIDI file, as [`from_bytes`].
///
/// # Errors
/// [`MidiError::File`] with the path and the cause.
pub fn open(path: &Path) -> Result<(NoteSequence, Vec<Warning>), MidiError> {
    read_bounded(path)
        .and_then(|bytes| from_bytes(&bytes))
        .map_err(|source| MidiError::File { path: path.to_owned(), source: Box::new(source) })
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, MidiError> {
    use std::io::Read;

    if path.is_dir() {
        return Err(MidiError::Folder);
    }
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
