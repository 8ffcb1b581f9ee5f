//! Grooves: hits of 9 drum classes with velocity and distance from the grid.

use super::{drums, quantise, step_of};
use crate::clip::{BEATS_PER_STEP, DRUM_CHANNEL, Note, STEPS_PER_BAR};
use crate::config::DrumMap;
use crate::midi::NoteSequence;

/// Number of drum classes.
pub(super) const CLASSES: usize = 9;
/// Windows that are taken from one sequence: hours of music. Silent ones count, so a file could
/// ask for any number of them.
const MAX_WINDOWS: usize = 1 << 12;

/// One step: hits, velocities, offsets, each of 9 classes.
type Step = [f32; 3 * CLASSES];

/// Windows of `steps` steps one behind the other, at most `count` of them.
///
/// Every note with a class counts, on whatever channel, as in the original; notes without a class
/// are left out, where the original fails. A sequence with changes of tempo or time signature has
/// no window.
pub(super) fn windows(sequence: &NoteSequence, steps: usize, count: usize) -> Vec<Vec<Step>> {
    let Some(part) = quantise::whole(sequence) else { return Vec::new() };
    let Some(notes) = part.grid_notes() else { return Vec::new() };
    let seconds_per_step = 60.0 / part.qpm / 4.0;
    let hits = notes.iter().filter_map(|grid| {
        let class = drums::class(DrumMap::Reduced, grid.note.pitch)?;
        let step = usize::try_from(grid.start_step).ok()?;
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^53")]
        let on_grid = seconds_per_step * grid.start_step as f64;
        let offset = (on_grid - grid.note.start) / seconds_per_step * 2.0;
        Some(Hit { step, class, velocity: grid.note.velocity, offset })
    });
    let hits: Vec<Hit> = hits.collect();
    let Some(last) = hits.iter().map(|hit| hit.step).max() else { return Vec::new() };
    let bars = last / STEPS_PER_BAR + 1;
    let count = (bars * STEPS_PER_BAR / steps).min(count).min(MAX_WINDOWS);
    let mut all = vec![[0.0; 3 * CLASSES]; count * steps];
    write(&hits, &mut all);
    all.chunks_exact(steps).map(<[Step]>::to_vec).collect()
}

/// Bars up to the last hit.
pub(super) fn bars(part: &quantise::Part) -> Option<usize> {
    let notes = part.grid_notes()?;
    let hits =
        notes.iter().filter(|grid| drums::class(DrumMap::Reduced, grid.note.pitch).is_some());
    let last = usize::try_from(hits.map(|grid| grid.start_step).max()?).ok()?;
    Some(last / STEPS_PER_BAR + 1)
}

struct Hit {
    step: usize,
    class: usize,
    velocity: u8,
    /// Half steps before the grid, in `-1..=1`.
    offset: f64,
}

/// Writes hits into steps; the loudest of a class on a step counts, the first of equals.
fn write(hits: &[Hit], steps: &mut [Step]) {
    for hit in hits {
        let velocity = f32::from(hit.velocity) / 127.0;
        let Some(step) = steps.get_mut(hit.step) else { continue };
        if step[hit.class] == 0.0 || velocity > step[CLASSES + hit.class] {
            step[hit.class] = 1.0;
            step[CLASSES + hit.class] = velocity;
            #[expect(clippy::cast_possible_truncation, reason = "networks read 32-bit floats")]
            let offset = hit.offset as f32;
            step[2 * CLASSES + hit.class] = offset;
        }
    }
}

/// The groove of a clip's notes, `steps` long; `None` if no note has a place in it. What counts as
/// drums is as for [`drums::from_notes`].
pub(super) fn from_notes(notes: &[Note], steps: usize) -> Option<Vec<Step>> {
    let all = !notes.iter().any(Note::is_drum);
    let hits = notes.iter().filter(|note| all || note.is_drum()).filter_map(|note| {
        let class = drums::class(DrumMap::Reduced, note.pitch)?;
        let step = usize::try_from(step_of(note.start)?).ok()?;
        let offset = (super::beats(step) - note.start) / BEATS_PER_STEP * 2.0;
        (step < steps).then_some(Hit { step, class, velocity: note.velocity, offset })
    });
    let hits: Vec<Hit> = hits.collect();
    let mut groove = vec![[0.0; 3 * CLASSES]; steps];
    write(&hits, &mut groove);
    (!hits.is_empty()).then_some(groove)
}

/// The notes of a groove, each one step long. A hit early on the first step begins at 0.
pub(super) fn to_notes(steps: &[Step]) -> Vec<Note> {
    let mut notes = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        for class in (0..CLASSES).filter(|class| step[*class] > 0.5) {
            let early = f64::from(step[2 * CLASSES + class]) / 2.0;
            let start = super::beats(index) - early.clamp(-0.5, 0.5) * BEATS_PER_STEP;
            notes.push(Note {
                start: start.max(0.0),
                end: start + BEATS_PER_STEP,
                pitch: drums::class_pitch(DrumMap::Reduced, class),
                velocity: velocity(step[CLASSES + class]),
                channel: DRUM_CHANNEL,
                program: 0,
            });
        }
    }
    notes
}

/// MIDI velocity of a value in `0..=1`. At least 1: a hit of velocity 0 would be a note-off.
fn velocity(value: f32) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 1..=127; not a number becomes 0"
    )]
    let velocity = (value * 127.0).round_ties_even().clamp(1.0, 127.0) as u8;
    velocity.max(1)
}

/// The classes hit on each step, as bits.
pub(super) fn hits(steps: &[Step]) -> Vec<u16> {
    let bits = |step: &Step| (0..CLASSES).map(|class| u16::from(step[class] > 0.5) << class).sum();
    steps.iter().map(bits).collect()
}

/// Roland's pitches for the classes, beside those that the 9 classes have anyway: the Groove MIDI
/// Dataset was played on a kit that numbers its toms and cymbals in this way.
const ROLAND: [(u8, usize); 5] = [(43, 4), (58, 4), (45, 5), (47, 5), (48, 6)];

/// Gives every drum of a recording from Roland's V-Drums the pitch that stands for its class, so
/// that [`super::extract`] reads it as the original does in training. Other pitches stay.
pub fn roland_to_general(sequence: &mut NoteSequence) {
    for note in &mut sequence.notes {
        if let Some((_, class)) = ROLAND.iter().find(|(pitch, _)| *pitch == note.pitch) {
            note.pitch = drums::class_pitch(DrumMap::Reduced, *class);
        }
    }
}
