//! What tests of several crates share: conformance with the original implementation, models,
//! the plug-in in the headless host, and golden files.

pub mod conformance;
pub mod golden;
pub mod in_host;
pub mod random_checkpoint;
