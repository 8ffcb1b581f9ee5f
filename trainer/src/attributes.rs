//! Attribute vectors: directions in latent space along which one attribute of the music rises while
//! others stay, computed from windows of a dataset and checked on others by decoding.

pub mod check;
pub mod directions;
pub mod report;

use std::ops::ControlFlow;

use clap::ValueEnum;
use interlude_models::attributes::Measure;
use interlude_models::clip::Clip;
use interlude_models::engine::{DecodeSettings, Engine, EngineError};
use interlude_models::latent::attributes::Attribute;
use interlude_models::tokens::{Window, to_clip};
use nalgebra::DMatrix;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::evaluate::{BATCH, controls, mean, means};
use directions::Responses;

/// How the vectors are computed.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// From the response of decoded music to moves between codes of the data; other attributes are
    /// held.
    #[default]
    Response,
    /// By linear regression of the windows' attributes on their codes; other attributes are held.
    Regression,
    /// From the mean code of the quarter of the windows with the least of an attribute to that of
    /// the quarter with the most, as Roberts et al. (2018) do.
    Means,
}

/// An attribute without a vector, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The attribute.
    pub name: String,
    /// Why no vector was found, as a sentence.
    pub reason: String,
}

/// A candidate for an attribute vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    /// Added to a code, it is predicted to raise the attribute by one standard deviation.
    pub direction: Vec<f32>,
    /// Share of the distance that codes were moved by to compute it; none where the method moves
    /// none.
    pub reach: Option<f64>,
}

/// An attribute and its candidate vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What is measured.
    pub measure: Measure,
    /// The attribute with the first of `ways`.
    pub attribute: Attribute,
    /// Candidates in the order in which they are tried.
    pub ways: Vec<Way>,
}

/// Attribute vectors, and attributes without one.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Attributes with candidates.
    pub candidates: Vec<Candidate>,
    /// The others.
    pub missing: Vec<Missing>,
}

/// Finds directions for each measure with some windows. The unit of a direction is one standard
/// deviation of the attribute over the windows, as the method predicts it; a window in which an
/// attribute is not defined does not count for it. [`Method::Response`] moves codes by each of `reaches`,
/// shares of the distance between a window's code and the mean of all codes, for a direction each.
/// `on_windows` is called with the number of windows
/// that were encoded or decoded, [`work`] altogether.
///
/// # Errors
/// [`EngineError`] when a graph fails.
pub fn find(
    engine: &mut Engine,
    windows: &[Window],
    measures: &[Measure],
    method: Method,
    reaches: &[f64],
    seed: u64,
    on_windows: &mut dyn FnMut(usize),
) -> Result<Found, EngineError> {
    let mut codes = Vec::with_capacity(windows.len());
    for batch in windows.chunks(BATCH) {
        codes.extend(means(engine, batch)?);
        on_windows(batch.len());
    }
    let config = engine.config().clone();
    let clips: Vec<Clip> = windows.iter().map(|window| to_clip(&config, &window.tokens)).collect();
    let mut missing = Vec::new();
    let mut of_data = Vec::new();
    for measure in measures {
        let values: Vec<Option<f64>> = clips.iter().map(|clip| measure.of(clip)).collect();
        match distribution(&values) {
            Some(found) => of_data.push((measure, values, found)),
            None => missing.push(Missing {
                name: measure.name.clone(),
                reason: "it is the same in all windows".to_owned(),
            }),
        }
    }
    let centred = directions::centred(&codes);
    let standard: Responses = of_data
        .iter()
        .map(|(_, values, [mean, deviation])| {
            values.iter().map(|value| value.map(|value| (value - mean) / deviation)).collect()
        })
        .collect();
    let holds = |one: usize, other: usize| of_data[one].0.holds(of_data[other].0);
    let mut ways: Vec<Vec<Way>> = vec![Vec::new(); of_data.len()];
    let mut add = |found: Vec<Option<Vec<f32>>>, reach: Option<f64>| {
        for (ways, direction) in ways.iter_mut().zip(found) {
            ways.extend(direction.map(|direction| Way { direction, reach }));
        }
    };
    match method {
        Method::Means => add(directions::of_means(&centred, &standard), None),
        Method::Regression => {
            add(directions::holding(&centred, &centred, &standard, &holds), None);
        }
        Method::Response => {
            let order = shuffled(&centred, seed);
            for &reach in reaches {
                let moves = &order * reach;
                let mut responses: Responses = vec![Vec::with_capacity(codes.len()); of_data.len()];
                for first in (0..codes.len()).step_by(BATCH) {
                    let last = (first + BATCH).min(codes.len());
                    let batch = &windows[first..last];
                    let mut moved = |sign: f64| {
                        let code =
                            |index: usize| directions::moved(&codes[index], &moves, index, sign);
                        play(engine, &(first..last).map(code).collect::<Vec<_>>(), batch)
                    };
                    let (up, down) = (moved(1.0)?, moved(-1.0)?);
                    for ((measure, _, [_, deviation]), all) in of_data.iter().zip(&mut responses) {
                        let change = |(up, down): (&Clip, &Clip)| {
                            Some((measure.of(up)? - measure.of(down)?) / (2.0 * deviation))
                        };
                        all.extend(up.iter().zip(&down).map(change));
                    }
                    on_windows(2 * batch.len());
                }
                add(directions::holding(&moves, &centred, &responses, &holds), Some(reach));
            }
        }
    }
    let mut candidates = Vec::new();
    for ((measure, _, [mean, deviation]), ways) in of_data.into_iter().zip(ways) {
        let Some(first) = ways.first() else {
            let reason = match method {
                Method::Response => "what is decoded does not change",
                _ => "codes do not tell it",
            };
            let reason = reason.to_owned();
            missing.push(Missing { name: measure.name.clone(), reason });
            continue;
        };
        let attribute = Attribute {
            name: measure.name.clone(),
            unit: measure.unit().to_owned(),
            mean: directions::narrow(mean),
            deviation: directions::narrow(deviation),
            direction: first.direction.clone(),
        };
        candidates.push(Candidate { measure: measure.clone(), attribute, ways });
    }
    Ok(Found { candidates, missing })
}

/// What [`find`] counts to with some windows and a number of reaches.
pub fn work(windows: usize, method: Method, reaches: usize) -> usize {
    if method == Method::Response { (1 + 2 * reaches) * windows } else { windows }
}

/// Decodes codes at temperature 0 with the controls of windows.
fn play(
    engine: &mut Engine,
    codes: &[Vec<f32>],
    windows: &[Window],
) -> Result<Vec<Clip>, EngineError> {
    let settings = DecodeSettings { controls: controls(windows), ..DecodeSettings::default() };
    let decoded = engine.decode(codes, &settings, &mut |_| ControlFlow::Continue(()))?;
    Ok(decoded.iter().map(|tokens| to_clip(engine.config(), tokens)).collect())
}

/// Mean and standard deviation of the numbers that are there, unless they are all the same.
fn distribution(values: &[Option<f64>]) -> Option<[f64; 2]> {
    let values = || values.iter().flatten().copied();
    let centre = mean(values());
    let deviation = mean(values().map(|value| (value - centre).powi(2))).sqrt();
    (deviation > 1e-9 * (1.0 + centre.abs())).then_some([centre, deviation])
}

/// Rows in an order drawn with a seed.
fn shuffled(rows: &DMatrix<f64>, seed: u64) -> DMatrix<f64> {
    let mut order: Vec<usize> = (0..rows.nrows()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    rows.select_rows(&order)
}
