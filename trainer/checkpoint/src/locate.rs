//! Finds the checkpoint that a path denotes.

use std::path::{Path, PathBuf};

use super::CheckpointError;
use super::files::Files;
use super::magenta_js;

/// Largest `checkpoint` file that is read.
const MAX_STATE_BYTES: u64 = 1 << 20;
/// Name of the file in which a training run says which checkpoint is the latest.
const STATE: &str = "checkpoint";

/// What a path denotes.
pub(crate) enum Found {
    /// A TensorFlow checkpoint: its files, and its prefix relative to them.
    Bundle(Files, String),
    /// A folder of Magenta.js.
    MagentaJs(PathBuf),
}

/// The checkpoint that `source` denotes.
pub(crate) fn locate(source: &Path) -> Result<Found, CheckpointError> {
    let failed = |reason: &str| CheckpointError::Locate {
        place: source.display().to_string(),
        reason: reason.to_owned(),
    };
    if source.is_dir() {
        if source.join(magenta_js::MANIFEST).is_file() {
            return Ok(Found::MagentaJs(source.to_owned()));
        }
        let (files, prefix) = in_folder(source)?;
        return Ok(Found::Bundle(files, prefix));
    }
    let name = source
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| failed("this is no name of a checkpoint"))?;
    let folder = match source.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if source.exists() {
        if name == magenta_js::MANIFEST || name == magenta_js::CONFIG {
            return Ok(Found::MagentaJs(folder.to_owned()));
        }
        if let Some(prefix) = prefix_of(name) {
            return Ok(Found::Bundle(Files::Folder(folder.to_owned()), prefix.to_owned()));
        }
        // A prefix may itself be the name of some other file.
        if !folder.join(format!("{name}.index")).exists() {
            let files = Files::archive(source)?;
            // As the original does: the first index of an archive counts.
            let prefix = files
                .names()?
                .iter()
                .find_map(|name| name.strip_suffix(".index").map(str::to_owned));
            let prefix = prefix.ok_or_else(|| {
                failed("the archive holds no .index file; it is no archive of a TensorFlow V2 checkpoint")
            })?;
            return Ok(Found::Bundle(files, prefix));
        }
    }
    if folder.join(format!("{name}.index")).exists() {
        return Ok(Found::Bundle(Files::Folder(folder.to_owned()), name.to_owned()));
    }
    Err(failed(
        "no such file or folder, and no checkpoint with this prefix (its .index file is missing)",
    ))
}

/// The prefix, when the name is that of one file of a checkpoint.
fn prefix_of(name: &str) -> Option<&str> {
    for suffix in [".index", ".meta"] {
        if let Some(prefix) = name.strip_suffix(suffix) {
            return Some(prefix);
        }
    }
    let (prefix, shard) = name.rsplit_once(".data-")?;
    let (number, count) = shard.split_once("-of-")?;
    let digits = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits(number) && digits(count)).then_some(prefix)
}

/// A folder with a `checkpoint` file, or one whose part `train` has it (a run of the original), or
/// one with a single checkpoint in it or, when it has none, in one of its folders.
fn in_folder(folder: &Path) -> Result<(Files, String), CheckpointError> {
    let failed =
        |reason: String| CheckpointError::Locate { place: folder.display().to_string(), reason };
    for place in [folder.to_owned(), folder.join("train")] {
        if place.join(STATE).is_file() {
            return latest(&place);
        }
    }
    let mut found = checkpoints(folder)?;
    if found.is_empty() {
        for name in Files::Folder(folder.to_owned()).names()? {
            let inner = folder.join(name);
            if inner.is_dir() {
                found.extend(checkpoints(&inner)?);
            }
        }
    }
    match found.len() {
        0 => Err(failed(
            "there is no checkpoint in this folder (no `checkpoint` file, no .index file, no \
             weights_manifest.json)"
                .to_owned(),
        )),
        1 => Ok(found.remove(0)),
        count => Err(failed(format!(
            "there are {count} checkpoints in this folder; name one, such as {}",
            found[0].0.describe(&found[0].1)
        ))),
    }
}

/// The checkpoints directly in a folder.
fn checkpoints(folder: &Path) -> Result<Vec<(Files, String)>, CheckpointError> {
    let files = Files::Folder(folder.to_owned());
    let names = files.names()?;
    let prefixes = names.iter().filter_map(|name| name.strip_suffix(".index"));
    Ok(prefixes.map(|prefix| (files.clone(), prefix.to_owned())).collect())
}

/// The checkpoint that the `checkpoint` file of a training run names.
///
/// The file may hold a path of the machine that trained; only its last part counts, since the
/// checkpoints of a run lie beside the file.
fn latest(folder: &Path) -> Result<(Files, String), CheckpointError> {
    let files = Files::Folder(folder.to_owned());
    let state = files.open(STATE)?;
    let text = String::from_utf8_lossy(&state.read(MAX_STATE_BYTES)?).into_owned();
    let prefix = text.lines().find_map(|line| {
        let value = line.trim().strip_prefix("model_checkpoint_path:")?.trim();
        let path = value.strip_prefix('"')?.strip_suffix('"')?;
        path.rsplit(['/', '\\']).next().filter(|name| !matches!(*name, "" | "." | ".."))
    });
    let prefix = prefix.ok_or_else(|| CheckpointError::Locate {
        place: state.name.clone(),
        reason:
            "it does not say `model_checkpoint_path: \"…\"`; name a checkpoint's prefix instead"
                .to_owned(),
    })?;
    Ok((files, prefix.to_owned()))
}
