//! The official packages of ONNX Runtime that are accepted, and how their libraries are taken out.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use interlude_models::runtime::Provider;

use crate::{
    checksum::digest,
    platform::System,
    workspace::{self, beside, output_of, replace},
};

/// A package for one provider and platform.
///
/// All wheels of one version and platform hold the same libraries, whatever their Python version.
#[derive(Clone, Copy, Debug)]
pub(super) struct Package {
    pub(super) provider: Provider,
    /// Version of ONNX Runtime in it.
    pub(super) version: &'static str,
    pub(super) system: System,
    pub(super) architecture: &'static str,
    pub(super) source: Source,
    /// The libraries that are taken, without the platform's prefix and suffix, and the SHA-256 of
    /// each; the runtime itself comes first.
    pub(super) libraries: &'static [(&'static str, &'static str)],
}

/// Where a package is published, and its name there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Pip(&'static str),
    Npm(&'static str),
}

/// Name of the runtime's own library.
pub(super) const RUNTIME: &str = "onnxruntime";

/// All packages; of those for one provider and platform the first that can be had is taken.
pub(super) const PACKAGES: &[Package] = &[
    Package {
        provider: Provider::Cpu,
        version: "1.32.0",
        system: System::Linux,
        architecture: "x86_64",
        source: Source::Pip("onnxruntime"),
        libraries: &[(
            "onnxruntime",
            "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
        )],
    },
    Package {
        provider: Provider::Cpu,
        version: "1.32.0",
        system: System::Linux,
        architecture: "aarch64",
        source: Source::Pip("onnxruntime"),
        libraries: &[(
            "onnxruntime",
            "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
        )],
    },
    Package {
        provider: Provider::Cpu,
        version: "1.32.0",
        system: System::MacOs,
        architecture: "aarch64",
        source: Source::Pip("onnxruntime"),
        libraries: &[(
            "onnxruntime",
            "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
        )],
    },
    Package {
        provider: Provider::Cpu,
        version: "1.32.0",
        system: System::Windows,
        architecture: "x86_64",
        source: Source::Pip("onnxruntime"),
        libraries: &[(
            "onnxruntime",
            "e9feebaed867b76f741c14ae64e056a3da64a153a61994f1fb48eadc7f9b3ba8",
        )],
    },
    Package {
        provider: Provider::Cpu,
        version: "1.30.0",
        system: System::Linux,
        architecture: "x86_64",
        source: Source::Npm("onnxruntime-node"),
        libraries: &[(
            "onnxruntime",
            "ffb75a925ba05e47b235bb66e3e3911714a80b328a9c9425539feb204aa32a23",
        )],
    },
    Package {
        provider: Provider::Cpu,
        version: "1.30.0",
        system: System::Linux,
        architecture: "aarch64",
        source: Source::Npm("onnxruntime-node"),
        libraries: &[(
            "onnxruntime",
            "1f549d46250b005580b597f4164984aaf75b3bcb9f3aeb07c7f8a8fe60b23c76",
        )],
    },
    Package {
        provider: Provider::Cpu,
        version: "1.30.0",
        system: System::MacOs,
        architecture: "aarch64",
        source: Source::Npm("onnxruntime-node"),
        libraries: &[(
            "onnxruntime",
            "685d2be5dba1309c89d3a5324b7fd06a5c42f1a61bfea32d14c4cc28d072121d",
        )],
    },
    Package {
        provider: Provider::Cpu,
        version: "1.30.0",
        system: System::Windows,
        architecture: "x86_64",
        source: Source::Npm("onnxruntime-node"),
        libraries: &[(
            "onnxruntime",
            "508c362f5673483dd3a086379c392795b2e42d10d5e6f3f90ebd7ac21c97af67",
        )],
    },
    Package {
        provider: Provider::Cpu,
        version: "1.30.0",
        system: System::Windows,
        architecture: "aarch64",
        source: Source::Npm("onnxruntime-node"),
        libraries: &[(
            "onnxruntime",
            "6c3a2abf5c6aca11c48a0d338a91af309f2266f25ce2e4084e6a87bbcb0fbfd0",
        )],
    },
    Package {
        provider: Provider::Cuda,
        version: "1.31.1",
        system: System::Linux,
        architecture: "x86_64",
        source: Source::Pip("onnxruntime-gpu"),
        libraries: &[
            ("onnxruntime", "5104254339ecadae808da771bd0b63b240f0dbd466514234905e54372435c303"),
            (
                "onnxruntime_providers_shared",
                "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d",
            ),
            (
                "onnxruntime_providers_cuda",
                "8387867e857499e045caff5d13ac6a5de29571c801562fa2dde0e45f1f31de52",
            ),
        ],
    },
    Package {
        provider: Provider::Cuda,
        version: "1.31.1",
        system: System::Windows,
        architecture: "x86_64",
        source: Source::Pip("onnxruntime-gpu"),
        libraries: &[
            ("onnxruntime", "7ce20366f6d5981081bb8bbc0aff757e055e6d0d09c2237cbb2143740cc8658f"),
            (
                "onnxruntime_providers_shared",
                "cb48721ca5b33cc827956f07f9900aa886052a839b2b18a1c11f036a2ebc5c5c",
            ),
            (
                "onnxruntime_providers_cuda",
                "ebb99d5c0b451ff0b67032df80b4e9f442488d9bab1b5eeab68fc1613c1fab96",
            ),
        ],
    },
    Package {
        provider: Provider::DirectMl,
        version: "1.24.4",
        system: System::Windows,
        architecture: "x86_64",
        source: Source::Pip("onnxruntime-directml"),
        libraries: &[
            ("onnxruntime", "302c69f9779d63ef4ab90316e59444c4acbaca7fe3455020d79d10bcfcb00715"),
            (
                "onnxruntime_providers_shared",
                "f6bbae3af4c0673b0d1e6ca8db900dc85ad959a395b69d361038ec7995cc2652",
            ),
            ("DirectML", "b73972115320e906a49602f2027a3266622881b0d325ba685e0f165a9482a8d7"),
        ],
    },
];

