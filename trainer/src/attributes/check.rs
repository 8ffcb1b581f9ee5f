//! Checks attribute vectors on clips that they were not computed from.

use interlude_models::attributes::Measure;
use interlude_models::clip::Clip;
use interlude_models::engine::{Engine, EngineError};
use interlude_models::latent::attributes::Attribute;
use interlude_models::tokens::Window;
use serde::Serialize;

use super::{Candidate, play};
use crate::evaluate::{BATCH, mean, means, number};

/// Amounts that codes are moved by, in standard deviations of the attribute.
pub const AMOUNTS: [f32; 5] = [-2.0, -1.0, 0.0, 1.0, 2.0];
/// Factors by which vectors are scaled, one after the other, until their attribute rises.
pub const STRETCHES: [f32; 5] = [1.0, 0.5, 1.5, 2.0, 3.0];
/// Minimum rank correlation (Spearman) of amount and attribute for a clip that follows.
pub const FOLLOWS: f64 = 0.9;

/// The candidate that was chosen for an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Chosen {
    /// Its length relative to the predicted one.
    pub stretch: f32,
    /// Share of the distance that codes were moved by to compute it; none where the method moves
    /// none.
    pub reach: Option<f64>,
}

/// Effect of one attribute vector, decoded at temperature 0.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// The attribute.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// Mean over the training windows.
    pub mean: f32,
    /// Standard deviation over them.
    pub deviation: f32,
    /// Clips in which the attribute is defined at every amount.
    pub clips: usize,
    /// Its mean over these clips at each of [`AMOUNTS`].
    pub values: Vec<f64>,
    /// Whether these means rise from each amount to the next.
    pub monotonic: bool,
    /// Share of these clips in which the rank correlation of amount and attribute is at least
    /// [`FOLLOWS`].
    pub follows: f64,
    /// Change of every attribute for an amount of 1, in its standard deviations: the slope of the
    /// straight line that fits its means best. Over the clips in which that one is defined at every
    /// amount; none where there is no such clip.
    pub effects: Vec<Option<f64>>,
}

impl Outcome {
    /// Mean absolute effect on the other attributes.
    pub fn crosstalk(&self, own: usize) -> f64 {
        let others = self.effects.iter().enumerate().filter(|(index, _)| *index != own);
        mean(others.filter_map(|(_, effect)| effect.map(f64::abs)))
    }
}

/// Moves the codes of some windows along each direction, and measures what is decoded. `on_clips` is
/// called with the number of clips that were decoded.
///
/// # Errors
/// [`EngineError`] when a graph fails.
pub fn run(
    engine: &mut Engine,
    windows: &[Window],
    attributes: &[(Measure, Attribute)],
    on_clips: &mut dyn FnMut(usize),
) -> Result<Vec<Outcome>, EngineError> {
    let codes = encode(engine, windows)?;
    let mut outcomes = Vec::with_capacity(attributes.len());
    for (own, (_, attribute)) in attributes.iter().enumerate() {
        let decoded = along(engine, windows, &codes, attribute, on_clips)?;
        let mut effects = Vec::with_capacity(attributes.len());
        let mut own_values = Vec::new();
        for (index, (measure, attribute)) in attributes.iter().enumerate() {
            let values = values(measure, &decoded);
            let means = means_of(&values);
            let effect = means.as_ref().map(|means| slope(means) / f64::from(attribute.deviation));
            effects.push(effect);
            if index == own {
                own_values = values;
            }
        }
        outcomes.push(outcome(attribute, &own_values, effects));
    }
    Ok(outcomes)
}

/// Chooses the direction of each attribute: the first of its ways along which its mean rises at each
/// step, and where none is, the first that does with the first of [`STRETCHES`] that is enough. Far from
/// a code an attribute may not change any more, as pitch that has leapt by an octave; near it nothing may
/// happen, or what is decoded may get rougher whichever way it is moved. An attribute that rises along none
/// keeps the first, as it is.
///
/// # Errors
/// [`EngineError`] when a graph fails.
pub fn choose(
    engine: &mut Engine,
    windows: &[Window],
    candidates: Vec<Candidate>,
    on_clips: &mut dyn FnMut(usize),
) -> Result<Vec<(Measure, Attribute, Chosen)>, EngineError> {
    let codes = encode(engine, windows)?;
    let mut all = Vec::with_capacity(candidates.len());
    for Candidate { measure, mut attribute, ways } in candidates {
        let mut chosen = Chosen { stretch: 1.0, reach: ways.first().and_then(|way| way.reach) };
        let tries =
            STRETCHES.into_iter().flat_map(|stretch| ways.iter().map(move |way| (stretch, way)));
        for (stretch, way) in tries {
            let direction = way.direction.iter().map(|value| value * stretch).collect();
            let tried = Attribute { direction, ..attribute.clone() };
            let decoded = along(engine, windows, &codes, &tried, on_clips)?;
            if means_of(&values(&measure, &decoded)).is_some_and(|means| rises(&means)) {
                (attribute, chosen) = (tried, Chosen { stretch, reach: way.reach });
                break;
            }
        }
        all.push((measure, attribute, chosen));
    }
    Ok(all)
}

