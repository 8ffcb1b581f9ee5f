//! Reading what a project has saved: whatever stands there, the result is usable, and what had to be
//! left out is told in sentences.

use interlude_models::clip::{Clip, Note};
use nice_plug::{plugin::ParamValue, prelude::PluginState};
use serde::Deserialize;
use serde_json::Value;

use super::{DEFAULT_MODEL, SONG, Slot, SongState, Style};
use crate::{
    slots::{SLOTS, SlotId},
    table::{KEY, SOUND},
};

/// What is said of a state of which nothing can be read.
pub(super) const UNREADABLE: &str = "What this project saved of Interlude is damaged or cut off, so its clips, model and \
     settings could not be read. You can go on from here; to have them back, open an earlier copy of \
     the project.";

/// Longest text of a state that is read, in bytes; the largest that the plug-in saves has a tenth.
const MOST_TEXT: usize = 32 << 20;
const MOST_NOTES: usize = 8192;
/// Longest clip, in beats.
const LONGEST_CLIP: f64 = 4096.0;
const MOST_STEPS: usize = 65_536;
const LARGEST_LATENT: usize = 8192;
pub(super) const LONGEST_TEXT: usize = 4096;
/// Beats to which the length of a clip that has none is rounded up.
const BAR: f64 = 4.0;
/// Stands in the place of a state that cannot be read.
const MARK: &str = "unreadable";

/// Makes a saved state ready to be loaded: text that is no JSON would be passed over in silence by
/// nice-plug. A project from before the preview has its notes routed to another instrument, so there
/// it is off; one from before the key plays the notes that it did.
pub fn prepare(state: &mut PluginState) {
    state.params.entry(SOUND.id.to_owned()).or_insert(ParamValue::Bool(false));
    state.params.entry(KEY.id.to_owned()).or_insert(ParamValue::I32(0));
    if let Some(text) = state.fields.get_mut(SONG) {
        let readable = |text: &str| serde_json::from_str::<Value>(text).is_ok();
        if text.len() > MOST_TEXT {
            *text = format!("{{\"{MARK}\":true}}");
        } else if !readable(text) {
            *text = with_null_for_odd_numbers(text);
            if !readable(text) {
                *text = format!("{{\"{MARK}\":true}}");
            }
        }
    }
}

/// The text with `null` for numbers that JSON does not know, such as `NaN`: each costs what it is
/// part of, not everything.
fn with_null_for_odd_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' {
            string_length(rest)
        } else if is_word(first) {
            rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (piece, after) = rest.split_at(length);
        let odd = is_word(first) && piece.parse::<f64>().is_ok_and(|number| !number.is_finite());
        out.push_str(if odd { "null" } else { piece });
        rest = after;
    }
    out
}

fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.')
}

/// Bytes of the string in quotes with which the text begins.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

impl From<Value> for SongState {
    fn from(value: Value) -> Self {
        let mut left_out = Vec::new();
        if !value.is_object() || value.get(MARK).is_some() {
            left_out.push(UNREADABLE.to_owned());
        }
        let model = text(value.get("model"));
        let model = if model.is_empty() { DEFAULT_MODEL.to_owned() } else { model };
        let saved = value.get("slots").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut slots: Vec<Slot> = saved
            .iter()
            .zip(SlotId::ALL)
            .map(|(slot, id)| read_slot(slot, id.letter(), &mut left_out))
            .collect();
        slots.resize(SLOTS, Slot::default());
        let style = given(value.get("style")).and_then(|style| {
            let style = Style::deserialize(style).ok();
            if style.is_none() {
                left_out.push(
                    "The style that this project had learnt is damaged and was left out; let it \
                     learn again."
                        .to_owned(),
                );
            }
            style
        });
        Self { model, slots, style, left_out }
    }
}

