//! Training: the state of a run, one step of it, its settings, checkpoints and metrics.
//!
//! [`run`] is the loop. It takes batches from [`batches`], runs a [`program`] on the [`state`] with
//! the rates of a [`schedule`], and now and then saves a [`snapshot`] and an [`evaluation`].

pub mod backend;
pub mod batch;
pub mod batch_size;
pub mod batches;
mod delay;
pub mod device;
pub mod distributed;
pub mod error;
pub mod evaluation;
pub mod events;
pub mod growing;
pub mod hosted;
pub mod initial;
pub mod inputs;
pub mod line;
pub mod metrics;
pub(crate) mod mixing;
pub mod parallel;
pub mod program;
pub mod ranks;
pub mod report;
pub mod run;
pub mod schedule;
pub mod snapshot;
pub mod state;
pub mod training_api;
pub mod update;
pub mod widening;
