//! Interlude as a program of its own: the plug-in with a transport, a clock and MIDI ports.
//!
//! [`clock`] is the transport, [`engine`] runs the plug-in block by block, a [`backend`] calls it
//! and carries its messages, `choice` starts one, [`window`] shows the strip and the editor. What needs the libraries of
//! a sound system is built with the feature `standalone` alone: `jack` is called by a JACK server,
//! sample by sample; `system` uses the MIDI of ALSA, CoreMIDI or Windows with a [`timer`].
//!
//! nice-plug has a stand-alone wrapper, too. Its transport always rolls, its ports are fixed by the
//! command line and its back ends cannot be replaced, so Interlude drives the plug-in itself.

pub mod backend;
mod choice;
pub mod clock;
mod engine;
#[cfg(feature = "standalone")]
mod jack;
mod parameters;
#[cfg(feature = "standalone")]
mod system;
mod timer;
pub mod window;

use std::path::{Path, PathBuf};

use crate::resources;

/// The name of Interlude's client and window in the system.
const NAME: &str = "Interlude";

/// The clips that a new program begins with: the first MIDI files, by name, in the folder
/// `clips` of the resources.
pub fn factory_clips() -> Vec<PathBuf> {
    resources::folder().map(|folder| clips_in(&folder.join("clips"))).unwrap_or_default()
}

fn clips_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = folder.read_dir() else { return Vec::new() };
    let mut clips: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mid")))
        .collect();
    clips.sort();
    clips.truncate(crate::slots::SLOTS);
    clips
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The clips are MIDI files, in order of their names, no more than there are slots; a folder
    /// that is not there has none.
    #[test]
    fn the_first_clips_are_taken() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["c.mid", "b.MID", "README.md", "a.mid"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let names: Vec<_> = clips_in(folder.path())
            .iter()
            .map(|clip| clip.file_name().unwrap().to_owned())
            .collect();
        assert_eq!(names, ["a.mid", "b.MID"]);
        assert_eq!(clips_in(&folder.path().join("nowhere")), Vec::<PathBuf>::new());
    }
}
