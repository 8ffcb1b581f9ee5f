//! Training: the state of a run, one step of it, its settings, checkpoints and metrics.
//!
//! [`run`] is the loop. It takes batches from [`batches`], steps with a
//! [`Stepper`](interlude_backend::stepper::Stepper) and
//! the rates of a [`schedule`], and now and then saves a [`snapshot`] and an [`evaluation`].

pub mod batch_size;
pub mod batches;
mod delay;
pub mod evaluation;
pub mod events;
pub mod growing;
pub mod initial;
pub mod line;
pub mod metrics;
pub(crate) mod mixing;
pub mod plan;
pub mod report;
pub mod run;
pub mod schedule;
pub mod snapshot;
pub mod widening;
