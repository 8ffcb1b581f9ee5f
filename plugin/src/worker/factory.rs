//! The factory clips of a model, for an instance that nobody has put anything into: its first press of
//! play is heard.

use std::path::{Path, PathBuf};

use interlude_models::{clip::Clip, config::Config};

use super::{Worker, files};
use crate::{resources, slots::SLOTS, state::Slot};

/// The clips in the slots of an instance whose slots hold what the factory put there, nothing at
/// first.
#[derive(Debug, Default)]
pub(super) struct Factory([Option<Clip>; SLOTS]);

impl Worker {
    /// Fills the slots with the first factory clips for the model in use, where they hold no others
    /// and no host has loaded a project. That is no change of the user's.
    pub(super) fn furnish(&mut self) {
        let Some(model) = self.model.as_ref().filter(|_| self.shared.song.loads() == 0) else {
            return;
        };
        let (state, revision) = self.shared.song.snapshot();
        let held = state.slots.iter().map(|slot| slot.clip.as_ref());
        if !held.eq(self.factory.0.iter().map(Option::as_ref)) {
            return;
        }
        let config = model.config();
        let slots: Vec<Slot> = clips(config)
            .iter()
            .filter_map(|path| {
                let loaded = files::read(path, Some(config)).ok()?;
                let (clip, controls) = (Some(loaded.clip), loaded.controls);
                Some(Slot { clip, source: title(path), controls, latent: None })
            })
            .take(SLOTS)
            .collect();
        if slots.len() < 2 {
            return;
        }
        let put = self.shared.song.change_if(revision, |state| {
            state.slots.clone_from(&slots);
            state.slots.resize(SLOTS, Slot::default());
        });
        if put.is_some() {
            self.factory.0 = std::array::from_fn(|slot| slots.get(slot)?.clip.clone());
        }
    }
}

/// The factory clips for models of a configuration, by name: files of the folder that is named after
/// what they play and their bars.
fn clips(config: &Config) -> Vec<PathBuf> {
    let voices = config.family().voices();
    let kind = match voices {
        [voice] if voice.is_drums => "drums",
        [_] => "melody",
        _ => "trio",
    };
    let folder = resources::clips().map(|clips| clips.join(format!("{kind}-{}bar", config.bars())));
    let Some(Ok(entries)) = folder.map(|folder| folder.read_dir()) else { return Vec::new() };
    let mut clips: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("mid")))
        .collect();
    clips.sort();
    clips
}

/// A file's name for people: without the number that orders it.
fn title(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let name = stem.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}", letters.as_str().replace('-', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of files become titles.
    #[test]
    fn files_have_titles() {
        let cases = [
            ("clips/melody-2bar/1-ode-to-joy.mid", "Ode to joy"),
            ("12-rock.mid", "Rock"),
            ("a.mid", "A"),
            ("7.mid", ""),
        ];
        for (path, expected) in cases {
            assert_eq!(title(Path::new(path)), expected);
        }
    }
}
