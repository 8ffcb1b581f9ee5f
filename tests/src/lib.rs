//! What tests of several crates share: conformance with the original implementation.

pub mod conformance;
pub mod random_checkpoint;
