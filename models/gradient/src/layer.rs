//! One LSTM layer with its variables: what it reads, forward and backward.
//!
//! The pre-activations of all steps are added up at once. Tokens pick rows of the kernel; what is
//! the same at all steps is multiplied once; only the rest is a product over all steps.

use interlude_onnx::{Graph, Value};

use super::lstm::{self, Direction, Lstm, Trace};
use super::part::{Part, one_hot};
use super::state::State;
use super::tensors::reshape;
use super::variables::Variables;

/// One LSTM layer: its recurrence, and the rows of the kernel for each part that it reads.
#[derive(Clone, Debug)]
pub struct Layer {
    name: String,
    parts: Vec<Part>,
    /// Rows of the kernel that belong to all parts together.
    kernel: Value,
    /// Rows of the kernel that belong to each part.
    rows: Vec<Value>,
    /// The same for tokens, with a last row of zeros for "none".
    tables: Vec<Option<Value>>,
    /// Bias with the forget bias; a table has it already when nothing is constant.
    bias: Value,
    bias_in_table: bool,
    lstm: Lstm,
}

/// A forward pass, kept for the backward pass.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Outputs and states.
    pub trace: Trace,
    values: Vec<Value>,
    /// With dropout: all parts side by side after it, `[steps·batch, width]`, and the mask.
    dropped: Option<(Value, Value)>,
}

/// Gradients of a backward pass; those of variables are set.
#[derive(Clone, Debug)]
pub struct Back {
    /// Gradient of the initial state.
    pub initial: State,
    /// Gradient of the pre-activations, `[4·units, steps·batch]`.
    flat: Value,
    /// Its sum over the steps, `[4·units, batch]`, when a part is constant.
    summed: Option<Value>,
}

