//! Chord progressions as text: chord names, or Roman numerals in a key.

use thiserror::Error;

/// Semitones of the degrees of a major scale.
const MAJOR_SCALE: [u8; 7] = [0, 2, 4, 5, 7, 9, 11];
/// Semitones of the degrees of a natural minor scale.
const MINOR_SCALE: [u8; 7] = [0, 2, 3, 5, 7, 8, 10];

/// Why a progression cannot be read.
#[derive(Debug, Error, PartialEq)]
pub enum ChordError {
    /// Not a chord that the models know.
    #[error(
        "`{text}` is no chord that the models know; there are major, minor, augmented and \
         diminished ones, such as C, F#m, Bbaug, Gdim7, or I, vi, V7 with --key, and N.C. for none"
    )]
    Chord {
        /// The text.
        text: String,
    },
    /// Not a key.
    #[error("`{text}` is no key; write C, F# or Bb for major keys, Am or C#m for minor ones")]
    Key {
        /// The text.
        text: String,
    },
    /// More chords than steps, or none.
    #[error("a progression has 1 to {steps} chords for this model, this one has {found}")]
    Count {
        /// Steps of the model's window.
        steps: usize,
        /// Chords given.
        found: usize,
    },
}

/// The chord of each of `steps` steps, numbered as
/// [`Controls::Chords`](interlude_models::tokens::Controls::Chords) says, from chords separated by
/// commas or spaces. All last equally long; with a number of chords that does not divide the steps,
/// step `s` has chord `⌊s · chords / steps⌋`.
///
/// # Errors
/// [`ChordError`] names the chord or key.
pub fn progression(text: &str, key: Option<&str>, steps: usize) -> Result<Vec<u8>, ChordError> {
    let key = key.map(parse_key).transpose()?;
    let chords = text
        .split([',', ' '])
        .filter(|chord| !chord.is_empty())
        .map(|chord| parse_chord(chord, key))
        .collect::<Result<Vec<_>, _>>()?;
    if chords.is_empty() || chords.len() > steps {
        return Err(ChordError::Count { steps, found: chords.len() });
    }
    Ok((0..steps).map(|step| chords[step * chords.len() / steps]).collect())
}

/// A key: its root and the scale of its degrees.
type Key = (u8, [u8; 7]);

fn parse_key(text: &str) -> Result<Key, ChordError> {
    let failed = || ChordError::Key { text: text.to_owned() };
    let (root, rest) = parse_root(text).ok_or_else(failed)?;
    match rest.trim() {
        "" | "maj" | "major" => Ok((root, MAJOR_SCALE)),
        "m" | "min" | "minor" => Ok((root, MINOR_SCALE)),
        _ => Err(failed()),
    }
}

fn parse_chord(text: &str, key: Option<Key>) -> Result<u8, ChordError> {
    if matches!(text, "N.C." | "NC" | "N.C") {
        return Ok(0);
    }
    let chord = parse_root(text)
        .and_then(|(root, quality)| Some((root, kind(quality)?)))
        .or_else(|| parse_numeral(text, key?));
    match chord {
        Some((root, kind)) => Ok(1 + 12 * kind + root),
        None => Err(ChordError::Chord { text: text.to_owned() }),
    }
}

/// A root such as `F#` and what follows it.
fn parse_root(text: &str) -> Option<(u8, &str)> {
    let mut letters = text.chars();
    let natural = match letters.next()? {
        'C' => 0,
        'D' => 2,
        'E' => 4,
        'F' => 5,
        'G' => 7,
        'A' => 9,
        'B' => 11,
        _ => return None,
    };
    let (shift, rest) = accidentals(letters.as_str());
    Some(((natural + shift) % 12, rest))
}

/// Semitones of leading sharps and flats, and what follows.
fn accidentals(text: &str) -> (u8, &str) {
    let mut shift = 0;
    let mut rest = text;
    loop {
        if let Some(after) = rest.strip_prefix(['#', '♯']) {
            (shift, rest) = ((shift + 1) % 12, after);
        } else if let Some(after) = rest.strip_prefix(['b', '♭']) {
            (shift, rest) = ((shift + 11) % 12, after);
        } else {
            return (shift, rest);
        }
    }
}

