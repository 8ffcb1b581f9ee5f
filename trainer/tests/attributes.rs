//! `interlude attributes` and what uses its directions, with the shipped model and a small dataset.

use std::fs;
use std::path::{Path, PathBuf};

use interlude_dataset::{Split, layout, store};
use interlude_models::attributes::of_config;
use interlude_models::clip::{Clip, Note};
use interlude_models::config::by_name;
use interlude_models::latent::prior;
use interlude_models::midi::{NoteSequence, to_bytes};
use interlude_models::network::variables;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::weights::{Tensor, Weights};
use interlude_trainer::commands;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

fn interlude(arguments: &[&str]) -> anyhow::Result<()> {
    commands::run(std::iter::once("interlude").chain(arguments.iter().copied()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

/// A melody of two bars by rule: a walk on the C major scale, on a register and with a density of
/// its own.
fn melody(generator: &mut ChaCha8Rng) -> Vec<u16> {
    const SCALE: [u16; 7] = [0, 2, 4, 5, 7, 9, 11];
    let apart = [1, 2, 2, 4, 4, 8][generator.random_range(0..6)];
    let mut degree: u16 = generator.random_range(7..35);
    let mut window = vec![0; 32];
    for step in (0..32).step_by(apart) {
        if generator.random_range(0..6) > 0 {
            // C2 is the token 17.
            window[step] = 17 + 12 * (degree / 7) + SCALE[usize::from(degree % 7)];
        }
        degree = (degree + generator.random_range(0..5)).saturating_sub(2).clamp(5, 37);
    }
    window
}

/// A dataset of such melodies in a folder.
fn dataset(folder: &Path, windows: usize) -> PathBuf {
    let dataset = folder.join("walks");
    fs::create_dir(&dataset).expect("a folder");
    for (seed, split) in (0..).zip(Split::ALL) {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        let count = if split == Split::Train { windows } else { 48 };
        let melodies: Vec<Vec<u16>> = (0..count).map(|_| melody(&mut generator)).collect();
        let rows: Vec<store::Row<'_>> =
            melodies.iter().map(|window| (&**window, "a.mid")).collect();
        store::write(&dataset, split, 32, &rows).expect("a dataset");
    }
    dataset
}

/// The shipped model in 32 bits, without attributes and with a card of its own.
fn model(folder: &Path) -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/pretrained/mel-2bar");
    let shipped = Package::open(&shipped).expect("the shipped model");
    let model = folder.join("model");
    let weights = shipped.weights().expect("whole");
    Package::write(&model, &shipped.info, &weights).expect("written");
    fs::write(model.join("README.md"), "# A model\r\n").expect("written");
    model
}

/// Two bars of quarter notes.
fn tune() -> Clip {
    let note = |(beat, pitch): (u8, u8)| Note {
        start: f64::from(beat),
        end: f64::from(beat) + 1.0,
        pitch,
        velocity: 80,
        channel: 0,
        program: 0,
    };
    let pitches = [60, 62, 64, 65, 67, 65, 64, 62];
    Clip::new((0..).zip(pitches).map(note).collect(), 8.0)
}

/// Notes in each of the MIDI files of a folder, in the order of their names.
fn notes(folder: &Path) -> Vec<usize> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| NoteSequence::open(path).expect("reads").notes.len()).collect()
}

