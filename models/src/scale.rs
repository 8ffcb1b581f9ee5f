//! Scales: the pitch classes that a piece keeps to, named by a root and a kind.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// Names of the pitch classes from C up.
const NAMES: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
/// Least share of the notes that a scale must hold for music to be in it.
const IN_KEY: f64 = 0.9;

/// Names of kinds, the first being the one that is shown, and semitones above the root as bits.
const KINDS: [(&[&str], u16); 13] = [
    (&["major", "ionian", ""], steps(&[0, 2, 4, 5, 7, 9, 11])),
    (&["minor", "natural minor", "aeolian", "m"], steps(&[0, 2, 3, 5, 7, 8, 10])),
    (&["harmonic minor"], steps(&[0, 2, 3, 5, 7, 8, 11])),
    (&["melodic minor"], steps(&[0, 2, 3, 5, 7, 9, 11])),
    (&["dorian"], steps(&[0, 2, 3, 5, 7, 9, 10])),
    (&["phrygian"], steps(&[0, 1, 3, 5, 7, 8, 10])),
    (&["lydian"], steps(&[0, 2, 4, 6, 7, 9, 11])),
    (&["mixolydian"], steps(&[0, 2, 4, 5, 7, 9, 10])),
    (&["locrian"], steps(&[0, 1, 3, 5, 6, 8, 10])),
    (&["major pentatonic", "pentatonic"], steps(&[0, 2, 4, 7, 9])),
    (&["minor pentatonic"], steps(&[0, 3, 5, 7, 10])),
    (&["blues"], steps(&[0, 3, 5, 6, 7, 10])),
    (&["chromatic"], (1 << 12) - 1),
];
/// Kinds that [`Scale::of`] looks for: major, whose notes natural minor has too, and harmonic minor.
const FOUND: [usize; 2] = [0, 2];

const fn steps(list: &[u16]) -> u16 {
    let (mut bits, mut index) = (0, 0);
    while index < list.len() {
        bits |= 1 << list[index];
        index += 1;
    }
    bits
}

/// A scale: a root from 0 (C) to 11 (B), and a kind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    root: u8,
    kind: usize,
}

/// A text that names no scale.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no scale; write a note and one of {kinds}, such as `D dorian` or `Am`", kinds = kinds())]
pub struct NoScale(String);

fn kinds() -> String {
    KINDS.map(|(names, _)| names[0]).join(", ")
}

impl Scale {
    /// The major or harmonic minor scale that holds most of some MIDI pitches, the first of equally
    /// good ones; `None` if it holds less than nine tenths of them.
    pub fn of(pitches: &[u8]) -> Option<Self> {
        let held = |scale: &Self| pitches.iter().filter(|&&pitch| scale.holds(pitch)).count();
        let scales = FOUND.iter().flat_map(|&kind| (0..12).map(move |root| Self { root, kind }));
        let scale = scales.rev().max_by_key(held)?;
        #[expect(clippy::cast_precision_loss, reason = "few notes")]
        let share = held(&scale) as f64 / pitches.len() as f64;
        (share >= IN_KEY).then_some(scale)
    }

    /// Whether a MIDI pitch belongs to it, in any octave.
    pub fn holds(&self, pitch: u8) -> bool {
        KINDS[self.kind].1 >> ((pitch + 12 - self.root) % 12) & 1 == 1
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", NAMES[usize::from(self.root)], KINDS[self.kind].0[0])
    }
}

impl fmt::Debug for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scale({self})")
    }
}

impl FromStr for Scale {
    type Err = NoScale;

    /// Reads a root, with `#` or `b`, and the name of a kind: `C`, `Am`, `F# harmonic minor`.
    fn from_str(text: &str) -> Result<Self, NoScale> {
        let wrong = || NoScale(text.to_owned());
        let mut rest = text.trim().chars();
        let letter = rest.next().ok_or_else(wrong)?.to_ascii_uppercase();
        let natural = [('C', 0), ('D', 2), ('E', 4), ('F', 5), ('G', 7), ('A', 9), ('B', 11)];
        let (_, root) = natural.into_iter().find(|it| it.0 == letter).ok_or_else(wrong)?;
        let (shift, rest) = match rest.as_str() {
            rest if rest.starts_with(['#', '♯']) => (1, rest.trim_start_matches(['#', '♯'])),
            rest if rest.starts_with(['b', '♭']) && !rest.starts_with("blues") => {
                (11, rest.trim_start_matches(['b', '♭']))
            }
            rest => (0, rest),
        };
        let name = rest.trim().to_lowercase();
        let kind = KINDS.iter().position(|(names, _)| names.contains(&&*name)).ok_or_else(wrong)?;
        Ok(Self { root: (root + shift) % 12, kind })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str) -> Vec<u8> {
        let scale: Scale = text.parse().expect(text);
        (60..72).filter(|&pitch| scale.holds(pitch)).collect()
    }

    /// A name gives the notes that musicians mean by it, and is shown as it is usually written.
    #[test]
    fn names_mean_their_notes() {
        assert_eq!(held("C"), [60, 62, 64, 65, 67, 69, 71]);
        assert_eq!(held("Am"), held("C major"));
        assert_eq!(held("D dorian"), held("C"));
        assert_eq!(held("bb minor"), held("Db"));
        assert_eq!(held("F# harmonic minor"), [61, 62, 65, 66, 68, 69, 71]);
        assert_eq!(held("E blues"), [62, 64, 67, 69, 70, 71]);
        assert_eq!(held("C chromatic").len(), 12);
        assert_eq!("Gb lydian".parse::<Scale>().expect("a scale").to_string(), "F# lydian");
        for (names, _) in KINDS {
            let text = format!("G {}", names[0]);
            assert_eq!(text.parse::<Scale>().expect("a scale").to_string(), text);
        }
    }

    /// What is no scale is said so, with the kinds that there are.
    #[test]
    fn other_words_are_no_scale() {
        for text in ["", "H", "C4", "D dorain", "#", "é"] {
            let error = text.parse::<Scale>().expect_err(text).to_string();
            assert!(error.contains("dorian") && error.contains(text), "{error}");
        }
    }

    /// Notes of one key give its scale; those of all keys, and none, give no scale.
    #[test]
    fn keys_are_found() {
        assert_eq!(Scale::of(&[60, 62, 64, 65, 67, 69, 71]), "C".parse().ok());
        assert_eq!(Scale::of(&[57, 59, 60, 62, 64, 65, 68]), "A harmonic minor".parse().ok());
        assert_eq!(Scale::of(&[60, 61, 62, 63, 64, 65]), None);
        assert_eq!(Scale::of(&[]), None);
    }
}
