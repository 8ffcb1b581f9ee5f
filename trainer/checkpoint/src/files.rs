//! The files of a checkpoint, whether they lie in a folder or in a tar archive.
//!
//! Archives are read in place: nothing is unpacked, so no member can be written anywhere.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use flate2::read::GzDecoder;
use thiserror::Error;

/// Members an archive may have; a checkpoint has three.
const MAX_MEMBERS: usize = 4096;
/// Largest unpacked size of a gzipped archive, in bytes; the largest training checkpoint needs 3
/// GB.
const MAX_UNZIPPED_BYTES: u64 = 16 << 30;

/// First bytes of archives that are not tar archives, with their names.
const OTHER_ARCHIVES: [(&[u8], &str); 5] = [
    (b"PK\x03\x04", "zip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"\xfd7zXZ", "xz"),
    (b"BZh", "bzip2"),
];

/// Why files cannot be read.
#[derive(Debug, Error)]
pub enum FilesError {
    /// A file is missing or cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// A file that is missing.
    #[error("{path} is missing; a checkpoint is whole only with its .index and all .data files")]
    Missing {
        /// The file.
        path: String,
    },
    /// A member that checkpoints do not have and that could do harm when unpacked.
    #[error("{archive}: member `{member}` {reason}; use an archive of plain files only")]
    Member {
        /// The archive.
        archive: String,
        /// The member's name.
        member: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// An archive of a kind that checkpoints are not published in.
    #[error(
        "{archive} is a {kind} archive; unpack it and import the folder or the .tar file in it"
    )]
    Unpack {
        /// The archive.
        archive: String,
        /// Its kind.
        kind: &'static str,
    },
    /// An archive that is damaged.
    #[error("{archive} is cut off or no tar archive ({reason})")]
    Archive {
        /// The archive.
        archive: String,
        /// What is wrong.
        reason: String,
    },
}

/// A range of bytes that can be read: a file, or a member of an archive.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// For messages.
    pub(crate) name: String,
    file: Arc<File>,
    offset: u64,
    pub(crate) bytes: u64,
}

impl Section {
    fn whole(name: String, file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other("it is not a plain file"));
        }
        Ok(Self { name, bytes: metadata.len(), file: Arc::new(file), offset: 0 })
    }

    /// Opens a file of its own.
    pub(crate) fn open(path: &Path) -> Result<Self, FilesError> {
        let name = path.display().to_string();
        // Opening a pipe would wait for its writer.
        let plain = std::fs::metadata(path).map(|metadata| metadata.is_file());
        match plain {
            Ok(true) => {}
            Ok(false) => {
                let source = io::Error::other("it is not a plain file");
                return Err(FilesError::Io { path: name, source });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(FilesError::Missing { path: name });
            }
            Err(source) => return Err(FilesError::Io { path: name, source }),
        }
        File::open(path)
            .and_then(|file| Self::whole(name.clone(), file))
            .map_err(|source| FilesError::Io { path: name, source })
    }

    /// A reader of `bytes` bytes from `start` on. Only one reader of an archive may be in use at a
    /// time, since all share one position in the file.
    pub(crate) fn reader(&self, start: u64, bytes: u64) -> Result<impl Read + use<>, FilesError> {
        let file = SharedFile(Arc::clone(&self.file));
        file.0
            .as_ref()
            .seek(SeekFrom::Start(self.offset + start))
            .map_err(|source| FilesError::Io { path: self.name.clone(), source })?;
        Ok(BufReader::with_capacity(1 << 16, file.take_bytes(bytes)))
    }

    /// The whole content, at most `limit` bytes.
    pub(crate) fn read(&self, limit: u64) -> Result<Vec<u8>, FilesError> {
        let failed = |source| FilesError::Io { path: self.name.clone(), source };
        if self.bytes > limit {
            let text = format!("it has {} bytes, more than the {limit} expected", self.bytes);
            return Err(failed(io::Error::other(text)));
        }
        let mut content = Vec::new();
        self.reader(0, self.bytes)?.read_to_end(&mut content).map_err(failed)?;
        Ok(content)
    }
}

/// Lets several readers hold one open file.
struct SharedFile(Arc<File>);

impl SharedFile {
    fn take_bytes(self, bytes: u64) -> io::Take<Self> {
        self.take(bytes)
    }
}

impl Read for SharedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.as_ref().read(buffer)
    }
}

/// A place where files are found by name.
#[derive(Clone, Debug)]
pub(crate) enum Files {
    /// A folder on disk.
    Folder(PathBuf),
    /// A tar archive and its members, in their order.
    Archive { path: PathBuf, members: Vec<String>, sections: BTreeMap<String, Section> },
}

