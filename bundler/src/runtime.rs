//! `cargo xtask runtime`: downloads ONNX Runtime from its official packages and checks it.
//!
//! The libraries come from the Python packages `onnxruntime`, `onnxruntime-gpu` and
//! `onnxruntime-directml`, fetched by pip, or from the npm package `onnxruntime-node`. Both clients only
//! download; nothing of the packages is run.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use interlude_models::runtime::Provider;

use crate::{
    apt::{self, Apt},
    checksum::digest,
    platform::System,
    training_runtime,
    workspace::{self, beside, replace},
};

mod package;

use package::{PACKAGES, Package, RUNTIME, Source, library_in};

/// The version that is fetched and shipped.
pub const VERSION: &str = "1.32.0";

/// Download ONNX Runtime, check it, and put it into `target/runtime`.
#[derive(clap::Args, Clone, Debug)]
pub struct RuntimeCommand {
    /// Version of ONNX Runtime [default: the newest that is known for the provider].
    #[arg(long)]
    pub version: Option<String>,
    /// Execution provider that the runtime must have. Another one than the CPU's goes into a folder of
    /// its own, such as `target/runtime-cuda`, and needs the driver and libraries of its maker.
    #[arg(long, default_value = Provider::Cpu.name(), value_parser = provider())]
    pub provider: Provider,
    /// Download the official training build, 1.19.2, into `target/runtime-training` instead.
    #[arg(long, conflicts_with_all = ["version", "onnxruntime", "provider"])]
    pub training: bool,
    /// Where it comes from.
    #[command(flatten)]
    pub origin: Origin,
}

/// The execution provider of a command line.
pub(crate) fn provider() -> impl TypedValueParser<Value = Provider> {
    PossibleValuesParser::new(Provider::ALL.map(Provider::name))
        .try_map(|name| name.parse::<Provider>())
}

/// Where ONNX Runtime comes from.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Origin {
    /// Use this library, or the library in this folder, instead of fetching one.
    ///
    /// Same as the environment variable ORT_DYLIB_PATH.
    #[arg(long, value_name = "PATH")]
    pub onnxruntime: Option<PathBuf>,
    /// Do not install missing system packages.
    #[arg(long)]
    pub no_install: bool,
}

impl Origin {
    /// Gets the runtime that is shipped.
    ///
    /// # Errors
    /// As [`RuntimeCommand::run`].
    pub fn get(&self) -> Result<PathBuf> {
        self.get_for(Provider::Cpu)
    }

    /// Gets a runtime that has a provider.
    ///
    /// # Errors
    /// As [`RuntimeCommand::run`].
    pub fn get_for(&self, provider: Provider) -> Result<PathBuf> {
        let origin = self.clone();
        RuntimeCommand { version: None, provider, training: false, origin }.run()
    }
}

impl RuntimeCommand {
    /// Makes sure that the provider's folder holds a checked runtime, and gives the folder.
    ///
    /// # Errors
    /// When no package source can be reached, there is none for this platform, or the digest of a
    /// library is wrong; the message says what was tried and what to do.
    pub fn run(&self) -> Result<PathBuf> {
        if self.training {
            return training_runtime::get(self.origin.no_install);
        }
        let folder = folder_of(self.provider);
        let library = folder.join(System::host().library(RUNTIME));
        let variable = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
        if let Some(path) = self.origin.onnxruntime.clone().or(variable.map(PathBuf::from)) {
            let given = library_at(&path)?;
            if !same_file(&given, &library) {
                self.install_given(&given, &folder)?;
            }
            println!("runtime: {} (given)", library.display());
            return Ok(folder);
        }
        let packages = self.packages()?;
        if packages.iter().any(|package| package.is_in(&folder)) {
            println!("runtime: {} is there and checked", library.display());
            return Ok(folder);
        }
        let mut tried = String::new();
        for attempt in 0..2 {
            for package in &packages {
                match package.fetch(&folder) {
                    Ok(()) => {
                        let version = package.version;
                        println!("runtime: ONNX Runtime {version} in {}", folder.display());
                        return Ok(folder);
                    }
                    Err(error) => writeln!(tried, "  {error:#}")?,
                }
            }
            if attempt == 0 && !self.origin.no_install && apt::pip_missing() {
                match Apt::find() {
                    Some(apt) if apt.may_install() => apt.install(&["python3-pip"])?,
                    Some(apt) => bail!(
                        "cannot get ONNX Runtime:\n{tried}run `{}`, then this command again",
                        apt.command(&["python3-pip"])
                    ),
                    None => break,
                }
            } else {
                break;
            }
        }
        let npm = packages.iter().any(|package| matches!(package.source, Source::Npm(_)));
        bail!(
            "cannot get ONNX Runtime:\n{tried}install {}, check the network, or pass your own library with --onnxruntime",
            if npm { "pip or npm" } else { "pip" }
        )
    }

