//! The graphs that ONNX Runtime's training API works with, made from the same parts as the graph
//! that trains by itself.
//!
//! The training API runs three models: one that leaves gradients in buffers, one that evaluates,
//! and an optimiser that changes variables and moments in place. Names of inputs and outputs are
//! those that the API looks for (`orttraining/training_api` of ONNX Runtime 1.19). The optimiser's
//! own correction of bias is off: the rate it is given is the step size of [`interlude_gradient::adam`], so both
//! ways make the same step.

use interlude_models::config::Config;
use interlude_onnx::{Attribute, ElementType, Graph};

use super::model::{self, Built, GradientError};
use super::shape::Shape;
use interlude_gradient::adam;

/// What begins the name of an input or output that belongs to a variable's gradient.
const ACCUMULATION: &str = "_grad.accumulation.";

/// The three models, as the bytes of `.onnx` files.
#[derive(Debug)]
pub struct Artifacts {
    /// Loss, report and clipped gradients.
    pub training: Built,
    /// The graph of [`model::evaluation`], with the variables in the same order.
    pub evaluation: Vec<u8>,
    /// One step of Adam over all variables.
    pub optimizer: Vec<u8>,
}

impl Artifacts {
    /// The artifacts of a configuration; Adam's second moment decays with `beta_2`.
    ///
    /// # Errors
    /// [`GradientError`] when the configuration is of a kind that cannot be trained.
    pub fn new(config: &Config, shape: Shape, beta_2: f64) -> Result<Self, GradientError> {
        Ok(Self {
            training: model::accumulating(config, shape)?,
            evaluation: model::evaluation(config, shape.steps, shape.batch)?.model,
            optimizer: optimizer(beta_2),
        })
    }

    /// Whether an input of the training model is given at each step: neither a variable, nor a
    /// gradient's buffer, nor the flag that empties the buffers.
    pub fn is_given(&self, input: &str) -> bool {
        input != "lazy_reset_grad"
            && !input.contains(ACCUMULATION)
            && !self.training.variables.iter().any(|(name, _)| name == input)
    }
}

/// Adam in TensorFlow's form: `w ← w − rate·m / (√v + ε)`.
fn optimizer(beta_2: f64) -> Vec<u8> {
    let mut graph = Graph::new("optimizer");
    let rate = graph.input("learning_rate", ElementType::F32, &[1.into()]);
    let step = graph.input("step", ElementType::I64, &[1.into()]);
    let sequences = ["params", "gradients", "first_order_moments", "second_order_moments"]
        .map(|name| graph.sequence_input(name, ElementType::F32));
    let [parameters, gradients, first, second] = &sequences;
    #[expect(clippy::cast_possible_truncation, reason = "constants in single precision")]
    let attributes = [
        ("alpha", Attribute::Float(adam::BETA_1 as f32)),
        ("beta", Attribute::Float(beta_2 as f32)),
        ("epsilon", Attribute::Float(adam::EPSILON)),
        ("weight_decay", Attribute::Float(0.0)),
        ("correct_bias", Attribute::Int(0)),
        ("adam_mode", Attribute::Int(1)),
    ];
    let inputs = [&rate, &step, parameters, gradients, first, second];
    let updated = graph.op_in("com.microsoft", "AdamWOptimizer", &inputs, &attributes, 1);
    graph.output("updated", &updated[0], ElementType::Bool, &[1.into()]);
    graph.into_model()
}
