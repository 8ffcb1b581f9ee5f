//! Latent constraints: gradients of critic and actor, an actor on codes whose place is known, and the
//! commands around them on a model with random weights.

use std::fs;
use std::path::Path;

use interlude_dataset::{Split, store};
use interlude_gradient::fit::{Fit, Network};
use interlude_gradient::perceptron::initial;
use interlude_models::attributes::{self, Measure};
use interlude_models::config::{self, by_name};
use interlude_models::engine::Posterior;
use interlude_models::latent::constraint::{ACTOR, Constraint, FILE, Range};
use interlude_models::latent::prior;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::runtime::Runtime;
use interlude_models::tokens::{Tokens, Window};
use interlude_models::weights::Weights;
use interlude_trainer::commands::run;
use interlude_trainer::constrain::comparison::{Row, labels};
use interlude_trainer::constrain::networks::{self, CRITIC, Sizes};
use interlude_trainer::constrain::{Settings, train};
use interlude_trainer::train::initial as model;

const SIZES: Sizes = Sizes { latent: 4, ranges: 2, critic: 6, actor: 5 };
const BATCH: usize = 3;

/// Weights of both networks, and all other inputs, from a list of drawn numbers.
fn drawn() -> (Weights, Vec<f32>) {
    let numbers = prior(3, 0, 2000);
    let mut uniform = numbers.iter().map(|value| 0.5 + 0.3 * value.clamp(-1.5, 1.5));
    let mut weights = Weights::default();
    let mut next = || uniform.next().expect("there are enough");
    initial(&mut weights, CRITIC, &SIZES.of_critic(), &mut next);
    initial(&mut weights, ACTOR, &SIZES.of_actor(), &mut next);
    (weights, prior(4, 0, 100))
}

