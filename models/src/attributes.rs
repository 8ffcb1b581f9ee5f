//! Attributes of music, measured on clips: one table for trainer and plug-in.
//!
//! Attribute vectors, along which they rise, are in [`crate::latent::attributes`].

use crate::clip::{BEATS_PER_STEP, Clip, Note, STEPS_PER_BAR};
use crate::config::Config;
use crate::families::percussion::{self, CLASS_NAMES, CLASSES, DrumMap};
use crate::families::{Family, Voice};

/// An attribute of music: name, unit, texts, measure, families.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    /// Name in files and on the command line: lower-case letters, digits and hyphens. With several
    /// voices it is prefixed by the voice, such as `bass-density`.
    pub id: &'static str,
    /// Name shown to users.
    pub name: &'static str,
    /// Unit that it is measured in, as text.
    pub unit: &'static str,
    /// Unit for drums among other voices, where it differs.
    unit_of_drums: Option<&'static str>,
    /// Tooltip of its slider; only for attributes with a parameter in the plug-in.
    pub hint: Option<&'static str>,
    of: Of,
    /// Minimum number of notes for which it is defined.
    least: usize,
    measure: fn(&Notes<'_>) -> f64,
}

/// Which voices of which families have an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// All.
    Music,
    /// Monophonic voices.
    Lines,
    /// Drums that are played alone, on the grid: one attribute for each class.
    Classes,
    /// Music with velocities and timing of its own.
    Performances,
}

/// The notes of a voice, or of a class of drums, in a clip.
struct Notes<'a> {
    notes: Vec<&'a Note>,
    bars: f64,
}

/// The table of attributes.
pub static ATTRIBUTES: [Attribute; 10] = [
    Attribute {
        id: "density",
        name: "Density",
        unit: "notes in a bar",
        unit_of_drums: Some("hits in a bar"),
        hint: Some(
            "More notes or fewer than the morph has. 1 is a usual distance between two clips. \
             Double-click for 0.",
        ),
        of: Of::Music,
        least: 0,
        measure: density,
    },
    Attribute {
        id: "pitch",
        name: "Pitch",
        unit: "MIDI key",
        unit_of_drums: None,
        hint: Some("Higher notes or lower. Double-click for 0."),
        of: Of::Lines,
        least: 1,
        measure: |notes| mean(notes.pitches()),
    },
    Attribute {
        id: "range",
        name: "Range",
        unit: "semitones",
        unit_of_drums: None,
        hint: Some("Further from the lowest note to the highest, or less far."),
        of: Of::Lines,
        least: 1,
        measure: |notes| {
            let extreme = |of: fn(f64, f64) -> f64| notes.pitches().reduce(of).unwrap_or(0.0);
            extreme(f64::max) - extreme(f64::min)
        },
    },
    Attribute {
        id: "interval",
        name: "Interval",
        unit: "semitones",
        unit_of_drums: None,
        hint: Some("Larger leaps from note to note, or smaller."),
        of: Of::Lines,
        least: 2,
        measure: |notes| {
            let leap = |pair: &[&Note]| f64::from(pair[0].pitch.abs_diff(pair[1].pitch));
            mean(notes.notes.windows(2).map(leap))
        },
    },
    Attribute {
        id: "syncopation",
        name: "Syncopation",
        unit: "Longuet-Higgins and Lee, in a bar",
        unit_of_drums: None,
        hint: Some("More off the beat, or more on it."),
        of: Of::Music,
        least: 1,
        measure: syncopation,
    },
    // Of each class, under the name of the class.
    Attribute {
        id: "hits",
        name: "Hits",
        unit: "hits in a bar",
        unit_of_drums: None,
        hint: None,
        of: Of::Classes,
        least: 0,
        measure: density,
    },
    Attribute {
        id: "velocity",
        name: "Velocity",
        unit: "MIDI velocity",
        unit_of_drums: None,
        hint: None,
        of: Of::Performances,
        least: 1,
        measure: |notes| mean(notes.velocities()),
    },
    Attribute {
        id: "velocity-spread",
        name: "Spread of velocity",
        unit: "MIDI velocity",
        unit_of_drums: None,
        hint: None,
        of: Of::Performances,
        least: 2,
        measure: |notes| spread(&notes.velocities().collect::<Vec<_>>()),
    },
    Attribute {
        id: "timing",
        name: "Timing",
        unit: "16ths late",
        unit_of_drums: None,
        hint: None,
        of: Of::Performances,
        least: 1,
        measure: |notes| mean(notes.offsets()),
    },
    Attribute {
        id: "timing-spread",
        name: "Spread of timing",
        unit: "16ths",
        unit_of_drums: None,
        hint: None,
        of: Of::Performances,
        least: 2,
        measure: |notes| spread(&notes.offsets().collect::<Vec<_>>()),
    },
];

/// Number of attributes with a parameter in the plug-in.
pub const OFFERED: usize = {
    let (mut count, mut index) = (0, 0);
    while index < ATTRIBUTES.len() {
        count += ATTRIBUTES[index].hint.is_some() as usize;
        index += 1;
    }
    count
};

/// The attributes with a parameter in the plug-in.
pub fn offered() -> impl Iterator<Item = &'static Attribute> {
    ATTRIBUTES.iter().filter(|attribute| attribute.hint.is_some())
}

