//! Training inside the official training build of ONNX Runtime.
//!
//! That build exists as a Python module only, `onnxruntime_pybind11_state`, whose library exports
//! no function of ONNX Runtime. But it gives its table of functions to any library of custom
//! operators that is registered with it. So this program starts Python with a few lines that load
//! the module and register the trainer's own library, and the trainer runs again in there with the
//! same arguments. No other part of the Python package is used.
//!
//! The module has made ONNX Runtime's environment for itself by then, and a second one is refused.
//! So the trainer loads a copy of the module's library, which has variables of its own, and leaves
//! it uninitialised; its table of functions lies as far from its exported function as in the
//! original.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use interlude_models::runtime::{Runtime, RuntimeError};
use libloading::Library;
use ort::sys::OrtApiBase;
use thiserror::Error;

/// Name of the folder that `cargo xtask runtime --training` fills.
pub const FOLDER: &str = "runtime-training";
/// What the module's file name begins with; Python's tag follows.
const MODULE: &str = "onnxruntime_pybind11_state.";
/// The one function that the module exports.
const ENTRY: &[u8] = b"PyInit_onnxruntime_pybind11_state\0";
/// Stands before this program's own arguments on Python's command line.
const MARK: &str = "--interlude-arguments";
/// Environment variable that names the module to the program inside of it.
const LIBRARY_VARIABLE: &str = "INTERLUDE_TRAINING_RUNTIME";
/// Folders above the executable in which [`FOLDER`] is looked for.
const FOLDERS_ABOVE: usize = 3;

/// Loads the module without the package around it and registers the trainer's library with it.
const SCRIPT: &str = "\
import importlib.util, sys
sys.path.insert(0, sys.argv[1])
spec = importlib.util.spec_from_file_location('onnxruntime_pybind11_state', sys.argv[2])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
module.SessionOptions().register_custom_ops_library(sys.argv[3])
";

