//! `cargo xtask runtime --training`: the official training build of ONNX Runtime.
//!
//! It is published as a Python package only, for CPython 3.8 to 3.12. pip puts it into a folder of
//! its own together with NumPy, which its module asks for when it is loaded; nothing of it is run
//! here. `interlude train` finds the folder and starts the Python that fits.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    apt::Apt,
    checksum::digest,
    platform::System,
    workspace::{self, beside, output_of, replace},
};

/// Version of the last official training build.
const VERSION: &str = "1.19.2";

/// SHA-256 of the module for each version of Python, Linux on x86_64.
const PINNED: &[(&str, &str)] = &[
    ("3.8", "8afbbb499e025c79ed1d308796584359d8c12280041e76413d83d876890530b8"),
    ("3.9", "ac852c023a0791313e1c12e449b3cc79abc26b5a04c039e1ecb7b6278d049689"),
    ("3.10", "8fab56aaef777f117f47844adef0e1e39d80c54204c9686a2628ed106401cc13"),
    ("3.11", "637012bc7b9b9e8a00b006be918091d04d143ca5c57ee820584478a15298d0ee"),
    ("3.12", "c367b54e3e4256c2e15835d3108e229eb33bb150e8c0432713145842786679a9"),
];

/// The folder that `interlude train` finds the training build in.
pub fn folder() -> PathBuf {
    workspace::target().join("runtime-training")
}

/// Makes sure that `target/runtime-training` holds the checked build, and gives the folder.
///
/// # Errors
/// When there is no build for this platform, no Python that fits, no network, or the module's
/// digest is wrong.
pub fn get(no_install: bool) -> Result<PathBuf> {
    let folder = folder();
    if module_in(&folder).is_ok_and(|module| check(&module).is_ok()) {
        println!("runtime: training build in {} is there and checked", folder.display());
        return Ok(folder);
    }
    ensure!(
        System::host() == System::Linux && std::env::consts::ARCH == "x86_64",
        "the training build is checked on Linux x86_64 only; train with --backend onnx"
    );
    let python = match pythons().into_iter().find(|python| has_pip(python)) {
        Some(python) => python,
        None => {
            let Some(python) = pythons().into_iter().next() else {
                bail!("the training build needs CPython 3.8 to 3.12, and none was found");
            };
            match Apt::find() {
                Some(apt) if apt.may_install() && !no_install => apt.install(&["python3-pip"])?,
                Some(apt) => bail!("pip is missing; run `{}`", apt.command(&["python3-pip"])),
                None => bail!("`{python}` has no pip; install it"),
            }
            ensure!(has_pip(&python), "`{python}` has no pip; install it");
            python
        }
    };
    let staging = beside(&folder)?;
    let prepared = staging.path().join("packages");
    println!("runtime: fetching the training build {VERSION} with pip of {python}");
    output_of(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"])
            .args(["--disable-pip-version-check", "--no-compile", "--target"])
            .arg(&prepared)
            .arg(format!("onnxruntime-training-cpu=={VERSION}"))
            .arg("numpy>=1.22"),
    )?;
    check(&module_in(&prepared)?)?;
    replace(&prepared, &folder)?;
    println!("runtime: training build {VERSION} in {}", folder.display());
    Ok(folder)
}

/// Interpreters that are there and have a build, by name.
fn pythons() -> Vec<String> {
    let script = "import sys; print('%d.%d' % sys.version_info[:2])";
    let version = |name: &str| output_of(Command::new(name).args(["-c", script])).ok();
    let known = |version: &str| PINNED.iter().any(|(pinned, _)| *pinned == version.trim());
    let versioned = PINNED.iter().rev().map(|(version, _)| format!("python{version}"));
    std::iter::once("python3".to_owned())
        .chain(versioned)
        .filter(|name| version(name).is_some_and(|version| known(&version)))
        .collect()
}

fn has_pip(python: &str) -> bool {
    output_of(Command::new(python).args(["-m", "pip", "--version"])).is_ok()
}

/// The module in a folder of Python packages.
fn module_in(folder: &Path) -> Result<PathBuf> {
    let capi = folder.join("onnxruntime").join("capi");
    let entries = fs::read_dir(&capi).with_context(|| format!("cannot read {}", capi.display()))?;
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("onnxruntime_pybind11_state.")
        })
        .with_context(|| format!("{} holds no module of ONNX Runtime", capi.display()))
}

fn check(module: &Path) -> Result<()> {
    let found = digest(module)?;
    ensure!(
        PINNED.iter().any(|(_, pinned)| *pinned == found),
        "{} has the SHA-256 {found}, which is not that of the training build {VERSION}; it is not used",
        module.display()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_module_is_refused() {
        // Contract: a module that is not one of the pinned builds is refused with its name.
        let folder = tempfile::tempdir().unwrap();
        let capi = folder.path().join("onnxruntime/capi");
        fs::create_dir_all(&capi).unwrap();
        fs::write(capi.join("onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so"), "no")
            .unwrap();
        let message = check(&module_in(folder.path()).unwrap()).unwrap_err().to_string();
        assert!(message.contains("onnxruntime_pybind11_state"), "{message}");
    }
}