/// A value that is there.
fn given(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// A text of usable length; empty otherwise.
fn text(value: Option<&Value>) -> String {
    let text = value.and_then(Value::as_str).filter(|text| text.len() <= LONGEST_TEXT);
    text.unwrap_or_default().to_owned()
}

fn read_slot(value: &Value, letter: &str, left_out: &mut Vec<String>) -> Slot {
    let clip = given(value.get("clip")).and_then(|clip| match read_clip(clip) {
        (Some(clip), 0) => Some(clip),
        (Some(clip), 1) => {
            left_out.push(format!(
                "One note of the clip in slot {letter} could not be used and was left out."
            ));
            Some(clip)
        }
        (Some(clip), notes) => {
            left_out.push(format!(
                "{notes} notes of the clip in slot {letter} could not be used and were left out."
            ));
            Some(clip)
        }
        (None, _) => {
            left_out.push(format!(
                "The clip that this project saved in slot {letter} is damaged: no note of it could \
                 be used, and the slot is empty."
            ));
            None
        }
    });
    if clip.is_none() {
        // Without its clip the rest of a slot means nothing.
        return Slot::default();
    }
    let controls =
        value.get("controls").and_then(|controls| Deserialize::deserialize(controls).ok());
    let latent = value.get("latent").and_then(|latent| super::Latent::deserialize(latent).ok());
    Slot {
        clip,
        source: text(value.get("source")),
        controls: controls.filter(|controls: &super::Controls| controls.len() <= MOST_STEPS),
        latent: latent.filter(|latent| {
            latent.mu.len() <= LARGEST_LATENT && latent.mu.iter().all(|value| value.is_finite())
        }),
    }
}

/// The clip without the notes that cannot be used, and how many these are; `None` when no note is
/// left.
fn read_clip(value: &Value) -> (Option<Clip>, usize) {
    let notes = value.get("notes").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let usable: Vec<Note> = notes
        .iter()
        .filter_map(|note| Note::deserialize(note).ok())
        .filter(is_usable)
        .take(MOST_NOTES)
        .collect();
    let left_out = notes.len() - usable.len();
    let Some(end) = usable.iter().map(|note| note.end).reduce(f64::max) else {
        return (None, left_out);
    };
    let length = value.get("length").and_then(Value::as_f64);
    let length = length.filter(|length| *length > 0.0 && *length <= LONGEST_CLIP);
    let length = length.unwrap_or_else(|| (end / BAR).ceil() * BAR);
    (Some(Clip::new(usable, length)), left_out)
}

fn is_usable(note: &Note) -> bool {
    note.start >= 0.0
        && note.end > note.start
        && note.end <= LONGEST_CLIP
        && note.pitch < 128
        && (1..128).contains(&note.velocity)
        && note.channel < 16
        && note.program < 128
}

#[cfg(test)]
mod tests {
    use nice_plug::prelude::Params;

    use super::*;
    use crate::{params::InterludeParams, state::Song};

    const NOTE: &str =
        r#"{"start":1.0,"end":2.0,"pitch":60,"velocity":80,"channel":0,"program":0}"#;

    /// Loads a song's text as a host does.
    fn load(song: &str) -> InterludeParams {
        let params = InterludeParams::default();
        let mut state = PluginState {
            version: String::new(),
            params: Default::default(),
            fields: [(SONG.to_owned(), song.to_owned())].into(),
        };
        prepare(&mut state);
        params.deserialize_fields(&state.fields);
        params
    }

    fn notes(song: &Song, slot: usize) -> Option<usize> {
        song.read(|state| state.slots[slot].clip.as_ref().map(|clip| clip.notes.len()))
    }

    /// Whatever makes one note unusable costs that note alone, and it is told.
    #[test]
    fn an_unusable_note_costs_that_note() {
        let odd = [
            ("\"start\":1.0", "\"start\":-1.0"),
            ("\"start\":1.0", "\"start\":NaN"),
            ("\"start\":1.0", "\"start\":null"),
            ("\"end\":2.0", "\"end\":-Infinity"),
            ("\"end\":2.0", "\"end\":1e999"),
            ("\"end\":2.0", "\"end\":0.5"),
            ("\"pitch\":60", "\"pitch\":200"),
            ("\"pitch\":60", "\"pitch\":3000"),
            ("\"pitch\":60", "\"pitch\":-3"),
            ("\"pitch\":60,", ""),
            ("\"velocity\":80", "\"velocity\":\"loud\""),
            ("\"velocity\":80", "\"velocity\":0"),
            ("\"channel\":0", "\"channel\":16"),
        ];
        for (usual, odd) in odd {
            assert!(NOTE.contains(usual));
            let broken = NOTE.replace(usual, odd);
            let slot = format!(r#"{{"clip":{{"notes":[{NOTE},{broken},{NOTE}],"length":8.0}}}}"#);
            let params = load(&format!(r#"{{"model":"m","slots":[{slot},{slot}]}}"#));
            assert_eq!([0, 1].map(|slot| notes(&params.song, slot)), [Some(2); 2], "{odd}");
            let problem = params.song.problem().expect("it is told");
            assert!(problem.contains("One note of the clip in slot A"), "{problem}");
            assert!(problem.contains("One note of the clip in slot B"), "{problem}");
            assert_eq!(params.song.read(|state| state.model.clone()), "m");
        }
        let params = load(&format!(r#"{{"slots":[{{"clip":{{"notes":[{NOTE}],"length":-1}}}}]}}"#));
        let length = params.song.read(|state| state.slots[0].clip.as_ref().map(|clip| clip.length));
        assert_eq!((length, params.song.problem()), (Some(4.0), None));
    }

    /// Text that is cut off, no JSON, nested without end or of absurd size leaves an empty, usable
    /// project and a sentence; the next change of the user's takes that away.
    #[test]
    fn damaged_states_are_told() {
        let whole = format!(r#"{{"model":"m","slots":[{{"clip":{{"notes":[{NOTE}]}}}}]}}"#);
        assert_eq!(load(&whole).song.problem(), None);
        let huge = format!("\"{}\"", "x".repeat(MOST_TEXT));
        for damaged in ["", "null", "[]", "\u{fffd}", &whole[..60], &"[".repeat(100_000), &huge] {
            let params = load(damaged);
            assert_eq!(params.song.problem().as_deref(), Some(UNREADABLE));
            assert_eq!(params.song.read(|state| state.model.clone()), DEFAULT_MODEL);
            assert_eq!(notes(&params.song, 0), None);
            params.song.edit(|state| state.model = "another".to_owned());
            assert_eq!(params.song.problem(), None);
        }
    }

    /// Only numbers outside of strings are looked at.
    #[test]
    fn strings_stay_as_they_are() {
        let text = r#"{"a NaN \" inf":[NaN,-Infinity,1e999,-1.5e3,true,"nan"]}"#;
        let expected = r#"{"a NaN \" inf":[null,null,null,-1.5e3,true,"nan"]}"#;
        assert_eq!(with_null_for_odd_numbers(text), expected);
    }
}
