//! Pipeline: from files to a dataset. `build` reads all files as `options` say, `reading` finds the
//! windows of one; `merge` and `statistics` work on what was built.

pub mod build;
pub mod merge;
pub mod options;
pub mod reading;
pub mod statistics;
