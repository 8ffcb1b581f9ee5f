//! What the steps of a run are built for.

use interlude_models::config::Config;
use interlude_models::runtime::Runtime;

use crate::gradient::shape::Shape;

/// What a back end is built for.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Runs the graphs.
    pub runtime: &'a Runtime,
    /// The configuration that is trained.
    pub config: &'a Config,
    /// Window length, batch size, and what is frozen.
    pub shape: Shape,
    /// Decay of Adam's second moment in a step, `0..1`.
    pub beta_2: f64,
    /// Threads of one process; 0 takes as many as there are cores.
    pub threads: usize,
}
