//! Models that begin with a delay line, in ONNX Runtime.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use interlude_dataset::{Split, layout, store};
use interlude_models::config::{self, Config};
use interlude_models::engine::{Engine, EngineOptions};
use interlude_models::families::SEGMENTS;
use interlude_models::network::{conductor_cell, encoder_cell, encoder_levels};
use interlude_models::package::{ModelInfo, Package};
use interlude_models::runtime::Runtime;
use interlude_models::tokens::Tokens;
use interlude_trainer::train::initial;
use interlude_trainer::train::plan::schedule::{Schedule, ScheduleError};

/// Units of a group.
const UNITS: usize = 3;
/// Steps of a segment.
const STEPS: usize = 16;
/// Share of a change that may be found in other places: gates are never quite shut.
const LEAK: f32 = 0.02;
/// The segment that is another one.
const CHANGED: usize = 5;

/// A hierarchical configuration whose upper levels are just wide enough for groups, with a few units and
/// numbers more.
fn narrow() -> Config {
    let mut config = config::by_name("hier-trio_16bar").expect("known");
    let sizes = "enc_rnn_size=[60],upper_enc_rnn_size=[50],dec_rnn_size=[44],\
                 conductor_rnn_size=[54],z_size=52";
    config.override_hparams(sizes).expect("valid");
    config
}

/// A schedule with groups of so many units, as a file would give it.
fn schedule(units: usize, config: &Config) -> Result<Schedule, ScheduleError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("schedule.json");
    let text = format!(r#"{{"initial_delay": {units}, "initial_mu_glorot": true, "phases": []}}"#);
    std::fs::write(&path, text).expect("writes");
    Schedule::read(&path, config)
}

/// A window whose segments are alike, but for one that can be another.
fn window(config: &Config, other: bool) -> Tokens {
    let step = |step: usize| {
        let turn = u16::try_from(step % STEPS).expect("small");
        let pitch = if other && step / STEPS == CHANGED { 70 - turn } else { 40 + turn };
        [pitch, turn % 2 * 30, 3 + turn % 4]
    };
    let numbers: Vec<u16> = (0..SEGMENTS * STEPS).flat_map(step).collect();
    layout::read(config, &numbers).tokens
}

