//! `cargo xtask test` and `conformance`: all tests in one go; comparison with the original.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::{
    doctor::{self, Doctor},
    play,
    runtime::Origin,
    training_runtime,
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
        // The tests of the training API say so when they are left out.
        if let Err(error) = training_runtime::get(self.runtime.no_install) {
            println!("runtime: no training build: {error:#}");
        }
        Doctor { fix: !self.runtime.no_install, all: false }.run()?;
        let mut tests = cargo();
        tests.args(["test", "--workspace", "--features", "interlude-plugin/alloc-check"]);
        match doctor::ready_for_standalone(!self.runtime.no_install, false) {
            Ok(()) => {
                tests.args(["--features", play::FEATURE]);
            }
            Err(error) => println!("skipped: the stand-alone program is not built: {error:#}"),
        }
        run(tests.args(&self.arguments)).context("tests failed, see above")
    }
}

/// Compare Interlude with fixture folders of the original implementation, one row for each
/// comparison.
#[derive(clap::Args, Clone, Debug)]
pub struct Conformance {
    /// Folders in and below which fixtures lie.
    #[arg(required = true, value_name = "FOLDER")]
    folders: Vec<PathBuf>,
    /// Where ONNX Runtime comes from.
    #[command(flatten)]
    runtime: Origin,
}

impl Conformance {
    /// Runs the comparisons.
    ///
    /// # Errors
    /// When a folder holds no fixture, or a comparison fails.
    pub fn run(&self) -> Result<()> {
        self.runtime.get()?;
        let mut program = cargo();
        program.args([
            "run",
            "--quiet",
            "--package",
            "interlude-tests",
            "--bin",
            "conformance",
            "--",
        ]);
        for folder in &self.folders {
            // cargo runs in the workspace's root.
            program.arg(std::path::absolute(folder)?);
        }
        run(&mut program).context("not everything conforms, see above")
    }
}
