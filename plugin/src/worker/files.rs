//! MIDI files into clips and back, with problems told in sentences.
//!
//! A file is read by the rule for what is captured (see [`super::reading`]), so that a file is taken
//! where its notes would be. But a file may be a whole song: where the original finds windows in it,
//! the first of them is taken, that of one instrument.

use std::{fs, io::Write, path::Path};

use interlude_models::{
    clip::{Clip, DRUM_CHANNEL, Note},
    config::Config,
    midi::{self, NoteSequence, SequenceNote, Tempo, Warning},
    tokens::{self, Controls, Limit, TokenError, Window},
};

use super::reading;

/// Bars kept of a file that is read without a model: the longest window of any.
const MOST_BARS: f64 = 16.0;
/// Beats in a bar.
const BAR: f64 = 4.0;

/// What a slot gets of a file.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) clip: Clip,
    /// Of models that have some.
    pub(super) controls: Option<Controls>,
    /// What is missing of a damaged file.
    pub(super) warning: Option<String>,
}

/// The first bars of a MIDI file that a model can read. Without a model, the file's first bars with
/// notes.
pub(super) fn read(path: &Path, config: Option<&Config>) -> Result<Loaded, String> {
    let (sequence, warning) = open(path)?;
    let Some(config) = config else {
        let clip = first_bars(&sequence)
            .ok_or_else(|| format!("{}: {}", path.display(), nothing(&sequence)))?;
        return Ok(Loaded { clip, controls: None, warning });
    };
    let first = found(config, &sequence).and_then(|windows| {
        let clips =
            windows.into_iter().map(|it| (tokens::to_clip(config, &it.tokens), it.controls));
        clips.into_iter().find(|(clip, _)| !clip.is_empty()).ok_or(TokenError::Empty)
    });
    let (clip, controls) = first
        .or_else(|reason| Ok((as_captured(config, &sequence, reason)?, None)))
        .map_err(|error: TokenError| format!("{}: {error}", path.display()))?;
    Ok(Loaded { clip, controls, warning })
}

/// All windows of a MIDI file that a model can read, at most `most`, spread evenly.
pub(super) fn windows(path: &Path, config: &Config, most: usize) -> Result<Vec<Window>, String> {
    let (sequence, _) = open(path)?;
    let windows = found(config, &sequence).or_else(|reason| {
        let clip = as_captured(config, &sequence, reason)?;
        let (tokens, controls) = reading::read(config, &clip, None)?;
        Ok(vec![Window { tokens, controls }])
    });
    let windows = windows.map_err(|error: TokenError| format!("{}: {error}", path.display()))?;
    if windows.len() <= most {
        return Ok(windows);
    }
    Ok((0..most).map(|index| windows[index * windows.len() / most].clone()).collect())
}

/// A file's music, and what is missing of it.
fn open(path: &Path) -> Result<(NoteSequence, Option<String>), String> {
    let (sequence, warnings) = midi::open(path).map_err(|error| error.to_string())?;
    let lost = warnings.iter().find(|warning| warning.is_loss());
    Ok((sequence, lost.map(|warning: &Warning| format!("{}: {warning}.", path.display()))))
}

/// The windows that the original finds. Of grooves it finds notes of every instrument, where what is
/// captured has its drums on their channel if there are any.
fn found(config: &Config, sequence: &NoteSequence) -> Result<Vec<Window>, TokenError> {
    let windows = tokens::extract(config, sequence, Limit::All)?;
    let has_drums = sequence.notes.iter().any(|note| note.is_drum);
    let has_others = sequence.notes.iter().any(|note| !note.is_drum);
    let plays_drums = config.family().voices().iter().all(|voice| voice.is_drums);
    if plays_drums && config.family().reads(false) && has_drums && has_others {
        let mut drums = sequence.clone();
        drums.notes.retain(|note| note.is_drum);
        return tokens::extract(config, &drums, Limit::All);
    }
    Ok(windows)
}

/// The bars of a sequence that a model can read as if they had been captured: all of it when it is no
/// longer than what the model plays, else from the first bar on which it can. `reason` is why the
/// original finds nothing.
fn as_captured(
    config: &Config,
    sequence: &NoteSequence,
    reason: TokenError,
) -> Result<Clip, TokenError> {
    let length = BAR * f64::from(u32::try_from(config.bars()).unwrap_or(u32::MAX));
    let mut reason = reason;
    for part in tokens::common_time(sequence) {
        // Of what is longer, the first bar must hold something.
        let (mut starts, mut least) = (vec![0.0], length);
        if part.length > length {
            starts = part.notes.iter().map(|note| (note.start / BAR).floor() * BAR).collect();
            starts.dedup();
            least = BAR;
        }
        for start in starts {
            match reading::read(config, &cut(&part, start, least), None) {
                Ok(_) => return Ok(cut(&part, start, length)),
                // Which programs and how many bars a file needs does not matter here.
                Err(error) => match reason {
                    TokenError::NoUsableNote { .. } | TokenError::TooShort { .. } => reason = error,
                    _ => {}
                },
            }
        }
    }
    Err(reason)
}

