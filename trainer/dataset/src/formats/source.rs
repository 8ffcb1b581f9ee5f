//! MIDI files, TFRecords, drum patterns, lead sheets and tables of splits in folders and archives.
//!
//! Nothing is unpacked to disk: names inside archives serve as names only.

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use flate2::read::GzDecoder;
use interlude_models::midi::{NoteSequence, begins_like_midi};

use super::names::{ARCHIVES, LEAD_SHEETS, MIDI, OTHER_ARCHIVES, PATTERNS, RECORDS, ends_with};
use super::{leadsheets, patterns, records};

/// Largest file that is read, unpacked; real ones are far smaller.
const LARGEST: u64 = 16 << 20;
/// Maximum number of bytes that are unpacked from one archive; it bounds decompression bombs.
const LARGEST_ARCHIVE: u64 = 16 << 30;
/// Bytes that tell whether a file is a MIDI file.
const HEAD: u64 = 12;
/// Folders within folders that are followed.
const DEEPEST: usize = 32;

/// A file, or the reason why it could not be read.
#[derive(Debug)]
pub struct SourceFile {
    /// Path, with that inside the archive after a `!`.
    pub name: String,
    /// Content, or why there is none.
    pub content: Result<Content, String>,
}

/// What a file holds.
#[derive(Debug)]
pub enum Content {
    /// The bytes of a MIDI file.
    Midi(Vec<u8>),
    /// Music that has been read.
    Music(Vec<NoteSequence>),
    /// The bytes of a table in CSV.
    Table(Vec<u8>),
}

/// Sends the files below all sources, in the order of their names, until the other side hangs up.
/// Adds to `read` how many bytes of the files on the disk were read.
pub fn send_all(sources: &[PathBuf], sender: &SyncSender<SourceFile>, read: &AtomicU64) {
    for source in sources {
        if send(source, sender, read, 0).is_err() {
            return;
        }
    }
}

/// Bytes of all files below the sources that are read.
pub fn size(sources: &[PathBuf]) -> u64 {
    fn of(path: &Path, depth: usize) -> u64 {
        if path.is_dir() {
            if depth == DEEPEST || (depth > 0 && path.is_symlink()) {
                return 0;
            }
            let entries = fs::read_dir(path).into_iter().flatten().flatten();
            return entries.map(|entry| of(&entry.path(), depth + 1)).sum();
        }
        let lower = path.display().to_string().to_lowercase();
        let is_read = Kind::of(&lower).is_some() || ends_with(&lower, &ARCHIVES);
        let length = || fs::metadata(path).map_or(0, |data| data.len());
        if is_read { length() } else { 0 }
    }
    sources.iter().map(|source| of(source, 0)).sum()
}

/// A file that counts what is read of it.
struct Counted<'a> {
    file: File,
    read: &'a AtomicU64,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

/// The receiver is gone.
struct HungUp;

fn send(
    path: &Path,
    sender: &SyncSender<SourceFile>,
    count: &AtomicU64,
    depth: usize,
) -> Result<(), HungUp> {
    let name = path.display().to_string();
    let lower = name.to_lowercase();
    let failed = |error: &dyn std::fmt::Display| SourceFile {
        name: name.clone(),
        content: Err(error.to_string()),
    };
    if path.is_dir() {
        if depth > 0 && path.is_symlink() {
            return give(sender, failed(&"a link to a folder is not followed"));
        }
        if depth == DEEPEST {
            return give(sender, failed(&"the folders are nested too deeply"));
        }
        let entries = fs::read_dir(path).and_then(|entries| {
            entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()
        });
        let mut entries = match entries {
            Ok(entries) => entries,
            Err(error) => return give(sender, failed(&error)),
        };
        entries.sort();
        return entries.iter().try_for_each(|entry| send(entry, sender, count, depth + 1));
    }
    if path.exists() && !path.is_file() {
        return give(sender, failed(&"it is no regular file"));
    }
    let sent = if lower.ends_with(".zip") {
        zip(path, &name, sender, count)
    } else if lower.ends_with(".tar.gz") || lower.ends_with(".tgz") {
        let unpacked = |file| GzDecoder::new(file).take(LARGEST_ARCHIVE);
        open(path, count).and_then(|file| tar(unpacked(file), &name, sender))
    } else if lower.ends_with(".tar") {
        open(path, count).and_then(|file| tar(file, &name, sender))
    } else {
        return match open(path, count) {
            Ok(file) => send_file(file, name, sender, depth == 0),
            Err(error) if Kind::of(&lower).is_some() || depth == 0 => give(sender, failed(&error)),
            Err(_) => Ok(()),
        };
    };
    match sent {
        Ok(result) => result,
        Err(error) => give(sender, failed(&error)),
    }
}

