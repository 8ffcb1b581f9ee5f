//! What the music that is made keeps to: a key, a range, and what is kept of a pattern.

use std::ops::RangeInclusive;
use std::str::FromStr;

use interlude_models::config::Config;
use interlude_models::families::percussion::CLASS_NAMES;
use interlude_models::scale::Scale;
use interlude_models::steering::{Kept, Lock, Steering};
use interlude_models::tokens::{Tokens, to_clip};

use super::error::GenerateError;

/// What music keeps to while it is made.
#[derive(Clone, Debug, Default)]
pub struct Keeping<'a> {
    /// A scale such as `D dorian`, or `auto` for that of `inputs`.
    pub key: Option<&'a str>,
    /// Lowest and highest MIDI pitch of all notes but drums.
    pub range: Option<RangeInclusive<u8>>,
    /// What is kept of `pattern`.
    pub locks: &'a [Asked],
    /// The windows that `auto` looks at.
    pub inputs: &'a [&'a Tokens],
    /// The window that locks keep something of.
    pub pattern: Option<&'a Tokens>,
    /// Chooses the steps of locks that keep only some.
    pub seed: u64,
}

/// A lock as it is written: `rhythm` or `pitch` with a share such as `rhythm=0.5`, `bars=1,3`,
/// `parts=bass,drums`.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// Onsets, lengths and rests of this share of the steps, `0..=1`.
    Rhythm(f32),
    /// The order of the pitches, for this share of them, `0..=1`.
    Pitch(f32),
    /// Bars, counted from 1.
    Bars(Vec<usize>),
    /// Voices or drum classes by their names, in lower case.
    Parts(Vec<String>),
}

impl FromStr for Asked {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (what, how) = text.split_once('=').unwrap_or((text, ""));
        let share = || match how.parse() {
            _ if how.is_empty() => Ok(1.0),
            Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
            _ => Err("the share that is kept is a number from 0 to 1"),
        };
        let list = || how.split(',').map(str::trim).filter(|name| !name.is_empty());
        match what {
            "rhythm" => Ok(Self::Rhythm(share()?)),
            "pitch" => Ok(Self::Pitch(share()?)),
            "bars" => {
                let bar = |text: &str| text.parse().ok().filter(|&bar: &usize| bar > 0);
                let bars: Option<Vec<usize>> = list().map(bar).collect();
                let bars = bars.filter(|bars| !bars.is_empty());
                Ok(Self::Bars(bars.ok_or("bars are numbers from 1, such as bars=1,3")?))
            }
            "parts" if list().next().is_some() => {
                Ok(Self::Parts(list().map(str::to_lowercase).collect()))
            }
            "parts" => Err("say which parts, such as parts=bass,drums".to_owned()),
            _ => Err("it is rhythm, pitch, bars=… or parts=…".to_owned()),
        }
    }
}

impl Asked {
    /// The locks of a model's family.
    fn locks(&self, config: &Config) -> Result<Vec<Lock>, GenerateError> {
        match self {
            Self::Rhythm(amount) => Ok(vec![Lock::Rhythm(*amount)]),
            Self::Pitch(amount) => Ok(vec![Lock::Pitch(*amount)]),
            Self::Bars(bars) => Ok(vec![Lock::Bars(bars.iter().map(|bar| bar - 1).collect())]),
            Self::Parts(names) => {
                let voices = config.family().voices();
                let has_classes = config
                    .family()
                    .drum_map()
                    .is_some_and(|map| map.classes() == CLASS_NAMES.len());
                let class = |name: &str| {
                    let name = name.replace('-', " ");
                    CLASS_NAMES.iter().position(|it| has_classes && *it == name)
                };
                let mut places = Vec::new();
                let mut classes = 0;
                for name in names {
                    if let Some(place) = voices.iter().position(|voice| voice.name == name) {
                        places.push(place);
                    } else if let Some(class) = class(name) {
                        classes |= 1 << class;
                    } else {
                        let known = voices.iter().map(|voice| voice.name.to_owned());
                        let drums = CLASS_NAMES.iter().filter(|_| has_classes);
                        let known: Vec<String> =
                            known.chain(drums.map(|name| name.replace(' ', "-"))).collect();
                        return Err(GenerateError::NoPart {
                            config: config.name.clone(),
                            part: name.clone(),
                            known: known.join(", "),
                        });
                    }
                }
                let places = (!places.is_empty()).then_some(Lock::Voices(places));
                let classes = (classes != 0).then_some(Lock::Drums(classes));
                Ok(places.into_iter().chain(classes).collect())
            }
        }
    }
}

impl Keeping<'_> {
    /// What a model's music keeps to; none where nothing is asked for.
    ///
    /// # Errors
    /// [`GenerateError`] for a scale that is none or cannot be found, locks without a pattern, parts
    /// that the model does not have, and pitches for a model of drums.
    pub fn steering(self, config: &Config) -> Result<Option<Steering>, GenerateError> {
        let scale = match self.key {
            Some("auto") => Some(found(config, self.inputs)?),
            Some(name) => Some(name.parse::<Scale>()?),
            None => None,
        };
        let kept = if self.locks.is_empty() {
            None
        } else {
            let pattern = self.pattern.ok_or(GenerateError::NoPattern)?;
            let locks = self.locks.iter().map(|asked| asked.locks(config));
            let locks = locks.collect::<Result<Vec<_>, _>>()?.concat();
            Some(Kept { pattern: pattern.clone(), locks, seed: self.seed })
        };
        let steering = Steering { scale, range: self.range, kept };
        let has_pitches = config.family().voices().iter().any(|voice| !voice.is_drums);
        if !has_pitches && (steering.scale.is_some() || steering.range.is_some()) {
            return Err(GenerateError::NoPitches { config: config.name.clone() });
        }
        Ok((!steering.is_free()).then_some(steering))
    }
}

