//! A dense layer `y = x·W + b`.

use interlude_onnx::{Graph, Value};

use super::variables::Variables;

/// A dense layer with the variables `<name>/kernel` `[inputs, outputs]` and `<name>/bias`.
#[derive(Clone, Debug)]
pub struct Dense {
    name: String,
    kernel: Value,
    bias: Value,
}

impl Dense {
    /// Declares the layer's variables.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        let kernel = variables.declare(graph, &format!("{name}/kernel"), &[inputs, outputs]);
        let bias = variables.declare(graph, &format!("{name}/bias"), &[outputs]);
        Self { name: name.to_owned(), kernel, bias }
    }

    /// A layer whose kernel and bias are in the graph already, under the names of its variables.
    pub fn named(name: &str) -> Self {
        let part = |part: &str| Value::named(&format!("{name}/{part}"));
        Self { name: name.to_owned(), kernel: part("kernel"), bias: part("bias") }
    }

    /// `x` `[rows, inputs]` to `[rows, outputs]`.
    pub fn forward(&self, graph: &mut Graph, x: &Value) -> Value {
        graph.gemm(x, &self.kernel, &self.bias)
    }

    /// Sets the gradients of kernel and bias from the layer's input and the gradient of its output,
    /// and returns the gradient of the input.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        x: &Value,
        output_gradient: &Value,
    ) -> Value {
        self.backward_first(graph, variables, x, output_gradient);
        graph.gemm_nt(output_gradient, &self.kernel)
    }

    /// [`Self::backward`] of a layer that is the first: nobody asks for the gradient of its input.
    pub fn backward_first(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        x: &Value,
        output_gradient: &Value,
    ) {
        let kernel = graph.gemm_tn(x, output_gradient);
        variables.set_gradient(&format!("{}/kernel", self.name), kernel);
        let bias = graph.reduce_sum(output_gradient, &[0]);
        variables.set_gradient(&format!("{}/bias", self.name), bias);
    }
}