// Along the directions found in a small dataset density and pitch of clips that were not in it rise
// monotonically; what is stored is used, told in the card, and goes with the quantised model.
#[test]
fn attributes_rise_on_held_out_clips() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let (model, dataset) = (model(place.path()), dataset(place.path(), 256));
    let (json, picture) = (place.path().join("it.json"), place.path().join("it.svg"));
    let arguments =
        ["attributes", "--model", text(&model), "--dataset", text(&dataset), "--threads", "1"];
    let files = ["--json", text(&json), "--picture", text(&picture)];
    interlude(&[&arguments[..], &files].concat()).expect("finds attributes");

    let report: Value = serde_json::from_slice(&fs::read(&json).expect("there")).expect("JSON");
    let found = report["attributes"].as_array().expect("a list");
    assert_eq!((found.len(), &report["clips"]), (5, &Value::from(48)));
    // Density and pitch rise without longer directions than predicted.
    for chosen in &report["chosen"].as_array().expect("a list")[..2] {
        assert!(chosen["stretch"].as_f64().is_some_and(|it| it <= 1.0), "{chosen}");
        assert_eq!(chosen["reach"], 1.0, "{chosen}");
    }
    for (own, name) in ["density", "pitch"].into_iter().enumerate() {
        let outcome = &found[own];
        assert_eq!(outcome["name"], name);
        let values = outcome["values"].as_array().expect("a list");
        let values: Vec<f64> = values.iter().filter_map(Value::as_f64).collect();
        assert!(values.len() == 5 && values.is_sorted(), "{name}: {values:?}");
        let effect = |index: usize| outcome["effects"][index].as_f64().expect("a number");
        assert!(effect(own) > 0.3, "{name}: {outcome}");
        assert!(effect(own) > 2.0 * effect(1 - own).abs(), "{name}: {outcome}");
    }
    assert!(fs::read_to_string(&picture).expect("there").contains("density"));

    // What is stored are those that rise, and the card tells of all.
    let package = Package::open(&model).expect("a model");
    let attributes = package.attributes().expect("attributes").expect("a file");
    let monotonic = found.iter().filter(|outcome| outcome["monotonic"] == true);
    let names: Vec<&str> = monotonic.filter_map(|outcome| outcome["name"].as_str()).collect();
    assert_eq!(attributes.iter().map(|it| it.name.as_str()).collect::<Vec<_>>(), names);
    let card = fs::read_to_string(model.join("README.md")).expect("there");
    assert!(card.starts_with("# A model\r\n\n<!-- attributes"), "{card}");
    for word in ["| density |", "--dataset walks", "--windows 256"] {
        assert!(card.contains(word), "no {word} in {card}");
    }

    // A clip gets more notes along density.
    let out = place.path().join("out");
    let one = ["generate", "vary", "--model", text(&model), "--similarity", "1", "--seed", "1"];
    let clip = place.path().join("clip.mid");
    fs::write(&clip, to_bytes(&tune(), 120.0)).expect("written");
    let moved = ["generate", "attribute", "--model", text(&model), "--input", text(&clip)];
    let more =
        ["--attribute", "density", "--amounts", "-2,0,2", "--temperature", "0", "--seed", "1"];
    interlude(&[&moved[..], &more, &["--out", text(&out)]].concat()).expect("moved clips");
    let counts = notes(&out);
    assert!(counts.len() == 3 && counts[0] < counts[1] && counts[1] < counts[2], "{counts:?}");
    // No amount is the clip as the model gives it back.
    let same = place.path().join("same");
    let more = ["--num-outputs", "1", "--temperature", "0", "--out", text(&same), text(&clip)];
    interlude(&[&one[..], &more].concat()).expect("the clip again");
    assert_eq!(notes(&same), counts[1..2]);
    let wrong = ["--attribute", "swing", "--out", text(&out)];
    let error = interlude(&[&moved[..], &wrong].concat()).expect_err("no swing").to_string();
    assert!(error.contains("no `swing`") && error.contains("density, pitch"), "{error}");

    let small = place.path().join("small");
    interlude(&["quantize", "--model", text(&model), "--out", text(&small)]).expect("quantised");
    let small = Package::open(&small).expect("a model");
    assert_eq!(small.attributes().expect("attributes"), Some(attributes.clone()));

    // Another search replaces what is stored and the section of the card.
    let more = ["--windows", "64", "--clips", "8", "--reach", "1,0.2"];
    interlude(&[&arguments[..], &more].concat()).expect("again");
    let card = fs::read_to_string(model.join("README.md")).expect("there");
    assert!(card.starts_with("# A model\r\n\n<!-- attributes"), "{card}");
    assert!(card.contains("--method response --reach 1,0.2 --seed 1"), "{card}");
    assert!(card.contains("--windows 64") && card.matches("## Attributes").count() == 1, "{card}");
    assert_ne!(package.attributes().expect("attributes"), Some(attributes));
}

