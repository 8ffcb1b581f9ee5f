//! The files that generation ends with, named as the original names them, and JSON about them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use chrono::{Local, TimeDelta};
use interlude_models::clip::{Clip, Note};
use interlude_models::midi::to_bytes;
use interlude_models::tokens::Controls;
use serde::{Deserialize, Serialize};

/// Tempo of every file, as the original writes it.
const QPM: f64 = 120.0;
/// Largest file of codes that is read.
const MAX_JSON_BYTES: u64 = 256 << 20;

/// A folder that takes `<stem>_<YYYY-mm-dd_HHMMSS>-<i>-of-<n>.mid`, `i` from 0.
pub(super) struct Folder {
    folder: PathBuf,
    /// With the time.
    stem: String,
    count: usize,
}

impl Folder {
    /// Makes the folder. Should there be files of this second already, the next one is taken, so
    /// that nothing is overwritten.
    pub(super) fn create(folder: &Path, stem: &str, count: usize) -> anyhow::Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
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
    pub(super) fn pattern(&self) -> String {
        self.folder.join(format!("{}-*-of-{:03}.mid", self.stem, self.count)).display().to_string()
    }

    /// Writes one file and returns its path.
    pub(super) fn write(&self, index: usize, clip: &Clip) -> anyhow::Result<PathBuf> {
        let path = self.path(index);
        write(&path, &to_bytes(clip, QPM))?;
        Ok(path)
    }
}

/// Writes a file, whole or not at all; its folder is made where there is none.
pub(super) fn write(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    interlude_models::files::write(path, content)
        .with_context(|| format!("cannot write {}", path.display()))
}

/// A piece that was made.
pub(super) struct Made {
    pub(super) file: PathBuf,
    pub(super) clip: Clip,
}

/// What was made, or encoded.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    #[serde(default)]
    pub(super) config: String,
    #[serde(default)]
    pub(super) mode: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f32>,
    pub(super) codes: Vec<Code>,
}

/// A latent code and what it comes from or became.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Code {
    /// The MIDI file that was encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
    /// Which window of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) window: Option<usize>,
    /// The MIDI file that was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) z: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mu: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sigma: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) controls: Option<Controls>,
    /// Notes of the file that was made, times in beats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notes: Option<Vec<Note>>,
}

impl Code {
    pub(super) fn made(made: Made, z: &[f32], controls: &Option<Controls>) -> Self {
        Self {
            file: Some(made.file.display().to_string()),
            z: Some(z.to_vec()),
            controls: controls.clone(),
            notes: Some(made.clip.notes),
            ..Self::default()
        }
    }
}

impl Report {
    /// Tells the report on standard output. A reader that has seen enough is no error.
    pub(super) fn print(&self) -> anyhow::Result<()> {
        crate::commands::common::print(&(self.to_json()? + "\n"))
    }

    pub(super) fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string(self)?)
    }

    /// Reads codes.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let file =
            fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut text = Vec::new();
        file.take(MAX_JSON_BYTES + 1)
            .read_to_end(&mut text)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if text.len() as u64 > MAX_JSON_BYTES {
            bail!("{} is larger than 256 MiB; split it", path.display());
        }
        let report: Self = serde_json::from_slice(&text).with_context(|| {
            format!("{} holds no codes as `interlude generate encode` writes them", path.display())
        })?;
        if report.codes.is_empty() {
            bail!("{} holds no code; encode a MIDI file first", path.display());
        }
        Ok(report)
    }
}
