//! Differences between operating systems: names of libraries, layouts of bundles, user folders.
//!
//! Linux is built and tested. The layouts of macOS and Windows follow the documentation of CLAP and
//! VST3 and are untested.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// An operating system that Interlude is laid out for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux.
    Linux,
    /// macOS; untested.
    MacOs,
    /// Windows; untested.
    Windows,
}

impl System {
    /// The system that this program was built for; anything that is neither macOS nor Windows is
    /// treated as Linux.
    pub const fn host() -> Self {
        if cfg!(target_os = "macos") {
            Self::MacOs
        } else if cfg!(target_os = "windows") {
            Self::Windows
        } else {
            Self::Linux
        }
    }

    /// File name of a dynamic library.
    pub fn library(self, name: &str) -> String {
        match self {
            Self::Linux => format!("lib{name}.so"),
            Self::MacOs => format!("lib{name}.dylib"),
            Self::Windows => format!("{name}.dll"),
        }
    }

    /// The CLAP and VST3 bundles in a folder.
    pub fn bundles(self, folder: &Path) -> [Bundle; 2] {
        let clap = folder.join("Interlude.clap");
        let vst3 = folder.join("Interlude.vst3");
        let contents = vst3.join("Contents");
        let clap_contents = clap.join("Contents");
        match self {
            Self::Linux => [
                Bundle::with_folder_beside(clap),
                Bundle {
                    binary: contents.join(architecture_folder("linux")).join("Interlude.so"),
                    resources: contents.join("Resources"),
                    property_list: None,
                    parts: vec![vst3],
                },
            ],
            Self::MacOs => {
                [(clap, clap_contents), (vst3, contents)].map(|(bundle, contents)| Bundle {
                    binary: contents.join("MacOS").join("Interlude"),
                    resources: contents.join("Resources"),
                    property_list: Some(contents.join("Info.plist")),
                    parts: vec![bundle],
                })
            }
            Self::Windows => [
                Bundle::with_folder_beside(clap),
                Bundle {
                    binary: contents.join(architecture_folder("win")).join("Interlude.vst3"),
                    resources: contents.join("Resources"),
                    property_list: None,
                    parts: vec![vst3],
                },
            ],
        }
    }

    /// The user's own folders for CLAP and VST3 plug-ins.
    ///
    /// # Errors
    /// When the environment does not say where the user's files are.
    pub fn plugin_folders(self) -> Result<[PathBuf; 2]> {
        Ok(match self {
            Self::Linux => {
                let home = variable("HOME")?;
                [home.join(".clap"), home.join(".vst3")]
            }
            Self::MacOs => {
                let plugins = variable("HOME")?.join("Library/Audio/Plug-Ins");
                [plugins.join("CLAP"), plugins.join("VST3")]
            }
            Self::Windows => {
                let common = variable("LOCALAPPDATA")?.join("Programs").join("Common");
                [common.join("CLAP"), common.join("VST3")]
            }
        })
    }
}

/// Where the parts of one bundle go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The plug-in's library.
    pub binary: PathBuf,
    /// The folder with `runtime`, `models` and the licences.
    pub resources: PathBuf,
    /// `Info.plist`, where the system wants one.
    pub property_list: Option<PathBuf>,
    /// All files and folders at the top that make up the bundle, the one that hosts look for last.
    pub parts: Vec<PathBuf>,
}

impl Bundle {
    /// A bundle that is one file, with its resources in a folder beside it.
    pub(crate) fn with_folder_beside(file: PathBuf) -> Self {
        let resources = file.with_extension("resources");
        Self {
            binary: file.clone(),
            resources: resources.clone(),
            property_list: None,
            parts: vec![resources, file],
        }
    }
}

/// Folder of a VST3 binary: `x86_64-linux`, `arm64-win` and so on, by the VST3 documentation.
fn architecture_folder(system: &str) -> String {
    let arch = match (std::env::consts::ARCH, system) {
        ("aarch64", "win") => "arm64",
        (arch, _) => arch,
    };
    format!("{arch}-{system}")
}

fn variable(name: &str) -> Result<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from).with_context(|| {
        format!("the environment variable {name} is not set; set it to the folder with your files")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_bundle_lies_in_its_folder() {
        // Contract: on each system binary and resources lie inside of the parts that are installed.
        for system in [System::Linux, System::MacOs, System::Windows] {
            for bundle in system.bundles(Path::new("out")) {
                for path in [&bundle.binary, &bundle.resources] {
                    assert!(
                        bundle.parts.iter().any(|part| path.starts_with(part)),
                        "{} on {system:?}",
                        path.display()
                    );
                }
            }
        }
    }
}
