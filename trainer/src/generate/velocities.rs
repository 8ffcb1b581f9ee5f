//! Velocities of an input, kept for music that is generated from it.
//!
//! Most models have no velocities and write 80 for every note. Here each step takes the velocity of
//! the input's note that the model was told of there: of the melody's own instrument, of the drum
//! that stands for its class. Where none begins it is that of the nearest step with one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use interlude_models::clip::{BEATS_PER_STEP, Clip, Note};
use interlude_models::config::Config;
use interlude_models::midi::NoteSequence;
use interlude_models::tokens::{Place, drum_pitch};

/// What has velocities of its own: a channel, or a class of drums on theirs, by the pitch that stands
/// for it.
type Voice = (u8, Option<u8>);

/// Velocities of each voice, one for each step of a window, in `1..128`. A channel's own count for
/// drums of a class that the input has not.
#[derive(Clone, Debug, PartialEq)]
pub struct Dynamics(BTreeMap<Voice, Vec<f64>>);

impl Dynamics {
    /// The velocities of the window of `sequence` that lies at `place`; nothing when no note begins
    /// in it.
    pub fn of(config: &Config, sequence: &NoteSequence, place: &Place) -> Option<Self> {
        let steps = config.hparams.max_seq_len;
        // The loudest at each step; of most voices there is one note.
        let mut heard: BTreeMap<Voice, Vec<Option<u8>>> = BTreeMap::new();
        for source in place.sources(config, sequence) {
            let note = source.note;
            let class = note.is_drum().then(|| drum_pitch(config, note.pitch)).flatten();
            for voice in [(note.channel, class), (note.channel, None)] {
                let loudest = heard.entry(voice).or_insert_with(|| vec![None; steps]);
                loudest[source.step] = loudest[source.step].max(Some(note.velocity));
            }
        }
        let everywhere = |loudest: Vec<Option<u8>>| -> Option<Vec<f64>> {
            let nearest = |step: usize| {
                let known = loudest.iter().enumerate();
                let known = known.filter_map(|(at, velocity)| Some((at, (*velocity)?)));
                let nearest = known.min_by_key(|(at, _)| at.abs_diff(step));
                nearest.map(|(_, velocity)| f64::from(velocity))
            };
            (0..steps).map(nearest).collect()
        };
        let voices = heard.into_iter().map(|(voice, loudest)| Some((voice, everywhere(loudest)?)));
        let voices: BTreeMap<Voice, Vec<f64>> = voices.collect::<Option<_>>()?;
        (!voices.is_empty()).then_some(Self(voices))
    }

    /// A blend: `weight` of `other`, the rest of `self`. A voice that only one of the two has is as it
    /// is there.
    #[must_use]
    pub fn blend(&self, other: &Self, weight: f64) -> Self {
        let mix = |(a, b): (&f64, &f64)| (1.0 - weight) * a + weight * b;
        let mut blended = other.clone();
        for (voice, velocities) in &self.0 {
            let own = match other.0.get(voice) {
                Some(others) => velocities.iter().zip(others).map(mix).collect(),
                None => velocities.clone(),
            };
            blended.0.insert(*voice, own);
        }
        Self(blended.0)
    }

    /// As [`Dynamics::blend`] of what there is of the two.
    pub fn blend_any(a: Option<&Self>, b: Option<&Self>, weight: f64) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.blend(b, weight)),
            (one, other) => one.or(other).cloned(),
        }
    }

    /// Gives each note of a clip the velocity that its voice has on the step where it begins.
    pub fn apply(&self, clip: &mut Clip) {
        for note in &mut clip.notes {
            let at = step(note);
            let class = note.is_drum().then_some(note.pitch);
            let voice = [(note.channel, class), (note.channel, None)];
            let voice = voice.iter().find_map(|voice| self.0.get(voice));
            if let Some(velocity) = voice.and_then(|voice| voice.get(at)) {
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

/// The velocities of the pieces of a generation.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Velocities {
    /// Those that the model gives: its own, or 80.
    #[default]
    Own,
    /// The same for every piece.
    Same(Dynamics),
    /// Each a blend of those of two or four inputs, in the layout of [`super::grid`].
    Between {
        /// Of each input; none of those without.
        ends: Vec<Option<Dynamics>>,
        /// Column and row of each piece, each from 0 to 1; of two inputs each is a row.
        places: Vec<[f32; 2]>,
    },
}

impl Velocities {
    /// The velocities of a piece, by its index; none where the model's stay.
    pub fn of(&self, index: usize) -> Option<Cow<'_, Dynamics>> {
        match self {
            Self::Own => None,
            Self::Same(dynamics) => Some(Cow::Borrowed(dynamics)),
            Self::Between { ends, places } => {
                let [x, y] = places.get(index)?.map(f64::from);
                let row = |left: usize, right: usize| {
                    let [left, right] = [left, right].map(|end| ends.get(end)?.as_ref());
                    Dynamics::blend_any(left, right, x)
                };
                let (top, bottom) = (row(0, 2), row(1, 3));
                Dynamics::blend_any(top.as_ref(), bottom.as_ref(), y).map(Cow::Owned)
            }
        }
    }
}

/// The step on which a note of a window begins.
fn step(note: &Note) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a conversion that saturates"
    )]
    let step = (note.start / BEATS_PER_STEP + 0.5) as usize;
    step
}

