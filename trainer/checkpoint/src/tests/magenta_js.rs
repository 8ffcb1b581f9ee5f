//! Tests of folders of Magenta.js.

use std::fs;
use std::path::Path;

use interlude_models::config;
use interlude_models::network::variables;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;

/// A folder with one group of weights in shards of `shard_bytes` bytes.
fn folder(weights: Value, content: &[u8], shard_bytes: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut paths = Vec::new();
    for (number, shard) in content.chunks(shard_bytes).enumerate() {
        let name = format!("group1-shard{number}");
        fs::write(folder.path().join(&name), shard).expect("written");
        paths.push(name);
    }
    let manifest = json!([{ "paths": paths, "weights": weights }]);
    write_json(folder.path(), "weights_manifest.json", &manifest);
    folder
}

fn write_json(folder: &Path, name: &str, value: &Value) {
    fs::write(folder.join(name), value.to_string()).expect("written");
}

/// Plain floats, 8-bit and 16-bit weights, 19 bytes in all.
fn example() -> (Value, Vec<u8>) {
    let weights = json!([
        { "name": "encoder/mu/bias", "shape": [3], "dtype": "float32",
          "quantization": { "dtype": "uint8", "scale": 0.5, "min": -1.0 } },
        { "name": "encoder/mu/kernel", "shape": [2, 1], "dtype": "float32" },
        { "name": "encoder/sigma/bias", "shape": [2], "dtype": "float32",
          "quantization": { "dtype": "uint16", "scale": 0.001, "min": 0.1 } },
        { "name": "global_step", "shape": [], "dtype": "int32" },
    ]);
    let mut content = vec![0, 2, 255];
    content.extend(1.5f32.to_le_bytes());
    content.extend((-2.0f32).to_le_bytes());
    content.extend(1u16.to_le_bytes());
    content.extend(u16::MAX.to_le_bytes());
    content.extend(77i32.to_le_bytes());
    (weights, content)
}

// Plain and quantised weights come out the same however the bytes are cut into shards.
#[test]
fn weights_are_restored() {
    let (weights, content) = example();
    for shard_bytes in 1..=content.len() {
        let folder = folder(weights.clone(), &content, shard_bytes);
        let checkpoint = Checkpoint::open(folder.path()).expect("opens");
        let read = |name: &str| checkpoint.read(name).expect(name).data;
        assert_eq!(read("encoder/mu/bias"), [-1.0, 0.0, 126.5]);
        assert_eq!(read("encoder/mu/kernel"), [1.5, -2.0]);
        assert_eq!(read("encoder/sigma/bias"), [0.101, 65.635]);
        assert_eq!(checkpoint.read("encoder/mu/kernel").expect("reads").shape, [2, 1]);
        assert_eq!(checkpoint.global_step().expect("reads"), Some(77));
    }
}

// A folder is also meant by the name of one of its two JSON files.
#[test]
fn the_manifest_names_its_folder() {
    let (weights, content) = example();
    let folder = folder(weights, &content, 8);
    assert!(Checkpoint::open(&folder.path().join("weights_manifest.json")).is_ok());
}

// Shards cut off anywhere, and shards too long, are errors that name a file.
#[test]
fn shards_of_other_lengths_are_refused() {
    let (weights, content) = example();
    for length in 0..content.len() {
        let folder = folder(weights.clone(), &content[..length], 8);
        let message = Checkpoint::open(folder.path()).expect_err("cut off").to_string();
        assert!(message.contains("cut off"), "{length}: {message}");
    }
    let longer = [content, vec![0]].concat();
    let folder = folder(weights, &longer, 8);
    let message = Checkpoint::open(folder.path()).expect_err("too long").to_string();
    assert!(message.contains("more bytes"), "{message}");
}

// Paths that leave the folder are refused, whatever lies there.
#[test]
fn shards_outside_the_folder_are_refused() {
    for path in ["../secret", "/etc/passwd", "a/../../secret", "..\\secret", "", "."] {
        let (weights, content) = example();
        let folder = folder(weights.clone(), &content, 100);
        fs::write(folder.path().join("secret"), &content).expect("written");
        let manifest = json!([{ "paths": [path], "weights": weights }]);
        write_json(folder.path(), "weights_manifest.json", &manifest);
        let message = Checkpoint::open(folder.path()).expect_err(path).to_string();
        assert!(message.contains("outside"), "{message}");
    }
}

