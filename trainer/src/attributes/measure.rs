//! Attributes of music: what is measured of a clip, for each kind of model.

use interlude_models::clip::{BEATS_PER_STEP, Clip, Note, STEPS_PER_BAR};
use interlude_models::config::{Config, Scheme};
use interlude_models::tokens::drum_class;

use crate::evaluate::{mean, number};
use interlude_dataset::statistics::DRUMS;

/// An attribute of the music of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Name: small letters, digits and hyphens; in trios it begins with the part.
    pub name: String,
    part: Part,
    kind: Kind,
}

/// Which notes count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    Melody,
    Bass,
    Drums,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Density,
    Pitch,
    Range,
    Interval,
    Syncopation,
    /// Hits of one of the nine classes of drums.
    Class(usize),
    Velocity,
    VelocitySpread,
    Timing,
    TimingSpread,
}

impl Kind {
    const MELODY: [Self; 5] =
        [Self::Density, Self::Pitch, Self::Range, Self::Interval, Self::Syncopation];
    const DRUMS: [Self; 2] = [Self::Density, Self::Syncopation];
    const GROOVE: [Self; 6] = [
        Self::Density,
        Self::Syncopation,
        Self::Velocity,
        Self::VelocitySpread,
        Self::Timing,
        Self::TimingSpread,
    ];

    fn name(self) -> String {
        match self {
            Self::Density => "density",
            Self::Pitch => "pitch",
            Self::Range => "range",
            Self::Interval => "interval",
            Self::Syncopation => "syncopation",
            Self::Class(class) => return DRUMS[class].replace(' ', "-"),
            Self::Velocity => "velocity",
            Self::VelocitySpread => "velocity-spread",
            Self::Timing => "timing",
            Self::TimingSpread => "timing-spread",
        }
        .to_owned()
    }
}

/// What is measured of the music of a configuration: for melodies density, average pitch, range of
/// pitches, average interval and syncopation; for each part of a trio the same, of its drums density
/// and syncopation; for drums density, syncopation and the density of each of the nine classes; for
/// grooves density, syncopation, and mean and spread of velocity and timing.
pub fn of_config(config: &Config) -> Vec<Measure> {
    let list = |part, prefix: &str, kinds: &[Kind]| -> Vec<Measure> {
        let measure = |&kind: &Kind| Measure { name: prefix.to_owned() + &kind.name(), part, kind };
        kinds.iter().map(measure).collect()
    };
    match config.scheme {
        Scheme::Melody { .. } | Scheme::MelodyChords => list(Part::All, "", &Kind::MELODY),
        Scheme::Drums | Scheme::DrumRoll(_) => {
            let classes: Vec<Kind> = (0..DRUMS.len()).map(Kind::Class).collect();
            list(Part::All, "", &[&Kind::DRUMS[..], &classes].concat())
        }
        Scheme::Groove(_) => list(Part::All, "", &Kind::GROOVE),
        Scheme::Trio => [
            list(Part::Melody, "melody-", &Kind::MELODY),
            list(Part::Bass, "bass-", &Kind::MELODY),
            list(Part::Drums, "drums-", &Kind::DRUMS),
        ]
        .concat(),
    }
}

impl Measure {
    /// What the attribute is counted in, for people.
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Density if self.part == Part::Drums => "hits in a bar",
            Kind::Density => "notes in a bar",
            Kind::Class(_) => "hits in a bar",
            Kind::Pitch => "MIDI key",
            Kind::Range | Kind::Interval => "semitones",
            Kind::Syncopation => "Longuet-Higgins and Lee, in a bar",
            Kind::Velocity | Kind::VelocitySpread => "MIDI velocity",
            Kind::Timing => "16ths late",
            Kind::TimingSpread => "16ths",
        }
    }

    /// The attribute of a clip of whole bars in 4/4; `None` where it is not defined: of pitches,
    /// syncopation, velocity and timing without a note, of intervals and spreads below two notes.
    pub fn of(&self, clip: &Clip) -> Option<f64> {
        let notes: Vec<&Note> = clip.notes.iter().filter(|note| self.takes(note)).collect();
        let bars = (clip.length / (number(STEPS_PER_BAR) * BEATS_PER_STEP)).max(1.0);
        let pitches = || notes.iter().map(|note| f64::from(note.pitch));
        let velocities = || notes.iter().map(|note| f64::from(note.velocity)).collect::<Vec<_>>();
        let offsets = || notes.iter().map(|note| place(note).1).collect::<Vec<_>>();
        let least = match self.kind {
            Kind::Density | Kind::Class(_) => 0,
            Kind::Interval | Kind::VelocitySpread | Kind::TimingSpread => 2,
            _ => 1,
        };
        if notes.len() < least {
            return None;
        }
        Some(match self.kind {
            Kind::Density => number(notes.len()) / bars,
            Kind::Class(class) => {
                let of_class = |note: &&&Note| drum_class(note.pitch) == Some(class);
                number(notes.iter().filter(of_class).count()) / bars
            }
            Kind::Pitch => mean(pitches()),
            Kind::Range => {
                let extreme = |of: fn(f64, f64) -> f64| pitches().reduce(of).unwrap_or(0.0);
                extreme(f64::max) - extreme(f64::min)
            }
            Kind::Interval => {
                let leap = |pair: &[&Note]| f64::from(pair[0].pitch.abs_diff(pair[1].pitch));
                mean(notes.windows(2).map(leap))
            }
            Kind::Syncopation => syncopation(&notes, bars),
            Kind::Velocity => mean(velocities()),
            Kind::VelocitySpread => spread(&velocities()),
            Kind::Timing => mean(offsets()),
            Kind::TimingSpread => spread(&offsets()),
        })
    }

    /// Whether a direction of this attribute is to leave another one as it is: all others, but not
    /// the density of the whole and that of a class, which is a part of it.
    pub fn holds(&self, other: &Self) -> bool {
        !matches!(
            (self.kind, other.kind),
            (Kind::Density, Kind::Class(_)) | (Kind::Class(_), Kind::Density)
        )
    }

    fn takes(&self, note: &Note) -> bool {
        match self.part {
            Part::All => true,
            Part::Melody => !note.is_drum() && note.channel == 0,
            Part::Bass => !note.is_drum() && note.channel != 0,
            Part::Drums => note.is_drum(),
        }
    }
}

