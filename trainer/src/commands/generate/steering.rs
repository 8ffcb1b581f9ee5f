//! What the music that is made keeps to: a key, a range, and what is kept of a pattern.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use clap::Args;
use interlude_models::config::Config;
use interlude_models::families::percussion::CLASS_NAMES;
use interlude_models::scale::Scale;
use interlude_models::steering::{Kept, Lock, Steering};
use interlude_models::tokens::{Tokens, to_clip};

/// What is kept while music is made.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Keeping {
    /// Lowest and highest MIDI pitch of all notes but drums, such as 48-72.
    #[arg(long, value_name = "LOW-HIGH", value_parser = range)]
    range: Option<RangeInclusive<u8>>,
    /// Keep this of the input, or of the file of --keep: rhythm, pitch (the order of the notes), each
    /// with the share of it that is kept such as rhythm=0.5; bars=1,3; parts=bass,drums or
    /// parts=kick,closed-hat. May be given several times.
    #[arg(long, value_name = "WHAT[=HOW]", value_parser = Asked::parse)]
    lock: Vec<Asked>,
    /// A MIDI file with one window, whose notes --lock keeps instead of the input's.
    #[arg(long, value_name = "MIDI", requires = "lock")]
    pub(super) keep: Option<PathBuf>,
}

/// A lock as it is written.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Rhythm(f32),
    Pitch(f32),
    Bars(Vec<usize>),
    Parts(Vec<String>),
}

impl Asked {
    fn parse(text: &str) -> Result<Self, String> {
        let (what, how) = text.split_once('=').unwrap_or((text, ""));
        let share = || if how.is_empty() { Ok(1.0) } else { super::number(how, 1.0) };
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

    /// The locks of a model's family.
    fn locks(&self, config: &Config) -> anyhow::Result<Vec<Lock>> {
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
                        bail!(
                            "`{}` has no part `{name}`; it has {}",
                            config.name,
                            known.join(", ")
                        );
                    }
                }
                let places = (!places.is_empty()).then_some(Lock::Voices(places));
                let classes = (classes != 0).then_some(Lock::Drums(classes));
                Ok(places.into_iter().chain(classes).collect())
            }
        }
    }
}

impl Keeping {
    /// Whether a pattern is needed that only an input or --keep can give.
    pub(super) fn needs_pattern(&self) -> bool {
        !self.lock.is_empty()
    }

    /// What the music keeps to, if to anything. `key` is a scale or `auto`, the scale of `inputs`;
    /// `pattern` is what locks keep of.
    pub(super) fn steering(
        &self,
        config: &Config,
        key: Option<&str>,
        inputs: &[&Tokens],
        pattern: Option<&Tokens>,
        seed: u64,
    ) -> anyhow::Result<Option<Steering>> {
        let scale = match key {
            Some("auto") => Some(found(config, inputs)?),
            Some(name) => Some(name.parse::<Scale>()?),
            None => None,
        };
        let kept = if self.needs_pattern() {
            let pattern = pattern.ok_or_else(|| {
                anyhow!(
                    "--lock needs a pattern to keep: give a MIDI file with one window as --keep"
                )
            })?;
            let locks = self.lock.iter().map(|asked| asked.locks(config));
            let locks = locks.collect::<Result<Vec<_>, _>>()?.concat();
            Some(Kept { pattern: pattern.clone(), locks, seed })
        } else {
            None
        };
        let steering = Steering { scale, range: self.range.clone(), kept };
        let has_pitches = config.family().voices().iter().any(|voice| !voice.is_drums);
        if !has_pitches && (steering.scale.is_some() || steering.range.is_some()) {
            bail!("`{}` plays drums only; leave out --key and --range", config.name);
        }
        Ok((!steering.is_free()).then_some(steering))
    }
}

/// The scale of some windows.
fn found(config: &Config, inputs: &[&Tokens]) -> anyhow::Result<Scale> {
    let notes = inputs.iter().flat_map(|tokens| to_clip(config, tokens).notes);
    let drums: Vec<u8> =
        config.family().voices().iter().filter(|it| it.is_drums).map(|it| it.channel).collect();
    let notes = notes.filter(|note| !drums.contains(&note.channel));
    let pitches: Vec<u8> = notes.map(|note| note.pitch).collect();
    Scale::of(&pitches).ok_or_else(|| {
        let why =
            if pitches.is_empty() { "there is no input with notes" } else { "it is in no one key" };
        anyhow!("--key auto finds no key: {why}; name one, such as --key \"D dorian\"")
    })
}

fn range(text: &str) -> Result<RangeInclusive<u8>, String> {
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
        assert_eq!(Asked::parse("rhythm"), Ok(Asked::Rhythm(1.0)));
        assert_eq!(Asked::parse("pitch=0.5"), Ok(Asked::Pitch(0.5)));
        assert_eq!(Asked::parse("bars=1,3"), Ok(Asked::Bars(vec![1, 3])));
        assert_eq!(Asked::parse("parts=Bass"), Ok(Asked::Parts(vec!["bass".to_owned()])));
        for wrong in ["rhythm=2", "rhythm=x", "bars", "bars=0", "bars=1,x", "parts", "tempo", ""] {
            assert!(Asked::parse(wrong).is_err(), "{wrong}");
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

    /// A range is two pitches in order.
    #[test]
    fn ranges_are_read() {
        assert_eq!(range("48-72"), Ok(48..=72));
        assert!(["72-48", "48", "-", "48-200", "c-d"].iter().all(|text| range(text).is_err()));
    }
}
