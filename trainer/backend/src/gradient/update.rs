//! Adam's update alone, for gradients that were found elsewhere.

use interlude_models::config::Config;
use interlude_models::network::variables;
use interlude_onnx::{ElementType, Graph};

use super::model::{self, Built};
use super::shape::Frozen;
use interlude_gradient::adam;
use interlude_gradient::variables::{Variables, dims};

/// A graph that adds up the gradients of so many parts of a batch, clips them and updates all
/// variables that are not frozen: the last part of [`model::training`]. For each such `V` it has an input
/// `V/gradient/P` of its shape for each part `P`; the inputs `clip` and `step_size` and the output
/// `global_norm` are scalars.
pub fn update(config: &Config, frozen: Frozen, beta_2: f64, parts: usize) -> Built {
    let mut graph = Graph::new("update");
    let mut list = Variables::default();
    let trained = variables(config).into_iter().filter(|variable| !frozen.holds(&variable.name));
    for variable in trained {
        list.declare(&mut graph, &variable.name, &variable.shape);
        let part = |graph: &mut Graph, part| {
            let name = gradient_of(&variable.name, part);
            graph.input(&name, ElementType::F32, &dims(&variable.shape))
        };
        let mut sum = part(&mut graph, 0);
        for index in 1..parts {
            let own = part(&mut graph, index);
            sum = graph.add(&sum, &own);
        }
        list.set_gradient(&variable.name, sum);
    }
    let norm = model::norm(&mut graph, &list);
    let limit = graph.input("clip", ElementType::F32, &[]);
    let step_size = graph.input("step_size", ElementType::F32, &[]);
    let settings = model::settings(config, beta_2);
    let updates = adam::update(&mut graph, &list, settings, (&norm, &limit, &step_size));
    Built { updates, ..model::built(graph, &list) }
}

/// The input that a variable's gradient of a part is given by.
pub fn gradient_of(variable: &str, part: usize) -> String {
    format!("{variable}/gradient/{part}")
}
