//! Music that windows are varied with in training: other keys, parts of other windows.

use interlude_models::chords::transpose_chord;
use interlude_models::config::Config;
use interlude_models::families::line::{self, PITCHES};
use interlude_models::families::percussion::CLASSES;
use interlude_models::families::{Column, ColumnKind};
use rand::{Rng, RngExt};

use interlude_dataset::layout::{self, is_pitch};

/// Windows are turned by multiples of so many steps: a quarter note.
const BEAT: usize = 4;
/// Steps that a part is delayed by at most: a bar less one.
const LATEST: usize = 15;
/// The melody token of a step in which a note goes on, or none sounds.
const NO_EVENT: u16 = line::NO_EVENT as u16;
/// The melody token of a step in which a note ends.
const NOTE_OFF: u16 = line::NOTE_OFF as u16;
/// The lowest and the highest pitch of melodies, as tokens.
const LOWEST: u16 = *PITCHES.start() as u16;
const HIGHEST: u16 = *PITCHES.end() as u16;
/// Semitones of an octave.
const OCTAVE: i16 = 12;

/// Columns of a window that are melodies.
fn melodies(config: &Config) -> Vec<usize> {
    layout::of_kind(config, ColumnKind::Melody)
}

/// Transposes a window, chords included, by up to the configuration's number of semitones so that
/// all pitches stay in range.
pub(crate) fn transpose(generator: &mut impl Rng, config: &Config, numbers: &mut [u16]) {
    if let Some([down, up]) = room(config, numbers) {
        move_by(config, numbers, generator.random_range(-down..=up));
    }
}

/// By how many semitones a window can be transposed down and up, as far as the configuration goes;
/// `None` where there is nothing to transpose.
pub(crate) fn room(config: &Config, numbers: &[u16]) -> Option<[i16; 2]> {
    let largest = u16::from(config.transpose);
    let columns = melodies(config);
    if largest == 0 || columns.is_empty() {
        return None;
    }
    let width = layout::limits(config).len();
    let pitches = || {
        let steps = numbers.chunks_exact(width);
        let tokens = steps.flat_map(|step| columns.iter().map(|&column| step[column]));
        tokens.filter(|&token| is_pitch(token))
    };
    let (lowest, highest) = (pitches().min()?, pitches().max()?);
    let down = i16::try_from(largest.min(lowest - LOWEST)).unwrap_or(0);
    let up = i16::try_from(largest.min(HIGHEST - highest)).unwrap_or(0);
    Some([down, up])
}

/// Moves the pitches and chords of a window by some semitones, for which there is [`room`].
pub(crate) fn move_by(config: &Config, numbers: &mut [u16], semitones: i16) {
    let width = layout::limits(config).len();
    for column in melodies(config) {
        shift(numbers, Part { width, column }, semitones);
    }
    for column in layout::of_kind(config, ColumnKind::Chord) {
        for number in numbers.iter_mut().skip(column).step_by(width) {
            let chord = u8::try_from(*number).unwrap_or(0);
            let semitones = i8::try_from(semitones).unwrap_or(0);
            *number = u16::from(transpose_chord(chord, semitones));
        }
    }
}

/// The column of a window whose bits are drums.
fn drums(config: &Config) -> Option<usize> {
    layout::of_kind(config, ColumnKind::Drums).first().copied()
}

/// The hits of a step, each played on the drum some `places` further on.
fn other_drums(hits: u16, places: usize) -> u16 {
    let all = (1 << CLASSES) - 1;
    ((hits << places) | (hits >> (CLASSES - places))) & all
}

/// Varies a window that another one is to get parts of, so that a model hears more kinds of music than
/// the data has. Drums and grooves of their own are turned by whole beats; half of the time all drums
/// but grooves' are played on other ones. In a quarter of trios melody and bass change places. Each
/// melody or bass is moved by octaves; in half of them half of the notes go elsewhere, in a third all
/// long notes are cut short. Half of the time each part but grooves is played twice or four times as
/// fast, again and again; in a third a part of a trio, or a melody, begins some steps later.
pub(crate) fn vary(generator: &mut impl Rng, config: &Config, numbers: &mut [u16], steps: usize) {
    let width = numbers.len() / steps;
    let (tuneful, drums) = (melodies(config), drums(config));
    if tuneful.is_empty() {
        let turn = BEAT * generator.random_range(0..steps.div_ceil(BEAT));
        numbers.rotate_left(turn * width);
    }
    if let Some(column) = drums
        && generator.random()
    {
        let places = generator.random_range(1..CLASSES);
        for hits in numbers.iter_mut().skip(column).step_by(width) {
            *hits = other_drums(*hits, places);
        }
    }
    if let [one, other] = tuneful[..]
        && generator.random_range(0..4) == 0
    {
        numbers.chunks_exact_mut(width).for_each(|step| step.swap(one, other));
    }
    for &column in &tuneful {
        let part = Part { width, column };
        shift(numbers, part, OCTAVE * generator.random_range(-2..=2));
        if generator.random() {
            scatter(generator, numbers, part);
        }
        if generator.random_range(0..3) == 0 {
            shorten(numbers, part, generator.random_range(1..BEAT));
        }
    }
    if !layout::of_kind(config, ColumnKind::Hit).is_empty() {
        return;
    }
    for column in 0..width {
        if generator.random() {
            let factor = 1 << generator.random_range(1..=2);
            hasten(numbers, Part { width, column }, factor, drums == Some(column));
        }
        if !tuneful.is_empty() && generator.random_range(0..3) == 0 {
            delay(numbers, Part { width, column }, generator.random_range(1..=LATEST.min(steps)));
        }
    }
}

