//! What several commands share.

use std::io::Write;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use interlude_models::runtime::Provider;

/// Options of every subcommand.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Shared {
    /// The ONNX Runtime library, or the folder that holds it.
    #[arg(long, global = true, value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
}

/// The execution provider of a command line.
pub(super) fn provider() -> impl TypedValueParser<Value = Provider> {
    PossibleValuesParser::new(Provider::ALL.map(Provider::name))
        .try_map(|name| name.parse::<Provider>())
}

/// Writes to standard output; a reader that has seen enough may close it.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
