//! What a model is given of a slot: the tokens of its clip, and the controls beside them.
//!
//! - A clip shorter than the model's window is repeated, as a clip in a workstation is; of a longer
//!   one the first bars count.
//! - A model that drums to a tapped rhythm takes every note for a tap, whatever its key.
//! - A model with chords is told those of the file that the clip came from, or else those that are
//!   found under the clip's notes; a captured clip may hold chords below its melody.
//! - A model whose hits are given drums the hits of the clip; what it makes up is how they are
//!   played.

use std::borrow::Cow;

use interlude_models::{
    clip::{BEATS_PER_STEP, Clip, DRUM_CHANNEL, Note},
    config::Config,
    tokens::{self, Controls, TokenError, Tokens},
};

/// The key that stands for a tap: a drum of every map.
const TAP: u8 = 46;

/// The tokens of a clip and the controls of a model that has some. `given` are controls that came
/// with the clip; they count when they are of the model's kind and length.
pub(super) fn read(
    config: &Config,
    clip: &Clip,
    given: Option<&Controls>,
) -> Result<(Tokens, Option<Controls>), TokenError> {
    let steps = config.hparams.max_seq_len;
    let reads_taps = config.family().reads_taps();
    let clip = if reads_taps { Cow::Owned(taps(clip)) } else { Cow::Borrowed(clip) };
    let clip = repeated(clip, beats(steps));
    let tokens = tokens::from_clip(config, &clip)?;
    let fits = |controls: &&Controls| controls.len() == steps && controls.rows(config).is_ok();
    let controls = given
        .filter(fits)
        .cloned()
        .or_else(|| Controls::of_clip(config, &clip, &tokens))
        .or_else(|| Controls::none(config, steps));
    Ok((tokens, controls))
}

fn beats(steps: usize) -> f64 {
    f64::from(u32::try_from(steps).unwrap_or(u32::MAX)) * BEATS_PER_STEP
}

fn taps(clip: &Clip) -> Clip {
    let tap = |note: &Note| Note { pitch: TAP, channel: DRUM_CHANNEL, ..*note };
    Clip { notes: clip.notes.iter().map(tap).collect(), length: clip.length }
}

/// The clip, played again until `length` beats are full.
fn repeated(clip: Cow<'_, Clip>, length: f64) -> Cow<'_, Clip> {
    // Shorter than a beat is no clip to repeat, and would be repeated without end.
    if !(1.0..length).contains(&clip.length) {
        return clip;
    }
    let mut notes = Vec::new();
    let mut start = 0.0;
    while start < length {
        let again =
            |note: &Note| Note { start: note.start + start, end: note.end + start, ..*note };
        notes.extend(clip.notes.iter().map(again).filter(|note| note.start < length));
        start += clip.length;
    }
    Cow::Owned(Clip::new(notes, length))
}

#[cfg(test)]
mod tests {
    use interlude_models::config::by_name;

    use super::*;

    fn note(start: f64, pitch: u8) -> Note {
        Note { start, end: start + 0.5, pitch, velocity: 90, channel: 0, program: 0 }
    }

    fn config(name: &str) -> Config {
        by_name(name).expect("a name of the table")
    }

    /// A two-bar clip fills sixteen bars by being repeated; a longer one is cut.
    #[test]
    fn clips_fill_the_window() {
        let clip = Clip::new(vec![note(0.0, 60), note(5.0, 64)], 8.0);
        let (tokens, controls) = read(&config("flat-mel_16bar"), &clip, None).expect("a melody");
        let Tokens::Melody(steps) = tokens else { panic!("{tokens:?}") };
        assert_eq!((steps.len(), controls), (256, None));
        for bars in 0..8 {
            assert_eq!([steps[bars * 32], steps[bars * 32 + 20]], [60 - 19, 64 - 19]);
        }
        let long = Clip::new(vec![note(0.0, 60), note(9.0, 64)], 64.0);
        let (tokens, _) = read(&config("cat-mel_2bar_small"), &long, None).expect("a melody");
        let Tokens::Melody(steps) = tokens else { panic!("{tokens:?}") };
        assert_eq!((steps.len(), steps[0]), (32, 60 - 19));
        assert!(!steps.contains(&(64 - 19)));
    }

    /// Keys that are no drums are taps; a groove model that reads drums has no use for them.
    #[test]
    fn any_key_taps() {
        let clip = Clip::new(vec![note(0.0, 100), note(1.0, 12)], 8.0);
        let (tokens, _) =
            read(&config("groovae_2bar_tap_fixed_velocity"), &clip, None).expect("taps");
        let Tokens::Groove(steps) = tokens else { panic!("{tokens:?}") };
        let hit = |step: &[f32; 27]| step[..9].iter().any(|hit| *hit > 0.5);
        let hits: Vec<usize> = (0..steps.len()).filter(|&step| hit(&steps[step])).collect();
        assert_eq!(hits, [0, 4]);
        assert!(read(&config("groovae_4bar"), &clip, None).is_err());
    }

    /// Chords are found under a clip, unless it came with some; hits are those of the clip.
    #[test]
    fn controls_follow_the_clip() {
        let chords = config("cat-mel_2bar_med_chords");
        let held = |start: f64, pitch| Note { end: start + 4.0, ..note(start, pitch) };
        let notes = [(0.0, [60, 64, 67]), (4.0, [69, 72, 76])];
        let notes = notes.iter().flat_map(|(start, keys)| keys.map(|key| held(*start, key)));
        let clip = Clip::new(notes.collect(), 8.0);
        let (_, found) = read(&chords, &clip, None).expect("a melody");
        let Some(Controls::Chords(found)) = found else { panic!("{found:?}") };
        // C major is 1, A minor 13 + 9.
        assert_eq!((found.len(), found[0], found[31]), (32, 1, 22));

        let given = Controls::Chords(vec![3; 32]);
        assert_eq!(read(&chords, &clip, Some(&given)).expect("a melody").1, Some(given));
        for unfit in [Controls::Chords(vec![3; 5]), Controls::Hits(vec![1; 32])] {
            let (_, controls) = read(&chords, &clip, Some(&unfit)).expect("a melody");
            assert_eq!(controls, Some(Controls::Chords(found.clone())));
        }

        let drums = Clip::new(vec![note(0.0, 36), note(1.0, 38)], 8.0);
        let (_, hits) =
            read(&config("groovae_2bar_hits_control_tfds"), &drums, None).expect("hits");
        let Some(Controls::Hits(hits)) = hits else { panic!("{hits:?}") };
        assert_eq!((hits[0], hits[4], hits.iter().filter(|bits| **bits != 0).count()), (1, 2, 2));
    }
}
