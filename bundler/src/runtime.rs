//! `cargo xtask runtime`: downloads ONNX Runtime from its official packages and checks it.
//!
//! The library comes from the Python package `onnxruntime`, fetched by pip, or from the npm package
//! `onnxruntime-node`. Both clients only download; nothing of the packages is run.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    apt::{self, Apt},
    checksum::digest,
    platform::System,
    training_runtime,
    workspace::{self, beside, output_of, replace},
};

/// The version that is fetched and shipped.
pub const VERSION: &str = "1.32.0";

/// SHA-256 of the libraries that are accepted: version, system, architecture, source, digest.
///
/// All wheels of one version and platform hold the same library, whatever their Python version.
const PINNED: &[(&str, System, &str, Source, &str)] = &[
    (
        "1.32.0",
        System::Linux,
        "x86_64",
        Source::Pip,
        "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
    ),
    (
        "1.32.0",
        System::Linux,
        "aarch64",
        Source::Pip,
        "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
    ),
    (
        "1.32.0",
        System::MacOs,
        "aarch64",
        Source::Pip,
        "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
    ),
    (
        "1.32.0",
        System::Windows,
        "x86_64",
        Source::Pip,
        "e9feebaed867b76f741c14ae64e056a3da64a153a61994f1fb48eadc7f9b3ba8",
    ),
    (
        "1.30.0",
        System::Linux,
        "x86_64",
        Source::Npm,
        "ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23",
    ),
    (
        "1.30.0",
        System::Linux,
        "aarch64",
        Source::Npm,
        "1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76",
    ),
    (
        "1.30.0",
        System::MacOs,
        "aarch64",
        Source::Npm,
        "685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d",
    ),
    (
        "1.30.0",
        System::Windows,
        "x86_64",
        Source::Npm,
        "508c362f5673483dd3a086379c392795b2e42d10d5e6f3f90ebd7ac21c97af67",
    ),
    (
        "1.30.0",
        System::Windows,
        "aarch64",
        Source::Npm,
        "6c3a2abf5c6aca11c48a0d338a91af309f2266f25ce2e4084e6a87bbcb0fbfd0",
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Pip,
    Npm,
}

/// Download ONNX Runtime, check it, and put it into `target/runtime`.
#[derive(clap::Args, Clone, Debug)]
pub struct RuntimeCommand {
    /// Version of ONNX Runtime.
    #[arg(long, default_value = VERSION)]
    pub version: String,
    /// Download the official training build, 1.19.2, into `target/runtime-training` instead.
    #[arg(long, conflicts_with_all = ["version", "onnxruntime"])]
    pub training: bool,
    /// Where it comes from.
    #[command(flatten)]
    pub origin: Origin,
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
    /// Gets the version that is shipped.
    ///
    /// # Errors
    /// As [`RuntimeCommand::run`].
    pub fn get(&self) -> Result<PathBuf> {
        let origin = self.clone();
        RuntimeCommand { version: VERSION.to_owned(), training: false, origin }.run()
    }
}

impl RuntimeCommand {
    /// Makes sure that `target/runtime` holds a checked library, and gives the folder.
    ///
    /// # Errors
    /// When no package source can be reached or the library's digest is wrong; the message says
    /// what was tried and what to do.
    pub fn run(&self) -> Result<PathBuf> {
        if self.training {
            return training_runtime::get(self.origin.no_install);
        }
        let folder = folder();
        let library = folder.join(System::host().library("onnxruntime"));
        let variable = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
        if let Some(path) = self.origin.onnxruntime.clone().or(variable.map(PathBuf::from)) {
            let given = library_at(&path)?;
            if !same_file(&given, &library) {
                install_given(&given, &folder)?;
            }
            println!("runtime: {} (given)", library.display());
            return Ok(folder);
        }
        if library.is_file() && self.accepts(&digest(&library)?) {
            println!("runtime: {} is there and checked", library.display());
            return Ok(folder);
        }
        ensure!(
            self.pins().next().is_some(),
            "no digest of ONNX Runtime {} for this platform is known; pass your own library with --onnxruntime",
            self.version
        );
        let mut tried = String::new();
        for attempt in 0..2 {
            for source in [Source::Pip, Source::Npm] {
                match self.fetch(source, &folder) {
                    Ok(version) => {
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
        bail!(
            "cannot get ONNX Runtime:\n{tried}install pip or npm, check the network, or pass your own library with --onnxruntime"
        )
    }

    fn pins(
        &self,
    ) -> impl Iterator<Item = &'static (&'static str, System, &'static str, Source, &'static str)>
    {
        PINNED.iter().filter(|(version, system, architecture, source, _)| {
            *system == System::host()
                && *architecture == std::env::consts::ARCH
                && (*version == self.version || (self.version == VERSION && *source == Source::Npm))
        })
    }

    fn accepts(&self, digest: &str) -> bool {
        self.pins().any(|(.., pinned)| *pinned == digest)
    }

    fn fetch(&self, source: Source, folder: &Path) -> Result<&'static str> {
        let &(version, .., expected) = self
            .pins()
            .find(|(.., pinned_source, _)| *pinned_source == source)
            .with_context(|| format!("{source:?} has no pinned library of this version"))?;
        let staging = beside(folder)?;
        let download = staging.path().join("download");
        let prepared = staging.path().join("runtime");
        fs::create_dir(&download)?;
        fs::create_dir(&prepared)?;
        println!("runtime: fetching ONNX Runtime {version} with {}", source.client());
        match source {
            Source::Pip => from_pip(version, &download, &prepared)?,
            Source::Npm => from_npm(version, &download, &prepared)?,
        }
        let library = prepared.join(System::host().library("onnxruntime"));
        let found = digest(&library)?;
        ensure!(
            found == expected,
            "the library that {} brought has the SHA-256 {found}, {expected} was expected; it is not used",
            source.client()
        );
        replace(&prepared, folder)?;
        Ok(version)
    }
}

impl Source {
    fn client(self) -> &'static str {
        match self {
            Self::Pip => "pip",
            Self::Npm => "npm",
        }
    }
}

/// The folder that programs and tests of the workspace find the runtime in.
pub fn folder() -> PathBuf {
    workspace::target().join("runtime")
}

/// Whether [`folder`] holds a library whose digest is pinned.
///
/// # Errors
/// When the library cannot be read.
pub fn is_checked(library: &Path) -> Result<bool> {
    let digest = digest(library)?;
    Ok(PINNED.iter().any(|(.., pinned)| *pinned == digest))
}

fn from_pip(version: &str, download: &Path, prepared: &Path) -> Result<()> {
    // The wheel is named by platform, so any Python fetches the same one.
    let platform = match (System::host(), std::env::consts::ARCH) {
        (System::Linux, architecture) => format!("manylinux_2_28_{architecture}"),
        (System::MacOs, _) => "macosx_14_0_arm64".to_owned(),
        (System::Windows, _) => "win_amd64".to_owned(),
    };
    output_of(
        Command::new(if System::host() == System::Windows { "python" } else { "python3" })
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"])
            .args(["--disable-pip-version-check", "--implementation", "cp"])
            .args(["--python-version", "3.12", "--abi", "cp312", "--platform", &platform])
            .arg("--dest")
            .arg(download)
            .arg(format!("onnxruntime=={version}")),
    )?;
    let wheel = only_file(download)?;
    let file = File::open(&wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
    let mut archive =
        zip::ZipArchive::new(file).with_context(|| format!("{} is no wheel", wheel.display()))?;
    let library = System::host().library("onnxruntime");
    let mut unpacked = 0;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).context("the wheel is damaged")?;
        let name = entry.name()?.into_owned();
        let file = match name.strip_prefix("onnxruntime/").unwrap_or_default() {
            notice @ ("LICENSE" | "ThirdPartyNotices.txt") => format!("onnxruntime-{notice}"),
            file if file.strip_prefix("capi/").is_some_and(is_library_name) => library.clone(),
            _ => continue,
        };
        let mut output = File::create(prepared.join(file))?;
        io::copy(&mut entry, &mut output).with_context(|| format!("cannot unpack {name}"))?;
        unpacked += 1;
    }
    ensure!(unpacked == 3, "{} does not hold library, licence and notices", wheel.display());
    Ok(())
}

fn from_npm(version: &str, download: &Path, prepared: &Path) -> Result<()> {
    let npm = if System::host() == System::Windows { "npm.cmd" } else { "npm" };
    output_of(
        Command::new(npm)
            .args(["pack", "--silent", &format!("onnxruntime-node@{version}")])
            .current_dir(download),
    )?;
    let package = only_file(download)?;
    let (system, architecture) = match (System::host(), std::env::consts::ARCH) {
        (System::Linux, "aarch64") => ("linux", "arm64"),
        (System::Linux, _) => ("linux", "x64"),
        (System::MacOs, _) => ("darwin", "arm64"),
        (System::Windows, "aarch64") => ("win32", "arm64"),
        (System::Windows, _) => ("win32", "x64"),
    };
    let inside = format!("package/bin/napi-v6/{system}/{architecture}");
    output_of(Command::new("tar").arg("-xzf").arg(&package).arg("-C").arg(download).arg(&inside))?;
    let folder = download.join(inside);
    let entries =
        fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let library = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library_name))
        .with_context(|| format!("{} holds no ONNX Runtime library", package.display()))?;
    fs::rename(library, prepared.join(System::host().library("onnxruntime")))?;
    // The package carries no licence text of its own.
    let licence = workspace::root().join("licences/onnxruntime-LICENSE");
    workspace::copy(&licence, &prepared.join("onnxruntime-LICENSE"))?;
    fs::write(
        prepared.join("onnxruntime-ThirdPartyNotices.txt"),
        format!("https://github.com/microsoft/onnxruntime/blob/v{version}/ThirdPartyNotices.txt\n"),
    )?;
    Ok(())
}

