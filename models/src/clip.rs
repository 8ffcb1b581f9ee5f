//! Clips: notes on a beat grid, the representation of music that all crates share.

use serde::{Deserialize, Serialize};

/// Beats (quarter notes) in one step, the 16th-note grid of the models.
pub const BEATS_PER_STEP: f64 = 0.25;
/// Steps in one 4/4 bar.
pub const STEPS_PER_BAR: usize = 16;
/// Zero-based MIDI channel of drums ("channel 10" to a musician).
pub const DRUM_CHANNEL: u8 = 9;

/// One note. Times are in beats (quarter notes) from the start of its clip.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Onset in beats, `>= 0` in a well-formed clip.
    pub start: f64,
    /// End in beats, `> start`.
    pub end: f64,
    /// MIDI key, in `0..128`.
    pub pitch: u8,
    /// MIDI velocity, in `1..128`.
    pub velocity: u8,
    /// Zero-based MIDI channel, in `0..16`; [`DRUM_CHANNEL`] marks drums.
    pub channel: u8,
    /// Zero-based General MIDI program, in `0..128`; without meaning for drums.
    pub program: u8,
}

impl Note {
    /// Whether the note belongs to the drum channel.
    pub fn is_drum(&self) -> bool {
        self.channel == DRUM_CHANNEL
    }
}

/// A stretch of music: notes and a length in beats.
///
/// The length is kept apart from the notes because trailing silence counts: a 2-bar clip whose
/// last note ends on beat 7 is still 8 beats long.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Clip {
    /// The notes, ordered by onset, then pitch.
    pub notes: Vec<Note>,
    /// Length in beats.
    pub length: f64,
}

impl Clip {
    /// Makes a clip and puts its notes in order.
    pub fn new(mut notes: Vec<Note>, length: f64) -> Self {
        notes.sort_by(|a, b| {
            a.start.total_cmp(&b.start).then(a.pitch.cmp(&b.pitch)).then(a.channel.cmp(&b.channel))
        });
        Self { notes, length }
    }

    /// Whether no note is in the clip.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// The lowest and highest pitch, or `None` for a clip without notes.
    pub fn pitch_range(&self) -> Option<(u8, u8)> {
        let lowest = self.notes.iter().map(|note| note.pitch).min()?;
        let highest = self.notes.iter().map(|note| note.pitch).max()?;
        Some((lowest, highest))
    }
}
