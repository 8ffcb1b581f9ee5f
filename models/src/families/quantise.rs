//! Quantisation of seconds to the 16th-note grid.
//!
//! Rules of note-seq: a sequence is cut at every change of tempo or time signature, each part is
//! set on its own grid, and only parts whose bar has 16 steps (4/4, 2/2, 8/8) are used.

use crate::clip::{BEATS_PER_STEP, Clip, Note, STEPS_PER_BAR};
use crate::midi::{ChordChange, NoteSequence, SequenceNote, TimeSignature};

/// Quarter notes per minute where a sequence names no tempo.
const DEFAULT_QPM: f64 = 120.0;
/// Velocity of notes from tokens that carry none.
pub const OUTPUT_VELOCITY: u8 = 80;
/// Steps in a quarter note.
const STEPS_PER_QUARTER: f64 = 4.0;

/// A section of constant tempo and time signature, in seconds from its own start.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Where it begins in its sequence, in seconds.
    pub(super) start: f64,
    pub(super) notes: Vec<SequenceNote>,
    pub(super) qpm: f64,
    pub(super) numerator: u32,
    pub(super) denominator: u32,
    pub(super) chords: Vec<ChordChange>,
    pub(super) total_time: f64,
}

/// A note on the grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct GridNote {
    pub(super) start_step: u64,
    /// After `start_step`.
    pub(super) end_step: u64,
    pub(super) note: SequenceNote,
}

impl Stretch {
    /// A clip at 120 quarter notes per minute in 4/4. Malformed notes are left out.
    pub(super) fn of_clip(clip: &Clip) -> Self {
        let seconds_per_beat = 60.0 / DEFAULT_QPM;
        let is_well_formed = |note: &&Note| {
            step_of(note.start).is_some() && step_of(note.end).is_some() && note.end > note.start
        };
        let notes: Vec<SequenceNote> = clip
            .notes
            .iter()
            .filter(is_well_formed)
            .map(|note| SequenceNote {
                start: note.start * seconds_per_beat,
                end: note.end * seconds_per_beat,
                instrument: u32::from(note.channel),
                pitch: note.pitch,
                velocity: note.velocity,
                program: note.program,
                is_drum: note.is_drum(),
            })
            .collect();
        Self {
            start: 0.0,
            total_time: notes.iter().map(|note| note.end).fold(0.0, f64::max),
            notes,
            qpm: DEFAULT_QPM,
            numerator: 4,
            denominator: 4,
            chords: Vec::new(),
        }
    }

    /// Steps in a second.
    pub(super) fn steps_per_second(&self) -> f64 {
        STEPS_PER_QUARTER * self.qpm / 60.0
    }

    /// The nearest step, halves up.
    pub(super) fn step(&self, seconds: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "times are not negative; whatever is beyond 2^64 is held there"
        )]
        let step = (seconds * self.steps_per_second() + 0.5) as u64;
        step
    }

    /// Whether a bar has 16 steps.
    pub(super) fn has_common_bars(&self) -> bool {
        let (numerator, denominator) = (u64::from(self.numerator), u64::from(self.denominator));
        denominator.is_power_of_two() && numerator == denominator
    }

    /// The notes on the grid, in their order; `None` if a bar has not 16 steps or a note begins
    /// before 0.
    pub(super) fn grid_notes(&self) -> Option<Vec<GridNote>> {
        if !self.has_common_bars() || self.notes.iter().any(|note| note.start < 0.0) {
            return None;
        }
        Some(
            self.notes
                .iter()
                .map(|note| {
                    let start_step = self.step(note.start);
                    let end_step = self.step(note.end).max(start_step.saturating_add(1));
                    GridNote { start_step, end_step, note: *note }
                })
                .collect(),
        )
    }
}

/// The whole sequence as one part, or `None` if it changes tempo or time signature.
pub(super) fn whole(sequence: &NoteSequence) -> Option<Stretch> {
    let qpm = sequence.tempos.first().map_or(DEFAULT_QPM, |tempo| tempo.qpm);
    let first_tempo = sequence.tempos.iter().min_by(|a, b| a.time.total_cmp(&b.time));
    let constant_tempo = sequence.tempos.iter().all(|tempo| tempo.qpm == qpm)
        && first_tempo.is_none_or(|tempo| tempo.time == 0.0 || tempo.qpm == DEFAULT_QPM);

    let meter = |signature: &TimeSignature| (signature.numerator, signature.denominator);
    let (numerator, denominator) = sequence.time_signatures.first().map_or((4, 4), meter);
    let first_signature = sequence.time_signatures.iter().min_by(|a, b| a.time.total_cmp(&b.time));
    let constant_meter =
        sequence.time_signatures.iter().all(|next| meter(next) == (numerator, denominator))
            && first_signature.is_none_or(|first| first.time == 0.0 || meter(first) == (4, 4));

    (constant_tempo && constant_meter).then(|| Stretch {
        start: 0.0,
        notes: sequence.notes.clone(),
        qpm,
        numerator,
        denominator,
        chords: sequence.chords.clone(),
        total_time: sequence.total_time,
    })
}

