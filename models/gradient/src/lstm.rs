//! The recurrent part of an LSTM layer, forward and backward through time.
//!
//! What a layer reads from below is added up beforehand for all steps at once (the pre-activations
//! of the input, bias and forget bias included); only `R·h` runs step by step, in an ONNX `Scan`.
//! The backward pass is a second `Scan` in the other direction. It returns the gradient of the
//! pre-activations; the gradients of all kernels follow from that in one product over all steps.
//!
//! Inside, an example is a column: states are `[units, batch]`. So the matrix of weights stands on
//! the left of its products, where ONNX Runtime reads it as it is; on the right it would be copied
//! into another order at every step, which with 64 examples takes a tenth of the time
//! (`docs/benchmarks.md`).

use interlude_onnx::{Attribute, ElementType, Graph, Value};

use super::cell::{self, Step};
use super::state::State;
use super::tensors::reshape;

/// Added to the forget gate at run time; it is not part of the stored bias.
pub const FORGET_BIAS: f32 = 1.0;

/// Which way a layer reads its sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first step to the last.
    Forward,
    /// From the last step to the first.
    Backward,
}

impl Direction {
    fn reversed(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }

    /// `count` equal entries of a direction attribute of `Scan`.
    fn attribute(self, count: usize) -> Attribute {
        Attribute::Ints(vec![i64::from(self == Self::Backward); count])
    }
}

/// One layer's recurrence.
#[derive(Clone, Debug)]
pub struct Lstm {
    units: usize,
    /// Recurrent part of the kernel, `[units, 4·units]`.
    recurrent: Value,
    /// Its transpose.
    turned: Value,
    direction: Direction,
}

/// A forward pass, kept for the backward pass.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Outputs of all steps, `[steps, units, batch]`.
    h: Value,
    /// Output of the step that was read last, `[units, batch]`.
    last: Value,
    /// Output before each step, `[units, steps, batch]`.
    earlier: Value,
    /// What the cell keeps for the way back, with the steps as a first axis.
    kept: Vec<Value>,
}

impl Trace {
    /// Outputs of all steps, `[steps, batch, units]`.
    pub fn outputs(&self, graph: &mut Graph) -> Value {
        graph.transpose(&self.h, &[0, 2, 1])
    }

    /// Output of the step that was read last, `[batch, units]`.
    pub fn last(&self, graph: &mut Graph) -> Value {
        graph.transpose(&self.last, &[1, 0])
    }
}

/// Gradients of a backward pass.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// Of the pre-activations, `[4·units, steps, batch]`.
    pub preactivations: Value,
    /// Of the recurrent part of the kernel, `[units, 4·units]`.
    pub recurrent: Value,
    /// Of the initial state, each `[batch, units]`.
    pub initial: State,
}

/// The stored bias `[4·units]` with the forget bias added.
pub fn with_forget_bias(graph: &mut Graph, bias: &Value, units: usize) -> Value {
    let mut constant = vec![0.0; 4 * units];
    constant[2 * units..3 * units].fill(FORGET_BIAS);
    let constant = graph.floats(&[4 * units], &constant);
    graph.add(bias, &constant)
}

/// A state of zeros.
pub fn zero_state(graph: &mut Graph, batch: usize, units: usize) -> State {
    let zeros = graph.floats(&[batch, units], &vec![0.0; batch * units]);
    State { h: zeros.clone(), c: zeros }
}

impl Lstm {
    /// A layer of so many units from the recurrent part of its kernel, `[units, 4·units]`, that reads
    /// the steps in a direction.
    pub fn new(graph: &mut Graph, units: usize, recurrent: Value, direction: Direction) -> Self {
        let turned = graph.transpose(&recurrent, &[1, 0]);
        Self { units, recurrent, turned, direction }
    }

    /// Width of `h` and `c`.
    pub fn units(&self) -> usize {
        self.units
    }

    /// One step as operators of `graph`, from pre-activations `[batch, 4·units]`: the new state.
    pub fn step(&self, graph: &mut Graph, preactivations: &Value, state: &State) -> State {
        let sums = graph.gemm(&state.h, &self.recurrent, preactivations);
        let sums = graph.split(&sums, &[self.units; 4], 1);
        cell::standard(graph, &sums, &state.c).0
    }

