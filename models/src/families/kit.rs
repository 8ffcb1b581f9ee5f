//! Classes of drums: which pitches they gather, and sets of them as bits.

use serde::{Deserialize, Serialize};

/// Classes of drums of the reduced map.
pub const CLASSES: usize = 9;
/// Sets of the classes that can sound together: tokens of drums.
pub const COMBINATIONS: usize = 1 << CLASSES;
/// Names of the classes.
pub const CLASS_NAMES: [&str; CLASSES] =
    ["kick", "snare", "closed hat", "open hat", "low tom", "mid tom", "high tom", "crash", "ride"];

/// How drum pitches are gathered into classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrumMap {
    /// The classes of [`CLASS_NAMES`].
    Reduced,
    /// One class for each pitch.
    Full,
}

impl DrumMap {
    /// Number of classes.
    pub const fn classes(self) -> usize {
        match self {
            Self::Reduced => CLASSES,
            Self::Full => FULL.len(),
        }
    }
}

/// Pitches of the classes of [`CLASS_NAMES`]. The first of each stands for it when notes are made.
const REDUCED: [&[u8]; CLASSES] = [
    &[36, 35],
    &[38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85],
    &[42, 44, 54, 68, 69, 70, 71, 73, 78, 80, 22],
    &[46, 67, 72, 74, 79, 81, 26],
    &[45, 29, 41, 43, 61, 64, 84],
    &[48, 47, 60, 63, 77, 86, 87],
    &[50, 30, 62, 76, 83],
    &[49, 52, 55, 57, 58],
    &[51, 53, 59, 82],
];

/// Pitches of the classes of the full map.
const FULL: [u8; 61] = [
    36, 35, 38, 27, 28, 31, 32, 33, 34, 37, 39, 40, 56, 65, 66, 75, 85, 42, 44, 54, 68, 69, 70, 71,
    73, 78, 80, 46, 67, 72, 74, 79, 81, 45, 29, 41, 61, 64, 84, 48, 47, 60, 63, 77, 86, 87, 50, 30,
    43, 62, 76, 83, 49, 55, 57, 58, 51, 52, 53, 59, 82,
];

/// The class of a pitch, `None` for one that no class has.
pub(crate) fn class(map: DrumMap, pitch: u8) -> Option<usize> {
    match map {
        DrumMap::Reduced => REDUCED.iter().position(|pitches| pitches.contains(&pitch)),
        DrumMap::Full => FULL.iter().position(|of_class| *of_class == pitch),
    }
}

/// The pitch that stands for a class below the map's number of classes.
pub fn class_pitch(map: DrumMap, class: usize) -> u8 {
    match map {
        DrumMap::Reduced => REDUCED[class][0],
        DrumMap::Full => FULL[class],
    }
}

/// A row with 1 for each bit that is set, the first class first.
pub(crate) fn write_bits(bits: u64, row: &mut [f32]) {
    for (class, value) in row.iter_mut().enumerate() {
        *value = f32::from(u8::from(bits >> class & 1 == 1));
    }
}

/// The bits of a row: values above one half.
pub(crate) fn read_bits(row: &[f32]) -> u64 {
    row.iter().enumerate().map(|(class, &value)| u64::from(value > 0.5) << class).sum()
}
