//! TensorFlow bundles, as files of their own, as an archive, and as a gzipped one.
//!
//! The first byte says which: its lowest bits the kind, the next whether checksums are repaired,
//! without which hardly any change would get past them.

use interlude_checkpoint::Checkpoint;

use crate::{in_folder, part, read_checkpoint, repair, write};

/// First byte of an index and a shard, each behind its length, then a `checkpoint` file.
pub const FILES: u8 = 0;
/// First byte of a tar archive.
pub const ARCHIVE: u8 = 1;
/// First byte of a gzipped tar archive.
pub const GZIPPED: u8 = 2;
/// Added to these to have checksums repaired.
pub const REPAIRED: u8 = 4;

/// Reads a checkpoint.
pub fn run(bytes: &[u8]) {
    let Some((&kind, mut rest)) = bytes.split_first() else { return };
    let repaired = kind & REPAIRED != 0;
    in_folder(|folder| match kind & 3 {
        FILES => {
            let mut index = part(&mut rest).to_vec();
            if repaired {
                repair::table(&mut index);
            }
            let shard = part(&mut rest);
            write(&folder.join("model.index"), &index);
            write(&folder.join("model.data-00000-of-00001"), shard);
            write(&folder.join("checkpoint"), rest);
            read_checkpoint(&folder.join("model"), shard.len());
            let _ = Checkpoint::open(folder);
        }
        ARCHIVE => {
            let mut archive = rest.to_vec();
            if repaired {
                repair::archive(&mut archive);
            }
            let path = folder.join("model.tar");
            write(&path, &archive);
            read_checkpoint(&path, archive.len());
        }
        _ => {
            let path = folder.join("model.tar.gz");
            write(&path, rest);
            // A gzipped byte may stand for a thousand.
            read_checkpoint(&path, rest.len().saturating_mul(2048));
        }
    });
}
