//! Dynamics of an input, kept for what is generated from it.
//!
//! Most models know no velocity and write 80 for every note. Here each step takes the velocity that
//! the input had there or, where no note begins, that of the nearest step with one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use interlude_models::clip::{BEATS_PER_STEP, Clip, DRUM_CHANNEL, Note, STEPS_PER_BAR};
use interlude_models::midi::{NoteSequence, SequenceNote};

/// Velocities by channel of the output, one for each step of a window, in `1..128`.
#[derive(Clone, Debug, PartialEq)]
pub struct Dynamics(BTreeMap<u8, Vec<f64>>);

/// A voice and what it plays at a step; all drums count as one.
type Onset = (u8, i64, u8);

impl Dynamics {
    /// The velocities of `sequence` where `window`, extracted from it, lies in it; nothing when the
    /// window has no note there.
    ///
    /// The window lies at the bar at which most of its notes begin in the sequence too.
    pub fn of(sequence: &NoteSequence, window: &Clip, steps: usize) -> Option<Self> {
        let qpm = sequence.tempos.first().map_or(120.0, |tempo| tempo.qpm);
        let channels: BTreeSet<u8> = window.notes.iter().map(|note| note.channel).collect();
        let heard: Vec<(Onset, u8)> = sequence
            .notes
            .iter()
            .map(|note| (heard_onset(note, qpm, &channels), note.velocity))
            .collect();
        let onsets: HashSet<Onset> = heard.iter().map(|(onset, _)| *onset).collect();
        let wanted: Vec<Onset> = window.notes.iter().map(wanted_onset).collect();

        let bar = i64::try_from(STEPS_PER_BAR).ok()?;
        let &(channel, first, key) = wanted.first()?;
        let places: BTreeSet<i64> = onsets
            .iter()
            .filter(|(voice, _, pitch)| (*voice, *pitch) == (channel, key))
            .map(|(_, step, _)| step - first)
            .filter(|place| *place >= 0 && place % bar == 0)
            .collect();
        let matches = |place: i64| {
            let moved =
                |&&(voice, step, pitch): &&Onset| onsets.contains(&(voice, step + place, pitch));
            wanted.iter().filter(moved).count()
        };
        // The first of equally good places counts.
        let place = places.into_iter().max_by_key(|&place| (matches(place), Reverse(place)))?;

        let mut voices = BTreeMap::new();
        for channel in channels {
            let mut loudest: Vec<Option<u8>> = vec![None; steps];
            for ((voice, step, _), velocity) in &heard {
                let at = usize::try_from(step - place).ok().and_then(|at| loudest.get_mut(at));
                if let Some(at) = at.filter(|_| *voice == channel) {
                    *at = (*at).max(Some(*velocity));
                }
            }
            let nearest = |step: usize| {
                let known = loudest.iter().enumerate();
                let known = known.filter_map(|(at, velocity)| Some((at, (*velocity)?)));
                let nearest = known.min_by_key(|(at, _)| at.abs_diff(step));
                nearest.map(|(_, velocity)| f64::from(velocity))
            };
            voices.insert(channel, (0..steps).map(nearest).collect::<Option<_>>()?);
        }
        Some(Self(voices))
    }

    /// A blend: `weight` of `other`, the rest of `self`.
    #[must_use]
    pub fn blend(&self, other: &Self, weight: f64) -> Self {
        let mix = |(a, b): (&f64, &f64)| (1.0 - weight) * a + weight * b;
        let mut blended = self.clone();
        for (channel, velocities) in &mut blended.0 {
            if let Some(others) = other.0.get(channel) {
                *velocities = velocities.iter().zip(others).map(mix).collect();
            }
        }
        blended
    }

    /// Gives each note of a clip the velocity of the step where it begins.
    pub fn apply(&self, clip: &mut Clip) {
        for note in &mut clip.notes {
            let at = usize::try_from(step(note.start)).unwrap_or(0);
            if let Some(velocity) = self.0.get(&note.channel).and_then(|voice| voice.get(at)) {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "clamped to 1..=127"
                )]
                let velocity = velocity.round().clamp(1.0, 127.0) as u8;
                note.velocity = velocity;
            }
        }
    }
}

/// The onset of an input's note, in the voice that plays it in a window with these channels.
fn heard_onset(note: &SequenceNote, qpm: f64, channels: &BTreeSet<u8>) -> Onset {
    let at = step(note.start * qpm / 60.0);
    if note.is_drum {
        (DRUM_CHANNEL, at, 0)
    } else if (32..40).contains(&note.program) && channels.contains(&1) {
        (1, at, note.pitch)
    } else {
        (0, at, note.pitch)
    }
}

fn wanted_onset(note: &Note) -> Onset {
    (note.channel, step(note.start), if note.is_drum() { 0 } else { note.pitch })
}

/// The step nearest to a beat.
fn step(beat: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a conversion that saturates")]
    let step = (beat / BEATS_PER_STEP + 0.5).floor() as i64;
    step
}

#[cfg(test)]
mod tests {
    use interlude_models::midi::Tempo;

    use super::*;

    fn sequence(notes: &[(f64, u8, u8)]) -> NoteSequence {
        let note = |&(start, pitch, velocity): &(f64, u8, u8)| SequenceNote {
            start,
            end: start + 0.1,
            instrument: 0,
            pitch,
            velocity,
            program: 0,
            is_drum: false,
        };
        NoteSequence {
            notes: notes.iter().map(note).collect(),
            tempos: vec![Tempo { time: 0.0, qpm: 60.0 }],
            ..NoteSequence::default()
        }
    }

    fn clip(notes: &[(f64, u8)]) -> Clip {
        let note = |&(start, pitch): &(f64, u8)| Note {
            start,
            end: start + 0.25,
            pitch,
            velocity: 80,
            channel: 0,
            program: 0,
        };
        Clip::new(notes.iter().map(note).collect(), 4.0)
    }

    // A window that begins in the second bar takes the velocities from there.
    #[test]
    fn velocities_come_from_where_the_window_lies() {
        let sequence = sequence(&[(0.0, 50, 10), (4.0, 60, 33), (5.0, 62, 99)]);
        let mut window = clip(&[(0.0, 60), (1.0, 62)]);
        let dynamics = Dynamics::of(&sequence, &window, 16).expect("notes");
        dynamics.apply(&mut window);
        assert_eq!(window.notes.iter().map(|note| note.velocity).collect::<Vec<_>>(), [33, 99]);
    }

    // Steps without a note take the nearest one's velocity, and blends lie between.
    #[test]
    fn steps_between_notes_and_blends() {
        let loud = sequence(&[(0.0, 60, 120)]);
        let soft = sequence(&[(0.0, 60, 40)]);
        let mut other = clip(&[(0.0, 60), (3.0, 64)]);
        let window = clip(&[(0.0, 60)]);
        let loud = Dynamics::of(&loud, &window, 16).expect("notes");
        let soft = Dynamics::of(&soft, &window, 16).expect("notes");
        soft.blend(&loud, 0.25).apply(&mut other);
        assert_eq!(other.notes.iter().map(|note| note.velocity).collect::<Vec<_>>(), [60, 60]);
    }

    // Without a note there are no dynamics.
    #[test]
    fn silence_has_no_dynamics() {
        assert_eq!(Dynamics::of(&sequence(&[]), &clip(&[]), 16), None);
    }
}