fn give(sender: &SyncSender<SourceFile>, file: SourceFile) -> Result<(), HungUp> {
    sender.send(file).map_err(|_| HungUp)
}

/// What is searched for, as text.
pub fn looked_for() -> String {
    format!(
        "MIDI files ({}, or any name when they begin as such), TFRecords, lead sheets ({}), drum \
         patterns ({}), and these in {}",
        MIDI.join(" "),
        LEAD_SHEETS[0],
        PATTERNS[0],
        ARCHIVES.join(" ")
    )
}

/// Sends what is in a file that is no archive: by its name, or when that says nothing, if it begins
/// like a MIDI file. Others are reported when they were `asked` for by name.
fn send_file(
    mut file: impl Read,
    name: String,
    sender: &SyncSender<SourceFile>,
    asked: bool,
) -> Result<(), HungUp> {
    let lower = name.to_lowercase();
    if let Some(kind) = Kind::of(&lower) {
        return kind.send(file, name, sender);
    }
    if ends_with(&lower, &OTHER_ARCHIVES) {
        let content = Err("archives of this kind are not read; unpack it".to_owned());
        return give(sender, SourceFile { name, content });
    }
    let mut head = Vec::new();
    match file.by_ref().take(HEAD).read_to_end(&mut head) {
        Ok(_) if begins_like_midi(&head) => Kind::Midi.send(head.chain(file), name, sender),
        Ok(_) if asked => {
            let content = Err("it is neither a folder, an archive nor a MIDI file".to_owned());
            give(sender, SourceFile { name, content })
        }
        Err(error) if asked => give(sender, SourceFile { name, content: Err(error.to_string()) }),
        _ => Ok(()),
    }
}

/// What a name says about a file.
#[derive(Clone, Copy)]
enum Kind {
    Midi,
    Table,
    Patterns { packed: bool },
    LeadSheets { packed: bool },
    Records,
}

impl Kind {
    /// The kind of a file by its name in lower case; `None` for one that is not read.
    fn of(lower: &str) -> Option<Self> {
        let packed = lower.ends_with(".gz");
        if ends_with(lower, &MIDI) {
            Some(Self::Midi)
        } else if lower.ends_with(".csv") {
            Some(Self::Table)
        } else if ends_with(lower, &PATTERNS) {
            Some(Self::Patterns { packed })
        } else if ends_with(lower, &LEAD_SHEETS) {
            Some(Self::LeadSheets { packed })
        } else if lower.contains(RECORDS) {
            Some(Self::Records)
        } else {
            None
        }
    }

