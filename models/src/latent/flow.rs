//! A learned prior: a flow from the standard normal distribution to where the codes of real music lie
//! (Mittal 2021 with diffusion; here flow matching, see [`interlude_gradient::flow`]).
//!
//! The codes of a variational autoencoder fill only a part of its standard normal prior. Samples
//! from elsewhere are unlike music, and so are points of the straight line between two clips. The
//! flow carries noise to codes of music and codes back to noise, so interpolating in noise stays
//! near music.

mod conditions;
mod file;

use interlude_gradient::field::{Field, Plan, Way};
use interlude_gradient::fit::FitError;
use interlude_gradient::flow::TIMES;
use interlude_gradient::random::generator;
use interlude_gradient::velocity::Sizes;
use interlude_gradient::{residual, transformer};
use rand::RngExt;

use crate::runtime::Runtime;
use crate::weights::Weights;

pub use conditions::{Condition, Conditions, Known};
pub use file::{FILE, FlowError};

use super::{bilinear, prior, slerp};

/// Integration steps of a sample.
const SAMPLE_STEPS: usize = 12;
/// Integration steps from noise to a code on a morph.
const FORWARD_STEPS: usize = 6;
/// Integration steps from a code to its noise.
const BACKWARD_STEPS: usize = 30;
/// How far the norm of the noise in the middle of a morph is raised towards that of drawn noise, 0
/// to 1. The noise of a posterior mean is shorter than drawn noise, and music between such is
/// sparser than the clips: with `mel-2bar` the middle has .88 of their notes with 0, and 1.02 with
/// 1, which has more leaps.
const LENGTHENED: f32 = 0.5;
/// Points that are integrated in one batch, which bounds memory.
const MOST_ROWS: usize = 64;
/// Default classifier-free guidance of codes as a whole.
const GUIDANCE: f32 = 2.0;
/// The same of codes of bars. With 4 samples of `mel-16bar` are nearer to its data than with 3 or 2,
/// in scale, range and repeats.
const GUIDANCE_OF_BARS: f32 = 4.0;

/// A learned prior as stored in a model's folder.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    space: String,
    blends: bool,
    conditions: Conditions,
    /// Classes of training windows, so that conditions that are not given are drawn consistently
    /// with those that are.
    examples: Vec<Vec<Option<usize>>>,
    sizes: Sizes,
    weights: Weights,
}

/// Sizes of the network of a prior for codes of `latent` numbers as a whole.
pub fn sizes(latent: usize, conditions: &Conditions, width: usize, blocks: usize) -> Sizes {
    let context = TIMES + conditions.size();
    Sizes::Whole(residual::Sizes { size: latent, context, width, embedding: width / 3, blocks })
}

/// The same for codes of `parts` bars, which a fixed basis tells apart.
pub fn sizes_of_parts(
    (parts, latent): (usize, usize),
    conditions: &Conditions,
    width: usize,
    blocks: usize,
) -> Sizes {
    let context = TIMES + conditions.size();
    let (part, embedding) = (latent / parts, width / 2);
    Sizes::Parts(transformer::Sizes { parts, part, context, width, embedding, blocks })
}

impl Flow {
    /// A prior of the latent space of that name, with `latent` dimensions. An example has a class,
    /// or none, for each condition.
    ///
    /// # Errors
    /// A phrase that says what is missing, of a wrong shape or not finite.
    pub fn new(
        space: String,
        conditions: Conditions,
        examples: Vec<Vec<Option<usize>>>,
        latent: usize,
        weights: Weights,
    ) -> Result<Self, String> {
        let sizes = Sizes::of(&weights)
            .map_err(|name| format!("`{name}` is missing or does not fit the others"))?;
        if weights.0.len() != sizes.tensors() {
            return Err("it lacks tensors, or has too many".to_owned());
        }
        if sizes.size() != latent || sizes.context() != TIMES + conditions.size() {
            return Err("its sizes are not those of the model".to_owned());
        }
        let list = conditions.list();
        let known = |example: &Vec<Option<usize>>| {
            example.len() == list.len()
                && example
                    .iter()
                    .zip(list)
                    .all(|(class, condition)| class.is_none_or(|class| class < condition.classes()))
        };
        if !examples.iter().all(known) {
            return Err("its examples do not fit its conditions".to_owned());
        }
        Ok(Self { space, blends: true, conditions, examples, sizes, weights })
    }

