//! Adam's update alone, for gradients that were found elsewhere.

use interlude_models::config::Config;
use interlude_models::network::variables;
use interlude_models::onnx::{ElementType, Graph};

use super::adam;
use super::model::{self, Built};
use super::variables::{Variables, dims};

/// A graph that clips gradients and updates all variables: the last part of
/// [`model::training`]. For each variable `V` it has an input `V/gradient` of its shape; the inputs
/// `clip` and `step_size` and the output `global_norm` are scalars.
pub fn update(config: &Config, beta_2: f64) -> Built {
    let mut graph = Graph::new("update");
    let mut list = Variables::default();
    for variable in variables(config) {
        list.declare(&mut graph, &variable.name, &variable.shape);
        let name = gradient_of(&variable.name);
        let gradient = graph.input(&name, ElementType::F32, &dims(&variable.shape));
        list.set_gradient(&variable.name, gradient);
    }
    let norm = adam::global_norm(&mut graph, &list);
    graph.output("global_norm", &norm, ElementType::F32, &[]);
    let limit = graph.input("clip", ElementType::F32, &[]);
    let step_size = graph.input("step_size", ElementType::F32, &[]);
    let settings = model::settings(config, beta_2);
    let updates = adam::update(&mut graph, &list, settings, (&norm, &limit, &step_size));
    let gradients = list.iter().map(|(name, _)| (name.to_owned(), gradient_of(name))).collect();
    Built { updates, gradients, ..model::built(graph, &list) }
}

/// The input that a variable's gradient is given by.
fn gradient_of(variable: &str) -> String {
    format!("{variable}/gradient")
}
