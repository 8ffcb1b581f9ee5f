//! Grooves: hits of drum classes with velocity and distance from the grid.

use serde::{Deserialize, Serialize};

use super::family::Family;
use super::kinds::{Column, ColumnKind, Converter, OutputKind, Training, Voice, Walk, Wanted};
use super::percussion::{self, CLASSES, DrumMap};
use super::place::Place;
use super::quantise;
use super::search::{Limit, largest};
use super::window::{ControlKind, Controls, GrooveStep as Step, Tokens, Window};
use crate::clip::{BEATS_PER_STEP, DRUM_CHANNEL, Note, STEPS_PER_BAR};
use crate::midi::{NoteSequence, SequenceNote};

/// Grooves, for one task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Groove(pub GrooveTask);

/// What a groove model has to restore, that is, what is removed from the encoder's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GrooveTask {
    /// Nothing: the input is the groove itself.
    Reconstruct,
    /// Velocities and offsets (humanize).
    Humanize,
    /// All but the rhythm, tapped on one drum, velocities fixed.
    TapFixedVelocity,
    /// As [`GrooveTask::TapFixedVelocity`], with notes dropped at random while training.
    TapFixedVelocityNoteDropout,
    /// The closed hi-hat.
    AddClosedHat,
    /// Nothing, with the hits given as control.
    HitsControl,
}

/// The drums of grooves.
const MAP: DrumMap = DrumMap::Reduced;
/// Values of a step: hits, velocities, offsets.
const VALUES: usize = 3 * CLASSES;
/// The class that a tapped rhythm is put on: open hi-hat.
const TAP_CLASS: usize = 3;
/// The class that [`GrooveTask::AddClosedHat`] takes away.
const CLOSED_HAT_CLASS: usize = 2;
/// Velocities of a dataset, `0..=127`.
const VELOCITIES: u32 = 128;
/// Offsets of a dataset; [`CENTRE`] is on the beat, both ends are half a step away from it.
const OFFSETS: u32 = 65_535;
/// The offset 0.
const CENTRE: f32 = 32_767.0;
/// Windows that are taken from one sequence: hours of music. Silent ones count, so a file could
/// ask for any number of them.
const MAX_WINDOWS: usize = 1 << 12;

fn steps(tokens: &Tokens) -> &[Step] {
    match tokens {
        Tokens::Groove(steps) => steps,
        _ => &[],
    }
}

impl Family for Groove {
    fn input_depth(&self) -> usize {
        VALUES
    }

