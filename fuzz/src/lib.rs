//! What the fuzz targets do with their bytes.
//!
//! A target passes when nothing panics, no sanitizer complains, time and memory stay within the
//! limits, and the statements asserted here hold.

mod allocation;
pub mod bundle;
pub mod magenta_js;
pub mod midi;
pub mod package;
mod repair;

use std::fs;
use std::path::Path;

use interlude_checkpoint::{Checkpoint, Moment, configure};
use interlude_models::network::{self, NetworkError};
use tempfile::TempDir;

thread_local! {
    /// One folder for all inputs of a process; each input replaces its files.
    static FOLDER: TempDir = tempfile::tempdir().expect("a temporary folder");
}

fn in_folder(run: impl FnOnce(&Path)) {
    FOLDER.with(|folder| run(folder.path()));
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the temporary folder takes a file");
}

/// Splits off as many bytes as a 16-bit number at the front says, or what is left.
fn part<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, tail)) = rest.split_first_chunk::<2>() else { return std::mem::take(rest) };
    let length = usize::from(u16::from_le_bytes(*length)).min(tail.len());
    let (part, tail) = tail.split_at(length);
    *rest = tail;
    part
}

/// The bytes that [`part`] splits off again.
pub fn prefixed(part: &[u8]) -> Vec<u8> {
    let length = u16::try_from(part.len()).expect("a seed below 64 KiB");
    [length.to_le_bytes().as_slice(), part].concat()
}

/// Opens a checkpoint and reads all that is in it. No checkpoint holds more elements than its
/// files, of `bytes` bytes, have bytes.
fn read_checkpoint(source: &Path, bytes: usize) {
    let Ok(checkpoint) = Checkpoint::open(source) else { return };
    let _ = (checkpoint.place(), checkpoint.global_step(), checkpoint.beta_powers());
    let mut elements = 0;
    for (name, entry) in checkpoint.variables() {
        if let Ok(tensor) = checkpoint.read(name) {
            assert_eq!(tensor.shape, entry.shape);
            assert_eq!(tensor.data.len(), tensor.shape.iter().product::<usize>());
            elements += tensor.data.len();
        }
        let _ = checkpoint.moment(name, Moment::First);
    }
    assert!(elements <= bytes, "{elements} elements of {bytes} bytes");
    if let Ok(config) = configure(&checkpoint, None, "") {
        if let Ok(weights) = checkpoint.weights() {
            match network::check(&config, &weights) {
                Ok(()) | Err(NetworkError::NotFinite { .. }) => {}
                Err(error) => panic!("the guessed configuration does not fit: {error}"),
            }
        }
    }
}
