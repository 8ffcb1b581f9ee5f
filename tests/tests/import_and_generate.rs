//! The commands `interlude import` and `interlude generate` on every fixture, and on models of the
//! original's sizes.

use std::fs;
use std::path::{Path, PathBuf};

use interlude_models::config;
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
        if name.contains("hits_control") {
            // Hits can only come from a drum file, which has a test of its own.
            continue;
        }
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
    }
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
