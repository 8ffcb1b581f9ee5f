//! Drum patterns of one bar in JSON, as collections of drum machine patterns have them: a list of
//! `{"title", "signature", "length", "tracks": {"BassDrum": ["Note", "Rest", …], …}}`.

use std::collections::BTreeMap;

use interlude_models::midi::{NoteSequence, SequenceNote};
use serde::Deserialize;

/// Steps of a bar.
const STEPS: usize = 16;
/// Seconds of a step at 120 quarter notes a minute.
const STEP: f64 = 0.125;
/// Velocity of a stroke, and of one with an accent.
const VELOCITIES: [u8; 2] = [80, 110];
/// Most patterns that are read from a file.
const MOST: usize = 1 << 16;

#[derive(Deserialize)]
struct Pattern {
    title: String,
    signature: String,
    length: usize,
    tracks: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    accent: Vec<String>,
}

/// The patterns of a file as drum music, by group: patterns whose titles begin alike up to and with
/// their first number. In each there is every pattern played twice, and every pattern followed by
/// its neighbour. Patterns that are not 16 steps in 4/4 are left out.
///
/// # Errors
/// A reason when the file is no such list.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Vec<NoteSequence>>, String> {
    let patterns: Vec<Pattern> = serde_json::from_slice(bytes)
        .map_err(|error| format!("it is no list of drum patterns: {error}"))?;
    let mut groups: BTreeMap<String, Vec<Vec<Stroke>>> = BTreeMap::new();
    for pattern in patterns.into_iter().take(MOST) {
        if pattern.length == STEPS && pattern.signature == "4/4" {
            groups.entry(group(&pattern.title).to_owned()).or_default().push(strokes(&pattern));
        }
    }
    let sequences = groups.into_iter().map(|(group, bars)| {
        let twice = bars.iter().map(|bar| sequence(bar, bar));
        let pairs = bars.windows(2).map(|pair| sequence(&pair[0], &pair[1]));
        (group, twice.chain(pairs).collect())
    });
    Ok(sequences.collect())
}

/// A title up to and with its first number.
fn group(title: &str) -> &str {
    let digit = |character: char| character.is_ascii_digit();
    let first = title.find(digit).unwrap_or(title.len());
    let after = title[first..].find(|character| !digit(character));
    &title[..after.map_or(title.len(), |after| first + after)]
}

/// A note of a bar.
#[derive(Clone, Copy)]
struct Stroke {
    step: u8,
    pitch: u8,
    velocity: u8,
}

fn strokes(pattern: &Pattern) -> Vec<Stroke> {
    let sounds = |word: &str| word != "Rest";
    let mut strokes = Vec::new();
    for (track, steps) in &pattern.tracks {
        let Some(pitch) = pitch(track) else { continue };
        for (step, _) in (0u8..).zip(steps.iter().take(STEPS)).filter(|(_, word)| sounds(word)) {
            let accent = pattern.accent.get(usize::from(step)).is_some_and(|word| sounds(word));
            strokes.push(Stroke { step, pitch, velocity: VELOCITIES[usize::from(accent)] });
        }
    }
    strokes
}

/// The General MIDI drum of a track; `None` for names that are not known.
fn pitch(track: &str) -> Option<u8> {
    Some(match track {
        "BassDrum" => 36,
        "RimShot" => 37,
        "SnareDrum" => 38,
        "Clap" => 39,
        "ClosedHiHat" => 42,
        "LowTom" => 45,
        "OpenHiHat" => 46,
        "MediumTom" => 48,
        "Cymbal" => 49,
        "HighTom" => 50,
        "Tambourine" => 54,
        "Cowbell" => 56,
        _ => return None,
    })
}

/// Two bars, one after the other.
fn sequence(first: &[Stroke], second: &[Stroke]) -> NoteSequence {
    let bar = f64::from(u8::try_from(STEPS).expect("16")) * STEP;
    let played = first.iter().map(|stroke| (0.0, stroke));
    let played = played.chain(second.iter().map(|stroke| (bar, stroke)));
    let notes: Vec<SequenceNote> = played
        .map(|(from, stroke)| {
            let start = from + f64::from(stroke.step) * STEP;
            SequenceNote {
                start,
                end: start + STEP,
                instrument: 0,
                pitch: stroke.pitch,
                velocity: stroke.velocity,
                program: 0,
                is_drum: true,
            }
        })
        .collect();
    let total_time = notes.iter().map(|note| note.end).fold(0.0, f64::max);
    NoteSequence { notes, total_time, ..NoteSequence::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Patterns of a group are repeated and paired; waltzes and unknown tracks are left out.
    #[test]
    fn patterns_become_two_bars() {
        let pattern = |title: &str, signature: &str| {
            serde_json::json!({
                "title": title, "signature": signature, "length": 16,
                "tracks": {"BassDrum": ["Note", "Rest", "Flam"], "Theremin": ["Note"]},
                "accent": ["Accent"],
            })
        };
        let file = serde_json::json!([
            pattern("Rock1MeasureA", "4/4"),
            pattern("Rock1Break", "4/4"),
            pattern("Rock12", "4/4"),
            pattern("Waltz1", "3/4"),
        ]);
        let groups = read(file.to_string().as_bytes()).expect("patterns");
        assert_eq!(groups.keys().collect::<Vec<_>>(), ["Rock1", "Rock12"]);
        assert_eq!(groups["Rock1"].len(), 3);
        let notes = &groups["Rock12"][0].notes;
        let heard: Vec<_> =
            notes.iter().map(|note| (note.start, note.pitch, note.velocity)).collect();
        assert_eq!(heard, [(0.0, 36, 110), (0.25, 36, 80), (2.0, 36, 110), (2.25, 36, 80)]);
        assert!(read(b"{}").is_err());
    }
}