    /// Runs the layer over `preactivations` `[steps, batch, 4·units]` from an initial state.
    pub fn forward(&self, graph: &mut Graph, preactivations: &Value, initial: &State) -> Trace {
        let mut body = graph.body("lstm");
        let state = State {
            h: body.body_input("h", ElementType::F32),
            c: body.body_input("c", ElementType::F32),
        };
        let x = body.body_input("x", ElementType::F32);
        let sums = body.gemm(&self.turned, &state.h, &x);
        let Step { next, copies, kept } = cell::forward(&mut body, self.units, &sums, &state);
        for value in [&next.h, &next.c].into_iter().chain(&copies).chain(&kept) {
            body.expose(value, ElementType::F32, None);
        }
        let columns = graph.transpose(preactivations, &[0, 2, 1]);
        let initial = initial.turned(graph);
        let collected = copies.len() + kept.len();
        let mut axes = vec![0; collected];
        axes[1] = 1;
        let mut outputs = graph.op_many(
            "Scan",
            &[&initial.h, &initial.c, &columns],
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(1)),
                ("scan_input_directions", self.direction.attribute(1)),
                ("scan_output_directions", self.direction.attribute(collected)),
                ("scan_output_axes", Attribute::Ints(axes)),
            ],
            2 + collected,
        );
        let kept = outputs.split_off(4);
        let [last, _, h, earlier]: [Value; 4] = outputs.try_into().expect("four are left");
        Trace { h, last, earlier, kept }
    }

    /// Backpropagation through time: the gradients of pre-activations, recurrent kernel and initial state.
    ///
    /// `outputs` is the gradient of all outputs `[steps, batch, units]`, `last` that of the last
    /// output `[batch, units]`; one of them may be missing.
    pub fn backward(
        &self,
        graph: &mut Graph,
        trace: &Trace,
        outputs: Option<&Value>,
        last: Option<&Value>,
        (steps, batch): (usize, usize),
    ) -> Gradients {
        let units = self.units;
        let mut body = graph.body("back");
        let dh = body.body_input("dh", ElementType::F32);
        let dc = body.body_input("dc", ElementType::F32);
        let count = trace.kept.len();
        let kept: Vec<Value> = (0..count)
            .map(|index| body.body_input(&format!("kept{index}"), ElementType::F32))
            .collect();
        let own = outputs.map(|_| body.body_input("own", ElementType::F32));
        let [dsums, dc] = cell::backward(&mut body, &kept, (&dh, &dc), own.as_ref());
        let dh = body.matmul(&self.recurrent, &dsums);
        for value in [&dh, &dc, &dsums] {
            body.expose(value, ElementType::F32, None);
        }

        let zeros = graph.floats(&[units, batch], &vec![0.0; batch * units]);
        let last = last.map(|last| graph.transpose(last, &[1, 0]));
        let outputs = outputs.map(|outputs| graph.transpose(outputs, &[0, 2, 1]));
        let mut inputs = vec![last.as_ref().unwrap_or(&zeros), &zeros];
        inputs.extend(&trace.kept);
        inputs.extend(&outputs);
        let count = inputs.len() - 2;
        let backwards = self.direction.reversed();
        let results = graph.op_many(
            "Scan",
            &inputs,
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(i64::try_from(count).expect("a few inputs"))),
                ("scan_input_directions", backwards.attribute(count)),
                ("scan_output_directions", backwards.attribute(1)),
                ("scan_output_axes", Attribute::Ints(vec![1])),
            ],
            3,
        );
        let [h, c, preactivations]: [Value; 3] =
            results.try_into().expect("three outputs were asked for");

        let earlier = reshape(graph, &trace.earlier, &[units, steps * batch]);
        let flat = reshape(graph, &preactivations, &[4 * units, steps * batch]);
        let recurrent = graph.gemm_nt(&earlier, &flat);
        let initial = State { h, c }.turned(graph);
        Gradients { preactivations, recurrent, initial }
    }
}

/// A tensor as a matrix of `rows` times `width`.
pub fn rows(graph: &mut Graph, x: &Value, rows: usize, width: usize) -> Value {
    reshape(graph, x, &[rows, width])
}