/// So many beats of a clip from one on; less where it ends before.
fn cut(clip: &Clip, from: f64, length: f64) -> Clip {
    let begun = clip.notes.partition_point(|note| note.start < from);
    let length = (clip.length - from).min(length);
    let notes = clip.notes[begun..].iter().take_while(|note| note.start < from + length);
    let moved = notes.map(|note| Note {
        start: note.start - from,
        end: (note.end - from).min(length),
        ..*note
    });
    Clip::new(moved.collect(), length)
}

/// Why there is no note in a sequence, as a sentence.
fn nothing(sequence: &NoteSequence) -> String {
    let lost = sequence.lost;
    let ends = lost.drums_without_length + lost.notes_without_length;
    match ends + lost.drums_without_end + lost.notes_without_end {
        0 => "there is no note in it.".to_owned(),
        _ if ends > 0 => {
            "its notes have no length; make them a 16th long, say, and export it again.".to_owned()
        }
        _ => "its notes never end; export it again.".to_owned(),
    }
}

/// The bars of 4/4 from the first note on.
fn first_bars(sequence: &NoteSequence) -> Option<Clip> {
    let beats = |note: &SequenceNote| {
        (beat_at(&sequence.tempos, note.start), beat_at(&sequence.tempos, note.end))
    };
    let onsets = sequence.notes.iter().map(|note| beats(note).0);
    let first = (onsets.reduce(f64::min)? / BAR).floor() * BAR;
    let notes = sequence.notes.iter().filter_map(|note| {
        let (start, end) = beats(note);
        let (start, end) = (start - first, (end - first).min(MOST_BARS * BAR));
        (start < end && note.velocity > 0).then_some(Note {
            start,
            end,
            pitch: note.pitch,
            velocity: note.velocity,
            channel: if note.is_drum { DRUM_CHANNEL } else { 0 },
            program: note.program,
        })
    });
    let notes: Vec<Note> = notes.collect();
    let end = notes.iter().map(|note| note.end).reduce(f64::max)?;
    Some(Clip::new(notes, (end / BAR).ceil() * BAR))
}

/// The beat at a time in seconds.
fn beat_at(tempos: &[Tempo], seconds: f64) -> f64 {
    let (mut beat, mut since, mut qpm) = (0.0, 0.0, 120.0);
    for tempo in tempos.iter().take_while(|tempo| tempo.time < seconds) {
        beat += (tempo.time - since) * qpm / 60.0;
        (since, qpm) = (tempo.time, tempo.qpm);
    }
    beat + (seconds - since) * qpm / 60.0
}

/// Writes a clip as a MIDI file with the host's tempo; a file of that name is replaced at once or
/// not at all.
pub(super) fn write(path: &Path, clip: &Clip, tempo: f64) -> Result<(), String> {
    let failed = |error: std::io::Error| {
        format!("{} cannot be written ({error}); choose another folder.", path.display())
    };
    let tempo = if tempo > 0.0 { tempo } else { 120.0 };
    replace(path, &midi::to_bytes(clip, tempo)).map_err(failed)
}

/// Writes a file beside its place and puts it there in one step.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = fs::File::create(&beside)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is half written is of no use to anyone, and it may not even be there.
        let _ = fs::remove_file(&beside);
    }
    written
}

#[cfg(test)]
mod tests {
    use interlude_models::config::by_name;

    use super::*;

    const MELODY: &str = "cat-mel_2bar_big";
    const DRUMS: &str = "cat-drums_2bar_small";
    const GROOVE: &str = "groovae_2bar_humanize";

    fn note(start: f64, pitch: u8, channel: u8, program: u8) -> Note {
        Note { start, end: start + 0.5, pitch, velocity: 90, channel, program }
    }

    fn config(name: &str) -> Config {
        by_name(name).expect("a name of the table")
    }

