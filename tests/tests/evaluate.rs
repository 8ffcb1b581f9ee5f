//! The command `interlude evaluate` on every fixture.

use std::fs;
use std::path::Path;

use interlude_dataset::{Split, layout, store};
use interlude_models::package::Package;
use interlude_trainer::commands;
use serde_json::Value;

fn interlude(arguments: &[&str]) -> anyhow::Result<()> {
    commands::run(std::iter::once("interlude").chain(arguments.iter().copied()))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in Unicode")
}

// Models of every configuration are measured through the engine: all shares are shares, each part
// of a trio has its own, and the picture is drawn.
#[test]
fn every_fixture_is_evaluated() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let place = tempfile::tempdir().expect("a temporary folder");
    let mut measured = 0;
    for entry in fs::read_dir(fixtures).expect("the fixtures").flatten() {
        let name = entry.file_name().into_string().expect("a name in ASCII");
        let archive = entry.path().join(format!("{name}.tar"));
        if !archive.is_file() {
            continue;
        }
        let model = place.path().join(&name);
        interlude(&["import", text(&archive), "--out", text(&model)]).expect(&name);
        let config = Package::open(&model).expect(&name).info.config;
        let limits = layout::limits(&config);
        let length = config.hparams.max_seq_len * limits.len();
        let window = |seed: usize| -> Vec<u16> {
            let number = |index: usize| {
                let limit = usize::try_from(limits[index % limits.len()]).expect("16 bits");
                u16::try_from((seed * index * 7 + index / 5) % limit).expect("below the limit")
            };
            (0..length).map(number).collect()
        };
        let windows = [window(1), window(2), window(3)];
        let rows: Vec<store::Row<'_>> = windows.iter().map(|window| (&**window, "a.mid")).collect();
        let dataset = tempfile::tempdir().expect("a temporary folder");
        for split in Split::ALL {
            store::write(dataset.path(), split, length, &rows).expect(&name);
        }
        let (json, picture) = (model.join("scores.json"), model.join("scores.svg"));
        interlude(&[
            "evaluate",
            "--model",
            text(&model),
            "--dataset",
            text(dataset.path()),
            "--split",
            "all",
            "--samples",
            "3",
            "--pairs",
            "2",
            "--threads",
            "1",
            "--json",
            text(&json),
            "--picture",
            text(&picture),
        ])
        .expect(&name);
        let scores: Value = serde_json::from_slice(&fs::read(&json).expect(&name)).expect(&name);
        assert_eq!(scores["windows"], 9, "{name}");
        for key in ["accuracy_teacher_forced", "accuracy_free_running"] {
            let shares: Vec<f64> = match &scores[key] {
                Value::Object(parts) => {
                    assert_eq!(parts.keys().collect::<Vec<_>>(), ["bass", "drums", "melody"]);
                    parts.values().filter_map(Value::as_f64).collect()
                }
                one => vec![one.as_f64().expect("a number")],
            };
            assert_eq!(shares.len(), config.outputs().len(), "{name}");
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{name}: {shares:?}");
        }
        assert!(scores["kl_bits"].as_f64().is_some_and(|bits| bits > 0.0), "{name}");
        let distances = scores["interpolation"]["distance_to_first"].as_array().expect("a list");
        assert_eq!(distances.len(), 10, "{name}");
        assert!(fs::read_to_string(&picture).expect(&name).starts_with("<svg"), "{name}");
        measured += 1;
    }
    assert_eq!(measured, 13, "fixtures of 13 configurations");
}

// A dataset of another scheme is refused with both named, and so is a split without windows.
#[test]
fn what_does_not_fit_is_refused() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let name = "cat-mel_2bar_big";
    let model = place.path().join("model");
    let archive = fixtures.join(name).join(format!("{name}.tar"));
    interlude(&["import", text(&archive), "--out", text(&model)]).expect("imports");
    let dataset = place.path().join("dataset");
    fs::create_dir(&dataset).expect("a folder");
    store::write(&dataset, Split::Test, 96, &[]).expect("writes");
    let arguments = ["evaluate", "--model", text(&model), "--dataset", text(&dataset)];
    let error = interlude(&arguments).expect_err("trios of 32 steps").to_string();
    assert!(error.contains("no window"), "{error}");
    store::write(&dataset, Split::Test, 96, &[(&[0; 96], "a.mid")]).expect("writes");
    let error = interlude(&arguments).expect_err("trios of 32 steps").to_string();
    assert!(error.contains("96 numbers") && error.contains(name), "{error}");
}
