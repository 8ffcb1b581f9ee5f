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
    use std::fs;

    use interlude_models::{clip::Note, config::by_name, midi};

    use super::*;
    use crate::workspace::root;

    /// Reads the notation of `bundler/clips/README.md`: note name, octave and length in 16ths.
    fn clip_of(notation: &str) -> Clip {
        let mut start = 0.0;
        let mut notes = Vec::new();
        for word in notation.split_whitespace().filter(|word| *word != "|") {
            let (name, length) = word.split_once(':').unwrap();
            let end = start + length.parse::<f64>().unwrap() / 4.0;
            let (letter, octave) = name.split_at(name.len() - 1);
            let names = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
            let key = names.iter().position(|name| *name == letter).unwrap();
            let pitch = u8::try_from(key).unwrap() + 12 * (octave.parse::<u8>().unwrap() + 1);
            notes.push(Note { start, end, pitch, velocity: 96, channel: 0, program: 0 });
            start = end;
        }
        Clip::new(notes, start)
    }

    #[test]
    fn the_default_clips_are_their_notation() {
        // Contract: bundler/clips/*.mid are byte for byte what the notation in the README there
        // says, are two bars long, and a model reads all their notes.
        // With INTERLUDE_WRITE_CLIPS set, the files are written instead of compared.
        let folder = root().join("bundler/clips");
        let readme = fs::read_to_string(folder.join("README.md")).unwrap();
        let config = by_name("cat-mel_2bar_small").unwrap();
        let mut seen = 0;
        for line in readme.lines() {
            let Some((file, notation)) = line.split_once(" = ") else { continue };
            let clip = clip_of(notation);
            let bytes = midi::to_bytes(&clip, 120.0);
            let path = folder.join(file.trim());
            if std::env::var_os("INTERLUDE_WRITE_CLIPS").is_some() {
                fs::write(&path, &bytes).unwrap();
            }
            assert_eq!(fs::read(&path).unwrap(), bytes, "{file}");
            assert_eq!(clip.length, 8.0, "{file}");
            let keys = |clip: &Clip| {
                clip.notes.iter().map(|note| (note.pitch, note.start, note.end)).collect::<Vec<_>>()
            };
            assert_eq!(keys(&load(&path, &config).unwrap()), keys(&clip), "{file}");
            seen += 1;
        }
        assert_eq!(seen, 2);
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
