//! What a musician is told of a clip that a model has no use for: what the clip holds, what the model
//! plays, and what would work.

use interlude_models::{
    clip::{BEATS_PER_STEP, Clip, Note},
    config::Config,
    package::Package,
};

use super::reading;
use crate::resources;

/// Most models that are named.
const MOST_NAMED: usize = 3;
/// Keys on which drums lie on pads and keyboards.
const DRUM_KEYS: std::ops::RangeInclusive<u8> = 35..=59;

/// What a model plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Melody,
    Drums,
    /// Any key is a tap.
    Taps,
    /// Several voices, which play anything.
    Band,
}

impl Kind {
    fn of(config: &Config) -> Self {
        match config.family().voices() {
            _ if config.family().reads_taps() => Self::Taps,
            [voice] if voice.is_drums => Self::Drums,
            [_] => Self::Melody,
            _ => Self::Band,
        }
    }
}

/// Why the model of a name cannot read the clip in a slot, and what would work.
pub(super) fn unreadable(letter: &str, clip: &Clip, config: &Config, name: &str) -> String {
    let steps = u32::try_from(config.hparams.max_seq_len).unwrap_or(u32::MAX);
    let length = f64::from(steps) * BEATS_PER_STEP;
    let kind = Kind::of(config);
    let (reason, instead) = if clip.notes.iter().all(|note| note.start >= length) {
        let bars = config.bars();
        let reason = format!(
            "The first {bars} bars of the clip in slot {letter} are empty, and `{name}` hears only \
             these."
        );
        (reason, "move the music to the beginning")
    } else {
        match kind {
            Kind::Melody if clip.notes.iter().all(Note::is_drum) => (
                format!("Slot {letter} holds drums, and `{name}` plays melodies."),
                "give the slot a melody",
            ),
            Kind::Melody | Kind::Band => {
                let reason = format!(
                    "The notes in slot {letter} are too low or too high for `{name}`, which reads \
                     those on a piano, from A0 to C8."
                );
                (reason, "move them by octaves")
            }
            Kind::Drums | Kind::Taps => {
                let reason = format!(
                    "`{name}` plays drums, and none of the notes in slot {letter} is on the key of a \
                     drum, such as C1 for the kick (36), D1 for the snare (38) or F#1 for the hi-hat \
                     (42)."
                );
                (reason, "give the slot drums")
            }
        }
    };
    format!("{reason} {}", remedy(clip, name, instead))
}

/// What there is to say of a clip that a model reads, but not as it was meant: a melody whose notes
/// it takes for drums.
pub(super) fn misread(letter: &str, clip: &Clip, config: &Config, name: &str) -> Option<String> {
    is_misread(clip, config).then(|| {
        format!(
            "Slot {letter} holds a melody, and `{name}` plays drums: it takes the notes for drum keys. \
             {}",
            remedy(clip, name, "give the slot drums")
        )
    })
}

fn is_misread(clip: &Clip, config: &Config) -> bool {
    let low = clip.notes.iter().filter(|note| DRUM_KEYS.contains(&note.pitch)).count();
    Kind::of(config) == Kind::Drums
        && !clip.notes.iter().any(Note::is_drum)
        && 2 * low < clip.notes.len()
}

/// "Choose `this` or `that`, or give the slot drums."
fn remedy(clip: &Clip, name: &str, instead: &str) -> String {
    let mut fitting: Vec<(bool, String)> = resources::models()
        .into_iter()
        .filter(|model| model.name != name)
        .filter_map(|model| {
            let config = Package::open(&model.dir).ok()?.info.config;
            let fits = reading::read(&config, clip, None).is_ok() && !is_misread(clip, &config);
            // A band plays anything; a model of the clip's own kind is the better advice.
            fits.then(|| (Kind::of(&config) == Kind::Band, model.name))
        })
        .collect();
    fitting.sort();
    let names: Vec<String> =
        fitting.into_iter().take(MOST_NAMED).map(|(_, name)| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => {
            let mut letters = instead.chars();
            let first = letters.next().map(|first| first.to_uppercase().to_string());
            format!("{}{}.", first.unwrap_or_default(), letters.as_str())
        }
        [name] => format!("Choose the model {name} for it, or {instead}."),
        [names @ .., last] => {
            format!("Choose the model {} or {last} for it, or {instead}.", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::{clip::DRUM_CHANNEL, config::by_name};

    use super::*;

    fn clip(notes: &[(f64, u8, u8)]) -> Clip {
        let note = |&(start, pitch, channel): &(f64, u8, u8)| Note {
            start,
            end: start + 1.0,
            pitch,
            velocity: 90,
            channel,
            program: 0,
        };
        Clip::new(notes.iter().map(note).collect(), 8.0)
    }

    /// Each clip that a model cannot read is told by what it holds and what would work, without the
    /// name of a configuration.
    #[test]
    fn reasons_are_a_musicians() {
        let cases = [
            ("cat-mel_2bar_big", clip(&[(0.0, 36, DRUM_CHANNEL)]), "holds drums", "a melody."),
            (
                "cat-mel_2bar_big",
                clip(&[(0.0, 3, 0), (1.0, 120, 0)]),
                "too low or too high",
                "octaves.",
            ),
            ("cat-mel_2bar_big", clip(&[(9.0, 60, 0)]), "first 2 bars", "beginning."),
            ("cat-drums_2bar_small", clip(&[(0.0, 10, DRUM_CHANNEL)]), "key of a drum", "drums."),
            ("groovae_2bar_humanize", clip(&[(0.0, 110, 3)]), "key of a drum", "drums."),
            ("hierdec-trio_16bar", clip(&[(0.0, 120, 0)]), "too low or too high", "octaves."),
        ];
        for (config, clip, reason, remedy) in cases {
            let config = by_name(config).expect("a name of the table");
            assert!(reading::read(&config, &clip, None).is_err(), "{config:?} reads {clip:?}");
            let text = unreadable("B", &clip, &config, "my model");
            assert!(text.contains(reason) && text.ends_with(remedy), "{text}");
            assert!(text.contains("slot B") || text.contains("Slot B"), "{text}");
            assert!(text.contains("`my model`") && !text.contains(&config.name), "{text}");
        }
    }

    /// A melody in a drum model is told although it can be read; pads on another channel than that of
    /// drums are drums, and taps are any keys.
    #[test]
    fn melodies_are_no_drums() {
        let melody = clip(&[(0.0, 60, 0), (1.0, 64, 0), (2.0, 67, 0)]);
        let pads = clip(&[(0.0, 36, 0), (1.0, 38, 0), (2.0, 62, 0)]);
        let drums = by_name("cat-drums_2bar_small").expect("a name of the table");
        let text = misread("A", &melody, &drums, "drums-2bar").expect("it is told");
        assert!(text.contains("Slot A holds a melody") && text.contains("plays drums"), "{text}");
        assert_eq!(misread("A", &pads, &drums, "drums-2bar"), None);
        for other in ["groovae_2bar_tap_fixed_velocity", "cat-mel_2bar_big", "hierdec-trio_16bar"] {
            let other = by_name(other).expect("a name of the table");
            assert_eq!(misread("A", &melody, &other, "another"), None);
        }
    }
}
