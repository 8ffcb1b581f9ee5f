//! The families of models, a module each: melodies, melodies with chords, drums, drum rolls, trios,
//! grooves.
//!
//! [`Family`] is the trait that each of them implements; [`Scheme`] is the list of all. Shared by
//! several of them are the grid of 16ths, lines of one pitch at a time, classes of drums, the
//! search for windows.

mod drum_roll;
mod drums;
mod error;
mod family;
mod groove;
mod kinds;
mod kit;
pub mod line;
mod melody;
mod melody_chords;
mod order;
pub mod percussion;
mod place;
mod quantise;
mod reason;
mod search;
mod sources;
#[cfg(test)]
pub(crate) mod testing;
mod trio;
mod window;

use serde::{Deserialize, Serialize};

pub use drum_roll::DrumRoll;
pub use drums::Drums;
pub use error::TokenError;
pub use family::Family;
pub use groove::{Groove, GrooveTask, roland_to_general};
pub use kinds::{
    Column, ColumnKind, Converter, OutputKind, SEGMENTS, Training, Voice, Walk, Wanted,
};
pub use melody::Melody;
pub use melody_chords::MelodyChords;
pub use percussion::DrumMap;
pub use place::{Place, Source};
pub use quantise::OUTPUT_VELOCITY;
pub(crate) use quantise::beats;
pub(crate) use reason::reason;
pub use search::Limit;
pub(crate) use search::largest;
pub use sources::common_time;
pub(crate) use sources::drum_pitch;
pub use trio::Trio;
pub use window::{ControlKind, Controls, GrooveStep, Tokens, Window};

/// The families, with the settings in which their models differ besides sizes. These names are used
/// in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// Melodies.
    Melody(Melody),
    /// Melodies over chords.
    MelodyChords,
    /// Drums as one token for all that sounds together.
    Drums,
    /// Drums as bits, one for each class.
    DrumRoll(DrumRoll),
    /// Melody, bass and drums together.
    Trio,
    /// Hits, velocities and timing of drums.
    Groove(Groove),
}

impl Scheme {
    /// The family's implementation.
    pub fn family(&self) -> &dyn Family {
        match self {
            Self::Melody(family) => family,
            Self::MelodyChords => &MelodyChords,
            Self::Drums => &Drums,
            Self::DrumRoll(family) => family,
            Self::Trio => &Trio,
            Self::Groove(family) => family,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// Files name the families by these words, so models of today load tomorrow.
    #[test]
    fn files_name_families() {
        let words: Vec<String> = config::all()
            .into_iter()
            .map(|config| {
                let text = serde_json::to_string(&config.scheme).expect("plain data");
                assert_eq!(serde_json::from_str::<Scheme>(&text).expect("read"), config.scheme);
                text
            })
            .collect();
        let melody = |only| format!(r#"{{"melody":{{"melodic_programs_only":{only}}}}}"#);
        let groove = |task| format!(r#"{{"groove":"{task}"}}"#);
        let expected = [
            melody(true),
            melody(true),
            r#""melody-chords""#.to_owned(),
            r#""drums""#.to_owned(),
            r#""drums""#.to_owned(),
            r#"{"drum-roll":"reduced"}"#.to_owned(),
            r#"{"drum-roll":"full"}"#.to_owned(),
            melody(false),
            melody(false),
            melody(false),
            r#""trio""#.to_owned(),
            r#""trio""#.to_owned(),
            r#""trio""#.to_owned(),
            groove("reconstruct"),
            groove("humanize"),
            groove("tap-fixed-velocity"),
            groove("tap-fixed-velocity-note-dropout"),
            groove("add-closed-hat"),
            groove("hits-control"),
        ];
        assert_eq!(words, expected);
    }

    /// The numbers of each family agree with each other: voices with outputs, columns with numbers,
    /// noise with the widest output.
    #[test]
    fn families_are_whole() {
        for config in config::all() {
            let (family, name) = (config.family(), &config.name);
            let columns = family.columns();
            assert!(columns.iter().all(|column| column.limit > 1), "{name}");
            assert_eq!(family.drum_map().is_some(), family.voices().iter().any(|it| it.is_drums));
            if config.output_kind().is_tokens() {
                assert_eq!(family.voices().len(), family.outputs().len(), "{name}");
                let silence = family.tokens_of_ids(&vec![0; family.outputs().len()]).expect(name);
                assert_eq!((silence.len(), family.holds(&silence)), (1, Some(true)), "{name}");
                assert_eq!(family.notes(&silence), 0, "{name}");
                let window = family.window_of_numbers(&family.numbers(&silence.clone().into()));
                assert_eq!(window.tokens, silence, "{name}");
                assert!(family.tokens_of_values(&[]).is_err(), "{name}");
            } else {
                let silence =
                    family.tokens_of_values(&vec![0.0; config.output_depth()]).expect(name);
                assert_eq!((silence.len(), family.holds(&silence)), (1, Some(true)), "{name}");
                assert!(
                    family.ids(&silence).is_err() && family.tokens_of_ids(&[]).is_err(),
                    "{name}"
                );
            }
        }
    }
}