/// The 16th nearest to a note's onset, and how many 16ths it is late.
fn place(note: &Note) -> (usize, f64) {
    let exact = (note.start / BEATS_PER_STEP).max(0.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let step = exact.round() as usize;
    (step, exact - number(step))
}

/// Metrical weight of a 16th of a 4/4 bar: 0 for the first, −1 for the half, −2 for the other
/// quarters, −3 for 8ths, −4 for the rest.
fn weight(step: usize) -> f64 {
    f64::from(((step % STEPS_PER_BAR) | STEPS_PER_BAR).trailing_zeros()) - 4.0
}

/// Syncopation by Longuet-Higgins and Lee (The rhythmic interpretation of monophonic music, Music
/// Perception 1, 1984): an onset that is followed, before the next one, by a rest or tie of greater
/// metrical weight counts by how much greater the greatest is; the sum, divided by the bars. Onsets
/// at the same time are one, and the last is followed by what is left of the clip.
fn syncopation(notes: &[&Note], bars: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a clip is short")]
    let end = (bars.ceil() as usize) * STEPS_PER_BAR;
    let mut steps: Vec<usize> = notes.iter().map(|note| place(note).0).collect();
    steps.sort_unstable();
    steps.dedup();
    steps.push(end);
    let of_onset = |pair: &[usize]| {
        let heaviest = (pair[0] + 1..pair[1]).map(weight).reduce(f64::max);
        heaviest.map_or(0.0, |heaviest| (heaviest - weight(pair[0])).max(0.0))
    };
    steps.windows(2).map(of_onset).sum::<f64>() / bars
}

/// Standard deviation.
fn spread(numbers: &[f64]) -> f64 {
    let centre = mean(numbers.iter().copied());
    mean(numbers.iter().map(|number| (number - centre).powi(2))).sqrt()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use interlude_models::config;
    use interlude_models::tokens::{Tokens, to_clip};
    use proptest::prelude::*;

    use super::*;

    fn measured(name: &str, tokens: &Tokens) -> BTreeMap<String, Option<f64>> {
        let config = config::by_name(name).expect("known");
        let clip = to_clip(&config, tokens);
        of_config(&config).into_iter().map(|it| (it.name.clone(), it.of(&clip))).collect()
    }

    /// Two bars with tokens on some steps.
    fn melody(events: &[(usize, u8)]) -> Tokens {
        let mut tokens = vec![0; 32];
        events.iter().for_each(|&(step, token)| tokens[step] = token);
        Tokens::Melody(tokens)
    }

    // A melody of C4, E4, C4 on the first three quarters, the last ending a bar later.
    #[test]
    fn melodies_are_measured() {
        let tokens = melody(&[(0, 41), (4, 45), (8, 41), (24, 1)]);
        let found = measured("cat-mel_2bar_small", &tokens);
        let expected = [
            ("density", 1.5),
            ("pitch", 60.0 + 4.0 / 3.0),
            ("range", 4.0),
            ("interval", 4.0),
            // The last note, on the half of bar 1, is held over the beginning of bar 2.
            ("syncopation", 0.5),
        ];
        for (name, value) in expected {
            let found = found[name].expect(name);
            assert!((found - value).abs() < 1e-9, "{name}: {found}");
        }
        assert_eq!(found.len(), expected.len());
    }

    // Without notes only density is defined; a single note has no interval.
    #[test]
    fn what_is_not_defined_is_none() {
        let silence = measured("cat-mel_2bar_small", &melody(&[]));
        assert_eq!(silence.values().flatten().collect::<Vec<_>>(), [&0.0]);
        let one = measured("cat-mel_2bar_small", &melody(&[(16, 41)]));
        assert_eq!(
            (one["interval"], one["range"], one["syncopation"]),
            (None, Some(0.0), Some(0.0))
        );
    }

    // Rhythms with the syncopation that Longuet-Higgins and Lee's rule gives by hand.
    #[test]
    fn syncopation_follows_its_rule() {
        let cases: [(&[usize], f64); 5] = [
            (&[0, 4, 8, 12, 16, 20, 24, 28], 0.0),
            // An 8th before the half (−3), held over it (−1).
            (&[0, 6, 16], 2.0),
            // A 16th before bar 2 (−4), held over its beginning (0).
            (&[0, 15], 4.0),
            // The same, but struck again on the beginning.
            (&[0, 15, 16], 0.0),
            // Every off-beat 8th of both bars; the last holds nothing heavier before the end.
            (&[2, 6, 10, 14, 18, 22, 26, 30], 1.0 + 2.0 + 1.0 + 3.0 + 1.0 + 2.0 + 1.0),
        ];
        for (steps, sum) in cases {
            let events: Vec<(usize, u8)> = steps.iter().map(|&step| (step, 41)).collect();
            let found = measured("cat-mel_2bar_small", &melody(&events))["syncopation"];
            assert_eq!(found, Some(sum / 2.0), "{steps:?}");
        }
    }

    // Hits of drums are counted together and by class; hits at the same time are one onset.
    #[test]
    fn drums_are_measured() {
        let mut steps = vec![0; 32];
        (steps[0], steps[6], steps[16]) = (0b101, 0b10, 0b100);
        for name in ["cat-drums_2bar_small", "nade-drums_2bar_reduced"] {
            let found = measured(name, &Tokens::Drums(steps.clone()));
            assert_eq!(found["density"], Some(2.0), "{name}");
            assert_eq!((found["kick"], found["snare"]), (Some(0.5), Some(0.5)), "{name}");
            assert_eq!((found["closed-hat"], found["ride"]), (Some(1.0), Some(0.0)), "{name}");
            assert_eq!(found["syncopation"], Some(1.0), "{name}");
            assert_eq!(found.len(), 11, "{name}");
        }
    }

    // A groove's velocities and timing are measured in MIDI velocities and 16ths, late positive.
    #[test]
    fn grooves_are_measured() {
        let mut steps = vec![[0.0; 27]; 32];
        // A kick a quarter of a 16th late, a snare as much early.
        (steps[4][0], steps[4][9], steps[4][18]) = (1.0, 100.0 / 127.0, -0.5);
        (steps[8][1], steps[8][10], steps[8][19]) = (1.0, 80.0 / 127.0, 0.5);
        let found = measured("groovae_2bar_humanize", &Tokens::Groove(steps));
        let near = |name: &str, value: f64| {
            let found = found[name].expect(name);
            assert!((found - value).abs() < 1e-6, "{name}: {found}");
        };
        near("density", 1.0);
        near("velocity", 90.0);
        near("velocity-spread", 10.0);
        near("timing", 0.0);
        near("timing-spread", 0.25);
    }

    // Parts of a trio are measured apart.
    #[test]
    fn parts_are_measured_apart() {
        let mut steps = vec![[0; 3]; 256];
        (steps[0], steps[8]) = ([41, 17, 0b11], [45, 0, 0]);
        let found = measured("hierdec-trio_16bar", &Tokens::Trio(steps));
        assert_eq!(found["melody-density"], Some(2.0 / 16.0));
        assert_eq!((found["melody-pitch"], found["bass-pitch"]), (Some(62.0), Some(36.0)));
        assert_eq!((found["bass-interval"], found["bass-density"]), (None, Some(1.0 / 16.0)));
        assert_eq!(found["drums-density"], Some(2.0 / 16.0));
        assert_eq!(found.len(), 12);
    }

    proptest! {
        // Whatever a melody is, what is measured is finite; moved by an octave, its pitch alone
        // changes, by 12.
        #[test]
        fn pitch_alone_follows_transposition(
            steps in prop::collection::vec(prop_oneof![Just(0u8), Just(1), 20u8..60], 32),
        ) {
            let up = steps.iter().map(|&token| if token > 1 { token + 12 } else { token });
            let up = measured("cat-mel_2bar_small", &Tokens::Melody(up.collect()));
            let found = measured("cat-mel_2bar_small", &Tokens::Melody(steps));
            for (name, value) in found {
                let moved = up[&name];
                prop_assert_eq!(value.is_some(), moved.is_some());
                let (Some(value), Some(moved)) = (value, moved) else { continue };
                let expected = if name == "pitch" { value + 12.0 } else { value };
                prop_assert!(value.is_finite() && (moved - expected).abs() < 1e-9, "{name}");
            }
        }
    }
}
