//! `interlude personal` and what `interlude generate sample --personal` makes of it, on a model with
//! random weights.

use std::fs;
use std::path::Path;

use interlude_models::clip::{Clip, Note};
use interlude_models::config::{Config, by_name};
use interlude_models::latent::personal::Personal;
use interlude_models::midi::to_bytes;
use interlude_models::package::{ModelInfo, Package};
use interlude_trainer::commands::run;
use interlude_trainer::train::initial;

fn text(path: &Path) -> &str {
    path.to_str().expect("Unicode")
}

/// A small melody model with random weights.
fn model(folder: &Path, seed: u64, step: u64) {
    let mut config: Config = by_name("cat-mel_2bar_small").expect("known");
    config.override_hparams("z_size=6,enc_rnn_size=[8],dec_rnn_size=[8]").expect("fits");
    let weights = initial::weights(&config, seed);
    let mut info = ModelInfo::new(config, "random weights");
    info.provenance.step = Some(step);
    Package::write(folder, &info, &weights).expect("written");
}

// A few files, or a folder of them, become a personal model whose samples `generate` writes; another
// model refuses it. A file without a window is left out, and refused when it is the only one.
#[test]
fn files_become_samples() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| place.path().join(name);
    let (right, wrong) = (at("model"), at("other"));
    model(&right, 1, 10);
    model(&wrong, 2, 20);
    let tunes = [at("one.mid"), at("two.mid"), at("empty.mid")];
    for (number, tune) in (0u8..).zip(&tunes) {
        let note = |step: u8| Note {
            start: f64::from(step) / 2.0,
            end: f64::from(step) / 2.0 + 0.5,
            pitch: 60 + (step * (number + 1)) % 12,
            velocity: 80,
            channel: 0,
            program: 0,
        };
        let notes = if number < 2 { (0..32).map(note).collect() } else { Vec::new() };
        fs::write(tune, to_bytes(&Clip::new(notes, 16.0), 120.0)).expect("written");
    }
    let mine = at("mine.safetensors");
    let base = ["interlude", "personal", "--model", text(&right), "--out", text(&mine)];
    let learn = |input: &[&str]| run([&base[..], &["--steps", "30", "--input"], input].concat());
    let refused = learn(&[text(&tunes[2])]).expect_err("no note");
    assert!(refused.to_string().contains("empty.mid"), "{refused}");
    let refused = learn(&[text(&tunes[2]), text(&at("no such.mid"))]).expect_err("no note");
    assert!(refused.to_string().contains("none of the 2 files"), "{refused}");
    let refused = learn(&[text(&right)]).expect_err("a folder without music");
    assert!(refused.to_string().contains("model is a folder without MIDI files"), "{refused}");
    assert!(!mine.exists());
    learn(&[text(&tunes[0]), text(&tunes[2]), "--samples", "0"]).expect("one is enough");
    fs::remove_file(&mine).expect("written");
    learn(&[text(place.path()), "--samples", "0"]).expect("a folder");
    fs::remove_file(&mine).expect("written");
    learn(&[text(&tunes[0]), text(&tunes[1]), "--samples", "4"]).expect("learnt");
    let personal = Personal::read(&mine).expect("a personal model");
    assert_eq!(personal.space(), "cat-mel_2bar_small, step 10");
    assert_eq!(personal.latent_size(), 6);

    let out = at("out");
    let sample = |model: &Path| {
        let arguments = ["interlude", "generate", "sample", "--model", text(model)];
        let more = ["--personal", text(&mine), "--out", text(&out), "--num-outputs", "3"];
        run([&arguments[..], &more].concat())
    };
    let refused = sample(&wrong).expect_err("another model").to_string();
    assert!(refused.contains("step 10") && refused.contains("step 20"), "{refused}");
    sample(&right).expect("samples");
    assert_eq!(fs::read_dir(&out).expect("the folder").count(), 3);
}
