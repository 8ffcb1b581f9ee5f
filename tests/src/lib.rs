//! What tests of several crates share: conformance with the original implementation, models, and
//! the plug-in in the headless host.

pub mod conformance;
pub mod in_host;
pub mod random_checkpoint;
