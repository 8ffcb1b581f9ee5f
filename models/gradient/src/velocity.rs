//! The network of a flow, of one of two kinds: one for vectors as a whole, one for vectors of parts.

use interlude_onnx::weights::Weights;
use interlude_onnx::{Graph, Value};

use super::residual::{self, Residual};
use super::transformer::{self, BASIS, INVERSE, Transformer};
use super::variables::Variables;

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sizes {
    /// A residual network, which treats a vector as a whole.
    Whole(residual::Sizes),
    /// A transformer over the parts of a vector.
    Parts(transformer::Sizes),
}

/// What the forward pass computed.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The network's output, `[rows, size]`.
    pub output: Value,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Whole(Residual, residual::Pass),
    Parts(Transformer, transformer::Pass),
}

impl Sizes {
    /// Numbers of an input, and of an output.
    pub fn size(self) -> usize {
        match self {
            Self::Whole(sizes) => sizes.size,
            Self::Parts(sizes) => sizes.size(),
        }
    }

    /// Numbers of a context.
    pub fn context(self) -> usize {
        match self {
            Self::Whole(sizes) => sizes.context,
            Self::Parts(sizes) => sizes.context,
        }
    }

    /// Numbers that the context contributes to one evaluation.
    pub fn modulation(self) -> usize {
        match self {
            Self::Whole(sizes) => sizes.modulation(),
            Self::Parts(sizes) => sizes.modulation(),
        }
    }

    /// Number of tensors that a network has.
    pub fn tensors(self) -> usize {
        match self {
            Self::Whole(sizes) => sizes.tensors(),
            Self::Parts(sizes) => sizes.tensors(),
        }
    }

    /// Whether a tensor stays as it is in training.
    pub fn is_fixed(name: &str) -> bool {
        [BASIS, INVERSE].contains(&name)
    }

    /// Derives the sizes of a network from its weights. Other tensors are ignored.
    ///
    /// # Errors
    /// The name of a tensor that is missing, of another shape, or not finite.
    pub fn of(weights: &Weights) -> Result<Self, String> {
        if weights.get(BASIS).is_some() {
            transformer::Sizes::of(weights).map(Self::Parts)
        } else {
            residual::Sizes::of(weights).map(Self::Whole)
        }
    }

    /// Initial weights, without those that are fixed. `normal` fills with standard normal numbers.
    pub fn initial(self, normal: &mut dyn FnMut(&mut [f32])) -> Weights {
        match self {
            Self::Whole(sizes) => sizes.initial(normal),
            Self::Parts(sizes) => sizes.initial(normal),
        }
    }

    /// Adds a network that is to be trained to a graph, with what is `fixed` of it: from `x`
    /// `[rows, size]` and `context` `[rows, context]`.
    pub fn forward(
        self,
        graph: &mut Graph,
        variables: &mut Variables,
        fixed: &Weights,
        (x, context): (&Value, &Value),
    ) -> Pass {
        match self {
            Self::Whole(sizes) => {
                let network = Residual::declare(graph, variables, sizes);
                let pass = network.forward(graph, x, context);
                Pass { output: pass.output().clone(), kind: Kind::Whole(network, pass) }
            }
            Self::Parts(sizes) => {
                let network = Transformer::declare(graph, variables, sizes, fixed);
                let pass = network.forward(graph, x, context);
                Pass { output: pass.output().clone(), kind: Kind::Parts(network, pass) }
            }
        }
    }

    /// The graph from contexts to modulations, for weights of these sizes.
    pub fn modulation_graph(self, weights: &Weights) -> Graph {
        match self {
            Self::Whole(sizes) => residual::modulation_graph(sizes, weights),
            Self::Parts(sizes) => transformer::modulation_graph(sizes, weights),
        }
    }

    /// The graph from points and modulations to velocities, for weights of these sizes.
    pub fn evaluation_graph(self, weights: &Weights) -> Graph {
        match self {
            Self::Whole(sizes) => residual::evaluation_graph(sizes, weights),
            Self::Parts(sizes) => transformer::evaluation_graph(sizes, weights),
        }
    }
}

impl Pass {
    /// Sets the gradients of all variables from that of the output. `x` and `context` are those of the
    /// forward pass; their gradients are not computed.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        given: (&Value, &Value),
        output_gradient: &Value,
    ) {
        match &self.kind {
            Kind::Whole(network, pass) => {
                network.backward(graph, variables, given, pass, output_gradient);
            }
            Kind::Parts(network, pass) => network.backward(graph, variables, pass, output_gradient),
        }
    }
}
