//! Interpolation between two windows: distances along the way.

use interlude_models::engine::{Engine, EngineError};
use interlude_models::tokens::{Tokens, Window};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::{mean, means, most_probable, number, symbols};
use crate::generate::line;

/// Codes from one end to the other, both included.
pub const STEPS: usize = 10;

/// Distances along interpolations, means over pairs of windows. A distance is the share of steps,
/// in all parts, that differ.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Interpolation {
    /// Pairs of windows.
    pub pairs: usize,
    /// Distance of each point to the first window.
    pub distance_to_first: Vec<f64>,
    /// Distance of each point to the last window.
    pub distance_to_last: Vec<f64>,
    /// Distance between neighbouring points.
    pub neighbours: f64,
    /// The same when the points of a pair are shuffled.
    pub neighbours_shuffled: f64,
    /// `1 − neighbours / neighbours_shuffled`: 0 where the order has no effect.
    pub smoothness: f64,
    /// Share of the steps along the way that move neither towards the first window nor away from
    /// the last.
    pub monotonic: f64,
    /// The points of one pair.
    #[serde(skip)]
    pub example: Vec<Tokens>,
}

/// Blends `pairs` pairs of the windows, drawn with a seed. Models with controls are given those of
/// the first window.
///
/// # Errors
/// [`EngineError`] when a graph fails.
///
/// # Panics
/// When there is no window.
pub fn run(
    engine: &mut Engine,
    windows: &[Window],
    pairs: usize,
    seed: u64,
) -> Result<Interpolation, EngineError> {
    let config = engine.config().clone();
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let (mut first, mut last) = (vec![Vec::new(); STEPS], vec![Vec::new(); STEPS]);
    let (mut ordered, mut shuffled, mut monotonic) = (Vec::new(), Vec::new(), Vec::new());
    let mut example = Vec::new();
    for _ in 0..pairs {
        let ends = [(); 2].map(|()| windows[generator.random_range(0..windows.len())].clone());
        let codes = means(engine, &ends)?;
        let codes = line(&codes[0], &codes[1], STEPS);
        let controls = ends[0].controls.clone().map(|controls| vec![controls; STEPS]);
        let blends = most_probable(engine, &codes, controls)?;
        let heard: Vec<Vec<u64>> = blends.iter().map(|tokens| symbols(&config, tokens)).collect();
        let ends = ends.map(|end| symbols(&config, &end.tokens));
        let distances = |to: &[u64]| -> Vec<f64> {
            heard.iter().map(|symbols| distance(symbols, to)).collect()
        };
        let [from_first, from_last] = ends.each_ref().map(|end| distances(end));
        for step in 0..STEPS {
            first[step].push(from_first[step]);
            last[step].push(from_last[step]);
        }
        for (near, far) in from_first.windows(2).zip(from_last.windows(2)) {
            monotonic.push(f64::from(u8::from(near[1] >= near[0] && far[1] <= far[0])));
        }
        let neighbours = |order: &[usize]| {
            mean(order.windows(2).map(|pair| distance(&heard[pair[0]], &heard[pair[1]])))
        };
        let mut order: Vec<usize> = (0..STEPS).collect();
        ordered.push(neighbours(&order));
        order.shuffle(&mut generator);
        shuffled.push(neighbours(&order));
        if example.is_empty() {
            example = blends;
        }
    }
    let means = |all: Vec<Vec<f64>>| all.into_iter().map(mean).collect();
    let (neighbours, neighbours_shuffled) = (mean(ordered), mean(shuffled));
    Ok(Interpolation {
        pairs,
        distance_to_first: means(first),
        distance_to_last: means(last),
        neighbours,
        neighbours_shuffled,
        smoothness: if neighbours_shuffled > 0.0 {
            1.0 - neighbours / neighbours_shuffled
        } else {
            0.0
        },
        monotonic: mean(monotonic),
        example,
    })
}

/// The share of symbols that differ.
fn distance(a: &[u64], b: &[u64]) -> f64 {
    let differ = a.iter().zip(b).filter(|(a, b)| a != b).count();
    number(differ) / number(a.len()).max(1.0)
}