    /// Reads a file and sends what is in it.
    fn send(
        self,
        file: impl Read,
        name: String,
        sender: &SyncSender<SourceFile>,
    ) -> Result<(), HungUp> {
        if let Self::Records = self {
            return send_records(BufReader::new(file), &name, sender);
        }
        let bytes = match self {
            Self::Patterns { packed: true } | Self::LeadSheets { packed: true } => {
                read(GzDecoder::new(file))
            }
            _ => read(file),
        };
        let bytes = bytes.map_err(|error| error.to_string());
        let groups = match (self, bytes) {
            (Self::Patterns { .. }, Ok(bytes)) => {
                patterns::read(&bytes).map(|groups| groups.into_iter().collect())
            }
            (Self::LeadSheets { .. }, Ok(bytes)) => leadsheets::read(&bytes).map(|songs| {
                songs.into_iter().map(|(title, song)| (title, vec![song])).collect::<Vec<_>>()
            }),
            (Self::Midi, Ok(bytes)) => {
                return give(sender, SourceFile { name, content: Ok(Content::Midi(bytes)) });
            }
            (Self::Table, Ok(bytes)) => {
                return give(sender, SourceFile { name, content: Ok(Content::Table(bytes)) });
            }
            (Self::Records, Ok(_)) => unreachable!("records are sent one by one"),
            (_, Err(reason)) => Err(reason),
        };
        match groups {
            Ok(groups) => groups.into_iter().try_for_each(|(group, music)| {
                let name = format!("{name}!{group}");
                give(sender, SourceFile { name, content: Ok(Content::Music(music)) })
            }),
            Err(reason) => give(sender, SourceFile { name, content: Err(reason) }),
        }
    }
}

/// Sends the note sequences of a TFRecord, as far as it is whole.
fn send_records(
    mut file: impl Read,
    name: &str,
    sender: &SyncSender<SourceFile>,
) -> Result<(), HungUp> {
    for number in 0.. {
        let record = match records::next(&mut file) {
            Ok(Some(record)) => record,
            Ok(None) => break,
            Err(error) => {
                let content = Err(error.to_string());
                return give(sender, SourceFile { name: name.to_owned(), content });
            }
        };
        let file = match records::note_sequence(&record, number) {
            Ok((own, music)) => SourceFile {
                name: format!("{name}!{own}"),
                content: Ok(Content::Music(vec![music])),
            },
            Err(reason) => SourceFile { name: format!("{name}!{number}"), content: Err(reason) },
        };
        give(sender, file)?;
    }
    Ok(())
}

fn open<'a>(path: &Path, read: &'a AtomicU64) -> io::Result<BufReader<Counted<'a>>> {
    let file = File::open(path)?;
    Ok(BufReader::new(Counted { file, read }))
}

/// The whole content, unless it is too long.
fn read(file: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it is longer than {} MiB", LARGEST >> 20)));
    }
    Ok(bytes)
}

/// Sends the files of a tar archive. The outer error is one of the archive.
fn tar(
    archive: impl Read,
    name: &str,
    sender: &SyncSender<SourceFile>,
) -> io::Result<Result<(), HungUp>> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if send_file(entry, format!("{name}!{path}"), sender, false).is_err() {
            return Ok(Err(HungUp));
        }
    }
    Ok(Ok(()))
}

/// Sends the files of a zip archive. The outer error is one of the archive.
fn zip(
    path: &Path,
    name: &str,
    sender: &SyncSender<SourceFile>,
    count: &AtomicU64,
) -> io::Result<Result<(), HungUp>> {
    let mut archive = zip::ZipArchive::new(open(path, count)?).map_err(io::Error::other)?;
    for index in 0..archive.len() {
        let entry = match archive.by_index(index) {
            Ok(entry) => entry,
            Err(error) => {
                let name = format!("{name}!{index}");
                let file = SourceFile { name, content: Err(error.to_string()) };
                match give(sender, file) {
                    Ok(()) => continue,
                    Err(HungUp) => return Ok(Err(HungUp)),
                }
            }
        };
        let inner = match entry.name() {
            Ok(inner) => inner.into_owned(),
            Err(_) => String::from_utf8_lossy(entry.name_raw()).into_owned(),
        };
        if !entry.is_file() {
            continue;
        }
        if send_file(entry, format!("{name}!{inner}"), sender, false).is_err() {
            return Ok(Err(HungUp));
        }
    }
    Ok(Ok(()))
}