// A shard listed more than once is refused: a small file could stand for a tensor of any size.
#[test]
fn shards_listed_twice_are_refused() {
    let weights = json!([{ "name": "encoder/mu/bias", "shape": [2], "dtype": "float32" }]);
    let folder = folder(weights.clone(), &[0; 4], 4);
    for groups in [
        json!([{ "paths": ["group1-shard0", "group1-shard0"], "weights": weights }]),
        json!([
            { "paths": ["group1-shard0"], "weights":
                [{ "name": "encoder/mu/bias", "shape": [1], "dtype": "float32" }] },
            { "paths": ["group1-shard0"], "weights":
                [{ "name": "encoder/mu/kernel", "shape": [1], "dtype": "float32" }] },
        ]),
    ] {
        write_json(folder.path(), "weights_manifest.json", &groups);
        let message = Checkpoint::open(folder.path()).expect_err("listed twice").to_string();
        assert!(message.contains("shard `group1-shard0` is listed twice"), "{message}");
    }
}

// Sizes beyond the shards, unknown types and codings, and doubles are refused by name.
#[test]
fn impossible_weights_are_refused() {
    for (weight, word) in [
        (json!({ "shape": [1u64 << 40, 1u64 << 40], "dtype": "float32" }), "larger"),
        (json!({ "shape": [1u64 << 50], "dtype": "float32" }), "cut off"),
        (json!({ "shape": [2], "dtype": "string" }), "string"),
        (json!({ "shape": [2], "dtype": "bool" }), "bool"),
        (
            json!({ "shape": [2], "dtype": "float32",
                    "quantization": { "dtype": "float16", "scale": 1, "min": 0 } }),
            "float16",
        ),
    ] {
        let mut weight = weight;
        weight["name"] = "encoder/mu/bias".into();
        let folder = folder(json!([weight]), &[0; 8], 8);
        let message = Checkpoint::open(folder.path()).expect_err(word).to_string();
        assert!(message.contains(word) && message.contains("encoder/mu/bias"), "{message}");
    }
    let weight = json!({ "name": "x", "shape": [1], "dtype": "float32" });
    let folder = folder(json!([weight.clone(), weight]), &[0; 8], 8);
    assert!(Checkpoint::open(folder.path()).expect_err("twice").to_string().contains("twice"));
}

/// A folder with all weights of a configuration, as zeros, with narrow layers.
fn of_config(name: &str, description: &Value) -> tempfile::TempDir {
    let mut config = config::by_name(name).expect("known name");
    config.hparams.z_size = 3;
    config.hparams.enc_rnn_size.iter_mut().for_each(|size| *size = 2);
    config.hparams.dec_rnn_size.iter_mut().for_each(|size| *size = 2);
    let mut weights = Vec::new();
    let mut bytes = 0;
    for variable in variables(&config) {
        bytes += 4 * variable.shape.iter().product::<usize>();
        weights.push(json!({ "name": variable.name, "shape": variable.shape, "dtype": "float32" }));
    }
    let folder = folder(weights.into(), &vec![0; bytes], 1 << 20);
    write_json(folder.path(), "config.json", description);
    folder
}

fn description(converter: &str, arguments: Value, chords: Option<&str>) -> Value {
    let mut description = json!({
        "type": "MusicVAE",
        "dataConverter": { "type": converter, "args": arguments },
    });
    if let Some(chords) = chords {
        description["chordEncoder"] = chords.into();
    }
    description
}

