//! The LSTM cell, forward and backward: from the pre-activations of its gates to output and cell
//! state.
//!
//! A graph that may use operators of the domain [`DOMAIN`] has one for each direction; any other has
//! standard ones. Those are thirty in a step, each of which reads and writes its values from end to
//! end, where an operator of our own reads each value once.

use interlude_onnx::{Graph, Value};

use super::state::State;

mod kernel;
mod operators;

pub use operators::operators;

/// The domain of our own operators.
pub const DOMAIN: &str = "interlude";
/// From the sums that reach the gates `[4·units, batch]`, and output and cell before
/// `[units, batch]`: the next output and cell, the next output once more, the output before, the
/// activated gates i, j, f, o `[4·units, batch]`, `tanh(c)`, and what is kept of the cell before,
/// `f·c`.
const FORWARD: &str = "LstmCell";
/// From the last three outputs of [`FORWARD`], the gradients of output and cell, and perhaps a second
/// gradient of the output that is added to it: the gradients of the sums and of the cell before.
const BACKWARD: &str = "LstmCellGradient";

/// Results of a cell in a step.
pub struct Step {
    /// Output and cell.
    pub next: State,
    /// The output once more, and the one before, for a `Scan` that collects both.
    pub copies: [Value; 2],
    /// What [`backward`] needs.
    pub kept: Vec<Value>,
}

/// A step from the sums that reach the gates i, j, f, o, `[4·units, batch]`.
pub fn forward(graph: &mut Graph, units: usize, sums: &Value, state: &State) -> Step {
    if graph.may_use(DOMAIN) {
        let inputs = [sums, &state.h, &state.c];
        let mut outputs = graph.op_in(DOMAIN, FORWARD, &inputs, &[], 7);
        let kept = outputs.split_off(4);
        let [h, c, again, earlier]: [Value; 4] = outputs.try_into().expect("four are left");
        return Step { next: State { h, c }, copies: [again, earlier], kept };
    }
    let sums = graph.split(sums, &[units; 4], 0);
    let (next, kept) = standard(graph, &sums, &state.c);
    let copies = [&next.h, &state.h].map(|value| graph.op("Identity", &[value], &[]));
    Step { next, copies, kept }
}

/// The state after a step, and the gates i, j, f, o, `tanh(c)` and `f` times the cell before; from
/// the sums of the four gates, each of the shape of the cell.
pub fn standard(graph: &mut Graph, sums: &[Value], c: &Value) -> (State, Vec<Value>) {
    let i = graph.sigmoid(&sums[0]);
    let j = graph.tanh(&sums[1]);
    let f = graph.sigmoid(&sums[2]);
    let o = graph.sigmoid(&sums[3]);
    let kept = graph.mul(&f, c);
    let added = graph.mul(&i, &j);
    let c = graph.add(&kept, &added);
    let squashed = graph.tanh(&c);
    let h = graph.mul(&o, &squashed);
    (State { h, c }, vec![i, j, f, o, squashed, kept])
}

/// A step back from the gradients of output and cell `[units, batch]`, to the first of which `own`
/// is added: the gradients of the sums `[4·units, batch]`, and of the cell before.
pub fn backward(
    graph: &mut Graph,
    kept: &[Value],
    (dh, dc): (&Value, &Value),
    own: Option<&Value>,
) -> [Value; 2] {
    if graph.may_use(DOMAIN) {
        let inputs: Vec<&Value> = kept.iter().chain([dh, dc]).chain(own).collect();
        let outputs = graph.op_in(DOMAIN, BACKWARD, &inputs, &[], 2);
        return outputs.try_into().expect("two outputs were asked for");
    }
    let [i, j, f, o, squashed, kept] = kept else { unreachable!("`standard` keeps six") };
    let dh = own.map_or_else(|| dh.clone(), |own| graph.add(dh, own));
    // h = o·tanh(c), so dc gains dh·o·(1 − tanh²(c)).
    let dho = graph.mul(&dh, o);
    let through = graph.mul(&dho, squashed);
    let lost = graph.mul(&through, squashed);
    let gained = graph.sub(&dho, &lost);
    let dc = graph.add(dc, &gained);
    // A logistic gate's derivative is g·(1 − g); that of the candidate is 1 − j².
    let dci = graph.mul(&dc, i);
    let dcij = graph.mul(&dci, j);
    let di = complement(graph, &dcij, i);
    let product = graph.mul(&dcij, j);
    let dj = graph.sub(&dci, &product);
    let earlier = graph.mul(&dc, f);
    let dcf = graph.mul(&dc, kept);
    let df = complement(graph, &dcf, f);
    let d_o = complement(graph, &through, o);
    [graph.concat(&[&di, &dj, &df, &d_o], 0), earlier]
}

