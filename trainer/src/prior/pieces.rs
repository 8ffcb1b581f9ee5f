//! Windows of a dataset in stretches as they follow each other in pieces of music, each stretch in
//! a key of its own.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use interlude_models::clip::STEPS_PER_BAR;
use interlude_models::config::Config;
use interlude_models::families::ColumnKind;
use interlude_models::tokens::Window;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::train::mixing::{move_by, room};
use interlude_dataset::layout::{self, is_pitch};
use interlude_dataset::{DatasetError, Split, Windows, store};

/// Windows of a stretch at most: those that are transposed alike.
const STRETCH: usize = 64;

/// Windows and which of them lie beside each other in a piece of music.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pieces {
    /// The windows.
    pub windows: Vec<Window>,
    /// For each the window that ends where it begins.
    pub before: Vec<Option<usize>>,
    /// For each the window that begins where it ends.
    pub after: Vec<Option<usize>>,
}

/// Takes about `count` windows of a split, or all for 0, transposed by as much as the configuration
/// says, each in up to so many different `keys`. The same seed gives the same windows.
///
/// # Errors
/// [`DatasetError`] when the dataset cannot be read or is for another model.
pub fn read(
    dataset: &Path,
    split: Split,
    config: &Config,
    (count, keys): (usize, usize),
    seed: u64,
) -> Result<Pieces, DatasetError> {
    let windows = store::read(dataset, split, config)?;
    let sources = sources(dataset, split)?;
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let mut stretches = stretches(&sources);
    let count = if count == 0 { windows.len() } else { count };
    stretches.shuffle(&mut generator);
    let mut taken = 0;
    stretches.retain(|stretch| {
        let wanted = taken < count;
        taken += if wanted { stretch.len() } else { 0 };
        wanted
    });
    stretches.sort_by_key(|stretch| stretch.start);
    let mut pieces = Pieces::default();
    for stretch in stretches {
        for semitones in transpositions(config, &windows, &stretch, keys, &mut generator) {
            pieces.add(config, &windows, stretch.clone(), semitones);
        }
    }
    Ok(pieces)
}

/// The source of every window as a number.
fn sources(dataset: &Path, split: Split) -> Result<Vec<usize>, DatasetError> {
    let mut numbers = HashMap::new();
    let mut sources = Vec::new();
    store::for_each_row(dataset, split, &mut |_, source| {
        let next = numbers.len();
        sources.push(*numbers.entry(source.to_owned()).or_insert(next));
    })?;
    Ok(sources)
}

/// Stretches of windows of the same source.
fn stretches(sources: &[usize]) -> Vec<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        match stretches.last_mut() {
            Some(last) if sources[last.start] == *source && last.len() < STRETCH => {
                last.end = index + 1;
            }
            _ => stretches.push(index..index + 1),
        }
    }
    stretches
}

/// By how many semitones a stretch is moved, in up to so many different `keys`.
fn transpositions(
    config: &Config,
    windows: &Windows,
    stretch: &Range<usize>,
    keys: usize,
    generator: &mut ChaCha8Rng,
) -> Vec<i16> {
    let rooms = stretch.clone().filter_map(|index| room(config, windows.get(index)));
    let common = rooms.reduce(|[down, up], [low, high]| [down.min(low), up.min(high)]);
    let Some([down, up]) = common else { return vec![0] };
    let mut all: Vec<i16> = (-down..=up).collect();
    let (taken, _) = all.partial_shuffle(generator, keys.max(1));
    taken.to_vec()
}

impl Pieces {
    fn add(&mut self, config: &Config, windows: &Windows, stretch: Range<usize>, semitones: i16) {
        let first = self.windows.len();
        for index in stretch.clone() {
            let mut numbers = windows.get(index).to_vec();
            move_by(config, &mut numbers, semitones);
            self.windows.push(layout::read(config, &numbers));
        }
        self.before.resize(self.windows.len(), None);
        self.after.resize(self.windows.len(), None);
        // Grooves move on by their length from window to window, all others by a bar.
        let hop = config.family().walk().overlap(config.bars()) + 1;
        for index in stretch.clone() {
            let way: Vec<usize> = (index..stretch.end).take(hop + 1).collect();
            let joined = |pair: &[usize]| {
                hop == 1 || overlap(config, windows.get(pair[0]), windows.get(pair[1]))
            };
            if way.len() > hop && way.windows(2).all(joined) {
                let (here, there) =
                    (first + index - stretch.start, first + index + hop - stretch.start);
                self.after[here] = Some(there);
                self.before[there] = Some(here);
            }
        }
    }
}

