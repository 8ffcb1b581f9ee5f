//! `cargo xtask`: builds, bundles, installs, demonstrates and tests Interlude.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use interlude_bundler::{
    bundle::{BundleCommand, Install},
    demo::Demo,
    doctor::Doctor,
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
    Test(Test),
    Conformance(Conformance),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
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
        Command::Test(test) => test.run(),
        Command::Conformance(conformance) => conformance.run(),
    }
}