/// 0 major, 1 minor, 2 augmented, 3 diminished; the triad below any seventh or higher note counts.
fn kind(quality: &str) -> Option<u8> {
    let triad = quality.split_once('/').map_or(quality, |(triad, _bass)| triad);
    Some(match triad {
        "" | "M" | "maj" | "major" | "6" | "7" | "9" | "11" | "13" | "M7" | "maj7" | "maj9"
        | "Δ" | "Δ7" | "add9" | "69" | "6/9" => 0,
        "m" | "min" | "minor" | "-" | "m6" | "m7" | "m9" | "m11" | "m13" | "min7" | "-7"
        | "mM7" | "mmaj7" | "madd9" => 1,
        "+" | "aug" | "+7" | "aug7" | "7#5" | "maj7#5" => 2,
        "o" | "°" | "dim" | "o7" | "°7" | "dim7" | "ø" | "ø7" | "m7b5" => 3,
        _ => return None,
    })
}

/// A degree such as `bVII` or `ii`: capitals are major, small letters minor.
fn parse_numeral(text: &str, (root, scale): Key) -> Option<(u8, u8)> {
    let (shift, rest) = accidentals(text);
    let end = rest.find(|letter: char| !"IViv".contains(letter)).unwrap_or(rest.len());
    let (numeral, quality) = rest.split_at(end);
    let degrees = ["I", "II", "III", "IV", "V", "VI", "VII"];
    let degree = degrees.iter().position(|name| numeral.eq_ignore_ascii_case(name))?;
    let is_major = numeral == degrees[degree];
    if !is_major && numeral != degrees[degree].to_lowercase() {
        return None;
    }
    let kind = match (kind(quality)?, is_major) {
        // A seventh above a small numeral leaves it minor.
        (0, false) => 1,
        (kind, _) => kind,
    };
    Some(((root + scale[degree] + shift) % 12, kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chord(text: &str, key: Option<&str>) -> Result<u8, ChordError> {
        progression(text, key, 1).map(|chords| chords[0])
    }

    // Names mean root and triad, numbered in fours of twelve from C.
    #[test]
    fn names_are_read() {
        for (text, expected) in [
            ("N.C.", 0),
            ("C", 1),
            ("B", 12),
            ("Cb", 12),
            ("C#m", 14),
            ("Dbm7", 14),
            ("Bb", 11),
            ("F#7", 7),
            ("Gmaj7/B", 8),
            ("Caug", 25),
            ("E+", 29),
            ("Bdim", 48),
            ("Cm7b5", 37),
        ] {
            assert_eq!(chord(text, None), Ok(expected), "{text}");
        }
    }

    // Roman numerals are degrees of the key's scale.
    #[test]
    fn numerals_are_read() {
        for (text, key, expected) in [
            ("I", "C", 1),
            ("vi", "C", 22),
            ("V7", "G", 3),
            ("ii7", "C", 15),
            ("viio", "C", 48),
            ("bVII", "C", 11),
            ("i", "Am", 22),
            ("VI", "A minor", 6),
            ("III+", "C", 29),
            ("Am", "C", 22),
        ] {
            assert_eq!(chord(text, Some(key)), Ok(expected), "{text} in {key}");
        }
    }

    // What is no chord or key is named; numerals need a key.
    #[test]
    fn other_text_is_refused() {
        for text in ["H", "Csus4", "C5", "I", "Cx", "iIi", "c"] {
            let message = chord(text, None).expect_err(text).to_string();
            assert!(message.contains(text), "{message}");
        }
        assert!(chord("IX", Some("C")).is_err());
        assert!(matches!(chord("I", Some("X")), Err(ChordError::Key { .. })));
        assert!(matches!(progression("", None, 4), Err(ChordError::Count { found: 0, .. })));
        assert!(matches!(progression("C C C", None, 2), Err(ChordError::Count { found: 3, .. })));
    }

    // Chords share the steps evenly, in order.
    #[test]
    fn chords_share_the_steps() {
        assert_eq!(progression("C, D", None, 4), Ok(vec![1, 1, 3, 3]));
        assert_eq!(progression("C D E", None, 5), Ok(vec![1, 1, 3, 3, 5]));
    }
}
