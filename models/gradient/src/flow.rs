//! Conditional flow matching (Lipman 2022, Liu 2022): the training of a network that gives, at any
//! time from 0 to 1, the velocity with which noise becomes data.
//!
//! With standard normal noise n and data x, a point `p = (1 − t) · n + t · x` on the straight way moves
//! with velocity `x − n`; the network learns its mean at each place and time. Times follow a
//! logit-normal distribution (Esser 2024). Weights follow Adam with weight decay beside it (AdamW) and
//! a gradient norm of at most 1; what is used in the end is their exponential moving average.

use rand_chacha::ChaCha8Rng;

use crate::random::{fill_normal, generator};
use interlude_onnx::runtime::Runtime;
use interlude_onnx::weights::Weights;
use interlude_onnx::{Attribute, ElementType, Graph};

use super::fit::{self, Fit, FitError, Network};
use super::residual::{CONTEXT, INPUT};
use super::variables::Variables;
use super::velocity::Sizes;

/// Size of the embedding of the time, the first numbers of a context.
pub const TIMES: usize = 64;
/// Highest angular frequency of that embedding.
const FASTEST: f32 = 200.0;
/// Norm to which all gradients together are clipped.
const CLIP: f32 = 1.0;
/// β₂: decay rate of the second moment.
const BETA_2: f64 = 0.99;
/// Weight decay: learning rate times this is the share that a weight loses in a step.
const WEIGHT_DECAY: f32 = 1e-3;
/// Decay of the moving average in a step, in the long run.
const AVERAGE: f32 = 0.999;
/// Steps between two updates of the moving average, each as strong as so many.
const AVERAGE_EVERY: u64 = 8;
/// Steps until the learning rate is full.
const WARM_UP: f32 = 200.0;
/// Share of the learning rate that is left at the end.
const REST: f32 = 0.02;
/// What the names of averaged weights begin with among a training's tensors.
const AVERAGED: &str = "average/";

/// Writes the embedding of the time, 0 to 1, to the beginning of a context.
///
/// # Panics
/// When the context is shorter than [`TIMES`].
pub fn tell_time(context: &mut [f32], time: f32) {
    let (sines, cosines) = context[..TIMES].split_at_mut(TIMES / 2);
    for (index, (sine, cosine)) in sines.iter_mut().zip(cosines).enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let share = index as f32 / (TIMES / 2 - 1) as f32;
        (*sine, *cosine) = (time * (share * FASTEST.ln()).exp()).sin_cos();
    }
}

/// Settings of a training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Sizes of the network; the context begins with [`TIMES`] numbers for the time.
    pub sizes: Sizes,
    /// Examples of a step.
    pub batch: usize,
    /// Steps in all. The learning rate falls in the second half.
    pub steps: u64,
    /// Learning rate in the first half.
    pub learning_rate: f32,
    /// Seed of initial weights, examples, noise and times.
    pub seed: u64,
}

/// The buffers of an example: the data, and its context after the time.
#[derive(Debug)]
pub struct Example<'a> {
    /// The data, a point in space.
    pub data: &'a mut [f32],
    /// Its conditions; zeros at first.
    pub context: &'a mut [f32],
}

/// A training under way.
#[derive(Debug)]
pub struct Training {
    settings: Settings,
    fit: Fit,
    average: Weights,
    fixed: Weights,
    done: u64,
    data: Vec<f32>,
}

impl Training {
    /// Begins a training, or resumes one whose tensors and number of steps are given. `fixed` has the
    /// network's tensors that stay as they are.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime refuses the graph.
    ///
    /// # Panics
    /// When tensors are missing among those given, or of another shape.
    pub fn new(
        runtime: &Runtime,
        settings: Settings,
        fixed: Weights,
        state: Option<(Weights, u64)>,
    ) -> Result<Self, FitError> {
        let (tensors, done) = state.unwrap_or_else(|| {
            let mut generator = generator(settings.seed, *b"flowinit", 0);
            (settings.sizes.initial(&mut |values| fill_normal(&mut generator, values)), 0)
        });
        let options = fit::Settings { clip: CLIP, beta_2: BETA_2, steps: done };
        let network = network(settings.sizes, &fixed, settings.batch);
        let fit = Fit::with(runtime, network, &tensors, options)?;
        let mut average = fit.weights();
        for (name, tensor) in &mut average.0 {
            if let Some(saved) = tensors.get(&format!("{AVERAGED}{name}")) {
                tensor.data.copy_from_slice(&saved.data);
            }
        }
        for (name, tensor) in fixed.iter() {
            average.insert(name, tensor.clone());
        }
        let data = vec![0.0; settings.batch * settings.sizes.size()];
        Ok(Self { settings, fit, average, fixed, done, data })
    }

