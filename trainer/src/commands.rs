//! The subcommands of `interlude`, one file each.

use std::path::PathBuf;

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
