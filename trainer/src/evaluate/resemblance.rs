//! Resemblance of music to other music: pitches, density, nearest neighbour.

use interlude_models::config::Config;
use interlude_models::tokens::{Tokens, to_clip};
use serde::Serialize;

use super::prior::Character;
use super::{mean, number, symbols};

/// What some windows have in common with the windows of some clips.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Resemblance {
    /// Half the sum of the differences between the shares that the twelve pitch classes, or for drums
    /// the keys, have of all notes: 0 for the same shares, 1 for none in common.
    pub pitch_distance: f64,
    /// Notes per bar.
    pub notes_per_bar: f64,
    /// Share of the notes whose pitch class makes up at least a twentieth of the clips' notes.
    pub in_scale: f64,
    /// Edit distance to the nearest of the clips' windows in shares of a window's length, mean of the
    /// windows. A window of the clips themselves is compared with the others.
    pub nearest: f64,
    /// Edit distance between two of the windows, mean of all pairs.
    pub spread: f64,
    /// Share of the windows that are unique.
    pub distinct: f64,
}

impl Resemblance {
    /// Compares windows with those of the clips; with `own` they are those of the clips.
    pub fn of(config: &Config, clips: &[Tokens], windows: &[Tokens], own: bool) -> Self {
        let steps = |windows: &[Tokens]| -> Vec<Vec<u64>> {
            windows.iter().map(|tokens| symbols(config, tokens)).collect()
        };
        let (of_clips, of_windows) = (steps(clips), steps(windows));
        let nearest = |(index, window): (usize, &Vec<u64>)| {
            let others = of_clips.iter().enumerate().filter(|(other, _)| !own || *other != index);
            others.map(|(_, clip)| distance(window, clip)).reduce(f64::min)
        };
        let mut between = Vec::new();
        for (index, a) in of_windows.iter().enumerate() {
            between.extend(of_windows[..index].iter().map(|b| distance(a, b)));
        }
        let once = |window: &&Vec<u64>| of_windows.iter().filter(|other| other == window).count();
        let unique = of_windows.iter().filter(|window| once(window) == 1).count();
        let [wanted, found] = [clips, windows].map(|windows| shares(config, windows));
        let differences = wanted.iter().zip(&found).map(|(a, b)| (a - b).abs());
        let in_scale = wanted.iter().zip(&found).filter(|(wanted, _)| **wanted >= 0.05);
        let clips: Vec<_> = windows.iter().map(|tokens| to_clip(config, tokens)).collect();
        Self {
            pitch_distance: differences.sum::<f64>() / 2.0,
            notes_per_bar: Character::of(&clips).notes_per_bar,
            in_scale: in_scale.map(|(_, found)| found).sum(),
            nearest: mean(of_windows.iter().enumerate().filter_map(nearest)),
            spread: mean(between),
            distinct: number(unique) / number(of_windows.len()).max(1.0),
        }
    }
}

/// The share of all notes that each pitch class has, and each key of the drums after those.
fn shares(config: &Config, windows: &[Tokens]) -> Vec<f64> {
    let mut counts = vec![0.0; 12 + 128];
    for note in windows.iter().flat_map(|tokens| to_clip(config, tokens).notes) {
        let place = usize::from(note.pitch);
        counts[if note.is_drum() { 12 + place.min(127) } else { place % 12 }] += 1.0;
    }
    let sum = counts.iter().sum::<f64>().max(1.0);
    counts.iter().map(|count| count / sum).collect()
}

/// The least number of symbols to insert, remove or replace that make one window the other
/// (Levenshtein 1966), in shares of the longer window's length.
pub(crate) fn distance(a: &[u64], b: &[u64]) -> f64 {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (index, x) in a.iter().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], index + 1);
        for (column, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[column + 1];
            row[column + 1] = replaced.min(corner + 1).min(row[column] + 1);
        }
    }
    number(row[b.len()]) / number(a.len().max(b.len()).max(1))
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    // Inserting, removing and replacing cost one each.
    #[test]
    fn edits_are_counted() {
        assert_eq!(distance(&[1, 2, 3, 4], &[1, 2, 3, 4]), 0.0);
        assert_eq!(distance(&[1, 2, 3, 4], &[0, 1, 2, 3]), 0.5);
        assert_eq!(distance(&[1, 2, 3, 4], &[1, 2, 5, 4]), 0.25);
        assert_eq!(distance(&[], &[7, 7]), 1.0);
    }

    // Windows of the same notes have the same shares, those of others nothing in common; a window
    // that comes twice is not distinct.
    #[test]
    fn windows_are_compared() {
        let config = config::by_name("cat-mel_2bar_small").expect("known");
        let window = |pitch: u8| Tokens::Melody([vec![pitch - 19], vec![0; 31]].concat());
        let clips = [window(60), window(64)];
        let own = Resemblance::of(&config, &clips, &clips, true);
        assert_eq!((own.pitch_distance, own.in_scale, own.notes_per_bar), (0.0, 1.0, 0.5));
        assert_eq!((own.nearest, own.spread, own.distinct), (1.0 / 32.0, 1.0 / 32.0, 1.0));
        let other = Resemblance::of(&config, &clips, &[window(61), window(61)], false);
        assert_eq!((other.pitch_distance, other.in_scale, other.distinct), (1.0, 0.0, 0.0));
    }
}
