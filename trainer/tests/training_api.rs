//! The two back ends of training, and what happens where one of them is missing.
//!
//! The tests that need the official training build of ONNX Runtime are skipped where it is not in
//! `target/runtime-training` (`cargo xtask runtime --training` puts it there).

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use interlude_backend::hosted::TrainingBuild;
use interlude_dataset::{Split, store};
use interlude_models::network::Part;

/// Steps of a window.
const STEPS: u16 = 32;

/// A dataset of scales that begin and rise differently.
fn dataset(folder: &Path) {
    for (split, count) in [(Split::Train, 48), (Split::Validation, 4), (Split::Test, 4)] {
        let windows: Vec<Vec<u16>> = (0..count)
            .map(|index| {
                let pitch = |step: u16| 20 + (index * 7) % 24 + (step * (1 + index % 3)) % 12;
                (0..STEPS)
                    .map(|step| if step.is_multiple_of(2 + index % 2) { pitch(step) } else { 0 })
                    .collect()
            })
            .collect();
        let rows: Vec<store::Row<'_>> =
            windows.iter().map(|window| (window.as_slice(), "scales")).collect();
        store::write(folder, split, STEPS.into(), &rows).expect("written");
    }
}

fn interlude(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interlude")).args(arguments).output().expect("it starts")
}

/// Trains a small model in `folder/name`.
fn train(folder: &Path, name: &str, backend: &str, steps: &str) -> Output {
    let (data, out) = (folder.join("data"), folder.join(name));
    let text = |path: &Path| path.to_str().expect("a path in Unicode").to_owned();
    interlude(&[
        "train",
        "--dataset",
        &text(&data),
        "--out",
        &text(&out),
        "--config",
        "cat-mel_2bar_small",
        "--hparams",
        "enc_rnn_size=[24],dec_rnn_size=[24,16],z_size=8",
        "--batch-size",
        "8",
        "--threads",
        "1",
        "--log-every",
        "1",
        "--evaluate-windows",
        "4",
        "--schedule",
        "original",
        "--steps",
        steps,
        "--backend",
        backend,
    ])
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The official training build; the calling test is skipped without it.
#[track_caller]
fn build() -> Option<TrainingBuild> {
    let reason = "no training build of ONNX Runtime; `cargo xtask runtime --training` gets it";
    interlude_skip::needs(TrainingBuild::find(), reason)
}

// Both back ends give the same losses for 100 steps, within 1e-4 of their size.
#[test]
fn both_back_ends_agree() {
    let Some(_) = build() else { return };
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(folder.path().join("data")).expect("made");
    dataset(&folder.path().join("data"));
    for backend in ["onnx", "training-api"] {
        let output = train(folder.path(), backend, backend, "100");
        assert!(output.status.success(), "{backend}: {}", errors(&output));
    }
    let run = |name: &str| folder.path().join(name).to_str().expect("Unicode").to_owned();
    let compared =
        interlude(&["compare", &run("onnx"), &run("training-api"), "--tolerance", "1e-4"]);
    let table = String::from_utf8_lossy(&compared.stdout);
    println!("{table}");
    assert!(compared.status.success(), "{table}{}", errors(&compared));
    assert!(table.contains("100 steps"), "{table}");
}

// A run of the training API that is stopped and taken up again ends as one that was not.
#[test]
fn the_training_api_resumes_exactly() {
    let Some(_) = build() else { return };
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(folder.path().join("data")).expect("made");
    dataset(&folder.path().join("data"));
    for (name, steps) in [("whole", "12"), ("halves", "6"), ("halves", "12")] {
        let output = train(folder.path(), name, "training-api", steps);
        assert!(output.status.success(), "{name}: {}", errors(&output));
    }
    let last = |name: &str| {
        fs::read(folder.path().join(name).join("last").join(Part::Encoder.data_file()))
    };
    assert_eq!(last("whole").expect("written"), last("halves").expect("written"));
}

// Where the runtime has no training API and no training build is found, the error says how to get
// one.
#[test]
fn a_missing_training_api_is_told() {
    let folder = tempfile::tempdir().expect("temporary folder");
    fs::create_dir(folder.path().join("data")).expect("made");
    dataset(&folder.path().join("data"));
    // A program that lies elsewhere has no training build beside it.
    let program = folder.path().join("interlude");
    let original = env!("CARGO_BIN_EXE_interlude");
    let linked = fs::hard_link(original, &program);
    linked.or_else(|_| fs::copy(original, &program).map(drop)).expect("copied");
    let runtime = interlude_models::runtime::Runtime::start(None).expect("a runtime");
    let output = Command::new(&program)
        .args(["train", "--config", "cat-mel_2bar_small", "--steps", "1", "--out"])
        .arg(folder.path().join("run"))
        .arg("--dataset")
        .arg(folder.path().join("data"))
        .args(["--backend", "training-api", "--onnxruntime"])
        .arg(runtime.path())
        .output()
        .expect("it starts");
    let message = errors(&output);
    assert!(!output.status.success());
    assert!(message.contains("cargo xtask runtime --training"), "{message}");
}