/// Tempo and time signature at one moment.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Tempo(f64),
    Meter(u32, u32),
}

/// Cuts a sequence at every actual change of tempo or time signature.
///
/// A note belongs to the part it starts in and is cut at that part's end. Changes at 0 or from the
/// end of the last note on cut nothing.
pub(super) fn split_on_time_changes(sequence: &NoteSequence) -> Vec<Stretch> {
    if sequence.total_time <= 0.0 {
        return Vec::new();
    }
    let signatures = sequence.time_signatures.iter().map(|signature| {
        (signature.time, Change::Meter(signature.numerator, signature.denominator))
    });
    let tempos = sequence.tempos.iter().map(|tempo| (tempo.time, Change::Tempo(tempo.qpm)));
    let mut changes: Vec<(f64, Change)> =
        signatures.chain(tempos).filter(|(time, _)| *time < sequence.total_time).collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0));

    let mut parts = vec![(0.0, DEFAULT_QPM, (4, 4))];
    let (mut qpm, mut meter) = (DEFAULT_QPM, (4, 4));
    for (time, change) in changes {
        match change {
            Change::Tempo(new) if new != qpm => qpm = new,
            Change::Meter(numerator, denominator) if (numerator, denominator) != meter => {
                meter = (numerator, denominator);
            }
            _ => continue,
        }
        if parts.last().is_some_and(|&(start, ..)| time > start) {
            parts.push((time, qpm, meter));
        } else if let Some(last) = parts.last_mut() {
            *last = (last.0, qpm, meter);
        }
    }
    let ends: Vec<f64> =
        parts.iter().skip(1).map(|part| part.0).chain([sequence.total_time]).collect();
    let mut parts: Vec<Stretch> = parts
        .into_iter()
        .map(|(start, qpm, (numerator, denominator))| Stretch {
            start,
            notes: Vec::new(),
            qpm,
            numerator,
            denominator,
            chords: Vec::new(),
            total_time: 0.0,
        })
        .collect();

    let mut notes = sequence.notes.clone();
    notes.sort_by(|a, b| a.start.total_cmp(&b.start));
    let mut index = 0;
    let start_of = |index: usize| if index == 0 { 0.0 } else { ends[index - 1] };
    for note in notes {
        while index < ends.len() && note.start >= ends[index] {
            index += 1;
        }
        if index == ends.len() {
            break;
        }
        let start = start_of(index);
        let end = note.end.min(ends[index]) - start;
        let part = &mut parts[index];
        part.notes.push(SequenceNote { start: note.start - start, end, ..note });
        part.total_time = part.total_time.max(end);
    }
    split_chords(sequence, &mut parts, &ends);
    parts
}

/// Gives each part the chord in force at its start and the changes inside it.
fn split_chords(sequence: &NoteSequence, parts: &mut [Stretch], ends: &[f64]) {
    let mut chords = sequence.chords.clone();
    chords.sort_by(|a, b| a.time.total_cmp(&b.time));
    let mut next = chords.iter().peekable();
    let mut current = None;
    let mut start = 0.0;
    for (part, &end) in parts.iter_mut().zip(ends) {
        while let Some(change) = next.next_if(|change| change.time <= start) {
            current = Some(change.chord);
        }
        part.chords.extend(current.map(|chord| ChordChange { time: 0.0, chord }));
        while let Some(change) = next.next_if(|change| change.time < end) {
            part.chords.push(ChordChange { time: change.time - start, chord: change.chord });
            current = Some(change.chord);
        }
        start = end;
    }
}

/// Beats of a number of steps.
pub(crate) fn beats(steps: usize) -> f64 {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    f64::from(steps) * BEATS_PER_STEP
}

/// The step nearest to a beat, halves rounded up; `None` for a time that is negative or not finite.
pub(super) fn step_of(beat: f64) -> Option<u64> {
    if !(0.0..1e9).contains(&beat) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 4e9, as checked above"
    )]
    let step = (beat / BEATS_PER_STEP + 0.5) as u64;
    Some(step)
}

/// The first step of a bar at or after `step`.
pub(super) fn bar_at_or_after(step: u64) -> u64 {
    step.div_ceil(STEPS_PER_BAR as u64).saturating_mul(STEPS_PER_BAR as u64)
}