// The description of the converter tells configurations apart that have the same tensors, and
// sets the length.
#[test]
fn the_description_tells_the_configuration() {
    for (name, converter, arguments, chords) in [
        ("cat-mel_2bar_small", "MelodyConverter", json!({ "numSteps": 32 }), None),
        ("cat-mel_2bar_small", "MelodyConverter", json!({ "numSteps": 64, "minPitch": 21 }), None),
        ("flat-mel_16bar", "MelodyConverter", json!({ "numSteps": 256 }), None),
        (
            "hierdec-mel_16bar",
            "MelodyConverter",
            json!({ "numSteps": 256, "numSegments": 16 }),
            None,
        ),
        (
            "cat-mel_2bar_med_chords",
            "MelodyConverter",
            json!({ "numSteps": 32 }),
            Some("TriadChordEncoder"),
        ),
        ("cat-drums_2bar_small", "DrumsConverter", json!({ "numSteps": 32 }), None),
        ("nade-drums_2bar_reduced", "DrumRollConverter", json!({ "numSteps": 32 }), None),
        ("groovae_4bar", "GrooveConverter", json!({ "numSteps": 64 }), None),
        (
            "groovae_2bar_humanize",
            "GrooveConverter",
            json!({ "numSteps": 32, "humanize": true }),
            None,
        ),
        (
            "groovae_2bar_tap_fixed_velocity",
            "GrooveConverter",
            json!({ "numSteps": 32, "tapify": true }),
            None,
        ),
    ] {
        let folder = of_config(name, &description(converter, arguments.clone(), chords));
        let checkpoint = Checkpoint::open(folder.path()).expect(name);
        let config = configure(&checkpoint, None, "").expect(name);
        assert_eq!(config.name, name);
        assert_eq!(
            config.hparams.max_seq_len as u64,
            arguments["numSteps"].as_u64().expect("steps")
        );
    }
}

// Models of other kinds are refused with what they are.
#[test]
fn other_models_are_refused() {
    let args = json!({ "numSteps": 32 });
    for (text, word) in [
        (json!({ "type": "MusicRNN", "dataConverter": { "type": "x" } }), "MusicRNN"),
        (description("MultitrackConverter", args.clone(), None), "MultitrackConverter"),
        (description("MelodyConverter", args, Some("PitchChordEncoder")), "PitchChordEncoder"),
        (description("MelodyConverter", json!({ "minPitch": 48 }), None), "pitches"),
        (description("TrioConverter", json!({ "numSegments": 4 }), None), "4 segments"),
        (description("GrooveConverter", json!({ "splitInstruments": true }), None), "splits"),
        (json!(["no", "model"]), "config.json"),
    ] {
        let folder = of_config("cat-mel_2bar_small", &text);
        let message = Checkpoint::open(folder.path()).expect_err(word).to_string();
        assert!(message.contains(word), "{message}");
    }
    let folder = of_config("cat-mel_2bar_small", &description("DrumsConverter", json!({}), None));
    let checkpoint = Checkpoint::open(folder.path()).expect("opens");
    let message = configure(&checkpoint, None, "").expect_err("unfit").to_string();
    assert!(message.contains("cat-drums_2bar") && message.contains("tensor `"), "{message}");
    let steps = description("MelodyConverter", json!({ "numSteps": 1u64 << 40 }), None);
    let folder = of_config("cat-mel_2bar_small", &steps);
    let checkpoint = Checkpoint::open(folder.path()).expect("opens");
    let message = configure(&checkpoint, None, "").expect_err("absurd").to_string();
    assert!(message.contains("max_seq_len"), "{message}");
}

proptest! {
    // Damaged manifests and descriptions never panic.
    #[test]
    fn damaged_json_never_panics(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let (weights, content) = example();
        let folder = folder(weights, &content, 8);
        write_json(folder.path(), "config.json", &description("MelodyConverter", json!({}), None));
        for name in ["weights_manifest.json", "config.json"] {
            let path = folder.path().join(name);
            let mut bytes = fs::read(&path).expect("reads");
            for (position, value) in &changes {
                let at = position.index(bytes.len());
                bytes[at] = *value;
            }
            fs::write(&path, &bytes).expect("written");
            if let Ok(checkpoint) = Checkpoint::open(folder.path()) {
                let _ = checkpoint.weights();
                let _ = configure(&checkpoint, None, "");
            }
        }
    }
}
