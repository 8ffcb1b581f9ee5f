//! Atomic datasets: files are written beside their target and renamed when all of them are
//! complete.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use interlude_models::files::TEMPORARY;
use tempfile::TempDir;

use super::description::{DESCRIPTION, INCOMPLETE, SKIPPED};
use crate::{DatasetError, Split, store};

/// A dataset that is being written. When it is dropped before it is put in place, the folder is as it
/// was before, or gone if it was not there.
#[derive(Debug)]
pub(crate) struct Staged {
    out: PathBuf,
    /// Folders that were made for it, the innermost first.
    made: Vec<PathBuf>,
    /// Within the dataset's folder, so that files move by renaming.
    folder: Option<TempDir>,
}

impl Staged {
    /// Begins a dataset in a folder, which is made if it is not there. What an earlier attempt left
    /// half done is removed.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub(crate) fn begin(out: &Path) -> Result<Self, DatasetError> {
        let failed = |source| DatasetError::Io { path: out.to_owned(), source };
        let missing = out
            .ancestors()
            .take_while(|path| !path.as_os_str().is_empty() && fs::symlink_metadata(path).is_err());
        let made: Vec<PathBuf> = missing.map(Path::to_owned).collect();
        fs::create_dir_all(out).map_err(failed)?;
        let mut staged = Self { out: out.to_owned(), made, folder: None };
        for entry in fs::read_dir(out).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with(TEMPORARY) && path.is_dir() {
                fs::remove_dir_all(&path).map_err(failed)?;
            }
        }
        let folder = tempfile::Builder::new().prefix(TEMPORARY).tempdir_in(out).map_err(failed)?;
        staged.folder = Some(folder);
        Ok(staged)
    }

    /// The folder to write to.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.as_ref().map_or(&self.out, |folder| folder.path())
    }

    /// Puts the dataset in place of the one that was there.
    ///
    /// # Errors
    /// When a file cannot be moved; then the earlier ones are put back.
    pub(crate) fn put(mut self) -> Result<(), DatasetError> {
        let mut moves = Moves::default();
        match self.moves(&mut moves) {
            Ok(()) => {
                self.made.clear();
                Ok(())
            }
            Err((path, source)) => {
                moves.undo();
                Err(DatasetError::Io { path, source })
            }
        }
    }

    /// Moves the old files away, the description first, and the new ones in, the description last: a
    /// folder with a description is whole.
    fn moves(&self, moves: &mut Moves) -> Result<(), (PathBuf, io::Error)> {
        let mut files: Vec<PathBuf> = [DESCRIPTION, SKIPPED, INCOMPLETE].map(PathBuf::from).into();
        let of_split = |split| store::path(Path::new(""), split);
        files.extend(Split::ALL.map(of_split));
        for file in &files {
            let there = self.out.join(file);
            if there.is_dir() {
                let source =
                    io::Error::other("it is a folder, where a file of the dataset belongs");
                return Err((there, source));
            }
        }
        for file in &files {
            let there = self.out.join(file);
            if fs::symlink_metadata(&there).is_ok() {
                let mut old = OsString::from("old-");
                old.push(file);
                moves.one(&there, &self.folder().join(old)).map_err(|error| (there, error))?;
            }
        }
        for file in files.iter().rev() {
            let new = self.folder().join(file);
            if new.is_file() {
                let there = self.out.join(file);
                moves.one(&new, &there).map_err(|error| (there, error))?;
            }
        }
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Nothing can be done about what cannot be removed.
        self.folder.take().map(TempDir::close);
        for folder in &self.made {
            if fs::remove_dir(folder).is_err() {
                break;
            }
        }
    }
}

/// Files that were renamed, from and to.
#[derive(Default)]
struct Moves(Vec<(PathBuf, PathBuf)>);

impl Moves {
    fn one(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        self.0.push((from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn undo(self) {
        for (from, to) in self.0.into_iter().rev() {
            // What cannot be moved back is lost with the disk.
            let _ = fs::rename(to, from);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .expect("lists")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn write(folder: &Path, name: &str, text: &str) {
        fs::write(folder.join(name), text).expect("writes");
    }

    // What is begun and dropped leaves no trace; what is put is there whole, other files stay.
    #[test]
    fn all_or_nothing() {
        let place = tempfile::tempdir().expect("a folder");
        let out = place.path().join("deep/out");
        let staged = Staged::begin(&out).expect("begins");
        write(staged.folder(), DESCRIPTION, "new");
        drop(staged);
        assert!(listed(place.path()).is_empty());
        let staged = Staged::begin(&out).expect("begins");
        write(staged.folder(), DESCRIPTION, "first");
        write(staged.folder(), SKIPPED, "first");
        staged.put().expect("puts");
        write(&out, "picture.svg", "mine");
        fs::create_dir(out.join(".interlude-killed")).expect("a folder");
        let staged = Staged::begin(&out).expect("begins");
        write(staged.folder(), DESCRIPTION, "second");
        write(staged.folder(), "test.parquet", "second");
        assert_eq!(fs::read_to_string(out.join(DESCRIPTION)).expect("reads"), "first");
        staged.put().expect("puts");
        assert_eq!(listed(&out), [DESCRIPTION, "picture.svg", "test.parquet"]);
        assert_eq!(fs::read_to_string(out.join(DESCRIPTION)).expect("reads"), "second");
    }

    // A dataset that cannot be put in place leaves the earlier one.
    #[test]
    fn what_cannot_be_put_changes_nothing() {
        let place = tempfile::tempdir().expect("a folder");
        let out = place.path();
        write(out, DESCRIPTION, "old");
        fs::create_dir(out.join("train.parquet")).expect("a folder");
        let staged = Staged::begin(out).expect("begins");
        write(staged.folder(), DESCRIPTION, "new");
        write(staged.folder(), "train.parquet", "new");
        let error = staged.put().expect_err("a folder is in the way").to_string();
        assert!(error.contains("train.parquet"), "{error}");
        assert_eq!(listed(out), [DESCRIPTION, "train.parquet"]);
        assert_eq!(fs::read_to_string(out.join(DESCRIPTION)).expect("reads"), "old");
    }
}
