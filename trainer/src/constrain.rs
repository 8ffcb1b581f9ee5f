//! Latent constraints (Engel, Hoffman and Roberts 2017): a critic learns to distinguish codes of
//! music from codes of the prior and from those that an actor moved, and low from high attributes;
//! the actor learns to move codes of the prior, as little as possible, so that the critic takes
//! them for music with the requested attributes.

pub mod comparison;
pub mod networks;

use interlude_gradient::fit::{Fit, FitError};
use interlude_gradient::perceptron::initial;
use interlude_models::attributes::{self, Measure};
use interlude_models::config::Config;
use interlude_models::engine::Posterior;
use interlude_models::latent::constraint::{ACTOR, Range};
use interlude_models::runtime::Runtime;
use interlude_models::weights::Weights;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::train::batches::fill_normal;
use networks::{CRITIC, Sizes};

/// Codes of music in a step, and codes of the prior.
const BATCH: usize = 64;
/// Norm to which the gradients of a network are clipped.
const CLIP: f32 = 1.0;
/// Units of hidden layers.
const CRITIC_UNITS: usize = 256;
const ACTOR_UNITS: usize = 160;

/// Settings of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Steps of both networks.
    pub steps: usize,
    /// Initial learning rate; it falls to 0 linearly.
    pub learning_rate: f32,
    /// Weight of the penalty on the distance that the actor moves codes.
    pub stay: f32,
    /// Seed of initial weights, order and noise.
    pub seed: u64,
}

/// The attributes of a configuration that are named, in this order; of no names the density of the
/// first voice, with its pitch, or of drums its syncopation.
///
/// # Errors
/// A sentence that lists the attributes there are.
pub fn wished(config: &Config, names: &[String]) -> Result<Vec<Measure>, String> {
    let all = attributes::of_config(config);
    let find = |name: &str| {
        all.iter().find(|measure| measure.name == name).cloned().ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|measure| measure.name.as_str()).collect();
            format!("`{}` has no attribute `{name}`; there are: {}", config.name, names.join(", "))
        })
    };
    if !names.is_empty() {
        return names.iter().map(|name| find(name)).collect();
    }
    let voices = config.family().voices();
    let Some(first) = voices.first() else { return Ok(Vec::new()) };
    let prefix = if voices.len() == 1 { String::new() } else { format!("{}-", first.name) };
    let second = if first.is_drums { "syncopation" } else { "pitch" };
    ["density", second].into_iter().map(|id| find(&format!("{prefix}{id}"))).collect()
}

/// The request for each attribute of an actor, from texts such as `density=high`: −1 low, 1 high, none
/// where it is not asked for.
///
/// # Errors
/// A sentence that says how a request is written, or which attributes the actor knows.
pub fn requests(ranges: &[Range], asked: &[String]) -> Result<Vec<Option<f32>>, String> {
    let mut requests = vec![None; ranges.len()];
    for asked in asked {
        let (name, value) = asked.split_once('=').unwrap_or((asked, ""));
        let value = match value {
            "low" => -1.0,
            "high" => 1.0,
            _ => {
                return Err(format!(
                    "--attribute {asked} is not of the form NAME=low or NAME=high"
                ));
            }
        };
        let Some(index) = ranges.iter().position(|range| range.name == name) else {
            let names: Vec<&str> = ranges.iter().map(|range| range.name.as_str()).collect();
            let names = names.join(", ");
            return Err(format!("the model's actor knows no `{name}`; it knows {names}"));
        };
        requests[index] = Some(value);
    }
    Ok(requests)
}

/// Whether a window's attribute is low (−1), high (1) or neither (0), one for each attribute.
pub type Labels = Vec<f32>;

/// Losses of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Loss of the critic in nats.
    pub critic: f32,
    /// Loss of the actor in nats.
    pub actor: f32,
    /// Mean of `ln(1 + (z' − z)²)`.
    pub distance: f32,
}

/// Trains an actor on the codes of some windows with their labels, and returns its tensors.
/// `on_step` is called after every step.
///
/// # Errors
/// [`FitError`] when ONNX Runtime fails.
///
/// # Panics
/// When there is no code, or there are not as many labels as codes.
pub fn train(
    runtime: &Runtime,
    codes: &[Posterior],
    labels: &[Labels],
    settings: Settings,
    on_step: &mut dyn FnMut(Progress),
) -> Result<Weights, FitError> {
    assert!(!codes.is_empty() && codes.len() == labels.len(), "each code has its labels");
    let (latent, ranges) = (codes[0].mu.len(), labels[0].len());
    let sizes = Sizes { latent, ranges, critic: CRITIC_UNITS, actor: ACTOR_UNITS };
    let mut generator = ChaCha8Rng::seed_from_u64(settings.seed);
    let mut weights = Weights::default();
    let mut uniform = || generator.random::<f32>();
    initial(&mut weights, CRITIC, &sizes.of_critic(), &mut uniform);
    initial(&mut weights, ACTOR, &sizes.of_actor(), &mut uniform);
    let mut critic = Fit::new(runtime, networks::critic(sizes, 2 * BATCH), &weights, CLIP)?;
    let network = networks::actor(sizes, BATCH, settings.stay);
    let mut actor = Fit::new(runtime, network, &weights, CLIP)?;
    let mut moved = vec![0.0; BATCH * latent];
    fill_normal(&mut generator, &mut moved);
    for step in 0..settings.steps {
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^24")]
        let left = 1.0 - step as f32 / settings.steps as f32;
        let rate = settings.learning_rate * left;

        // Half of the critic's examples are music; the others are half moved, half as drawn.
        let mut examples = Examples::default();
        for _ in 0..BATCH {
            let index = generator.random_range(0..codes.len());
            examples.music(&codes[index], &labels[index], &mut generator);
        }
        for number in 0..BATCH {
            let code = &mut moved[number * latent..(number + 1) * latent];
            if number % 2 == 0 {
                fill_normal(&mut generator, code);
            }
            examples.other(code, ranges);
        }
        critic.input("z").copy_from_slice(&examples.z);
        critic.input("sign").copy_from_slice(&examples.sign);
        critic.input("weight").copy_from_slice(&examples.weight);
        critic.step(rate)?;

        for (name, tensor) in critic.weights().iter() {
            actor.input(name).copy_from_slice(&tensor.data);
        }
        fill_normal(&mut generator, actor.input("z"));
        let mut wishes = Wishes::default();
        for _ in 0..BATCH {
            wishes.add(ranges, &mut generator);
        }
        actor.input("wish").copy_from_slice(&wishes.wish);
        actor.input("sign").copy_from_slice(&wishes.sign);
        actor.input("weight").copy_from_slice(&wishes.weight);
        actor.step(rate)?;
        moved.copy_from_slice(actor.output("moved"));
        on_step(Progress {
            critic: critic.scalar("loss"),
            actor: actor.scalar("loss"),
            distance: actor.scalar("distance"),
        });
    }
    Ok(actor.weights())
}

