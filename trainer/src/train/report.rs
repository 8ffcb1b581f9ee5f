//! Report: what a run tells. `line` has the means of some steps, `evaluation` scores of validation
//! windows; `metrics` and `events` write both, `page` shows them at the end.

pub mod evaluation;
pub mod events;
pub mod line;
pub mod metrics;
pub mod page;
