//! Shared by the graphs' builders: reading weights, arranging them, writing them beside the graph.

use std::io::{self, Write};

use super::interface::{Interface, Part, Port};
use interlude_onnx::{ElementType, Graph, Value};

use crate::config::Config;
use crate::weights::{Tensor, Weights};

/// Positions of the gates `i, j, f, o` of a TensorFlow cell in the order of ONNX, `i, o, f, c`.
pub(super) const ONNX_GATES: [usize; 4] = [0, 3, 2, 1];
/// Positions of the gates `i, j, f, o` in the order `i, f, o, j`: logistic gates first, so that
/// one operator serves all three.
pub(super) const STEP_GATES: [usize; 4] = [0, 2, 3, 1];
/// Index of the forget gate among `i, j, f, o`.
const FORGET_GATE: usize = 2;
/// Added to the forget gate when the cell runs; it is not in the stored bias.
const FORGET_BIAS: f32 = 1.0;
/// Weights begin at multiples of this many bytes, for vector instructions on mapped files.
const ALIGNMENT: u64 = 64;

/// A graph under construction with its weights, which go to `data` as they are added.
pub(super) struct Builder<'a> {
    pub(super) graph: Graph,
    weights: &'a Weights,
    interface: Interface,
    data_file: String,
    data: &'a mut dyn Write,
    offset: u64,
    failure: Option<io::Error>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        part: Part,
        config: &Config,
        weights: &'a Weights,
        data: &'a mut dyn Write,
    ) -> Self {
        Self {
            graph: Graph::new(part.file().trim_end_matches(".onnx")),
            weights,
            interface: part.interface(config),
            data_file: part.data_file(),
            data,
            offset: 0,
            failure: None,
        }
    }

    /// Declares an input of the interface.
    pub(super) fn input(&mut self, name: &str) -> Value {
        let Port { name, element, shape } = find(&self.interface.inputs, name);
        self.graph.input(name, *element, shape)
    }

    /// Declares an output of the interface.
    pub(super) fn output(&mut self, name: &str, value: &Value) {
        let Port { name, element, shape } = find(&self.interface.outputs, name);
        self.graph.output(name, value, *element, shape);
    }

    /// The variable with a name.
    ///
    /// # Panics
    /// When it is missing: weights are checked before graphs are built.
    pub(super) fn variable(&self, name: &str) -> &'a Tensor {
        self.weights.get(name).expect("weights are checked against the configuration")
    }

    /// Adds a weight with elements in row-major order.
    pub(super) fn weight(
        &mut self,
        name: &str,
        shape: &[usize],
        elements: impl Iterator<Item = f32>,
    ) -> Value {
        let start = self.offset.next_multiple_of(ALIGNMENT);
        let mut end = start;
        if self.failure.is_none() {
            let write = || -> io::Result<()> {
                for _ in self.offset..start {
                    self.data.write_all(&[0])?;
                }
                for element in elements {
                    self.data.write_all(&element.to_le_bytes())?;
                    end += 4;
                }
                Ok(())
            };
            self.failure = write().err();
        }
        self.offset = end;
        self.graph.external_weight(name, ElementType::F32, shape, &self.data_file, start..end)
    }

    /// Adds a variable as it is.
    pub(super) fn whole(&mut self, name: &str) -> Value {
        let tensor = self.variable(name);
        self.weight(name, &tensor.shape, tensor.data.iter().copied())
    }

    /// `x · kernel + bias` of a dense layer.
    pub(super) fn dense(&mut self, name: &str, x: &Value) -> Value {
        let kernel = self.whole(&format!("{name}/kernel"));
        let bias = self.whole(&format!("{name}/bias"));
        self.graph.gemm(x, &kernel, &bias)
    }

    /// Rows `from..to` of an LSTM kernel, gates in the order of a step, as a matrix. Beyond them
    /// follow `zeros` rows of zeros.
    pub(super) fn step_kernel(
        &mut self,
        cell: &str,
        rows: std::ops::Range<usize>,
        zeros: usize,
        label: &str,
    ) -> Value {
        let kernel = self.variable(&format!("{cell}/kernel"));
        let width = kernel.shape[1];
        let hidden = width / 4;
        let shape = [rows.len() + zeros, width];
        let elements = rows
            .flat_map(|row| STEP_GATES.into_iter().map(move |gate| row * width + gate * hidden))
            .flat_map(|start| kernel.data[start..start + hidden].iter().copied())
            .chain(std::iter::repeat_n(0.0, zeros * width));
        self.weight(&format!("{cell}/{label}"), &shape, elements)
    }

    /// The bias of an LSTM cell, gates in the order of a step, with the forget bias.
    pub(super) fn step_bias(&mut self, cell: &str) -> Value {
        let bias = gate_bias(self.variable(&format!("{cell}/bias")), STEP_GATES);
        self.weight(&format!("{cell}/bias"), &[bias.len()], bias.into_iter())
    }

    /// The weights `W`, `R` and `B` of ONNX's LSTM operator for cells that run side by side (one,
    /// or the two directions of a layer).
    pub(super) fn lstm_weights(&mut self, cells: &[String]) -> [Value; 3] {
        let kernels: Vec<&Tensor> =
            cells.iter().map(|cell| self.variable(&format!("{cell}/kernel"))).collect();
        let width = kernels[0].shape[1];
        let hidden = width / 4;
        let inputs = kernels[0].shape[0] - hidden;
        let columns = |from: usize, to: usize| {
            kernels.iter().flat_map(move |kernel| {
                ONNX_GATES.into_iter().flat_map(move |gate| {
                    (gate * hidden..(gate + 1) * hidden).flat_map(move |column| {
                        (from..to).map(move |row| kernel.data[row * width + column])
                    })
                })
            })
        };
        let stem = &cells[0];
        let w =
            self.weight(&format!("{stem}/W"), &[cells.len(), width, inputs], columns(0, inputs));
        let r = self.weight(
            &format!("{stem}/R"),
            &[cells.len(), width, hidden],
            columns(inputs, inputs + hidden),
        );
        let biases: Vec<f32> = cells
            .iter()
            .flat_map(|cell| {
                let mut bias = gate_bias(self.variable(&format!("{cell}/bias")), ONNX_GATES);
                bias.resize(2 * width, 0.0);
                bias
            })
            .collect();
        let b = self.weight(&format!("{stem}/B"), &[cells.len(), 2 * width], biases.into_iter());
        [w, r, b]
    }

    /// The bytes of the graph's file.
    ///
    /// # Errors
    /// The first failure to write weights.
    pub(super) fn finish(self) -> io::Result<Vec<u8>> {
        match self.failure {
            Some(failure) => Err(failure),
            None => Ok(self.graph.into_model()),
        }
    }
}

fn find<'p>(ports: &'p [Port], name: &str) -> &'p Port {
    let port = ports.iter().find(|port| port.name == name);
    port.expect("graphs declare only what their interface lists")
}

fn gate_bias(bias: &Tensor, order: [usize; 4]) -> Vec<f32> {
    let hidden = bias.data.len() / 4;
    let gate = |gate: usize| {
        let forget = if gate == FORGET_GATE { FORGET_BIAS } else { 0.0 };
        bias.data[gate * hidden..(gate + 1) * hidden].iter().map(move |value| value + forget)
    };
    order.into_iter().flat_map(gate).collect()
}
