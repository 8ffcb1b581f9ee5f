//! The subcommands of `interlude`, one file each.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod dataset;
pub mod generate;
pub mod import;
pub mod train;

/// Options of every subcommand.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Shared {
    /// The ONNX Runtime library, or the folder that holds it.
    #[arg(long, global = true, value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
}

/// Makes models for Interlude from checkpoints of MusicVAE or by training, and music with them.
#[derive(Debug, Parser)]
#[command(name = "interlude", version)]
struct Arguments {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Import(import::Import),
    Generate(generate::Generate),
    Dataset(dataset::Dataset),
    Train(Box<train::Train>),
}

/// The whole program: runs the command and tells what went wrong.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(error) = error.downcast_ref::<clap::Error>() {
                error.exit();
            }
            eprintln!("interlude: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the command that `arguments` ask for; the first is the program's name.
///
/// # Errors
/// [`clap::Error`], which also carries help, for arguments that cannot be understood; else what the
/// command says.
pub fn run(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> anyhow::Result<()> {
    let Arguments { shared, command } = Arguments::try_parse_from(arguments)?;
    match command {
        Command::Import(import) => import.run(),
        Command::Generate(generate) => generate.run(&shared),
        Command::Dataset(dataset) => dataset.run(),
        Command::Train(train) => train.run(&shared),
    }
}