    fn outputs(&self) -> &'static [usize] {
        &[VALUES]
    }

    fn output_kind(&self, _: bool) -> OutputKind {
        OutputKind::Groove
    }

    fn control_kind(&self) -> Option<ControlKind> {
        (self.0 == GrooveTask::HitsControl).then_some(ControlKind::Hits)
    }

    fn holds(&self, tokens: &Tokens) -> Option<bool> {
        let Tokens::Groove(steps) = tokens else { return None };
        Some(steps.as_flattened().iter().all(|value| value.is_finite()))
    }

    /// Removes velocities, offsets or drums from the input, by the task.
    fn write_input(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        row.copy_from_slice(&heard(self.0, &steps(tokens)[step]));
    }

    fn write_output(&self, tokens: &Tokens, step: usize, row: &mut [f32]) {
        row.copy_from_slice(&steps(tokens)[step]);
    }

    fn tokens_of_values(&self, values: &[f32]) -> Result<Tokens, &'static str> {
        Ok(Tokens::Groove(values.as_chunks().0.iter().map(held).collect()))
    }

    fn voices(&self) -> &'static [Voice] {
        &[percussion::DRUMS]
    }

    fn drum_map(&self) -> Option<DrumMap> {
        Some(MAP)
    }

    fn is_performed(&self) -> bool {
        true
    }

    fn reads_taps(&self) -> bool {
        match self.0 {
            GrooveTask::TapFixedVelocity | GrooveTask::TapFixedVelocityNoteDropout => true,
            GrooveTask::Reconstruct
            | GrooveTask::Humanize
            | GrooveTask::AddClosedHat
            | GrooveTask::HitsControl => false,
        }
    }

    fn drops_hits(&self) -> bool {
        self.0 == GrooveTask::TapFixedVelocityNoteDropout
    }

    fn tokens_of_notes(&self, notes: &[Note], steps: usize) -> Option<Tokens> {
        from_notes(notes, steps).map(Tokens::Groove)
    }

    fn to_notes(&self, tokens: &Tokens) -> Vec<Note> {
        to_notes(steps(tokens))
    }

    /// The hits, for the task that is conditioned on them.
    fn controls_of_tokens(&self, tokens: &Tokens) -> Option<Controls> {
        let Tokens::Groove(steps) = tokens else { return None };
        self.control_kind().map(|_| Controls::Hits(hits(steps)))
    }

    fn walk(&self) -> Walk {
        Walk::Windows
    }

    fn windows(&self, sequence: &NoteSequence, steps: usize, limit: Limit) -> Vec<(Window, Place)> {
        let places = (0u64..).map(|index| Place::in_whole(index * steps as u64));
        let windows = windows(sequence, steps, limit.count()).into_iter().map(Tokens::Groove);
        let window = |tokens| Window { controls: self.controls_of_tokens(&tokens), tokens };
        windows.map(window).zip(places).collect()
    }

    /// Every note with a class is read, whatever its channel.
    fn channel(&self, _: &[u32], note: &SequenceNote) -> Option<u8> {
        let is_hit = note.velocity > 0 && percussion::class(MAP, note.pitch).is_some();
        is_hit.then_some(percussion::DRUMS.channel)
    }

    fn wanted(&self) -> Wanted {
        Wanted {
            of_file: percussion::WANTED,
            of_clip: percussion::WANTED,
            of_passage: "; the bar of the last hit is the last that counts",
        }
    }

    fn reads(&self, _: bool) -> bool {
        true
    }

    fn has_usable(&self, notes: &[SequenceNote]) -> bool {
        notes.iter().any(|note| percussion::class(MAP, note.pitch).is_some())
    }

    fn longest(&self, sequence: &NoteSequence) -> Option<usize> {
        bars(&quantise::whole(sequence)?)
    }

    fn columns(&self) -> Vec<Column> {
        let column = |kind, limit| [Column { kind, limit }; CLASSES];
        let hits = column(ColumnKind::Hit, 2);
        let values = [VELOCITIES, OFFSETS].map(|limit| column(ColumnKind::Value, limit));
        [hits, values[0], values[1]].concat()
    }

    /// Hits (0 or 1), velocities (`0..=127`), offsets (0 a half step late, 32767 on the beat, 65534 a
    /// half step early).
    fn numbers(&self, window: &Window) -> Vec<u16> {
        let number = |(column, &value): (usize, &f32)| match column / CLASSES {
            0 => u16::from(value > 0.5),
            1 => whole(value * 127.0),
            _ => whole((value + 1.0) * CENTRE),
        };
        let steps = steps(&window.tokens).iter();
        steps.flat_map(|step| step.iter().enumerate().map(number)).collect()
    }

    fn window_of_numbers(&self, numbers: &[u16]) -> Window {
        let value = |column: usize, number: u16| match column / CLASSES {
            0 => f32::from(number),
            1 => f32::from(number) / 127.0,
            _ => f32::from(number) / CENTRE - 1.0,
        };
        let (steps, _) = numbers.as_chunks::<VALUES>();
        let step = |step: &[u16; VALUES]| std::array::from_fn(|column| value(column, step[column]));
        let tokens = Tokens::Groove(steps.iter().map(step).collect());
        Window { controls: self.controls_of_tokens(&tokens), tokens }
    }

    fn notes(&self, tokens: &Tokens) -> usize {
        let hits = steps(tokens).iter().flat_map(|step| &step[..CLASSES]);
        hits.filter(|&&hit| hit > 0.5).count()
    }

    fn symbols(&self, tokens: &Tokens) -> Vec<u64> {
        hits(steps(tokens)).into_iter().map(u64::from).collect()
    }

    fn training(&self) -> Training {
        Training { learning_rate: 0.002, beta: [0.002, 0.01], mix: 0.5, ..Training::MELODY }
    }

    fn is_of(&self, converter: &Converter) -> bool {
        let task = if converter.tapify {
            GrooveTask::TapFixedVelocity
        } else if converter.humanize {
            GrooveTask::Humanize
        } else {
            GrooveTask::Reconstruct
        };
        converter.is_plain("GrooveConverter") && self.0 == task
    }
}

impl Tokens {
    /// Drops hits of a groove: each with `probability`, soft ones more often. `random` gives
    /// numbers in `0..1`.
    ///
    /// A training example of the note-dropout configuration draws its probability from `0..0.8`
    /// and uses the result as encoder input only. Other tokens stay as they are.
    pub fn drop_hits(&mut self, probability: f32, mut random: impl FnMut() -> f32) {
        let Self::Groove(steps) = self else { return };
        for step in steps {
            for class in 0..CLASSES {
                let weight = (1.0 - step[CLASSES + class]).max(0.2);
                if random() < weight * probability {
                    clear_class(step, class);
                }
            }
        }
    }
}

/// The nearest whole number within `u16`.
fn whole(value: f32) -> u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held in range")]
    let whole = value.round().clamp(0.0, f32::from(u16::MAX)) as u16;
    whole
}

fn clear_class(step: &mut Step, class: usize) {
    for part in 0..3 {
        step[part * CLASSES + class] = 0.0;
    }
}

