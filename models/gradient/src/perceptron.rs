//! Dense layers one after the other, with `max(x, 0)` between them: a multilayer perceptron.
//!
//! [`Perceptron`] is one inside a training graph, [`Trained`] one whose weights are known, to be run
//! without any graph: such networks are so small that a session would cost more than it saves.

use interlude_onnx::weights::{Tensor, Weights};
use interlude_onnx::{Attribute, ElementType, Graph, Value};

use super::dense::Dense;
use super::variables::Variables;

/// Layers of a training graph.
#[derive(Clone, Debug)]
pub struct Perceptron {
    layers: Vec<Dense>,
}

/// What the forward pass computed.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The input of each layer, `[rows, width]`.
    inputs: Vec<Value>,
    /// The last layer's output, `[rows, width]`.
    pub output: Value,
}

/// Names and shapes of the variables of a perceptron `name` with `sizes` from its input to its
/// output.
fn variables(name: &str, sizes: &[usize]) -> impl Iterator<Item = (String, [usize; 2])> {
    let pairs = sizes.windows(2).enumerate();
    pairs.map(move |(index, pair)| (format!("{name}/{index}"), [pair[0], pair[1]]))
}

impl Perceptron {
    /// Declares the layers' variables, `<name>/<number>/kernel` and `…/bias`. `sizes` are the widths
    /// from the input to the output.
    pub fn declare(graph: &mut Graph, list: &mut Variables, name: &str, sizes: &[usize]) -> Self {
        let layers = variables(name, sizes)
            .map(|(name, [inputs, outputs])| Dense::declare(graph, list, &name, inputs, outputs));
        Self { layers: layers.collect() }
    }

    /// `x` `[rows, inputs]` to `[rows, outputs]`.
    pub fn forward(&self, graph: &mut Graph, x: &Value) -> Pass {
        let mut inputs = Vec::with_capacity(self.layers.len());
        let mut value = x.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                value = graph.op("Relu", &[&value], &[]);
            }
            inputs.push(value.clone());
            value = layer.forward(graph, &value);
        }
        Pass { inputs, output: value }
    }

    /// Sets the gradients of all layers from that of the output, and returns that of the input.
    pub fn backward(
        &self,
        graph: &mut Graph,
        list: &mut Variables,
        pass: &Pass,
        output_gradient: &Value,
    ) -> Value {
        let zero = graph.scalar(0.0);
        let mut gradient = output_gradient.clone();
        for (index, (layer, input)) in self.layers.iter().zip(&pass.inputs).enumerate().rev() {
            gradient = layer.backward(graph, list, input, &gradient);
            if index > 0 {
                let open = graph.op("Greater", &[input, &zero], &[]);
                let to = Attribute::Int(ElementType::F32 as i64);
                let open = graph.op("Cast", &[&open], &[("to", to)]);
                gradient = graph.mul(&gradient, &open);
            }
        }
        gradient
    }
}

/// Initial weights of a perceptron: kernels uniform in `±sqrt(6 / (inputs + outputs))`, biases 0.
/// `uniform` gives numbers between 0 and 1.
pub fn initial(
    weights: &mut Weights,
    name: &str,
    sizes: &[usize],
    uniform: &mut impl FnMut() -> f32,
) {
    for (name, shape) in variables(name, sizes) {
        #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
        let limit = (6.0 / (shape[0] + shape[1]) as f32).sqrt();
        let mut kernel = Tensor::zeros(&shape);
        kernel.data.fill_with(|| limit * (2.0 * uniform() - 1.0));
        weights.insert(format!("{name}/kernel"), kernel);
        weights.insert(format!("{name}/bias"), Tensor::zeros(&shape[1..]));
    }
}

/// A perceptron with its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    layers: Vec<Layer>,
}

#[derive(Clone, Debug, PartialEq)]
struct Layer {
    /// `[inputs, outputs]`, row-major.
    kernel: Vec<f32>,
    bias: Vec<f32>,
}

impl Trained {
    /// Takes the perceptron `name` with `sizes` out of weights.
    ///
    /// # Errors
    /// The tensor's name.
    pub fn of(weights: &Weights, name: &str, sizes: &[usize]) -> Result<Self, String> {
        let take = |name: String, shape: &[usize]| match weights.get(&name) {
            Some(tensor) if tensor.shape == shape => Ok(tensor.data.clone()),
            _ => Err(name),
        };
        let layers = variables(name, sizes).map(|(name, shape)| {
            Ok::<_, String>(Layer {
                kernel: take(format!("{name}/kernel"), &shape)?,
                bias: take(format!("{name}/bias"), &shape[1..])?,
            })
        });
        Ok(Self { layers: layers.collect::<Result<_, _>>()? })
    }

    /// The output for one input of the first layer's width.
    pub fn apply(&self, input: &[f32]) -> Vec<f32> {
        let mut values = input.to_vec();
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                values.iter_mut().for_each(|value| *value = value.max(0.0));
            }
            let mut output = layer.bias.clone();
            for (&value, row) in values.iter().zip(layer.kernel.chunks_exact(output.len())) {
                output.iter_mut().zip(row).for_each(|(sum, &weight)| *sum += value * weight);
            }
            values = output;
        }
        values
    }
}
