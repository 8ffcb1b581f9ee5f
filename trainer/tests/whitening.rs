//! Whitened latent spaces: the music stays the same, and codes lie as the prior says.

use std::fs;
use std::path::Path;

use interlude_dataset::{Split, layout, store};
use interlude_models::config::{self, Config};
use interlude_models::engine::{Engine, EngineOptions, Posterior};
use interlude_models::package::{ModelInfo, Package};
use interlude_models::runtime::Runtime;
use interlude_models::tokens::Window;
use interlude_models::weights::Weights;
use interlude_trainer::commands;
use interlude_trainer::evaluate::reconstruction;
use interlude_trainer::evaluate::scores::Scores;
use interlude_trainer::train::initial;
use interlude_trainer::whitening::Whitening;

const WINDOWS: usize = 24;

/// A configuration with small layers, and weights of it whose codes lie close together, dependent on
/// each other, with far less noise.
fn packed(name: &str) -> (Config, Weights) {
    let mut config = config::by_name(name).expect("known");
    config.hparams.enc_rnn_size.iter_mut().for_each(|size| *size = 5);
    config.hparams.dec_rnn_size.iter_mut().for_each(|size| *size = 6);
    config.hparams.z_size = 4;
    config.hparams.nade_num_hidden = 3;
    let mut weights = initial::weights(&config, 3);
    let scale = |weights: &mut Weights, name: &str, factor: f32| {
        let kernel = &mut weights.0.get_mut(name).expect("there").data;
        kernel.iter_mut().for_each(|value| *value *= factor);
    };
    scale(&mut weights, "encoder/mu/kernel", 100.0);
    scale(&mut weights, "encoder/sigma/kernel", 10.0);
    weights.0.get_mut("encoder/mu/bias").expect("there").data.fill(0.3);
    weights.0.get_mut("encoder/sigma/bias").expect("there").data.fill(-9.0);
    let reading = weights.0.keys().filter(|name| name.ends_with("initial_state/kernel"));
    for name in reading.cloned().collect::<Vec<_>>() {
        scale(&mut weights, &name, 1000.0);
    }
    (config, weights)
}

/// Windows as numbers of a dataset, from a simple generator.
fn windows(config: &Config, count: usize) -> Vec<Vec<u16>> {
    let limits = layout::limits(config);
    let mut state = 1u32;
    let mut number = |limit: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u16::try_from((state >> 8) % limit).expect("limits are small")
    };
    let length = config.hparams.max_seq_len * limits.len();
    (0..count).map(|_| limits.iter().cycle().take(length).map(|&l| number(l)).collect()).collect()
}

/// The codes of some windows, and how these come back.
fn heard(
    folder: &Path,
    config: &Config,
    weights: &Weights,
    windows: &[Window],
) -> (Vec<Posterior>, Scores) {
    let info = ModelInfo::new(config.clone(), "random weights");
    let package = Package::write(folder, &info, weights).expect("written");
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let mut engine = Engine::load(runtime, &package, &EngineOptions::default()).expect("a model");
    let tokens: Vec<_> = windows.iter().map(|window| window.tokens.clone()).collect();
    let controls: Option<Vec<_>> = windows.iter().map(|window| window.controls.clone()).collect();
    let codes = engine.encode(&tokens, controls.as_deref()).expect("codes");
    (codes, reconstruction::run(&mut engine, windows, 0, &|_| {}).expect("music").scores)
}

