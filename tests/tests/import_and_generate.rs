//! The commands `interlude import` and `interlude generate` on every fixture, and on models of the
//! original's sizes.

use std::fs;
use std::path::{Path, PathBuf};

use interlude_models::clip::{Clip, Note};
use interlude_models::config;
use interlude_models::midi::to_bytes;
use interlude_models::network::variables;
use interlude_models::package::Package;
use interlude_tests::random_checkpoint;
use interlude_trainer::commands;

fn fixtures() -> Vec<(String, PathBuf)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut found = Vec::new();
    for entry in fs::read_dir(root).expect("the fixtures").flatten() {
        let name = entry.file_name().into_string().expect("a name in ASCII");
        let archive = entry.path().join(format!("{name}.tar"));
        if archive.is_file() {
            found.push((name, archive));
        }
    }
    found.sort();
    assert_eq!(found.len(), 13, "fixtures of 13 configurations");
    found
}

fn interlude(arguments: &[&str]) -> anyhow::Result<()> {
    commands::run(std::iter::once("interlude").chain(arguments.iter().copied()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder).expect("the folder that was made");
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("reads")).collect()
}

// Every fixture's archive is recognised, imported with all its tensors, and makes music, the same
// again with the same seed in batches of another size.
#[test]
fn every_fixture_is_imported_and_makes_music() {
    let place = tempfile::tempdir().expect("a temporary folder");
    for (name, tar) in fixtures() {
        let model = place.path().join(&name);
        interlude(&["import", text(&tar), "--out", text(&model)]).expect(&name);
        let info = Package::open(&model).expect(&name).info;
        assert_eq!(info.config.name, name);
        assert_eq!(info.provenance.step, Some(2500), "{name}");
        let chords: &[&str] = if name.contains("chords") { &["--chords", "C,Am,F,G"] } else { &[] };
        let make = |folder: &Path, batch: &str| {
            let mut arguments = vec!["generate", "sample", "--model", text(&model)];
            arguments.extend(["--out", text(folder), "--num-outputs", "3", "--seed", "11"]);
            arguments.extend(["--batch-size", batch]);
            arguments.extend(chords);
            interlude(&arguments).expect(&name);
            files(folder)
        };
        let first = make(&place.path().join(format!("{name}-1")), "8");
        assert_eq!(first.len(), 3, "{name}");
        assert!(first.iter().all(|file| file.starts_with(b"MThd")), "{name}");
        assert_eq!(first, make(&place.path().join(format!("{name}-2")), "2"), "{name}");
        if !chords.is_empty() {
            let out = place.path().join(format!("{name}-3"));
            let arguments = ["generate", "sample", "--model", text(&model), "--out", text(&out)];
            interlude(&[&arguments[..], &["--num-outputs", "1"]].concat()).expect("without chords");
        }
    }
}

/// The model of a fixture in `place`.
fn model(name: &str, place: &Path) -> PathBuf {
    let (_, tar) = fixtures().into_iter().find(|(found, _)| found == name).expect("a fixture");
    let model = place.join("model");
    interlude(&["import", text(&tar), "--out", text(&model)]).expect(name);
    model
}

/// A MIDI file of 2, or of more, bars with a note on every beat.
fn tune(place: &Path, name: &str, first: u8, beats: u8) -> PathBuf {
    let note = |beat: u8| Note {
        start: f64::from(beat),
        end: f64::from(beat) + 0.75,
        pitch: first + beat % 12,
        velocity: 40 + beat,
        channel: 0,
        program: 0,
    };
    let clip = Clip::new((0..beats).map(note).collect(), f64::from(beats));
    let path = place.join(name);
    fs::write(&path, to_bytes(&clip, 120.0)).expect("written");
    path
}

// A line between two files and a square between four have as many pieces as asked for; where
// nothing is left to chance the ends do not depend on what lies between.
#[test]
fn lines_and_squares_are_made() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let model = model("cat-mel_2bar_big", place.path());
    let [a, b] =
        [("a.mid", 60), ("b.mid", 72)].map(|(name, first)| tune(place.path(), name, first, 8));
    let make = |inputs: &[&Path], more: &[&str], out: &str| {
        let out = place.path().join(out);
        let mut arguments = vec!["generate", "interpolate", "--model", text(&model)];
        arguments.extend(["--out", text(&out), "--temperature", "0"]);
        arguments.extend(more);
        arguments.extend(inputs.iter().map(|input| text(input)));
        interlude(&arguments).expect("makes music");
        files(&out)
    };
    let line = make(&[&a, &b], &["--num-outputs", "4"], "line");
    assert_eq!(line.len(), 4);
    let short = make(&[&a, &b], &["--num-outputs", "2"], "short");
    assert_eq!([&line[0], &line[3]], [&short[0], &short[1]]);
    assert_ne!(line[0], line[3]);
    // A top left, B bottom left, C top right, D bottom right; here the right side is B.
    let square = make(&[&a, &a, &b, &b], &["--columns", "2", "--rows", "3"], "square");
    assert_eq!(square.len(), 6);
    assert_eq!(
        [&square[0], &square[1], &square[4], &square[5]],
        [&line[0], &line[3], &line[0], &line[3]]
    );
    // The same with equal files, where the original divides by zero.
    let same = make(&[&a, &a], &["--num-outputs", "3"], "same");
    assert!(same.iter().all(|file| *file == line[0]));
    // With their own velocities.
    let loud = make(&[&a, &b], &["--num-outputs", "2", "--keep-velocities"], "loud");
    assert_ne!(loud[0], line[0]);
}