    /// The latent space that its codes belong to.
    pub fn space(&self) -> &str {
        &self.space
    }

    /// Whether interpolation goes through the noise of codes. Where that gains nothing, codes are
    /// interpolated directly, and only samples come from the prior.
    pub fn blends(&self) -> bool {
        self.blends
    }

    /// The same prior for samples only, or for interpolation too.
    #[must_use]
    pub fn with_blends(self, blends: bool) -> Self {
        Self { blends, ..self }
    }

    /// Its default classifier-free guidance.
    pub fn guidance(&self) -> f32 {
        match self.sizes {
            Sizes::Whole(_) => GUIDANCE,
            Sizes::Parts(_) => GUIDANCE_OF_BARS,
        }
    }

    /// What it can be conditioned on.
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// Number of its weights.
    pub fn weight_count(&self) -> usize {
        self.weights.iter().map(|(_, tensor)| tensor.data.len()).sum()
    }

    /// The classes of a training window, determined by seed and index; where some are requested, of
    /// a window that matches most of them.
    pub fn example(&self, seed: u64, index: u64, asked: &[Option<usize>]) -> Vec<Option<usize>> {
        let fits = |example: &[Option<usize>]| {
            asked.iter().zip(example).filter(|(asked, own)| asked.is_some() && asked == own).count()
        };
        let most = self.examples.iter().map(|example| fits(example)).max().unwrap_or(0);
        let best: Vec<_> = self.examples.iter().filter(|example| fits(example) == most).collect();
        let mut classes = match best.len() {
            0 => vec![None; self.conditions.list().len()],
            count => best[generator(seed, *b"examples", index).random_range(0..count)].clone(),
        };
        for (class, asked) in classes.iter_mut().zip(asked) {
            *class = asked.or(*class);
        }
        classes
    }

    /// Starts it.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime refuses.
    pub fn start(self, runtime: &Runtime) -> Result<Prior, FitError> {
        let mut field = Field::new(runtime, self.sizes, &self.weights)?;
        let mut plan = |from, to, steps| field.plan(Way { from, to, steps }, &[], 1.0);
        let forward = plan(0.0, 1.0, FORWARD_STEPS)?;
        let backward = plan(1.0, 0.0, BACKWARD_STEPS)?;
        Ok(Prior { flow: self, field, forward, backward })
    }
}

/// A learned prior in sessions, ready to sample.
#[derive(Debug)]
pub struct Prior {
    flow: Flow,
    field: Field,
    forward: Plan,
    backward: Plan,
}

/// A code and the noise that the flow maps to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    code: Vec<f32>,
    noise: Vec<f32>,
    /// The code minus the result of the flow from its noise.
    rest: Vec<f32>,
}

impl Origin {
    /// The code.
    pub fn code(&self) -> &[f32] {
        &self.code
    }
}

/// A point between codes: its noise, and the share of each code; shares sum to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Place<'a> {
    noise: Vec<f32>,
    shares: Vec<(&'a Origin, f32)>,
}

impl<'a> Place<'a> {
    /// The point between two codes, by spherical interpolation of their noises.
    pub fn between(a: &'a Origin, b: &'a Origin, t: f32) -> Self {
        let mut noise = slerp(&a.noise, &b.noise, t);
        lengthen(&mut noise, LENGTHENED * (std::f32::consts::PI * t).sin());
        Self { noise, shares: vec![(a, 1.0 - t), (b, t)] }
    }

