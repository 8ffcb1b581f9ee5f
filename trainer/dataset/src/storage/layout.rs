//! How a window lies in a dataset: the columns of its steps, whole numbers below a limit each, as the
//! family of its configuration says.

use interlude_models::config::Config;
use interlude_models::families::ColumnKind;
use interlude_models::families::line::PITCHES;
use interlude_models::tokens::Window;

/// For each column of a step, its exclusive upper limit.
///
/// Melodies: the token; with chords, token and chord. Drums as one token: the token. Drums as bits:
/// the bits of the classes, 16 in a column, the first class lowest. Trios: tokens of melody, bass
/// and drums. Grooves: hits (0 or 1), velocities (`0..=127`), offsets (0 a half step late, 32767 on
/// the beat, 65534 a half step early) of the classes.
pub fn limits(config: &Config) -> Vec<u32> {
    config.family().columns().iter().map(|column| column.limit).collect()
}

/// The numbers of a window, step by step.
pub fn write(config: &Config, window: &Window) -> Vec<u16> {
    config.family().numbers(window)
}

/// The window of some numbers, step by step; they are below the limits of their columns.
pub fn read(config: &Config, numbers: &[u16]) -> Window {
    config.family().window_of_numbers(numbers)
}

/// Number of notes that begin in a window; with several parts, in the one with the fewest.
pub fn notes(config: &Config, window: &Window) -> usize {
    config.family().notes(&window.tokens)
}

/// The columns of one kind.
pub fn of_kind(config: &Config, kind: ColumnKind) -> Vec<usize> {
    let columns = config.family().columns();
    (0..columns.len()).filter(|&column| columns[column].kind == kind).collect()
}

/// Whether a number of a melody's column is a pitch.
pub fn is_pitch(number: u16) -> bool {
    u8::try_from(number).is_ok_and(|token| PITCHES.contains(&token))
}

#[cfg(test)]
mod tests {
    use interlude_models::config;
    use interlude_models::tokens::{Controls, Tokens};

    use super::*;

    fn round_trip(name: &str, tokens: Tokens, controls: Option<Controls>) {
        let config = config::by_name(name).expect("known");
        let window = Window { tokens, controls };
        let numbers = write(&config, &window);
        let limits = limits(&config);
        assert_eq!(numbers.len(), window.tokens.len() * limits.len(), "{name}");
        for (number, limit) in numbers.iter().zip(limits.iter().cycle()) {
            assert!(u32::from(*number) < *limit, "{name}: {number} of {limit}");
        }
        assert_eq!(read(&config, &numbers), window, "{name}");
    }

    // Windows of every scheme come back from their numbers, which are below the limits.
    #[test]
    fn windows_come_back() {
        round_trip("cat-mel_2bar_small", Tokens::Melody(vec![0, 1, 89]), None);
        let chords = Some(Controls::Chords(vec![0, 48]));
        round_trip("cat-mel_2bar_med_chords", Tokens::Melody(vec![45, 0]), chords);
        round_trip("cat-drums_2bar_small", Tokens::Drums(vec![511, 0]), None);
        round_trip("nade-drums_2bar_reduced", Tokens::Drums(vec![511, 0]), None);
        let full = Tokens::Drums(vec![(1 << 61) - 1, 1 << 60, 1 << 17, 0]);
        round_trip("nade-drums_2bar_full", full, None);
        round_trip("hierdec-trio_16bar", Tokens::Trio(vec![[89, 0, 511]]), None);
        let mut step = [0.0; 27];
        (step[0], step[9], step[18]) = (1.0, 100.0 / 127.0, -1.0);
        step[26] = 1.0;
        round_trip("groovae_2bar_humanize", Tokens::Groove(vec![step]), None);
        let hits = Some(Controls::Hits(vec![1]));
        round_trip("groovae_2bar_hits_control_tfds", Tokens::Groove(vec![step]), hits);
    }

    // A trio has as many notes as its sparsest part; a melody does not count its holds and ends.
    #[test]
    fn notes_are_counted() {
        let notes = |name: &str, tokens| {
            notes(&config::by_name(name).expect("known"), &Window { tokens, controls: None })
        };
        assert_eq!(notes("cat-mel_2bar_small", Tokens::Melody(vec![0, 1, 2, 50])), 2);
        assert_eq!(notes("cat-drums_2bar_small", Tokens::Drums(vec![3, 0, 4])), 3);
        assert_eq!(notes("hierdec-trio_16bar", Tokens::Trio(vec![[2, 2, 7], [3, 0, 0]])), 1);
    }
}