    /// Steps done.
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Runs a step. `draw` fills each example, with a generator that depends on seed and step
    /// alone. Returns the mean squared error of the velocity.
    ///
    /// # Errors
    /// [`FitError`] when ONNX Runtime fails.
    pub fn step(
        &mut self,
        draw: &mut dyn FnMut(&mut ChaCha8Rng, Example<'_>),
    ) -> Result<f32, FitError> {
        let (size, context) = (self.settings.sizes.size(), self.settings.sizes.context());
        let mut generator = generator(self.settings.seed, *b"flowstep", self.done);
        let contexts = self.fit.input(CONTEXT);
        contexts.fill(0.0);
        for (data, context) in
            self.data.chunks_exact_mut(size).zip(contexts.chunks_exact_mut(context))
        {
            draw(&mut generator, Example { data, context: &mut context[TIMES..] });
        }
        let mut times = vec![0.0; self.settings.batch];
        fill_normal(&mut generator, &mut times);
        times.iter_mut().for_each(|time| *time = 1.0 / (1.0 + (-*time).exp()));
        for (context, &time) in contexts.chunks_exact_mut(context).zip(&times) {
            tell_time(context, time);
        }
        let mut target = vec![0.0; self.data.len()];
        fill_normal(&mut generator, &mut target);
        let points = self.fit.input(INPUT);
        for (row, &time) in times.iter().enumerate() {
            let range = row * size..(row + 1) * size;
            let data = &self.data[range.clone()];
            for ((point, target), data) in
                points[range.clone()].iter_mut().zip(&mut target[range]).zip(data)
            {
                let noise = *target;
                *point = (1.0 - time) * noise + time * data;
                *target = data - noise;
            }
        }
        self.fit.input("target").copy_from_slice(&target);
        let rate = self.rate();
        self.fit.step(rate)?;
        self.done += 1;
        if self.done.is_multiple_of(AVERAGE_EVERY) {
            self.follow(rate);
        }
        Ok(self.fit.scalar("loss"))
    }

    /// The learning rate of the coming step: it rises at first and falls in the second half.
    fn rate(&self) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^24")]
        let (done, steps) = (self.done as f32, self.settings.steps.max(1) as f32);
        let left = (2.0 * (1.0 - done / steps)).clamp(0.0, 1.0);
        let warm = ((done + 1.0) / WARM_UP).min(1.0);
        self.settings.learning_rate * warm * (left + REST).min(1.0)
    }

    /// Weight decay and moving average of some steps together.
    fn follow(&mut self, rate: f32) {
        #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^24")]
        let (done, steps) = (self.done as f32, AVERAGE_EVERY as f32);
        // The first average is that of few steps.
        let decay = AVERAGE.min((1.0 + done) / (10.0 + done)).powf(steps);
        let kept = 1.0 - rate * WEIGHT_DECAY * steps;
        let average = &mut self.average;
        self.fit.for_each_variable(&mut |name, values| {
            let Some(average) = average.0.get_mut(name) else { return };
            for (value, average) in values.iter_mut().zip(&mut average.data) {
                *value *= kept;
                *average = decay * *average + (1.0 - decay) * *value;
            }
        });
    }

    /// The averaged weights, with those that are fixed.
    pub fn average(&self) -> &Weights {
        &self.average
    }

    /// All tensors that [`Training::new`] needs to resume.
    pub fn state(&self) -> Weights {
        let mut state = self.fit.state();
        for (name, tensor) in self.average.iter().filter(|(name, _)| !Sizes::is_fixed(name)) {
            state.insert(format!("{AVERAGED}{name}"), tensor.clone());
        }
        for (name, tensor) in self.fixed.iter() {
            state.insert(name, tensor.clone());
        }
        state
    }
}

/// Whether tensors are a saved training of a network.
pub fn is_state(tensors: &Weights, sizes: Sizes) -> bool {
    let mut average = Weights::default();
    for (name, tensor) in tensors.iter() {
        if let Some(name) = name.strip_prefix(AVERAGED) {
            average.insert(name, tensor.clone());
        } else if Sizes::is_fixed(name) {
            average.insert(name, tensor.clone());
        }
    }
    let moments = |name: &str| {
        let shape = tensors.get(name).map(|tensor| &tensor.shape);
        [super::adam::first_moment(name), super::adam::second_moment(name)]
            .iter()
            .all(|moment| tensors.get(moment).map(|tensor| &tensor.shape) == shape)
    };
    Sizes::of(tensors) == Ok(sizes)
        && Sizes::of(&average) == Ok(sizes)
        && average.iter().all(|(name, _)| Sizes::is_fixed(name) || moments(name))
}