// The most similar variation is what decoding the file's code gives, and codes survive the file.
#[test]
fn codes_are_encoded_and_decoded() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let model = model("cat-mel_2bar_big", place.path());
    let input = tune(place.path(), "a.mid", 60, 8);
    let [codes, decoded, varied, other] =
        ["codes.json", "decoded", "varied", "other"].map(|name| place.path().join(name));
    let common = ["--model", text(&model), "--out"];
    let with = |words: &[&str], out: &Path, more: &[&str]| {
        let words: Vec<&str> = [words, &common, &[text(out)], more].concat();
        interlude(&words).expect("makes music");
    };
    with(&["generate", "encode", text(&input)], &codes, &[]);
    let exact = ["--temperature", "0", "--seed", "3"];
    with(&["generate", "decode", text(&codes)], &decoded, &exact);
    let one = [&exact[..], &["--num-outputs", "1", "--similarity", "1"]].concat();
    with(&["generate", "vary", text(&input)], &varied, &one);
    assert_eq!(files(&decoded), files(&varied));
    let far = [&exact[..], &["--num-outputs", "3", "--similarity", "0"]].concat();
    with(&["generate", "vary", text(&input)], &other, &far);
    assert_eq!(files(&other).len(), 3);
    assert_ne!(files(&other)[0], files(&varied)[0]);
}

/// Bytes of all files of a folder.
fn size(folder: &Path) -> usize {
    files(folder).iter().map(Vec::len).sum()
}

/// The posterior's means and deviations that a model gives a file.
fn posterior(model: &Path, input: &Path, place: &Path) -> Vec<f64> {
    let codes = place.join("codes.json");
    let arguments = ["generate", "encode", text(input), "--model", text(model), "--out"];
    interlude(&[&arguments[..], &[text(&codes)]].concat()).expect("encodes");
    let codes = fs::read(codes).expect("reads");
    let codes: serde_json::Value = serde_json::from_slice(&codes).expect("JSON");
    let numbers = |name: &str| codes["codes"][0][name].as_array().cloned().unwrap_or_default();
    let all = [numbers("mu"), numbers("sigma")].concat();
    all.iter().filter_map(serde_json::Value::as_f64).collect()
}

// With weights of 8 bits every fixture becomes smaller and makes music, and what it makes of a tune
// stays near.
#[test]
fn every_fixture_is_quantised_and_makes_music() {
    let place = tempfile::tempdir().expect("a temporary folder");
    for (name, tar) in fixtures() {
        let [model, small, out] = ["model", "small", "out"].map(|part| place.path().join(part));
        interlude(&["import", text(&tar), "--out", text(&model)]).expect(&name);
        interlude(&["quantize", "--model", text(&model), "--out", text(&model)])
            .expect_err("would lose the old weights");
        interlude(&["quantize", "--model", text(&model), "--out", text(&small)]).expect(&name);
        assert!(size(&small) < size(&model) * 2 / 3, "{name}: {} bytes", size(&small));
        assert_eq!(
            Package::open(&small).expect(&name).info.config,
            Package::open(&model).expect(&name).info.config
        );
        let hits = tune(place.path(), "hits.mid", 36, 8);
        let mut arguments = vec!["generate", "sample", "--model", text(&small)];
        arguments.extend(["--out", text(&out), "--num-outputs", "1"]);
        if name.contains("chords") {
            arguments.extend(["--chords", "C,Am,F,G"]);
        }
        if name.contains("hits_control") {
            arguments.extend(["--hits", text(&hits)]);
        }
        interlude(&arguments).expect(&name);
        if name == "cat-mel_2bar_big" {
            let input = tune(place.path(), "a.mid", 60, 8);
            let [old, new] = [&model, &small].map(|model| posterior(model, &input, place.path()));
            assert_eq!(old.len(), 32);
            let length = |numbers: &mut dyn Iterator<Item = f64>| {
                numbers.map(|number| number * number).sum::<f64>().sqrt()
            };
            let moved = length(&mut old.iter().zip(&new).map(|(old, new)| old - new));
            let moved = moved / length(&mut old.iter().copied());
            assert!(moved > 0.0 && moved < 0.03, "{moved}");
        }
        let again = place.path().join("again");
        let message =
            interlude(&["quantize", "--model", text(&small), "--out", text(&again)]).expect_err("");
        assert!(message.to_string().contains("no weight is left"), "{message}");
        assert!(!again.exists());
    }
}

