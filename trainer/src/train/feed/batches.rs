//! Batches of a run: order of the windows, transposition, cutting, noise.
//!
//! Everything is a function of the seed and of how many steps and examples came before, so a
//! resumed run goes on exactly as one that was never stopped.

use interlude_models::config::Config;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::mixing::{self, transpose};
use crate::train::plan::schedule::Rates;
use interlude_backend::batch::Batch;
use interlude_dataset::{Windows, layout};

/// Streams of the generator for the order within an epoch begin here; steps use those from 0 up.
const EPOCH_STREAMS: u64 = 1 << 62;
/// Largest probability that hits are dropped with, for the configuration that drops some.
const LARGEST_NOTE_DROPOUT: f32 = 0.8;
/// Windows shorter than the data's begin at a multiple of so many steps: a quarter note.
const CUT_STEPS: usize = 4;

/// How a batch is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Making<'a> {
    /// Configuration that is trained: what batches consist of, and how far they are transposed.
    pub config: &'a Config,
    /// Steps of a window; shorter ones are cut from the data's at a random beat.
    pub steps: usize,
    /// Examples in the batch.
    pub batch: usize,
    /// Deviation of the noise that z is drawn with.
    pub noise: f32,
    /// Share of the decoder's inputs that are left out.
    pub drop: f32,
    /// Share of windows whose segments come each from another window, at the same place in it.
    pub shuffle: f32,
    /// Share of windows of several instruments that get some of them from another window of the
    /// data, which is varied before ([`mixing::vary`]) and, in trios, in a key of its own.
    pub mix: f32,
    /// Probability that a decoded token is fed back, when sampling is scheduled.
    pub sampling: Option<f32>,
}

impl<'a> Making<'a> {
    /// Batches of windows as the data has them, with the posterior's own noise.
    pub fn plain(config: &'a Config, steps: usize, batch: usize) -> Self {
        Self { config, steps, batch, noise: 1.0, drop: 0.0, shuffle: 0.0, mix: 0.0, sampling: None }
    }

    /// The same with what a step's rates say.
    pub fn with(self, rates: &Rates) -> Self {
        let Rates { noise, drop, shuffle, mix, sampling, .. } = *rates;
        Self { noise, drop, shuffle, mix, sampling, ..self }
    }
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

    /// Fills each segment of a window that begins at step `from` of the data's with what another
    /// window has there, in a key of its own.
    fn shuffle_segments(
        &self,
        generator: &mut ChaCha8Rng,
        making: &Making<'_>,
        from: usize,
        cut: &mut [u16],
    ) {
        let width = self.windows.width();
        let segment = making.config.hparams.max_seq_len / making.config.segments();
        for (index, numbers) in cut.chunks_exact_mut(segment * width).enumerate() {
            let other = self.windows.get(generator.random_range(0..self.windows.len()));
            numbers.copy_from_slice(&other[(from + index * segment) * width..][..numbers.len()]);
            transpose(generator, making.config, numbers);
        }
    }

