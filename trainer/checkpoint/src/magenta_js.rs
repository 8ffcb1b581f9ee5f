//! Checkpoints of Magenta.js: a folder with `weights_manifest.json`, shards, and `config.json`.
//!
//! The manifest lists groups of weights; the bytes of a group's weights follow one another through
//! the group's shards. Weights may be quantised to 8 or 16 bits. Source: the weights format of
//! TensorFlow.js and `music/src/music_vae/model.ts` of Magenta.js.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Component, Path};

use interlude_models::config::{self, Config, Scheme};
use interlude_models::families::{self, SEGMENTS};
use serde::Deserialize;

use super::data::{Coding, Data, Piece};
use super::files::Files;
use super::guess::Hint;
use super::{CheckpointError, ElementType, Entry};

/// Name of the list of weights.
pub(crate) const MANIFEST: &str = "weights_manifest.json";
/// Name of the description of the model.
pub(crate) const CONFIG: &str = "config.json";
/// Largest JSON file that is read; those of the original have 20 kB.
const MAX_JSON_BYTES: u64 = 16 << 20;

#[derive(Deserialize)]
struct Group {
    paths: Vec<String>,
    weights: Vec<Weight>,
}

#[derive(Deserialize)]
struct Weight {
    name: String,
    shape: Vec<usize>,
    dtype: String,
    quantization: Option<Quantization>,
}

