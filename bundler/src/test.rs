//! `cargo xtask test` and `conformance`: all tests in one go; comparison with the original.

use std::{collections::BTreeSet, fs, path::PathBuf};

use anyhow::{Context, Result};

use crate::{
    doctor::{self, Doctor},
    play,
    runtime::Origin,
    training_runtime,
    workspace::{self, cargo, run},
};

/// Install what is missing, then run all tests, including the plug-in in the headless host.
///
/// The plug-in is a debug build that aborts when `process` allocates.
#[derive(clap::Args, Clone, Debug)]
pub struct Test {
    /// Where ONNX Runtime comes from.
    #[command(flatten)]
    runtime: Origin,
    /// Further arguments of `cargo test`, such as a filter.
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
        // Without it the tests of the training API are reported as skipped.
        if let Err(error) = training_runtime::get(self.runtime.no_install) {
            println!("runtime: no training build: {error:#}");
        }
        Doctor { fix: !self.runtime.no_install, all: false }.run()?;
        let skipped = Skipped::open()?;
        let mut tests = cargo();
        tests.env(interlude_skip::LIST, &skipped.list);
        tests.args(["test", "--workspace", "--features", "interlude-plugin/alloc-check"]);
        match doctor::ready_for_standalone(!self.runtime.no_install, false) {
            Ok(()) => {
                tests.args(["--features", play::FEATURE]);
            }
            Err(error) => skipped.add("tests of the stand-alone program", &format!("{error:#}"))?,
        }
        let outcome = run(tests.args(&self.arguments)).context("tests failed, see above");
        println!("{}", skipped.summary()?);
        outcome
    }
}

/// The list that tests add what they skip to: that of a caller, or one of this run.
struct Skipped {
    list: PathBuf,
    /// Bytes of the list that were there before.
    begin: usize,
}

impl Skipped {
    fn open() -> Result<Self> {
        let list = match std::env::var_os(interlude_skip::LIST) {
            Some(list) => std::path::absolute(list)?,
            None => {
                let list = workspace::target().join("skipped-tests.txt");
                fs::write(&list, "").with_context(|| format!("cannot write {}", list.display()))?;
                list
            }
        };
        let begin = fs::metadata(&list).map_or(0, |metadata| metadata.len());
        Ok(Self { list, begin: usize::try_from(begin)? })
    }

    fn add(&self, what: &str, reason: &str) -> Result<()> {
        interlude_skip::add(&self.list, what, reason)
            .with_context(|| format!("cannot write {}", self.list.display()))
    }

    /// What was skipped since, each once.
    fn summary(&self) -> Result<String> {
        let text = fs::read_to_string(&self.list)
            .with_context(|| format!("cannot read {}", self.list.display()))?;
        let lines: BTreeSet<&str> = text.get(self.begin..).unwrap_or(&text).lines().collect();
        Ok(match lines.len() {
            0 => "no test was skipped".to_owned(),
            count => {
                let lines: Vec<&str> = lines.into_iter().collect();
                format!("{count} skipped, because something is missing here:\n{}", lines.join("\n"))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Contract: the summary has each line once, in order, and nothing that stood in the list before.
    #[test]
    fn the_summary_lists_what_was_skipped_since() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = folder.path().join("list");
        fs::write(&list, "skipped: before: x\n").expect("written");
        let skipped = Skipped { begin: 19, list };
        assert_eq!(skipped.summary().expect("read"), "no test was skipped");
        for what in ["b", "a", "b"] {
            skipped.add(what, "there is\n no such thing").expect("written");
        }
        let expected = "2 skipped, because something is missing here:\n\
                        skipped: a: there is no such thing\n\
                        skipped: b: there is no such thing";
        assert_eq!(skipped.summary().expect("read"), expected);
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
