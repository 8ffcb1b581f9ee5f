//! Holds windows out for validation and test where no file was assigned to them, as happens with
//! few files.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use interlude_models::config::Config;

use super::description::{Description, describe};
use super::splits::hash;
use crate::{DatasetError, Split, Windows, names, store};

/// Minimum number of files of which one can be held out.
const LEAST_FILES: usize = 4;
/// One file of this many is held out.
const FILES: usize = 20;
/// One of this many consecutive windows is held out, at the end of a file.
const PASSAGE: usize = 10;

/// What decides which windows are held out.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// Seed of the split.
    pub(crate) seed: u64,
    /// Sources of the files.
    pub(crate) sources: Vec<PathBuf>,
    /// Windows after a window that share bars with it.
    pub(crate) overlap: usize,
    /// Whether a table says which files are for what: then training gives windows for validation
    /// only.
    pub(crate) listed: bool,
}

impl Rule {
    /// That of a dataset.
    pub(crate) fn of(description: &Description, config: &Config) -> Self {
        Self {
            seed: description.seed,
            sources: description.paths(),
            overlap: overlap(config),
            listed: description.listed,
        }
    }

    /// Fills empty splits: training with all windows, then validation and test with some of
    /// training. Returns a remark on what it did.
    pub(crate) fn fill<T>(
        &self,
        splits: &mut BTreeMap<Split, Vec<T>>,
        source: impl Fn(&T) -> &str,
    ) -> Vec<String> {
        let mut notes = Vec::new();
        let mut train = splits.remove(&Split::Train).unwrap_or_default();
        if train.is_empty() && !self.listed {
            for rows in splits.values_mut() {
                train.append(rows);
            }
            train.sort_by(|a, b| source(a).cmp(source(b)));
            if !train.is_empty() {
                notes.push("no file fell to training, so all are for it".to_owned());
            }
        }
        let wanted = if self.listed { &[Split::Validation][..] } else { &Split::ALL[1..] };
        for &split in wanted {
            let rows = splits.entry(split).or_default();
            if rows.is_empty() && !train.is_empty() {
                let (kept, held, note) = self.hold_out(train, &source, split);
                (train, *rows) = (kept, held);
                notes.push(note);
            }
        }
        splits.insert(Split::Train, train);
        notes
    }

    /// Partitions rows into those that stay and those that are held out, with a remark.
    fn hold_out<T>(
        &self,
        rows: Vec<T>,
        source: impl Fn(&T) -> &str,
        split: Split,
    ) -> (Vec<T>, Vec<T>, String) {
        let name = split.name();
        let fates = {
            let sources: Vec<&str> = rows.iter().map(&source).collect();
            self.fates(&sources)
        };
        let Some((fates, files)) = fates else {
            let note = format!("there is too little music to hold any out for {name}");
            return (rows, Vec::new(), note);
        };
        let (mut kept, mut held, mut left_out) = (Vec::new(), Vec::new(), 0);
        for (row, fate) in rows.into_iter().zip(fates) {
            match fate {
                Fate::Stays => kept.push(row),
                Fate::HeldOut => held.push(row),
                Fate::LeftOut => left_out += 1,
            }
        }
        let windows = counted(held.len(), "window");
        let note = match files {
            Some(files) => {
                let are = if files.len() == 1 { "is" } else { "are" };
                let files: Vec<String> = files.iter().map(|file| format!("`{file}`")).collect();
                format!("no file fell to {name}: {} ({windows}) {are} for it", files.join(", "))
            }
            None => {
                let beside = match left_out {
                    0 => String::new(),
                    count => format!(", and {} before them left out", counted(count, "window")),
                };
                format!(
                    "no file fell to {name}, and there are too few to spare one: {windows} from the \
                     ends of files are for it{beside}"
                )
            }
        };
        (kept, held, note)
    }

