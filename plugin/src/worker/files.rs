//! MIDI files into clips and back, with problems told in sentences.

use std::{fs, io::Write, path::Path};

use interlude_models::{
    clip::Clip,
    config::Config,
    midi::{self, NoteSequence},
    tokens::{self, Controls, Limit},
};

/// The first window of a MIDI file that a model can read, as a clip and the controls of models that
/// have some.
pub(super) fn read(path: &Path, config: &Config) -> Result<(Clip, Option<Controls>), String> {
    let sequence = NoteSequence::open(path).map_err(|error| error.to_string())?;
    let windows = tokens::extract(config, &sequence, Limit::All)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let window = windows
        .into_iter()
        .next()
        .ok_or_else(|| format!("{} has no bars that the model can read.", path.display()))?;
    Ok((tokens::to_clip(config, &window.tokens), window.controls))
}

/// Writes a clip as a MIDI file with the host's tempo; a file of that name is replaced at once or
/// not at all.
pub(super) fn write(path: &Path, clip: &Clip, tempo: f64) -> Result<(), String> {
    let failed = |error: std::io::Error| {
        format!("{} cannot be written ({error}); choose another folder.", path.display())
    };
    let tempo = if tempo > 0.0 { tempo } else { 120.0 };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    let written = fs::File::create(&beside)
        .and_then(|mut file| {
            file.write_all(&midi::to_bytes(clip, tempo))?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is half written is of no use to anyone, and it may not even be there.
        let _ = fs::remove_file(&beside);
    }
    written.map_err(failed)
}
