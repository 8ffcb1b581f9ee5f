//! The posterior q(z | x): mean, standard deviation, a draw from it, and its divergence from the
//! prior.

use interlude_onnx::{Graph, Value};

use interlude_gradient::dense::Dense;
use interlude_gradient::tensors::{as_float, float, mean};
use interlude_gradient::variables::Variables;

/// The two dense layers that make `mu` and `sigma` from an embedding.
#[derive(Clone, Debug)]
pub struct Posterior {
    mu: Dense,
    sigma: Dense,
    latent: usize,
}

/// What the forward pass computed. All are `[batch, latent]` unless they say otherwise.
#[derive(Clone, Debug)]
pub struct Draw {
    /// The embedding, `[batch, width]`.
    embedding: Value,
    noise: Value,
    /// Mean.
    pub mu: Value,
    /// Standard deviation.
    pub sigma: Value,
    presigma: Value,
    /// `mu + sigma · noise`.
    pub z: Value,
}

/// The divergence from the standard normal distribution.
#[derive(Clone, Debug)]
pub struct Divergence {
    /// Of each example in nats, `[batch]`.
    pub nats: Value,
    /// What counts of it: the part above the free bits, mean over the examples, in nats.
    pub cost: Value,
    /// Free bits in nats.
    free: Value,
}

impl Posterior {
    /// Declares the variables of both layers for embeddings of a width.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        width: usize,
        latent: usize,
    ) -> Self {
        let mu = Dense::declare(graph, variables, "encoder/mu", width, latent);
        let sigma = Dense::declare(graph, variables, "encoder/sigma", width, latent);
        Self { mu, sigma, latent }
    }

    /// Mean, deviation and a draw made with standard normal `noise` `[batch, latent]`.
    pub fn forward(&self, graph: &mut Graph, embedding: &Value, noise: &Value) -> Draw {
        let mu = self.mu.forward(graph, embedding);
        let presigma = self.sigma.forward(graph, embedding);
        let sigma = graph.op("Softplus", &[&presigma], &[]);
        let offset = graph.mul(&sigma, noise);
        let z = graph.add(&mu, &offset);
        Draw { embedding: embedding.clone(), noise: noise.clone(), mu, sigma, presigma, z }
    }

    /// `½ Σ (σ² + μ² − 1 − 2 ln σ)` for each example, and what exceeds the free bits.
    pub fn divergence(graph: &mut Graph, draw: &Draw, free_bits: f32) -> Divergence {
        let mu_squared = graph.mul(&draw.mu, &draw.mu);
        let sigma_squared = graph.mul(&draw.sigma, &draw.sigma);
        let log = graph.op("Log", &[&draw.sigma], &[]);
        let (one, two, half) = (graph.scalar(1.0), graph.scalar(2.0), graph.scalar(0.5));
        let log = graph.mul(&two, &log);
        let sum = graph.add(&mu_squared, &sigma_squared);
        let sum = graph.sub(&sum, &log);
        let sum = graph.sub(&sum, &one);
        let sum = graph.reduce_sum(&sum, &[1]);
        let nats = graph.mul(&half, &sum);
        let free = graph.scalar(free_bits * std::f32::consts::LN_2);
        let above = graph.sub(&nats, &free);
        let above = graph.op("Relu", &[&above], &[]);
        let cost = mean(graph, &above);
        Divergence { nats, cost, free }
    }

    /// Sets the gradients of both layers and returns that of the embedding, given the gradient of
    /// `z`, the weight `beta` of the divergence in the loss, and the examples that the loss is a mean
    /// over.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        draw: &Draw,
        divergence: &Divergence,
        (dz, beta, examples): (&Value, &Value, usize),
    ) -> Value {
        let examples = graph.scalar(as_float(examples));
        let counts = graph.op("Greater", &[&divergence.nats, &divergence.free], &[]);
        let counts = float(graph, &counts);
        let counts = graph.unsqueeze(&counts, &[1]);
        let share = graph.div(beta, &examples);
        let weight = graph.mul(&share, &counts);

        let pull = graph.mul(&weight, &draw.mu);
        let dmu = graph.add(dz, &pull);
        let through = graph.mul(dz, &draw.noise);
        let inverse = graph.op("Reciprocal", &[&draw.sigma], &[]);
        let pull = graph.sub(&draw.sigma, &inverse);
        let pull = graph.mul(&weight, &pull);
        let dsigma = graph.add(&through, &pull);
        let slope = graph.sigmoid(&draw.presigma);
        let dpresigma = graph.mul(&dsigma, &slope);

        let from_mu = self.mu.backward(graph, variables, &draw.embedding, &dmu);
        let from_sigma = self.sigma.backward(graph, variables, &draw.embedding, &dpresigma);
        graph.add(&from_mu, &from_sigma)
    }

    /// Width of z.
    pub fn latent(&self) -> usize {
        self.latent
    }
}