    /// The point between four codes, see [`bilinear`].
    pub fn inside(corners: [&'a Origin; 4], x: f32, y: f32) -> Self {
        let mut noise = bilinear(corners.map(|corner| corner.noise.as_slice()), x, y);
        let [along, across] = [x, y].map(|share| 1.0 - (std::f32::consts::PI * share).sin());
        lengthen(&mut noise, LENGTHENED * (1.0 - along * across));
        let shares = [(1.0 - x) * (1.0 - y), x * (1.0 - y), (1.0 - x) * y, x * y];
        Self { noise, shares: corners.into_iter().zip(shares).collect() }
    }

    /// A point between a code and other noise: `similarity` 1 is the code, 0 the noise.
    pub fn towards(noise: &[f32], origin: &'a Origin, similarity: f32) -> Self {
        let noise = slerp(noise, &origin.noise, similarity);
        Self { noise, shares: vec![(origin, similarity)] }
    }
}

/// Moves the norm of noise a share of the way to that of drawn noise.
fn lengthen(noise: &mut [f32], share: f32) {
    let length = noise.iter().map(|value| value * value).sum::<f32>().sqrt();
    #[expect(clippy::cast_precision_loss, reason = "codes are short")]
    let drawn = (noise.len() as f32).sqrt();
    if length > 0.0 {
        let factor = 1.0 + share.clamp(0.0, 1.0) * (drawn / length - 1.0);
        noise.iter_mut().for_each(|value| *value *= factor);
    }
}

impl Prior {
    /// What it is.
    pub fn flow(&self) -> &Flow {
        &self.flow
    }

    /// The codes that the flow maps noise to, each with its conditions.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime fails.
    ///
    /// # Panics
    /// When noise or what is known does not fit the prior, or there is not as much of both.
    pub fn codes(
        &mut self,
        noise: &[Vec<f32>],
        known: &[Known],
        guidance: f32,
    ) -> Result<Vec<Vec<f32>>, FitError> {
        assert_eq!(noise.len(), known.len(), "something is known of each");
        let way = Way { from: 0.0, to: 1.0, steps: SAMPLE_STEPS };
        let mut codes = Vec::with_capacity(noise.len());
        for (noise, known) in noise.chunks(MOST_ROWS).zip(known.chunks(MOST_ROWS)) {
            let told: Vec<Vec<f32>> = known.iter().map(|known| self.told(known)).collect();
            let plan = self.field.plan(way, &told, guidance)?;
            codes.extend(self.field.follow(noise, &plan)?);
        }
        Ok(codes)
    }

    /// Samples of the prior, determined by seed and index, each conditioned on the classes of a
    /// training window that match the request.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime fails.
    pub fn samples(
        &mut self,
        seed: u64,
        indices: &[u64],
        asked: &[Option<usize>],
        guidance: f32,
    ) -> Result<Vec<Vec<f32>>, FitError> {
        let known = |&index: &u64| Known {
            classes: self.flow.example(seed, index, asked),
            ..Known::default()
        };
        let known: Vec<Known> = indices.iter().map(known).collect();
        let size = self.field.sizes().size();
        let noise: Vec<_> = indices.iter().map(|&index| prior(seed, index, size)).collect();
        self.codes(&noise, &known, guidance)
    }

    /// The noise that the flow maps to a code.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime fails.
    pub fn origin(&mut self, code: &[f32]) -> Result<Origin, FitError> {
        let noise = self.field.follow(&[code.to_vec()], &self.backward)?.swap_remove(0);
        let again = self.field.follow(std::slice::from_ref(&noise), &self.forward)?.swap_remove(0);
        let rest = code.iter().zip(again).map(|(code, again)| code - again).collect();
        Ok(Origin { code: code.to_vec(), noise, rest })
    }