/// `x·(1 − y)`.
fn complement(graph: &mut Graph, x: &Value, y: &Value) -> Value {
    let product = graph.mul(x, y);
    graph.sub(x, &product)
}

#[cfg(test)]
mod tests {
    use interlude_onnx::ElementType;
    use interlude_onnx::runtime::{Provider, Runtime};
    use ort::value::Tensor;

    use super::*;
    use crate::lstm::{Direction, Lstm};

    const STEPS: usize = 5;
    const BATCH: usize = 4;
    const UNITS: usize = 8;

    /// Outputs of a layer and all gradients, for inputs that are the same at each call.
    fn layer(graph: Graph, direction: Direction) -> Vec<Vec<f32>> {
        let mut graph = graph;
        let wide = [STEPS, BATCH, 4 * UNITS];
        let narrow = [STEPS, BATCH, UNITS];
        let inputs: [(&str, &[usize]); 5] = [
            ("recurrent", &[UNITS, 4 * UNITS]),
            ("x", &wide),
            ("h", &[BATCH, UNITS]),
            ("c", &[BATCH, UNITS]),
            ("gradient", &narrow),
        ];
        let [recurrent, x, h, c, gradient] = inputs.map(|(name, shape)| {
            let shape: Vec<_> = shape.iter().map(|&extent| extent.into()).collect();
            graph.input(name, ElementType::F32, &shape)
        });
        let lstm = Lstm::new(&mut graph, UNITS, recurrent, direction);
        let trace = lstm.forward(&mut graph, &x, &State { h, c });
        let outputs = trace.outputs(&mut graph);
        let found = lstm.backward(&mut graph, &trace, Some(&gradient), None, (STEPS, BATCH));
        let State { h, c } = found.initial;
        let values = [outputs, found.preactivations, found.recurrent, h, c];
        for (index, value) in values.iter().enumerate() {
            let shape: &[usize] = match index {
                0 => &narrow,
                1 => &[4 * UNITS, STEPS, BATCH],
                2 => &[UNITS, 4 * UNITS],
                _ => &[BATCH, UNITS],
            };
            let shape: Vec<_> = shape.iter().map(|&extent| extent.into()).collect();
            graph.output(&format!("out{index}"), value, ElementType::F32, &shape);
        }
        let builder = Runtime::start(None).expect("a runtime").session(Provider::Cpu, 1);
        let mut session = builder
            .expect("a session")
            .with_operators(operators().expect("operators"))
            .expect("they are taken")
            .commit_from_memory(&graph.into_model())
            .expect("the graph is right");
        let mut given = Vec::new();
        for (seed, (name, shape)) in inputs.iter().enumerate() {
            let value =
                |index: usize| u8::try_from((index * 29 + seed * 53) % 199).expect("a byte");
            let count = shape.iter().product();
            let data: Vec<f32> =
                (0..count).map(|index| f32::from(value(index)) / 70.0 - 1.4).collect();
            let tensor = Tensor::from_array((shape.to_vec(), data)).expect("a tensor");
            given.push((*name, tensor));
        }
        let results = session.run(given).expect("it runs");
        (0..values.len())
            .map(|index| {
                let output = results[index].try_extract_tensor::<f32>();
                output.expect("floats").1.to_vec()
            })
            .collect()
    }

    /// Whether products are added unrounded here, as ONNX Runtime then does it too.
    fn fuses() -> bool {
        #[cfg(target_arch = "x86_64")]
        return std::arch::is_x86_feature_detected!("fma");
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }

    // Our operators compute what the standard ones do, in both directions; to the bit where values
    // fill vectors of 16, on processors of the x86 family with fused products.
    #[test]
    fn both_kinds_of_operators_agree() {
        for direction in [Direction::Forward, Direction::Backward] {
            let standard = layer(Graph::new("standard"), direction);
            let own = layer(Graph::new("own").with_domain(DOMAIN), direction);
            for (index, (standard, own)) in standard.iter().zip(&own).enumerate() {
                assert!(standard.iter().any(|&value| value != 0.0), "output {index} is empty");
                if fuses() {
                    assert_eq!(standard, own, "output {index}");
                }
                for (a, b) in standard.iter().zip(own) {
                    assert!((a - b).abs() <= 3e-6 * a.abs().max(1.0), "output {index}: {a} or {b}");
                }
            }
        }
    }
}