/// The tensors of a saved training that stay as they are.
pub fn fixed(tensors: &Weights) -> Weights {
    let mut fixed = Weights::default();
    for (name, tensor) in tensors.iter().filter(|(name, _)| Sizes::is_fixed(name)) {
        fixed.insert(name, tensor.clone());
    }
    fixed
}

/// Loss and gradients. Inputs: [`INPUT`] and `target` `[batch, size]`, [`CONTEXT`] `[batch, context]`.
/// Output: `loss`, the mean squared error.
fn network(sizes: Sizes, fixed: &Weights, batch: usize) -> Network {
    let mut graph = Graph::new("flow");
    let g = &mut graph;
    let mut variables = Variables::default();
    let (size, context) = (sizes.size(), sizes.context());
    let inputs = [(INPUT, size), (CONTEXT, context), ("target", size)];
    let [x, context, target] =
        inputs.map(|(name, width)| g.input(name, ElementType::F32, &[batch.into(), width.into()]));
    let pass = sizes.forward(g, &mut variables, fixed, (&x, &context));
    let difference = g.sub(&pass.output, &target);
    let squares = g.mul(&difference, &difference);
    let loss = g.op("ReduceMean", &[&squares], &[("keepdims", Attribute::Int(0))]);
    g.output("loss", &loss, ElementType::F32, &[]);
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^24")]
    let share = g.scalar(2.0 / (batch * size) as f32);
    let gradient = g.mul(&difference, &share);
    pass.backward(g, &mut variables, (&x, &context), &gradient);
    let inputs = inputs.map(|(name, width)| (name.to_owned(), vec![batch, width]));
    Network { graph, variables, inputs: inputs.to_vec(), outputs: vec![("loss", Vec::new())] }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use crate::field::{Field, Way};
    use crate::slopes::assert_slopes;
    use crate::{residual, transformer};
    use interlude_onnx::weights::Tensor;

    use super::*;

    const RUNTIME: &str = "an ONNX Runtime";
    const SIZES: Sizes = Sizes::Whole(residual::Sizes {
        size: 3,
        context: TIMES + 2,
        width: 8,
        embedding: 6,
        blocks: 2,
    });
    const PARTS: Sizes = Sizes::Parts(transformer::Sizes {
        parts: 3,
        part: 2,
        context: TIMES + 2 + 2 * (1 + 6),
        width: 8,
        embedding: 6,
        blocks: 2,
    });

    /// A basis of vectors of three parts, which mixes the parts.
    fn basis() -> Weights {
        let size = 6;
        let at = |row: usize, column: usize, next: f32| match column {
            _ if column == row => 1.0,
            _ if column == row + 1 => next,
            _ => 0.0,
        };
        let matrix = |next: f32, power: bool| {
            let each = |index: usize| {
                let (row, column) = (index / size, index % size);
                let far = i32::try_from(column.saturating_sub(row)).expect("small");
                match power {
                    true if column >= row => next.powi(far),
                    true => 0.0,
                    false => at(row, column, next),
                }
            };
            Tensor { shape: vec![size; 2], data: (0..size * size).map(each).collect() }
        };
        let mut basis = Weights::default();
        basis.insert(transformer::BASIS, matrix(0.5, false));
        basis.insert(transformer::INVERSE, matrix(-0.5, true));
        basis
    }

    /// The gradients lead up the loss as steeply as they say, for every variable.
    #[test]
    fn gradients_are_slopes() {
        slopes(SIZES, &Weights::default());
        slopes(PARTS, &basis());
    }

    fn slopes(sizes: Sizes, fixed: &Weights) {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let mut generator = generator(1, *b"flowtest", 0);
        let mut weights = sizes.initial(&mut |values| fill_normal(&mut generator, values));
        // With a last layer of zeros nothing before it would have a gradient.
        for tensor in weights.0.values_mut() {
            let mut more = vec![0.0; tensor.data.len()];
            fill_normal(&mut generator, &mut more);
            tensor.data.iter_mut().zip(more).for_each(|(value, more)| *value += 0.3 * more);
        }
        let batch = 5;
        let mut given: Vec<(&str, Vec<f32>)> = Vec::new();
        let (size, context) = (sizes.size(), sizes.context());
        for (name, width) in [(INPUT, size), ("target", size), (CONTEXT, context)] {
            let mut values = vec![0.0; batch * width];
            fill_normal(&mut generator, &mut values);
            given.push((name, values));
        }
        assert_slopes(runtime, || network(sizes, fixed, batch), &weights, &given, 0.01);
    }

    /// Points on one of two circles, which the context tells apart.
    fn circles(generator: &mut ChaCha8Rng, example: Example<'_>) {
        let kind = usize::from(generator.random_bool(0.5));
        let angle: f32 = std::f32::consts::TAU * generator.random::<f32>();
        let radius = [1.0, 3.0][kind];
        let (sine, cosine) = angle.sin_cos();
        example.data.copy_from_slice(&[radius * sine, radius * cosine, 0.5]);
        if generator.random_bool(0.8) {
            example.context[kind] = 1.0;
        }
    }

    fn settings(steps: u64) -> Settings {
        let Sizes::Whole(sizes) = SIZES else { panic!("of whole vectors") };
        let sizes = Sizes::Whole(residual::Sizes { width: 48, embedding: 16, ..sizes });
        Settings { sizes, batch: 128, steps, learning_rate: 0.004, seed: 3 }
    }

    /// Noise becomes data of the kind that is told, and data noise from which it comes again.
    #[test]
    fn noise_becomes_data() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let mut training =
            Training::new(runtime, settings(1200), Weights::default(), None).expect("a graph");
        let errors: Vec<f32> =
            (0..1200).map(|_| training.step(&mut circles).expect("a step")).collect();
        let sum = |errors: &[f32]| errors.iter().sum::<f32>();
        let (first, last) = (sum(&errors[..100]), sum(&errors[1100..]));
        assert!(last < 0.75 * first, "{last} after {first}");
        let sizes = settings(0).sizes;
        let mut field = Field::new(runtime, sizes, training.average()).expect("a graph");
        let mut noise = vec![0.0; 3 * 200];
        fill_normal(&mut generator(9, *b"flowtest", 1), &mut noise);
        let noise: Vec<Vec<f32>> = noise.chunks(3).map(<[f32]>::to_vec).collect();
        for (kind, radius) in [(0, 1.0f32), (1, 3.0)] {
            let mut told = vec![0.0; 2];
            told[kind] = 1.0;
            let way = Way { from: 0.0, to: 1.0, steps: 12 };
            let plan = field.plan(way, &vec![told; 200], 1.0).expect("a plan");
            let data = field.follow(&noise, &plan).expect("data");
            let far = |point: &&Vec<f32>| (point[0].hypot(point[1]) - radius).abs() > 0.5;
            let far = data.iter().filter(far).count();
            assert!(far < 30, "{far} of 200 are far from the circle of {radius}");
        }
        let mut follow = |from, to, points: &[Vec<f32>]| {
            let plan = field.plan(Way { from, to, steps: 60 }, &[], 1.0).expect("a plan");
            field.follow(points, &plan).expect("points")
        };
        let data = vec![vec![3.0, 0.0, 0.5], vec![0.0, -1.0, 0.5]];
        let back = follow(1.0, 0.0, &data);
        let again = follow(0.0, 1.0, &back);
        for (point, again) in data.iter().flatten().zip(again.iter().flatten()) {
            assert!((point - again).abs() < 0.05, "{again} instead of {point}");
        }
    }

    /// A training that is saved and taken up again makes the same steps as one that went on.
    #[test]
    fn trainings_go_on() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let mut training =
            Training::new(runtime, settings(40), Weights::default(), None).expect("a graph");
        let step = |training: &mut Training| training.step(&mut circles).expect("a step");
        for _ in 0..12 {
            step(&mut training);
        }
        let state = training.state();
        assert!(is_state(&state, settings(40).sizes));
        let mut again = Training::new(runtime, settings(40), Weights::default(), Some((state, 12)))
            .expect("a graph");
        for _ in 0..12 {
            assert_eq!(step(&mut training), step(&mut again));
        }
        assert_eq!(training.state(), again.state());
        assert_eq!(again.done(), 24);
    }

    /// Tensors that are missing or of another network are no training's.
    #[test]
    fn other_tensors_are_no_state() {
        let runtime = Runtime::start(None).expect(RUNTIME);
        let training =
            Training::new(runtime, settings(1), Weights::default(), None).expect("a graph");
        let state = training.state();
        for name in state.0.keys() {
            let mut missing = state.clone();
            missing.0.remove(name);
            assert!(!is_state(&missing, settings(1).sizes), "{name}");
        }
        assert!(!is_state(&state, SIZES));
    }
}
