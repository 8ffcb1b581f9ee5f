//! Where a window lies in the sequence that it was found in, and the notes that it was made of.

use super::melody;
use super::quantise::{Part, split_on_time_changes, whole};
use super::{beats, drums};
use crate::clip::{BEATS_PER_STEP, Clip, DRUM_CHANNEL, Note};
use crate::config::{Config, DrumMap, Scheme};
use crate::midi::{NoteSequence, SequenceNote};

/// Where a window lies in its sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Where the stretch of one tempo and time signature begins that it lies in, in seconds.
    start: f64,
    /// Its first step in that stretch.
    pub(super) step: u64,
    voices: Voices,
}

/// The instruments that were read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Voices {
    Melody(u32),
    Drums,
    Trio([u32; 3]),
    All,
}

/// A note that a window was made of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Source {
    /// The step of the window on which it begins.
    pub step: usize,
    /// The note, in beats from the start of the window; on the channel that the window's own notes
    /// have.
    pub note: Note,
}

impl Place {
    pub(super) fn of_melody(part: &Part, step: u64, instrument: u32) -> Self {
        Self { start: part.start, step, voices: Voices::Melody(instrument) }
    }

    pub(super) fn of_drums(part: &Part, step: u64) -> Self {
        Self { start: part.start, step, voices: Voices::Drums }
    }

    pub(super) fn of_trio(part: &Part, step: u64, instruments: [u32; 3]) -> Self {
        Self { start: part.start, step, voices: Voices::Trio(instruments) }
    }

    /// In a sequence that is read as a whole.
    pub(super) fn in_whole(step: u64) -> Self {
        Self { start: 0.0, step, voices: Voices::All }
    }

    /// The notes of `sequence` from which the tokens of the window at this place were made: of its
    /// own instruments alone, and where several begin on a step only the one that the token stands
    /// for (the highest of a melody, the loudest of a class of drums). In the order of steps.
    pub fn sources(&self, config: &Config, sequence: &NoteSequence) -> Vec<Source> {
        let part = match self.voices {
            Voices::All => whole(sequence),
            _ => split_on_time_changes(sequence).into_iter().find(|part| part.start == self.start),
        };
        let Some((part, notes)) =
            part.and_then(|part| part.grid_notes().map(|notes| (part, notes)))
        else {
            return Vec::new();
        };
        let steps = config.hparams.max_seq_len;
        let mut sources: Vec<Source> = Vec::new();
        for grid in notes {
            let step =
                grid.start_step.checked_sub(self.step).and_then(|it| usize::try_from(it).ok());
            let Some(step) = step.filter(|step| *step < steps) else { continue };
            let Some(channel) = self.channel(config, &grid.note) else { continue };
            let beat = |seconds: f64| {
                #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
                let first = self.step as f64;
                ((seconds * part.steps_per_second() - first) * BEATS_PER_STEP).max(0.0)
            };
            let SequenceNote { pitch, velocity, program, .. } = grid.note;
            let end = beat(grid.note.end).min(beats(steps));
            let start = beat(grid.note.start);
            let note = Note { start, end, pitch, velocity, channel, program };
            sources.push(Source { step, note });
        }
        sources.sort_by_key(|source| (source.step, rank(config, &source.note)));
        sources.dedup_by_key(|source| (source.step, voice(config, &source.note)));
        sources
    }

    /// The channel that a note has in the window, if it is one of those that were read.
    fn channel(&self, config: &Config, note: &SequenceNote) -> Option<u8> {
        let is_melody = !note.is_drum && note.velocity > 0 && melody::has_token(note.pitch);
        let is_drum = note.velocity > 0 && drums::class(map(config), note.pitch).is_some();
        match self.voices {
            Voices::Melody(instrument) => (is_melody && note.instrument == instrument).then_some(0),
            Voices::Drums => (is_drum && note.is_drum).then_some(DRUM_CHANNEL),
            Voices::All => is_drum.then_some(DRUM_CHANNEL),
            Voices::Trio(instruments) => {
                let role = instruments.iter().position(|number| *number == note.instrument)?;
                match role {
                    0 | 1 if is_melody => u8::try_from(role).ok(),
                    2 if is_drum => Some(DRUM_CHANNEL),
                    _ => None,
                }
            }
        }
    }
}

/// The stretches of a sequence in one tempo and in 4/4 (or what is as long), each as a clip from its
/// start in whole bars.
pub fn common_time(sequence: &NoteSequence) -> Vec<Clip> {
    let clip = |part: Part| {
        let beat = |seconds: f64| seconds * part.steps_per_second() * BEATS_PER_STEP;
        let notes = part.notes.iter().filter(|note| note.velocity > 0).map(|note| Note {
            start: beat(note.start),
            end: beat(note.end),
            pitch: note.pitch,
            velocity: note.velocity,
            channel: if note.is_drum { DRUM_CHANNEL } else { 0 },
            program: note.program,
        });
        // The end of a bar may be missed by a rounding error.
        let bars = (beat(part.total_time) / 4.0 - 1e-6).ceil();
        Clip::new(notes.collect(), bars * 4.0)
    };
    let parts = split_on_time_changes(sequence).into_iter();
    parts.filter(Part::has_common_bars).map(clip).filter(|clip| !clip.is_empty()).collect()
}

/// The pitch that stands for the class of a drum in the notes of a configuration's windows; `None`
/// for one without a class.
pub fn drum_pitch(config: &Config, pitch: u8) -> Option<u8> {
    let map = map(config);
    drums::class(map, pitch).map(|class| drums::class_pitch(map, class))
}

fn map(config: &Config) -> DrumMap {
    match config.scheme {
        Scheme::DrumRoll(map) => map,
        _ => DrumMap::Reduced,
    }
}

/// What sounds one note at a time: a melody, or a class of drums.
fn voice(config: &Config, note: &Note) -> (u8, Option<u8>) {
    (note.channel, note.is_drum().then(|| drum_pitch(config, note.pitch)).flatten())
}

/// The note that stands for a step's token comes first in its voice.
fn rank(config: &Config, note: &Note) -> (u8, Option<u8>, u8) {
    let (channel, class) = voice(config, note);
    let first = if note.is_drum() { note.velocity } else { note.pitch };
    (channel, class, u8::MAX - first)
}
