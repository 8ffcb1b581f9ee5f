//! The clips that the demo plays into the slots.

use std::path::Path;

use anyhow::{Context, Result};
use interlude_models::{
    clip::Clip,
    config::Config,
    midi::NoteSequence,
    tokens::{self, Limit},
};

/// The first window of a MIDI file that a model can read.
///
/// # Errors
/// When the file cannot be read or holds no such window; the message names the file and the reason.
pub(crate) fn load(path: &Path, config: &Config) -> Result<Clip> {
    let sequence = NoteSequence::open(path)?;
    let windows = tokens::extract(config, &sequence, Limit::All)
        .with_context(|| path.display().to_string())?;
    let first =
        windows.first().with_context(|| format!("{} holds no usable bars", path.display()))?;
    Ok(tokens::to_clip(config, &first.tokens))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use interlude_models::{
        clip::Note,
        config::{WINDOW_KINDS, by_name},
        midi,
    };

    use super::*;
    use crate::workspace::root;

    /// Voices of the notation: channel, program and, of drums, the key.
    fn voice(part: &str) -> (u8, u8, Option<u8>) {
        let drum = |key| (9, 0, Some(key));
        match part {
            "melody" => (0, 0, None),
            "bass" => (1, 32, None),
            "kick" => drum(36),
            "snare" => drum(38),
            "hat" => drum(42),
            "open" => drum(46),
            "ride" => drum(51),
            other => panic!("{other} is no part"),
        }
    }

    /// A part of melody or bass: note name with octave or a rest, length in 16ths, how often.
    fn line(notation: &str, channel: u8, program: u8) -> Vec<Note> {
        let mut start = 0.0;
        let mut notes = Vec::new();
        for word in notation.split_whitespace().filter(|word| *word != "|") {
            let (name, length) = word.split_once(':').unwrap();
            let (length, times) = length.split_once('*').unwrap_or((length, "1"));
            for _ in 0..times.parse::<u8>().unwrap() {
                let end = start + length.parse::<f64>().unwrap() / 4.0;
                if name != "R" {
                    let (letter, octave) = name.split_at(name.len() - 1);
                    let names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
                    let key = names.iter().position(|name| *name == letter).unwrap();
                    let pitch =
                        u8::try_from(key).unwrap() + 12 * (octave.parse::<u8>().unwrap() + 1);
                    notes.push(Note { start, end, pitch, velocity: 96, channel, program });
                }
                start = end;
            }
        }
        notes
    }

    /// A drum of so many 16ths: its line, again and again.
    fn drum(notation: &str, key: u8, steps: u32) -> Vec<Note> {
        let letters: Vec<char> =
            notation.chars().filter(|letter| ".Xxo".contains(*letter)).collect();
        let hit = |(step, letter): (u32, &char)| {
            let velocity = match letter {
                'X' => 112,
                'x' => 88,
                'o' => 48,
                _ => return None,
            };
            let start = f64::from(step) / 4.0;
            Some(Note { start, end: start + 0.25, pitch: key, velocity, channel: 9, program: 0 })
        };
        (0..steps).zip(letters.iter().cycle()).filter_map(hit).collect()
    }

    /// The clips of the notation in `bundler/clips/README.md`, by file.
    fn notated() -> BTreeMap<String, Clip> {
        let readme = fs::read_to_string(root().join("bundler/clips/README.md")).unwrap();
        let mut files: BTreeMap<String, Vec<(&str, &str)>> = BTreeMap::new();
        for (place, notation) in readme.lines().filter_map(|line| line.split_once(" = ")) {
            let (file, part) = place.split_once(' ').unwrap_or((place, "melody"));
            files.entry(file.to_owned()).or_default().push((part, notation));
        }
        let clip = |parts: Vec<(&str, &str)>| {
            let bars = parts.iter().map(|(_, notation)| notation.matches('|').count()).max();
            // The bars of drums stand between the lines, those of notes end with one.
            let only_drums = parts.iter().all(|(part, _)| voice(part).2.is_some());
            let bars = u32::try_from(bars.unwrap()).unwrap() + u32::from(only_drums);
            let notes = parts.into_iter().flat_map(|(part, notation)| match voice(part) {
                (_, _, Some(key)) => drum(notation, key, 16 * bars),
                (channel, program, None) => line(notation, channel, program),
            });
            let mut notes: Vec<Note> = notes.collect();
            notes.sort_by(|a, b| a.start.total_cmp(&b.start).then(a.pitch.cmp(&b.pitch)));
            Clip::new(notes, 4.0 * f64::from(bars))
        };
        files.into_iter().map(|(file, parts)| (file, clip(parts))).collect()
    }

    #[test]
    fn the_factory_clips_are_their_notation() {
        // Contract: bundler/clips holds the files of the notation in the README there, byte for byte, and no
        // other; each is as long as its folder says, and a model of that kind reads all its notes; each
        // kind has six or more. With INTERLUDE_WRITE_CLIPS set, the files are written.
        let folder = root().join("bundler/clips");
        let notated = notated();
        for (file, clip) in &notated {
            let bytes = midi::to_bytes(clip, 120.0);
            let path = folder.join(file);
            if std::env::var_os("INTERLUDE_WRITE_CLIPS").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &bytes).unwrap();
            }
            assert_eq!(fs::read(&path).unwrap(), bytes, "{file}");
            let kind = file.split_once('/').map_or("melody-2bar", |(kind, _)| kind);
            let config = WINDOW_KINDS.iter().find(|known| known.name == kind).unwrap().config;
            let config = by_name(config).unwrap();
            assert_eq!(
                clip.length,
                4.0 * f64::from(u32::try_from(config.bars()).unwrap()),
                "{file}"
            );
            let keys = |clip: &Clip| {
                let of = |note: &Note| (note.channel, note.pitch, note.start.to_bits());
                let mut keys: Vec<_> = clip.notes.iter().map(of).collect();
                keys.sort_unstable();
                keys
            };
            assert_eq!(keys(&load(&path, &config).unwrap()), keys(clip), "{file}");
        }
        for kind in ["melody-2bar", "melody-16bar", "drums-2bar", "trio-16bar"] {
            let files = fs::read_dir(folder.join(kind)).unwrap().count();
            let known = notated.keys().filter(|file| file.starts_with(&format!("{kind}/"))).count();
            assert!(files == known && files >= 6, "{kind}: {files} files, {known} in the notation");
        }
    }

    #[test]
    fn unusable_files_are_named_with_the_reason() {
        // Contract: the error for a file that is missing, no MIDI, empty or without notes holds
        // its path and says more than that.
        let folder = tempfile::tempdir().unwrap();
        let config = by_name("cat-mel_2bar_small").unwrap();
        let silent = midi::to_bytes(&Clip::new(Vec::new(), 8.0), 120.0);
        for (name, bytes) in
            [("text.mid", &b"not music"[..]), ("empty.mid", b""), ("silent.mid", &silent)]
        {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            let message = format!("{:#}", load(&path, &config).unwrap_err());
            let place = path.display().to_string();
            assert!(message.contains(&place) && message.len() > place.len() + 10, "{message}");
        }
        let missing = folder.path().join("missing.mid");
        assert!(format!("{:#}", load(&missing, &config).unwrap_err()).contains("missing.mid"));
    }
}