/// One step as the encoder's input for a task.
fn heard(task: GrooveTask, step: &Step) -> Step {
    let mut input = *step;
    match task {
        GrooveTask::Reconstruct | GrooveTask::HitsControl => {}
        GrooveTask::Humanize => input[CLASSES..].fill(0.0),
        GrooveTask::TapFixedVelocity | GrooveTask::TapFixedVelocityNoteDropout => {
            let velocities = &step[CLASSES..2 * CLASSES];
            let loudest = largest(velocities);
            input = [0.0; VALUES];
            input[TAP_CLASS] = step[loudest];
            input[2 * CLASSES + TAP_CLASS] = step[2 * CLASSES + loudest];
        }
        GrooveTask::AddClosedHat => clear_class(&mut input, CLOSED_HAT_CLASS),
    }
    input
}

/// A decoder's values clamped to their ranges.
fn held(row: &Step) -> Step {
    std::array::from_fn(|index| {
        let value = if row[index].is_nan() { 0.0 } else { row[index] };
        match index / CLASSES {
            0 => f32::from(u8::from(value > 0.5)),
            1 => value.clamp(0.0, 1.0),
            _ => value.clamp(-1.0, 1.0),
        }
    })
}

/// Windows of `steps` steps one behind the other, at most `count` of them.
///
/// Every note with a class counts, on whatever channel, as in the original; notes without a class
/// are left out, where the original fails. A sequence with changes of tempo or time signature has
/// no window.
fn windows(sequence: &NoteSequence, steps: usize, count: usize) -> Vec<Vec<Step>> {
    let Some(part) = quantise::whole(sequence) else { return Vec::new() };
    let Some(notes) = part.grid_notes() else { return Vec::new() };
    let seconds_per_step = 60.0 / part.qpm / 4.0;
    let hits = notes.iter().filter_map(|grid| {
        let class = percussion::class(MAP, grid.note.pitch)?;
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
    let mut all = vec![[0.0; VALUES]; count * steps];
    write(&hits, &mut all);
    all.chunks_exact(steps).map(<[Step]>::to_vec).collect()
}

/// Bars up to the last hit.
fn bars(part: &quantise::Stretch) -> Option<usize> {
    let notes = part.grid_notes()?;
    let hits = notes.iter().filter(|grid| percussion::class(MAP, grid.note.pitch).is_some());
    let last = usize::try_from(hits.map(|grid| grid.start_step).max()?).ok()?;
    Some(last / STEPS_PER_BAR + 1)
}

struct Hit {
    step: usize,
    class: usize,
    velocity: u8,
    /// Offset in half steps before the grid, in `-1..=1`.
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
/// drums is as for [`percussion::from_notes`].
fn from_notes(notes: &[Note], steps: usize) -> Option<Vec<Step>> {
    let all = !notes.iter().any(Note::is_drum);
    let hits = notes.iter().filter(|note| all || note.is_drum()).filter_map(|note| {
        let class = percussion::class(MAP, note.pitch)?;
        let step = usize::try_from(quantise::step_of(note.start)?).ok()?;
        let offset = (quantise::beats(step) - note.start) / BEATS_PER_STEP * 2.0;
        (step < steps).then_some(Hit { step, class, velocity: note.velocity, offset })
    });
    let hits: Vec<Hit> = hits.collect();
    let mut groove = vec![[0.0; VALUES]; steps];
    write(&hits, &mut groove);
    (!hits.is_empty()).then_some(groove)
}

/// The notes of a groove, each one step long. A hit early on the first step begins at 0.
fn to_notes(steps: &[Step]) -> Vec<Note> {
    let mut notes = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        for class in (0..CLASSES).filter(|class| step[*class] > 0.5) {
            let early = f64::from(step[2 * CLASSES + class]) / 2.0;
            let start = quantise::beats(index) - early.clamp(-0.5, 0.5) * BEATS_PER_STEP;
            notes.push(Note {
                start: start.max(0.0),
                end: start + BEATS_PER_STEP,
                pitch: percussion::class_pitch(MAP, class),
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
fn hits(steps: &[Step]) -> Vec<u16> {
    let bits = |step: &Step| (0..CLASSES).map(|class| u16::from(step[class] > 0.5) << class).sum();
    steps.iter().map(bits).collect()
}

/// Roland's pitches for the classes, beside those that the 9 classes have anyway: the Groove MIDI
/// Dataset was played on a kit that numbers its toms and cymbals in this way.
const ROLAND: [(u8, usize); 5] = [(43, 4), (58, 4), (45, 5), (47, 5), (48, 6)];

/// Gives every drum of a recording from Roland's V-Drums the pitch that stands for its class, so
/// that [`crate::tokens::extract`] reads it as the original does in training. Other pitches stay.
pub fn roland_to_general(sequence: &mut NoteSequence) {
    for note in &mut sequence.notes {
        if let Some((_, class)) = ROLAND.iter().find(|(pitch, _)| *pitch == note.pitch) {
            note.pitch = percussion::class_pitch(MAP, *class);
        }
    }
}
