//! Splits that come with the data: tables that name the files of each.

use std::collections::BTreeMap;

use super::Split;

/// Column that names the split, where nobody says otherwise.
pub const COLUMN: &str = "split";

/// Files and their splits.
#[derive(Clone, Debug, Default)]
pub struct Splits {
    /// By the last part of the path: the whole path as the table has it, and the split.
    files: BTreeMap<String, Vec<(String, Split)>>,
}

impl Splits {
    /// Adds a table in CSV. A row's file is its first cell that ends like the name of a MIDI file.
    /// Returns how many files were added; a table without the column adds none.
    ///
    /// # Errors
    /// A reason when the table cannot be read or a split has an unknown name.
    pub fn add(&mut self, table: &[u8], column: &str) -> Result<usize, String> {
        let mut reader = csv::Reader::from_reader(table);
        let headers = reader.headers().map_err(|error| error.to_string())?;
        let Some(column) = headers.iter().position(|header| header == column) else {
            return Ok(0);
        };
        let mut added = 0;
        for row in reader.records() {
            let row = row.map_err(|error| error.to_string())?;
            let file = row.iter().find(|cell| super::source::is_midi(&cell.to_lowercase()));
            let (Some(file), Some(split)) = (file, row.get(column)) else { continue };
            let split = parse(split).ok_or_else(|| {
                format!("`{split}` is no split; it should be train, validation or test")
            })?;
            let name = last(file).to_owned();
            self.files.entry(name).or_default().push((file.to_owned(), split));
            added += 1;
        }
        Ok(added)
    }

    /// The split of a file, if a table names its path or the end of it.
    pub fn of(&self, path: &str) -> Option<Split> {
        let ends_with = |file: &str| {
            path.strip_suffix(file).is_some_and(|before| {
                before.is_empty() || before.ends_with(SEPARATORS) || file.starts_with(SEPARATORS)
            })
        };
        let candidates = self.files.get(last(path))?;
        candidates.iter().find(|(file, _)| ends_with(file)).map(|&(_, split)| split)
    }
}

/// What stands between the parts of a path; the exclamation mark follows an archive.
pub const SEPARATORS: [char; 3] = ['/', '\\', '!'];

/// The last part of a path.
pub fn last(path: &str) -> &str {
    path.rsplit(SEPARATORS).next().unwrap_or(path)
}

fn parse(name: &str) -> Option<Split> {
    match name.trim().to_lowercase().as_str() {
        "train" | "training" => Some(Split::Train),
        "validation" | "valid" | "val" | "dev" => Some(Split::Validation),
        "test" => Some(Split::Test),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A table's rows hold for files whose path ends like them, in archives too, and for no others.
    #[test]
    fn files_are_found_by_the_end_of_their_path() {
        let mut splits = Splits::default();
        let table = b"style,midi,audio,split\nrock,a/1.mid,a/1.wav,test\npop,b/1.mid,,validation\n";
        assert_eq!(splits.add(table, COLUMN), Ok(2));
        assert_eq!(splits.of("x.tar.gz!groove/a/1.mid"), Some(Split::Test));
        assert_eq!(splits.of("b/1.mid"), Some(Split::Validation));
        assert_eq!(splits.of("bb/1.mid"), None);
        assert_eq!(splits.of("c/1.mid"), None);
    }

    // Other tables are let be, unknown splits are named.
    #[test]
    fn other_tables() {
        let mut splits = Splits::default();
        assert_eq!(splits.add(b"a,b\n1.mid,2\n", COLUMN), Ok(0));
        let error = splits.add(b"file,split\n1.mid,maybe\n", COLUMN).expect_err("unknown");
        assert!(error.contains("maybe"), "{error}");
    }
}