// In every configuration whitened codes have mean 0, variance 1 with their noise and nothing in common,
// and what is decoded from them is what was decoded before.
#[test]
fn music_stays_and_codes_lie_as_the_prior_says() {
    for config in config::all() {
        let name = &config.name;
        let (config, weights) = packed(name);
        let numbers = windows(&config, WINDOWS);
        let windows: Vec<Window> =
            numbers.iter().map(|numbers| layout::read(&config, numbers)).collect();
        let place = tempfile::tempdir().expect("a temporary folder");
        let (codes, before) = heard(&place.path().join("old"), &config, &weights, &windows);
        let change = Whitening::of(&codes).expect("codes differ");
        let (new, weights) = change.apply(&config, &weights);
        assert_eq!(new.hparams.z_size, change.size());
        let (codes, after) = heard(&place.path().join("new"), &new, &weights, &windows);

        assert_eq!(after.accuracy_free_running, before.accuracy_free_running, "{name}");
        if let (Some(before), Some(after)) = (before.r_loss, after.r_loss) {
            assert!((after / before - 1.0).abs() < 1e-4, "{name}: {before}, {after}");
        }
        let bits = change.divergence() / std::f64::consts::LN_2;
        assert!((after.kl_bits / bits - 1.0).abs() < 1e-2, "{name}: {bits}, {}", after.kl_bits);
        assert!(after.kl_bits < 0.7 * before.kl_bits, "{name}: {}", before.kl_bits);

        let count = f64::from(u32::try_from(WINDOWS).expect("few"));
        let mean = |of: &dyn Fn(&Posterior) -> f64| codes.iter().map(of).sum::<f64>() / count;
        for a in 0..change.size() {
            assert!(mean(&|code| f64::from(code.mu[a])).abs() < 1e-2, "{name}");
            for b in 0..=a {
                let both = mean(&|code| f64::from(code.mu[a] * code.mu[b]));
                let noise = mean(&|code| f64::from(code.sigma[a] * code.sigma[b]));
                let expected = if a == b { 1.0 - noise } else { 0.0 };
                assert!((both - expected).abs() < 2e-2, "{name}: {a} {b} {both} {expected}");
            }
        }
    }
}

// Codes without noise, and codes that do not differ, cannot be whitened.
#[test]
fn nothing_is_made_of_nothing() {
    let code = |mu: f32, sigma: f32| Posterior { mu: vec![mu, 1.0], sigma: vec![sigma, 0.1] };
    assert!(Whitening::of(&[]).is_none());
    assert!(Whitening::of(&[code(1.0, 0.0), code(2.0, 0.0)]).is_none());
    assert!(Whitening::of(&[code(1.0, 0.1), code(1.0, 0.1)]).is_none());
    let change = Whitening::of(&[code(1.0, 0.1), code(2.0, 0.1)]).expect("they differ");
    assert_eq!(change.size(), 1, "what only holds noise is left out");
}

// The command writes a model that plays, with a card that tells what was done; few windows are
// refused by name. Weights come from the model's folder, whatever lies beside it.
#[test]
fn the_command_writes_a_model() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| place.path().join(name).to_str().expect("Unicode").to_owned();
    let (config, weights) = packed("cat-mel_2bar_small");
    let info = ModelInfo::new(config.clone(), "random weights");
    Package::write(Path::new(&at("model.v2")), &info, &weights).expect("written");
    fs::create_dir(at("dataset")).expect("a folder");
    let numbers = windows(&config, WINDOWS);
    let rows = |count| -> Vec<store::Row<'_>> {
        numbers.iter().take(count).map(|window| (&**window, "a.mid")).collect()
    };
    let whiten = || {
        let words =
            ["--model", &at("model.v2"), "--dataset", &at("dataset"), "--out", &at("white")];
        commands::run([&["interlude", "whiten"][..], &words].concat())
    };
    store::write(Path::new(&at("dataset")), Split::Train, 32, &rows(7)).expect("a dataset");
    fs::write(at("model.v2.safetensors"), b"of something else").expect("written");
    let refused = whiten().expect_err("few windows").to_string();
    assert!(refused.contains("7 windows"), "{refused}");
    store::write(Path::new(&at("dataset")), Split::Train, 32, &rows(WINDOWS)).expect("a dataset");
    whiten().expect("a model");
    let white = Package::open(Path::new(&at("white"))).expect("a model");
    assert!(white.info.provenance.source.ends_with("codes whitened"));
    let found = white.weights().expect("weights");
    let expected = [white.info.config.hparams.z_size];
    assert_eq!(found.get("encoder/mu/bias").expect("there").shape, expected);
    assert!(!Path::new(&at("white.safetensors")).exists(), "weights lie in the folder alone");
    let card = fs::read_to_string(Path::new(&at("white")).join("README.md")).expect("a card");
    assert!(
        card.contains("interlude whiten --model model.v2 --dataset dataset --out white"),
        "{card}"
    );
}
