//! Files of generation: where they lie and how they are named, as the original names them.

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{Local, TimeDelta};
use interlude_models::clip::Clip;
use interlude_models::midi::to_bytes;

use super::error::GenerateError;

/// Tempo of every file, as the original writes it.
const QPM: f64 = 120.0;

/// A folder that takes `<stem>_<YYYY-mm-dd_HHMMSS>-<i>-of-<n>.mid`, `i` from 0.
#[derive(Clone, Debug)]
pub struct Folder {
    folder: PathBuf,
    /// With the time.
    stem: String,
    count: usize,
}

impl Folder {
    /// Makes the folder. Should there be files of this second already, the next one is taken, so
    /// that nothing is overwritten.
    ///
    /// # Errors
    /// [`GenerateError::File`] when the folder cannot be made.
    pub fn create(folder: &Path, stem: &str, count: usize) -> Result<Self, GenerateError> {
        make_folder(folder)?;
        let mut time = Local::now();
        loop {
            let named = Self {
                folder: folder.to_owned(),
                stem: format!("{stem}_{}", time.format("%Y-%m-%d_%H%M%S")),
                count,
            };
            if !(0..count).any(|index| named.path(index).exists()) {
                return Ok(named);
            }
            time += TimeDelta::seconds(1);
        }
    }

    fn path(&self, index: usize) -> PathBuf {
        self.folder.join(format!("{}-{index:03}-of-{:03}.mid", self.stem, self.count))
    }

    /// All names at once, with `*` for the index.
    pub fn pattern(&self) -> String {
        self.folder.join(format!("{}-*-of-{:03}.mid", self.stem, self.count)).display().to_string()
    }

    /// Writes one file at 120 BPM and returns its path.
    ///
    /// # Errors
    /// [`GenerateError::File`] when it cannot be written.
    pub fn write(&self, index: usize, clip: &Clip) -> Result<PathBuf, GenerateError> {
        let path = self.path(index);
        write(&path, &to_bytes(clip, QPM))?;
        Ok(path)
    }
}

fn make_folder(folder: &Path) -> Result<(), GenerateError> {
    fs::create_dir_all(folder).map_err(GenerateError::file("make the folder", folder))
}

/// Writes a file, whole or not at all; its folder is made where there is none.
///
/// # Errors
/// [`GenerateError::File`] when it cannot be written.
pub fn write(path: &Path, content: &[u8]) -> Result<(), GenerateError> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    interlude_models::files::write(path, content).map_err(GenerateError::file("write", path))
}