impl Layer {
    /// Declares the variables `<name>/kernel` and `<name>/bias`.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        name: &str,
        parts: &[Part],
        (units, direction): (usize, Direction),
    ) -> Self {
        let widths: Vec<usize> = parts.iter().map(|part| part.width()).collect();
        let inputs: usize = widths.iter().sum();
        let kernel =
            variables.declare(graph, &format!("{name}/kernel"), &[inputs + units, 4 * units]);
        let bias = variables.declare(graph, &format!("{name}/bias"), &[4 * units]);
        let bias = lstm::with_forget_bias(graph, &bias, units);
        let mut cuts = widths;
        cuts.push(units);
        let mut rows = graph.split(&kernel, &cuts, 0);
        let recurrent = rows.pop().expect("the recurrent rows come last");
        let constant = parts.iter().any(|part| matches!(part, Part::Constant { .. }));
        let mut bias_in_table = false;
        let tables = parts
            .iter()
            .zip(&rows)
            .map(|(part, rows)| {
                let Part::Tokens { .. } = part else { return None };
                let none = graph.floats(&[1, 4 * units], &vec![0.0; 4 * units]);
                let mut table = graph.concat(&[rows, &none], 0);
                if !constant && !bias_in_table {
                    table = graph.add(&table, &bias);
                    bias_in_table = true;
                }
                Some(table)
            })
            .collect();
        let lstm = Lstm::new(graph, units, recurrent, direction);
        let (name, parts) = (name.to_owned(), parts.to_vec());
        Self { name, parts, kernel, rows, tables, bias, bias_in_table, lstm }
    }

    /// Name without `/kernel` or `/bias`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Width of the output.
    pub fn units(&self) -> usize {
        self.lstm.units()
    }

    /// Width of all that the layer reads from below.
    pub fn width(&self) -> usize {
        self.parts.iter().map(|part| part.width()).sum()
    }

    /// Runs the layer over all steps, `values` being its parts in order. `mask`
    /// `[steps, batch, width]` is multiplied with what it reads.
    pub fn forward(
        &self,
        graph: &mut Graph,
        values: Vec<Value>,
        mask: Option<&Value>,
        initial: &State,
        (steps, batch): (usize, usize),
    ) -> Pass {
        let dropped = mask.map(|mask| {
            let dense: Vec<Value> = self
                .parts
                .iter()
                .zip(&values)
                .map(|(part, value)| part.dense(graph, value, (steps, batch)))
                .collect();
            let dense = graph.concat(&dense.iter().collect::<Vec<_>>(), 1);
            let mask = reshape(graph, mask, &[steps * batch, self.width()]);
            (graph.mul(&dense, &mask), mask)
        });
        let lead = [steps, batch];
        let preactivations = if let Some((dense, _)) = &dropped {
            let kernel = self.input_kernel(graph);
            let sum = graph.gemm(dense, &kernel, &self.bias);
            reshape(graph, &sum, &[steps, batch, 4 * self.units()])
        } else {
            let offset = self.offset(graph, &values);
            self.preactivations(graph, &offset, &values, &lead)
        };
        let trace = self.lstm.forward(graph, &preactivations, initial);
        Pass { trace, values, dropped }
    }

    /// The rows of the kernel for what the layer reads from below.
    fn input_kernel(&self, graph: &mut Graph) -> Value {
        let rows = i64::try_from(self.width()).expect("widths are small");
        graph.slice(&self.kernel, 0, rows, 0)
    }

    /// What is the same at all steps: the bias, and the constant parts of `values`.
    pub fn offset(&self, graph: &mut Graph, values: &[Value]) -> Value {
        let mut offset = self.bias.clone();
        for ((part, rows), value) in self.parts.iter().zip(&self.rows).zip(values) {
            if let Part::Constant { .. } = part {
                offset = graph.gemm(value, rows, &offset);
            }
        }
        offset
    }

    /// `offset` and all parts that change from step to step, added up: `[…lead, 4·units]`. `lead`
    /// is `[steps, batch]`, or `[batch]` for one step.
    fn preactivations(
        &self,
        graph: &mut Graph,
        offset: &Value,
        values: &[Value],
        lead: &[usize],
    ) -> Value {
        let width = 4 * self.units();
        let constant = self.parts.iter().any(|part| matches!(part, Part::Constant { .. }));
        // A sum that is as wide as the batch must be repeated for all steps.
        let repeated = constant && lead.len() > 1;
        let mut pending = (!self.bias_in_table).then(|| offset.clone());
        let mut total: Option<Value> = None;
        let shape = [lead, &[width]].concat();
        for (index, (part, value)) in self.parts.iter().zip(values).enumerate() {
            match part {
                Part::Constant { .. } => {}
                Part::Tokens { .. } => {
                    let table = self.tables[index].as_ref().expect("tokens have a table");
                    let picked = graph.gather(table, value);
                    total = Some(match total {
                        Some(total) => graph.add(&total, &picked),
                        None => picked,
                    });
                }
                Part::Rows { width: read } => {
                    let rows = &self.rows[index];
                    let flat = |graph: &mut Graph, value: &Value, width: usize| {
                        let width = i64::try_from(width).expect("widths are small");
                        if lead.len() > 1 {
                            graph.reshape(value, &[-1, width])
                        } else {
                            value.clone()
                        }
                    };
                    let value = flat(graph, value, *read);
                    let added = match total {
                        Some(total) => Some(flat(graph, &total, width)),
                        None if repeated => None,
                        None => pending.take(),
                    };
                    let sum = match added {
                        Some(added) => graph.gemm(&value, rows, &added),
                        None => graph.matmul(&value, rows),
                    };
                    total = Some(if lead.len() > 1 { reshape(graph, &sum, &shape) } else { sum });
                }
            }
        }
        let total = total.expect("a layer reads something that changes");
        match pending {
            Some(pending) => graph.add(&total, &pending),
            None => total,
        }
    }

    /// One step in the body of a `Scan`: `values` without a steps axis, `offset` from
    /// [`Layer::offset`].
    pub fn step(
        &self,
        body: &mut Graph,
        offset: &Value,
        values: &[Value],
        state: &State,
        batch: usize,
    ) -> State {
        let preactivations = self.preactivations(body, offset, values, &[batch]);
        self.lstm.step(body, &preactivations, state)
    }

    /// Sets the gradients of kernel and bias. `outputs` is the gradient of all outputs
    /// `[steps·batch, units]`, `last` that of the last output; one of them may be missing.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &Pass,
        (outputs, last): (Option<&Value>, Option<&Value>),
        (steps, batch): (usize, usize),
    ) -> Back {
        let units = self.units();
        let outputs = outputs.map(|value| reshape(graph, value, &[steps, batch, units]));
        let found = self.lstm.backward(graph, &pass.trace, outputs.as_ref(), last, (steps, batch));
        let flat = reshape(graph, &found.preactivations, &[4 * units, steps * batch]);
        let constant = self.parts.iter().any(|part| matches!(part, Part::Constant { .. }));
        let summed = (constant && pass.dropped.is_none())
            .then(|| graph.reduce_sum(&found.preactivations, &[1]));
        let mut bias = summed.as_ref().map(|summed| graph.reduce_sum(summed, &[1]));
        let mut kernel = Vec::new();
        if let Some((dense, _)) = &pass.dropped {
            kernel.push(graph.matmul(&flat, dense));
        } else {
            for (part, value) in self.parts.iter().zip(&pass.values) {
                let columns = match *part {
                    Part::Tokens { vocabulary } if bias.is_none() => {
                        // With a column for "none" every step picks one, so that all columns of the
                        // product add up to the bias's gradient.
                        let picks = one_hot(graph, value, vocabulary + 1);
                        let product = graph.matmul(&flat, &picks);
                        bias = Some(graph.reduce_sum(&product, &[1]));
                        let cut = graph.split(&product, &[vocabulary, 1], 1);
                        cut[0].clone()
                    }
                    Part::Tokens { vocabulary } => {
                        let picks = one_hot(graph, value, vocabulary);
                        graph.matmul(&flat, &picks)
                    }
                    Part::Rows { .. } => {
                        let value = part.dense(graph, value, (steps, batch));
                        graph.matmul(&flat, &value)
                    }
                    Part::Constant { .. } => {
                        graph.matmul(summed.as_ref().expect("made for constant parts"), value)
                    }
                };
                kernel.push(columns);
            }
        }
        // Weights are stored with a row for each input.
        let mut kernel: Vec<Value> =
            kernel.iter().map(|columns| graph.transpose(columns, &[1, 0])).collect();
        kernel.push(found.recurrent);
        let kernel = graph.concat(&kernel.iter().collect::<Vec<_>>(), 0);
        variables.set_gradient(&format!("{}/kernel", self.name), kernel);
        let bias = bias.unwrap_or_else(|| graph.reduce_sum(&flat, &[1]));
        variables.set_gradient(&format!("{}/bias", self.name), bias);
        Back { initial: found.initial, flat, summed }
    }

    /// The gradient of the part with an index: `[steps·batch, width]`, of a constant one
    /// `[batch, width]`.
    pub fn input_gradient(
        &self,
        graph: &mut Graph,
        pass: &Pass,
        back: &Back,
        index: usize,
        (steps, batch): (usize, usize),
    ) -> Value {
        let part = self.parts[index];
        if let Some((_, mask)) = &pass.dropped {
            let kernel = self.input_kernel(graph);
            let all = graph.gemm_tt(&back.flat, &kernel);
            let all = graph.mul(&all, mask);
            let widths: Vec<usize> = self.parts.iter().map(|part| part.width()).collect();
            let own = graph.split(&all, &widths, 1)[index].clone();
            return match part {
                Part::Constant { width } => {
                    let own = reshape(graph, &own, &[steps, batch, width]);
                    graph.reduce_sum(&own, &[0])
                }
                _ => own,
            };
        }
        match (part, &back.summed) {
            (Part::Constant { .. }, Some(summed)) => graph.gemm_tt(summed, &self.rows[index]),
            _ => graph.gemm_tt(&back.flat, &self.rows[index]),
        }
    }
}
