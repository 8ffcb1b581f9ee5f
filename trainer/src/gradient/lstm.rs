//! The recurrent part of an LSTM layer, forward and backward through time.
//!
//! What a layer reads from below is added up beforehand for all steps at once (the pre-activations
//! of the input, bias and forget bias included); only `h·R` runs step by step, in an ONNX `Scan`.
//! The backward pass is a second `Scan` in the other direction. It returns the gradient of the
//! pre-activations; the gradients of all kernels follow from that in one product over all steps.

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

/// One layer's recurrence.
#[derive(Clone, Debug)]
pub struct Lstm {
    /// Width of `h` and `c`.
    pub units: usize,
    /// Recurrent part of the kernel, `[units, 4·units]`.
    pub recurrent: Value,
    /// Order in which the steps are read.
    pub direction: Direction,
}

/// What a forward pass computed, kept for the backward pass. All are `[steps, batch, units]`.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Outputs of all steps.
    pub h: Value,
    /// State after the step that was read last.
    pub last: State,
    /// State before each step.
    earlier: State,
    /// Activated gates i, j, f, o.
    gates: [Value; 4],
    /// `tanh(c)`.
    squashed: Value,
}

/// Gradients that a backward pass found.
#[derive(Clone, Debug)]
pub struct Gradients {
    /// Of the pre-activations, `[steps, batch, 4·units]`.
    pub preactivations: Value,
    /// Of the recurrent part of the kernel, `[units, 4·units]`.
    pub recurrent: Value,
    /// Of the initial state.
    pub initial: State,
}

/// One step of a cell as operators of `graph`: the activated gates i, j, f, o, the new `tanh(c)`
/// and the new state.
pub fn step(
    graph: &mut Graph,
    units: usize,
    recurrent: &Value,
    preactivations: &Value,
    state: &State,
) -> ([Value; 4], Value, State) {
    let gates = graph.gemm(&state.h, recurrent, preactivations);
    let parts = graph.split(&gates, &[units; 4], 1);
    let gates = [
        graph.sigmoid(&parts[0]),
        graph.tanh(&parts[1]),
        graph.sigmoid(&parts[2]),
        graph.sigmoid(&parts[3]),
    ];
    let [i, j, f, o] = &gates;
    let kept = graph.mul(f, &state.c);
    let added = graph.mul(i, j);
    let c = graph.add(&kept, &added);
    let squashed = graph.tanh(&c);
    let h = graph.mul(o, &squashed);
    (gates, squashed, State { h, c })
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
    /// Runs the layer over `preactivations` `[steps, batch, 4·units]` from an initial state.
    pub fn forward(&self, graph: &mut Graph, preactivations: &Value, initial: &State) -> Trace {
        let mut body = graph.body("lstm");
        let state = State {
            h: body.body_input("h", ElementType::F32),
            c: body.body_input("c", ElementType::F32),
        };
        let x = body.body_input("x", ElementType::F32);
        let (gates, squashed, next) = step(&mut body, self.units, &self.recurrent, &x, &state);
        let kept = [&next.h, &state.h, &state.c].map(|value| body.op("Identity", &[value], &[]));
        for value in [&next.h, &next.c].into_iter().chain(&kept).chain(&gates).chain([&squashed]) {
            body.expose(value, ElementType::F32, None);
        }
        let outputs = graph.op_many(
            "Scan",
            &[&initial.h, &initial.c, preactivations],
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(1)),
                ("scan_input_directions", self.direction.attribute(1)),
                ("scan_output_directions", self.direction.attribute(8)),
            ],
            10,
        );
        let [last_h, last_c, h, earlier_h, earlier_c, i, j, f, o, squashed]: [Value; 10] =
            outputs.try_into().expect("ten outputs were asked for");
        Trace {
            h,
            last: State { h: last_h, c: last_c },
            earlier: State { h: earlier_h, c: earlier_c },
            gates: [i, j, f, o],
            squashed,
        }
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
        let body_names = ["i", "j", "f", "o", "squashed", "earlier"];
        let dh = body.body_input("dh", ElementType::F32);
        let dc = body.body_input("dc", ElementType::F32);
        let kept = body_names.map(|name| body.body_input(name, ElementType::F32));
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

        let zeros = graph.floats(&[batch, units], &vec![0.0; batch * units]);
        let [i, j, f, o] = &trace.gates;
        let mut inputs = vec![last.unwrap_or(&zeros), &zeros];
        let scanned = [i, j, f, o, &trace.squashed, &trace.earlier.c];
        inputs.extend(scanned);
        inputs.extend(outputs);
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
            ],
            3,
        );
        let [dh, dc, preactivations]: [Value; 3] =
            results.try_into().expect("three outputs were asked for");

        let earlier_h = rows(graph, &trace.earlier.h, steps * batch, units);
        let flat = rows(graph, &preactivations, steps * batch, 4 * units);
        let recurrent = graph.gemm_tn(&earlier_h, &flat);
        Gradients { preactivations, recurrent, initial: State { h: dh, c: dc } }
    }

    /// One step back: the gradient of the pre-activations `[batch, 4·units]`, and those of the
    /// state before the step. `kept` is i, j, f, o, `tanh(c)` and the cell before the step.
    fn step_backward(
        &self,
        body: &mut Graph,
        kept: &[Value; 6],
        dh: &Value,
        dc: &Value,
    ) -> (Value, Value, Value) {
        let [i, j, f, o, squashed, earlier_c] = kept;
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
        let dcf = body.mul(&dc_earlier, earlier_c);
        let df = complement(body, &dcf, f);
        let d_o = complement(body, &through, o);
        let dgates = body.concat(&[&di, &dj, &df, &d_o], 1);
        let dh = body.gemm_nt(&dgates, &self.recurrent);
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