impl Files {
    /// The members of a tar archive, which may be gzipped.
    pub(crate) fn archive(path: &Path) -> Result<Self, FilesError> {
        let whole = Section::open(path)?;
        let mut start = Vec::new();
        let failed = |source| FilesError::Io { path: whole.name.clone(), source };
        whole.reader(0, whole.bytes.min(8))?.read_to_end(&mut start).map_err(failed)?;
        if let Some((_, kind)) = OTHER_ARCHIVES.iter().find(|(head, _)| start.starts_with(head)) {
            return Err(FilesError::Unpack { archive: path.display().to_string(), kind });
        }
        if start.starts_with(&[0x1f, 0x8b]) {
            let unzipped = unzip(&whole)?;
            return list(path, &unzipped);
        }
        list(path, &whole)
    }

    /// A file by its name relative to this place.
    pub(crate) fn open(&self, name: &str) -> Result<Section, FilesError> {
        match self {
            Self::Folder(folder) => Section::open(&folder.join(name)),
            Self::Archive { path, sections, .. } => sections
                .get(name)
                .cloned()
                .ok_or_else(|| FilesError::Missing { path: format!("{}: {name}", path.display()) }),
        }
    }

    /// Names relative to this place, for a folder only those directly in it.
    pub(crate) fn names(&self) -> Result<Vec<String>, FilesError> {
        match self {
            Self::Archive { members, .. } => Ok(members.clone()),
            Self::Folder(folder) => {
                let failed = |source| FilesError::Io { path: folder.display().to_string(), source };
                let mut names = Vec::new();
                for entry in std::fs::read_dir(folder).map_err(failed)? {
                    let name = entry.map_err(failed)?.file_name();
                    names.extend(name.to_str().map(str::to_owned));
                }
                names.sort();
                Ok(names)
            }
        }
    }

    /// A file's name in messages.
    pub(crate) fn describe(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.join(name).display().to_string(),
            Self::Archive { path, .. } => format!("{}: {name}", path.display()),
        }
    }
}

fn unzip(packed: &Section) -> Result<Section, FilesError> {
    let failed = |source| FilesError::Io { path: packed.name.clone(), source };
    let mut plain = tempfile::tempfile().map_err(failed)?;
    let mut unzipped = GzDecoder::new(packed.reader(0, packed.bytes)?).take(MAX_UNZIPPED_BYTES + 1);
    let bytes = io::copy(&mut unzipped, &mut plain).map_err(|error| FilesError::Archive {
        archive: packed.name.clone(),
        reason: error.to_string(),
    })?;
    if bytes > MAX_UNZIPPED_BYTES {
        return Err(FilesError::Archive {
            archive: packed.name.clone(),
            reason: "it unpacks to more than 16 GB".to_owned(),
        });
    }
    Section::whole(packed.name.clone(), plain).map_err(failed)
}

fn list(path: &Path, whole: &Section) -> Result<Files, FilesError> {
    let archive_name = path.display().to_string();
    let damaged = |error: io::Error| {
        let text = error.to_string();
        // Of what is no number the reason quotes the bytes.
        let quotes = text.contains("numeric field") || text.contains(|it: char| it.is_control());
        let reason = if quotes { "the head of a member is damaged".to_owned() } else { text };
        FilesError::Archive { archive: archive_name.clone(), reason }
    };
    let mut members = Vec::new();
    let mut sections = BTreeMap::new();
    let mut file = whole.file.as_ref();
    file.seek(SeekFrom::Start(0)).map_err(damaged)?;
    let mut archive = tar::Archive::new(file);
    for entry in archive.entries_with_seek().map_err(damaged)? {
        let entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refused = |reason| FilesError::Member {
            archive: archive_name.clone(),
            member: name.escape_debug().to_string(),
            reason,
        };
        let inside = Path::new(&name)
            .components()
            .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
        if !inside || name.contains('\\') {
            return Err(refused("lies outside the archive's folder"));
        }
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            continue;
        }
        if !matches!(kind, tar::EntryType::Regular | tar::EntryType::Continuous) {
            return Err(refused("is a link or a special file"));
        }
        let name = name.trim_start_matches("./").to_owned();
        let offset = entry.raw_file_position();
        let bytes = entry.size();
        if offset.checked_add(bytes).is_none_or(|end| end > whole.bytes) {
            return Err(refused("is cut off"));
        }
        if members.len() == MAX_MEMBERS {
            return Err(refused("is one of too many"));
        }
        let section = Section {
            name: format!("{archive_name}: {name}"),
            file: Arc::clone(&whole.file),
            offset,
            bytes,
        };
        if sections.insert(name.clone(), section).is_some() {
            return Err(refused("occurs twice"));
        }
        members.push(name);
    }
    Ok(Files::Archive { path: path.to_owned(), members, sections })
}
