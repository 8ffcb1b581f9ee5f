//! Layout of a window in a dataset: the columns of its steps, each an integer below a limit.

use std::ops::RangeInclusive;

use interlude_models::config::{Config, DrumMap, Scheme};
use interlude_models::tokens::{Controls, Tokens, Window};

/// The melody token of a step in which a note goes on, or none sounds.
pub const NO_EVENT: u16 = 0;
/// The melody token of a step in which a note ends.
pub const NOTE_OFF: u16 = 1;
/// Melody tokens that are pitches, the lowest and the highest included.
pub const PITCHES: RangeInclusive<u16> = 2..=89;
/// Drum classes of the reduced map, and of grooves.
pub const CLASSES: usize = 9;
/// Velocities, `0..=127`.
const VELOCITIES: u32 = 128;
/// Offsets of a groove; [`CENTRE`] is on the beat, both ends are half a step away from it.
const OFFSETS: u32 = 65_535;
/// The offset 0.
const CENTRE: f32 = 32_767.0;
/// Bits of drum classes in one column.
const WORD: usize = 16;

/// For each column of a step, its exclusive upper limit.
///
/// Melodies: the token; with chords, token and chord. Drums as one token: the token. Drums as bits:
/// the bits of the classes, 16 in a column, the first class lowest. Trios: tokens of melody, bass
/// and drums. Grooves: 9 hits (0 or 1), 9 velocities (`0..=127`), 9 offsets (0 a half step late,
/// 32767 on the beat, 65534 a half step early).
pub fn limits(config: &Config) -> Vec<u32> {
    match config.scheme {
        Scheme::Melody { .. } => vec![90],
        Scheme::MelodyChords => vec![90, 49],
        Scheme::Drums => vec![512],
        Scheme::DrumRoll(roll) => words(roll.0).map(|bits| 1 << bits).collect(),
        Scheme::Trio => vec![90, 90, 512],
        Scheme::Groove(_) => [[2; CLASSES], [VELOCITIES; CLASSES], [OFFSETS; CLASSES]].concat(),
    }
}

/// Bits in each column of a drum roll.
fn words(map: DrumMap) -> impl Iterator<Item = usize> {
    (0..map.classes()).step_by(WORD).map(move |first| (map.classes() - first).min(WORD))
}

/// The numbers of a window, step by step.
pub fn write(config: &Config, window: &Window) -> Vec<u16> {
    match &window.tokens {
        Tokens::Melody(melody) => match &window.controls {
            Some(Controls::Chords(chords)) => melody
                .iter()
                .zip(chords)
                .flat_map(|(&token, &chord)| [u16::from(token), u16::from(chord)])
                .collect(),
            _ => melody.iter().copied().map(u16::from).collect(),
        },
        Tokens::Drums(steps) => {
            let columns = limits(config).len();
            let word = |bits: u64, column: usize| {
                u16::try_from(bits >> (WORD * column) & 0xffff).expect("16 bits are left")
            };
            steps
                .iter()
                .flat_map(|&bits| (0..columns).map(move |column| word(bits, column)))
                .collect()
        }
        Tokens::Trio(steps) => steps.as_flattened().to_vec(),
        Tokens::Groove(steps) => {
            let number = |(column, &value): (usize, &f32)| match column / CLASSES {
                0 => u16::from(value > 0.5),
                1 => whole(value * 127.0),
                _ => whole((value + 1.0) * CENTRE),
            };
            steps.iter().flat_map(|step| step.iter().enumerate().map(number)).collect()
        }
    }
}

/// The nearest whole number within `u16`.
fn whole(value: f32) -> u16 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "held in range")]
    let whole = value.round().clamp(0.0, f32::from(u16::MAX)) as u16;
    whole
}

/// The window of some numbers, step by step; they are below the limits of their columns.
pub fn read(config: &Config, numbers: &[u16]) -> Window {
    let byte = |number: u16| u8::try_from(number).unwrap_or(u8::MAX);
    let mut controls = None;
    let tokens = match config.scheme {
        Scheme::Melody { .. } => Tokens::Melody(numbers.iter().copied().map(byte).collect()),
        Scheme::MelodyChords => {
            let (pairs, _) = numbers.as_chunks::<2>();
            controls = Some(Controls::Chords(pairs.iter().map(|pair| byte(pair[1])).collect()));
            Tokens::Melody(pairs.iter().map(|pair| byte(pair[0])).collect())
        }
        Scheme::Drums | Scheme::DrumRoll(_) => {
            let bits = |step: &[u16]| {
                step.iter().rev().fold(0, |bits, &word| bits << WORD | u64::from(word))
            };
            Tokens::Drums(numbers.chunks_exact(limits(config).len()).map(bits).collect())
        }
        Scheme::Trio => Tokens::Trio(numbers.as_chunks::<3>().0.to_vec()),
        Scheme::Groove(_) => {
            let value = |column: usize, number: u16| match column / CLASSES {
                0 => f32::from(number),
                1 => f32::from(number) / 127.0,
                _ => f32::from(number) / CENTRE - 1.0,
            };
            let (steps, _) = numbers.as_chunks::<{ 3 * CLASSES }>();
            Tokens::Groove(
                steps
                    .iter()
                    .map(|step| std::array::from_fn(|column| value(column, step[column])))
                    .collect(),
            )
        }
    };
    let controls = controls.or_else(|| Controls::of_tokens(config, &tokens));
    Window { tokens, controls }
}

/// Number of notes that begin in a window; with several parts, in the one with the fewest.
pub fn notes(window: &Window) -> usize {
    let bits = |bits: u64| usize::try_from(bits.count_ones()).unwrap_or(0);
    match &window.tokens {
        Tokens::Melody(melody) => {
            melody.iter().filter(|&&token| PITCHES.contains(&u16::from(token))).count()
        }
        Tokens::Drums(steps) => steps.iter().copied().map(bits).sum(),
        Tokens::Trio(steps) => {
            let pitches =
                |part: usize| steps.iter().filter(|step| PITCHES.contains(&step[part])).count();
            let hits = steps.iter().map(|step| bits(step[2].into())).sum();
            pitches(0).min(pitches(1)).min(hits)
        }
        Tokens::Groove(steps) => {
            steps.iter().flat_map(|step| &step[..CLASSES]).filter(|&&hit| hit > 0.5).count()
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

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
        let window = |tokens| Window { tokens, controls: None };
        assert_eq!(notes(&window(Tokens::Melody(vec![0, 1, 2, 50]))), 2);
        assert_eq!(notes(&window(Tokens::Drums(vec![3, 0, 4]))), 3);
        assert_eq!(notes(&window(Tokens::Trio(vec![[2, 2, 7], [3, 0, 0]]))), 1);
    }
}
