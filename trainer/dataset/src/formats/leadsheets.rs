//! Lead sheets as lines of JSON: melody and chords of a song each, as
//! `{"title", "tpq", "ts": [[tick, numerator, denominator]], "melody": [[tick, ticks, pitch]],
//! "chords": [[tick, root, kind of MusicXML, bass]]}`.

use interlude_models::chords::chord_class;
use interlude_models::midi::{ChordChange, NoteSequence, SequenceNote, Tempo, TimeSignature};
use serde::Deserialize;

use super::names::SEPARATORS;

/// Quarter notes a minute.
const QPM: f64 = 120.0;
/// Velocity of all notes.
const VELOCITY: u8 = 80;
/// Latest tick that is read: longer than any song at any resolution.
const LAST_TICK: f64 = 1e9;

#[derive(Deserialize)]
struct Sheet {
    title: String,
    #[serde(rename = "tpq")]
    ticks_per_quarter: f64,
    ts: Vec<(f64, u32, u32)>,
    melody: Vec<(f64, f64, u8)>,
    #[serde(default)]
    chords: Vec<(f64, String, String, String)>,
}

/// The songs of a file by number and title.
///
/// # Errors
/// A reason with the number of the line that is no lead sheet.
pub fn read(bytes: &[u8]) -> Result<Vec<(String, NoteSequence)>, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let lines = (1u32..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(number, line)| {
            let sheet: Sheet = serde_json::from_str(line)
                .map_err(|error| format!("line {number} is no lead sheet: {error}"))?;
            let title = sheet.title.replace(SEPARATORS, "-");
            let sequence =
                sequence(&sheet).ok_or_else(|| format!("line {number} has impossible times"))?;
            Ok((format!("{number} {title}"), sequence))
        })
        .collect()
}

/// The song in seconds; `None` for times that are none.
fn sequence(sheet: &Sheet) -> Option<NoteSequence> {
    let quarter = sheet.ticks_per_quarter;
    if !(quarter.is_finite() && quarter >= 1.0) {
        return None;
    }
    let seconds =
        |tick: f64| (0.0..=LAST_TICK).contains(&tick).then_some(tick / quarter * 60.0 / QPM);
    let mut sequence =
        NoteSequence { tempos: vec![Tempo { time: 0.0, qpm: QPM }], ..NoteSequence::default() };
    for &(tick, numerator, denominator) in &sheet.ts {
        let time = seconds(tick)?;
        sequence.time_signatures.push(TimeSignature { time, numerator, denominator });
    }
    for &(tick, length, pitch) in sheet.melody.iter().filter(|note| note.1 > 0.0 && note.2 < 128) {
        let (start, end) = (seconds(tick)?, seconds(tick + length)?);
        sequence.notes.push(SequenceNote {
            start,
            end,
            instrument: 0,
            pitch,
            velocity: VELOCITY,
            program: 0,
            is_drum: false,
        });
        sequence.total_time = sequence.total_time.max(end);
    }
    for (tick, root, kind, _) in &sheet.chords {
        let symbol = quality(kind).map(|quality| format!("{root}{quality}"));
        let chord =
            if kind == "none" { Some(0) } else { symbol.and_then(|text| chord_class(&text)) };
        sequence.chords.push(ChordChange { time: seconds(*tick)?, chord });
    }
    Some(sequence)
}

/// What is added to a root's name for the triad of a kind of chord, as MusicXML names kinds; `None`
/// for chords without one, such as suspended ones, and for names that are not known.
fn quality(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "major-minor" => "m",
        kind if kind.starts_with("minor") => "m",
        kind if kind.contains("diminished") => "dim",
        kind if kind.starts_with("augmented") => "aug",
        kind if kind.starts_with("major") || kind.starts_with("dominant") => "",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // A line gives a melody in seconds with its chords, none for kinds that the models do not know; what
    // stands for a path is taken away.
    #[test]
    fn sheets_are_read() {
        let line = r#"{"title": "A/B", "tpq": 48, "ts": [[0, 4, 4]], "melody": [[48, 24, 60]],
            "chords": [[0, "Bb", "minor-seventh", ""], [96, "C", "suspended-fourth", ""],
            [144, "C", "dominant", ""], [192, "C", "none", ""]]}"#;
        let songs = read(line.replace('\n', " ").as_bytes()).expect("a sheet");
        let [(name, song)] = &songs[..] else { panic!("one song") };
        assert_eq!(name, "1 A-B");
        assert_eq!((song.notes[0].start, song.notes[0].end, song.total_time), (0.5, 0.75, 0.75));
        let chords: Vec<_> = song.chords.iter().map(|change| (change.time, change.chord)).collect();
        assert_eq!(chords, [(0.0, Some(13 + 10)), (1.0, None), (1.5, Some(1)), (2.0, Some(0))]);
    }

    // Damaged lines are named by their number.
    #[test]
    fn damage_is_named() {
        assert!(read(b"{}").expect_err("nothing in it").contains("line 1"));
        let line = r#"{"title": "", "tpq": 0, "ts": [], "melody": []}"#;
        assert!(read(line.as_bytes()).expect_err("no resolution").contains("line 1"));
    }
}