#[cfg(test)]
mod tests {
    use interlude_models::config::by_name;
    use interlude_models::midi::{SequenceNote, Tempo, TimeSignature};
    use interlude_models::tokens::{Limit, extract_with_places, to_clip};

    use super::*;

    /// A note of an instrument: second, pitch, velocity, instrument; 9 has drums.
    fn note((start, pitch, velocity, instrument): (f64, u8, u8, u32)) -> SequenceNote {
        SequenceNote {
            start,
            end: start + 0.25,
            instrument,
            pitch,
            velocity,
            program: if instrument == 1 { 48 } else { 0 },
            is_drum: instrument == 9,
        }
    }

    fn sequence(notes: &[(f64, u8, u8, u32)], changes: &[(f64, f64, u32)]) -> NoteSequence {
        let notes: Vec<_> = notes.iter().copied().map(note).collect();
        NoteSequence {
            total_time: notes.iter().map(|note| note.end).fold(0.0, f64::max),
            notes,
            tempos: changes.iter().map(|&(time, qpm, _)| Tempo { time, qpm }).collect(),
            time_signatures: changes
                .iter()
                .map(|&(time, _, numerator)| TimeSignature { time, numerator, denominator: 4 })
                .collect(),
            ..NoteSequence::default()
        }
    }

    fn dynamics(name: &str, sequence: &NoteSequence) -> (Dynamics, Clip) {
        let config = by_name(name).expect("known");
        let windows = extract_with_places(&config, sequence, Limit::All).expect("a window");
        let (window, place) = &windows[0];
        let dynamics = Dynamics::of(&config, sequence, place).expect("notes");
        (dynamics, to_clip(&config, &window.tokens))
    }

    /// The velocities that the window of a sequence gets back, note by note.
    fn kept(name: &str, sequence: &NoteSequence) -> Vec<u8> {
        let (dynamics, mut clip) = dynamics(name, sequence);
        dynamics.apply(&mut clip);
        clip.notes.iter().map(|note| note.velocity).collect()
    }

    /// Eight quarters from a second on, at 60 to the minute, with velocities 10, 11, ….
    fn tune(start: f64, instrument: u32) -> Vec<(f64, u8, u8, u32)> {
        (0..8).map(|n| (start + f64::from(n), 60 + n, 10 + n, instrument)).collect()
    }

    const EXPECTED: [u8; 8] = [10, 11, 12, 13, 14, 15, 16, 17];
    const SLOW: [(f64, f64, u32); 1] = [(0.0, 60.0, 4)];

    // A melody takes the velocities of its own notes: not those of strings, drums, a left hand, or of
    // the same pitch in another instrument.
    #[test]
    fn a_melody_has_its_own_velocities() {
        let others = [
            // Strings on every beat, the same melody louder, drums.
            (0..8).map(|n| (f64::from(n), 40, 120, 1)).collect::<Vec<_>>(),
            tune(0.0, 2).into_iter().map(|(start, pitch, _, it)| (start, pitch, 127, it)).collect(),
            (0..16).map(|n| (f64::from(n) / 2.0, 42, 127, 9)).collect(),
            // Lower notes of the same hand.
            (0..8).map(|n| (f64::from(n), 48, 127, 0)).collect(),
        ];
        for other in others {
            let notes = [tune(0.0, 0), other].concat();
            assert_eq!(kept("cat-mel_2bar_small", &sequence(&notes, &SLOW)), EXPECTED);
        }
    }

    // Neither an upbeat nor a count-in, nor changes of tempo or metre before or behind, move them.
    #[test]
    fn velocities_follow_the_window() {
        let melody = "cat-mel_2bar_small";
        let pickup = |at| [vec![(at, 80, 99, 0)], tune(at + 1.0, 0)].concat();
        // A beat in 1/4, then another tempo; two bars of rest in another tempo.
        let upbeat = sequence(&pickup(0.0), &[(0.0, 60.0, 1), (1.0, 60.0, 4)]);
        assert_eq!(kept(melody, &upbeat), EXPECTED);
        let count_in = sequence(&tune(4.0, 0), &[(0.0, 120.0, 4), (4.0, 60.0, 4)]);
        assert_eq!(kept(melody, &count_in), EXPECTED);
        let waltz = [tune(6.0, 0), vec![(14.0, 50, 99, 0), (16.0, 50, 99, 0)]].concat();
        let waltz = sequence(&waltz, &[(0.0, 60.0, 3), (6.0, 60.0, 4), (14.0, 90.0, 4)]);
        assert_eq!(kept(melody, &waltz), EXPECTED);
        // In the second bar of what is read.
        let late = [vec![(0.0, 80, 99, 1)], tune(4.0, 0)].concat();
        assert_eq!(kept(melody, &sequence(&late, &SLOW)), EXPECTED);
        assert_eq!(kept("cat-mel_2bar_med_chords", &count_in), EXPECTED);
    }