/// Whether a window is what another one is a bar later. Notes that sound on where a window begins
/// are cut off there, so only beginnings of notes are compared.
fn overlap(config: &Config, first: &[u16], second: &[u16]) -> bool {
    let columns = config.family().columns();
    let width = columns.len();
    let bar = STEPS_PER_BAR * width;
    let begins = |column: usize, number: u16| {
        let is_melody = columns[column].kind == ColumnKind::Melody;
        if is_melody && !is_pitch(number) { 0 } else { number }
    };
    first[bar..].iter().zip(second).enumerate().all(|(place, (&first, &second))| {
        begins(place % width, first) == begins(place % width, second)
    })
}

#[cfg(test)]
mod tests {
    use interlude_models::config;
    use interlude_models::tokens::Tokens;

    use super::*;

    /// Windows that a melody's bars make, with the bars' notes as tokens.
    fn write(folder: &Path, bars: &[u16], source: &str, rows: &mut Vec<(Vec<u16>, String)>) {
        let _ = folder;
        for pair in bars.windows(2) {
            let mut window = vec![0; 32];
            (window[0], window[8], window[16], window[24]) = (pair[0], 1, pair[1], pair[1] + 2);
            // Only the first window of two in a row has this end of a note.
            window[30] = 1;
            rows.push((window, source.to_owned()));
        }
    }

    fn pieces(rows: &[(Vec<u16>, String)], count: usize, transpose: u8) -> Pieces {
        let folder = tempfile::tempdir().expect("a folder");
        let rows: Vec<_> = rows.iter().map(|(window, source)| (&**window, &**source)).collect();
        store::write(folder.path(), Split::Train, 32, &rows).expect("writes");
        let mut config = config::by_name("cat-mel_2bar_small").expect("known");
        config.transpose = transpose;
        read(folder.path(), Split::Train, &config, (count, 1), 1).expect("reads")
    }

    /// The window after is the one two bars on in the same piece, if nothing is missing between.
    #[test]
    fn neighbours_are_found() {
        let mut rows = Vec::new();
        let folder = tempfile::tempdir().expect("a folder");
        let mut bar = |first: u16| {
            let mut window = vec![0; 32];
            (window[0], window[16]) = (first, first + 1);
            rows.push((window, "a".to_owned()));
        };
        // Bars 20 21 22 23 24, then a bar that does not follow.
        (20..24).for_each(&mut bar);
        bar(50);
        write(folder.path(), &[40, 41], "b", &mut rows);
        let pieces = pieces(&rows, 0, 0);
        assert_eq!(pieces.windows.len(), 6);
        assert_eq!(pieces.after, [Some(2), Some(3), None, None, None, None]);
        assert_eq!(pieces.before, [None, None, Some(0), Some(1), None, None]);
    }

    /// Windows of a stretch are transposed together and stay in range; the same seed takes the same.
    #[test]
    fn stretches_keep_their_intervals() {
        let bars: Vec<u16> = (0..40).map(|bar| 2 + bar % 7).collect();
        let mut rows = Vec::new();
        write(Path::new(""), &bars, "a", &mut rows);
        write(Path::new(""), &[60, 61, 62], "b", &mut rows);
        let moved = pieces(&rows, 0, 5);
        let first = |window: &Window| match &window.tokens {
            Tokens::Melody(tokens) => i16::from(tokens[0]),
            _ => panic!("a melody"),
        };
        let shifts: Vec<i16> = moved
            .windows
            .iter()
            .zip(&rows)
            .map(|(window, (numbers, _))| first(window) - i16::try_from(numbers[0]).expect("small"))
            .collect();
        assert!(shifts[..39].iter().all(|&shift| shift == shifts[0] && (0..=5).contains(&shift)));
        assert_eq!(shifts[39], shifts[40]);
        assert_eq!(moved, pieces(&rows, 0, 5));
        assert_eq!(pieces(&rows, 1, 5).windows.len() % 39 % 2, 0, "whole stretches are taken");
    }
}
