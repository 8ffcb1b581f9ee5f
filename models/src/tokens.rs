//! Clips to steps of a model and back.
//!
//! [`extract`] finds the windows of a file as the original does, [`from_clip`] takes one from a
//! clip, [`to_clip`] goes back. [`Tokens::input_rows`] and its like are the numbers that networks
//! see.

mod drums;
mod groove;
mod harmony;
mod melody;
mod order;
mod place;
mod quantise;
mod reason;
mod rows;
mod trio;
mod windows;

use serde::{Deserialize, Serialize};

use crate::clip::{BEATS_PER_STEP, Clip};
use crate::config::{Config, DrumMap, GrooveTask, Scheme};

pub use groove::roland_to_general;
pub(crate) use melody::pitch as melody_pitch;
pub use place::{Place, Source, common_time, drum_pitch};
pub use reason::TokenError;
pub use windows::{Limit, extract, extract_with_places};

/// Velocity of notes that are made from tokens without one.
pub const OUTPUT_VELOCITY: u8 = 80;

/// One window of a model's input or output: the same music for all schemes, as compact as each
/// allows. The outer length is the number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tokens {
    /// Melody tokens: 0 no event, 1 note off, `p − 19` for pitch `p` in `21..=108`.
    Melody(Vec<u8>),
    /// Bit `k` is set when drum class `k` sounds (9 or 61 classes).
    Drums(Vec<u64>),
    /// Melody token, bass token, and the drum classes as bits.
    Trio(Vec<[u16; 3]>),
    /// 9 hits (0 or 1), 9 velocities (`0..=1`), 9 offsets (`-1..=1`, early positive).
    Groove(Vec<[f32; 27]>),
}

/// What a model is told beside the music, one entry for each step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Controls {
    /// Chord: 0 none, then 12 each of major (1 is C), minor, augmented, diminished.
    Chords(Vec<u8>),
    /// Bit `k` is set when drum class `k` is hit.
    Hits(Vec<u16>),
}

/// One window of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The music.
    pub tokens: Tokens,
    /// Its controls, for configurations with controls.
    pub controls: Option<Controls>,
}

/// One window from the first beat of a clip, whatever programs its notes have.
///
/// Notes that do not fit the scheme are left out, as are those outside the window; a note held
/// beyond its end is cut there. For drum schemes a clip without a note on the drum channel counts
/// as drums as a whole, since pads often play on another channel. In a trio the drum channel has
/// the drums, channel 1 and bass programs the bass, all else the melody.
///
/// # Errors
/// [`TokenError`] when no note is left.
pub fn from_clip(config: &Config, clip: &Clip) -> Result<Tokens, TokenError> {
    if clip.is_empty() {
        return Err(TokenError::Empty);
    }
    let (notes, steps) = (&clip.notes, config.hparams.max_seq_len);
    let tokens = match config.scheme {
        Scheme::Melody { .. } | Scheme::MelodyChords => {
            melody::from_notes(notes, steps).map(Tokens::Melody)
        }
        Scheme::Drums => drums::from_notes(notes, DrumMap::Reduced, steps).map(Tokens::Drums),
        Scheme::DrumRoll(map) => drums::from_notes(notes, map, steps).map(Tokens::Drums),
        Scheme::Trio => trio::from_notes(notes, steps).map(Tokens::Trio),
        Scheme::Groove(_) => groove::from_notes(notes, steps).map(Tokens::Groove),
    };
    tokens.ok_or_else(|| TokenError::NoUsableNote {
        config: config.name.clone(),
        wanted: reason::wanted_of_clip(config.scheme),
    })
}

/// The notes of a window: a melody on channel 0, a bass on channel 1 with program 33, drums on
/// channel 9, with velocity [`OUTPUT_VELOCITY`] unless the tokens have their own.
///
/// Tokens that no model makes (from a damaged file, say) make no note.
pub fn to_clip(config: &Config, tokens: &Tokens) -> Clip {
    let notes = match (tokens, config.scheme) {
        (Tokens::Melody(tokens), _) => melody::to_notes(tokens.iter().copied(), 0, 0),
        (Tokens::Drums(steps), Scheme::DrumRoll(map)) => {
            drums::to_notes(steps.iter().copied(), map)
        }
        (Tokens::Drums(steps), _) => drums::to_notes(steps.iter().copied(), DrumMap::Reduced),
        (Tokens::Trio(steps), _) => trio::to_notes(steps),
        (Tokens::Groove(steps), _) => groove::to_notes(steps),
    };
    Clip::new(notes, beats(tokens.len()))
}

impl Controls {
    /// The controls of a window that follow from a clip: its hits, or the chords found under its
    /// notes (no chord where none can be found). `None` for configurations without controls.
    pub fn of_clip(config: &Config, clip: &Clip, tokens: &Tokens) -> Option<Self> {
        match config.scheme {
            Scheme::MelodyChords => {
                let part = quantise::Part::of_clip(clip);
                let chord_at = windows::chords_of(&part);
                let chord =
                    |step| chord_at.as_ref().and_then(|chord_at| chord_at(step)).unwrap_or(0);
                Some(Self::Chords((0u64..).take(tokens.len()).map(chord).collect()))
            }
            _ => Self::of_tokens(config, tokens),
        }
    }

    /// The controls that follow from tokens alone: the hits of a groove, for the configuration
    /// that is given them. `None` otherwise.
    pub fn of_tokens(config: &Config, tokens: &Tokens) -> Option<Self> {
        match (config.scheme, tokens) {
            (Scheme::Groove(GrooveTask::HitsControl), Tokens::Groove(steps)) => {
                Some(Self::Hits(groove::hits(steps)))
            }
            _ => None,
        }
    }
}

/// Beats of a number of steps.
fn beats(steps: usize) -> f64 {
    let steps = u32::try_from(steps).unwrap_or(u32::MAX);
    f64::from(steps) * BEATS_PER_STEP
}

/// The step nearest to a beat, halves up; `None` for what is no time in a clip.
fn step_of(beat: f64) -> Option<u64> {
    if !(0.0..1e9).contains(&beat) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 4e9, as checked above"
    )]
    let step = (beat / BEATS_PER_STEP + 0.5) as u64;
    Some(step)
}

/// The class of a drum pitch among the 9 of the reduced map; `None` for a pitch without one.
pub fn drum_class(pitch: u8) -> Option<usize> {
    drums::class(DrumMap::Reduced, pitch)
}
