//! Splits that come with the data: tables that name the files of each.
//!
//! A row belongs to the file whose path ends like one of its cells. Endings may be missing; case, the
//! form of accents, the kind of slashes, and what stands before the common part do not matter.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use thiserror::Error;
use unicode_normalization::UnicodeNormalization;

use super::table::Table;
use crate::Split;
use crate::names::{self, SEPARATORS};

/// Column that names the split, where nobody says otherwise.
pub const COLUMN: &str = "split";

/// Share of the files, in thousandths, that validation and test get each.
const HELD_OUT: u32 = 50;

/// The split of a file that no table names, by what decides about it ([`names::keys`]).
pub fn split_of(key: &str, seed: u64) -> Split {
    match hash(key, seed) % 1000 {
        share if share < HELD_OUT => Split::Validation,
        share if share < 2 * HELD_OUT => Split::Test,
        _ => Split::Train,
    }
}

/// A number from a text that looks drawn; equal seeds give equal ones.
pub(crate) fn hash(text: &str, seed: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&seed.to_le_bytes()), text.as_bytes())
}

/// A table of splits that cannot be applied.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SplitError {
    /// No table has the column that was asked for.
    #[error(
        "no table among the sources has a column `{column}`{}; give the right one with \
         --split-column",
        if found.is_empty() { ": there is none".to_owned() } else { format!("; there is {found}") }
    )]
    NoColumn {
        /// The column.
        column: String,
        /// The tables and their columns.
        found: String,
    },
    /// A cell that is not the name of a split.
    #[error(
        "`{table}`, line {line}: `{value}` is no split; it should be train, validation or test"
    )]
    Value {
        /// The table.
        table: String,
        /// Line of the row, from 1.
        line: u64,
        /// What stands there.
        value: String,
    },
}

/// Tables of splits among the sources.
#[derive(Clone, Debug, Default)]
pub struct Splits {
    /// By name, so that their order does not depend on which was read first.
    tables: BTreeMap<String, Table>,
}

/// The splits of files that tables name.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    splits: HashMap<String, Split>,
    /// Remarks about the tables, for the user.
    pub notes: Vec<String>,
}

impl Listed {
    /// The split of a file, if a table names it.
    pub fn of(&self, name: &str) -> Option<Split> {
        self.splits.get(name).copied()
    }

    /// Whether no file is named.
    pub fn is_empty(&self) -> bool {
        self.splits.is_empty()
    }
}

impl Splits {
    /// Adds a table in CSV.
    ///
    /// # Errors
    /// A reason when it cannot be read.
    pub fn add(&mut self, name: &str, bytes: &[u8], column: &str) -> Result<(), String> {
        let table = Table::read(bytes, column, column == COLUMN)?;
        self.tables.insert(name.to_owned(), table);
        Ok(())
    }

    /// Gives the files of a dataset, by name, the splits that the tables name. The first of several
    /// tables counts.
    ///
    /// # Errors
    /// [`SplitError`] when no table has the column that was asked for, or a table that names some of
    /// the files has a split that is none.
    pub fn assign(
        &self,
        files: &BTreeSet<String>,
        sources: &[PathBuf],
        column: &str,
    ) -> Result<Listed, SplitError> {
        let asked = column != COLUMN;
        if asked && self.tables.values().all(|table| table.split.is_none()) {
            let has = |(name, table): (&String, &Table)| {
                format!("`{}` with {}", names::last(name), table.named_columns())
            };
            let found: Vec<String> = self.tables.iter().take(SHOWN).map(has).collect();
            return Err(SplitError::NoColumn {
                column: column.to_owned(),
                found: found.join("; "),
            });
        }
        let paths: Vec<FilePath<'_>> =
            files.iter().map(|file| FilePath::new(file, sources)).collect();
        let mut by_stem: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, path) in paths.iter().enumerate() {
            for name in BTreeSet::from([path.stem.as_str(), path.full.as_str()]) {
                by_stem.entry(name).or_default().push(index);
            }
        }
        let mut listed = Listed::default();
        for (index, (name, table)) in self.tables.iter().enumerate() {
            let own = names::last(name);
            if table.split.is_none() {
                if index < SHOWN {
                    listed.notes.push(format!(
                        "`{own}` has no column `{column}` that names splits (it has {}), so no split \
                         is taken from it",
                        table.named_columns()
                    ));
                }
                continue;
            }
            let found = table.match_files(&paths, &by_stem);
            if let Some((line, value)) = table.unknown.as_ref().filter(|_| found.named) {
                let (table, line, value) = (own.to_owned(), *line, value.clone());
                return Err(SplitError::Value { table, line, value });
            }
            listed.notes.extend(found.note(own, table, &paths));
            for (file, split) in found.splits {
                listed.splits.entry(paths[file].name.to_owned()).or_insert(split);
            }
        }
        Ok(listed)
    }
}