#[derive(Deserialize)]
struct Quantization {
    dtype: String,
    scale: f64,
    min: f64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Model {
    #[serde(rename = "type")]
    kind: String,
    data_converter: Converter,
    chord_encoder: Option<String>,
}

#[derive(Deserialize)]
struct Converter {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    args: Arguments,
}

impl Converter {
    /// What families know it by.
    fn describe<'a>(&'a self, chord_encoder: Option<&'a str>) -> families::Converter<'a> {
        families::Converter {
            name: &self.kind,
            chord_encoder,
            drum_classes: self.args.pitch_classes.as_ref().map(Vec::len),
            tapify: self.args.tapify,
            humanize: self.args.humanize,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Arguments {
    num_steps: Option<usize>,
    num_segments: Option<usize>,
    min_pitch: Option<i64>,
    max_pitch: Option<i64>,
    pitch_classes: Option<Vec<Vec<i64>>>,
    steps_per_quarter: Option<i64>,
    humanize: bool,
    tapify: bool,
    split_instruments: bool,
}

fn json<T: for<'a> Deserialize<'a>>(files: &Files, name: &str) -> Result<T, CheckpointError> {
    let content = files.open(name)?.read(MAX_JSON_BYTES)?;
    serde_json::from_slice(&content).map_err(|error| CheckpointError::Index {
        file: files.describe(name),
        reason: format!("it is not what Magenta.js writes ({error})"),
    })
}

/// Reads the manifest and measures the shards.
///
/// # Errors
/// [`CheckpointError`] names the file and, where there is one, the tensor.
pub(crate) fn open(files: &Files) -> Result<BTreeMap<String, (Entry, Data)>, CheckpointError> {
    let manifest = files.describe(MANIFEST);
    let damaged = |reason: String| CheckpointError::Index { file: manifest.clone(), reason };
    let groups: Vec<Group> = json(files, MANIFEST)?;
    let mut found = BTreeMap::new();
    let mut opened = BTreeSet::new();
    for group in &groups {
        let mut left = VecDeque::new();
        for path in &group.paths {
            let inside =
                Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            if path.is_empty() || !inside || path.contains('\\') {
                return Err(damaged(format!(
                    "shard `{}` lies outside the folder; only files within it are read",
                    path.escape_debug()
                )));
            }
            // A small file listed many times could stand for a tensor of any size.
            if !opened.insert(path) {
                return Err(damaged(format!("shard `{}` is listed twice", path.escape_debug())));
            }
            let section = files.open(path)?;
            left.push_back(Piece { bytes: section.bytes, offset: 0, section });
        }
        for weight in &group.weights {
            let name = weight.name.clone();
            let (element_type, coding, element_bytes) =
                kind(weight).map_err(|reason| damaged(format!("tensor `{name}` {reason}")))?;
            let bytes = weight
                .shape
                .iter()
                .try_fold(element_bytes, |bytes, &extent| bytes.checked_mul(extent))
                .and_then(|bytes| u64::try_from(bytes).ok())
                .ok_or_else(|| damaged(format!("tensor `{name}` is larger than any memory")))?;
            let pieces = take(&mut left, bytes).ok_or_else(|| CheckpointError::Shard {
                file: files.describe(group.paths.last().map_or(MANIFEST, |path| path)),
                tensor: name.clone(),
                reason: "lies beyond the end of the shards; a shard is cut off, fetch it again"
                    .to_owned(),
            })?;
            let entry = Entry { shape: weight.shape.clone(), element_type };
            if found
                .insert(name.clone(), (entry, Data { pieces, coding, checksum: None }))
                .is_some()
            {
                return Err(damaged(format!("tensor `{name}` is listed twice")));
            }
        }
        if left.iter().any(|piece| piece.bytes > 0) {
            return Err(damaged(format!(
                "shards {} have more bytes than their tensors; they belong to another manifest",
                group.paths.join(", ")
            )));
        }
    }
    Ok(found)
}

/// Element type, coding and stored bytes of an element.
fn kind(weight: &Weight) -> Result<(ElementType, Coding, usize), String> {
    match (weight.dtype.as_str(), &weight.quantization) {
        ("float32", None) => Ok((ElementType::F32, Coding::Plain, 4)),
        ("int32", None) => Ok((ElementType::I32, Coding::Plain, 4)),
        ("float32", Some(Quantization { dtype, scale, min })) => match dtype.as_str() {
            "uint8" => Ok((ElementType::F32, Coding::Bytes { scale: *scale, min: *min }, 1)),
            "uint16" => Ok((ElementType::F32, Coding::Words { scale: *scale, min: *min }, 2)),
            other => Err(format!(
                "is quantised to {}; only uint8 and uint16 can be read",
                other.escape_debug()
            )),
        },
        (other, _) => Err(format!(
            "holds {}; only float32 (plain, or quantised to uint8 or uint16) and int32 can be read",
            other.escape_debug()
        )),
    }
}

/// Takes the next `bytes` bytes off the shards that are left, if there are so many.
fn take(left: &mut VecDeque<Piece>, mut bytes: u64) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    while bytes > 0 {
        let piece = left.front_mut()?;
        let count = bytes.min(piece.bytes);
        pieces.push(Piece { section: piece.section.clone(), offset: piece.offset, bytes: count });
        piece.offset += count;
        piece.bytes -= count;
        bytes -= count;
        if piece.bytes == 0 {
            left.pop_front();
        }
    }
    Some(pieces)
}

/// What `config.json` says of the model, or nothing when there is no such file.
///
/// # Errors
/// [`CheckpointError`] for a model of another kind than MusicVAE's.
pub(crate) fn hint(files: &Files) -> Result<Option<Hint>, CheckpointError> {
    if !files.names()?.iter().any(|name| name == CONFIG) {
        return Ok(None);
    }
    let model: Model = json(files, CONFIG)?;
    let refused = |reason: String| CheckpointError::Index { file: files.describe(CONFIG), reason };
    if model.kind != "MusicVAE" {
        return Err(refused(format!(
            "it describes a model of type `{}`; only MusicVAE can be imported",
            model.kind.escape_debug()
        )));
    }
    let arguments = &model.data_converter.args;
    if arguments.min_pitch.is_some_and(|pitch| pitch != 21)
        || arguments.max_pitch.is_some_and(|pitch| pitch != 108)
    {
        return Err(refused(
            "its pitches do not go from 21 to 108, as all melodies here do".into(),
        ));
    }
    if arguments.steps_per_quarter.is_some_and(|steps| steps != 4) || arguments.split_instruments {
        return Err(refused(
            "it splits a beat into other steps than the four that can be imported".to_owned(),
        ));
    }
    let converter = model.data_converter.describe(model.chord_encoder.as_deref());
    let mut schemes: Vec<Scheme> = Vec::new();
    for Config { scheme, .. } in config::all() {
        if scheme.family().is_of(&converter) && !schemes.contains(&scheme) {
            schemes.push(scheme);
        }
    }
    let Some(first) = schemes.first() else {
        return Err(refused(format!(
            "converter `{}`{} is none that can be imported",
            converter.name.escape_debug(),
            converter.chord_encoder.map_or(String::new(), |chords| format!(
                " with chords by `{}`",
                chords.escape_debug()
            ))
        )));
    };
    let segments = first.family().segments().unwrap_or(SEGMENTS);
    if let Some(found) = arguments.num_segments.filter(|&found| found != segments) {
        return Err(refused(format!(
            "its conductor has {found} segments; only models with {segments} can be imported"
        )));
    }
    Ok(Some(Hint { schemes, max_seq_len: arguments.num_steps }))
}