    /// The batch of a step, `examples` windows after the beginning of the run. Rates (beta, clip,
    /// step size) are left at 0.
    pub fn make(&mut self, step: u64, examples: u64, making: &Making<'_>) -> Batch {
        let mut generator = self.generator(step);
        let Making { config, steps, batch, .. } = *making;
        let width = self.windows.width();
        let mut filling = Filling::new(making);
        for (index, example) in (examples..).take(batch).enumerate() {
            let window = self.windows.get(self.window(example));
            let cuts = (self.windows.steps() - steps) / CUT_STEPS;
            let from = CUT_STEPS * generator.random_range(0..=cuts);
            let mut cut = window[from * width..(from + steps) * width].to_vec();
            let shuffles = making.shuffle > 0.0 && generator.random::<f32>() < making.shuffle;
            if shuffles {
                self.shuffle_segments(&mut generator, making, from, &mut cut);
            } else {
                transpose(&mut generator, config, &mut cut);
            }
            let mixes = making.mix > 0.0 && config.family().training().mixes;
            if mixes && generator.random::<f32>() < making.mix {
                let other = self.windows.get(generator.random_range(0..self.windows.len()));
                let mut other = other[from * width..(from + steps) * width].to_vec();
                if shuffles {
                    self.shuffle_segments(&mut generator, making, from, &mut other);
                } else {
                    transpose(&mut generator, config, &mut other);
                }
                mixing::vary(&mut generator, config, &mut other, steps);
                mixing::mix(config, &mut cut, &other, generator.random());
            }
            filling.put(Some(&mut generator), index, &cut);
        }
        let mut made = filling.batch;
        made.inputs = earlier(&made.tokens, batch, &nothing(config));
        if making.drop > 0.0 {
            let nothing = nothing(config);
            for inputs in made.inputs.chunks_exact_mut(nothing.len().max(1)) {
                if generator.random::<f32>() < making.drop {
                    inputs.copy_from_slice(&nothing);
                }
            }
        }
        made.noise = vec![0.0; batch * config.hparams.z_size];
        fill_normal(&mut generator, &mut made.noise);
        made.noise.iter_mut().for_each(|value| *value *= making.noise);
        if let Some(probability) = making.sampling {
            made.sampled =
                (0..steps * batch).map(|_| generator.random::<f32>() < probability).collect();
            made.uniform = (0..steps * batch * config.output_depth())
                .map(|_| open_uniform(&mut generator))
                .collect();
        }
        made.dropout_seed = generator.random();
        made
    }
}

/// The windows of some indices as they are, without noise, choices and rates.
pub fn plain(windows: &Windows, config: &Config, indices: &[usize]) -> Batch {
    let (steps, batch) = (windows.steps(), indices.len());
    let making = Making::plain(config, steps, batch);
    let mut filling = Filling::new(&making);
    for (place, &index) in indices.iter().enumerate() {
        filling.put(None, place, windows.get(index));
    }
    let mut made = filling.batch;
    made.inputs = earlier(&made.tokens, batch, &nothing(config));
    made
}

/// A batch that is being filled, example by example.
struct Filling<'a> {
    making: &'a Making<'a>,
    /// Columns of the data that are tokens.
    parts: usize,
    batch: Batch,
}

impl<'a> Filling<'a> {
    fn new(making: &'a Making<'a>) -> Self {
        let Making { config, steps, batch, .. } = *making;
        let rows = steps * batch;
        let parts = nothing(config).len();
        let mut made = Batch { tokens: vec![0; rows * parts], ..Batch::default() };
        made.controls = vec![0.0; rows * config.control_depth()];
        if parts == 0 {
            made.encoder_inputs = vec![0.0; rows * config.input_depth()];
            made.targets = vec![0.0; rows * config.output_depth()];
        }
        Self { making, parts, batch: made }
    }

    /// Puts a window, as numbers of its dataset, in the place of an example. Notes are dropped only
    /// with a generator, as in training.
    fn put(&mut self, generator: Option<&mut ChaCha8Rng>, index: usize, numbers: &[u16]) {
        let Making { config, batch, .. } = *self.making;
        if self.parts > 0 {
            let width = numbers.len() / self.making.steps;
            for (step, numbers) in numbers.chunks_exact(width).enumerate() {
                let place = &mut self.batch.tokens[(step * batch + index) * self.parts..];
                for (token, &number) in place.iter_mut().zip(&numbers[..self.parts]) {
                    *token = i64::from(number);
                }
            }
        }
        if self.parts > 0 && config.control_depth() == 0 {
            return;
        }
        let window = layout::read(config, numbers);
        let depth = config.control_depth();
        if let Some(controls) = &window.controls {
            let rows = controls.rows(config).expect("controls of the dataset fit");
            scatter(&mut self.batch.controls, &rows, depth, (index, batch));
        }
        if self.parts == 0 {
            let targets = window.tokens.output_rows(config).expect("tokens of the dataset fit");
            let mut heard = window.tokens;
            let drops = config.family().drops_hits();
            if let Some(generator) = generator.filter(|_| drops) {
                let probability = LARGEST_NOTE_DROPOUT * generator.random::<f32>();
                heard.drop_hits(probability, || generator.random());
            }
            let inputs = heard.input_rows(config).expect("tokens of the dataset fit");
            scatter(&mut self.batch.targets, &targets, config.output_depth(), (index, batch));
            let depth = config.input_depth();
            scatter(&mut self.batch.encoder_inputs, &inputs, depth, (index, batch));
        }
    }
}

