//! The SoundFont, read once for all instances in a process.

use std::{
    fs::File,
    io::{self, BufReader, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use rustysynth::SoundFont;
use thiserror::Error;

/// Largest file that is read, in bytes: a whole General MIDI set has 150 MB.
const LARGEST: u64 = 256 << 20;

/// Why there is no sound.
#[derive(Debug, Error)]
pub enum FontError {
    /// The file cannot be read.
    #[error("`{}` cannot be read ({source})", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not a whole SoundFont.
    #[error("`{}` is damaged or no SoundFont ({reason})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        reason: String,
    },
    /// The host's sample rate, in frames a second, is none that can be played at.
    #[error("it plays at 16,000 to 192,000 samples a second, and the host asks for {0}")]
    Rate(u32),
}

/// The font in use and its file.
static FONT: Mutex<Option<(PathBuf, Weak<SoundFont>)>> = Mutex::new(None);

/// The font of a file: that of another instance, if one has it.
///
/// # Errors
/// [`FontError::Io`] and [`FontError::Damaged`].
pub fn font(path: &Path) -> Result<Arc<SoundFont>, FontError> {
    let mut known = FONT.lock();
    if let Some((of, font)) = &*known
        && of == path
        && let Some(font) = font.upgrade()
    {
        return Ok(font);
    }
    let font = Arc::new(read(path)?);
    *known = Some((path.to_owned(), Arc::downgrade(&font)));
    Ok(font)
}

fn read(path: &Path) -> Result<SoundFont, FontError> {
    let file =
        File::open(path).map_err(|source| FontError::Io { path: path.to_owned(), source })?;
    let damaged = |reason: String| FontError::Damaged { path: path.to_owned(), reason };
    let mut reader = BufReader::new(file.take(LARGEST));
    // The library checks what it expects and trusts numbers inside.
    match catch_unwind(AssertUnwindSafe(|| SoundFont::new(&mut reader))) {
        Ok(Ok(font)) => Ok(font),
        Ok(Err(error)) => Err(damaged(error.to_string())),
        Err(_) => Err(damaged("its numbers contradict each other".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn shipped() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("sounds/preview.sf2")
    }

    /// Instances share one font.
    #[test]
    fn instances_share_a_font() {
        let (one, other) = (font(&shipped()).expect("whole"), font(&shipped()).expect("whole"));
        assert!(Arc::ptr_eq(&one, &other));
    }

    /// A missing, empty, cut or garbled file is an error that names it.
    #[test]
    fn damaged_fonts_are_told() {
        let place = tempfile::tempdir().expect("a temporary folder can be made");
        let path = place.path().join("broken.sf2");
        let told = |expected: &str| {
            let Err(error) = font(&path) else { panic!("a damaged font is read") };
            let error = error.to_string();
            assert!(error.contains("broken.sf2") && error.contains(expected), "{error}");
        };
        told("cannot be read");
        let whole = fs::read(shipped()).expect("it can be read");
        let garbled = |from: usize| {
            let mut bytes = whole.clone();
            bytes[from..from + 64].fill(0xFF);
            bytes
        };
        let last = whole.len() - 4096;
        for bytes in
            [vec![], vec![0; 100], whole[..100].to_vec(), whole[..last].to_vec(), garbled(0)]
        {
            fs::write(&path, bytes).expect("it can be written");
            told("damaged");
        }
        fs::write(&path, garbled(last)).expect("it can be written");
        // Numbers that are wrong but possible make another sound, never a crash.
        let _ = font(&path);
    }
}