    /// What becomes of rows with such sources, and which files are held out where it is whole ones.
    /// `None` when nothing can be spared.
    fn fates(&self, sources: &[&str]) -> Option<(Vec<Fate>, Option<Vec<String>>)> {
        let mut files: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, source) in sources.iter().enumerate() {
            files.entry(source).or_default().push(index);
        }
        let mut order: Vec<&str> = files.keys().copied().collect();
        order.sort_by_key(|file| (hash(&names::below(file, &self.sources), self.seed), *file));
        let mut fates = vec![Fate::Stays; sources.len()];
        // Neither the greater part of the music, nor next to nothing.
        let (total, count) = (sources.len(), files.len());
        let fits = |file: &&&str| {
            let windows = files[**file].len();
            windows * LEAST_FILES <= total && windows * LEAST_FILES * count >= total
        };
        let chosen: Vec<&str> =
            order.iter().filter(fits).take(count.div_ceil(FILES)).copied().collect();
        if count >= LEAST_FILES && !chosen.is_empty() {
            for index in chosen.iter().flat_map(|file| &files[file]) {
                fates[*index] = Fate::HeldOut;
            }
            let chosen = chosen.into_iter().map(str::to_owned).collect();
            return Some((fates, Some(chosen)));
        }
        let mut ends: Vec<(&Vec<usize>, usize)> =
            order.iter().map(|file| (&files[file], files[file].len() / PASSAGE)).collect();
        if ends.iter().all(|(_, end)| *end == 0) {
            // One window, of the longest file, or of any when all have one.
            let (rows, end) = ends.iter_mut().max_by_key(|(rows, _)| rows.len())?;
            if rows.len() == 1 && count == 1 {
                return None;
            }
            *end = 1;
        }
        for (rows, end) in ends {
            let first = rows.len() - end;
            let before = if end == 0 { 0 } else { self.overlap.min(first / 4) };
            for &index in &rows[first - before..first] {
                fates[index] = Fate::LeftOut;
            }
            for &index in &rows[first..] {
                fates[index] = Fate::HeldOut;
            }
        }
        Some((fates, None))
    }
}

/// What becomes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Stays,
    HeldOut,
    /// It shares bars with one that is held out.
    LeftOut,
}