/// Tables without the column that are told of.
const SHOWN: usize = 3;

/// A text in which case and the form of accents do not matter.
fn folded(text: &str) -> String {
    text.nfc().collect::<String>().to_lowercase()
}

/// A folded name without an ending of music.
fn stem(folded: &str) -> &str {
    const AUDIO: [&str; 8] = [".wav", ".mp3", ".flac", ".ogg", ".m4a", ".aif", ".aiff", ".xml"];
    let ends = || names::MIDI.iter().chain(&AUDIO);
    ends().find_map(|end| folded.strip_suffix(end)).unwrap_or(folded)
}

/// A path in parts, as files and rows are compared.
struct Parts {
    folders: Vec<String>,
    /// The last part as it is, folded, and without an ending.
    last: String,
    full: String,
    stem: String,
}

impl Parts {
    fn of(path: &str) -> Self {
        let parts = path.split(SEPARATORS).filter(|part| !matches!(*part, "" | "." | ".."));
        let mut folders: Vec<&str> = parts.collect();
        let last = folders.pop().unwrap_or("").to_owned();
        let full = folded(&last);
        let stem = stem(&full).to_owned();
        Self { folders: folders.into_iter().map(folded).collect(), last, full, stem }
    }
}

/// The path of a file.
struct FilePath<'a> {
    name: &'a str,
    folders: Vec<String>,
    last: String,
    full: String,
    stem: String,
    /// Number of parts below its source.
    below: usize,
}

impl<'a> FilePath<'a> {
    fn new(name: &'a str, sources: &[PathBuf]) -> Self {
        let below = names::below(name, sources);
        let below = below.split(SEPARATORS).filter(|part| !part.is_empty()).count();
        let Parts { folders, last, full, stem } = Parts::of(name);
        Self { name, folders, last, full, stem, below }
    }

    /// How well a row's path fits: how many parts at the end are the same, whether that is all of
    /// the row's, and how alike the last part is. `None` where they differ too early: a row may have
    /// another root than the file, but no other folders within it.
    fn fit(&self, row: &Parts) -> Option<(usize, bool, u8)> {
        let alike = if self.last == row.last {
            3
        } else if self.full == row.full {
            2
        } else if self.stem == row.stem || self.stem == row.full {
            1
        } else {
            return None;
        };
        let pairs = self.folders.iter().rev().zip(row.folders.iter().rev());
        let same = 1 + pairs.take_while(|(own, other)| own == other).count();
        let whole = same == row.folders.len() + 1;
        (whole || same >= self.below || same > 1).then_some((same, whole, alike))
    }
}

/// What one table says about the files.
#[derive(Default)]
struct Found {
    /// Whether rows fit any file.
    named: bool,
    /// By the index of the file.
    splits: BTreeMap<usize, Split>,
    /// Files that rows with different splits fit.
    unclear: usize,
    /// First row whose file is not there, as it stands in the table, and how many there are.
    unmatched: (Option<String>, usize),
}

