//! The library behind `cargo xtask`: getting the runtime, laying out bundles, and a headless host
//! that plays the plug-in for the demo and the tests.

mod apt;
pub mod bundle;
mod checksum;
pub mod demo;
pub mod doctor;
pub mod host;
pub mod hosts;
pub mod notices;
pub mod platform;
pub mod play;
pub mod runtime;
pub mod test;
pub mod training_runtime;
pub mod workspace;
