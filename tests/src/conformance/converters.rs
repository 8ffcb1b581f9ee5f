//! Data converters against what the original made of the same MIDI files.
//!
//! A fixture is a pair `NAME.mid` and `NAME.json`; the README beside them tells what the JSON
//! holds. The expected values are what Magenta's converters returned.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use interlude_models::clip::{Clip, DRUM_CHANNEL};
use interlude_models::config::{Config, OutputKind, by_name};
use interlude_models::midi::{self, NoteSequence};
use interlude_models::tokens::{self, ControlKind, Controls, Limit, Tokens, Window};
use serde_json::Value;

use super::Row;

/// Velocities and offsets of grooves are recorded as 32-bit floats with seven digits.
const VALUE_TOLERANCE: f64 = 2e-6;
/// What a deviation by one step of velocity counts.
const VELOCITY_WEIGHT: f64 = 5e-4;
/// Seconds: both sides compute in 64-bit floats.
const TIME_TOLERANCE: f64 = 1e-9;

/// The converter fixtures at `folder` or below it, in the order of their names: JSON files with a
/// MIDI file of the same name.
///
/// # Errors
/// When a folder cannot be read.
pub fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder)
        .with_context(|| format!("cannot read the folder `{}`", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(find(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "json")
            && path.with_extension("mid").is_file()
        {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Compares everything that a fixture holds.
pub fn check(json: &Path) -> Vec<Row> {
    let fixture = json.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match read(json) {
        Ok((expected, sequence)) => {
            let notes = check_notes(&expected["note_sequence"], &sequence);
            let mut rows = vec![row(&fixture, "notes", notes, TIME_TOLERANCE)];
            for (kind, expected) in expected["converters"].as_object().into_iter().flatten() {
                let outcome = check_converter(kind, expected, &sequence);
                rows.push(row(&fixture, kind, outcome, VALUE_TOLERANCE));
            }
            rows
        }
        Err(error) => vec![row(&fixture, "files", Err(error), 0.0)],
    }
}

/// A row with the worst difference, or with the reason why there is none.
fn row(fixture: &str, what: &str, outcome: Result<f64>, tolerance: f64) -> Row {
    let (what, error) = match outcome {
        Ok(worst) => (what.to_owned(), worst),
        Err(error) => (format!("{what}: {error:#}"), f64::NAN),
    };
    Row { fixture: fixture.to_owned(), what, error, tolerance }
}

fn read(json: &Path) -> Result<(Value, NoteSequence)> {
    let text = fs::read(json).with_context(|| format!("cannot read {}", json.display()))?;
    let expected =
        serde_json::from_slice(&text).with_context(|| format!("{} is not JSON", json.display()))?;
    Ok((expected, NoteSequence::open(&json.with_extension("mid"))?))
}

/// The largest difference in seconds between recorded and read notes, tempos and time signatures.
fn check_notes(expected: &Value, sequence: &NoteSequence) -> Result<f64> {
    let ticks = expected["ticks_per_quarter"].as_u64();
    ensure!(ticks == Some(sequence.ticks_per_quarter.into()), "ticks per quarter note differ");
    let notes: Vec<[f64; 7]> = sequence
        .notes
        .iter()
        .map(|note| {
            [
                f64::from(note.pitch),
                f64::from(note.velocity),
                note.start,
                note.end,
                f64::from(note.instrument),
                f64::from(note.program),
                f64::from(u8::from(note.is_drum)),
            ]
        })
        .collect();
    let tempos: Vec<[f64; 2]> =
        sequence.tempos.iter().map(|tempo| [tempo.time, tempo.qpm]).collect();
    let signatures: Vec<[f64; 3]> = sequence
        .time_signatures
        .iter()
        .map(|next| [next.time, f64::from(next.numerator), f64::from(next.denominator)])
        .collect();
    let worst = [
        compare_tables("notes", &expected["notes"], &notes)?,
        compare_tables("tempos", &expected["tempos"], &tempos)?,
        compare_tables("time signatures", &expected["time_signatures"], &signatures)?,
        (number(&expected["total_time"])? - sequence.total_time).abs(),
    ];
    Ok(worst.into_iter().fold(0.0, f64::max))
}

/// The largest difference between a recorded table and rows of our own, in the same order.
fn compare_tables<const N: usize>(what: &str, expected: &Value, ours: &[[f64; N]]) -> Result<f64> {
    let expected = list(expected)?;
    ensure!(expected.len() == ours.len(), "{} {what} instead of {}", ours.len(), expected.len());
    let mut worst = 0.0f64;
    for (expected, ours) in expected.iter().zip(ours) {
        let expected = list(expected)?;
        ensure!(expected.len() == N, "{what} have {} columns", expected.len());
        for (expected, ours) in expected.iter().zip(ours) {
            worst = worst.max((number(expected)? - ours).abs());
        }
    }
    Ok(worst)
}

/// Windows, their order under the original's limit, and the way back to notes and MIDI.
fn check_converter(kind: &str, expected: &Value, sequence: &NoteSequence) -> Result<f64> {
    if let Some(error) = expected["error"].as_str() {
        return check_error(error, kind, sequence);
    }
    let name = expected["config"].as_str().context("no configuration is named")?;
    let config = by_name(name)?;
    let recorded = list(&expected["sequences"])?;
    // No window is an error here and an empty list in the original.
    let windows = tokens::extract(&config, sequence, Limit::All).unwrap_or_default();
    ensure!(
        windows.len() == recorded.len(),
        "{} windows instead of {}",
        windows.len(),
        recorded.len()
    );
    let mut worst = 0.0f64;
    for (index, (recorded, window)) in recorded.iter().zip(&windows).enumerate() {
        let difference =
            compare_window(&config, recorded, window).with_context(|| format!("window {index}"))?;
        worst = worst.max(difference);
    }
    check_order(&config, expected, sequence, &windows)?;
    for (index, (recorded, window)) in
        list(&expected["from_tensors_of_first_2"])?.iter().zip(&windows).enumerate()
    {
        let difference = check_way_back(&config, recorded, &window.tokens)
            .with_context(|| format!("notes of window {index}"))?;
        worst = worst.max(difference);
    }
    Ok(worst)
}

/// The original fails on drum pitches without a class; here such notes are left out.
fn check_error(error: &str, kind: &str, sequence: &NoteSequence) -> Result<f64> {
    let pitch = error.strip_prefix("KeyError: ").and_then(|pitch| pitch.parse::<u8>().ok());
    let pitch = pitch.with_context(|| format!("`{error}` is no error known of the original"))?;
    ensure!(sequence.notes.iter().any(|note| note.pitch == pitch), "pitch {pitch} is not there");
    let name = if kind == "groove_4bar" { "groovae_4bar" } else { "groovae_2bar_humanize" };
    let mut mapped = sequence.clone();
    mapped.notes.retain(|note| tokens::drum_class(note.pitch).is_some());
    let config = by_name(name)?;
    ensure!(
        tokens::extract(&config, sequence, Limit::All)?
            == tokens::extract(&config, &mapped, Limit::All)?,
        "unmapped drums change the windows"
    );
    Ok(0.0)
}

/// The windows that the original gives under its limit, in its order.
fn check_order(
    config: &Config,
    expected: &Value,
    sequence: &NoteSequence,
    all: &[Window],
) -> Result<()> {
    let is_groove = config.output_kind() == OutputKind::Groove;
    let limit = if is_groove { Limit::All } else { Limit::ORIGINAL };
    let limited = tokens::extract(config, sequence, limit).unwrap_or_default();
    let order: Vec<usize> = list(&expected["infer_default_order"])?
        .iter()
        .map(|index| index.as_u64().and_then(|index| usize::try_from(index).ok()))
        .collect::<Option<_>>()
        .context("the order holds something else than indices")?;
    ensure!(order.len() == limited.len(), "{} windows under the limit", limited.len());
    // Chords are strings there, and strings hash differently in every run of Python.
    if config.family().control_kind() == Some(ControlKind::Chords) {
        ensure!(limited.iter().all(|window| all.contains(window)), "a window from nowhere");
        return Ok(());
    }
    for (index, window) in order.iter().zip(&limited) {
        ensure!(all.get(*index) == Some(window), "the order under the limit differs");
    }
    Ok(())
}

/// The largest difference between a recorded window and one of ours.
fn compare_window(config: &Config, recorded: &Value, window: &Window) -> Result<f64> {
    let mut worst = 0.0f64;
    let steps = window.tokens.len();
    ensure!(recorded["length"].as_u64() == Some(steps as u64), "{steps} steps");
    let input = window.tokens.input_rows(config)?;
    let output = window.tokens.output_rows(config)?;
    let (input_depth, output_depth) = (config.input_depth(), config.output_depth());
    let keys = recorded.as_object().context("a window is no object")?;
    for (key, value) in keys {
        match key.as_str() {
            "length" => {}
            "tokens" => compare_ids(config, value, &window.tokens)?,
            "control_tokens" => {
                let chords = window.controls.clone();
                ensure!(chords == Some(Controls::Chords(small_numbers(value)?)), "chords differ");
            }
            "input_rows_on_bits" => compare_bits(value, &input, input_depth)?,
            "output_rows_on_bits" => {
                compare_bits(value, &output, output_depth)?;
                let bits = input.chunks_exact(input_depth).flat_map(|row| &row[..output_depth]);
                ensure!(bits.eq(&output), "input and output bits differ");
            }
            "input_bit61_is_no_event" => {
                let nothing: Vec<u8> = small_numbers(value)?;
                let ours = input.chunks_exact(input_depth).map(|row| row[61] > 0.5);
                ensure!(ours.eq(nothing.iter().map(|bit| *bit == 1)), "no-event bits differ");
            }
            "input_sparse_step_dim_value" => {
                worst = worst.max(compare_sparse(value, &input, input_depth)?);
            }
            "output_sparse_step_dim_value" => {
                worst = worst.max(compare_sparse(value, &output, output_depth)?);
            }
            other => anyhow::bail!("`{other}` cannot be compared"),
        }
    }
    Ok(worst)
}

fn compare_ids(config: &Config, expected: &Value, tokens: &Tokens) -> Result<()> {
    let ids = tokens.ids(config)?;
    let parts: Vec<&Value> = match expected {
        Value::Object(parts) => ["melody", "bass", "drums"]
            .iter()
            .map(|part| parts.get(*part).with_context(|| format!("no {part}")))
            .collect::<Result<_>>()?,
        single => vec![single],
    };
    for (index, part) in parts.iter().enumerate() {
        let ours = ids.iter().skip(index).step_by(parts.len()).map(|id| u64::from(*id));
        let expected = list(part)?;
        ensure!(
            ours.eq(expected.iter().map(|id| id.as_u64().unwrap_or(u64::MAX))),
            "tokens differ"
        );
    }
    Ok(())
}

fn compare_bits(expected: &Value, rows: &[f32], depth: usize) -> Result<()> {
    let expected = list(expected)?;
    ensure!(expected.len() == rows.len() / depth, "the number of steps differs");
    for (step, (expected, row)) in expected.iter().zip(rows.chunks_exact(depth)).enumerate() {
        let ours: BTreeSet<u8> =
            (0u8..).zip(row).filter(|(_, value)| **value > 0.5).map(|(bit, _)| bit).collect();
        let expected: BTreeSet<u8> = small_numbers(expected)?.into_iter().collect();
        ensure!(ours == expected, "bits differ at step {step}");
    }
    Ok(())
}

fn compare_sparse(expected: &Value, rows: &[f32], depth: usize) -> Result<f64> {
    let mut difference: Vec<f64> = rows.iter().copied().map(f64::from).collect();
    for entry in list(expected)? {
        let index = |at: usize| entry[at].as_u64().and_then(|index| usize::try_from(index).ok());
        let (step, dim) = index(0).zip(index(1)).context("an entry is no step and dimension")?;
        let value = difference.get_mut(step * depth + dim).context("an entry beyond the window")?;
        *value -= number(&entry[2])?;
    }
    Ok(difference.into_iter().map(f64::abs).fold(0.0, f64::max))
}

/// The largest difference between recorded notes and those made from tokens, and the MIDI file of
/// them where it is recorded.
pub(super) fn check_way_back(config: &Config, recorded: &Value, tokens: &Tokens) -> Result<f64> {
    let clip = tokens::to_clip(config, tokens);
    let mut ours: Vec<[f64; 7]> = notes_in_seconds(&clip);
    let mut expected: Vec<[f64; 7]> = Vec::new();
    for note in list(&recorded["notes"])? {
        let mut columns = [0.0; 7];
        for (column, value) in columns.iter_mut().zip(list(note)?) {
            *column = number(value)?;
        }
        // A hit early on the first step begins before 0 there and at 0 here.
        columns[2] = columns[2].max(0.0);
        expected.push(columns);
    }
    // Notes of one step come in the order of a set there.
    let key = |note: &[f64; 7]| (note[4].to_bits(), note[2].to_bits(), note[0].to_bits());
    ours.sort_by_key(key);
    expected.sort_by_key(key);
    ensure!(ours.len() == expected.len(), "{} notes instead of {}", ours.len(), expected.len());
    let groove = config.output_kind() == OutputKind::Groove;
    if groove {
        // Velocities are rounded to whole numbers, so that the least deviation may become 1.
        ours.iter_mut().chain(&mut expected).for_each(|note| note[1] *= VELOCITY_WEIGHT);
    }
    let worst = ours.iter().flatten().zip(expected.iter().flatten());
    let worst = worst.map(|(ours, expected)| (ours - expected).abs()).fold(0.0, f64::max);
    // Times of grooves are not the same to the last tick.
    let file = ["midi_file_base64", "midi_base64"].iter().find_map(|key| recorded[key].as_str());
    if let Some(encoded) = file.filter(|_| !groove) {
        let bytes = base64(encoded).context("the MIDI file is not base64")?;
        ensure!(midi::to_bytes(&clip, 120.0) == bytes, "the MIDI file differs");
    }
    Ok(worst)
}

fn notes_in_seconds(clip: &Clip) -> Vec<[f64; 7]> {
    clip.notes
        .iter()
        .map(|note| {
            [
                f64::from(note.pitch),
                f64::from(note.velocity),
                note.start * 0.5,
                note.end * 0.5,
                f64::from(note.channel),
                f64::from(note.program),
                f64::from(u8::from(note.channel == DRUM_CHANNEL)),
            ]
        })
        .collect()
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("a list is missing")
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().context("a number is missing")
}

fn small_numbers(value: &Value) -> Result<Vec<u8>> {
    let numbers = list(value)?.iter();
    numbers
        .map(|value| value.as_u64().and_then(|value| u8::try_from(value).ok()))
        .collect::<Option<_>>()
        .context("a small number is missing")
}

/// Decodes standard base64 with padding.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    for letter in text.trim_end_matches('=').bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(bytes)
}