/// The scale of some windows.
fn found(config: &Config, inputs: &[&Tokens]) -> Result<Scale, GenerateError> {
    let notes = inputs.iter().flat_map(|tokens| to_clip(config, tokens).notes);
    let drums: Vec<u8> =
        config.family().voices().iter().filter(|it| it.is_drums).map(|it| it.channel).collect();
    let notes = notes.filter(|note| !drums.contains(&note.channel));
    let pitches: Vec<u8> = notes.map(|note| note.pitch).collect();
    Scale::of(&pitches).ok_or(GenerateError::NoKey(match pitches.as_slice() {
        [] => "there is no input with notes",
        _ => "it is in no one key",
    }))
}

/// A range of MIDI pitches as it is written, such as `48-72`.
///
/// # Errors
/// A sentence that says how a range is written.
pub fn range(text: &str) -> Result<RangeInclusive<u8>, String> {
    let wrong = "it is two MIDI pitches from 0 to 127, the lower one first, such as 48-72";
    let (low, high) = text.split_once('-').ok_or(wrong)?;
    let pitch = |text: &str| text.trim().parse().ok().filter(|&pitch: &u8| pitch < 128);
    let (low, high) = (pitch(low).ok_or(wrong)?, pitch(high).ok_or(wrong)?);
    if low > high { Err(wrong.to_owned()) } else { Ok(low..=high) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Locks are written as the help says; anything else is refused with what can be written.
    #[test]
    fn locks_are_read() {
        assert_eq!("rhythm".parse(), Ok(Asked::Rhythm(1.0)));
        assert_eq!("pitch=0.5".parse(), Ok(Asked::Pitch(0.5)));
        assert_eq!("bars=1,3".parse(), Ok(Asked::Bars(vec![1, 3])));
        assert_eq!("parts=Bass".parse(), Ok(Asked::Parts(vec!["bass".to_owned()])));
        for wrong in ["rhythm=2", "rhythm=x", "bars", "bars=0", "bars=1,x", "parts", "tempo", ""] {
            assert!(wrong.parse::<Asked>().is_err(), "{wrong}");
        }
    }

    /// Parts are voices of the family or classes of drums; others are refused with those there are.
    #[test]
    fn parts_are_found() {
        let config = interlude_models::config::by_name("hierdec-trio_16bar").expect("a trio");
        let locks = Asked::Parts(vec!["bass".to_owned(), "closed-hat".to_owned()]).locks(&config);
        assert_eq!(locks.expect("parts"), [Lock::Voices(vec![1]), Lock::Drums(4)]);
        let error = Asked::Parts(vec!["flute".to_owned()]).locks(&config).expect_err("no part");
        assert!(error.to_string().contains("melody, bass, drums, kick"), "{error}");
    }

    /// The key that is named, or that of the inputs; locks keep the pattern's, with the seed; nothing asked
    /// for leaves all free. What cannot be kept is refused.
    #[test]
    fn what_is_asked_for_is_kept() {
        let config = interlude_models::config::by_name("cat-mel_2bar_small").expect("known");
        let drums = interlude_models::config::by_name("cat-drums_2bar_small").expect("known");
        assert_eq!(Keeping::default().steering(&config).expect("nothing"), None);
        // C, D, E, F, G, A, B, c: C major.
        let scale = [60, 62, 64, 65, 67, 69, 71, 72].map(|pitch: u8| pitch - 19);
        let melody = Tokens::Melody(scale.into_iter().flat_map(|token| [token, 0, 0, 0]).collect());
        let inputs = [&melody];
        let auto = Keeping { key: Some("auto"), inputs: &inputs, ..Keeping::default() };
        let named = Keeping { key: Some("C"), ..Keeping::default() };
        let of = |keeping: &Keeping<'_>| keeping.clone().steering(&config).expect("a key");
        assert_eq!(of(&auto), of(&named));
        assert!(of(&auto).is_some_and(|steering| steering.scale.is_some()));
        let locks = [Asked::Rhythm(0.5), Asked::Bars(vec![1])];
        let locked = Keeping {
            locks: &locks,
            pattern: Some(&melody),
            seed: 3,
            range: Some(48..=72),
            ..Keeping::default()
        };
        let kept = of(&locked).expect("kept");
        let locks = vec![Lock::Rhythm(0.5), Lock::Bars(vec![0])];
        assert_eq!(kept.kept, Some(Kept { pattern: melody.clone(), locks, seed: 3 }));
        assert_eq!(kept.range, Some(48..=72));

        let refused = |keeping: Keeping<'_>, config: &Config| {
            keeping.steering(config).expect_err("refused").to_string()
        };
        let alone = Keeping { inputs: &[], ..auto };
        assert!(refused(alone, &config).contains("no input with notes"));
        let told = refused(Keeping { pattern: None, ..locked }, &config);
        assert!(told.contains("--keep"), "{told}");
        assert!(refused(named, &drums).contains("drums only"));
    }

    /// A range is two pitches in order.
    #[test]
    fn ranges_are_read() {
        assert_eq!(range("48-72"), Ok(48..=72));
        assert!(["72-48", "48", "-", "48-200", "c-d"].iter().all(|text| range(text).is_err()));
    }
}
