//! Expected notes: Interlude in the headless host, which waits for every pattern.

use std::{ops::Range, path::Path};

use anyhow::Result;
use interlude_models::clip::Clip;

use super::music::Note;
use crate::host::{PluginFile, Session, Settings, spans};

/// Id of the plug-in in its file.
const PLUGIN: &str = "studio.interlude.interlude";
const SAMPLE_RATE: f64 = 48_000.0;
/// Beats are told to this part: finer than any note's place, coarser than a sample.
const GRAIN: f64 = 960.0;

/// The plug-in with two clips in its slots.
pub(super) struct Reference {
    file: PluginFile,
    state: Vec<u8>,
}

impl Reference {
    /// Plays clips of eight beats into the slots.
    pub(super) fn new(clap: &Path, clips: [&Clip; 2]) -> Result<Self> {
        let file = PluginFile::load(clap)?;
        let mut session = session(&file)?;
        session.set_text("Thru", "Off")?;
        session.set_text("Evolve", "On")?;
        session.set_text("Morph", "0.5")?;
        session.play();
        for (start, clip, slot) in [(8.0, clips[0], "Capture A"), (24.0, clips[1], "Capture B")] {
            session.run_to(start - 2.0)?;
            session.set_text(slot, "On")?;
            let origin = session.frame() + session.frames_until(start);
            for note in &clip.notes {
                let at = |beats: f64| origin + frames(beats);
                let velocity = f64::from(note.velocity) / 127.0;
                session.schedule_note(
                    at(note.start),
                    at(note.end) - at(note.start),
                    note.channel,
                    note.pitch,
                    velocity,
                );
            }
            session.run_to(start + clip.length + 1.0)?;
            session.set_text(slot, "Off")?;
        }
        session.run_to(40.0)?;
        session.stop();
        session.run(4800)?;
        let state = session.instance().save_state()?;
        Ok(Self { file, state })
    }

    /// The plug-in's state with the clips.
    pub(super) fn state(&self) -> &[u8] {
        &self.state
    }

    /// The notes of a stretch of song in a metre, in beats.
    pub(super) fn notes(&self, metre: (u16, u16), song: Range<f64>) -> Result<Vec<Note<f64>>> {
        let mut session = session(&self.file)?;
        session.instance().load_state(&self.state)?;
        session.set_time_signature(metre.0, metre.1);
        session.seek(song.start - 16.0);
        session.play();
        session.run_to(song.end + 16.0)?;
        session.stop();
        session.run(4800)?;
        let per_beat = SAMPLE_RATE * 60.0 / 120.0;
        let note = |span: &crate::host::Span| {
            let start = (span.beats * GRAIN).round() / GRAIN;
            let length = |end: u64| (float(end - span.start) / per_beat * GRAIN).round() / GRAIN;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and 127"
            )]
            let velocity = (span.velocity * 127.0).round().clamp(1.0, 127.0) as u8;
            let end = span.end.map(|end| start + length(end));
            Note { start, end, key: span.key, velocity, channel: span.channel }
        };
        let heard = spans(session.events());
        Ok(heard.iter().map(note).filter(|note| song.contains(&note.start)).collect())
    }
}

fn session(file: &PluginFile) -> Result<Session> {
    let settings = Settings { sample_rate: SAMPLE_RATE, block: 256, offline: true };
    Ok(Session::new(file.instantiate(PLUGIN)?, settings)?)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates; a clip's beats are not negative"
)]
fn frames(beats: f64) -> u64 {
    (beats * SAMPLE_RATE * 60.0 / 120.0).round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "a note has less than 2^53 frames")]
fn float(frames: u64) -> f64 {
    frames as f64
}