    // Every class of drums has its own; of two drums of a class the louder counts.
    #[test]
    fn drums_have_velocities_of_their_class() {
        let mut notes = Vec::new();
        for beat in 0..8u8 {
            let at = f64::from(beat);
            notes.extend([(at, 36, 70 + beat, 9), (at, 42, 120, 9), (at, 38, 20, 9)]);
            // A rim shot and a second hat, softer; a melody, louder.
            notes.extend([(at, 37, 9, 9), (at, 44, 8, 9), (at, 60, 127, 0)]);
        }
        let sequence = sequence(&notes, &SLOW);
        for name in ["cat-drums_2bar_small", "nade-drums_2bar_reduced"] {
            let (dynamics, mut clip) = dynamics(name, &sequence);
            dynamics.apply(&mut clip);
            assert_eq!(clip.notes.len(), 24);
            for note in &clip.notes {
                let expected = match note.pitch {
                    36 => 70 + u8::try_from(step(note) / 4).expect("small"),
                    38 => 20,
                    _ => 120,
                };
                assert_eq!(note.velocity, expected, "{note:?}");
            }
        }
        // With a class for each, each has its own.
        let (dynamics, mut clip) = dynamics("nade-drums_2bar_full", &sequence);
        dynamics.apply(&mut clip);
        let of = |pitch| clip.notes.iter().find(|note| note.pitch == pitch).map(|it| it.velocity);
        assert_eq!([of(37), of(44), of(38), of(42)], [Some(9), Some(8), Some(20), Some(120)]);
    }

    // Melody, bass and drums of a trio keep theirs.
    #[test]
    fn trios_keep_three() {
        let mut notes = Vec::new();
        for beat in 0..64u8 {
            let at = f64::from(beat);
            notes.extend([(at, 72, 30, 0), (at, 40, 50, 2), (at, 36, 100, 9), (at, 72, 127, 1)]);
        }
        let mut sequence = sequence(&notes, &SLOW);
        for note in sequence.notes.iter_mut().filter(|note| note.instrument == 2) {
            note.program = 33;
        }
        let (dynamics, mut clip) = dynamics("hierdec-trio_16bar", &sequence);
        dynamics.apply(&mut clip);
        assert_eq!(clip.notes.len(), 3 * 64);
        for note in clip.notes {
            let expected = [(0, 30), (1, 50), (9, 100)];
            assert!(expected.contains(&(note.channel, note.velocity)), "{note:?}");
        }
    }

    // Steps without a note take the nearest one's velocity, a class that is not there the loudest
    // drum's, and blends lie between; a class that only one has is kept.
    #[test]
    fn steps_between_notes_and_blends() {
        let at = |pitch, velocity| {
            let notes: Vec<_> = (0..8).map(|n| (f64::from(n), pitch, velocity, 9)).collect();
            dynamics("cat-drums_2bar_small", &sequence(&notes, &SLOW)).0
        };
        let clip = |pitches: &[u8]| {
            let note = |pitch: &u8| Note {
                start: 1.25,
                end: 1.5,
                pitch: *pitch,
                velocity: 80,
                channel: 9,
                program: 0,
            };
            Clip::new(pitches.iter().map(note).collect(), 8.0)
        };
        let velocities = |dynamics: &Dynamics, pitches: &[u8]| {
            let mut clip = clip(pitches);
            dynamics.apply(&mut clip);
            clip.notes.iter().map(|note| note.velocity).collect::<Vec<_>>()
        };
        let (soft, loud, hat) = (at(36, 40), at(36, 120), at(42, 100));
        assert_eq!(velocities(&soft, &[36, 49]), [40, 40]);
        assert_eq!(velocities(&soft.blend(&loud, 0.25), &[36]), [60]);
        assert_eq!(velocities(&soft.blend(&hat, 0.25), &[36, 42]), [40, 100]);
        assert_eq!(Dynamics::blend_any(None, Some(&hat), 0.5), Some(hat));
        // Each piece between two or four inputs has the velocities of its place.
        let of = |ends: &[&Dynamics], places: &[[f32; 2]]| {
            let ends = ends.iter().map(|&end| Some(end.clone())).collect();
            let between = Velocities::Between { ends, places: places.to_vec() };
            let all = (0..places.len()).map(|piece| between.of(piece).expect("velocities"));
            all.map(|it| velocities(&it, &[36])[0]).collect::<Vec<_>>()
        };
        assert_eq!(of(&[&soft, &loud], &[[0.0, 0.0], [0.0, 0.25], [0.0, 1.0]]), [40, 60, 120]);
        let corners = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]];
        let half = soft.blend(&loud, 0.5);
        assert_eq!(of(&[&soft, &loud, &half, &soft], &corners), [40, 80, 120, 40]);
        assert_eq!(Velocities::Own.of(0), None);
    }
}
