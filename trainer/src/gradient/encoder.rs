//! A bidirectional LSTM encoder of tokens, one layer.

use interlude_models::onnx::{Graph, Value};

use super::lstm::{self, Direction, Lstm, Trace};
use super::variables::Variables;

/// Both directions.
#[derive(Clone, Debug)]
pub struct Encoder {
    halves: [Half; 2],
    units: usize,
    /// The row that stands for each token, `[vocabulary, width]`; one-hot where there is none.
    codes: Option<Value>,
}

/// One direction: its variables and recurrence.
#[derive(Clone, Debug)]
struct Half {
    name: String,
    input: Value,
    bias: Value,
    lstm: Lstm,
}

impl Encoder {
    /// Declares the variables for inputs of a width. `codes` `[vocabulary, width]` are the rows
    /// that stand for the tokens, unless these are one-hot.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        width: usize,
        units: usize,
        codes: Option<Value>,
    ) -> Self {
        let directions = [("fw", Direction::Forward), ("bw", Direction::Backward)];
        let halves = directions.map(|(half, direction)| {
            let name =
                format!("encoder/cell_0/bidirectional_rnn/{half}/multi_rnn_cell/cell_0/lstm_cell");
            let shape = [width + units, 4 * units];
            let kernel = variables.declare(graph, &format!("{name}/kernel"), &shape);
            let bias = variables.declare(graph, &format!("{name}/bias"), &[4 * units]);
            let parts = graph.split(&kernel, &[width, units], 0);
            let lstm = Lstm { units, recurrent: parts[1].clone(), direction };
            Half { name, input: parts[0].clone(), bias, lstm }
        });
        Self { halves, units, codes }
    }

    /// Reads `token_ids` `[steps, batch]` and returns the embedding `[batch, 2·units]` with what
    /// the backward pass needs.
    pub fn forward(
        &self,
        graph: &mut Graph,
        token_ids: &Value,
        batch: usize,
    ) -> (Value, [Trace; 2]) {
        let traces = self.halves.each_ref().map(|half| {
            // Tokens pick rows of a table: the kernel itself for one-hot inputs. The bias is added
            // to its few rows beforehand.
            let bias = lstm::with_forget_bias(graph, &half.bias, self.units);
            let table = match &self.codes {
                Some(codes) => graph.gemm(codes, &half.input, &bias),
                None => graph.add(&half.input, &bias),
            };
            let preactivations = graph.gather(&table, token_ids);
            let zeros = lstm::zero_state(graph, batch, self.units);
            half.lstm.forward(graph, &preactivations, &zeros)
        });
        let embedding = graph.concat(&[&traces[0].last.h, &traces[1].last.h], 1);
        (embedding, traces)
    }

    /// Sets the gradients of all variables, given one-hot inputs `[steps·batch, vocabulary]` and
    /// the gradient of the embedding.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        traces: &[Trace; 2],
        inputs: &Value,
        (embedding, steps, batch): (&Value, usize, usize),
    ) {
        let parts = graph.split(embedding, &[self.units; 2], 1);
        for ((half, trace), last) in self.halves.iter().zip(traces).zip(&parts) {
            let gradients = half.lstm.backward(graph, trace, None, Some(last), (steps, batch));
            let flat = lstm::rows(graph, &gradients.preactivations, steps * batch, 4 * self.units);
            let table = graph.gemm_tn(inputs, &flat);
            // Every step picks one row, so the rows of this product add up to the bias's gradient.
            let bias = graph.reduce_sum(&table, &[0]);
            let input = match &self.codes {
                Some(codes) => graph.gemm_tn(codes, &table),
                None => table,
            };
            let kernel = graph.concat(&[&input, &gradients.recurrent], 0);
            variables.set_gradient(&format!("{}/kernel", half.name), kernel);
            variables.set_gradient(&format!("{}/bias", half.name), bias);
        }
    }
}