impl Table {
    /// The files that the rows name, in the column that names most.
    fn match_files(&self, paths: &[FilePath<'_>], by_stem: &HashMap<&str, Vec<usize>>) -> Found {
        let Some(split) = self.split else { return Found::default() };
        let columns = self.rows.iter().map(|row| row.cells.len()).max().unwrap_or(0);
        let named = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.cells.get(column));
            let mut midi = 0;
            let mut stems = HashSet::new();
            for cell in cells {
                let Parts { full, stem, .. } = Parts::of(cell);
                midi += usize::from(names::ends_with(&full, &names::MIDI));
                if by_stem.contains_key(stem.as_str()) || by_stem.contains_key(full.as_str()) {
                    stems.insert(stem);
                }
            }
            (stems.len(), midi)
        };
        // The first of equals.
        let column = (0..columns).rev().filter(|&column| column != split).max_by_key(|&c| named(c));
        let Some(column) = column else { return Found::default() };
        let rows: Vec<(Parts, Option<Split>, &str)> = self
            .rows
            .iter()
            .filter_map(|row| {
                let cell = row.cells.get(column).filter(|cell| !cell.is_empty())?;
                Some((Parts::of(cell), row.split, cell.as_str()))
            })
            .collect();
        // The files that fit each row best, then the rows that fit each file best.
        let mut fits: BTreeMap<usize, Vec<(_, Option<Split>)>> = BTreeMap::new();
        let mut unmatched = (None, 0);
        for (parts, split, cell) in &rows {
            let candidates = [&parts.stem, &parts.full].into_iter().collect::<BTreeSet<_>>();
            let candidates = candidates.into_iter().filter_map(|name| by_stem.get(name.as_str()));
            let candidates: BTreeSet<usize> = candidates.flatten().copied().collect();
            let fitting = candidates
                .into_iter()
                .filter_map(|file| paths[file].fit(parts).map(|fit| (file, fit)));
            let fitting: Vec<_> = fitting.collect();
            let best = fitting.iter().map(|(_, fit)| *fit).max();
            let best: Vec<_> = fitting.iter().filter(|(_, fit)| Some(*fit) == best).collect();
            // A row with a root of its own names one file.
            let is_clear = best.len() == 1 || best.first().is_some_and(|(_, fit)| fit.1);
            if !is_clear {
                unmatched.0.get_or_insert_with(|| (*cell).to_owned());
                unmatched.1 += 1;
                continue;
            }
            for &&(file, fit) in &best {
                fits.entry(file).or_default().push((fit, *split));
            }
        }
        let mut found = Found { named: !fits.is_empty(), unmatched, ..Found::default() };
        for (file, fits) in fits {
            let best = fits.iter().map(|(fit, _)| *fit).max();
            let mut splits = fits.iter().filter(|(fit, _)| Some(*fit) == best).map(|fit| fit.1);
            let first = splits.next();
            match first.filter(|first| splits.all(|split| split == *first)) {
                Some(Some(split)) => {
                    found.splits.insert(file, split);
                }
                _ => found.unclear += 1,
            }
        }
        found
    }
}