// Every kind of model is taken, with controls and without: each of its attributes is in the report,
// checked or with a reason why not, and nothing is written where nothing is to be.
#[test]
fn every_kind_of_model_is_taken() {
    for name in [
        "cat-mel_2bar_med_chords",
        "nade-drums_2bar_full",
        "groovae_2bar_hits_control_tfds",
        "groovae_2bar_humanize",
        "flat-trio_16bar",
    ] {
        let place = tempfile::tempdir().expect("a temporary folder");
        let (model, dataset) = (place.path().join("model"), place.path().join("dataset"));
        let mut config = by_name(name).expect("known");
        config.override_hparams("z_size=3,enc_rnn_size=[2],dec_rnn_size=[2]").expect("fits");
        let mut weights = Weights::default();
        for (index, variable) in (0u64..).zip(variables(&config)) {
            let data = prior(3, index, variable.shape.iter().product());
            weights.insert(variable.name, Tensor { shape: variable.shape, data });
        }
        let info = ModelInfo::new(config.clone(), "random numbers");
        Package::write(&model, &info, &weights).expect("written");
        let limits = layout::limits(&config);
        let length = config.hparams.max_seq_len * limits.len();
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let mut window = || -> Vec<u16> {
            let number = |index: usize| {
                let limit = limits[index % limits.len()];
                u16::try_from(generator.random_range(0..limit)).expect("16 bits")
            };
            (0..length).map(number).collect()
        };
        let windows = [window(), window(), window(), window(), window()];
        let rows: Vec<store::Row<'_>> = windows.iter().map(|window| (&**window, "a.mid")).collect();
        fs::create_dir(&dataset).expect("a folder");
        for split in Split::ALL {
            store::write(&dataset, split, length, &rows).expect("a dataset");
        }
        let json = place.path().join("it.json");
        interlude(&[
            "attributes",
            "--model",
            text(&model),
            "--dataset",
            text(&dataset),
            "--threads",
            "1",
            "--dry-run",
            "--json",
            text(&json),
        ])
        .expect(name);
        let report: Value = serde_json::from_slice(&fs::read(&json).expect(name)).expect(name);
        let names = |key: &str| -> Vec<String> {
            let list = report[key].as_array().expect("a list").iter();
            list.filter_map(|it| Some(it["name"].as_str()?.to_owned())).collect()
        };
        let mut told = [names("attributes"), names("missing")].concat();
        let mut all: Vec<String> = of_config(&config).into_iter().map(|it| it.name).collect();
        told.sort();
        all.sort();
        assert_eq!(told, all, "{name}");
        let package = Package::open(&model).expect(name);
        assert_eq!(package.attributes().expect(name), None, "{name}");
        assert!(!model.join("README.md").exists(), "{name}");
    }
}

// A model without attributes says how to find some; a dataset of one window, in which nothing
// varies, leaves the model as it is and says so; a damaged file is named.
#[test]
fn what_cannot_be_done_is_told() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let model = model(place.path());
    let out = place.path().join("out");
    let clip = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundler/clips/a.mid");
    let moved = ["generate", "attribute", "--model", text(&model), "--input", text(&clip)];
    let moved = [&moved[..], &["--attribute", "density", "--out", text(&out)]].concat();
    let error = interlude(&moved).expect_err("no attributes").to_string();
    assert!(error.contains("`interlude attributes`"), "{error}");

    let dataset = place.path().join("one");
    fs::create_dir(&dataset).expect("a folder");
    for split in Split::ALL {
        store::write(&dataset, split, 32, &[(&[30; 32], "a.mid")]).expect("a dataset");
    }
    let find = ["attributes", "--model", text(&model), "--dataset", text(&dataset)];
    let error = interlude(&[&find[..], &["--reach", "0"]].concat()).expect_err("no move");
    assert!(error.to_string().contains("from 0.01 to 2"), "{error}");
    let error = interlude(&find).expect_err("one window").to_string();
    assert!(error.contains("stays as it is"), "{error}");
    assert_eq!(fs::read(model.join("README.md")).expect("there"), b"# A model\r\n");

    fs::write(model.join("attributes.safetensors"), b"\xff\xff\xff\xff\0\0\0\0").expect("written");
    let error = interlude(&moved).expect_err("damaged").to_string();
    assert!(error.contains("attributes.safetensors") && error.contains("delete it"), "{error}");
    assert!(!out.exists());
}