impl Source {
    /// The client that fetches it.
    pub(super) fn client(self) -> &'static str {
        match self {
            Self::Pip(_) => "pip",
            Self::Npm(_) => "npm",
        }
    }
}

impl Package {
    /// The packages of a provider for this platform.
    pub(super) fn of(provider: Provider) -> impl Iterator<Item = &'static Self> {
        PACKAGES.iter().filter(move |package| {
            package.provider == provider
                && package.system == System::host()
                && package.architecture == std::env::consts::ARCH
        })
    }

    /// Whether a folder holds its libraries, each with its digest.
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        self.check(folder).is_ok()
    }

    /// Fetches the package and puts its libraries where `folder` is. What was there stays when it
    /// cannot be fetched, or a library is not the one that is pinned.
    pub(super) fn fetch(&self, folder: &Path) -> Result<()> {
        let staging = beside(folder)?;
        let download = staging.path().join("download");
        fs::create_dir(&download)?;
        println!("runtime: fetching ONNX Runtime {} with {}", self.version, self.source.client());
        match self.source {
            Source::Pip(name) => {
                pip_download(&format!("{name}=={}", self.version), &download)?;
                self.put(folder, |prepared| self.unpack_wheel(&only_file(&download)?, prepared))
            }
            Source::Npm(name) => {
                npm_download(&format!("{name}@{}", self.version), &download)?;
                self.put(folder, |prepared| self.unpack_npm(&download, prepared))
            }
        }
    }

    /// Prepares a folder, checks it, and puts it in its place.
    fn put(&self, folder: &Path, prepare: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        let staging = beside(folder)?;
        let prepared = staging.path().join("runtime");
        fs::create_dir(&prepared)?;
        prepare(&prepared)?;
        self.check(&prepared)?;
        replace(&prepared, folder)
    }

    fn check(&self, folder: &Path) -> Result<()> {
        for (name, expected) in self.libraries {
            let file = System::host().library(name);
            let found = digest(&folder.join(&file))?;
            ensure!(
                found == *expected,
                "the {file} that {} brought has the SHA-256 {found}, {expected} was expected; it is not used",
                self.source.client()
            );
        }
        Ok(())
    }

    /// Takes libraries, licence and notices out of a wheel.
    fn unpack_wheel(&self, wheel: &Path, prepared: &Path) -> Result<()> {
        let file = File::open(wheel).with_context(|| format!("cannot read {}", wheel.display()))?;
        let mut archive = zip::ZipArchive::new(file)
            .with_context(|| format!("{} is no wheel", wheel.display()))?;
        let mut unpacked = 0;
        for index in 0..archive.len() {
            let mut entry = archive.by_index(index).context("the wheel is damaged")?;
            let name = entry.name()?.into_owned();
            let file = match name.strip_prefix("onnxruntime/").unwrap_or_default() {
                notice @ ("LICENSE" | "ThirdPartyNotices.txt") => format!("onnxruntime-{notice}"),
                file => match file.strip_prefix("capi/").and_then(|file| self.library(file)) {
                    Some(library) => library,
                    None => continue,
                },
            };
            let mut output = File::create(prepared.join(file))?;
            io::copy(&mut entry, &mut output).with_context(|| format!("cannot unpack {name}"))?;
            unpacked += 1;
        }
        ensure!(
            unpacked == self.libraries.len() + 2,
            "{} does not hold libraries, licence and notices",
            wheel.display()
        );
        Ok(())
    }

    /// The name that a file of the package gets, where it is one of the libraries.
    fn library(&self, file: &str) -> Option<String> {
        if is_runtime(file) {
            return Some(System::host().library(RUNTIME));
        }
        let names = self.libraries.iter().map(|(name, _)| System::host().library(name));
        names.into_iter().find(|name| name == file)
    }

    fn unpack_npm(&self, download: &Path, prepared: &Path) -> Result<()> {
        let package = only_file(download)?;
        let (system, architecture) = match (System::host(), std::env::consts::ARCH) {
            (System::Linux, "aarch64") => ("linux", "arm64"),
            (System::Linux, _) => ("linux", "x64"),
            (System::MacOs, _) => ("darwin", "arm64"),
            (System::Windows, "aarch64") => ("win32", "arm64"),
            (System::Windows, _) => ("win32", "x64"),
        };
        let inside = format!("package/bin/napi-v6/{system}/{architecture}");
        output_of(
            Command::new("tar").arg("-xzf").arg(&package).arg("-C").arg(download).arg(&inside),
        )?;
        let library = library_in(&download.join(inside))?
            .with_context(|| format!("{} holds no ONNX Runtime library", package.display()))?;
        fs::rename(library, prepared.join(System::host().library(RUNTIME)))?;
        // The package carries no licence text of its own.
        let licence = workspace::root().join("licences/onnxruntime-LICENSE");
        workspace::copy(&licence, &prepared.join("onnxruntime-LICENSE"))?;
        fs::write(
            prepared.join("onnxruntime-ThirdPartyNotices.txt"),
            format!(
                "https://github.com/microsoft/onnxruntime/blob/v{}/ThirdPartyNotices.txt\n",
                self.version
            ),
        )?;
        Ok(())
    }
}

