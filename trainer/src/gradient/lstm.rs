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

use interlude_models::onnx::{Attribute, ElementType, Graph, Value};

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

/// A layer's state: output `h` and cell `c`, each `[batch, units]`.
#[derive(Clone, Debug)]
pub struct State {
    /// Output.
    pub h: Value,
    /// Cell.
    pub c: Value,
}

impl State {
    /// Rows as columns, or the other way round.
    fn turned(&self, graph: &mut Graph) -> Self {
        let [h, c] = [&self.h, &self.c].map(|value| graph.transpose(value, &[1, 0]));
        Self { h, c }
    }
}

/// One layer's recurrence.
#[derive(Clone, Debug)]
pub struct Lstm {
    units: usize,
    /// Recurrent part of the kernel, `[units, 4·units]`.
    recurrent: Value,
    /// The same with rows as columns.
    turned: Value,
    direction: Direction,
}

/// What a forward pass computed, kept for the backward pass.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Outputs of all steps, `[steps, units, batch]`.
    h: Value,
    /// Output of the step that was read last, `[units, batch]`.
    last: Value,
    /// Output before each step, `[units, steps, batch]`.
    earlier: Value,
    /// Activated gates i, j, f, o, `tanh(c)`, and what is kept of the cell before each step, `f·c`;
    /// each `[steps, units, batch]`.
    kept: [Value; 6],
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

/// Gradients that a backward pass found.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// Of the pre-activations, `[4·units, steps, batch]`.
    pub preactivations: Value,
    /// Of the recurrent part of the kernel, `[units, 4·units]`.
    pub recurrent: Value,
    /// Of the initial state, each `[batch, units]`.
    pub initial: State,
}

/// What a cell computes in a step.
struct Cell {
    /// Activated gates i, j, f, o.
    gates: [Value; 4],
    /// What is kept of the cell before, `f·c`.
    kept: Value,
    /// `tanh(c)`.
    squashed: Value,
    next: State,
}

impl Cell {
    /// From the sums that reach the gates, and the cell before; all of one shape.
    fn new(graph: &mut Graph, sums: &[Value], c: &Value) -> Self {
        let gates = [
            graph.sigmoid(&sums[0]),
            graph.tanh(&sums[1]),
            graph.sigmoid(&sums[2]),
            graph.sigmoid(&sums[3]),
        ];
        let [i, j, f, o] = &gates;
        let kept = graph.mul(f, c);
        let added = graph.mul(i, j);
        let c = graph.add(&kept, &added);
        let squashed = graph.tanh(&c);
        let h = graph.mul(o, &squashed);
        Self { gates, kept, squashed, next: State { h, c } }
    }
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
        Cell::new(graph, &sums, &state.c).next
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
        let sums = body.split(&sums, &[self.units; 4], 0);
        let Cell { gates, kept, squashed, next } = Cell::new(&mut body, &sums, &state.c);
        let copies = [&next.h, &state.h].map(|value| body.op("Identity", &[value], &[]));
        let kept: Vec<&Value> = gates.iter().chain([&squashed, &kept]).collect();
        for value in [&next.h, &next.c].into_iter().chain(&copies).chain(kept) {
            body.expose(value, ElementType::F32, None);
        }
        let columns = graph.transpose(preactivations, &[0, 2, 1]);
        let initial = initial.turned(graph);
        let mut axes = vec![0; 8];
        axes[1] = 1;
        let outputs = graph.op_many(
            "Scan",
            &[&initial.h, &initial.c, &columns],
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(1)),
                ("scan_input_directions", self.direction.attribute(1)),
                ("scan_output_directions", self.direction.attribute(8)),
                ("scan_output_axes", Attribute::Ints(axes)),
            ],
            10,
        );
        let [last, _, h, earlier, kept @ ..]: [Value; 10] =
            outputs.try_into().expect("ten outputs were asked for");
        Trace { h, last, earlier, kept }
    }

    /// Goes back through time.
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
        let names = ["i", "j", "f", "o", "squashed", "kept"];
        let kept = names.map(|name| body.body_input(name, ElementType::F32));
        let dh = match outputs {
            Some(_) => {
                let own = body.body_input("own", ElementType::F32);
                body.add(&dh, &own)
            }
            None => dh,
        };
        let (dgates, dh, dc) = self.step_backward(&mut body, &kept, &dh, &dc);
        for value in [&dh, &dc, &dgates] {
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

    /// One step back: the gradient of the pre-activations `[4·units, batch]`, and those of the
    /// state before the step. `kept` is i, j, f, o, `tanh(c)`, and `f` times the cell before.
    fn step_backward(
        &self,
        body: &mut Graph,
        kept: &[Value; 6],
        dh: &Value,
        dc: &Value,
    ) -> (Value, Value, Value) {
        let [i, j, f, o, squashed, kept] = kept;
        // h = o·tanh(c), so dc gains dh·o·(1 − tanh²(c)).
        let dho = body.mul(dh, o);
        let through = body.mul(&dho, squashed);
        let lost = body.mul(&through, squashed);
        let gained = body.sub(&dho, &lost);
        let dc = body.add(dc, &gained);
        // A logistic gate's derivative is g·(1 − g); that of the candidate is 1 − j².
        let dci = body.mul(&dc, i);
        let dcij = body.mul(&dci, j);
        let di = complement(body, &dcij, i);
        let product = body.mul(&dcij, j);
        let dj = body.sub(&dci, &product);
        let dc_earlier = body.mul(&dc, f);
        let dcf = body.mul(&dc, kept);
        let df = complement(body, &dcf, f);
        let d_o = complement(body, &through, o);
        let dgates = body.concat(&[&di, &dj, &df, &d_o], 0);
        let dh = body.matmul(&self.recurrent, &dgates);
        (dgates, dh, dc_earlier)
    }
}

/// `x·(1 − y)`.
fn complement(graph: &mut Graph, x: &Value, y: &Value) -> Value {
    let product = graph.mul(x, y);
    graph.sub(x, &product)
}

/// A tensor as a matrix of `rows` times `width`.
pub fn rows(graph: &mut Graph, x: &Value, rows: usize, width: usize) -> Value {
    reshape(graph, x, &[rows, width])
}

/// A tensor in another shape of known extents.
pub fn reshape(graph: &mut Graph, x: &Value, shape: &[usize]) -> Value {
    let shape: Vec<i64> =
        shape.iter().map(|&extent| i64::try_from(extent).expect("extents are small")).collect();
    graph.reshape(x, &shape)
}
