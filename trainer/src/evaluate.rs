//! Evaluation of a model: reconstruction, samples of the prior, interpolation. Everything goes
//! through a model's folder and the engine, as in the plug-in.

pub mod activity;
pub mod interpolation;
pub mod prior;
pub mod reconstruction;
pub mod report;
pub mod resemblance;
pub mod scores;

use interlude_models::config::Config;
use interlude_models::engine::{DecodeSettings, Engine, EngineError, Posterior};
use interlude_models::tokens::{Controls, Tokens, Window};

use interlude_dataset::{Windows, layout};

/// Examples that are decoded together.
pub(crate) const BATCH: usize = 64;

/// What is compared step by step: tokens, bits of drum classes, or hits of a groove; one number for
/// each part. 0 stands for a step on which nothing begins or ends.
pub(crate) fn symbols(config: &Config, tokens: &Tokens) -> Vec<u64> {
    config.family().symbols(tokens)
}

/// `count` of all windows, spread evenly; all of them when there are fewer, or for 0.
pub fn chosen(config: &Config, windows: &Windows, count: usize) -> Vec<Window> {
    let count = if count == 0 { windows.len() } else { count.min(windows.len()) };
    let window = |index: usize| layout::read(config, windows.get(index * windows.len() / count));
    (0..count).map(window).collect()
}

/// The controls of some windows, for models that have them.
pub(crate) fn controls(windows: &[Window]) -> Option<Vec<Controls>> {
    windows.iter().map(|window| window.controls.clone()).collect()
}

/// The posteriors of any number of windows, which are encoded some at a time. `on_windows` is called
/// with how many more are done.
///
/// # Errors
/// [`EngineError`] when a graph fails.
pub fn posteriors(
    engine: &mut Engine,
    windows: &[Window],
    on_windows: &mut dyn FnMut(usize),
) -> Result<Vec<Posterior>, EngineError> {
    let mut found = Vec::with_capacity(windows.len());
    for windows in windows.chunks(BATCH) {
        let tokens: Vec<Tokens> = windows.iter().map(|window| window.tokens.clone()).collect();
        found.extend(engine.encode(&tokens, controls(windows).as_deref())?);
        on_windows(windows.len());
    }
    Ok(found)
}

/// Means of the posteriors of some windows.
pub(crate) fn means(engine: &mut Engine, windows: &[Window]) -> Result<Vec<Vec<f32>>, EngineError> {
    let tokens: Vec<Tokens> = windows.iter().map(|window| window.tokens.clone()).collect();
    let posteriors = engine.encode(&tokens, controls(windows).as_deref())?;
    Ok(posteriors.into_iter().map(|posterior| posterior.mu).collect())
}

/// Decodes codes at temperature 0.
pub(crate) fn most_probable(
    engine: &mut Engine,
    codes: &[Vec<f32>],
    controls: Option<Vec<Controls>>,
) -> Result<Vec<Tokens>, EngineError> {
    let settings = DecodeSettings { controls, ..DecodeSettings::default() };
    engine.decode(codes, &settings, &mut |_| std::ops::ControlFlow::Continue(()))
}

/// The mean of some numbers, 0 of none.
pub(crate) fn mean(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) =
        numbers.into_iter().fold((0.0, 0.0), |(sum, count), number| (sum + number, count + 1.0));
    if count > 0.0 { sum / count } else { 0.0 }
}

/// A count as a number.
pub(crate) fn number(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}
