//! Samples of the prior compared with the data.

use interlude_models::clip::{Clip, STEPS_PER_BAR};
use interlude_models::engine::{Engine, EngineError};
use interlude_models::latent::prior;
use interlude_models::tokens::{Tokens, Window, to_clip};
use serde::Serialize;

use super::{BATCH, mean, number};
use crate::generate::{Settings, decode};

/// Pitch classes of a major scale from its root.
const MAJOR: [bool; 12] =
    [true, false, true, false, true, true, false, true, false, true, false, true];

/// Samples and data side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prior {
    /// Codes that were drawn.
    pub samples: usize,
    /// Temperature of decoding.
    pub temperature: f32,
    /// Share of notes within the range of pitches that the data has.
    pub in_range: f64,
    /// Features of the samples.
    pub of_samples: Character,
    /// Features of the data.
    pub of_data: Character,
    /// Some of the samples.
    #[serde(skip)]
    pub examples: Vec<Tokens>,
}

/// Features of some music.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Character {
    /// Share of bars in which no note begins.
    pub empty_bars: f64,
    /// Notes that begin in a bar, mean of all bars.
    pub notes_per_bar: f64,
    /// Lowest and highest pitch, drums apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pitch_range: Option<[u8; 2]>,
    /// Share of a window's notes in the major scale that fits it best, mean of the windows with
    /// pitched notes; drums apart. Notes drawn at random have about 0.7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_scale: Option<f64>,
}

/// How samples are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drawing {
    /// Softmax temperature of decoding, 0 or above.
    pub temperature: f32,
    /// Seed of codes and noise.
    pub seed: u64,
}

/// Draws samples and compares them with windows of the data. Models with controls are given those
/// of the windows in turn.
///
/// # Errors
/// [`EngineError`] when a graph fails.
///
/// # Panics
/// When there is no window.
pub fn run(
    engine: &mut Engine,
    windows: &[Window],
    samples: usize,
    drawing: Drawing,
    examples: usize,
) -> Result<Prior, EngineError> {
    let size = engine.config().hparams.z_size;
    let codes: Vec<Vec<f32>> =
        (0..samples as u64).map(|index| prior(drawing.seed, index, size)).collect();
    of_codes(engine, windows, &codes, drawing, examples)
}

/// As [`run`], for codes that are given.
///
/// # Errors
/// [`EngineError`] when a graph fails.
///
/// # Panics
/// When there is no window.
pub fn of_codes(
    engine: &mut Engine,
    windows: &[Window],
    codes: &[Vec<f32>],
    drawing: Drawing,
    examples: usize,
) -> Result<Prior, EngineError> {
    let config = engine.config().clone();
    let Drawing { temperature, seed } = drawing;
    let samples = codes.len();
    let controls: Vec<_> =
        (0..samples).map(|index| windows[index % windows.len()].controls.clone()).collect();
    let settings = Settings {
        temperature,
        batch_size: BATCH,
        seed,
        tastes: Vec::new(),
        steering: None,
        repeats: Vec::new(),
    };
    let mut decoded = decode(engine, codes, &controls, &settings, &mut |_| {})?;
    let clips: Vec<Clip> = decoded.iter().map(|tokens| to_clip(&config, tokens)).collect();
    let data: Vec<Clip> = windows.iter().map(|window| to_clip(&config, &window.tokens)).collect();
    let (of_samples, of_data) = (Character::of(&clips), Character::of(&data));
    let pitches: Vec<u8> = clips
        .iter()
        .flat_map(|clip| &clip.notes)
        .filter(|n| !n.is_drum())
        .map(|n| n.pitch)
        .collect();
    let range = of_data.pitch_range.unwrap_or([0, 127]);
    let inside = pitches.iter().filter(|&&pitch| (range[0]..=range[1]).contains(&pitch)).count();
    decoded.truncate(examples);
    Ok(Prior {
        samples,
        temperature,
        in_range: if pitches.is_empty() { 1.0 } else { number(inside) / number(pitches.len()) },
        of_samples,
        of_data,
        examples: decoded,
    })
}

impl Character {
    /// The features of some clips of whole bars.
    pub fn of(clips: &[Clip]) -> Self {
        let (mut bars, mut empty, mut notes) = (0.0, 0.0, 0.0);
        let mut scales = Vec::new();
        let mut range: Option<[u8; 2]> = None;
        for clip in clips {
            let beats = number(STEPS_PER_BAR) * interlude_models::clip::BEATS_PER_STEP;
            let count = (clip.length / beats).ceil().max(1.0);
            let filled: std::collections::BTreeSet<u32> =
                clip.notes.iter().map(|note| bar_of(note.start / beats)).collect();
            bars += count;
            empty += (count - number(filled.len())).max(0.0);
            notes += number(clip.notes.len());
            let pitched: Vec<u8> =
                clip.notes.iter().filter(|note| !note.is_drum()).map(|note| note.pitch).collect();
            scales.extend(in_scale(&pitched));
            for pitch in pitched {
                let [low, high] = range.unwrap_or([pitch, pitch]);
                range = Some([low.min(pitch), high.max(pitch)]);
            }
        }
        Self {
            empty_bars: empty / f64::max(bars, 1.0),
            notes_per_bar: notes / f64::max(bars, 1.0),
            pitch_range: range,
            in_scale: (!scales.is_empty()).then(|| mean(scales)),
        }
    }
}

/// The bar of a time in bars. Half a 64th is for notes that are early.
fn bar_of(bars: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clips are short")]
    let bar = (bars + 1.0 / 32.0).max(0.0) as u32;
    bar
}

/// Share of pitches in the major scale that fits them best; `None` without pitches.
fn in_scale(pitches: &[u8]) -> Option<f64> {
    let fitting = |root: u8| {
        let fits = |pitch: &&u8| MAJOR[usize::from((**pitch + root) % 12)];
        pitches.iter().filter(fits).count()
    };
    let best = (0..12).map(fitting).max()?;
    (!pitches.is_empty()).then(|| number(best) / number(pitches.len()))
}

#[cfg(test)]
mod tests {
    use interlude_models::clip::Note;

    use super::*;

    fn clip(pitches: &[(u8, f64)]) -> Clip {
        let note = |&(pitch, start)| Note {
            start,
            end: start + 0.5,
            pitch,
            velocity: 80,
            channel: 0,
            program: 0,
        };
        Clip::new(pitches.iter().map(note).collect(), 8.0)
    }

    // Bars without a note count as empty, whatever the number of notes in the others.
    #[test]
    fn bars_are_counted() {
        let character = Character::of(&[clip(&[(60, 0.0), (62, 1.0)]), clip(&[])]);
        assert_eq!((character.empty_bars, character.notes_per_bar), (0.75, 0.5));
        assert_eq!(character.pitch_range, Some([60, 62]));
    }

    // Any major scale fits wholly, all twelve notes fit by seven.
    #[test]
    fn scales_fit() {
        let scale = |root: u8| [0, 2, 4, 5, 7, 9, 11].map(|step| 50 + root + step);
        for root in 0..12 {
            assert_eq!(in_scale(&scale(root)), Some(1.0), "{root}");
        }
        let all: Vec<u8> = (60..72).collect();
        assert_eq!(in_scale(&all), Some(7.0 / 12.0));
        assert_eq!(in_scale(&[]), None);
    }
}
