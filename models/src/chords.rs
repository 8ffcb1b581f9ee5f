//! Chords as the classes of the models, and their symbols.
//!
//! Class 0 is no chord; 1, 13, 25 and 37 begin the twelve roots from C of major, minor, augmented
//! and diminished chords.

/// Roots and their distance from C.
const LETTERS: [(char, i16); 7] =
    [('C', 0), ('D', 2), ('E', 4), ('F', 5), ('G', 7), ('A', 9), ('B', 11)];
/// Names of the roots.
const ROOTS: [&str; 12] = ["C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"];
/// What is added to a root's name, by kind.
const KINDS: [&str; 4] = ["", "m", "aug", "dim"];
/// Distances of third and fifth from those of a major chord, by kind.
const TRIADS: [(i16, i16); 4] = [(0, 0), (-1, 0), (0, 1), (-1, -1)];
/// Classes of chords: none, and each kind on each root.
pub const CLASSES: usize = 1 + ROOTS.len() * KINDS.len();

/// Spellings of chord qualities with their third and fifth, as in [`TRIADS`]. A longer spelling
/// precedes its prefixes.
const QUALITIES: [(&str, (i16, i16)); 14] = [
    ("maj", (0, 0)),
    ("min", (-1, 0)),
    ("m", (-1, 0)),
    ("M", (0, 0)),
    ("-", (-1, 0)),
    ("aug", (0, 1)),
    ("+", (0, 1)),
    ("dim", (-1, -1)),
    ("/o", (-1, -1)),
    ("o", (-1, -1)),
    ("ø", (-1, -1)),
    ("°", (-1, -1)),
    ("Δ", (0, 0)),
    ("", (0, 0)),
];

/// The class of a chord symbol such as `C`, `F#m7`, `Bbmaj7/D`, `G7(b9)`; `N.C.` is no chord.
///
/// The triad decides; sevenths, tensions and the bass do not matter. `None` for text that is no
/// chord symbol and for chords without a third (suspended ones, power chords) or with another
/// triad than the four, which the models do not know.
pub fn chord_class(symbol: &str) -> Option<u8> {
    let symbol = symbol.trim();
    if matches!(symbol, "N.C." | "NC" | "N") {
        return Some(0);
    }
    let mut letters = symbol.chars();
    let letter = letters.next()?;
    let (_, mut root) = *LETTERS.iter().find(|(name, _)| *name == letter)?;
    let mut rest = letters.as_str();
    while let Some(next) = rest.strip_prefix(['#', '♯']) {
        (root, rest) = ((root + 1) % 12, next);
    }
    while let Some(next) = rest.strip_prefix(['b', '♭']) {
        (root, rest) = ((root + 11) % 12, next);
    }
    let (prefix, (third, mut fifth)) =
        QUALITIES.into_iter().find(|(prefix, _)| rest.starts_with(prefix))?;
    rest = &rest[prefix.len()..];
    while !rest.is_empty() {
        let (length, change) = extension(rest)?;
        fifth += change;
        rest = &rest[length..];
    }
    let kind = TRIADS.iter().position(|triad| *triad == (third, fifth))?;
    u8::try_from(1 + 12 * kind + usize::try_from(root).ok()?).ok()
}

/// The length in bytes of the tensions after a quality, and by how many semitones they move the
/// fifth; `None` for what the models cannot express or what is not part of a chord symbol.
fn extension(rest: &str) -> Option<(usize, i16)> {
    let bass = rest.strip_prefix('/').filter(|bass| {
        bass.starts_with(|letter: char| LETTERS.iter().any(|(name, _)| *name == letter))
    });
    if let Some(bass) = bass {
        let accidentals = &bass[1..];
        let whole = accidentals.chars().all(|letter| matches!(letter, '#' | 'b' | '♯' | '♭'));
        return whole.then_some((rest.len(), 0));
    }
    for (text, change) in [("#5", 1), ("b5", -1), ("+5", 1), ("-5", -1)] {
        if rest.starts_with(text) {
            return Some((text.len(), change));
        }
    }
    // The power chord: a bare 5.
    if rest.starts_with('5') || rest.starts_with("sus") || rest.starts_with("no") {
        return None;
    }
    for text in ["maj", "add", "(", ")", "M", "#", "b", "/9", "Δ", ","] {
        if rest.starts_with(text) {
            return Some((text.len(), 0));
        }
    }
    for text in ["13", "11", "9", "7", "6", "4", "2"] {
        if rest.starts_with(text) {
            return Some((text.len(), 0));
        }
    }
    None
}

/// The symbol of a class: `N.C.`, `C`, `Ebm`, `F#aug`, `Bdim`; `None` from [`CLASSES`] on.
pub fn chord_symbol(class: u8) -> Option<String> {
    let Some(index) = class.checked_sub(1) else { return Some("N.C.".to_owned()) };
    let (kind, root) = (usize::from(index / 12), usize::from(index % 12));
    Some(format!("{}{}", ROOTS[root], KINDS.get(kind)?))
}

/// Moves a class by semitones; no chord stays none.
pub fn transpose_chord(chord: u8, semitones: i8) -> u8 {
    let Some(index) = chord.checked_sub(1) else { return 0 };
    let root = (i16::from(index % 12) + i16::from(semitones)).rem_euclid(12);
    1 + index / 12 * 12 + u8::try_from(root).expect("a remainder below 12")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each class has a symbol that is read as this class.
    #[test]
    fn symbols_are_read_back() {
        for class in (0..).take(CLASSES) {
            let symbol = chord_symbol(class).unwrap();
            assert_eq!(chord_class(&symbol), Some(class), "{symbol}");
        }
        assert_eq!(chord_symbol(49), None);
    }

    /// The triad decides; what has none of the four triads has no class.
    #[test]
    fn the_triad_decides() {
        let class = |symbol| chord_class(symbol);
        assert_eq!(class("Cmaj7"), Some(1));
        assert_eq!(class("F#m7/C#"), Some(13 + 6));
        assert_eq!(class("Bb7(b9)"), Some(1 + 10));
        assert_eq!(class("G7b5"), None);
        assert_eq!(class("Bm7b5"), Some(37 + 11));
        assert_eq!(class("D7#5"), Some(25 + 2));
        assert_eq!(class("Cb"), Some(1 + 11));
        assert_eq!(class("C6/9"), Some(1));
        for unknown in ["", "H", "C5", "Csus4", "c", "Cx", "C/x", "\u{1F3B5}"] {
            assert_eq!(class(unknown), None, "{unknown}");
        }
    }

    /// Transposition turns roots round and keeps kinds.
    #[test]
    fn transposition_keeps_the_kind() {
        assert_eq!(transpose_chord(12, 1), 1);
        assert_eq!(transpose_chord(13, -1), 24);
        assert_eq!(transpose_chord(0, 5), 0);
    }
}
