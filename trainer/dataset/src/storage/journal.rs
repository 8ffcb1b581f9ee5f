//! Journal of a build: what it has read so far, so that an interrupted build can resume.
//!
//! The journal lies in the dataset's folder while a build runs. Its first record says what is built;
//! each other one holds what a file gave.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use prost::Message;

use crate::records;

/// Name of the journal.
pub const FILE: &str = "build.journal";

/// Result of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// Its windows, or why it has none.
    pub windows: Result<Vec<Vec<u16>>, String>,
    /// Music in it that could not be read, such as a damaged track: a phrase for each.
    pub losses: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, optional, tag = "2")]
    reason: Option<String>,
    /// Numbers in each window.
    #[prost(uint32, tag = "3")]
    length: u32,
    /// Numbers of all windows, two bytes each, least significant first.
    #[prost(bytes = "vec", tag = "4")]
    numbers: Vec<u8>,
    #[prost(string, repeated, tag = "5")]
    losses: Vec<String>,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// What an interrupted build had read, by file.
    known: HashMap<String, Vec<Outcome>>,
}

impl Journal {
    /// Opens the journal of a dataset's folder with what is in it. One of another build, which `key`
    /// tells apart, is begun anew; what was not wholly written is taken off.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn open(dataset: &Path, key: &str) -> io::Result<Self> {
        let path = dataset.join(FILE);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let mut reader = BufReader::new(&file);
        let mut found = HashMap::<String, Vec<Outcome>>::new();
        let mut whole = 0;
        if matches!(records::next(&mut reader), Ok(Some(head)) if head == key.as_bytes()) {
            whole = reader.stream_position()?;
            while let Ok(Some(record)) = records::next(&mut reader) {
                let Some(outcome) = Outcome::read(&record) else { break };
                found.entry(outcome.name.clone()).or_default().push(outcome);
                whole = reader.stream_position()?;
            }
        }
        drop(reader);
        file.set_len(whole)?;
        let mut journal = Self { path, file, known: found };
        journal.file.seek(io::SeekFrom::End(0))?;
        if whole == 0 {
            journal.file.write_all(&records::frame(key.as_bytes()))?;
        }
        Ok(journal)
    }

    /// What a file gave, if an interrupted build has read it; each result once.
    pub fn take(&mut self, name: &str) -> Option<Outcome> {
        self.known.get_mut(name)?.pop()
    }

    /// Adds the result of a file.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn add(&mut self, outcome: &Outcome) -> io::Result<()> {
        self.file.write_all(&records::frame(&outcome.stored().encode_to_vec()))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the journal: the build is done.
    ///
    /// # Errors
    /// When the file system refuses.
    pub fn remove(self) -> io::Result<()> {
        drop(self.file);
        std::fs::remove_file(self.path)
    }
}

impl Outcome {
    fn stored(&self) -> Stored {
        let windows = self.windows.as_deref().unwrap_or_default();
        let length = windows.first().map_or(0, Vec::len);
        Stored {
            name: self.name.clone(),
            reason: self.windows.as_ref().err().cloned(),
            length: u32::try_from(length).unwrap_or(0),
            numbers: windows.iter().flatten().flat_map(|number| number.to_le_bytes()).collect(),
            losses: self.losses.clone(),
        }
    }

    fn read(record: &[u8]) -> Option<Self> {
        let Stored { name, reason, length, numbers, losses } = Stored::decode(record).ok()?;
        let windows = match reason {
            Some(reason) => Err(reason),
            None => {
                let length = usize::try_from(length).ok()?.max(1);
                let (pairs, _) = numbers.as_chunks::<2>();
                let numbers: Vec<u16> = pairs.iter().copied().map(u16::from_le_bytes).collect();
                Ok(numbers.chunks_exact(length).map(<[u16]>::to_vec).collect())
            }
        };
        Some(Self { name, windows, losses })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // What was added is found again, also after a record that was cut off, and not by other builds.
    #[test]
    fn interrupted_journals_go_on() {
        let folder = tempfile::tempdir().expect("a folder");
        let outcomes = [
            Outcome {
                name: "a".to_owned(),
                windows: Ok(vec![vec![1, 2], vec![3, 65_535]]),
                losses: Vec::new(),
            },
            Outcome {
                name: "b".to_owned(),
                windows: Err("silence".to_owned()),
                losses: Vec::new(),
            },
            Outcome {
                name: "c".to_owned(),
                windows: Ok(vec![vec![9, 9]]),
                losses: vec!["track 2".to_owned()],
            },
        ];
        let open = |key| Journal::open(folder.path(), key).expect("opens");
        let mut journal = open("key");
        assert_eq!(journal.take("a"), None);
        for outcome in &outcomes {
            journal.add(outcome).expect("writes");
        }
        let path = journal.path().to_owned();
        let length = std::fs::metadata(&path).expect("there").len();
        let cut = OpenOptions::new().write(true).open(&path).expect("opens");
        cut.set_len(length - 3).expect("cuts");
        let mut journal = open("key");
        assert_eq!(journal.take("a").as_ref(), Some(&outcomes[0]));
        assert_eq!(journal.take("a"), None, "it is given once");
        assert_eq!(journal.take("b").as_ref(), Some(&outcomes[1]));
        assert_eq!(journal.take("c"), None);
        journal.add(&outcomes[2]).expect("writes");
        assert_eq!(open("key").take("c").as_ref(), Some(&outcomes[2]));
        let mut journal = open("other");
        assert_eq!(journal.take("a"), None);
        journal.remove().expect("removes");
        assert_eq!(std::fs::read_dir(folder.path()).expect("lists").count(), 0);
    }
}