/// Compares the gradients of a network, a tenth of which are its first moments after one step without
/// clipping, with differences of its loss.
fn check(network: impl Fn() -> Network) {
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let (weights, numbers) = drawn();
    let run = |weights: &Weights| {
        let network = network();
        let inputs = network.inputs.clone();
        let mut fit = Fit::new(runtime, network, weights, f32::MAX).expect("a graph");
        for (skipped, (name, _)) in inputs.iter().enumerate() {
            let input = fit.input(name);
            match weights.get(name) {
                Some(tensor) => input.copy_from_slice(&tensor.data),
                None => input.iter_mut().zip(&numbers[skipped..]).for_each(|(input, number)| {
                    *input = if name == "sign" { number.signum() } else { *number };
                }),
            }
        }
        fit.step(0.0).expect("a step");
        fit
    };
    let fit = run(&weights);
    let trained = fit.weights();
    for name in trained.0.keys() {
        let gradient: Vec<f32> = fit.moment(name).iter().map(|moment| 10.0 * moment).collect();
        let norm: f32 = gradient.iter().map(|value| value * value).sum();
        let step = 0.01 / norm.sqrt();
        let moved = |sign: f32| {
            let mut weights = weights.clone();
            let tensor = weights.0.get_mut(name).expect("a variable");
            let values = tensor.data.iter_mut().zip(&gradient);
            values.for_each(|(value, gradient)| *value += sign * step * gradient);
            run(&weights).scalar("loss")
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        assert!((slope / norm - 1.0).abs() < 0.03, "{name}: {slope} instead of {norm}");
    }
}

// The gradients of both networks lead up their losses as steeply as they say, for every variable.
#[test]
fn gradients_are_slopes() {
    check(|| networks::critic(SIZES, BATCH));
    check(|| networks::actor(SIZES, BATCH, 0.7));
}

// Music lies at 2 in the first dimension, its attribute is the sign of the second, and the others are
// as in the prior: the actor moves codes there, makes the attribute as wished, and leaves the others.
#[test]
fn actors_move_codes_to_the_music() {
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let code = |index| {
        let mut mu = prior(5, index, 6);
        mu[0] = 2.0 + 0.1 * mu[0];
        Posterior { mu, sigma: vec![0.05; 6] }
    };
    let codes: Vec<Posterior> = (0..2000).map(code).collect();
    let labels: Vec<Vec<f32>> = codes.iter().map(|code| vec![code.mu[1].signum()]).collect();
    let settings = Settings { steps: 800, learning_rate: 0.002, stay: 0.3, seed: 1 };
    let mut losses = Vec::new();
    let weights = train(runtime, &codes, &labels, settings, &mut |progress| {
        losses.push(progress.actor);
    });
    let range = Range { name: "sign".to_owned(), low: 0.0, high: 0.0 };
    let actor = Constraint::new(vec![range], 6, weights.expect("trained")).expect("an actor");
    assert_eq!(losses.len(), 800);
    let (mut right, mut near, mut moved) = (0, 0, 0.0);
    for index in 0..200u64 {
        let z = prior(6, index, 6);
        let wish = if index % 2 == 0 { 1.0 } else { -1.0 };
        let new = actor.apply(&z, &[wish]);
        near += u32::from((new[0] - 2.0).abs() < 0.6);
        right += u32::from(new[1] * wish > 0.0);
        moved += (2..6).map(|dimension| (new[dimension] - z[dimension]).abs()).sum::<f32>() / 800.0;
    }
    assert!(near > 160 && right > 180 && moved < 0.5, "{near} near, {right} right, {moved} moved");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("Unicode")
}

// The command puts an actor into the model's folder, and what it does into the card; constrained
// samples are made from it. Wishes it does not know, and a model without an actor, are told.
#[test]
fn actors_serve_generation() {
    let place = tempfile::tempdir().expect("a temporary folder");
    let at = |name: &str| place.path().join(name);
    let (folder, dataset, out) = (at("model"), at("dataset"), at("out"));
    let mut config = by_name("cat-mel_2bar_small").expect("known");
    config.override_hparams("z_size=6,enc_rnn_size=[8],dec_rnn_size=[8]").expect("fits");
    let weights = model::weights(&config, 1);
    Package::write(&folder, &ModelInfo::new(config, "random weights"), &weights).expect("written");

    let sample = |more: &[&str]| {
        let base = ["interlude", "generate", "sample", "--model", text(&folder), "--constrained"];
        run([&base[..], &["--out", text(&out), "--num-outputs", "3"], more].concat())
    };
    let refused = sample(&[]).expect_err("no actor").to_string();
    assert!(refused.contains(FILE) && refused.contains("interlude constrain"), "{refused}");

    fs::create_dir(&dataset).expect("a folder");
    for split in Split::ALL {
        // Windows of 1 to 16 notes, on keys of their own.
        let window = |number: u16| {
            let apart = usize::from(2 + number % 15);
            let mut window = vec![0; 32];
            (0..32).step_by(apart).for_each(|step| window[step] = 30 + number);
            window
        };
        let windows: Vec<Vec<u16>> = (0..40).map(window).collect();
        let rows: Vec<store::Row<'_>> = windows.iter().map(|window| (&**window, "a.mid")).collect();
        store::write(&dataset, split, 32, &rows).expect("a dataset");
    }
    let base = ["interlude", "constrain", "--model", text(&folder), "--dataset", text(&dataset)];
    run([&base[..], &["--steps", "5", "--samples", "8"]].concat()).expect("an actor");
    assert!(fs::metadata(folder.join(FILE)).expect("the file").len() < 1_000_000);
    let card = fs::read_to_string(folder.join("README.md")).expect("a card");
    for words in ["| samples moved |", "| moved, density low |", "--steps 5", "--dataset dataset"] {
        assert!(card.contains(words), "{words}: {card}");
    }
    sample(&["--attribute", "density=high"]).expect("samples");
    assert_eq!(fs::read_dir(&out).expect("the folder").count(), 3);
    for (wish, told) in [("height=low", "density"), ("density=much", "NAME=low")] {
        let refused = sample(&["--attribute", wish]).expect_err("no such wish").to_string();
        assert!(refused.contains(told), "{refused}");
    }
    fs::write(folder.join(FILE), b"no actor").expect("written");
    let refused = sample(&[]).expect_err("damaged").to_string();
    assert!(refused.contains(FILE) && refused.contains("interlude constrain"), "{refused}");
}

/// Windows of a melody model with so many notes each.
fn windows(counts: impl IntoIterator<Item = usize>) -> Vec<Window> {
    let window = |count| {
        let step = |step: usize| if step < count { 41 } else { 0 };
        Window { tokens: Tokens::Melody((0..32).map(step).collect()), controls: None }
    };
    counts.into_iter().map(window).collect()
}

// The lower third of the windows is low, the upper third high; an attribute that is the same
// everywhere has no range.
#[test]
fn thirds_are_low_and_high() {
    let config = config::by_name("cat-mel_2bar_small").expect("known");
    let measures = attributes::of_config(&config);
    let density = |measure: &Measure| measure.name == "density";
    let measures: Vec<Measure> = measures.into_iter().filter(density).collect();
    let (ranges, found) = labels(&config, &windows(1..=9), &measures);
    assert_eq!(ranges.len(), 1);
    assert!(ranges[0].low < ranges[0].high);
    let found: Vec<f32> = found.into_iter().flatten().collect();
    assert_eq!((found[0], found[4], found[8]), (-1.0, 0.0, 1.0));
    assert!(found.is_sorted(), "{found:?}");
    let (ranges, found) = labels(&config, &windows([4; 9]), &measures);
    assert!(ranges.is_empty() && found.iter().all(Vec::is_empty));
}

// Equal windows have no spread, and the share of different ones counts each once.
#[test]
fn rows_tell_equal_windows() {
    let config = config::by_name("cat-mel_2bar_small").expect("known");
    let measures = attributes::of_config(&config);
    let same = Row::of("same", &config, &windows([4; 5]), &measures, 1.0);
    assert_eq!((same.spread, same.distinct), (0.0, 0.2));
    assert_eq!(same.notes_per_bar, 2.0);
    let others = Row::of("others", &config, &windows(1..=5), &measures, 0.5);
    assert!(others.spread > 0.0);
    assert_eq!((others.distinct, others.in_range), (1.0, 0.5));
    assert_eq!(others.values().count(), 6 + measures.len());
}
