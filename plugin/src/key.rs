//! The key that generated notes keep to: free, that of the clips, or a chosen one.

use interlude_models::scale::Scale;

/// The choices, in the order of the parameter's values. All but the first two name a scale.
pub const KEYS: [&str; 26] = [
    "Free",
    "As the clips",
    "C major",
    "C# major",
    "D major",
    "Eb major",
    "E major",
    "F major",
    "F# major",
    "G major",
    "Ab major",
    "A major",
    "Bb major",
    "B major",
    "C minor",
    "C# minor",
    "D minor",
    "Eb minor",
    "E minor",
    "F minor",
    "F# minor",
    "G minor",
    "Ab minor",
    "A minor",
    "Bb minor",
    "B minor",
];

/// A choice: a position in [`KEYS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key(usize);

impl Key {
    /// Notes are free.
    pub const FREE: Self = Self(0);
    /// Between clips of one key, notes lean to it and to their range.
    pub const CLIPS: Self = Self(1);

    /// The choice at a position; free for one that is not there.
    pub fn at(index: usize) -> Self {
        if index < KEYS.len() { Self(index) } else { Self::FREE }
    }

    /// Its position.
    pub const fn index(self) -> usize {
        self.0
    }

    /// The scale that all notes keep to, if one was chosen.
    pub fn scale(self) -> Option<Scale> {
        KEYS[self.0].parse().ok().filter(|_| self.0 > Self::CLIPS.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every choice but the first two is a scale of that name.
    #[test]
    fn choices_are_scales() {
        for (index, name) in KEYS.into_iter().enumerate() {
            let scale = Key::at(index).scale().map(|scale| scale.to_string());
            assert_eq!(scale.as_deref(), (index > 1).then_some(name));
        }
        assert_eq!(Key::at(KEYS.len()), Key::FREE);
    }
}
