//! `cargo xtask test`: everything that can be tested on this machine, in one go.

use anyhow::{Context, Result};

use crate::{
    doctor::Doctor,
    runtime::Origin,
    workspace::{cargo, run},
};

/// Mend what is missing, then run all tests, the plug-in in the headless host among them.
///
/// The plug-in is a debug build that aborts when `process` allocates.
#[derive(clap::Args, Clone, Debug)]
pub struct Test {
    /// Where ONNX Runtime comes from.
    #[command(flatten)]
    runtime: Origin,
    /// What else `cargo test` is told, such as a filter.
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl Test {
    /// Runs the tests.
    ///
    /// # Errors
    /// When something is missing and cannot be mended, or a test fails.
    pub fn run(&self) -> Result<()> {
        self.runtime.get()?;
        Doctor { fix: !self.runtime.no_install, all: false }.run()?;
        let mut tests = cargo();
        tests.args(["test", "--workspace", "--features", "interlude-plugin/alloc-check"]);
        run(tests.args(&self.arguments)).context("tests failed, see above")
    }
}