    /// The packages that may be taken, the best first.
    fn packages(&self) -> Result<Vec<&'static Package>> {
        let provider = self.provider;
        let platform = format!("{} on {}", std::env::consts::OS, std::env::consts::ARCH);
        let known: Vec<_> = Package::of(provider).collect();
        ensure!(
            !known.is_empty(),
            "no ONNX Runtime with {provider} is known for {platform}, only for {}; pass your own library with --onnxruntime",
            platforms(provider)
        );
        let wanted = |package: &&Package| {
            self.version.as_deref().is_none_or(|version| version == package.version)
        };
        let packages: Vec<_> = known.iter().copied().filter(wanted).collect();
        ensure!(
            !packages.is_empty(),
            "no digest of ONNX Runtime {} with {provider} for {platform} is known, only of {}; pass your own library with --onnxruntime",
            self.version.as_deref().unwrap_or_default(),
            known.iter().map(|package| package.version).collect::<Vec<_>>().join(" and ")
        );
        Ok(packages)
    }

    /// Takes a library that the user has, with those of the provider that lie beside it.
    fn install_given(&self, library: &Path, folder: &Path) -> Result<()> {
        // Refuses what is no ONNX Runtime or too old.
        interlude_models::runtime::Runtime::start(Some(library))?;
        let staging = beside(folder)?;
        let prepared = staging.path().join("runtime");
        workspace::copy(library, &prepared.join(System::host().library(RUNTIME)))?;
        let around = PACKAGES.iter().filter(|package| package.provider == self.provider);
        for (name, _) in around.flat_map(|package| package.libraries.iter().skip(1)) {
            let file = System::host().library(name);
            let beside = library.with_file_name(&file);
            if beside.is_file() {
                workspace::copy(&beside, &prepared.join(file))?;
            }
        }
        let licence = workspace::root().join("licences/onnxruntime-LICENSE");
        workspace::copy(&licence, &prepared.join("onnxruntime-LICENSE"))?;
        replace(&prepared, folder)
    }
}

/// Where a provider's packages are for.
fn platforms(provider: Provider) -> String {
    let packages = PACKAGES.iter().filter(|package| package.provider == provider);
    let platforms: Vec<String> = packages
        .map(|package| format!("{:?} on {}", package.system, package.architecture))
        .collect();
    platforms.join(" and ")
}

/// The folder that programs and tests of the workspace find the runtime in.
pub fn folder() -> PathBuf {
    folder_of(Provider::Cpu)
}

/// The folder of the runtime that has a provider.
pub fn folder_of(provider: Provider) -> PathBuf {
    workspace::target().join(match provider {
        Provider::Cpu => "runtime".to_owned(),
        other => format!("runtime-{}", other.name()),
    })
}

/// Whether a library is a runtime whose digest is pinned.
///
/// # Errors
/// When the library cannot be read.
pub fn is_checked(library: &Path) -> Result<bool> {
    let digest = digest(library)?;
    Ok(PACKAGES.iter().any(|package| package.libraries[0].1 == digest))
}

/// The library that a path means: itself, or the one in the folder.
fn library_at(path: &Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let missing =
        || format!("there is no ONNX Runtime library at {}; check the path", path.display());
    library_in(path)
        .with_context(missing)?
        .with_context(|| format!("{} holds no ONNX Runtime library", path.display()))
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        runtime: RuntimeCommand,
    }

    fn parse(arguments: &[&str]) -> Result<RuntimeCommand, clap::Error> {
        let command = Command::try_parse_from([&["runtime"], arguments].concat());
        command.map(|command| command.runtime)
    }

    #[test]
    fn a_missing_library_is_named() {
        // Contract: a path without a library is refused with the path in the message.
        let origin = Origin { onnxruntime: Some("/no/such/library".into()), ..Origin::default() };
        let message = format!("{:#}", origin.get().unwrap_err());
        assert!(message.contains("/no/such/library"), "{message}");
    }

    #[test]
    fn providers_that_exist_are_listed() {
        // Contract: each provider is known by its name; another name is refused with those that
        // there are.
        for provider in Provider::ALL {
            assert_eq!(parse(&["--provider", provider.name()]).unwrap().provider, provider);
        }
        let message = parse(&["--provider", "abacus"]).err().unwrap().to_string();
        assert!(message.contains("abacus"), "{message}");
        for provider in Provider::ALL {
            assert!(message.contains(provider.name()), "{message}");
        }
    }

    #[test]
    fn what_is_not_published_is_told() {
        // Contract: a provider without a package for this platform, and a version that is not known,
        // are refused before anything is fetched, with what there is.
        for provider in Provider::ALL {
            let known = Package::of(provider).next();
            let command = parse(&["--provider", provider.name()]).unwrap();
            match (known, command.packages()) {
                (Some(_), packages) => assert!(!packages.unwrap().is_empty()),
                (None, packages) => {
                    let message = packages.unwrap_err().to_string();
                    assert!(message.contains(&provider.to_string()), "{message}");
                    assert!(message.contains(&platforms(provider)), "{message}");
                }
            }
        }
        if Package::of(Provider::Cpu).next().is_some() {
            let command = parse(&["--version", "0.9.0"]).unwrap();
            let message = command.packages().unwrap_err().to_string();
            assert!(message.contains("0.9.0") && message.contains(VERSION), "{message}");
        }
    }
}
