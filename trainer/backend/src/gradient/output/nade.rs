//! Bits that depend on each other in order: a neural autoregressive distribution estimator.
//!
//! The logits of a step are the hidden pre-activations `a_0` and a bias `c` for each bit. For each
//! bit `i`: `p_i = σ(c_i + σ(a_i)·w_dec[i])` and `a_{i+1} = a_i + v_i·w_enc[i]`. The loss is
//! `−Σ v_i·ln(ε + p_i) + (1 − v_i)·ln(ε + 1 − p_i)`. Both passes run over the bits in a `Scan`, all
//! rows at once.

use interlude_onnx::{Attribute, ElementType, Graph, Value};

use interlude_gradient::tensors::{float, mean, rows};
use interlude_gradient::variables::Variables;

/// Keeps logarithms finite; in single precision it decides what a saturated bit costs.
const EPSILON: f32 = 1e-6;
/// Names of the variables.
const ENCODE: &str = "decoder/nade/w_enc";
const DECODE: &str = "decoder/nade/w_dec_t";

/// The variables and sizes.
#[derive(Clone, Debug)]
pub struct Nade {
    /// Number of bits.
    pub bits: usize,
    /// Hidden units.
    pub hidden: usize,
    /// `[bits, 1, hidden]`.
    encode: Value,
    /// `[bits, hidden, 1]`.
    decode: Value,
}

/// Values kept for the gradient.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Hidden pre-activations after the last bit, `[rows, hidden]`.
    last: Value,
    /// Probabilities of the bits, `[bits, rows]`.
    probabilities: Value,
    /// The bits, `[bits, rows]`.
    targets: Value,
}