/// Whether a file is ONNX Runtime itself, under a plain or a versioned name, and none of the
/// libraries around it.
fn is_library_name(name: &str) -> bool {
    match System::host() {
        System::Linux => name.starts_with("libonnxruntime.so"),
        System::MacOs => name.starts_with("libonnxruntime.") && name.ends_with(".dylib"),
        System::Windows => name == "onnxruntime.dll",
    }
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let file = files.next().context("the download is empty")?;
    ensure!(files.next().is_none(), "the download holds more than one file");
    Ok(file)
}

/// The library that a path means: itself, or the one in the folder.
fn library_at(path: &Path) -> Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    let entries = fs::read_dir(path).with_context(|| {
        format!("there is no ONNX Runtime library at {}; check the path", path.display())
    })?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|file| file.file_name().and_then(|name| name.to_str()).is_some_and(is_library_name))
        .with_context(|| format!("{} holds no ONNX Runtime library", path.display()))
}

fn install_given(library: &Path, folder: &Path) -> Result<()> {
    // Refuses what is no ONNX Runtime or too old.
    interlude_models::runtime::Runtime::start(Some(library))?;
    let staging = beside(folder)?;
    let prepared = staging.path().join("runtime");
    workspace::copy(library, &prepared.join(System::host().library("onnxruntime")))?;
    let licence = workspace::root().join("licences/onnxruntime-LICENSE");
    workspace::copy(&licence, &prepared.join("onnxruntime-LICENSE"))?;
    replace(&prepared, folder)
}

fn same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named() {
        // Contract: a path without a library is refused with the path in the message.
        let origin = Origin { onnxruntime: Some("/no/such/library".into()), ..Origin::default() };
        let message = format!("{:#}", origin.get().unwrap_err());
        assert!(message.contains("/no/such/library"), "{message}");
    }

    #[test]
    fn libraries_around_the_runtime_are_not_taken_for_it() {
        // Contract: of the files in the packages only the runtime's own library is recognised.
        let name = System::host().library("onnxruntime");
        assert!(is_library_name(&name));
        assert!(!is_library_name(&System::host().library("onnxruntime_providers_shared")));
    }
}
