//! The library behind `cargo xtask`: ONNX Runtime, bundles, and a headless host that plays the plug-in
//! for the demo and the tests.
//!
//! | module | is |
//! | --- | --- |
//! | [`runtime`], [`training_runtime`] | downloads of ONNX Runtime, checked |
//! | [`bundle`], [`platform`], [`notices`] | bundles and their installation, differences of systems, licences |
//! | [`play`], [`test`], [`doctor`] | the stand-alone program, the tests, what this machine lacks |
//! | [`host`] | the headless host: a CLAP plug-in under a transport |
//! | [`demo`] | two clips, the morph between them, and measurements |
//! | [`hosts`] | the plug-in in Ardour and qtractor, compared with the headless host |
//! | [`workspace`] | paths of the workspace, atomic file operations |
//!
//! ```
//! use interlude_bundler::host::PluginFile;
//!
//! let error = PluginFile::load("no/such.clap".as_ref()).err().expect("there is no such file");
//! assert!(error.to_string().contains("cargo xtask bundle"));
//! ```

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
