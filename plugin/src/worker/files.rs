//! MIDI files into clips and back, with problems told in sentences.

use std::{fs, io::Write, path::Path};

use interlude_models::{
    clip::{Clip, DRUM_CHANNEL, Note},
    config::Config,
    midi::{self, NoteSequence, SequenceNote, Tempo},
    tokens::{self, Controls, Limit, Window},
};

/// Bars kept of a file that is read without a model: the longest window of any.
const MOST_BARS: f64 = 16.0;
/// Beats in a bar.
const BAR: f64 = 4.0;

/// The first window of a MIDI file that a model can read, as a clip and the controls of models that
/// have some. Without a model, the file's first bars with notes.
pub(super) fn read(
    path: &Path,
    config: Option<&Config>,
) -> Result<(Clip, Option<Controls>), String> {
    let sequence = NoteSequence::open(path).map_err(|error| error.to_string())?;
    let Some(config) = config else {
        let clip = first_bars(&sequence)
            .ok_or_else(|| format!("{}: there is no note in it.", path.display()))?;
        return Ok((clip, None));
    };
    let windows = tokens::extract(config, &sequence, Limit::All)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let window = windows
        .into_iter()
        .next()
        .ok_or_else(|| format!("{} has no bars that the model can read.", path.display()))?;
    Ok((tokens::to_clip(config, &window.tokens), window.controls))
}

/// All windows of a MIDI file that a model can read, at most `most`, spread evenly.
pub(super) fn windows(path: &Path, config: &Config, most: usize) -> Result<Vec<Window>, String> {
    let sequence = NoteSequence::open(path).map_err(|error| error.to_string())?;
    let windows = tokens::extract(config, &sequence, Limit::All)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if windows.len() <= most {
        return Ok(windows);
    }
    Ok((0..most).map(|index| windows[index * windows.len() / most].clone()).collect())
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