/// The attribute of a voice, or of all music of a model.
#[derive(Clone, Debug)]
pub struct Measure {
    /// Name: lower-case letters, digits and hyphens; with several voices it begins with the voice.
    pub name: String,
    attribute: &'static Attribute,
    /// The voice that it is of, where there are several.
    voice: Option<Voice>,
    /// The class of drums that it is of.
    class: Option<usize>,
}

impl PartialEq for Measure {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.voice, self.class) == (&other.name, other.voice, other.class)
    }
}

/// The measures of a configuration: for each voice those that the table has for it. For melodies
/// these are density, average pitch, range of pitches, average interval and syncopation; for drums
/// density, syncopation and the density of each class; for grooves density, syncopation, and mean
/// and spread of velocity and timing.
pub fn of_config(config: &Config) -> Vec<Measure> {
    let family = config.family();
    family.voices().iter().flat_map(|voice| of_voice(family, *voice)).collect()
}

fn of_voice(family: &dyn Family, voice: Voice) -> Vec<Measure> {
    let is_alone = family.voices().len() == 1;
    let has = |attribute: &&Attribute| match attribute.of {
        Of::Music => true,
        Of::Lines => !voice.is_drums,
        Of::Classes => voice.is_drums && is_alone && !family.is_performed(),
        Of::Performances => family.is_performed(),
    };
    let measures = |attribute: &'static Attribute| {
        let measure = |(name, class): (String, Option<usize>)| Measure {
            name: if is_alone { name } else { format!("{}-{name}", voice.name) },
            attribute,
            voice: (!is_alone).then_some(voice),
            class,
        };
        let classes = if attribute.of == Of::Classes { CLASSES } else { 0 };
        let of_classes =
            (0..classes).map(|class| (CLASS_NAMES[class].replace(' ', "-"), Some(class)));
        let whole = (classes == 0).then(|| (attribute.id.to_owned(), None));
        whole.into_iter().chain(of_classes).map(measure).collect::<Vec<_>>()
    };
    ATTRIBUTES.iter().filter(has).flat_map(measures).collect()
}

impl Measure {
    /// The unit of the attribute, as text.
    pub fn unit(&self) -> &'static str {
        let of_drums = self.voice.filter(|voice| voice.is_drums);
        of_drums.and(self.attribute.unit_of_drums).unwrap_or(self.attribute.unit)
    }

    /// The attribute of a clip of whole bars in 4/4; `None` where it is not defined: of pitches,
    /// syncopation, velocity and timing without a note, of intervals and spreads below two notes.
    pub fn of(&self, clip: &Clip) -> Option<f64> {
        let notes: Vec<&Note> = clip.notes.iter().filter(|note| self.takes(note)).collect();
        let bars = (clip.length / (number(STEPS_PER_BAR) * BEATS_PER_STEP)).max(1.0);
        let notes = Notes { notes, bars };
        (notes.notes.len() >= self.attribute.least).then(|| (self.attribute.measure)(&notes))
    }

    /// Whether a vector of this attribute has to hold another one: all others, except that the
    /// density of the whole and that of a class, which is a part of it, do not hold each other.
    pub fn holds(&self, other: &Self) -> bool {
        let is_part = |whole: &Self, part: &Self| {
            whole.attribute.id == "density" && part.attribute.of == Of::Classes
        };
        !is_part(self, other) && !is_part(other, self)
    }

    fn takes(&self, note: &Note) -> bool {
        let of_voice = self.voice.is_none_or(|voice| {
            note.is_drum() == voice.is_drums && (voice.is_drums || note.channel == voice.channel)
        });
        let class = || percussion::class(DrumMap::Reduced, note.pitch);
        of_voice && self.class.is_none_or(|wanted| class() == Some(wanted))
    }
}

impl Notes<'_> {
    fn pitches(&self) -> impl Iterator<Item = f64> {
        self.notes.iter().map(|note| f64::from(note.pitch))
    }

    fn velocities(&self) -> impl Iterator<Item = f64> {
        self.notes.iter().map(|note| f64::from(note.velocity))
    }

    /// How many 16ths notes are late.
    fn offsets(&self) -> impl Iterator<Item = f64> {
        self.notes.iter().map(|note| place(note).1)
    }
}

fn density(notes: &Notes<'_>) -> f64 {
    number(notes.notes.len()) / notes.bars
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
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
fn syncopation(notes: &Notes<'_>) -> f64 {
    let bars = notes.bars;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a clip is short")]
    let end = (bars.ceil() as usize) * STEPS_PER_BAR;
    let mut steps: Vec<usize> = notes.notes.iter().map(|note| place(note).0).collect();
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

    use proptest::prelude::*;

    use super::*;
    use crate::config;
    use crate::tokens::{Tokens, to_clip};

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

    // Each id is there once, and what has a parameter in the plug-in is an attribute of lines.
    #[test]
    fn the_table_is_sound() {
        for attribute in &ATTRIBUTES {
            let same = ATTRIBUTES.iter().filter(|other| other.id == attribute.id);
            assert_eq!(same.count(), 1, "{}", attribute.id);
            assert!(attribute.hint.is_none() || matches!(attribute.of, Of::Music | Of::Lines));
        }
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
