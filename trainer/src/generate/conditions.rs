//! Chords and hits that a decoder is conditioned on.

use std::path::PathBuf;

use interlude_models::config::Config;
use interlude_models::tokens::{ControlKind, Controls};

use super::chords::progression;
use super::error::GenerateError;
use super::input::{Apart, Input, Reader};

/// Conditions as they are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// A chord progression, such as `C,Am,F,G` or, with a key, `I,vi,IV,V`.
    pub chords: Option<String>,
    /// The key of Roman numerals, such as `G` or `Em`.
    pub key: Option<String>,
    /// A MIDI file with one window, whose drum hits are kept.
    pub hits: Option<PathBuf>,
}

impl Conditions {
    /// Whether something is asked for, so that what an input or a code brings does not count.
    pub fn is_asked(&self) -> bool {
        self.chords.is_some() || self.hits.is_some()
    }

    /// The controls of the reader's model: those that are asked for, else those that the music itself
    /// brings (`own`), else no chords, or the hits of a plain beat; none of a model without controls.
    ///
    /// # Errors
    /// [`GenerateError`] for conditions that the model does not take, or that cannot be read.
    pub fn controls(
        &self,
        reader: &Reader<'_>,
        own: Option<Controls>,
        apart: Apart<'_>,
    ) -> Result<Option<Controls>, GenerateError> {
        let config = reader.config;
        let steps = config.hparams.max_seq_len;
        let kind = config.family().control_kind();
        let check = |what, is_taken: bool| match is_taken {
            true => Ok(()),
            false => Err(GenerateError::NotConditioned { config: config.name.clone(), what }),
        };
        if let Some(chords) = &self.chords {
            check("chords", kind == Some(ControlKind::Chords))?;
            let chords = progression(chords, self.key.as_deref(), steps)?;
            return Ok(Some(Controls::Chords(chords)));
        }
        if let Some(hits) = &self.hits {
            check("hits", kind == Some(ControlKind::Hits))?;
            let apart = Apart { keep_velocities: false, ..apart };
            let inputs = reader.single_windows(std::slice::from_ref(hits), apart)?;
            return Ok(inputs.into_iter().next().and_then(|Input { window, .. }| window.controls));
        }
        Ok(own.or_else(|| plain(config, kind)))
    }
}

/// The controls of music that brings none.
fn plain(config: &Config, kind: Option<ControlKind>) -> Option<Controls> {
    let steps = config.hparams.max_seq_len;
    match kind {
        Some(ControlKind::Hits) => Some(beat(steps)),
        _ => Controls::none(config, steps),
    }
}

/// Hits of a plain beat: bass drum and snare drum in turn on the beats, hi-hat on the 8ths.
fn beat(steps: usize) -> Controls {
    let [bass, snare, hat] = [1, 2, 4];
    let bar = [bass | hat, 0, hat, 0, snare | hat, 0, hat, 0];
    Controls::Hits(bar.into_iter().cycle().take(steps).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use interlude_models::config::by_name;

    use super::super::input::Reading;
    use super::*;

    // What is asked for comes before what the music brings, and that before a default of the family.
    #[test]
    fn what_is_asked_for_comes_first() {
        let controls = |name: &str, conditions: &Conditions, own: Option<Controls>| {
            let config = by_name(name).expect("known");
            let reader = Reader { config: &config, reading: Reading::default(), warn: &|_| () };
            let apart = Apart { out: Path::new("out"), keep_velocities: false };
            conditions.controls(&reader, own, apart).map_err(|error| error.to_string())
        };
        let chords = |chords: &str, key: Option<&str>| Conditions {
            chords: Some(chords.to_owned()),
            key: key.map(str::to_owned),
            hits: None,
        };
        let none = Conditions::default();
        let with_chords = "cat-mel_2bar_med_chords";
        let own = || Some(Controls::Chords(vec![7; 32]));
        let named = controls(with_chords, &chords("C", None), own()).expect("chords");
        assert_eq!(controls(with_chords, &chords("I", Some("C")), own()), Ok(named.clone()));
        assert_ne!(named, own());
        assert_eq!(controls(with_chords, &none, own()), Ok(own()));
        assert_eq!(controls(with_chords, &none, None), Ok(Some(Controls::Chords(vec![0; 32]))));
        assert_eq!(controls("cat-mel_2bar_small", &none, None), Ok(None));
        let Ok(Some(Controls::Hits(hits))) =
            controls("groovae_2bar_hits_control_tfds", &none, None)
        else {
            panic!("a beat");
        };
        assert_eq!((hits.len(), hits[0], hits[4], hits[2]), (32, 5, 6, 4));

        let told = controls("cat-mel_2bar_small", &chords("C", None), None).expect_err("none");
        assert!(told.contains("leave out --chords"), "{told}");
        let hits = Conditions { hits: Some("no/such.mid".into()), ..Conditions::default() };
        let told = controls("cat-mel_2bar_small", &hits, None).expect_err("no hits");
        assert!(told.contains("leave out --hits"), "{told}");
        let told = controls("groovae_2bar_hits_control_tfds", &hits, None).expect_err("no file");
        assert!(told.contains("no/such.mid"), "{told}");
    }
}
