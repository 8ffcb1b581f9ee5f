//! The notes that a window was made of.

use super::family::Family;
use super::kit;
use super::place::{Place, Source};
use super::quantise::{Stretch, beats, split_on_time_changes, whole};
use crate::clip::{BEATS_PER_STEP, Clip, DRUM_CHANNEL, Note};
use crate::midi::{NoteSequence, SequenceNote};

impl Place {
    /// The notes of `sequence` from which the tokens of the window at this place were made: of its
    /// own instruments alone, and where several begin on a step only the one that the token stands
    /// for (the highest of a melody, the loudest of a class of drums). In the order of steps.
    pub(crate) fn notes(
        &self,
        family: &dyn Family,
        steps: usize,
        sequence: &NoteSequence,
    ) -> Vec<Source> {
        let stretch = match self.start {
            None => whole(sequence),
            Some(start) => split_on_time_changes(sequence).into_iter().find(|it| it.start == start),
        };
        let Some((stretch, notes)) =
            stretch.and_then(|stretch| stretch.grid_notes().map(|notes| (stretch, notes)))
        else {
            return Vec::new();
        };
        let mut sources: Vec<Source> = Vec::new();
        for grid in notes {
            let step =
                grid.start_step.checked_sub(self.step).and_then(|it| usize::try_from(it).ok());
            let Some(step) = step.filter(|step| *step < steps) else { continue };
            let Some(channel) = family.channel(&self.instruments, &grid.note) else { continue };
            let beat = |seconds: f64| {
                #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
                let first = self.step as f64;
                ((seconds * stretch.steps_per_second() - first) * BEATS_PER_STEP).max(0.0)
            };
            let SequenceNote { pitch, velocity, program, .. } = grid.note;
            let end = beat(grid.note.end).min(beats(steps));
            let start = beat(grid.note.start);
            let note = Note { start, end, pitch, velocity, channel, program };
            sources.push(Source { step, note });
        }
        sources.sort_by_key(|source| (source.step, rank(family, &source.note)));
        sources.dedup_by_key(|source| (source.step, voice(family, &source.note)));
        sources
    }
}

/// The sections of a sequence in one tempo and in 4/4 (or another metre of that length), each as a
/// clip of whole bars from its start.
pub fn common_time(sequence: &NoteSequence) -> Vec<Clip> {
    let clip = |part: Stretch| {
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
    parts.filter(Stretch::has_common_bars).map(clip).filter(|clip| !clip.is_empty()).collect()
}

/// The pitch that stands for the class of a drum in the notes of a family's windows; `None` for one
/// without a class.
pub(crate) fn drum_pitch(family: &dyn Family, pitch: u8) -> Option<u8> {
    let map = family.drum_map()?;
    kit::class(map, pitch).map(|class| kit::class_pitch(map, class))
}

/// A voice with one note at a time: a melody, or a class of drums.
fn voice(family: &dyn Family, note: &Note) -> (u8, Option<u8>) {
    (note.channel, note.is_drum().then(|| drum_pitch(family, note.pitch)).flatten())
}

/// The note that stands for a step's token comes first in its voice.
fn rank(family: &dyn Family, note: &Note) -> (u8, Option<u8>, u8) {
    let (channel, class) = voice(family, note);
    let first = if note.is_drum() { note.velocity } else { note.pitch };
    (channel, class, u8::MAX - first)
}
