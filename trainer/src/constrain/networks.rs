//! Graphs of the losses and gradients of critic and actor.

use interlude_gradient::fit::Network;
use interlude_gradient::perceptron::Perceptron;
use interlude_gradient::variables::Variables;
use interlude_models::latent::constraint::{self, ACTOR};
use interlude_onnx::{Attribute, ElementType, Graph, Value};

/// Name of the critic's perceptron.
pub const CRITIC: &str = "critic";

/// Sizes of both networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Dimensions of a code.
    pub latent: usize,
    /// Attributes with a low and a high range.
    pub ranges: usize,
    /// Units of each of the critic's two hidden layers.
    pub critic: usize,
    /// Units of each of the actor's two hidden layers.
    pub actor: usize,
}

impl Sizes {
    /// Widths of the critic: its logits are that of realism, then one for each attribute, which is
    /// positive for high.
    pub fn of_critic(self) -> [usize; 4] {
        [self.latent, self.critic, self.critic, 1 + self.ranges]
    }

    /// Widths of the actor.
    pub fn of_actor(self) -> [usize; 4] {
        constraint::sizes(self.latent, self.ranges, self.actor)
    }
}

/// The critic: cross-entropy of its logits.
///
/// Inputs: `z` `[batch, latent]`; `sign`, `weight` `[batch, 1 + ranges]`: 1 or −1 for what is to be
/// said, and how much that counts. Output: `loss`, the sum of `weight · ln(1 + exp(−sign · logit))`.
pub fn critic(sizes: Sizes, batch: usize) -> Network {
    let mut graph = Graph::new("critic");
    let g = &mut graph;
    let mut variables = Variables::default();
    let logits = 1 + sizes.ranges;
    let z = matrix(g, "z", batch, sizes.latent);
    let sign = matrix(g, "sign", batch, logits);
    let weight = matrix(g, "weight", batch, logits);
    let critic = Perceptron::declare(g, &mut variables, CRITIC, &sizes.of_critic());
    let pass = critic.forward(g, &z);
    let (loss, gradient) = entropy(g, &pass.output, &sign, &weight);
    g.output("loss", &loss, ElementType::F32, &[]);
    critic.backward(g, &mut variables, &pass, &gradient);
    let inputs = vec![
        ("z".to_owned(), vec![batch, sizes.latent]),
        ("sign".to_owned(), vec![batch, logits]),
        ("weight".to_owned(), vec![batch, logits]),
    ];
    Network { graph, variables, inputs, outputs: vec![("loss", Vec::new())] }
}

/// The actor against a critic whose weights stay.
///
/// Inputs: `z` `[batch, latent]`, `wish` `[batch, ranges]`, `sign` and `weight` as those of the critic,
/// and the critic's weights. Outputs: `loss`, `distance` (mean of `ln(1 + (z' − z)²)`, which counts
/// `stay` times) and `moved`, the codes z' `[batch, latent]`.
pub fn actor(sizes: Sizes, batch: usize, stay: f32) -> Network {
    let mut graph = Graph::new("actor");
    let g = &mut graph;
    let mut variables = Variables::default();
    let (latent, logits) = (sizes.latent, 1 + sizes.ranges);
    let z = matrix(g, "z", batch, latent);
    let wish = matrix(g, "wish", batch, sizes.ranges);
    let sign = matrix(g, "sign", batch, logits);
    let weight = matrix(g, "weight", batch, logits);
    let actor = Perceptron::declare(g, &mut variables, ACTOR, &sizes.of_actor());
    // Variables that no update follows.
    let mut fixed = Variables::default();
    let critic = Perceptron::declare(g, &mut fixed, CRITIC, &sizes.of_critic());

    let given = g.concat(&[&z, &wish], 1);
    let acted = actor.forward(g, &given);
    let parts = g.split(&acted.output, &[latent, latent], 1);
    let gate = g.sigmoid(&parts[0]);
    let way = g.sub(&parts[1], &z);
    let step = g.mul(&gate, &way);
    let moved = g.add(&z, &step);
    g.output("moved", &moved, ElementType::F32, &[batch.into(), latent.into()]);
    let judged = critic.forward(g, &moved);
    let (entropy, gradient) = entropy(g, &judged.output, &sign, &weight);

    let (one, two) = (g.scalar(1.0), g.scalar(2.0));
    let squares = g.mul(&step, &step);
    let above = g.add(&squares, &one);
    let logarithm = g.op("Log", &[&above], &[]);
    let distance = g.op("ReduceMean", &[&logarithm], &[("keepdims", Attribute::Int(0))]);
    g.output("distance", &distance, ElementType::F32, &[]);
    let stays = g.scalar(stay);
    let cost = g.mul(&distance, &stays);
    let loss = g.add(&entropy, &cost);
    g.output("loss", &loss, ElementType::F32, &[]);

    let dmoved = critic.backward(g, &mut fixed, &judged, &gradient);
    // The slope of ln(1 + s²) is 2s / (1 + s²).
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^24")]
    let share = g.scalar(stay / (batch * latent) as f32);
    let slope = g.div(&step, &above);
    let slope = g.mul(&slope, &two);
    let pull = g.mul(&slope, &share);
    let dstep = g.add(&dmoved, &pull);
    let dtarget = g.mul(&dstep, &gate);
    let closed = g.sub(&one, &gate);
    let dgate = g.mul(&dtarget, &closed);
    let dgate = g.mul(&dgate, &way);
    let dacted = g.concat(&[&dgate, &dtarget], 1);
    actor.backward(g, &mut variables, &acted, &dacted);

    let mut inputs = vec![
        ("z".to_owned(), vec![batch, latent]),
        ("wish".to_owned(), vec![batch, sizes.ranges]),
        ("sign".to_owned(), vec![batch, logits]),
        ("weight".to_owned(), vec![batch, logits]),
    ];
    inputs.extend(fixed.iter().map(|(name, variable)| (name.to_owned(), variable.shape.clone())));
    let outputs =
        vec![("loss", Vec::new()), ("distance", Vec::new()), ("moved", vec![batch, latent])];
    Network { graph, variables, inputs, outputs }
}

fn matrix(graph: &mut Graph, name: &str, rows: usize, columns: usize) -> Value {
    graph.input(name, ElementType::F32, &[rows.into(), columns.into()])
}

/// `Σ weight · ln(1 + exp(−sign · logit))`, and its gradient in the logits.
fn entropy(g: &mut Graph, logits: &Value, sign: &Value, weight: &Value) -> (Value, Value) {
    let towards = g.mul(sign, logits);
    let against = g.op("Neg", &[&towards], &[]);
    let each = g.op("Softplus", &[&against], &[]);
    let each = g.mul(&each, weight);
    let loss = g.op("ReduceSum", &[&each], &[("keepdims", Attribute::Int(0))]);
    let slope = g.sigmoid(&against);
    let slope = g.mul(&slope, weight);
    let slope = g.mul(&slope, sign);
    (loss, g.op("Neg", &[&slope], &[]))
}
