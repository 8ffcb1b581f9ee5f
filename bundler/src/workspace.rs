//! Paths of the workspace, and atomic file operations.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// Folder of the shipped models, from the workspace's root.
pub const MODELS: &str = "models/pretrained";
/// The shipped model that the plug-in begins with, from the workspace's root.
pub const MODEL: &str = "models/pretrained/mel-2bar";

/// The folder with the workspace's `Cargo.toml`.
pub fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    // Under `cargo run` and `cargo test` the variable names the package, one folder below the root.
    manifest.parent().map_or_else(|| manifest.clone(), Path::to_owned)
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The cargo that runs this, in the workspace's root.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command with its output shown.
///
/// # Errors
/// When it cannot be started or its exit status is not 0; the message holds the command line.
pub fn run(command: &mut Command) -> Result<()> {
    let line = command_line(command);
    let status = command.status().with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed with {status}");
    }
    Ok(())
}

/// Runs a command silently and gives what it printed to its standard output.
///
/// # Errors
/// When it cannot be started or its exit status is not 0; the message holds the last line of its
/// error output.
pub fn output_of(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message");
        bail!("`{line}` failed with {}: {last}", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn command_line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Copies a file or a folder with all that is in it.
///
/// # Errors
/// When something cannot be read or written; the message names it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    if from.is_dir() {
        fs::create_dir_all(to).with_context(|| format!("cannot create {}", to.display()))?;
        let entries =
            fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("cannot read {}", from.display()))?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
    } else {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        fs::copy(from, to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// A temporary folder beside `destination`, on the same file system, so that it can be renamed.
///
/// # Errors
/// When the parent folder cannot be created or written.
pub fn beside(destination: &Path) -> Result<tempfile::TempDir> {
    let parent = destination.parent().context("a path without a parent folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    tempfile::Builder::new()
        .prefix(".interlude-")
        .tempdir_in(parent)
        .with_context(|| format!("cannot write to {}", parent.display()))
}

/// Puts `prepared` (made in a folder from [`beside`]) where `destination` is. What was there goes
/// away only after the new file or folder stands.
///
/// # Errors
/// When a rename fails; then the old one is put back.
pub fn replace(prepared: &Path, destination: &Path) -> Result<()> {
    let failed = || format!("cannot write {}", destination.display());
    if !destination.is_dir() && !prepared.is_dir() {
        return fs::rename(prepared, destination).with_context(failed);
    }
    let aside = beside(destination)?;
    let old = aside.path().join("old");
    let existed = destination.exists();
    if existed {
        fs::rename(destination, &old).with_context(failed)?;
    }
    if let Err(error) = fs::rename(prepared, destination) {
        if existed {
            fs::rename(&old, destination).with_context(failed)?;
        }
        return Err(error).with_context(failed);
    }
    Ok(())
}

/// Writes a file in one step: it has the old content or all of the new one.
///
/// # Errors
/// When the folder cannot be created or written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let staging = beside(path)?;
    let prepared = staging.path().join("new");
    fs::write(&prepared, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    replace(&prepared, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_a_folder_leaves_only_the_new_one() {
        // Contract: after `replace` the destination holds the new content alone, and no temporary
        // folder is left beside it.
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("thing");
        fs::create_dir(&destination).unwrap();
        fs::write(destination.join("old"), "old").unwrap();
        {
            let staging = beside(&destination).unwrap();
            let prepared = staging.path().join("thing");
            fs::create_dir(&prepared).unwrap();
            fs::write(prepared.join("new"), "new").unwrap();
            replace(&prepared, &destination).unwrap();
        }
        assert!(destination.join("new").is_file());
        assert!(!destination.join("old").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn failed_commands_name_themselves() {
        // Contract: the error of a failing command holds its command line and its last words.
        let error =
            output_of(Command::new("sh").args(["-c", "echo what a pity >&2; exit 3"])).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("sh -c") && message.contains("what a pity"), "{message}");
    }
}
