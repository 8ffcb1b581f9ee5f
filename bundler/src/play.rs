//! `cargo xtask play`: the stand-alone program with runtime, models and clips beside it.

use std::{path::PathBuf, process::Command};

use anyhow::{Result, ensure};
use interlude_models::runtime::Provider;

use crate::{
    bundle::{Built, lay_out, shipped},
    doctor,
    platform::Bundle,
    runtime::{self, Origin},
    workspace::{self, beside, replace, run},
};

/// The feature of the plug-in with which the program is built.
pub(crate) const FEATURE: &str = "interlude-plugin/standalone";

/// Build the stand-alone program, and start it.
///
/// Options of the program can follow: `cargo xtask play --scale 2`. `cargo xtask play -- --help`
/// lists them.
#[derive(clap::Args, Clone, Debug)]
pub struct Play {
    /// Build only, do not start.
    #[arg(long)]
    build_only: bool,
    /// Build without optimisation.
    #[arg(long)]
    debug: bool,
    /// Execution provider that the program may use besides the CPU.
    #[arg(long, default_value = Provider::Cpu.name(), value_parser = runtime::provider())]
    provider: Provider,
    /// Where ONNX Runtime comes from.
    #[command(flatten)]
    runtime: Origin,
    /// Arguments of the program: MIDI files, --tempo, --scale, --midi and others.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    arguments: Vec<String>,
}

impl Play {
    /// Builds the program, lays it out in `target/standalone` and starts it.
    ///
    /// # Errors
    /// When something is missing that cannot be installed, the build fails, or the program ends
    /// with an error.
    pub fn run(&self) -> Result<()> {
        doctor::ready_for_standalone(!self.runtime.no_install, !self.build_only)?;
        let runtime = self.runtime.get_for(self.provider)?;
        let built = self.build()?;
        let name = if cfg!(windows) { "Interlude.exe" } else { "Interlude" };
        let folder = if self.debug { "standalone-debug" } else { "standalone" };
        let program = workspace::target().join(folder).join(name);
        let staging = beside(&program)?;
        let prepared = Bundle::with_folder_beside(staging.path().join(name));
        lay_out(&prepared, &built, &runtime, &shipped()?)?;
        for (part, place) in
            prepared.parts.iter().zip(&Bundle::with_folder_beside(program.clone()).parts)
        {
            replace(part, place)?;
        }
        drop(staging);
        println!("play: {}", program.display());
        if self.build_only {
            return Ok(());
        }
        run(Command::new(&program).args(&self.arguments))
    }

    fn build(&self) -> Result<Built> {
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--package", "interlude-plugin", "--bin", "interlude-standalone"]);
        let mut features = FEATURE.to_owned();
        if self.provider != Provider::Cpu {
            features = format!("{features},interlude-plugin/{}", self.provider.name());
        }
        cargo.args(["--features", &features]);
        if !self.debug {
            cargo.arg("--release");
        }
        run(&mut cargo)?;
        let profile = if self.debug { "debug" } else { "release" };
        let file =
            PathBuf::from("interlude-standalone").with_extension(std::env::consts::EXE_EXTENSION);
        let binary = workspace::target().join(profile).join(file);
        ensure!(binary.is_file(), "the build left no {}", binary.display());
        Ok(Built { binary, features: vec![FEATURE.to_owned()] })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        play: Play,
    }

    #[test]
    fn what_follows_is_the_programs() {
        // Contract: own options come first; the first other one and all after it go to the program.
        let parse = |arguments: &[&str]| {
            let play = Command::try_parse_from([&["play"], arguments].concat()).unwrap().play;
            (play.build_only, play.arguments)
        };
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        assert_eq!(parse(&["--build-only"]), (true, vec![]));
        assert_eq!(parse(&["--scale", "2"]), (false, words(&["--scale", "2"])));
        assert_eq!(parse(&["a.mid", "--play"]), (false, words(&["a.mid", "--play"])));
        assert_eq!(parse(&["--", "--help"]), (false, words(&["--help"])));
    }
}