fn pip_download(requirement: &str, download: &Path) -> Result<()> {
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
            .arg(requirement),
    )?;
    Ok(())
}

fn npm_download(requirement: &str, download: &Path) -> Result<()> {
    let npm = if System::host() == System::Windows { "npm.cmd" } else { "npm" };
    let mut command = Command::new(npm);
    output_of(command.args(["pack", "--silent", requirement]).current_dir(download))?;
    Ok(())
}

/// Whether a file is ONNX Runtime itself, under a plain or a versioned name, and none of the
/// libraries around it.
fn is_runtime(name: &str) -> bool {
    match System::host() {
        System::Linux => name.starts_with("libonnxruntime.so"),
        System::MacOs => name.starts_with("libonnxruntime.") && name.ends_with(".dylib"),
        System::Windows => name == "onnxruntime.dll",
    }
}

/// ONNX Runtime's own library in a folder.
pub(super) fn library_in(folder: &Path) -> Result<Option<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let is_it =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(is_runtime);
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path())).find(is_it))
}

fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut files = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let file = files.next().context("the download is empty")?;
    ensure!(files.next().is_none(), "the download holds more than one file");
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn libraries_around_the_runtime_are_not_taken_for_it() {
        // Contract: of the files in the packages only the runtime's own library is recognised, and of
        // the others those that the package lists.
        let name = System::host().library(RUNTIME);
        let shared = System::host().library("onnxruntime_providers_shared");
        assert!(is_runtime(&name) && !is_runtime(&shared));
        for package in PACKAGES {
            assert_eq!(package.library(&name).as_deref(), Some(name.as_str()));
            let taken = package.library(&shared).is_some();
            assert_eq!(taken, package.provider != Provider::Cpu, "{package:?}");
            assert_eq!(
                package.library(&System::host().library("onnxruntime_providers_tensorrt")),
                None
            );
        }
    }

    #[test]
    fn packages_are_whole() {
        // Contract: each package begins with the runtime, and every library has a SHA-256; every
        // provider has a package for some platform.
        for package in PACKAGES {
            assert_eq!(package.libraries[0].0, RUNTIME, "{package:?}");
            let digits = |digest: &str| {
                digest.len() == 64 && digest.bytes().all(|byte| b"0123456789abcdef".contains(&byte))
            };
            assert!(package.libraries.iter().all(|(_, digest)| digits(digest)), "{package:?}");
        }
        for provider in Provider::ALL {
            assert!(PACKAGES.iter().any(|package| package.provider == provider), "{provider}");
        }
    }

    /// A wheel with these files.
    fn wheel(path: &Path, files: &[(String, &[u8])]) {
        let mut archive = zip::ZipWriter::new(File::create(path).unwrap());
        for (name, bytes) in files {
            archive.start_file(name.as_str(), zip::write::SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap();
    }

    #[test]
    fn a_wrong_checksum_leaves_what_was_there() {
        // Contract: a library with another digest, or one that is missing, is told by its name, and
        // the folder keeps what it held; libraries that fit take its place, all of them.
        const LIBRARIES: &[(&str, &str)] = &[
            // SHA-256 of `abc` (FIPS 180-2, appendix B.1) and of nothing.
            ("onnxruntime", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
            (
                "onnxruntime_providers_cuda",
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            ),
        ];
        let package = Package {
            provider: Provider::Cuda,
            version: "1.0.0",
            system: System::host(),
            architecture: std::env::consts::ARCH,
            source: Source::Pip("onnxruntime-gpu"),
            libraries: LIBRARIES,
        };
        let place = tempfile::tempdir().unwrap();
        let (file, folder) = (place.path().join("a.whl"), place.path().join("runtime"));
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("old"), "old").unwrap();
        let [runtime, cuda] = [0, 1].map(|index| System::host().library(LIBRARIES[index].0));
        let inside = |file: &str| format!("onnxruntime/{file}");
        let wheel_of = |runtime_bytes: &'static [u8], with_cuda: bool| {
            let mut files = vec![
                (inside("LICENSE"), &b"free"[..]),
                (inside("ThirdPartyNotices.txt"), b"others"),
                (inside(&format!("capi/{runtime}")), runtime_bytes),
                (inside("capi/training.py"), b"print()"),
            ];
            if with_cuda {
                files.push((inside(&format!("capi/{cuda}")), b""));
            }
            wheel(&file, &files);
            package.put(&folder, |prepared| package.unpack_wheel(&file, prepared))
        };
        for (bytes, with_cuda, word) in
            [(&b"abd"[..], true, runtime.as_str()), (b"abc", false, "a.whl")]
        {
            let message = format!("{:#}", wheel_of(bytes, with_cuda).unwrap_err());
            assert!(message.contains(word), "{message}");
            assert!(folder.join("old").is_file() && !folder.join(&runtime).exists());
        }
        wheel_of(b"abc", true).unwrap();
        assert!(package.is_in(&folder) && !folder.join("old").exists());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 4);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "nothing is left beside it");
    }
}