impl Found {
    /// What people should know: how many files the table names, and what it does not fit.
    fn note(&self, name: &str, table: &Table, paths: &[FilePath<'_>]) -> Option<String> {
        if table.rows.is_empty() || paths.is_empty() {
            return None;
        }
        let mut text = format!("`{name}` names {} of {} files", self.splits.len(), paths.len());
        if let Some(column) = &table.guessed {
            text += &format!(", by its column `{column}`");
        }
        if self.unclear > 0 {
            text += &format!(
                "; {} that rows with different splits could mean are left out of that",
                self.unclear
            );
        }
        if let (Some(first), count) = &self.unmatched {
            text += &format!("; {count} of its rows name none of them, the first is `{first}`");
            if self.splits.is_empty() {
                text += &format!(", a file is `{}`", paths[0].name);
            }
        }
        if self.splits.len() < paths.len() {
            text += "; files that no table names go to a split by their own paths";
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the tables say about files below the source `tree`.
    fn assigned(tables: &[&[u8]], files: &[&str], column: &str) -> Result<Listed, SplitError> {
        let mut splits = Splits::default();
        for (number, table) in tables.iter().enumerate() {
            splits.add(&format!("tree/{number}.csv"), table, column).expect("readable");
        }
        let files = files.iter().map(|&file| file.to_owned()).collect();
        splits.assign(&files, &[PathBuf::from("tree")], column)
    }

    fn of(table: &[u8], file: &str) -> Option<Split> {
        assigned(&[table], &[file], COLUMN).expect("assigns").of(file)
    }

    // A table's rows hold for files whose path ends like them, in archives too, and for no others.
    #[test]
    fn files_are_found_by_the_end_of_their_path() {
        let table = b"style,midi,audio,split\nrock,a/1.mid,a/1.wav,test\npop,b/1.mid,,validation\n";
        let files =
            ["tree/x.tar.gz!groove/a/1.mid", "tree/b/1.mid", "tree/bb/1.mid", "tree/c/1.mid"];
        let listed = assigned(&[table], &files, COLUMN).expect("assigns");
        assert_eq!(listed.of(files[0]), Some(Split::Test));
        assert_eq!(listed.of(files[1]), Some(Split::Validation));
        assert_eq!((listed.of(files[2]), listed.of(files[3])), (None, None));
        assert!(listed.notes[0].contains("names 2 of 4 files"), "{:?}", listed.notes);
    }

    // Separators, a byte order mark, line ends, slashes, case, accents, missing endings, another root
    // and 8-bit texts do not matter.
    #[test]
    fn tables_are_read_however_they_are_written() {
        let file = "tree/Été/Uno.MID";
        let utf_16 = |text: &str| -> Vec<u8> {
            [0xFEFF].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
        };
        for table in [
            "split;name\r\ntest;Été/Uno.MID\r\n".as_bytes(),
            "\u{feff}Split\tname\ntest\tÉté\\Uno.MID\n".as_bytes(),
            "sep=;\nname;split\n\"été/uno.mid\";test\n".as_bytes(),
            "name|split\nE\u{301}te\u{301}/Uno.MID|Test\n".as_bytes(),
            b"name,split\nC:\\music\\\xc9t\xe9\\Uno.MID,test\n",
            "id, split\nuno, test\n".as_bytes(),
            "audio,split\n/other/root/Été/Uno.wav,test\n".as_bytes(),
            "Été/Uno.MID,test\nÉté/Duo.MID,train\n".as_bytes(),
            "name,subset\nuno,test\n".as_bytes(),
            &utf_16("name\tsplit\nÉté/uno\ttest\n"),
        ] {
            assert_eq!(of(table, file), Some(Split::Test), "{}", String::from_utf8_lossy(table));
        }
        assert_eq!(of(b"name,split\nuno,test\n", "tree/uno.v2.mid"), None);
        assert_eq!(of(b"name,split\nuno.v2,test\n", "tree/uno.v2.mid"), Some(Split::Test));
        assert_eq!(of(b"name,split\npop/1.mid,test\n", "tree/rock/1.mid"), None);
    }

    // What fits best counts: case where two files differ in nothing else; and rows that contradict
    // each other say nothing.
    #[test]
    fn the_best_fit_counts() {
        let table = b"name,split\na.mid,test\nA.mid,validation\n";
        let listed = assigned(&[table], &["tree/a.mid", "tree/A.mid"], COLUMN).expect("assigns");
        assert_eq!(listed.of("tree/a.mid"), Some(Split::Test));
        assert_eq!(listed.of("tree/A.mid"), Some(Split::Validation));
        let table = b"name,split\nx/1.mid,test\ny/1.mid,train\n";
        let listed = assigned(&[table], &["tree/1.mid"], COLUMN).expect("assigns");
        assert_eq!(listed.of("tree/1.mid"), None);
        assert!(listed.notes[0].contains("different splits"), "{:?}", listed.notes);
    }

    // A column that no table has is an error that names those there are; so is a split that is none,
    // unless the table is about other files. A table that names nothing is told of.
    #[test]
    fn what_does_not_fit_is_told() {
        let files = ["tree/1.mid"];
        let table = b"name,fold\n1.mid,test\n";
        let error = assigned(&[table], &files, "flod").expect_err("mistyped").to_string();
        assert!(error.contains("`flod`") && error.contains("name, fold"), "{error}");
        let error = assigned(&[], &files, "fold").expect_err("no table").to_string();
        assert!(error.contains("there is none"), "{error}");
        let unknown = b"name,split\n1.mid,train\n2.mid,maybe\n";
        let error = assigned(&[unknown], &files, COLUMN).expect_err("maybe").to_string();
        assert!(error.contains("line 3") && error.contains("`maybe`"), "{error}");
        let listed = assigned(&[unknown], &["tree/3.mid"], COLUMN).expect("of other files");
        assert!(listed.notes[0].contains("names 0 of 1 files"), "{:?}", listed.notes);
        assert!(listed.notes[0].contains("tree/3.mid"), "{:?}", listed.notes);
        let listed = assigned(&[b"a,b\n1.mid,2\n"], &files, COLUMN).expect("no splits");
        assert!(listed.is_empty() && listed.notes[0].contains("a, b"), "{:?}", listed.notes);
    }
}
