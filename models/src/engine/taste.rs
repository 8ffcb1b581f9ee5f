//! What a melody leans to while it is decoded: the notes of a scale, a range of pitches, common
//! intervals. It is added to the logits by way of the noise.

use crate::families::line;
use crate::scale::Scale;
use crate::tokens::Tokens;

/// Logarithm of how common an interval is in melodies, by semitones, less its mean over them all:
/// leaning to common ones then leaves the number of notes as it is. Counted in 164,000 intervals of
/// the windows that `mel-2bar` was trained on.
const INTERVALS: [f32; 13] =
    [0.70, 0.17, 0.55, -0.47, -0.74, -0.75, -3.27, -1.49, -2.55, -2.52, -3.28, -4.75, -1.73];
/// The same of all that are larger.
const LARGER: f32 = -5.3;
/// How much the logit of a note outside loses.
const OUTSIDE: f32 = 20.0;
/// How much the logit of a note within gains: as many notes are to begin as if all were free.
const WITHIN: f32 = 0.6;
/// How much common intervals count.
const INTERVAL_SHARE: f32 = 1.5;

/// What a melody leans to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Taste {
    scale: Scale,
    /// Lowest and highest pitch.
    range: [u8; 2],
    /// How much, from 0 for not at all to 1.
    strength: f32,
}

impl Taste {
    /// What lies between some melodies of one key leans to: their scale, their range, and common
    /// intervals. `None` for other music, and where no scale holds nine tenths of the notes.
    pub fn of(ends: &[&Tokens]) -> Option<Self> {
        let mut pitches = Vec::new();
        for end in ends {
            let Tokens::Melody(tokens) = end else { return None };
            pitches.extend(tokens.iter().copied().filter_map(line::pitch));
        }
        let scale = Scale::of(&pitches)?;
        let range = [*pitches.iter().min()?, *pitches.iter().max()?];
        Some(Self { scale, range, strength: 0.0 })
    }

    /// The taste at a share of the way: none at both ends, which stay what they are.
    #[must_use]
    pub fn at(self, t: f32) -> Self {
        Self { strength: (std::f32::consts::PI * t.clamp(0.0, 1.0)).sin(), ..self }
    }

    /// Adds to the noise of a step, one number for each token, what divides into logits at this
    /// temperature. `last` is the pitch before.
    pub(super) fn lean(&self, noise: &mut [f32], last: Option<u8>, temperature: f32) {
        let share = self.strength / temperature;
        for (token, noise) in (0u8..).zip(noise) {
            let Some(pitch) = line::pitch(token) else { continue };
            let in_scale = self.scale.holds(pitch);
            let in_range = (self.range[0]..=self.range[1]).contains(&pitch);
            let mut liked = if in_scale && in_range { WITHIN } else { -OUTSIDE };
            if let Some(last) = last {
                let interval = usize::from(pitch.abs_diff(last));
                liked += INTERVAL_SHARE * INTERVALS.get(interval).copied().unwrap_or(LARGER);
            }
            *noise += share * liked;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn melody(pitches: &[u8]) -> Tokens {
        let mut tokens = vec![0; 32];
        tokens.iter_mut().step_by(2).zip(pitches).for_each(|(token, pitch)| *token = pitch - 19);
        Tokens::Melody(tokens)
    }

    /// Between melodies in C major the notes of its scale and their range are free, all others are
    /// not, and repeated notes and steps gain on leaps; at the ends nothing is added.
    #[test]
    fn scale_range_and_intervals_count() {
        let (a, b) = (melody(&[60, 62, 64, 65, 67, 69, 71]), melody(&[72, 71, 69, 67]));
        let taste = Taste::of(&[&a, &b]).expect("a key");
        let added = |t: f32, last| {
            let mut noise = vec![0.0; line::VOCABULARY];
            taste.at(t).lean(&mut noise, last, 1.0);
            noise
        };
        assert_eq!(added(0.0, Some(60)), vec![0.0; line::VOCABULARY]);
        assert!(added(1.0, Some(60)).iter().all(|value| value.abs() < 1e-4));
        let free = added(0.5, None);
        let at = |noise: &[f32], pitch: usize| noise[pitch - 19];
        assert_eq!((free[0], free[1]), (0.0, 0.0));
        assert_eq!([60, 64, 72].map(|pitch| at(&free, pitch)), [WITHIN; 3]);
        assert!([59, 61, 74].iter().all(|&pitch| at(&free, pitch) < -19.0));
        let near = added(0.5, Some(64));
        assert!(at(&near, 64) > at(&near, 67) && at(&near, 67) > at(&near, 72));
    }

    /// Melodies of keys far apart, silence and drums lean to nothing.
    #[test]
    fn music_without_a_key_leans_to_nothing() {
        let (c, fis) = (melody(&[60, 62, 64, 65, 67]), melody(&[66, 68, 70, 71, 73]));
        assert_eq!(Taste::of(&[&c, &fis]), None);
        assert_eq!(Taste::of(&[&melody(&[])]), None);
        assert_eq!(Taste::of(&[&Tokens::Drums(vec![1; 32])]), None);
        assert!(Taste::of(&[&c, &c]).is_some());
    }
}