/// The training build cannot be used.
#[derive(Debug, Error)]
pub enum HostError {
    /// There is none, and the runtime that was found has no training API.
    #[error(
        "this ONNX Runtime has no training API, and no folder `{FOLDER}` was found; run `cargo \
         xtask runtime --training`, or train with --backend onnx"
    )]
    NoTrainingBuild,
    /// No interpreter fits the module.
    #[error(
        "`{}` needs Python {version} with NumPy, which was not found; install it, or run `cargo \
         xtask runtime --training` with a Python that is there", library.display()
    )]
    NoPython {
        /// The module.
        library: PathBuf,
        /// Version of Python.
        version: String,
    },
    /// The trainer's own library is missing.
    #[error(
        "the trainer's library `{}` is missing beside the program; build it again with `cargo \
         build -p interlude-trainer`", path.display()
    )]
    NoLibrary {
        /// Where it should be.
        path: PathBuf,
    },
    /// The module cannot be loaded a second time.
    #[error("cannot load a copy of `{}`: {source}", module.display())]
    Copy {
        /// The module.
        module: PathBuf,
        /// What the system or the loader says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// ONNX Runtime refuses.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// Python does not start.
    #[error("cannot start `{}`: {source}", program.display())]
    Start {
        /// The interpreter.
        program: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

/// The training build: a folder with Python packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainingBuild {
    folder: PathBuf,
    module: PathBuf,
}

impl TrainingBuild {
    /// The build in a folder of Python packages, if there is one.
    pub fn in_folder(folder: &Path) -> Option<Self> {
        let entries = std::fs::read_dir(folder.join("onnxruntime").join("capi")).ok()?;
        let module = entries.filter_map(|entry| Some(entry.ok()?.path())).find(|path| {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            name.starts_with(MODULE) && python_version(name).is_some()
        })?;
        // An ordinary package has the same module without the training API.
        let training = folder.join("onnxruntime").join("training").is_dir();
        training.then(|| Self { folder: folder.to_owned(), module })
    }

    /// The build beside the program or up to three folders above it.
    pub fn find() -> Option<Self> {
        let executable = std::env::current_exe().ok()?;
        let mut folders = executable.ancestors().skip(1).take(FOLDERS_ABOVE + 1);
        folders.find_map(|folder| Self::in_folder(&folder.join(FOLDER)))
    }

    /// Runs the program again with the training build and the same arguments, and ends with its
    /// exit status.
    ///
    /// # Errors
    /// [`HostError`] when Python or the trainer's library is missing.
    pub fn run_again(&self) -> Result<std::convert::Infallible, HostError> {
        let library = trainer_library()?;
        let python = self.python()?;
        let folder = std::path::absolute(&self.folder).unwrap_or_else(|_| self.folder.clone());
        let module = std::path::absolute(&self.module).unwrap_or_else(|_| self.module.clone());
        let mut command = Command::new(&python);
        command.args(["-I", "-c", SCRIPT]).arg(folder).arg(&module).arg(library);
        command.arg(MARK).args(std::env::args_os()).env(LIBRARY_VARIABLE, module);
        Err(HostError::Start { program: python, source: replace_process(&mut command) })
    }

    /// An interpreter of the module's version that can import NumPy.
    fn python(&self) -> Result<PathBuf, HostError> {
        let name = self.module.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let version = python_version(name).unwrap_or_default();
        let names = [format!("python{version}"), "python3".to_owned(), "python".to_owned()];
        let script = "import sys; sys.path.insert(0, sys.argv[1]); import numpy; \
                      sys.exit('%d.%d' % sys.version_info[:2] != sys.argv[2])";
        let fits = |program: &PathBuf| {
            let mut command = Command::new(program);
            command.args(["-I", "-c", script]).arg(&self.folder).arg(&version);
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        names.into_iter().map(PathBuf::from).find(fits).ok_or_else(|| HostError::NoPython {
            library: self.module.clone(),
            version: version.clone(),
        })
    }
}

/// The version in the tag of a module's file name: `cpython-311-x86_64-linux-gnu.so` and
/// `cp311-win_amd64.pyd` say 3.11.
fn python_version(module: &str) -> Option<String> {
    let tag = module.strip_prefix(MODULE)?;
    let tag = tag.strip_prefix("cpython-").or_else(|| tag.strip_prefix("cp"))?;
    let digits = tag.split(['-', '.']).next()?.strip_prefix('3')?;
    digits.parse::<u8>().ok().map(|minor| format!("3.{minor}"))
}

/// The trainer as a library, which the build makes together with the program.
fn trainer_library() -> Result<PathBuf, HostError> {
    let name = format!(
        "{}interlude_trainer{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let executable = std::env::current_exe().unwrap_or_default();
    let folder = executable.parent().unwrap_or(Path::new("."));
    // Cargo copies a library out of `deps` only when it is asked for by name.
    let places = [folder.join("deps").join(&name), folder.join(&name)];
    let found = places.into_iter().find(|path| path.is_file());
    found.ok_or_else(|| HostError::NoLibrary { path: folder.join(&name) })
}

/// Puts a command in this process's place; returns only when that fails.
#[cfg(unix)]
fn replace_process(command: &mut Command) -> std::io::Error {
    std::os::unix::process::CommandExt::exec(command)
}

/// Runs a command and ends with its exit status; returns only when it does not start.
#[cfg(not(unix))]
fn replace_process(command: &mut Command) -> std::io::Error {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => error,
    }
}

static INSIDE: AtomicBool = AtomicBool::new(false);

/// Whether this runs inside the training build.
pub fn is_inside() -> bool {
    INSIDE.load(Ordering::Relaxed)
}

/// The table of functions in a copy of the module, given that of the module itself.
fn table_of_copy(
    module: &Path,
    base: *const OrtApiBase,
) -> Result<*const OrtApiBase, Box<dyn std::error::Error + Send + Sync>> {
    let copy = tempfile::NamedTempFile::new()?;
    std::fs::copy(module, copy.path())?;
    // SAFETY: Python has loaded the module already, so nothing of it is run here.
    let original = unsafe { Library::new(module)? };
    // SAFETY: the copy's initialisers set up its own variables only, as those of the module did.
    let copied = unsafe { Library::new(copy.path())? };
    let entry = |library: &Library| -> Result<*const u8, libloading::Error> {
        // SAFETY: only the address of the function is taken.
        Ok(unsafe { *library.get::<*const u8>(ENTRY)? })
    };
    let distance = base.addr().wrapping_sub(entry(&original)?.addr());
    let table = entry(&copied)?.wrapping_add(distance).cast::<OrtApiBase>();
    std::mem::forget(copied);
    Ok(table)
}

/// Goes on inside the training build, of which ONNX Runtime gave the table of functions: starts the
/// runtime with it, and returns the arguments behind [`MARK`], the first of which is this program.
///
/// # Errors
/// [`HostError::Copy`] and [`HostError::Runtime`].
///
/// # Safety
/// `base` is the table that ONNX Runtime hands to libraries of custom operators.
pub unsafe fn enter(base: *const OrtApiBase) -> Result<Vec<OsString>, HostError> {
    INSIDE.store(true, Ordering::Relaxed);
    let module = PathBuf::from(std::env::var_os(LIBRARY_VARIABLE).unwrap_or_default());
    let base = table_of_copy(&module, base)
        .map_err(|source| HostError::Copy { module: module.clone(), source })?;
    // SAFETY: the copy's table lies where it says, and the copy is never unloaded.
    unsafe { Runtime::adopt(base, &module) }?;
    Ok(std::env::args_os().skip_while(|argument| argument != MARK).skip(1).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The version of Python is read off the names that wheels give the module.
    #[test]
    fn modules_say_which_python_they_need() {
        let version = |tag: &str| python_version(&format!("{MODULE}{tag}"));
        assert_eq!(version("cpython-311-x86_64-linux-gnu.so"), Some("3.11".to_owned()));
        assert_eq!(version("cp39-win_amd64.pyd"), Some("3.9".to_owned()));
        assert_eq!(version("so"), None);
        assert_eq!(python_version("other.cpython-311.so"), None);
    }

    // A folder of packages without the training build is none.
    #[test]
    fn ordinary_packages_are_no_training_build() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert_eq!(TrainingBuild::in_folder(folder.path()), None);
        let capi = folder.path().join("onnxruntime/capi");
        std::fs::create_dir_all(&capi).expect("made");
        std::fs::write(capi.join(format!("{MODULE}cpython-311-x86_64-linux-gnu.so")), b"")
            .expect("written");
        assert_eq!(TrainingBuild::in_folder(folder.path()), None);
        std::fs::create_dir_all(folder.path().join("onnxruntime/training")).expect("made");
        assert!(TrainingBuild::in_folder(folder.path()).is_some());
    }
}