    /// The codes at points. Where one code has the whole share, the result is that code.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime fails.
    pub fn visit(&mut self, places: &[Place<'_>]) -> Result<Vec<Vec<f32>>, FitError> {
        let mut codes = Vec::with_capacity(places.len());
        for places in places.chunks(MOST_ROWS) {
            let noise: Vec<_> = places.iter().map(|place| place.noise.clone()).collect();
            let moved = self.field.follow(&noise, &self.forward)?;
            codes.extend(moved.into_iter().zip(places).map(|(mut code, place)| {
                for &(origin, share) in &place.shares {
                    if share >= 1.0 {
                        return origin.code.clone();
                    }
                    let rest = code.iter_mut().zip(&origin.rest);
                    rest.for_each(|(code, rest)| *code += share * rest);
                }
                code
            }));
        }
        Ok(codes)
    }

    fn told(&self, known: &Known) -> Vec<f32> {
        let mut context = vec![0.0; self.flow.conditions.size()];
        self.flow.conditions.tell(&mut context, known);
        context
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;

    use interlude_gradient::random::fill_normal;

    use super::*;

    const RUNTIME: &str = "an ONNX Runtime";

    /// A prior of codes of 4 numbers whose network was never trained.
    pub(super) fn untrained() -> Flow {
        let density =
            Condition { name: "density".to_owned(), bounds: vec![2.0, 4.0], labels: Vec::new() };
        let conditions = Conditions::new(vec![density], 4).expect("sound");
        let mut generator: ChaCha8Rng = generator(1, *b"flowtest", 2);
        let mut weights =
            sizes(4, &conditions, 12, 2).initial(&mut |values| fill_normal(&mut generator, values));
        let last = weights.0.get_mut("output/kernel").expect("a kernel");
        fill_normal(&mut generator, &mut last.data);
        let examples = vec![vec![Some(0)], vec![Some(2)], vec![None]];
        Flow::new("a model".to_owned(), conditions, examples, 4, weights)
            .expect("a prior")
            .rounded()
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    /// A morph begins and ends with the codes themselves, and small steps along it are small.
    #[test]
    fn morphs_meet_their_ends() {
        let mut prior = untrained().start(Runtime::start(None).expect(RUNTIME)).expect("starts");
        let (a, b) = (vec![0.5, -1.0, 2.0, 0.1], vec![-0.7, 0.3, 1.0, -2.0]);
        let [from, to] = [&a, &b].map(|code| prior.origin(code).expect("an origin"));
        let times = [0.0, 0.001, 0.499, 0.501, 0.999, 1.0];
        let places = times.map(|t| Place::between(&from, &to, t));
        let way = prior.visit(&places).expect("codes");
        assert_eq!((&way[0], &way[5]), (&a, &b));
        for pair in [[0, 1], [2, 3], [4, 5]] {
            let jump = distance(&way[pair[0]], &way[pair[1]]);
            assert!(jump < 0.1, "{jump}");
        }
        let corners = [&from, &to, &to, &from];
        let square = prior.visit(&[Place::inside(corners, 1.0, 0.0)]).expect("codes");
        assert_eq!(square, [b]);
        let near = Place::towards(&[1.0; 4], &from, 1.0);
        assert_eq!(prior.visit(&[near]).expect("codes"), [a]);
    }

    /// Samples depend on seed and index alone, not on what is drawn beside them.
    #[test]
    fn samples_repeat() {
        let mut prior = untrained().start(Runtime::start(None).expect(RUNTIME)).expect("starts");
        let all = prior.samples(7, &[0, 1, 2, 3], &[], GUIDANCE).expect("codes");
        let again = prior.samples(7, &[2], &[], GUIDANCE).expect("codes");
        assert!(distance(&all[2], &again[0]) < 1e-5);
        assert_ne!(all[1], all[2]);
        assert_ne!(all, prior.samples(8, &[0, 1, 2, 3], &[], GUIDANCE).expect("codes"));
        assert!(all.iter().flatten().all(|value| value.is_finite()));
    }

    /// What is asked for is kept, and the rest comes from windows that have it.
    #[test]
    fn examples_fit_what_is_asked() {
        let flow = untrained();
        for index in 0..20 {
            assert_eq!(flow.example(1, index, &[Some(2)]), [Some(2)]);
            assert_eq!(flow.example(1, index, &[Some(1)]), [Some(1)]);
        }
        let drawn: Vec<_> = (0..20).map(|index| flow.example(1, index, &[])).collect();
        assert!([Some(0), Some(2), None].iter().all(|class| drawn.contains(&vec![*class])));
    }
}
