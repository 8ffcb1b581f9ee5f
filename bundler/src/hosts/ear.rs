//! Notes written into audio and read out of it again: how a host that records or exports only audio
//! tells what it played.
//!
//! How they are written stands in `code.rs`; the plug-in that writes them is `bundler/ear`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::{
    code::{PLACES, SILENCE, VELOCITIES, WAITS, WORDS},
    music::Recording,
};
use crate::{
    platform::System,
    workspace::{self, copy, run},
};

/// The notes in a WAV file whose channels are the left and right ones of one ear or several.
pub(super) fn read(path: &Path) -> Result<Recording> {
    let failed = || format!("cannot read {}", path.display());
    let mut file = hound::WavReader::open(path).with_context(failed)?;
    let spec = file.spec();
    let samples: Vec<f32> = match spec.sample_format {
        hound::SampleFormat::Float => {
            file.samples::<f32>().collect::<Result<_, _>>().with_context(failed)?
        }
        hound::SampleFormat::Int => {
            let whole = 2_f64.powi(i32::from(spec.bits_per_sample) - 1);
            #[expect(clippy::cast_possible_truncation, reason = "a sample needs no more digits")]
            let share = |sample: i32| (f64::from(sample) / whole) as f32;
            file.samples::<i32>()
                .map(|sample| sample.map(share))
                .collect::<Result<_, _>>()
                .with_context(failed)?
        }
    };
    decode(&samples, usize::from(spec.channels)).with_context(|| path.display().to_string())
}

/// The notes in interleaved samples: channels in turn hold beginnings and ends.
fn decode(samples: &[f32], channels: usize) -> Result<Recording> {
    let mut messages = Vec::new();
    for index in 0..channels {
        let status = if index % 2 == 0 { 0x90 } else { 0x80 };
        let channel: Vec<f32> = samples.iter().skip(index).step_by(channels).copied().collect();
        events(&channel, status, &mut messages)?;
    }
    // An off on the sample of an on ends the note before it.
    messages.sort_by_key(|(frame, [status, ..])| (*frame, status & 0xf0));
    Ok(Recording::of(messages))
}

/// The events in one channel.
fn events(channel: &[f32], status: u8, messages: &mut Vec<(i64, [u8; 3])>) -> Result<()> {
    let mut index = 0;
    while let Some(words) = channel.get(index..index + WORDS) {
        if words[0].abs() < SILENCE {
            index += 1;
            continue;
        }
        let whole = |word: f32, parts: f32| {
            let share = word / words[0] * parts;
            let value = share.round();
            ensure!(
                (share - value).abs() < 0.2 && (0.0..parts).contains(&value),
                "at sample {index} there is something that no ear wrote: {words:?}"
            );
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "checked above"
            )]
            let value = value as u16;
            Ok(value)
        };
        let (place, velocity) = (whole(words[1], PLACES)?, whole(words[2], VELOCITIES)?);
        let wait = whole(words[3], WAITS)?;
        let byte = |value: u16| u8::try_from(value).context("a byte of a MIDI message");
        let message = [status | byte(place / 128)?, byte(place % 128)?, byte(velocity)?];
        messages.push((i64::try_from(index)? - i64::from(wait), message));
        index += WORDS;
    }
    Ok(())
}

/// Builds the plug-in and gives its library.
pub(super) fn build() -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    run(cargo.args(["build", "--quiet", "--package", "interlude-ear", "--lib"]))?;
    let library = workspace::target().join("debug").join(System::host().library("ear"));
    ensure!(library.is_file(), "the build left no {}", library.display());
    Ok(library)
}

/// Lays the plug-in out as VST3 in a folder.
pub(super) fn vst3(library: &Path, folder: &Path) -> Result<PathBuf> {
    let bundle = folder.join("Ear.vst3");
    let architecture = format!("{}-linux", std::env::consts::ARCH);
    copy(library, &bundle.join("Contents").join(architecture).join("Ear.so"))?;
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::{code::encode, music::Note};

    #[test]
    fn notes_survive_the_way_through_audio() {
        // Contract: channel, key, velocity and sample are read back, also of notes that begin and
        // end on one sample and had to wait, and behind a fader.
        let mut samples = vec![0.0; 2 * 2000];
        let mut write = |side: usize, frame: usize, words: &[f32]| {
            for (index, word) in words.iter().enumerate() {
                samples[2 * (frame + index) + side] = 0.7 * word;
            }
        };
        write(0, 100, &encode(9, 36, 100.0 / 127.0, 0));
        write(0, 104, &encode(0, 127, 1.0, 4));
        write(1, 600, &encode(9, 36, 0.0, 0));
        write(0, 600, &encode(9, 36, 1.0 / 127.0, 0));
        write(1, 1999 - WORDS, &encode(0, 127, 0.0, 0));
        let note = Note { start: 100, end: Some(600), key: 36, velocity: 100, channel: 9 };
        let high = Note { end: Some(1995), key: 127, velocity: 127, channel: 0, ..note };
        let last = Note { start: 600, end: None, velocity: 1, ..note };
        assert_eq!(decode(&samples, 2).unwrap().notes, [note, high, last]);
    }

    #[test]
    fn other_audio_is_refused() {
        // Contract: audio that holds no notes is an error, not music.
        let samples: Vec<f32> = (0..400_u16).map(|i| f32::from(i).sin()).collect();
        assert!(decode(&samples, 2).is_err());
        assert_eq!(decode(&[0.0; 64], 2).unwrap(), Recording::default());
    }
}
