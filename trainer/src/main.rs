//! The command `interlude`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use interlude_trainer::commands::Shared;
use interlude_trainer::commands::dataset::Dataset;
use interlude_trainer::commands::generate::Generate;
use interlude_trainer::commands::import::Import;
use interlude_trainer::commands::train::Train;

/// Makes models for Interlude: from checkpoints of MusicVAE, or by training.
#[derive(Parser)]
#[command(name = "interlude", version)]
struct Arguments {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Import(Import),
    Generate(Generate),
    Dataset(Dataset),
    Train(Box<Train>),
}

fn main() -> ExitCode {
    let Arguments { shared, command } = Arguments::parse();
    let result = match command {
        Command::Import(import) => import.run(),
        Command::Generate(generate) => generate.run(&shared),
        Command::Dataset(dataset) => dataset.run(),
        Command::Train(train) => train.run(&shared),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("interlude: {error:#}");
            ExitCode::FAILURE
        }
    }
}
