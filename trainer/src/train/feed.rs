//! Feed: the examples of each step, as a function of seed and position alone. `batches` makes them,
//! `mixing` varies what they are made of.

pub mod batches;
pub(crate) mod mixing;
