//! Atomic writes: a file is written whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Prefix of the names of files and folders that are being written.
pub const TEMPORARY: &str = ".interlude-";

/// An empty temporary file in the folder of the target; [`NamedTempFile::persist`] renames it to
/// the target. It has the permissions of any new file.
///
/// # Errors
/// When the folder cannot be written to.
pub fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder.unwrap_or(Path::new("."))).map_err(plain)
}

/// What the system says, without the name of the temporary file, which means nothing to anyone and
/// which `tempfile` puts behind it.
fn plain(error: io::Error) -> io::Error {
    let text = error.to_string();
    match text.rsplit_once(" at path ") {
        Some((cause, path)) if path.contains(TEMPORARY) => io::Error::new(error.kind(), cause),
        _ => error,
    }
}

/// Writes a file; an existing one is replaced atomically.
///
/// # Errors
/// When the folder cannot be written to or is full; then an earlier file stays as it is.
pub fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = beside(path)?;
    file.write_all(content)?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that cannot be written is told by what the system says, not by a name that nobody gave.
    #[test]
    fn temporary_names_are_not_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = write(&folder.path().join("none/codes.json"), b"{}").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(!error.to_string().contains(TEMPORARY), "{error}");
    }
}
