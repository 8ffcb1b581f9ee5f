//! The command `interlude`.

use std::process::ExitCode;

fn main() -> ExitCode {
    interlude_trainer::commands::main(std::env::args_os())
}
