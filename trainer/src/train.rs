//! Training: the state of a run, one step of it, its settings, checkpoints and metrics.
//!
//! [`run`] is the loop. It takes examples from [`batches`], steps with a
//! [`Stepper`](interlude_backend::stepper::Stepper) and the rates of a [`plan`], and now and then saves a
//! [`snapshot`] and an [`evaluation`].
//!
//! Each folder is a room that knows only the rooms before it: `plan` (rates, steps and sizes), `feed` (the
//! examples of a step), `report` (what a run tells), `weights` (where it begins and what it keeps).

pub mod batch_size;
mod feed;
pub mod plan;
mod report;
pub mod run;
mod weights;

pub use feed::batches;
pub(crate) use feed::mixing;
pub use report::{evaluation, events, line, metrics, page};
pub use weights::{initial, snapshot, widening};