/// A column of a window: one number in each step.
#[derive(Clone, Copy)]
struct Part {
    /// Numbers of a step.
    width: usize,
    /// Which of them, from 0.
    column: usize,
}

impl Part {
    fn of(self, numbers: &[u16]) -> impl Iterator<Item = &u16> {
        numbers.iter().skip(self.column).step_by(self.width)
    }

    fn of_mut(self, numbers: &mut [u16]) -> impl Iterator<Item = &mut u16> {
        numbers.iter_mut().skip(self.column).step_by(self.width)
    }
}

/// Turns a column so that it begins `later` steps later, where its end comes first.
fn delay(numbers: &mut [u16], part: Part, later: usize) {
    let mut turned: Vec<u16> = part.of(numbers).copied().collect();
    turned.rotate_right(later);
    part.of_mut(numbers).zip(turned).for_each(|(place, token)| *place = token);
}

/// Moves the pitches of a column by semitones, if all of them stay in range.
fn shift(numbers: &mut [u16], part: Part, semitones: i16) {
    let moved = |token: u16| token.checked_add_signed(semitones).filter(|new| is_pitch(*new));
    if part.of(numbers).all(|token| !is_pitch(*token) || moved(*token).is_some()) {
        for token in part.of_mut(numbers) {
            if is_pitch(*token) {
                *token = moved(*token).unwrap_or(*token);
            }
        }
    }
}

/// Moves half of the notes of a column by up to an octave, each by another interval: lines of leaps,
/// whose notes cannot be guessed from those before.
fn scatter(generator: &mut impl Rng, numbers: &mut [u16], part: Part) {
    for token in part.of_mut(numbers) {
        if is_pitch(*token) && generator.random() {
            let moved = token.saturating_add_signed(generator.random_range(-OCTAVE..=OCTAVE));
            *token = moved.clamp(LOWEST, HIGHEST);
        }
    }
}

/// Ends the notes of a column that are longer than so many steps after these.
fn shorten(numbers: &mut [u16], part: Part, longest: usize) {
    let mut held = 0;
    for token in part.of_mut(numbers) {
        match *token {
            NO_EVENT if held == longest => (*token, held) = (NOTE_OFF, 0),
            NO_EVENT => held += usize::from(held > 0),
            NOTE_OFF => held = 0,
            _ => held = 1,
        }
    }
}

/// Plays a column so many times as fast, from the beginning again where it ends. Of the steps that
/// become one, hits sound together, and of a melody the highest.
fn hasten(numbers: &mut [u16], part: Part, factor: usize, hits: bool) {
    let old: Vec<u16> = part.of(numbers).copied().collect();
    let joined = |a: u16, &b: &u16| if hits { a | b } else { a.max(b) };
    let fast = old.chunks(factor).map(|steps| steps.iter().fold(0, joined));
    let fast: Vec<u16> = fast.collect();
    let places = part.of_mut(numbers);
    places.zip(fast.iter().cycle()).for_each(|(place, &token)| *place = token);
}