/// Writes the rows of one example, `[steps, depth]`, into those of a batch, `[steps, batch, depth]`.
fn scatter(all: &mut [f32], rows: &[f32], depth: usize, (index, batch): (usize, usize)) {
    for (step, row) in rows.chunks_exact(depth).enumerate() {
        all[(step * batch + index) * depth..][..depth].copy_from_slice(row);
    }
}

/// For each part of a step, the token that stands for nothing: its vocabulary's size. Models of
/// bits and numbers have no tokens.
pub fn nothing(config: &Config) -> Vec<i64> {
    if !config.output_kind().is_tokens() {
        return Vec::new();
    }
    let size = |&size| i64::try_from(size).expect("vocabularies are small");
    config.outputs().iter().map(size).collect()
}

/// The tokens before each step: `tokens` `[steps, batch, parts]` one step later, the first ones
/// `none` `[parts]`.
pub fn earlier(tokens: &[i64], batch: usize, none: &[i64]) -> Vec<i64> {
    let row = batch * none.len();
    let first = none.iter().copied().cycle().take(row.min(tokens.len()));
    first.chain(tokens[..tokens.len().saturating_sub(row)].iter().copied()).collect()
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

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    fn windows(steps: usize, windows: &[&[u16]]) -> Windows {
        let mut all = Windows::new(steps, windows[0].len() / steps);
        windows.iter().for_each(|window| all.push(window));
        all
    }

    // A transposed window keeps its intervals, holds and ends, and its pitches stay in range.
    #[test]
    fn transposition_stays_in_range() {
        let config = config::by_name("cat-mel_2bar_small").expect("known");
        for (lowest, highest) in [(2, 2), (2, 89), (3, 88), (40, 52), (85, 89)] {
            let original = [lowest, 0, 1, highest];
            let data = windows(4, &[&original]);
            let mut batches = Batches::new(&data, 7);
            let mut shifts = std::collections::BTreeSet::new();
            for step in 0..200 {
                let tokens = batches.make(step, step, &Making::plain(&config, 4, 1)).tokens;
                let shift = tokens[0] - i64::from(lowest);
                assert!(shift.abs() <= 5, "{tokens:?}");
                assert_eq!(tokens[1..3], [0, 1]);
                assert_eq!(tokens[3] - i64::from(highest), shift);
                assert!(tokens[0] >= 2 && tokens[3] <= 89, "{tokens:?}");
                shifts.insert(shift);
            }
            let room = |room: u16| i64::from(room.min(5));
            let possible = -room(lowest - 2)..=room(89 - highest);
            assert_eq!(shifts, possible.collect(), "{lowest}..{highest}");
        }
    }

    // Drums are never transposed: a batch has the data's own tokens, up to the highest.
    #[test]
    fn drums_stay() {
        let config = config::by_name("cat-drums_2bar_small").expect("known");
        let data = windows(2, &[&[511, 30]]);
        let batch = Batches::new(&data, 1).make(0, 0, &Making::plain(&config, 2, 2));
        assert_eq!(batch.tokens, [511, 511, 30, 30]);
        assert_eq!(batch.inputs, [512, 512, 511, 511]);
    }

    // A mixed window has each instrument whole: as it was, or what any instrument plays in another
    // window that is turned by whole beats and played once, or twice or four times as fast.
    #[test]
    fn instruments_are_mixed_whole() {
        let config = config::by_name("cat-drums_2bar_small").expect("known");
        let data = windows(8, &[&[511, 0, 0, 0, 0, 0, 0, 0], &[0, 511, 0, 0, 0, 0, 0, 0]]);
        let making = Making { mix: 1.0, ..Making::plain(&config, 8, 64) };
        let batch = Batches::new(&data, 1).make(0, 0, &making);
        let mut seen = std::collections::BTreeSet::new();
        for example in 0..64 {
            let tokens: Vec<i64> = (0..8).map(|step| batch.tokens[64 * step + example]).collect();
            for drum in 0..9 {
                let hits: Vec<usize> = (0..8).filter(|&at| tokens[at] >> drum & 1 == 1).collect();
                let whole: [&[usize]; 8] =
                    [&[0], &[1], &[4], &[5], &[0, 4], &[2, 6], &[0, 2, 4, 6], &[1, 3, 5, 7]];
                assert!(whole.contains(&&*hits), "drum {drum} of {tokens:?} plays at {hits:?}");
            }
            seen.insert(tokens);
        }
        assert!(seen.len() > 20, "{seen:?}");
    }

    // What one drum plays in another window comes back on any of the nine, also in trios, whose
    // melody and bass may come from windows in two keys.
    #[test]
    fn rhythms_change_drums() {
        let config = config::by_name("cat-drums_2bar_small").expect("known");
        let data = windows(4, &[&[1, 0, 0, 0]]);
        let making = Making { mix: 1.0, ..Making::plain(&config, 4, 512) };
        let batch = Batches::new(&data, 1).make(0, 0, &making);
        let drums = batch.tokens.iter().fold(0, |drums, token| drums | token);
        assert_eq!(drums, 511);
        let mut config = config::by_name("hierdec-trio_16bar").expect("known");
        config.transpose = 4;
        let data = windows(1, &[&[40, 20, 1]]);
        let batch =
            Batches::new(&data, 1).make(0, 0, &Making { config: &config, steps: 1, ..making });
        let (trios, _) = batch.tokens.as_chunks::<3>();
        assert_eq!(trios.iter().fold(0, |drums, trio| drums | trio[2]), 511);
        let between = trios.iter().map(|trio| trio[0] - trio[1]);
        let between: std::collections::BTreeSet<i64> = between.collect();
        assert!(between.is_superset(&(12..=28).collect()), "{between:?}");
    }

    // Shuffled windows have segments of several windows, each whole, where it was, and in a key of its
    // own; without shuffling all is of one window, in one key.
    #[test]
    fn segments_are_shuffled_whole() {
        let mut config = config::by_name("hier-mel_16bar").expect("known");
        (config.transpose, config.hparams.max_seq_len) = (2, 32);
        let window =
            |pitch: u16| -> Vec<u16> { (0..16).flat_map(|segment| [pitch + segment, 0]).collect() };
        let (low, high) = (window(10), window(50));
        let data = windows(32, &[&low, &high]);
        let keys = [false, true].map(|shuffles| {
            let shuffle = if shuffles { 1.0 } else { 0.0 };
            let making = Making { shuffle, ..Making::plain(&config, 32, 1) };
            let tokens = Batches::new(&data, 1).make(0, 0, &making).tokens;
            let segments = tokens.chunks_exact(2).zip(0..);
            let keys = segments.map(|(segment, place)| {
                assert_eq!(segment[1], 0);
                segment[0] - place
            });
            keys.collect::<std::collections::BTreeSet<i64>>()
        });
        assert_eq!(keys[0].len(), 1);
        assert!(keys[1].len() > 4, "{keys:?}");
        let near = |key: &i64| (8..=12).contains(key) || (48..=52).contains(key);
        assert!(keys[1].iter().all(near) && keys[1].range(..30).count() > 0, "{keys:?}");
        assert!(keys[1].range(30..).count() > 0, "{keys:?}");
    }

    // A batch depends on seed and position alone: one made in the middle of a run equals the one
    // of an unbroken run.
    #[test]
    fn resumed_batches_are_equal() {
        let config = config::by_name("cat-mel_2bar_small").expect("known");
        let each: Vec<Vec<u16>> = (0..10).map(|token| vec![20 + token; 8]).collect();
        let data = windows(8, &each.iter().map(|window| &**window).collect::<Vec<_>>());
        let making = Making { drop: 0.3, sampling: Some(0.5), ..Making::plain(&config, 4, 3) };
        let key = |batch: &Batch| {
            let Batch { tokens, inputs, noise, uniform, sampled, dropout_seed, .. } = batch.clone();
            (tokens, inputs, noise, uniform, sampled, dropout_seed)
        };
        let mut unbroken = Batches::new(&data, 5);
        let made: Vec<_> =
            (0..9).map(|step| key(&unbroken.make(step, 3 * step, &making))).collect();
        for step in [4, 7, 8] {
            let batch = Batches::new(&data, 5).make(step, 3 * step, &making);
            assert_eq!(key(&batch), made[usize::try_from(step).expect("small")], "step {step}");
        }
        assert_ne!(key(&Batches::new(&data, 6).make(0, 0, &making)), made[0]);
    }

    // Every window comes once in an epoch, in another order in each.
    #[test]
    fn epochs_are_permutations() {
        let config = config::by_name("cat-drums_2bar_small").expect("known");
        let each: Vec<[u16; 1]> = (0..12).map(|token| [token]).collect();
        let data = windows(1, &each.iter().map(|window| &window[..]).collect::<Vec<_>>());
        let mut batches = Batches::new(&data, 3);
        let mut epoch = |number: u64| {
            let made = (0..4).map(|step| 12 * number + 3 * step);
            let tokens =
                made.flat_map(|at| batches.make(at, at, &Making::plain(&config, 1, 3)).tokens);
            tokens.collect::<Vec<_>>()
        };
        let (first, second) = (epoch(0), epoch(1));
        assert_ne!(first, second);
        for mut tokens in [first, second] {
            tokens.sort_unstable();
            assert_eq!(tokens, (0..12).collect::<Vec<_>>());
        }
    }

    // Trios are three tokens a step, and nothing comes before the first; example by example.
    #[test]
    fn trios_have_three_parts() {
        let config = config::by_name("hierdec-trio_16bar").expect("known");
        let data = windows(2, &[&[5, 6, 7, 0, 1, 511]]);
        let batch = Batches::new(&data, 1).make(0, 0, &Making::plain(&config, 2, 2));
        assert_eq!(batch.tokens, [5, 6, 7, 5, 6, 7, 0, 1, 511, 0, 1, 511]);
        assert_eq!(batch.inputs, [90, 90, 512, 90, 90, 512, 5, 6, 7, 5, 6, 7]);
    }

    // Grooves and drum rolls are numbers: the task takes away from what the encoder reads only.
    #[test]
    fn grooves_are_numbers() {
        let config = config::by_name("groovae_2bar_humanize").expect("known");
        let mut step = [0; 27];
        (step[0], step[9], step[18]) = (1, 127, 65_534);
        step[19..].fill(32_767);
        let data = windows(1, &[&step]);
        let batch = Batches::new(&data, 1).make(0, 0, &Making::plain(&config, 1, 2));
        assert!(batch.tokens.is_empty() && batch.inputs.is_empty());
        assert_eq!((batch.encoder_inputs.len(), batch.targets.len()), (54, 54));
        assert_eq!([batch.targets[27], batch.targets[36], batch.targets[45]], [1.0, 1.0, 1.0]);
        assert_eq!(batch.encoder_inputs[27..54].iter().sum::<f32>(), 1.0);
        let roll = config::by_name("nade-drums_2bar_full").expect("known");
        let data = windows(1, &[&[1, 0, 0, 1 << 12]]);
        let batch = Batches::new(&data, 1).make(0, 0, &Making::plain(&roll, 1, 1));
        assert_eq!(batch.targets.iter().sum::<f32>(), 2.0);
        assert_eq!((batch.targets[0], batch.targets[60]), (1.0, 1.0));
        assert_eq!(batch.encoder_inputs.len(), 62);
    }

    // Chords move with their melody.
    #[test]
    fn chords_are_transposed_too() {
        let config = config::by_name("cat-mel_2bar_med_chords").expect("known");
        let data = windows(1, &[&[41, 1]]);
        let mut batches = Batches::new(&data, 1);
        for step in 0..40 {
            let batch = batches.make(step, step, &Making::plain(&config, 1, 1));
            let chord = batch.controls.iter().position(|&value| value == 1.0).expect("one chord");
            let shift = batch.tokens[0] - 41;
            let root = usize::try_from(shift.rem_euclid(12)).expect("not negative");
            assert_eq!(chord, 1 + root, "moved by {shift}");
        }
    }
}
