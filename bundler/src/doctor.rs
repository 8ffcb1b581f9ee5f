//! `cargo xtask doctor`: checks this machine's dependencies, with the command that installs what is
//! missing.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{
    apt::{Apt, runs},
    platform::System,
    runtime,
    workspace::{self, MODEL, output_of},
};

/// Programs needed for building, testing or downloading, with the Debian package of each.
///
/// Windows and sound libraries are opened at run time, so no development packages are needed; the
/// stand-alone program is the exception (see [`STANDALONE`]).
const PROGRAMS: &[(&str, &str, &str)] = &[("cc", "gcc", "links every Rust program")];

/// Libraries that the plug-in's editor opens at run time, with the Debian package of each. Systems
/// with a desktop have them; without them only the editor does not open.
const EDITOR: &[(&str, &str)] = &[
    ("libGL.so.1", "libgl1"),
    ("libX11.so.6", "libx11-6"),
    ("libX11-xcb.so.1", "libx11-xcb1"),
    ("libXcursor.so.1", "libxcursor1"),
];

/// The program that finds them, with its Debian package of the same name.
const PKG_CONFIG: &str = "pkg-config";
/// pkg-config modules that only the feature `standalone` needs, with their Debian packages.
const STANDALONE: &[(&str, &str)] = &[("alsa", "libasound2-dev"), ("jack", "libjack-jackd2-dev")];

/// What only the feature `mpi` of the trainer needs: a command that shows it is there, with its
/// Debian package.
const MPI: &[(&str, &[&str], &str)] =
    &[("mpirun", &["--version"], "openmpi-bin"), ("mpicc", &["--version"], "libopenmpi-dev")];

/// Show what is missing on this machine and the command that installs it.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Doctor {
    /// Install what is missing, where that needs no password.
    #[arg(long)]
    pub fix: bool,
    /// Also check the dependencies of the stand-alone program, the editor and training by MPI.
    #[arg(long)]
    pub all: bool,
}

/// Result of one check.
struct Finding {
    name: String,
    /// What is there, or what is missing.
    state: std::result::Result<String, String>,
    remedy: Remedy,
}

