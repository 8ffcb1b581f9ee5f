//! `cargo xtask`: builds, bundles, installs, demonstrates and tests Interlude.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use interlude_bundler::{
    bundle::{BundleCommand, Install},
    demo::Demo,
    doctor::Doctor,
    hosts::Hosts,
    play::Play,
    runtime::RuntimeCommand,
    test::{Conformance, Test},
};

#[derive(Parser)]
#[command(name = "cargo xtask", about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Runtime(RuntimeCommand),
    Bundle(BundleCommand),
    Install(Install),
    Doctor(Doctor),
    Demo(Demo),
    Hosts(Hosts),
    Play(Play),
    Test(Test),
    Conformance(Conformance),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Runtime(runtime) => runtime.run().map(drop),
        Command::Bundle(bundle) => bundle.run().map(drop),
        Command::Install(install) => install.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Demo(demo) => demo.run(),
        Command::Hosts(hosts) => hosts.run(),
        Command::Play(play) => play.run(),
        Command::Test(test) => test.run(),
        Command::Conformance(conformance) => conformance.run(),
    }
}

/// The error with its causes, without those that a message before them holds already.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| {
        if text.is_empty() {
            cause
        } else if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        // Contract: a cause that the message repeats is not printed again, another one is.
        let error = anyhow!("no such file").context("a.mid: no such file").context("clip A");
        assert_eq!(sentence(&error), "clip A: a.mid: no such file");
    }
}
