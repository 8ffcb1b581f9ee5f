//! `interlude prior` and what uses a learned prior, on a model with random weights.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use interlude_dataset::{Split, store};
use interlude_models::clip::{Clip, Note};
use interlude_models::config::by_name;
use interlude_models::latent::flow::FILE;
use interlude_models::midi::to_bytes;
use interlude_models::package::{ModelInfo, Package};
use interlude_trainer::train::initial as model;
use interlude_trainer::train::plan::schedule::Schedule;
use serde_json::Value;

/// A place with a model and datasets.
struct Studio {
    place: tempfile::TempDir,
}

impl Studio {
    fn new() -> Self {
        let studio = Self { place: tempfile::tempdir().expect("a temporary folder") };
        let mut config = by_name("cat-mel_2bar_small").expect("known");
        config.override_hparams("z_size=6,enc_rnn_size=[8],dec_rnn_size=[8]").expect("fits");
        let weights = model::weights(&config, 1);
        let info = ModelInfo::new(config, "random weights");
        Package::write(&studio.at("model"), &info, &weights).expect("written");
        studio
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// A dataset with so many windows in each split, of 1 to 16 notes.
    fn dataset(&self, name: &str, count: u16) {
        fs::create_dir(self.at(name)).expect("a folder");
        for split in Split::ALL {
            let window = |number: u16| {
                let apart = usize::from(2 + number % 15);
                let mut window = vec![0; 32];
                (0..32).step_by(apart).for_each(|step| window[step] = 20 + number % 60);
                window
            };
            let windows: Vec<Vec<u16>> = (0..count).map(window).collect();
            let rows: Vec<store::Row<'_>> =
                windows.iter().map(|window| (&**window, "a.mid")).collect();
            store::write(&self.at(name), split, 32, &rows).expect("a dataset");
        }
    }

    /// A clip of two bars.
    fn clip(&self, name: &str, pitch: u8) -> PathBuf {
        let notes = (0..4u8).map(|beat| Note {
            start: 2.0 * f64::from(beat),
            end: 2.0 * f64::from(beat) + 1.0,
            pitch: pitch + beat,
            velocity: 80,
            channel: 0,
            program: 0,
        });
        let path = self.at(name);
        fs::write(&path, to_bytes(&Clip::new(notes.collect(), 8.0), 120.0)).expect("written");
        path
    }

    /// Runs the program in the place; what it says, or its sentence when it fails.
    fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlude"));
        let output = command.current_dir(self.place.path()).args(arguments).output();
        let output = output.expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn train(&self, dataset: &str, more: &[&str]) -> Result<String, String> {
        let base = ["prior", "--model", "model", "--dataset", dataset, "--batch-size", "8"];
        self.run(&[&base[..], more].concat())
    }

    /// The codes that `interlude generate` tells.
    fn codes(&self, mode: &str, more: &[&str]) -> Result<Vec<Value>, String> {
        let base = ["generate", mode, "--model", "model", "--seed", "3", "--temperature", "0"];
        let told = self.run(&[&base[..], &["--json"], more].concat())?;
        let told: Value = serde_json::from_str(&told).expect("JSON");
        Ok(told["codes"].as_array().expect("codes").iter().map(|it| it["z"].clone()).collect())
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("Unicode")
}

/// The command puts a prior into the model's folder and tells of it in the card; samples, morphs and
/// variations go through it, and with --plain they are as without it.
#[test]
fn priors_serve_generation() {
    let studio = Studio::new();
    studio.dataset("many", 100);
    let [a, b] = [studio.clip("a.mid", 60), studio.clip("b.mid", 48)];
    let line = ["--num-outputs", "3", text(&a), text(&b)];
    let plain = studio.codes("sample", &[]).expect("samples");
    let plain_line = studio.codes("interpolate", &line).expect("a morph");
    let refused = studio.codes("sample", &["--ask", "density=high"]).expect_err("no prior");
    assert!(refused.contains("interlude prior"), "{refused}");

    studio.train("many", &["--steps", "20", "--learning-rate", "0.02"]).expect("a prior");
    let card = fs::read_to_string(studio.at("model/README.md")).expect("a card");
    for words in ["## Prior", "100 windows", "density", "--steps 20"] {
        assert!(card.contains(words), "{words}: {card}");
    }
    let samples = studio.codes("sample", &[]).expect("samples");
    assert_ne!(samples, plain);
    assert_eq!(studio.codes("sample", &["--plain"]).expect("samples"), plain);
    assert_ne!(studio.codes("sample", &["--ask", "key=G", "--ask", "density=9"]), Ok(samples));
    for (wish, told) in [("height=low", "density"), ("density=much", "lowest"), ("key=H", "Gb")] {
        let refused = studio.codes("sample", &["--ask", wish]).expect_err("no such wish");
        assert!(refused.contains(told), "{refused}");
    }
    let way = studio.codes("interpolate", &line).expect("a morph");
    assert_eq!([&way[0], &way[2]], [&plain_line[0], &plain_line[2]], "ends stay");
    assert_ne!(way[1], plain_line[1]);
    let exact = studio.codes("vary", &["--similarity", "1", text(&a)]).expect("variations");
    assert_eq!(exact[0], way[0]);

    let file = studio.at("model").join(FILE);
    let whole = fs::read(&file).expect("the prior");
    fs::write(&file, &whole[..whole.len() / 2]).expect("cut");
    let refused = studio.codes("sample", &[]).expect_err("a damaged prior");
    assert!(refused.contains(FILE) && refused.contains("interlude prior"), "{refused}");
    assert_eq!(studio.codes("sample", &["--plain"]).expect("samples"), plain);
}

/// A run goes on where it was, a folder of another run and a damaged checkpoint are refused, and too
/// few windows are told with how many it takes.
#[test]
fn runs_go_on_or_say_why_not() {
    let studio = Studio::new();
    studio.dataset("many", 100);
    studio.dataset("few", 20);
    let few = studio.train("few", &[]).expect_err("too few windows");
    assert!(few.contains("20 windows") && few.contains("64"), "{few}");
    let steps = |count| ["--steps", count, "--evaluate-every", "5", "--out", "run"];
    studio.train("many", &steps("10")).expect("a prior");
    studio.train("many", &steps("15")).expect("it goes on");
    let metrics = fs::read_to_string(studio.at("run/metrics.jsonl")).expect("metrics");
    let seen: Vec<u64> = metrics
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["step"].as_u64())
        .map(|step| step.expect("a step"))
        .collect();
    assert_eq!(seen, [5, 10, 15]);
    let other = studio.train("many", &["--out", "run", "--seed", "2"]).expect_err("another run");
    assert!(other.contains("another prior") && other.contains("--out"), "{other}");
    let checkpoint = studio.at("run/checkpoint.safetensors");
    let whole = fs::read(&checkpoint).expect("a checkpoint");
    fs::write(&checkpoint, &whole[..whole.len() - 9]).expect("cut");
    let damaged = studio.train("many", &steps("20")).expect_err("a damaged checkpoint");
    assert!(damaged.contains("checkpoint.safetensors"), "{damaged}");
}

/// A hierarchical model with random weights, its levels delay lines or not, and a dataset of its windows.
fn sixteen_bars(delay: bool) -> Studio {
    let studio = Studio::new();
    fs::remove_dir_all(studio.at("model")).expect("a model");
    let mut config = by_name("hier-mel_16bar").expect("known");
    let sizes = "enc_rnn_size=[24],upper_enc_rnn_size=[64],dec_rnn_size=[16],\
                 conductor_rnn_size=[68],z_size=64";
    config.override_hparams(sizes).expect("fits");
    let mut weights = model::weights(&config, 1);
    if delay {
        let path = studio.at("schedule.json");
        fs::write(&path, r#"{"initial_delay": 4, "initial_mu_glorot": true, "phases": []}"#)
            .expect("written");
        let schedule = Schedule::read(&path, &config).expect("it fits");
        model::adjust(&mut weights, &config, &schedule, 1);
    }
    let info = ModelInfo::new(config, "random weights");
    Package::write(&studio.at("model"), &info, &weights).expect("written");
    fs::create_dir(studio.at("many")).expect("a folder");
    for split in Split::ALL {
        let window = |number: u16| -> Vec<u16> {
            (0..256u16)
                .map(|step| 2 + (number * 7 + step / 16 * 5 + step % 16 * number) % 80)
                .collect()
        };
        let windows: Vec<Vec<u16>> = (0..80).map(window).collect();
        let rows: Vec<store::Row<'_>> = windows.iter().map(|window| (&**window, "a.mid")).collect();
        store::write(&studio.at("many"), split, 256, &rows).expect("a dataset");
    }
    studio
}

/// Where the levels of a model hand its bars on, the prior is a network over bars, which samples,
/// morphs, and goes on where a training was left.
#[test]
fn bars_have_a_network_of_their_own() {
    let studio = sixteen_bars(true);
    let plain = studio.codes("sample", &[]).expect("samples");
    let steps = |count| ["--steps", count, "--width", "32", "--blocks", "2", "--out", "run"];
    studio.train("many", &steps("6")).expect("a prior");
    studio.train("many", &steps("8")).expect("it goes on");
    let prior = fs::read(studio.at("model").join(FILE)).expect("a prior");
    assert!(String::from_utf8_lossy(&prior).contains("basis"), "no basis of bars");
    let samples = studio.codes("sample", &[]).expect("samples");
    assert_ne!(samples, plain);
    assert_eq!(samples[0].as_array().map(Vec::len), Some(64));
    let narrower = ["--steps", "8", "--width", "64", "--out", "run"];
    let other = studio.train("many", &narrower).expect_err("another network");
    assert!(other.contains("another prior"), "{other}");
}

/// Where they do not, the prior takes codes as a whole.
#[test]
fn bars_that_cannot_be_told_apart_are_taken_as_a_whole() {
    let studio = sixteen_bars(false);
    studio.train("many", &["--steps", "2", "--width", "16", "--blocks", "1"]).expect("a prior");
    let prior = fs::read(studio.at("model").join(FILE)).expect("a prior");
    assert!(!String::from_utf8_lossy(&prior).contains("basis"), "a basis of bars");
    studio.codes("sample", &[]).expect("samples");
}