// A file with several windows is taken apart into files, which is an error that says so; each of
// them can be used. Other mistakes are errors that write nothing.
#[test]
fn several_windows_are_taken_apart() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let model = model("cat-mel_2bar_big", place.path());
    let long = tune(place.path(), "long.mid", 60, 48);
    let out = place.path().join("out");
    let interpolate = |a: &Path, b: &Path, out: &Path| {
        let words = ["generate", "interpolate", text(a), text(b), "--model", text(&model)];
        interlude(&[&words[..], &["--out", text(out)]].concat())
    };
    let short = tune(place.path(), "short.mid", 60, 8);
    let message = interpolate(&long, &short, &out).expect_err("several windows").to_string();
    let count = fs::read_dir(&out).expect("the windows").count();
    // 12 bars have 11 places for 2 bars, and the tune repeats itself every 3.
    assert!((2..=11).contains(&count), "{count}");
    assert!(message.contains(&format!("holds {count} windows of 2 bars")), "{message}");
    for window in fs::read_dir(&out).expect("the windows").flatten() {
        let name = window.file_name().into_string().expect("a name in ASCII");
        assert!(name.starts_with("cat-mel_2bar_big_input1-extractions_"), "{name}");
        assert!(name.ends_with(&format!("-of-{count:03}.mid")), "{name}");
    }

    let nothing = place.path().join("nothing");
    let tiny = tune(place.path(), "tiny.mid", 60, 1);
    for (input, word) in [
        (tiny, "tiny.mid"),
        (place.path().join("absent.mid"), "absent.mid"),
        (model.join("model.json"), "model.json"),
    ] {
        let message = format!("{:#}", interpolate(&input, &short, &nothing).expect_err(word));
        assert!(message.contains(word) && !message.contains('\n'), "{message}");
    }
    for words in [
        &["--chords", "C"][..],
        &["--hits", "x.mid"],
        &["--num-outputs", "0"],
        &["--temperature", "NaN"],
        &["--batch-size", "0"],
        &["--provider", "abacus"],
    ] {
        let base = ["generate", "sample", "--model", text(&model), "--out", text(&nothing)];
        assert!(interlude(&[&base[..], words].concat()).is_err(), "{words:?}");
    }
    assert!(!nothing.exists());
}

// All windows of a file are taken apart, not only five as in the original.
#[test]
fn more_than_five_windows_are_taken_apart() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let model = model("cat-mel_2bar_big", place.path());
    let note = |beat: u8| Note {
        start: beat.into(),
        end: f64::from(beat) + 0.5,
        pitch: 40 + beat,
        velocity: 80,
        channel: 0,
        program: 0,
    };
    let long = place.path().join("long.mid");
    let clip = Clip::new((0..48).map(note).collect(), 48.0);
    fs::write(&long, to_bytes(&clip, 120.0)).expect("written");
    let out = place.path().join("out");
    let words = ["generate", "vary", text(&long), "--model", text(&model), "--out", text(&out)];
    let message = interlude(&words).expect_err("several windows").to_string();
    assert!(message.contains("holds 11 windows of 2 bars"), "{message}");
    assert_eq!(files(&out).len(), 11);
}

// Drums that no class has are left out, where the original fails.
#[test]
fn unmapped_drums_are_left_out() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let model = model("groovae_2bar_humanize", place.path());
    let drum = |beat: u8, pitch| Note {
        start: beat.into(),
        end: f64::from(beat) + 0.25,
        pitch,
        velocity: 90,
        channel: 9,
        program: 0,
    };
    let code = |pitches: &[u8]| {
        let notes = (0..8).flat_map(|beat| pitches.iter().map(move |pitch| drum(beat, *pitch)));
        let path = place.path().join("drums.mid");
        fs::write(&path, to_bytes(&Clip::new(notes.collect(), 8.0), 120.0)).expect("written");
        posterior(&model, &path, place.path())
    };
    assert_eq!(code(&[36, 13, 120]), code(&[36]));
    assert_ne!(code(&[36, 42]), code(&[36]));
}

// A model of the original's full size with random weights is imported and makes music. It writes
// three gigabytes for the largest; `cargo test --release -- --ignored` runs it.
#[test]
#[ignore = "minutes and gigabytes"]
fn full_sizes_are_imported_and_make_music() {
    for name in ["cat-mel_2bar_big", "hierdec-mel_16bar", "hierdec-trio_16bar"] {
        let place = tempfile::tempdir().expect("a temporary folder");
        let config = config::by_name(name).expect("known name");
        let prefix = place.path().join("random.ckpt");
        random_checkpoint::write(&config, 7, &prefix).expect("written");
        let model = place.path().join("model");
        interlude(&["import", text(&prefix), "--out", text(&model)]).expect(name);
        let read = Package::open(&model).expect(name).info.config;
        assert_eq!(variables(&read), variables(&config));
        let out = place.path().join("out");
        let arguments = [
            "generate",
            "sample",
            "--model",
            text(&model),
            "--out",
            text(&out),
            "--num-outputs",
            "1",
        ];
        interlude(&arguments).expect(name);
        assert_eq!(files(&out).len(), 1, "{name}");
    }
}