/// Share of an example in a mean.
#[expect(clippy::cast_precision_loss, reason = "a small number")]
const SHARE: f32 = 1.0 / BATCH as f32;

/// Inputs of the critic.
#[derive(Default)]
struct Examples {
    z: Vec<f32>,
    sign: Vec<f32>,
    weight: Vec<f32>,
}

impl Examples {
    fn music(&mut self, code: &Posterior, labels: &[f32], generator: &mut ChaCha8Rng) {
        let mut noise = vec![0.0; code.mu.len()];
        fill_normal(generator, &mut noise);
        let drawn = code.mu.iter().zip(&code.sigma).zip(&noise);
        self.z.extend(drawn.map(|((mu, sigma), noise)| mu + sigma * noise));
        self.sign.push(1.0);
        self.weight.push(SHARE);
        for &label in labels {
            self.sign.push(if label == 0.0 { 1.0 } else { label });
            self.weight.push(SHARE * label.abs());
        }
    }

    fn other(&mut self, code: &[f32], ranges: usize) {
        self.z.extend_from_slice(code);
        self.sign.push(-1.0);
        self.weight.push(SHARE);
        self.sign.extend(std::iter::repeat_n(1.0, ranges));
        self.weight.extend(std::iter::repeat_n(0.0, ranges));
    }
}

/// Targets of the actor.
#[derive(Default)]
struct Wishes {
    wish: Vec<f32>,
    sign: Vec<f32>,
    weight: Vec<f32>,
}

impl Wishes {
    /// Requests: none for half of the codes, otherwise low, high or any for each attribute.
    fn add(&mut self, ranges: usize, generator: &mut ChaCha8Rng) {
        let free = generator.random_bool(0.5);
        self.sign.push(1.0);
        self.weight.push(SHARE);
        for _ in 0..ranges {
            let drawn = [-1.0, 0.0, 1.0][generator.random_range(0..3)];
            let wish: f32 = if free { 0.0 } else { drawn };
            self.wish.push(wish);
            self.sign.push(if wish == 0.0 { 1.0 } else { wish });
            self.weight.push(SHARE * wish.abs());
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    // Requests are those of the actor's attributes, in its order; what it does not know is refused with
    // what it knows.
    #[test]
    fn requests_are_the_actors() {
        let range = |name: &str| Range { name: name.to_owned(), low: 0.0, high: 1.0 };
        let ranges = [range("density"), range("pitch")];
        let read = |asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|text| (*text).to_owned()).collect();
            requests(&ranges, &asked)
        };
        assert_eq!(read(&[]), Ok(vec![None, None]));
        assert_eq!(read(&["pitch=low", "density=high"]), Ok(vec![Some(1.0), Some(-1.0)]));
        assert!(read(&["pitch=3"]).is_err_and(|told| told.contains("NAME=high")));
        assert!(read(&["swing=low"]).is_err_and(|told| told.contains("density, pitch")));
    }

    // Attributes that can be wished for are those that are named; an unknown name lists what there is.
    #[test]
    fn attributes_are_named() {
        let names = |config: &str, names: &[&str]| {
            let config = config::by_name(config).expect("known");
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let measures = wished(&config, &names)?;
            Ok(measures.into_iter().map(|measure| measure.name).collect::<Vec<_>>())
        };
        let of = |config| names(config, &[]).expect("its own");
        assert_eq!(of("cat-mel_2bar_small"), ["density", "pitch"]);
        assert_eq!(of("hierdec-trio_16bar"), ["melody-density", "melody-pitch"]);
        assert_eq!(of("groovae_4bar"), ["density", "syncopation"]);
        let named = names("cat-drums_2bar_small", &["closed-hat", "density"]);
        assert_eq!(named, Ok(vec!["closed-hat".to_owned(), "density".to_owned()]));
        let told: String = names("cat-mel_2bar_small", &["kick"]).expect_err("of drums");
        assert!(told.contains("`kick`") && told.contains("density, pitch, range"), "{told}");
    }
}
