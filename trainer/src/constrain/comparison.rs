//! What an actor learns about attributes, and how its samples compare with windows of the data and with
//! samples of the prior.

use std::collections::BTreeSet;

use interlude_models::attributes::Measure;
use interlude_models::clip::Clip;
use interlude_models::config::Config;
use interlude_models::engine::{Engine, EngineError};
use interlude_models::latent::constraint::{Constraint, Range};
use interlude_models::latent::prior as draw;
use interlude_models::tokens::{Window, to_clip};
use serde::Serialize;

use super::Labels;
use crate::evaluate::prior::{self, Character};
use crate::evaluate::resemblance::distance;
use crate::evaluate::{mean, number, symbols};

/// What is low and high of each attribute that differs between windows, and where each window is.
pub fn labels(
    config: &Config,
    windows: &[Window],
    measures: &[Measure],
) -> (Vec<Range>, Vec<Labels>) {
    let clips: Vec<Clip> = windows.iter().map(|window| to_clip(config, &window.tokens)).collect();
    let mut ranges = Vec::new();
    let mut labels = vec![Labels::new(); windows.len()];
    for measure in measures {
        let values: Vec<Option<f64>> = clips.iter().map(|clip| measure.of(clip)).collect();
        let mut sorted: Vec<f64> = values.iter().copied().flatten().collect();
        sorted.sort_by(f64::total_cmp);
        let third = |count: usize| sorted.get(count * sorted.len() / 3).copied();
        let Some((low, high)) = third(1).zip(third(2)).filter(|(low, high)| low < high) else {
            continue;
        };
        for (labels, value) in labels.iter_mut().zip(values) {
            labels.push(match value {
                Some(value) if value < low => -1.0,
                Some(value) if value > high => 1.0,
                _ => 0.0,
            });
        }
        ranges.push(Range { name: measure.name.clone(), low, high });
    }
    (ranges, labels)
}

/// Samples of one kind, or windows of a split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What they are.
    pub name: String,
    /// Share of bars in which no note begins.
    pub empty_bars: f64,
    /// Notes that begin in a bar.
    pub notes_per_bar: f64,
    /// Share of notes within the data's range of pitches.
    pub in_range: f64,
    /// Share of a window's notes in the major scale that fits best.
    pub in_scale: Option<f64>,
    /// Mean edit distance between two windows, as a share of their length.
    pub spread: f64,
    /// Share of windows that are unique.
    pub distinct: f64,
    /// Mean of each attribute.
    pub attributes: Vec<f64>,
}

impl Row {
    /// The row of some windows, a share of whose notes is in the data's range of pitches.
    pub fn of(
        name: &str,
        config: &Config,
        windows: &[Window],
        measures: &[Measure],
        in_range: f64,
    ) -> Self {
        let clips: Vec<Clip> =
            windows.iter().map(|window| to_clip(config, &window.tokens)).collect();
        let steps: Vec<Vec<u64>> =
            windows.iter().map(|window| symbols(config, &window.tokens)).collect();
        let different: BTreeSet<&Vec<u64>> = steps.iter().collect();
        let character = Character::of(&clips);
        let average = |measure: &Measure| mean(clips.iter().filter_map(|clip| measure.of(clip)));
        Self {
            name: name.to_owned(),
            empty_bars: character.empty_bars,
            notes_per_bar: character.notes_per_bar,
            in_range,
            in_scale: character.in_scale,
            spread: mean(steps.windows(2).map(|pair| distance(&pair[0], &pair[1]))),
            distinct: number(different.len()) / number(steps.len()).max(1.0),
            attributes: measures.iter().map(average).collect(),
        }
    }

    /// Its numbers in the order of [`Report::columns`].
    pub fn values(&self) -> impl Iterator<Item = Option<f64>> {
        let before = [self.empty_bars, self.notes_per_bar, self.in_range].map(Some);
        let after = [self.spread, self.distinct].into_iter().chain(self.attributes.iter().copied());
        before.into_iter().chain([self.in_scale]).chain(after.map(Some))
    }
}

/// How samples are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Samples of each kind.
    pub samples: usize,
    /// Softmax temperature of these samples.
    pub temperature: f32,
    /// Seed of codes and notes.
    pub seed: u64,
}

impl Sampling {
    /// Samples of the prior; the same codes as an actor moves them; and with each of its attributes
    /// low and high. `tests` are windows of the data, whose range of pitches and controls count.
    ///
    /// # Errors
    /// [`EngineError`] when a graph fails.
    ///
    /// # Panics
    /// When there is no window.
    pub fn compare(
        self,
        engine: &mut Engine,
        tests: &[Window],
        measures: &[Measure],
        actor: &Constraint,
    ) -> Result<Vec<Row>, EngineError> {
        let size = engine.config().hparams.z_size;
        let Self { samples, seed, .. } = self;
        let codes =
            |code: &dyn Fn(u64) -> Vec<f32>| (0..samples as u64).map(code).collect::<Vec<_>>();
        let none: Vec<Option<f32>> = vec![None; actor.ranges().len()];
        let mut kinds = vec![
            ("samples of the prior".to_owned(), codes(&|index| draw(seed, index, size))),
            ("samples moved".to_owned(), codes(&|index| actor.sample(seed, index, &none))),
        ];
        for (index, range) in actor.ranges().iter().enumerate() {
            for (value, word) in [(-1.0, "low"), (1.0, "high")] {
                let mut wishes = none.clone();
                wishes[index] = Some(value);
                let moved = codes(&|index| actor.sample(seed, index, &wishes));
                kinds.push((format!("moved, {} {word}", range.name), moved));
            }
        }
        let row = |(name, codes): &(String, Vec<Vec<f32>>)| {
            self.row(engine, tests, measures, name, codes)
        };
        kinds.iter().map(row).collect()
    }

    fn row(
        self,
        engine: &mut Engine,
        tests: &[Window],
        measures: &[Measure],
        name: &str,
        codes: &[Vec<f32>],
    ) -> Result<Row, EngineError> {
        let config = engine.config().clone();
        let drawing = prior::Drawing { temperature: self.temperature, seed: self.seed };
        let validity = prior::of_codes(engine, tests, codes, drawing, self.samples)?;
        let window = |tokens| Window { tokens, controls: None };
        let windows: Vec<Window> = validity.examples.into_iter().map(window).collect();
        Ok(Row::of(name, &config, &windows, measures, validity.in_range))
    }
}