/// Windows after a window that share bars with it, when they move on by a bar.
pub(crate) fn overlap(config: &Config) -> usize {
    config.family().walk().overlap(config.bars())
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Windows to train on, and those that tell how training goes.
#[derive(Debug)]
pub struct Halves {
    /// For training.
    pub train: Windows,
    /// For validation; empty when there is too little music.
    pub validation: Windows,
    /// Remarks about them, for the user.
    pub note: Option<String>,
}

/// Reads a dataset to train on. Where it has no window for validation, some of those for training
/// are held out.
///
/// # Errors
/// [`DatasetError`] when it has no window to train on, or a file is missing, damaged, or for other
/// models.
pub fn read(dataset: &Path, config: &Config) -> Result<Halves, DatasetError> {
    let train = some(dataset, config)?;
    let validation = store::read(dataset, Split::Validation, config)?;
    if !validation.is_empty() {
        return Ok(Halves { train, validation, note: None });
    }
    let mut sources = Vec::with_capacity(train.len());
    store::for_each_row(dataset, Split::Train, &mut |_, source| sources.push(source.to_owned()))?;
    let rule = match describe(dataset) {
        Ok(description) => Rule::of(&description, config),
        Err(_) => Rule { seed: 1, sources: Vec::new(), overlap: overlap(config), listed: false },
    };
    let rows: Vec<(usize, String)> = sources.into_iter().enumerate().collect();
    let (kept, held, note) = rule.hold_out(rows, |row| &row.1, Split::Validation);
    let take = |rows: &[(usize, String)]| {
        let mut windows = Windows::new(train.steps(), train.width());
        rows.iter().for_each(|(index, _)| windows.push(train.get(*index)));
        windows
    };
    Ok(Halves { train: take(&kept), validation: take(&held), note: Some(note) })
}

/// Windows to learn from without those that are held out. A folder with no file for validation holds
/// none out. There is at least one window.
///
/// # Errors
/// As those of [`read`].
pub fn train(dataset: &Path, config: &Config) -> Result<Windows, DatasetError> {
    if store::path(dataset, Split::Validation).exists() {
        return Ok(read(dataset, config)?.train);
    }
    some(dataset, config)
}

/// The training split, which has a window at least.
fn some(dataset: &Path, config: &Config) -> Result<Windows, DatasetError> {
    let windows = store::read(dataset, Split::Train, config)?;
    if windows.is_empty() {
        let (dataset, counts) = (dataset.to_owned(), store::counted(dataset));
        return Err(DatasetError::NothingToTrain { dataset, counts });
    }
    Ok(windows)
}

/// Number of different sources.
pub(crate) fn files<'a>(sources: impl Iterator<Item = &'a str>) -> usize {
    sources.collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(listed: bool) -> Rule {
        Rule { seed: 1, sources: vec![PathBuf::from("x")], overlap: 1, listed }
    }

    /// Rows of files with so many windows each, all for one split.
    fn rows(split: Split, files: &[usize]) -> BTreeMap<Split, Vec<(String, usize)>> {
        let of = |(file, &count): (usize, &usize)| {
            (0..count).map(move |window| (format!("x/{file:02}.mid"), window))
        };
        BTreeMap::from([(split, files.iter().enumerate().flat_map(of).collect())])
    }

    fn fill(
        mut splits: BTreeMap<Split, Vec<(String, usize)>>,
        listed: bool,
    ) -> ([Vec<(String, usize)>; 3], Vec<String>) {
        let notes = rule(listed).fill(&mut splits, |row| &row.0);
        (Split::ALL.map(|split| splits.remove(&split).unwrap_or_default()), notes)
    }

    // Ten files give one to validation and one to test, whole, and it is told which.
    #[test]
    fn files_are_held_out_whole() {
        let ([train, validation, test], notes) = fill(rows(Split::Train, &[5; 10]), false);
        assert_eq!([train.len(), validation.len(), test.len()], [40, 5, 5]);
        for (held, note) in [&validation, &test].into_iter().zip(&notes) {
            assert!(held.iter().all(|row| row.0 == held[0].0));
            assert!(!train.iter().any(|row| row.0 == held[0].0));
            assert!(note.contains(&held[0].0) && note.contains("5 windows"), "{note}");
        }
        // No file that is most of the music, and none that is next to nothing.
        let ([train, validation, _], _) = fill(rows(Split::Train, &[90, 1, 10, 10]), false);
        assert_eq!(validation.len(), 10);
        assert!(train.iter().any(|row| row.0 == "x/01.mid"));
    }

    // Few files give passages from their ends, with a window left out between; one window gives none.
    #[test]
    fn passages_are_held_out_of_few_files() {
        let ([train, validation, test], notes) = fill(rows(Split::Train, &[30, 4]), false);
        assert_eq!(validation, [27, 28, 29].map(|window| ("x/00.mid".to_owned(), window)));
        assert!(!train.contains(&("x/00.mid".to_owned(), 26)));
        assert_eq!((train.len(), test.len()), (34 - 4 - 3, 2));
        assert!(
            notes[0].contains("3 windows") && notes[0].contains("1 window before"),
            "{notes:?}"
        );
        let ([train, validation, test], _) = fill(rows(Split::Train, &[1, 1, 1]), false);
        assert_eq!([train.len(), validation.len(), test.len()], [1, 1, 1]);
        let ([train, validation, _], notes) = fill(rows(Split::Train, &[1]), false);
        assert_eq!([train.len(), validation.len()], [1, 0]);
        assert!(notes[0].contains("too little music"), "{notes:?}");
    }

    // When all files fell to test, they are for training; where a table says so, they stay.
    #[test]
    fn training_comes_first() {
        let ([train, validation, test], notes) = fill(rows(Split::Test, &[5; 5]), false);
        assert_eq!([train.len(), validation.len(), test.len()], [15, 5, 5]);
        assert_eq!(notes.len(), 3);
        let ([train, _, test], notes) = fill(rows(Split::Test, &[5; 5]), true);
        assert_eq!([train.len(), test.len(), notes.len()], [0, 25, 0]);
        let ([train, validation, test], _) = fill(rows(Split::Train, &[5; 5]), true);
        assert_eq!([train.len(), validation.len(), test.len()], [20, 5, 0]);
    }

    // Splits with windows stay as they are.
    #[test]
    fn full_splits_stay() {
        let mut splits = rows(Split::Train, &[9]);
        splits.extend(rows(Split::Validation, &[1]));
        splits.extend(rows(Split::Test, &[1]));
        let ([train, validation, test], notes) = fill(splits, false);
        assert_eq!([train.len(), validation.len(), test.len(), notes.len()], [9, 1, 1, 0]);
    }
}
