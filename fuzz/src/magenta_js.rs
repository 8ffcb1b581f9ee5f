//! Folders of Magenta.js: manifest and description, each behind its length, then two shards.

use crate::{in_folder, part, read_checkpoint, write};

/// The shards' names, which a manifest has to name.
pub const SHARDS: [&str; 2] = ["group1-shard1of2", "group1-shard2of2"];

/// Reads a folder.
pub fn run(bytes: &[u8]) {
    let mut rest = bytes;
    let manifest = part(&mut rest);
    let config = part(&mut rest);
    in_folder(|folder| {
        write(&folder.join("weights_manifest.json"), manifest);
        write(&folder.join("config.json"), config);
        let (first, second) = rest.split_at(rest.len() / 2);
        write(&folder.join(SHARDS[0]), first);
        write(&folder.join(SHARDS[1]), second);
        read_checkpoint(folder, rest.len());
    });
}
