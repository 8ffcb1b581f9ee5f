//! What several commands share.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use interlude_models::package::Package;
use interlude_models::runtime::Provider;
use interlude_models::weights::Weights;

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

/// The weights of a model: those that `interlude train` writes beside its folder, or else those that
/// its graphs hold, rounded where they have 8 bits.
pub(super) fn weights(package: &Package) -> anyhow::Result<Weights> {
    let beside = weights_beside(&package.dir);
    Ok(if beside.is_file() { Weights::read(&beside)? } else { package.weights()? })
}

/// Where `interlude train` puts the weights of a model folder.
pub(super) fn weights_beside(model: &Path) -> PathBuf {
    let mut name = model.file_name().unwrap_or_default().to_owned();
    name.push(".safetensors");
    model.with_file_name(name)
}

/// Writes to standard output; a reader that has seen enough may close it.
pub(super) fn print(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