// A delay line puts what is in a segment into its own place in z, and what is in a place is heard in
// its own segment alone.
#[test]
fn segments_have_places_of_their_own() {
    let config = narrow();
    let mut weights = initial::weights(&config, 1);
    let schedule = schedule(UNITS, &config).expect("it fits");
    initial::adjust(&mut weights, &config, &schedule, 1);
    let folder = tempfile::tempdir().expect("a folder");
    let info = ModelInfo::new(config.clone(), "a delay line");
    let package = Package::write(folder.path(), &info, &weights).expect("written");
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let mut engine = Engine::load(runtime, &package, &EngineOptions::default()).expect("a model");

    let windows = [window(&config, false), window(&config, true)];
    let codes = engine.encode(&windows, None).expect("codes");
    let [before, after] = [&codes[0].mu, &codes[1].mu];
    let place = CHANGED * UNITS..(CHANGED + 1) * UNITS;
    let moved: Vec<f32> = before.iter().zip(after).map(|(a, b)| (a - b).abs()).collect();
    let most = moved[place.clone()].iter().copied().fold(0.0, f32::max);
    assert!(most > 1e-3, "the code does not tell the segments apart");
    for (number, moved) in moved.iter().enumerate().take(SEGMENTS * UNITS) {
        assert!(place.contains(&number) || *moved < LEAK * most, "{number}: {moved} of {most}");
    }

    let mut changed = before.clone();
    changed[place].iter_mut().for_each(|number| *number += 0.1);
    let mut logits = [before, &changed].map(|z| {
        let mut decoder = engine.begin(std::slice::from_ref(z)).expect("begins");
        let first = decoder.sample().clone();
        let step = |_| {
            decoder.force(first.clone());
            decoder.step(0.0, None, None).expect("a step");
            decoder.logits().to_vec()
        };
        (0..SEGMENTS * STEPS).map(step).collect::<Vec<_>>()
    });
    let [before, after] = &mut logits;
    let change = |(a, b): (&Vec<f32>, &Vec<f32>)| {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let changes: Vec<f32> = before.iter().zip(&*after).map(change).collect();
    let largest = changes.iter().copied().fold(0.0, f32::max);
    assert!(largest > 1e-3, "nothing is heard");
    let heard = changes.iter().enumerate().filter(|(_, change)| **change > LEAK * largest);
    let heard: BTreeSet<usize> = heard.map(|(step, _)| step / STEPS).collect();
    assert_eq!(heard, BTreeSet::from([CHANGED]));
}

// A run from a model with a delay line, of 8 bits too, trains all but the line; where a schedule would
// train it, the run says so.
#[test]
fn delay_lines_are_not_trained_by_the_originals_rates() {
    let config = narrow();
    let mut weights = initial::weights(&config, 1);
    initial::adjust(&mut weights, &config, &schedule(UNITS, &config).expect("it fits"), 1);
    let place = tempfile::tempdir().expect("a folder");
    let [wide, model, dataset, out] =
        ["wide", "model", "dataset", "out"].map(|name| place.path().join(name));
    let info = ModelInfo::new(config.clone(), "a delay line");
    let package = Package::write(&wide, &info, &weights).expect("written");
    package.quantise(&model, &info, "").expect("written");
    let before = Package::open(&model).and_then(|model| model.weights()).expect("weights");
    std::fs::create_dir(&dataset).expect("a folder");
    let windows = [false, true].map(|other| match window(&config, other) {
        Tokens::Trio(steps) => steps.as_flattened().to_vec(),
        _ => panic!("a trio"),
    });
    let rows = windows.each_ref().map(|window| (&**window, "a.mid"));
    for split in Split::ALL {
        store::write(&dataset, split, windows[0].len(), &rows).expect("written");
    }
    let train = |out: &Path, more: &[&str]| {
        let paths = [("--from", &*model), ("--dataset", &*dataset), ("--out", out)];
        let sizes = "enc_rnn_size=[60],upper_enc_rnn_size=[50],dec_rnn_size=[44],\
                     conductor_rnn_size=[54],z_size=52";
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlude"));
        command.args(["train", "--config", "hier-trio_16bar", "--hparams", sizes]);
        for (name, path) in paths {
            command.arg(name).arg(path);
        }
        let output = command.args(["--threads", "1"]).args(more).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    let said = train(&out, &["--steps", "2"]);
    assert!(said.contains("delay line stays"), "{said}");
    let after = Package::open(&out.join("last")).and_then(|last| last.weights()).expect("weights");
    let moved =
        |name: &str| before.get(name).expect(name).data != after.get(name).expect(name).data;
    for frozen in [
        "encoder/mu/kernel",
        "decoder/hierarchical_level_0/initial_state/kernel",
        &format!("{}/kernel", conductor_cell(0)),
        &format!("{}/bias", encoder_cell(&encoder_levels(&config)[1].0, 0, "fw")),
    ] {
        assert!(!moved(frozen), "{frozen} was trained");
    }
    for trained in [
        "encoder/sigma/kernel",
        &format!("{}/kernel", encoder_cell(&encoder_levels(&config)[0].0, 0, "fw")),
    ] {
        assert!(moved(trained), "{trained} was not trained");
    }
    let phases = place.path().join("phases.json");
    for (frozen, warns) in [("nothing", true), ("means", false)] {
        let text = format!(
            r#"{{"phases": [{{"examples": 2, "batch_size": 2, "learning_rate": [0.001, 0.001],
               "frozen": "{frozen}"}}]}}"#
        );
        std::fs::write(&phases, text).expect("written");
        let said =
            train(&place.path().join(frozen), &["--schedule", phases.to_str().expect("plain")]);
        assert_eq!(said.contains("soon breaks it"), warns, "{said}");
    }
}

// A delay line that does not fit into the layers is refused, with what it would need.
#[test]
fn delay_lines_that_do_not_fit_are_refused() {
    let mut flat = config::by_name("cat-mel_2bar_small").expect("known");
    flat.override_hparams("dec_rnn_size=[256]").expect("valid");
    let mut deep = narrow();
    deep.override_hparams("enc_rnn_size=[50,50]").expect("valid");
    for (config, units, word) in [
        (flat, 1, "hierarchical"),
        (narrow(), UNITS + 1, "one more in `conductor_rnn_size`"),
        (deep, 1, "one layer"),
    ] {
        let message = schedule(units, &config).expect_err(word).to_string();
        assert!(message.contains(word) && message.contains("schedule.json"), "{message}");
        schedule(0, &config).expect("none is always possible");
    }
}
