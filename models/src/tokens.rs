//! Conversion of clips to the tokens of a model and back.
//!
//! [`extract`] finds the windows of a file as the original does, [`from_clip`] takes one from a
//! clip, [`to_clip`] goes back. [`Tokens::input_rows`] and its like are the numbers that networks
//! see. How all of this is done is up to the family of the model's configuration
//! ([`crate::families`]).

mod rows;

use crate::clip::Clip;
use crate::config::Config;
use crate::families::{self, percussion};
use crate::midi::NoteSequence;

pub use crate::families::{
    ControlKind, Controls, Limit, OUTPUT_VELOCITY, Place, Source, TokenError, Tokens, Window,
    common_time, roland_to_general,
};

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
    let tokens = config.family().tokens_of_notes(&clip.notes, config.hparams.max_seq_len);
    tokens.ok_or_else(|| TokenError::NoUsableNote {
        config: config.name.clone(),
        wanted: config.family().wanted().of_clip,
    })
}

/// The notes of a window: a melody on channel 0, a bass on channel 1 with program 33, drums on
/// channel 9, with velocity [`OUTPUT_VELOCITY`] unless the tokens have their own.
///
/// Tokens that no model makes (from a damaged file, say) and those of another family make no note.
pub fn to_clip(config: &Config, tokens: &Tokens) -> Clip {
    Clip::new(config.family().to_notes(tokens), families::beats(tokens.len()))
}

/// The windows of a sequence, in the order and selection of the original.
///
/// Windows are made of whole bars of 16 steps, within one tempo and time signature. Melodies and
/// drums move on by one bar from window to window and no window comes twice; grooves move on by
/// their length.
///
/// # Errors
/// [`TokenError`] says why there is none.
pub fn extract(
    config: &Config,
    sequence: &NoteSequence,
    limit: Limit,
) -> Result<Vec<Window>, TokenError> {
    let found = extract_with_places(config, sequence, limit)?;
    Ok(found.into_iter().map(|(window, _)| window).collect())
}

/// As [`extract`], each window with the place where it comes first.
///
/// # Errors
/// As [`extract`].
pub fn extract_with_places(
    config: &Config,
    sequence: &NoteSequence,
    limit: Limit,
) -> Result<Vec<(Window, Place)>, TokenError> {
    let family = config.family();
    let windows = family.windows(sequence, config.hparams.max_seq_len, limit);
    if windows.is_empty() {
        return Err(families::reason(family, &config.name, config.bars(), sequence));
    }
    Ok(windows)
}

impl Place {
    /// The notes of `sequence` from which the tokens of the window at this place were made: of its
    /// own instruments alone, and where several begin on a step only the one that the token stands
    /// for (the highest of a melody, the loudest of a class of drums). In the order of steps.
    pub fn sources(&self, config: &Config, sequence: &NoteSequence) -> Vec<Source> {
        self.notes(config.family(), config.hparams.max_seq_len, sequence)
    }
}

impl Controls {
    /// The controls of a window that follow from a clip: its hits, or the chords found under its
    /// notes (no chord where none can be found). `None` for configurations without controls.
    pub fn of_clip(config: &Config, clip: &Clip, tokens: &Tokens) -> Option<Self> {
        config.family().controls_of_clip(clip, tokens)
    }

    /// The controls that follow from tokens alone: the hits of a groove, for the configuration
    /// that is given them. `None` otherwise.
    pub fn of_tokens(config: &Config, tokens: &Tokens) -> Option<Self> {
        config.family().controls_of_tokens(tokens)
    }

    /// Empty controls: no chord, or no hits. `None` for a configuration without controls.
    pub fn none(config: &Config, steps: usize) -> Option<Self> {
        config.family().control_kind().map(|kind| kind.none(steps))
    }
}

/// The class of a drum pitch among those of [`percussion::CLASS_NAMES`]; `None` for a pitch without
/// one.
pub fn drum_class(pitch: u8) -> Option<usize> {
    percussion::class(percussion::DrumMap::Reduced, pitch)
}

/// The pitch that stands for the class of a drum in the notes of a configuration's windows; `None`
/// for one without a class.
pub fn drum_pitch(config: &Config, pitch: u8) -> Option<u8> {
    families::drum_pitch(config.family(), pitch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::by_name;
    use crate::families::testing::parts;

    /// A bar under a chord that is not understood is in no window; those around it are.
    #[test]
    fn unknown_chords_give_no_window() {
        let config = by_name("cat-mel_2bar_med_chords").unwrap();
        // Eight bars of one note.
        let mut sequence = parts(1, 16.0, &[0]);
        let change = |time, chord| crate::midi::ChordChange { time, chord };
        sequence.chords = vec![change(0.0, Some(1)), change(4.0, None), change(6.0, Some(6))];
        let windows = extract(&config, &sequence, Limit::All).unwrap();
        let chords: Vec<_> = windows.into_iter().map(|window| window.controls.unwrap()).collect();
        assert_eq!(chords, [1, 6].map(|chord| Controls::Chords(vec![chord; 32])));
        sequence.chords = vec![change(0.0, None)];
        let error = extract(&config, &sequence, Limit::All).unwrap_err();
        assert!(matches!(error, TokenError::UnknownChords { .. }), "{error}");
    }
}