impl Nade {
    /// Declares the variables.
    pub(super) fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        bits: usize,
        hidden: usize,
    ) -> Self {
        let encode = variables.declare(graph, ENCODE, &[bits, 1, hidden]);
        let decode = variables.declare(graph, DECODE, &[bits, hidden, 1]);
        Self { bits, hidden, encode, decode }
    }

    /// Hidden pre-activations `[rows, hidden]` and biases `[bits, rows]`.
    fn parts(&self, graph: &mut Graph, logits: &Value) -> (Value, Value) {
        let parts = graph.split(logits, &[self.hidden, self.bits], 1);
        let biases = graph.transpose(&parts[1], &[1, 0]);
        (parts[0].clone(), biases)
    }

    /// The loss summed over all rows, and the share of rows whose bits are all right when each is
    /// the more probable one given the right ones before it.
    pub(super) fn forward(
        &self,
        graph: &mut Graph,
        logits: &Value,
        targets: &Value,
    ) -> (Value, Value, Kept) {
        let (hidden, biases) = self.parts(graph, logits);
        let targets = rows(graph, targets, self.bits);
        let targets = graph.transpose(&targets, &[1, 0]);
        let (last, probabilities) = self.scan(graph, &hidden, &biases, Some(&targets));
        let (one, epsilon, half) = (graph.scalar(1.0), graph.scalar(EPSILON), graph.scalar(0.5));
        let set = graph.add(&epsilon, &probabilities);
        let set = graph.op("Log", &[&set], &[]);
        let set = graph.mul(&targets, &set);
        let unset = graph.sub(&one, &probabilities);
        let unset = graph.add(&epsilon, &unset);
        let unset = graph.op("Log", &[&unset], &[]);
        let rest = graph.sub(&one, &targets);
        let unset = graph.mul(&rest, &unset);
        let likelihood = graph.add(&set, &unset);
        let likelihood = graph.reduce_sum(&likelihood, &[0, 1]);
        let sum = graph.op("Neg", &[&likelihood], &[]);

        let guess = graph.op("GreaterOrEqual", &[&probabilities, &half], &[]);
        let wanted = graph.op("Greater", &[&targets, &half], &[]);
        let right = graph.op("Equal", &[&guess, &wanted], &[]);
        let right = float(graph, &right);
        let attributes = [("axes", Attribute::Ints(vec![0])), ("keepdims", Attribute::Int(0))];
        let right = graph.op("ReduceMin", &[&right], &attributes);
        let accuracy = mean(graph, &right);
        (sum, accuracy, Kept { last, probabilities, targets })
    }

    /// Runs over the bits, given (`targets` `[bits, rows]`) or decoded: the hidden pre-activations
    /// after the last bit `[rows, hidden]`, and `[bits, rows]` the probabilities of given bits, or
    /// the decoded bits.
    fn scan(
        &self,
        graph: &mut Graph,
        hidden: &Value,
        biases: &Value,
        targets: Option<&Value>,
    ) -> (Value, Value) {
        let mut body = graph.body("bit");
        let before = body.body_input("hidden", ElementType::F32);
        let bias = body.body_input("bias", ElementType::F32);
        let encode = body.body_input("w_enc", ElementType::F32);
        let decode = body.body_input("w_dec", ElementType::F32);
        let active = body.sigmoid(&before);
        let logit = body.matmul(&active, &decode);
        let logit = body.squeeze(&logit, &[1]);
        let logit = body.add(&logit, &bias);
        let mut scanned = vec![hidden, biases, &self.encode, &self.decode];
        let (bit, kept) = if let Some(targets) = targets {
            scanned.push(targets);
            (body.body_input("target", ElementType::F32), body.sigmoid(&logit))
        } else {
            // The probability is at least a half where the logit is not below zero.
            let zero = body.scalar(0.0);
            let set = body.op("GreaterOrEqual", &[&logit, &zero], &[]);
            let bit = float(&mut body, &set);
            (bit.clone(), body.op("Identity", &[&bit], &[]))
        };
        let column = body.unsqueeze(&bit, &[1]);
        let change = body.matmul(&column, &encode);
        let next = body.add(&before, &change);
        body.expose(&next, ElementType::F32, None);
        body.expose(&kept, ElementType::F32, None);
        let count = i64::try_from(scanned.len() - 1).expect("a few inputs");
        let outputs = graph.op_many(
            "Scan",
            &scanned,
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(count)),
            ],
            2,
        );
        (outputs[0].clone(), outputs[1].clone())
    }

    /// Sets the gradients of both variables and returns that of the logits, for the loss divided by
    /// the number of examples.
    pub(super) fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        kept: &Kept,
        examples: &Value,
    ) -> Value {
        let Kept { last, probabilities: p, targets: v } = kept;
        let (one, epsilon) = (graph.scalar(1.0), graph.scalar(EPSILON));
        // d/dp of the loss is (1 − v)/(ε + 1 − p) − v/(ε + p); dp/dl is p·(1 − p).
        let unset = graph.sub(&one, p);
        let slope = graph.mul(p, &unset);
        let unset = graph.add(&epsilon, &unset);
        let rest = graph.sub(&one, v);
        let rest = graph.div(&rest, &unset);
        let set = graph.add(&epsilon, p);
        let set = graph.div(v, &set);
        let difference = graph.sub(&rest, &set);
        let dlogits = graph.mul(&difference, &slope);
        let dlogits = graph.div(&dlogits, examples);

        // From the last bit to the first: `after` is the hidden pre-activation after a bit, and
        // `gradient` that of the loss for it.
        let mut body = graph.body("bit_back");
        let gradient = body.body_input("gradient", ElementType::F32);
        let after = body.body_input("after", ElementType::F32);
        let dlogit = body.body_input("dlogit", ElementType::F32);
        let bit = body.body_input("bit", ElementType::F32);
        let encode = body.body_input("w_enc", ElementType::F32);
        let decode = body.body_input("w_dec", ElementType::F32);
        let column = body.unsqueeze(&bit, &[1]);
        let dencode = body.gemm_tn(&column, &gradient);
        let change = body.matmul(&column, &encode);
        let before = body.sub(&after, &change);
        let active = body.sigmoid(&before);
        let dlogit = body.unsqueeze(&dlogit, &[1]);
        let ddecode = body.gemm_tn(&active, &dlogit);
        let dactive = body.gemm_nt(&dlogit, &decode);
        let one = body.scalar(1.0);
        let rest = body.sub(&one, &active);
        let slope = body.mul(&active, &rest);
        let through = body.mul(&dactive, &slope);
        let earlier = body.add(&gradient, &through);
        for value in [&earlier, &before, &dencode, &ddecode] {
            body.expose(value, ElementType::F32, None);
        }
        let zero = graph.scalar(0.0);
        let none = graph.mul(last, &zero);
        let outputs = graph.op_many(
            "Scan",
            &[&none, last, &dlogits, v, &self.encode, &self.decode],
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(4)),
                ("scan_input_directions", Attribute::Ints(vec![1; 4])),
                ("scan_output_directions", Attribute::Ints(vec![1; 2])),
            ],
            4,
        );
        variables.set_gradient(ENCODE, outputs[2].clone());
        variables.set_gradient(DECODE, outputs[3].clone());
        let dbiases = graph.transpose(&dlogits, &[1, 0]);
        graph.concat(&[&outputs[0], &dbiases], 1)
    }

    /// The bits of each row, each the more probable one given those before it, `[rows, bits]`.
    pub(super) fn decode(&self, graph: &mut Graph, logits: &Value) -> Value {
        let (hidden, biases) = self.parts(graph, logits);
        let (_, bits) = self.scan(graph, &hidden, &biases, None);
        graph.transpose(&bits, &[1, 0])
    }
}
