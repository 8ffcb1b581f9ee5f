//! Weights: where a run begins and what it keeps. `initial` draws them, `widening` takes those of a
//! smaller model, `snapshot` is a checkpoint on disk.

pub mod initial;
pub mod snapshot;
pub mod widening;