    /// What is made of a file of these bytes, read for a model.
    fn bytes(name: &str, bytes: &[u8]) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tune.mid");
        fs::write(&path, bytes).expect("written");
        let learnt = windows(&path, &config(name), 9);
        let read = read(&path, Some(&config(name)));
        // What is loaded can be learnt from too.
        assert_eq!(learnt.is_ok(), read.is_ok(), "{learnt:?} {read:?}");
        read
    }

    fn file(name: &str, notes: &[Note]) -> Result<Loaded, String> {
        bytes(name, &midi::to_bytes(&Clip::new(notes.to_vec(), 64.0), 120.0))
    }

    /// What a file with these notes and a capture of them are to a model are the same.
    fn same_as_captured(name: &str, notes: &[Note], length: f64) {
        let captured = Clip::new(notes.to_vec(), length);
        let captured = reading::read(&config(name), &captured, None).expect("a capture is taken");
        let loaded = file(name, notes).expect("a file is taken");
        let loaded = reading::read(&config(name), &loaded.clip, loaded.controls.as_ref());
        assert_eq!(loaded.expect("it is of the model"), captured);
    }

    /// Drums on channel 1, a lead of any program, bars of rest before and behind, and clips shorter
    /// than the model's bars are taken from a file as they are from the host.
    #[test]
    fn files_are_read_as_captures_are() {
        let beat = |n: u8| f64::from(n) / 2.0;
        let drums: Vec<Note> =
            (0..16).map(|n| note(beat(n), [36, 42, 38, 42][usize::from(n % 4)], 0, 0)).collect();
        for name in [DRUMS, "nade-drums_2bar_full", GROOVE] {
            same_as_captured(name, &drums, 8.0);
        }
        for program in [32, 40, 80, 127] {
            let lead: Vec<Note> = (0..16).map(|n| note(beat(n), 60 + n, 0, program)).collect();
            same_as_captured(MELODY, &lead, 8.0);
        }
        // A bar of rest, then a bar of notes.
        let late: Vec<Note> = (0..8).map(|n| note(4.0 + beat(n), 60 + n, 0, 0)).collect();
        same_as_captured(MELODY, &late, 8.0);
        let late: Vec<Note> = (0..8).map(|n| note(4.0 + beat(n), 36 + n, 9, 0)).collect();
        same_as_captured(DRUMS, &late, 8.0);
        // A bar alone, and one that rests for long.
        let short: Vec<Note> = (0..8).map(|n| note(beat(n), 60 + n, 0, 0)).collect();
        same_as_captured(MELODY, &short, 4.0);
        same_as_captured("hierdec-mel_16bar", &short, 4.0);
        same_as_captured(MELODY, &[note(0.0, 60, 0, 0), note(7.0, 62, 0, 0)], 8.0);
        let hits: Vec<Note> = (0..4).map(|n| note(f64::from(n), 36 + n, 9, 0)).collect();
        same_as_captured(GROOVE, &hits, 4.0);
        // Any key is a tap.
        let taps: Vec<Note> = (0..16).map(|n| note(beat(n), 100 + n % 3, 0, 0)).collect();
        same_as_captured("groovae_2bar_tap_fixed_velocity", &taps, 8.0);
    }

    /// Of a long file the first bars count that the model can read; of a song, one instrument.
    #[test]
    fn long_files_are_read_where_they_can_be() {
        // Notes too high for a melody for three bars, then a lead of any program.
        let high = (0..12).map(|n| note(f64::from(n), 120, 0, 80));
        let lead = (12..28u8).map(|n| note(f64::from(n), 48 + n, 0, 80));
        let loaded = file(MELODY, &high.chain(lead).collect::<Vec<_>>()).expect("a melody");
        assert_eq!((loaded.clip.notes[0].pitch, loaded.clip.notes[0].start), (60, 0.0));
        assert_eq!(loaded.clip.length, 8.0);
        // A groove is that of the drums, whatever else plays, and does not begin with rests.
        let drums = (0..16).map(|n| note(8.0 + f64::from(n) / 2.0, 36, 9, 0));
        let piano = (0..32).map(|n| note(f64::from(n) / 2.0, 42, 0, 0));
        let loaded = file(GROOVE, &drums.chain(piano).collect::<Vec<_>>()).expect("a groove");
        assert_eq!(loaded.clip.notes.len(), 16);
        assert!(loaded.clip.notes.iter().all(|note| note.pitch == 36));
    }

    /// What no capture would give either is refused with its cause.
    #[test]
    fn refusals_tell_the_cause() {
        let refused = |read: Result<Loaded, String>, words: &str| {
            let problem = read.expect_err(words);
            assert!(problem.contains("tune.mid") && problem.contains(words), "{problem}");
        };
        let drums: Vec<Note> = (0..8).map(|n| note(f64::from(n), 36, 9, 0)).collect();
        refused(file(MELODY, &drums), "not drums");
        refused(file(DRUMS, &[]), "no note");
        let track = |events: &[u8]| {
            let length = u32::try_from(events.len()).expect("short").to_be_bytes();
            [b"MThd\0\0\0\x06\0\0\0\x01\0\x18MTrk", &length[..], events].concat()
        };
        let hits = [24, 0x99, 36, 90, 0, 0x89, 36, 0].repeat(8);
        refused(bytes(DRUMS, &track(&hits)), "8 drum hits have no length");
        let waltz = [&[0, 0xFF, 0x58, 2, 3, 2][..], &[0, 0x90, 60, 90, 24, 60, 0].repeat(12)];
        refused(bytes(MELODY, &track(&waltz.concat())), "3/4");
    }

    /// A damaged track is left out, and the slot's message says so.
    #[test]
    fn damage_is_told() {
        let tune: Vec<Note> = (0..16).map(|n| note(f64::from(n) / 2.0, 60 + n, 0, 0)).collect();
        let mut damaged = midi::to_bytes(&Clip::new(tune, 8.0), 120.0);
        // Format 1, tracks of timing and of the tune; one more is promised.
        damaged[11] = 3;
        let loaded = bytes(MELODY, &damaged).expect("a melody");
        let warning = loaded.warning.expect("a warning");
        assert!(warning.contains("counts 3 tracks, but only 2"), "{warning}");
    }
}
