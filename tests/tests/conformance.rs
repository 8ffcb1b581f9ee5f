//! Comparison with the original implementation on the fixtures of this repository.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use interlude_models::runtime::Runtime;
use interlude_tests::conformance::{self, Fixture, Row};

/// Prints what a comparison finds in every fixture, and fails when anything deviates.
fn check(compare: fn(&Runtime, &Fixture) -> Result<Vec<Row>>) {
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders = conformance::fixture_folders(&root).expect("fixtures");
    assert_eq!(folders.len(), 13, "one folder for each kind of network");
    let mut failed = 0;
    for folder in folders {
        let fixture = Fixture::open(&folder).expect("a fixture");
        for row in compare(runtime, &fixture).expect("comparable") {
            println!("{row}");
            failed += usize::from(!row.passed());
        }
    }
    assert_eq!(failed, 0, "comparisons failed");
}

// Encoders, logits, samples and variables of every configuration's fixture agree with the original.
#[test]
fn networks() {
    check(conformance::networks);
}

// Losses, gradients and steps of Adam by the trainer's graphs agree with the original for every
// configuration's fixture.
#[test]
fn training() {
    check(conformance::training);
}

// The trainer's evaluation finds the original's losses, and free-running what the engine decodes.
#[test]
fn reconstruction() {
    check(conformance::reconstruction);
}

// The command finds fixtures at any depth, prints a row for each comparison, and fails when a single
// number of them is wrong, a file is damaged, or there is nothing to compare.
#[test]
fn the_command_tells_what_deviates() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let place = tempfile::tempdir().expect("a temporary folder");
    let [first, second] = ["a", "b/c/d"].map(|folder| place.path().join(folder));
    for (folder, fixture) in [(&first, "01_mono_4bar"), (&second, "03_poly_chords")] {
        fs::create_dir_all(folder).expect("made");
        for kind in ["mid", "json"] {
            let name = format!("{fixture}.{kind}");
            let source = fixtures.join("converters").join(&name);
            fs::copy(source, folder.join(name)).expect("copied");
        }
    }
    let run = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
        let output = command.arg(place.path()).output().expect("runs");
        let text = String::from_utf8(output.stdout).expect("text");
        (output.status.success(), text)
    };
    let (success, text) = run();
    assert!(success && !text.contains("FAIL"), "{text}");
    for part in ["01_mono_4bar ", "03_poly_chords ", "mel_2bar ", "trio_16bar ", " pass"] {
        assert!(text.contains(part), "no {part} in {text}");
    }

    let json = second.join("03_poly_chords.json");
    let whole = fs::read_to_string(&json).expect("reads");
    let mut changed: serde_json::Value = serde_json::from_str(&whole).expect("JSON");
    changed["converters"]["mel_2bar"]["sequences"][0]["tokens"][0] = 88.into();
    fs::write(&json, changed.to_string()).expect("written");
    let (success, text) = run();
    let failed: Vec<&str> = text.lines().filter(|line| line.contains("FAIL")).collect();
    assert!(!success && failed.len() == 1, "{text}");
    assert!(failed[0].contains("03_poly_chords") && failed[0].contains("mel_2bar"), "{text}");

    fs::write(&json, &whole[..whole.len() / 2]).expect("written");
    let (success, text) = run();
    assert!(!success && text.contains("is not JSON"), "{text}");
    for folder in [first, second] {
        fs::remove_dir_all(folder).expect("removed");
    }
    assert!(!run().0);
}
