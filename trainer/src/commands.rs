//! The subcommands of `interlude`, one file each.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub mod attributes;
mod card;
mod common;
pub mod compare;
pub mod constrain;
pub mod dataset;
pub mod evaluate;
pub mod generate;
pub mod import;
pub mod personal;
pub mod prior;
pub mod quantize;
pub mod train;
pub mod whiten;

pub use common::Shared;

/// Trains and converts MusicVAE models for Interlude, and makes music with them.
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
    Evaluate(evaluate::Evaluate),
    Attributes(attributes::Attributes),
    Compare(compare::Compare),
    Quantize(quantize::Quantize),
    Whiten(whiten::Whiten),
    Personal(personal::Command),
    Constrain(constrain::Constrain),
    Prior(prior::Prior),
}

/// The whole program: runs the command and prints its error, if any.
pub fn main(arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if let Some(error) = error.downcast_ref::<clap::Error>() {
                error.exit();
            }
            eprintln!("interlude: {}", sentence(&error));
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
        Command::Evaluate(evaluate) => evaluate.run(&shared),
        Command::Attributes(attributes) => attributes.run(&shared),
        Command::Compare(compare) => compare.run(),
        Command::Quantize(quantize) => quantize.run(&shared),
        Command::Whiten(whiten) => whiten.run(&shared),
        Command::Personal(personal) => personal.run(&shared),
        Command::Constrain(constrain) => constrain.run(&shared),
        Command::Prior(prior) => prior.run(&shared),
    }
}

/// An error with its causes, without those that a message before them holds already.
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
    use super::*;

    // A cause that the message repeats is not printed again, another one is.
    #[test]
    fn causes_are_told_once() {
        let error =
            anyhow::anyhow!("no such file").context("a.mid: no such file").context("clip A");
        assert_eq!(sentence(&error), "clip A: a.mid: no such file");
    }
}