enum Remedy {
    Package(&'static str),
    Command(&'static str),
}

impl Doctor {
    /// Prints the findings, and installs what is missing when asked to.
    ///
    /// # Errors
    /// When something that building and playing needs is missing (after mending, if asked for).
    pub fn run(&self) -> Result<()> {
        let mut findings = self.examine();
        if self.fix && findings.iter().any(|finding| finding.state.is_err()) {
            mend(&findings)?;
            findings = self.examine();
        }
        let mut packages = Vec::new();
        let mut commands = Vec::new();
        for finding in &findings {
            match &finding.state {
                Ok(detail) => println!("  ok       {:<18} {detail}", finding.name),
                Err(reason) => {
                    println!("  missing  {:<18} {reason}", finding.name);
                    match finding.remedy {
                        Remedy::Package(package) => packages.push(package),
                        Remedy::Command(command) => commands.push(command.to_owned()),
                    }
                }
            }
        }
        if !packages.is_empty() {
            let command = Apt::find().map_or_else(
                || format!("install what your system calls: {}", packages.join(" ")),
                |apt| apt.command(&packages),
            );
            commands.insert(0, command);
        }
        if findings.iter().all(|finding| finding.state.is_ok()) {
            return Ok(());
        }
        commands.dedup();
        println!("to mend it:");
        for command in &commands {
            println!("  {command}");
        }
        bail!("something is missing, see above")
    }

    fn examine(&self) -> Vec<Finding> {
        let mut findings = vec![rust()];
        for &(program, package, purpose) in PROGRAMS {
            findings.push(Finding {
                name: program.to_owned(),
                state: if runs(program, &["--version"]) {
                    Ok(purpose.to_owned())
                } else {
                    Err(purpose.to_owned())
                },
                remedy: Remedy::Package(package),
            });
        }
        findings.push(onnx_runtime());
        findings.push(model());
        if self.all && System::host() == System::Linux {
            findings.extend(editor().chain(standalone()));
            let mpi = MPI
                .iter()
                .map(|&(program, arguments, package)| (program, runs(program, arguments), package));
            let clang = ("libclang", has_library("libclang"), "libclang-dev");
            findings.extend(mpi.chain([clang]).map(|(name, found, package)| {
                let purpose = "for training by several processes (feature `mpi`)".to_owned();
                let state = if found { Ok(purpose) } else { Err(purpose) };
                Finding { name: name.to_owned(), state, remedy: Remedy::Package(package) }
            }));
        }
        findings
    }
}

/// What the editor's window opens at run time.
fn editor() -> impl Iterator<Item = Finding> {
    EDITOR.iter().map(|&(library, package)| {
        let purpose = "the editor opens it".to_owned();
        let state = if has_library(library) { Ok(purpose) } else { Err(purpose) };
        Finding { name: library.to_owned(), state, remedy: Remedy::Package(package) }
    })
}

/// What only the stand-alone program is built with.
fn standalone() -> impl Iterator<Item = Finding> {
    let finder = (PKG_CONFIG, runs(PKG_CONFIG, &["--version"]), PKG_CONFIG);
    let modules = STANDALONE
        .iter()
        .map(|&(module, package)| (module, runs(PKG_CONFIG, &["--exists", module]), package));
    std::iter::once(finder).chain(modules).map(|(name, found, package)| {
        let purpose = "for the stand-alone program".to_owned();
        let state = if found { Ok(purpose) } else { Err(purpose) };
        Finding { name: name.to_owned(), state, remedy: Remedy::Package(package) }
    })
}

/// Makes sure that the stand-alone program can be built and, with `window`, show its window:
/// installs what is missing where `install` allows it and no password is needed.
///
/// # Errors
/// When something is missing; the message has the command that installs it.
pub(crate) fn ready_for_standalone(install: bool, window: bool) -> Result<()> {
    if System::host() != System::Linux {
        return Ok(());
    }
    let missing = || {
        let wanted = standalone().chain(editor().filter(|_| window));
        let missing = wanted.filter(|finding| finding.state.is_err());
        missing
            .filter_map(|finding| match finding.remedy {
                Remedy::Package(package) => Some(package),
                Remedy::Command(_) => None,
            })
            .collect::<Vec<_>>()
    };
    let mut packages = missing();
    if packages.is_empty() {
        return Ok(());
    }
    let apt = Apt::find();
    if let Some(apt) = apt.as_ref().filter(|apt| install && apt.may_install()) {
        apt.install(&packages)?;
        packages = missing();
        if packages.is_empty() {
            return Ok(());
        }
    }
    match apt {
        Some(apt) => bail!(
            "the stand-alone program needs packages that are missing; run `{}`",
            apt.command(&packages)
        ),
        None => bail!(
            "the stand-alone program needs what Debian calls {}; install what your system calls them",
            packages.join(" ")
        ),
    }
}

fn rust() -> Finding {
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let version = output_of(Command::new("rustc").arg("--version")).unwrap_or_default();
    let found = version.split(' ').nth(1).unwrap_or("none").to_owned();
    Finding {
        name: "rustc".to_owned(),
        state: if numbers(&found) >= numbers(wanted) {
            Ok(found)
        } else {
            Err(format!("{wanted} or newer is needed, found {found}"))
        },
        remedy: Remedy::Command("rustup update stable"),
    }
}

fn onnx_runtime() -> Finding {
    let library = runtime::folder().join(System::host().library("onnxruntime"));
    let state = match runtime::is_checked(&library) {
        Ok(true) => Ok(format!("{}, digest checked", library.display())),
        Ok(false) => Ok(format!("{}, not one of the pinned builds", library.display())),
        Err(_) => Err(format!("no {}", library.display())),
    };
    Finding {
        name: "ONNX Runtime".to_owned(),
        state,
        remedy: Remedy::Command("cargo xtask runtime"),
    }
}

fn model() -> Finding {
    let folder = workspace::root().join(MODEL);
    let file = folder.join("model.json");
    Finding {
        name: "model".to_owned(),
        state: if file.is_file() {
            Ok(folder.display().to_string())
        } else {
            Err(format!("no {}", file.display()))
        },
        remedy: Remedy::Command("git checkout -- models/pretrained"),
    }
}

fn mend(findings: &[Finding]) -> Result<()> {
    let packages: Vec<_> = findings
        .iter()
        .filter(|finding| finding.state.is_err())
        .filter_map(|finding| match finding.remedy {
            Remedy::Package(package) => Some(package),
            _ => None,
        })
        .collect();
    if !packages.is_empty() {
        let apt = Apt::find().context("packages are installed on Debian and Ubuntu only")?;
        if apt.may_install() {
            apt.install(&packages)?;
        } else {
            println!("not root, so nothing is installed; run `{}`", apt.command(&packages));
        }
    }
    if onnx_runtime().state.is_err() {
        runtime::Origin::default().get()?;
    }
    Ok(())
}

/// Whether the dynamic loader knows a library.
fn has_library(name: &str) -> bool {
    ["ldconfig", "/sbin/ldconfig"].iter().any(|program| {
        output_of(Command::new(program).arg("-p"))
            .is_ok_and(|list| list.lines().any(|line| line.trim_start().starts_with(name)))
    })
}

/// The numbers of a version, for comparing.
fn numbers(version: &str) -> Vec<u32> {
    version.split(['.', '-']).map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        // Contract: 1.100 is newer than 1.95, and no version is older than any.
        assert!(numbers("1.100.0") > numbers("1.95"));
        assert!(numbers("1.95.0") >= numbers("1.95"));
        assert!(numbers("none") < numbers("1.95"));
    }
}
