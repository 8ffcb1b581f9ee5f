//! Batches of a run: order of the windows, transposition, cutting, noise.
//!
//! Everything is a function of the seed and of how many steps and examples came before, so a
//! resumed run goes on exactly as one that was never stopped.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::program::Batch;
use crate::dataset::Windows;

/// Streams of the generator for the order within an epoch begin here; steps use those from 0 up.
const EPOCH_STREAMS: u64 = 1 << 62;
/// Lowest and highest melody tokens that are pitches. Only melodies are transposed.
const PITCHES: std::ops::RangeInclusive<i64> = 2..=89;
/// Windows shorter than the data's begin at a multiple of so many steps: a quarter note.
const CUT_STEPS: usize = 4;

/// How a batch is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Making {
    /// Steps of a window; shorter ones are cut from the data's at a random beat.
    pub steps: usize,
    /// Examples.
    pub batch: usize,
    /// Width of z.
    pub latent: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Largest transposition in semitones.
    pub transpose: u8,
    /// Deviation of the noise that z is drawn with.
    pub noise: f32,
    /// Share of the decoder's inputs that are left out.
    pub drop: f32,
    /// Probability that a decoded token is fed back, when sampling is scheduled.
    pub sampling: Option<f32>,
}

/// Where in the data a run is.
#[derive(Debug)]
pub struct Batches<'a> {
    windows: &'a Windows,
    seed: u64,
    epoch: u64,
    order: Vec<u32>,
}

impl<'a> Batches<'a> {
    /// The batches of a seed.
    ///
    /// # Panics
    /// When there is no window, or more than `u32::MAX`.
    pub fn new(windows: &'a Windows, seed: u64) -> Self {
        assert!(!windows.is_empty(), "the caller checks that there are windows");
        let mut batches = Self { windows, seed, epoch: 0, order: Vec::new() };
        batches.shuffle(0);
        batches
    }

    fn shuffle(&mut self, epoch: u64) {
        let count = u32::try_from(self.windows.len()).expect("fewer than 2^32 windows");
        self.order = (0..count).collect();
        let mut generator = self.generator(EPOCH_STREAMS + epoch);
        self.order.shuffle(&mut generator);
        self.epoch = epoch;
    }

    fn generator(&self, stream: u64) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(stream);
        generator
    }

    /// Index of the window that is the `example`-th of the run.
    fn window(&mut self, example: u64) -> usize {
        let count = self.order.len() as u64;
        if self.epoch != example / count {
            self.shuffle(example / count);
        }
        let position = usize::try_from(example % count).expect("below the number of windows");
        usize::try_from(self.order[position]).expect("an index of a window")
    }

    /// The batch of a step, `examples` windows after the beginning of the run. Rates (beta, clip,
    /// step size) are left at 0.
    pub fn make(&mut self, step: u64, examples: u64, making: &Making) -> Batch {
        let mut generator = self.generator(step);
        let Making { steps, batch, .. } = *making;
        let mut tokens = vec![0; steps * batch];
        for (index, example) in (examples..).take(batch).enumerate() {
            let window = self.windows.get(self.window(example));
            let cuts = (self.windows.steps() - steps) / CUT_STEPS;
            let from = CUT_STEPS * generator.random_range(0..=cuts);
            let cut = &window[from..from + steps];
            let shift = transposition(&mut generator, cut, making.transpose);
            for (step, &token) in cut.iter().enumerate() {
                let token = i64::from(token);
                let shifted = if PITCHES.contains(&token) { token + shift } else { token };
                tokens[step * batch + index] = shifted;
            }
        }
        let none = i64::try_from(making.vocabulary).expect("vocabularies are small");
        let mut inputs = earlier(&tokens, batch, none);
        if making.drop > 0.0 {
            for input in &mut inputs {
                if generator.random::<f32>() < making.drop {
                    *input = none;
                }
            }
        }
        let mut noise = vec![0.0; batch * making.latent];
        fill_normal(&mut generator, &mut noise);
        noise.iter_mut().for_each(|value| *value *= making.noise);
        let (mut uniform, mut sampled) = (Vec::new(), Vec::new());
        if let Some(probability) = making.sampling {
            sampled = (0..steps * batch).map(|_| generator.random::<f32>() < probability).collect();
            uniform = (0..steps * batch * making.vocabulary)
                .map(|_| open_uniform(&mut generator))
                .collect();
        }
        Batch { tokens, inputs, noise, uniform, sampled, ..Batch::default() }
    }
}

/// A transposition of up to `largest` semitones that keeps all pitches of a window in range.
fn transposition(generator: &mut impl Rng, window: &[u16], largest: u8) -> i64 {
    let pitches = || window.iter().map(|&token| i64::from(token)).filter(|t| PITCHES.contains(t));
    let largest = i64::from(largest);
    let (Some(lowest), Some(highest)) = (pitches().min(), pitches().max()) else { return 0 };
    let down = largest.min(lowest - PITCHES.start());
    let up = largest.min(PITCHES.end() - highest);
    generator.random_range(-down..=up)
}

/// The token before each step: `tokens` `[steps, batch]` one step later, the first ones `none`.
pub fn earlier(tokens: &[i64], batch: usize, none: i64) -> Vec<i64> {
    let kept = tokens.len() - batch;
    std::iter::repeat_n(none, batch).chain(tokens[..kept].iter().copied()).collect()
}

/// A uniform number in `(0, 1)`, both ends left out.
fn open_uniform(generator: &mut impl Rng) -> f32 {
    #[expect(clippy::cast_precision_loss, reason = "23 bits fit into a float")]
    let bits = (generator.random::<u32>() >> 9) as f32;
    (bits + 0.5) / 8_388_608.0
}

/// Fills a slice with standard normal numbers (Box and Muller's method).
pub fn fill_normal(generator: &mut impl Rng, values: &mut [f32]) {
    for pair in values.chunks_mut(2) {
        let radius = (-2.0 * open_uniform(generator).ln()).sqrt();
        let (sine, cosine) = (std::f32::consts::TAU * open_uniform(generator)).sin_cos();
        pair[0] = radius * cosine;
        if let Some(second) = pair.get_mut(1) {
            *second = radius * sine;
        }
    }
}