/// Takes the instruments that are set in `mask` from another window: rhythms that drummers could as
/// well have played, from data that is small. Of a trio the lowest two bits are melody and bass, so
/// that the code of a part cannot be guessed from the others'. A melody is taken whole.
pub(crate) fn mix(config: &Config, numbers: &mut [u16], other: &[u16], mask: u16) {
    let take = |token: &mut u16, other: u16, mask: u16| *token = (*token & !mask) | (other & mask);
    let columns = config.family().columns();
    if let [Column { kind: ColumnKind::Melody, .. }] = columns[..] {
        numbers.copy_from_slice(other);
        return;
    }
    let all = |bit: usize| if mask >> bit & 1 == 1 { u16::MAX } else { 0 };
    let tuneful = melodies(config).len();
    let mask_of = |(index, column): (usize, &Column)| match column.kind {
        ColumnKind::Melody | ColumnKind::Chord => all(index),
        ColumnKind::Drums => mask >> tuneful,
        // Hits, velocities and offsets have a column for each class.
        ColumnKind::Hit | ColumnKind::Value => all(index % CLASSES),
    };
    let masks: Vec<u16> = columns.iter().enumerate().map(mask_of).collect();
    for ((token, &other), &mask) in numbers.iter_mut().zip(other).zip(masks.iter().cycle()) {
        take(token, other, mask);
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    // A part that is hastened plays all of its notes twice or four times as fast, and again, one that is
    // delayed all of them later; other parts stay, and octaves are only moved where all pitches stay in
    // range.
    #[test]
    fn trios_are_varied() {
        let window = [[40, 20, 1], [0, 0, 2], [44, 1, 4], [1, 30, 0]].concat();
        let mut fast = window.clone();
        hasten(&mut fast, Part { width: 3, column: 0 }, 2, false);
        hasten(&mut fast, Part { width: 3, column: 2 }, 4, true);
        assert_eq!(fast, [[40, 20, 7], [44, 0, 7], [40, 1, 7], [44, 30, 7]].concat());
        let mut high = window.clone();
        shift(&mut high, Part { width: 3, column: 1 }, OCTAVE);
        assert_eq!(high, [[40, 32, 1], [0, 0, 2], [44, 1, 4], [1, 42, 0]].concat());
        shift(&mut high, Part { width: 3, column: 0 }, -39);
        assert_eq!(high[0], 40, "1 is no pitch");
        let mut late = window;
        delay(&mut late, Part { width: 3, column: 2 }, 1);
        assert_eq!(late, [[40, 20, 0], [0, 0, 1], [44, 1, 2], [1, 30, 4]].concat());
    }

    // Notes that are longer than allowed end after so many steps; shorter ones, ends and rests stay.
    #[test]
    fn notes_are_shortened() {
        let mut part = vec![0, 40, 0, 0, 0, 41, 0, 42, 0, 0, 1, 0, 0, 43, 1];
        shorten(&mut part, Part { width: 1, column: 0 }, 2);
        assert_eq!(part, [0, 40, 0, 1, 0, 41, 0, 42, 0, 1, 1, 0, 0, 43, 1]);
        let mut trio = [[40, 20, 1], [0, 0, 2], [0, 0, 4]].concat();
        shorten(&mut trio, Part { width: 3, column: 1 }, 1);
        assert_eq!(trio, [[40, 20, 1], [0, 1, 2], [0, 0, 4]].concat());
    }

    // Scattered notes stay where they are in time, within an octave and in range; nothing else moves.
    #[test]
    fn notes_are_scattered() {
        let window: Vec<u16> = (0..300).map(|number| [0, 1, 3, 45, 88][number % 5]).collect();
        let mut scattered = window.clone();
        scatter(&mut ChaCha8Rng::seed_from_u64(1), &mut scattered, Part { width: 3, column: 1 });
        let mut moved = 0;
        for (place, (&old, &new)) in window.iter().zip(&scattered).enumerate() {
            let note = place % 3 == 1 && is_pitch(old);
            assert!(old == new || note, "{old} at {place} became {new}");
            assert!(old.abs_diff(new) <= 12 && (old == new || is_pitch(new)), "{new}");
            moved += usize::from(old != new);
        }
        assert!((20..40).contains(&moved), "{moved} of 60");
    }

    // A rhythm goes to the drum so many places further on, round the nine.
    #[test]
    fn drums_go_round() {
        assert_eq!(other_drums(0b1_0000_0011, 1), 0b0_0000_0111);
        assert_eq!(other_drums(0b0_0000_0011, 8), 0b1_0000_0001);
    }

    // A mixed trio has melody, bass and each drum whole, from one of two windows.
    #[test]
    fn parts_of_trios_are_mixed_whole() {
        let config = config::by_name("hierdec-trio_16bar").expect("known");
        let steps = |window: [[u16; 3]; 2]| window.as_flattened().to_vec();
        let mut mixed = steps([[60, 30, 0b011], [0, 0, 0b100]]);
        let other = steps([[70, 0, 0b101], [1, 31, 0b010]]);
        mix(&config, &mut mixed, &other, 0b0000_0001_0000_1010);
        assert_eq!(mixed, steps([[60, 0, 0b001], [0, 31, 0b110]]));
        mix(&config, &mut mixed, &other, u16::MAX);
        assert_eq!(mixed, other);
    }

    // So has a mixed groove, with velocity and offset as they were beside each hit.
    #[test]
    fn instruments_of_grooves_are_mixed_whole() {
        let config = config::by_name("groovae_2bar_hits_control_tfds").expect("known");
        let window = |number: u16| -> Vec<u16> {
            let step = |step: u16| [[1; 9], [number; 9], [1000 * number + step; 9]].concat();
            (0..8).flat_map(step).collect()
        };
        let (a, b) = (window(30), window(60));
        let mut mixed = a.clone();
        mix(&config, &mut mixed, &b, 0b1_0000_0001);
        for (step, numbers) in mixed.chunks_exact(27).enumerate() {
            for (column, number) in numbers.iter().enumerate() {
                let from = if [0, 8].contains(&(column % 9)) { &b } else { &a };
                assert_eq!(*number, from[27 * step + column], "step {step}, column {column}");
            }
        }
    }
}
