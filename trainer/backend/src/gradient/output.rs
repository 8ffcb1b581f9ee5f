//! Outputs of a decoder at a step: loss, its gradient, and feedback to the next step.

mod categorical;
mod groove;
mod nade;

use interlude_onnx::{ElementType, Graph, Value};

use interlude_gradient::part::Part;
use interlude_gradient::tensors::{argmax, as_float};
use interlude_gradient::variables::Variables;
use nade::Nade;

/// The kinds of output.
#[derive(Clone, Debug)]
pub enum Output {
    /// One token out of each of some vocabularies.
    Categorical(Vec<usize>),
    /// Bits, each depending on those before it.
    Nade(Nade),
    /// Hits, velocities and offsets.
    Groove,
}

/// Loss and accuracy of the logits of all steps.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Negative log-likelihood in nats (of a groove with squared errors), summed over the steps,
    /// mean over the examples: a scalar.
    pub loss: Value,
    /// Share of steps whose most probable output is right, mean of the parts: a scalar.
    pub accuracy: Value,
    /// Values kept for the gradient.
    kept: Kept,
    examples: Value,
}

#[derive(Clone, Debug)]
enum Kept {
    Categorical(Vec<categorical::Kept>),
    Nade(nade::Kept),
    Groove(groove::Kept),
}

impl Output {
    /// The NADE output, whose variables it declares.
    pub fn nade(graph: &mut Graph, variables: &mut Variables, bits: usize, hidden: usize) -> Self {
        Self::Nade(Nade::declare(graph, variables, bits, hidden))
    }

    /// The parts that an output is fed back as.
    pub fn parts(&self) -> Vec<Part> {
        match self {
            Self::Categorical(vocabularies) => {
                vocabularies.iter().map(|&vocabulary| Part::Tokens { vocabulary }).collect()
            }
            Self::Nade(nade) => vec![Part::Rows { width: nade.bits }],
            Self::Groove => vec![Part::Rows { width: 3 * groove::CLASSES }],
        }
    }

    /// Type of the elements that are fed back.
    pub fn element(&self) -> ElementType {
        match self {
            Self::Categorical(_) => ElementType::I64,
            Self::Nade(_) | Self::Groove => ElementType::F32,
        }
    }

    /// Logits that it needs.
    pub fn logits(&self) -> usize {
        match self {
            Self::Categorical(vocabularies) => vocabularies.iter().sum(),
            Self::Nade(nade) => nade.hidden + nade.bits,
            Self::Groove => 3 * groove::CLASSES,
        }
    }

    /// Width of a step's output, one-hot.
    pub fn depth(&self) -> usize {
        self.parts().iter().map(|part| part.width()).sum()
    }

    /// What is fed to the first step of `batch` examples, part by part.
    pub fn none(&self, graph: &mut Graph, batch: usize) -> Vec<Value> {
        let none = |part: Part| match part {
            Part::Tokens { vocabulary } => {
                let none = graph.int(i64::try_from(vocabulary).expect("vocabularies are small"));
                let shape = graph.ints(&[i64::try_from(batch).expect("batches are small")]);
                graph.expand(&none, &shape)
            }
            Part::Rows { width } | Part::Constant { width } => {
                graph.floats(&[batch, width], &vec![0.0; batch * width])
            }
        };
        self.parts().into_iter().map(none).collect()
    }

    /// Compares `logits` `[rows, width]` with the targets of the same rows; `examples` is the number
    /// of windows that the loss is a mean over.
    pub fn forward(
        &self,
        graph: &mut Graph,
        logits: &Value,
        targets: &[Value],
        examples: usize,
    ) -> Prediction {
        let examples = graph.scalar(as_float(examples));
        let (sum, accuracy, kept) = match self {
            Self::Categorical(vocabularies) => {
                let (mut sums, mut accuracies, mut kept) = (Vec::new(), Vec::new(), Vec::new());
                let parts = split(graph, logits, vocabularies);
                for ((part, target), &vocabulary) in parts.iter().zip(targets).zip(vocabularies) {
                    let found = categorical::forward(graph, part, target, vocabulary);
                    sums.push(found.sum);
                    accuracies.push(found.accuracy);
                    kept.push(found.kept);
                }
                let sum = graph.op("Sum", &sums.iter().collect::<Vec<_>>(), &[]);
                let accuracy = graph.op("Mean", &accuracies.iter().collect::<Vec<_>>(), &[]);
                (sum, accuracy, Kept::Categorical(kept))
            }
            Self::Nade(nade) => {
                let (sum, accuracy, kept) = nade.forward(graph, logits, &targets[0]);
                (sum, accuracy, Kept::Nade(kept))
            }
            Self::Groove => {
                let (sum, accuracy, kept) = groove::forward(graph, logits, &targets[0]);
                (sum, accuracy, Kept::Groove(kept))
            }
        };
        let loss = graph.div(&sum, &examples);
        Prediction { loss, accuracy, kept, examples }
    }

    /// The gradient of the logits; sets those of the output's own variables.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        prediction: &Prediction,
    ) -> Value {
        match (self, &prediction.kept) {
            (_, Kept::Categorical(kept)) => {
                let parts: Vec<Value> =
                    kept.iter().map(|kept| categorical::backward(graph, kept)).collect();
                let gradient = join(graph, &parts);
                graph.div(&gradient, &prediction.examples)
            }
            (Self::Nade(nade), Kept::Nade(kept)) => {
                nade.backward(graph, variables, kept, &prediction.examples)
            }
            (_, Kept::Groove(kept)) => groove::backward(graph, kept, &prediction.examples),
            (_, Kept::Nade(_)) => unreachable!("only a NADE output makes it"),
        }
    }

    /// What `logits` `[rows, width]` are decoded to, part by part: the most probable, or with
    /// `uniform` noise `[rows, depth]` in `(0, 1)` a draw at temperature 1. A NADE output takes the
    /// most probable either way, as the original does in training.
    pub fn decode(&self, graph: &mut Graph, logits: &Value, uniform: Option<&Value>) -> Vec<Value> {
        match self {
            Self::Categorical(vocabularies) => {
                let logits = match uniform {
                    // Gumbel noise −ln(−ln u) makes the largest sum a draw.
                    Some(uniform) => {
                        let log = graph.op("Log", &[uniform], &[]);
                        let log = graph.op("Neg", &[&log], &[]);
                        let log = graph.op("Log", &[&log], &[]);
                        graph.sub(logits, &log)
                    }
                    None => logits.clone(),
                };
                let parts = split(graph, &logits, vocabularies);
                parts.iter().map(|part| argmax(graph, part)).collect()
            }
            Self::Nade(nade) => vec![nade.decode(graph, logits)],
            Self::Groove => vec![groove::decode(graph, logits, uniform)],
        }
    }
}

/// Columns of some widths; one alone is left as it is.
fn split(graph: &mut Graph, x: &Value, widths: &[usize]) -> Vec<Value> {
    if widths.len() == 1 { vec![x.clone()] } else { graph.split(x, widths, 1) }
}

/// Columns side by side.
fn join(graph: &mut Graph, parts: &[Value]) -> Value {
    match parts {
        [only] => only.clone(),
        _ => graph.concat(&parts.iter().collect::<Vec<_>>(), 1),
    }
}
