//! The command `interlude`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match interlude_trainer::commands::run(std::env::args_os()) {
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
