//! Micro-batches: a `Scan` whose body differentiates one piece of a large batch and accumulates
//! gradients.
//!
//! Activations kept for the backward pass then have the size of a piece, and mostly stay in the
//! processor's caches.

use interlude_onnx::{Attribute, ElementType, Graph, Value};

use super::shape::Shape;
use interlude_gradient::dropout::Dropout;
use interlude_gradient::tensors::reshape;
use interlude_gradient::variables::{Variables, dims};

/// Maximum rows (examples × steps) of a piece.
const ROWS: usize = 4096;
/// Minimum examples of a piece; products of fewer are slow.
const EXAMPLES: usize = 16;

/// An input of which a piece reads a part.
struct Input {
    name: String,
    element: ElementType,
    /// Extents of a piece.
    extents: Vec<usize>,
    batch_axis: usize,
}

/// The body of a piece under construction: what it reads and adds to.
pub struct Pieces {
    count: usize,
    inputs: Vec<Input>,
    /// Gradients before a piece, in the order of the variables.
    sums: Vec<Value>,
}

/// How many equal pieces a batch is cut into. Masks of dropout are not cut.
pub fn count(shape: Shape, dropout: Dropout) -> usize {
    let whole = dropout.keep < 1.0;
    let fits =
        |count: &usize| shape.batch.is_multiple_of(*count) && shape.batch / count >= EXAMPLES;
    (1..=shape.batch)
        .filter(|_| !whole)
        .filter(fits)
        .find(|count| shape.batch / count * shape.steps <= ROWS)
        .unwrap_or(1)
}

impl Pieces {
    /// A body for one of `count` pieces.
    pub fn begin(graph: &mut Graph, variables: &Variables, count: usize) -> (Self, Graph) {
        let mut body = graph.body("piece");
        let sum = |(name, _)| body.body_input(name, ElementType::F32);
        let sums = variables.trained().map(sum).collect();
        (Self { count, inputs: Vec::new(), sums }, body)
    }

    /// Declares an input with the batch at an axis; `extents` are those of a piece.
    pub fn input(
        &mut self,
        body: &mut Graph,
        name: &str,
        element: ElementType,
        extents: &[usize],
        batch_axis: usize,
    ) -> Value {
        let (name, extents) = (name.to_owned(), extents.to_vec());
        let value = body.body_input(&name, element);
        self.inputs.push(Input { name, element, extents, batch_axis });
        value
    }

    /// Runs the body over all pieces. The gradients of the variables, and the scalars of `report`,
    /// become their sums.
    pub fn end<const N: usize>(
        self,
        graph: &mut Graph,
        mut body: Graph,
        variables: &mut Variables,
        report: [Value; N],
    ) -> [Value; N] {
        let gradients = variables.take_gradients();
        for (sum, (_, gradient)) in self.sums.iter().zip(&gradients) {
            let sum = body.add(sum, gradient);
            body.expose(&sum, ElementType::F32, None);
        }
        for value in &report {
            body.body_output(value, ElementType::F32);
        }
        let zero = graph.scalar(0.0);
        let mut given: Vec<Value> = Vec::new();
        for (_, variable) in variables.trained() {
            let extents: Vec<i64> = variable.shape.iter().map(|&extent| signed(extent)).collect();
            let extents = graph.ints(&extents);
            given.push(graph.expand(&zero, &extents));
        }
        let mut axes = Vec::new();
        for Input { name, element, extents, batch_axis } in &self.inputs {
            let mut whole = extents.clone();
            whole[*batch_axis] *= self.count;
            let input = graph.input(name, *element, &dims(&whole));
            let mut cut = extents.clone();
            cut.insert(*batch_axis, self.count);
            given.push(reshape(graph, &input, &cut));
            axes.push(signed(*batch_axis));
        }
        let results = graph.op_many(
            "Scan",
            &given.iter().collect::<Vec<_>>(),
            &[
                ("body", Attribute::Graph(body.into_body())),
                ("num_scan_inputs", Attribute::Int(signed(axes.len()))),
                ("scan_input_axes", Attribute::Ints(axes)),
            ],
            gradients.len() + N,
        );
        let (sums, values) = results.split_at(gradients.len());
        for ((name, _), sum) in gradients.iter().zip(sums) {
            variables.set_gradient(name, sum.clone());
        }
        let mut values = values.iter();
        report.map(|_| graph.reduce_sum(values.next().expect("one for each"), &[0]))
    }
}

fn signed(extent: usize) -> i64 {
    i64::try_from(extent).expect("extents are small")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Batches are cut into the fewest equal pieces of at most 4096 rows and at least 16 examples;
    // where there are none such, and with dropout, they stay whole.
    #[test]
    fn pieces_are_equal_and_few() {
        let of = |steps, batch| count(Shape::new(steps, batch, false), Dropout::NONE);
        for (steps, batch, expected) in
            [(32, 64, 1), (32, 128, 1), (32, 512, 4), (32, 300, 3), (32, 509, 1), (256, 64, 4)]
        {
            assert_eq!(of(steps, batch), expected, "{steps} steps, {batch} examples");
        }
        let shape = Shape::new(32, 512, false);
        assert_eq!(count(shape, Dropout { keep: 0.5 }), 1);
    }
}