/// For each amount, the music decoded from each clip.
fn along(
    engine: &mut Engine,
    windows: &[Window],
    codes: &[Vec<f32>],
    attribute: &Attribute,
    on_clips: &mut dyn FnMut(usize),
) -> Result<Vec<Vec<Clip>>, EngineError> {
    let mut decoded = Vec::with_capacity(AMOUNTS.len());
    for amount in AMOUNTS {
        let mut clips = Vec::with_capacity(windows.len());
        for (codes, windows) in codes.chunks(BATCH).zip(windows.chunks(BATCH)) {
            let moved: Vec<Vec<f32>> =
                codes.iter().map(|code| attribute.apply(code, amount)).collect();
            clips.extend(play(engine, &moved, windows)?);
            on_clips(windows.len());
        }
        decoded.push(clips);
    }
    Ok(decoded)
}

fn encode(engine: &mut Engine, windows: &[Window]) -> Result<Vec<Vec<f32>>, EngineError> {
    let mut codes = Vec::with_capacity(windows.len());
    for batch in windows.chunks(BATCH) {
        codes.extend(means(engine, batch)?);
    }
    Ok(codes)
}

/// Whether means rise from each amount to the next.
fn rises(means: &[f64]) -> bool {
    !means.is_empty() && means.windows(2).all(|pair| pair[0] < pair[1])
}

fn outcome(attribute: &Attribute, values: &[Vec<f64>], effects: Vec<Option<f64>>) -> Outcome {
    let means = means_of(values).unwrap_or_default();
    let following = values.iter().filter(|values| rank_correlation(values) >= FOLLOWS).count();
    Outcome {
        name: attribute.name.clone(),
        unit: attribute.unit.clone(),
        mean: attribute.mean,
        deviation: attribute.deviation,
        clips: values.len(),
        monotonic: rises(&means),
        values: means,
        follows: number(following) / number(values.len()).max(1.0),
        effects,
    }
}

/// A measure at each amount, of the clips in which it is always defined.
fn values(measure: &Measure, decoded: &[Vec<Clip>]) -> Vec<Vec<f64>> {
    let count = decoded.first().map_or(0, Vec::len);
    let of_clip = |index: usize| decoded.iter().map(|clips| measure.of(&clips[index])).collect();
    (0..count).filter_map(of_clip).collect()
}

/// Means over clips, for each amount; none of no clip.
fn means_of(values: &[Vec<f64>]) -> Option<Vec<f64>> {
    let amounts = values.first()?.len();
    Some((0..amounts).map(|amount| mean(values.iter().map(|values| values[amount]))).collect())
}

/// Slope of the straight line through values at [`AMOUNTS`], whose mean is 0.
fn slope(values: &[f64]) -> f64 {
    let amounts = || AMOUNTS.iter().copied().map(f64::from);
    let product: f64 = amounts().zip(values).map(|(amount, value)| amount * value).sum();
    product / amounts().map(|amount| amount * amount).sum::<f64>()
}

/// Spearman's rank correlation of values with their order; equal values share the mean of their
/// ranks, and values that are all the same have none, 0.
fn rank_correlation(values: &[f64]) -> f64 {
    let rank = |value: &f64| {
        let below = values.iter().filter(|other| *other < value).count();
        let equal = values.iter().filter(|other| *other == value).count();
        number(below) + (number(equal) - 1.0) / 2.0
    };
    let middle = (number(values.len()) - 1.0) / 2.0;
    let (mut product, mut ranks, mut places) = (0.0, 0.0, 0.0);
    for (index, value) in values.iter().enumerate() {
        let (rank, place) = (rank(value) - middle, number(index) - middle);
        product += rank * place;
        ranks += rank * rank;
        places += place * place;
    }
    if ranks > 0.0 { product / f64::sqrt(ranks * places) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Rank correlations worked out by hand, with ties and without.
    #[test]
    fn ranks_are_correlated() {
        let near = |values: &[f64], expected: f64| {
            let found = rank_correlation(values);
            assert!((found - expected).abs() < 1e-9, "{values:?}: {found}");
        };
        near(&[1.0, 2.0, 3.0, 9.0, 10.0], 1.0);
        near(&[5.0, 4.0, 3.0, 2.0, 1.0], -1.0);
        near(&[2.0, 2.0, 2.0, 2.0, 2.0], 0.0);
        // Two neighbours changed places: 1 − 6 · 2 / (5 · 24).
        near(&[1.0, 3.0, 2.0, 4.0, 5.0], 0.9);
        // Ranks 0.5, 0.5, 2, 3, 4: 9.5 / √(9.5 · 10).
        near(&[1.0, 1.0, 2.0, 3.0, 4.0], 0.95f64.sqrt());
    }

    // A straight line has its slope, and a mean that falls once is not monotonic.
    #[test]
    fn rising_means_are_told() {
        assert!((slope(&[-1.0, 1.0, 3.0, 5.0, 7.0]) - 2.0).abs() < 1e-12);
        let attribute = Attribute {
            name: "density".to_owned(),
            unit: "notes in a bar".to_owned(),
            mean: 3.0,
            deviation: 1.0,
            direction: vec![1.0],
        };
        let rising = vec![1.0, 2.0, 3.0, 4.0, 5.0];
        let falling = vec![1.0, 2.0, 1.5, 4.0, 5.0];
        let found = outcome(&attribute, &[rising, falling.clone()], vec![]);
        assert!(found.monotonic, "the means 2, 2.25 are still rising: {:?}", found.values);
        assert_eq!((found.clips, found.follows), (2, 1.0));
        assert!(!outcome(&attribute, &[falling], vec![]).monotonic);
        assert!(!outcome(&attribute, &[], vec![]).monotonic, "no clip tells nothing");
    }
}
