//! What a user chose in any editor, for the next one: a small file in the user's own folder.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::files;

/// Name of the file.
const FILE: &str = "editor.json";
/// Largest file that is read; real ones have a hundred bytes.
const LARGEST: u64 = 1 << 16;

/// The choices. Whatever cannot be read counts as not chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Preferences {
    /// The folder that the file browser showed last.
    pub(super) folder: Option<PathBuf>,
    /// The name of what is to compute, as [`Choice::name`](crate::provider::Choice::name) has it; empty
    /// while nothing was chosen.
    pub(super) provider: String,
}

impl Preferences {
    /// The file in a user's folder.
    pub(super) fn file(place: &Path) -> PathBuf {
        place.join(FILE)
    }

    /// Reads the file in a user's folder.
    pub(super) fn read(place: &Path) -> Self {
        let mut text = Vec::new();
        File::open(Self::file(place))
            .and_then(|file| file.take(LARGEST).read_to_end(&mut text))
            .ok()
            .and_then(|_| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Changes one choice, and leaves the others as they are.
    pub(super) fn change(place: &Path, change: impl FnOnce(&mut Self)) {
        let mut preferences = Self::read(place);
        change(&mut preferences);
        preferences.write(place);
    }

    /// Writes the file, whole or not at all. A disk that refuses costs no more than the memory of a
    /// folder, so nobody is told.
    fn write(&self, place: &Path) {
        if let (Ok(()), Ok(text)) = (fs::create_dir_all(place), serde_json::to_vec(self)) {
            let _ = files::replace(&Self::file(place), &text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was chosen is read again, whatever else is chosen after it; a missing, damaged or endless file is no choice.
    #[test]
    fn choices_come_back() {
        let place = tempfile::tempdir().expect("a temporary folder can be made");
        let user = place.path().join("interlude");
        assert_eq!(Preferences::read(&user), Preferences::default());
        Preferences::change(&user, |choices| choices.folder = Some("/music/clips".into()));
        Preferences::change(&user, |choices| choices.provider = "cuda".to_owned());
        let (folder, provider) = (Some("/music/clips".into()), "cuda".to_owned());
        assert_eq!(Preferences::read(&user), Preferences { folder, provider });
        for text in ["{", "[1]", r#"{"folder": 7}"#, r#"{"provider": 7}"#, &" ".repeat(1 << 17)] {
            fs::write(user.join(FILE), text).expect("the file can be written");
            assert_eq!(Preferences::read(&user), Preferences::default());
        }
    }
}
