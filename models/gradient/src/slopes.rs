//! What tests of gradients have in common.

use interlude_onnx::runtime::Runtime;
use interlude_onnx::weights::Weights;

use super::adam::BETA_2;
use super::fit::{Fit, Network, Settings};

/// Asserts for every variable of a network that its loss changes along the gradient as steeply as the
/// gradient says, measured between two points `distance` apart.
pub(crate) fn assert_slopes(
    runtime: &Runtime,
    network: impl Fn() -> Network,
    weights: &Weights,
    inputs: &[(&str, Vec<f32>)],
    distance: f32,
) {
    let run = |weights: &Weights| {
        // A rate of 0 leaves the weights, and without clipping the first moments are a tenth of the
        // gradients.
        let options = Settings { clip: f32::MAX, beta_2: BETA_2, steps: 0 };
        let mut fit = Fit::with(runtime, network(), weights, options).expect("a graph");
        inputs.iter().for_each(|(name, values)| fit.input(name).copy_from_slice(values));
        fit.step(0.0).expect("a step");
        fit
    };
    let fit = run(weights);
    for name in weights.0.keys() {
        let gradient: Vec<f32> = fit.moment(name).iter().map(|moment| 10.0 * moment).collect();
        let norm: f32 = gradient.iter().map(|value| value * value).sum();
        let step = distance / norm.sqrt();
        let moved = |sign: f32| {
            let mut weights = weights.clone();
            let tensor = weights.0.get_mut(name).expect("a variable");
            let values = tensor.data.iter_mut().zip(&gradient);
            values.for_each(|(value, gradient)| *value += sign * step * gradient);
            run(&weights).scalar("loss")
        };
        let slope = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        assert!((slope / norm - 1.0).abs() < 0.02, "{name}: {slope} instead of {norm}");
    }
}
