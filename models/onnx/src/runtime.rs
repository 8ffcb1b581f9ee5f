//! Finding and starting ONNX Runtime, and its execution providers.
//!
//! The runtime is a shared library that is opened while the program runs, so programs start without
//! it and can report that it is missing. Each loaded image (a program, or a plug-in in a host) has
//! one runtime for its lifetime.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::{Environment, EnvironmentBuilder};
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use thiserror::Error;

mod provider;

pub use provider::{Provider, UnknownProvider, list};

/// Minor version of the oldest supported ONNX Runtime, 1.x.
pub const OLDEST_MINOR_VERSION: u32 = ort::MINOR_VERSION;

/// Environment variable that names the library, as other programs around `ort` use it.
pub const PATH_VARIABLE: &str = "ORT_DYLIB_PATH";

/// Folders above the executable in which a folder `runtime` is looked for.
const FOLDERS_ABOVE: usize = 3;

/// Why ONNX Runtime could not be started.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// No library in any of the usual places.
    #[error(
        "no ONNX Runtime was found; run `cargo xtask runtime`, or set {PATH_VARIABLE} to its library"
    )]
    NotFound,
    /// The named library, or a folder without one.
    #[error("there is no ONNX Runtime library at `{}`; check {origin}", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
        /// The option or variable that named it.
        origin: &'static str,
    },
    /// The system's loader rejects the file.
    #[error("`{}` cannot be loaded as a library: {reason}", path.display())]
    Load {
        /// The file.
        path: PathBuf,
        /// The loader's message.
        reason: String,
    },
    /// A library that is not ONNX Runtime.
    #[error(
        "`{}` is no ONNX Runtime library; run `cargo xtask runtime` to get one", path.display()
    )]
    NotRuntime {
        /// The file.
        path: PathBuf,
    },
    /// The library's version is below 1.18.
    #[error(
        "ONNX Runtime {version} at `{}` is too old, 1.{OLDEST_MINOR_VERSION} or newer is needed; \
         run `cargo xtask runtime` to get it",
        path.display()
    )]
    TooOld {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// An ONNX Runtime that does not start.
    #[error("ONNX Runtime at `{}` does not start: {reason}", path.display())]
    Start {
        /// The file.
        path: PathBuf,
        /// Its message.
        reason: String,
    },
    /// The provider is not part of this build.
    #[error(
        "{provider} cannot be used: this build does not include it; build with `--features {}`",
        provider.name()
    )]
    NotBuilt {
        /// The provider asked for.
        provider: Provider,
    },
    /// The provider is not part of the runtime.
    #[error(
        "{provider} cannot be used: the ONNX Runtime {version} at `{}` has only {}; `cargo xtask \
         runtime --provider {}` gets one that has it",
        path.display(),
        names(available),
        provider.name()
    )]
    NotOffered {
        /// The provider asked for.
        provider: Provider,
        /// Those that there are.
        available: Vec<Provider>,
        /// Version of the runtime.
        version: String,
        /// Its library.
        path: PathBuf,
    },
    /// The provider does not start, for want of its driver for instance.
    #[error("{provider} cannot be used: {reason}")]
    Provider {
        /// The provider asked for.
        provider: Provider,
        /// The reason.
        reason: String,
    },
}

/// A started ONNX Runtime.
#[derive(Debug)]
pub struct Runtime {
    environment: Environment,
    path: PathBuf,
    version: String,
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

impl Runtime {
    /// Finds and starts ONNX Runtime; when one runs already, that one is returned.
    ///
    /// The first of these is taken: `explicit` (a library, or a folder that holds it), the
    /// environment variable [`PATH_VARIABLE`], a folder `runtime` beside the executable or up to
    /// three folders above it, and what the system's loader knows.
    ///
    /// # Errors
    /// [`RuntimeError`] when none is found, or the one found is not usable.
    pub fn start(explicit: Option<&Path>) -> Result<&'static Self, RuntimeError> {
        let _guard = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = RUNTIME.get() {
            return Ok(running);
        }
        let path = find(explicit)?;
        let version = version_of(&path)?;
        let builder = ort::init_from(&path).map_err(|error| RuntimeError::Start {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        Self::build(builder, path, version)
    }

    /// Takes the runtime of the program that this library was loaded into, as a library of custom
    /// operators is given it. `path` says where it lies, for messages.
    ///
    /// # Errors
    /// [`RuntimeError`] when it is too old or does not start.
    ///
    /// # Safety
    /// `base` is null or the table of a loaded ONNX Runtime that is never unloaded.
    pub unsafe fn adopt(
        base: *const ort::sys::OrtApiBase,
        path: &Path,
    ) -> Result<&'static Self, RuntimeError> {
        let _guard = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = RUNTIME.get() {
            return Ok(running);
        }
        // SAFETY: the caller vouches for the table.
        let version = unsafe { version_at(base, path) }?;
        // SAFETY: as above; the runtime knows this version of its interface, or gives null.
        let api = unsafe { ((*base).GetApi)(ort::sys::ORT_API_VERSION).as_ref() };
        let api = api.ok_or_else(|| RuntimeError::NotRuntime { path: path.to_owned() })?;
        // SAFETY: the table of functions is plain data and lives as long as the runtime.
        ort::set_api(unsafe { std::ptr::read(api) });
        Self::build(ort::init(), path.to_owned(), version)
    }

    fn build(
        builder: EnvironmentBuilder,
        path: PathBuf,
        version: String,
    ) -> Result<&'static Self, RuntimeError> {
        let environment =
            builder.with_name("interlude").with_telemetry(false).build().map_err(|error| {
                RuntimeError::Start { path: path.clone(), reason: error.to_string() }
            })?;
        // What fails is returned as an error, so the runtime need not print it as well.
        environment.set_log_level(LogLevel::Fatal);
        Ok(RUNTIME.get_or_init(|| Self { environment, path, version }))
    }

    /// Version, such as `1.32.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The library; a bare name when the system's loader found it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The providers that this runtime offers and this build has, in the order of [`Provider::ALL`].
    /// That one is offered does not say that it starts: it may lack its driver.
    pub fn available(&self) -> Vec<Provider> {
        Provider::ALL.into_iter().filter(|provider| provider.is_offered()).collect()
    }

    /// Options for a session: the provider, the threads of one operator (0 leaves the choice to the
    /// runtime), and no spinning threads.
    ///
    /// # Errors
    /// [`RuntimeError::NotBuilt`] when this build lacks the provider, [`RuntimeError::NotOffered`] when
    /// this runtime does, [`RuntimeError::Provider`] when it does not start.
    pub fn session(
        &self,
        provider: Provider,
        threads: usize,
    ) -> Result<SessionBuilder, RuntimeError> {
        if !provider.is_built() {
            return Err(RuntimeError::NotBuilt { provider });
        }
        if !provider.is_offered() {
            return Err(RuntimeError::NotOffered {
                provider,
                available: self.available(),
                version: self.version.clone(),
                path: self.path.clone(),
            });
        }
        let refused =
            |error: ort::Error| RuntimeError::Provider { provider, reason: first_line(&error) };
        let builder = Session::builder(&self.environment)
            .map_err(refused)?
            .with_intra_threads(threads)
            .map_err(|error| refused(error.into()))?
            .with_intra_op_spinning(false)
            .map_err(|error| refused(error.into()))?;
        provider.add_to(builder).map_err(refused)
    }
}

/// The first line of the runtime's message, which can be long, without the place in its source.
pub fn first_line(error: &ort::Error) -> String {
    plain(error.message()).to_owned()
}

/// A message may be `FILE:LINE FUNCTION [ONNXRuntimeError] : CODE : NAME : TEXT`.
fn plain(message: &str) -> &str {
    let line = message.lines().next().unwrap_or_default().trim();
    match line.split_once("[ONNXRuntimeError] : ") {
        Some((_, told)) => told.splitn(3, " : ").last().unwrap_or(told),
        None => line,
    }
}

fn names(providers: &[Provider]) -> String {
    let names: Vec<String> = providers.iter().map(ToString::to_string).collect();
    list(names.iter().map(String::as_str))
}

/// The name that the platform gives the library.
fn library_name() -> String {
    format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

fn find(explicit: Option<&Path>) -> Result<PathBuf, RuntimeError> {
    if let Some(path) = explicit {
        return named(path, "the path given");
    }
    if let Some(path) = std::env::var_os(PATH_VARIABLE).filter(|path| !path.is_empty()) {
        return named(Path::new(&path), PATH_VARIABLE);
    }
    let executable = std::env::current_exe().ok();
    let folders = executable.as_deref().into_iter().flat_map(|path| path.ancestors().skip(1));
    if let Some(path) =
        folders.take(FOLDERS_ABOVE + 1).find_map(|folder| library_in(&folder.join("runtime")))
    {
        return Ok(path);
    }
    let system = PathBuf::from(library_name());
    // SAFETY: opening a library runs its initialisers; this one is what the system knows as ONNX
    // Runtime, the library that is about to be used anyway.
    match unsafe { libloading::Library::new(&system) } {
        Ok(_) => Ok(system),
        Err(_) => Err(RuntimeError::NotFound),
    }
}

/// A path that someone named: a library, or a folder that holds it.
fn named(path: &Path, origin: &'static str) -> Result<PathBuf, RuntimeError> {
    let found = if path.is_dir() { library_in(path) } else { Some(path.to_owned()) };
    found
        .filter(|file| file.is_file())
        .and_then(|file| std::path::absolute(file).ok())
        .ok_or_else(|| RuntimeError::Missing { path: path.to_owned(), origin })
}

/// The runtime's library in a folder: under its plain name, else under the name with the highest
/// version (`libonnxruntime.so.1.32.0`, `libonnxruntime.1.32.0.dylib`).
fn library_in(folder: &Path) -> Option<PathBuf> {
    let plain = folder.join(library_name());
    if plain.is_file() {
        return Some(plain);
    }
    let stem = format!("{}onnxruntime.", std::env::consts::DLL_PREFIX);
    let extension = std::env::consts::DLL_SUFFIX;
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(&stem) && name.contains(extension) && path.is_file()
        })
        .collect();
    files.sort();
    files.pop()
}

/// The version that a library reports; an error when it is not ONNX Runtime or too old.
fn version_of(path: &Path) -> Result<String, RuntimeError> {
    type GetApiBase = unsafe extern "system" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: opening a library runs its initialisers; the user or the installation named it as
    // the ONNX Runtime to use.
    let library = unsafe { libloading::Library::new(path) }
        .map_err(|error| RuntimeError::Load { path: path.to_owned(), reason: error.to_string() })?;
    let not_runtime = || RuntimeError::NotRuntime { path: path.to_owned() };
    // SAFETY: a symbol of this name has had this type in every ONNX Runtime.
    let get =
        unsafe { library.get::<GetApiBase>(b"OrtGetApiBase\0") }.map_err(|_| not_runtime())?;
    // SAFETY: the function takes nothing and returns null or a table that lives as long as the
    // library.
    unsafe { version_at(get(), path) }
}

/// The version that a runtime's API table reports; an error when it is null or too old.
///
/// # Safety
/// `base` is null or the table of a loaded ONNX Runtime.
unsafe fn version_at(
    base: *const ort::sys::OrtApiBase,
    path: &Path,
) -> Result<String, RuntimeError> {
    let not_runtime = || RuntimeError::NotRuntime { path: path.to_owned() };
    // SAFETY: the caller vouches for the table; its version function returns null or a static
    // string.
    let version = unsafe {
        let base = base.as_ref().ok_or_else(not_runtime)?;
        let text = (base.GetVersionString)();
        if text.is_null() {
            return Err(not_runtime());
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    };
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(1), Some(minor)) if minor >= OLDEST_MINOR_VERSION => Ok(version),
        (Some(_), Some(_)) => Err(RuntimeError::TooOld { path: path.to_owned(), version }),
        _ => Err(not_runtime()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A path that is not there is named, with the place it came from.
    #[test]
    fn a_missing_library_is_named() {
        let message = named(Path::new("no/such/library"), "the path given").expect_err("missing");
        let message = message.to_string();
        assert!(message.contains("no/such/library") && message.contains("the path given"));
    }

    // What ONNX Runtime 1.31.1 says without the libraries of CUDA is told without the place in its source;
    // other messages are told as they are.
    #[test]
    fn messages_are_told_plainly() {
        let told = "/onnxruntime_src/onnxruntime/core/session/provider_bridge_ort.cc:2043 \
                    onnxruntime::Provider& onnxruntime::ProviderLibrary::Get() [ONNXRuntimeError] : 1 : \
                    FAIL : Failed to load library /r/libonnxruntime_providers_cuda.so with error: \
                    libcublasLt.so.13: cannot open shared object file: No such file or directory\n\n";
        let plainly = plain(told);
        assert!(plainly.starts_with("Failed to load library /r/"), "{plainly}");
        assert!(plainly.ends_with("No such file or directory"), "{plainly}");
        assert_eq!(plain("[ONNXRuntimeError] : 6"), "6");
        assert_eq!(
            (plain("a : b : c : d"), plain(" one\ntwo"), plain("")),
            ("a : b : c : d", "one", "")
        );
    }

    // A file that is no library, or a library that is not ONNX Runtime, is an error.
    #[test]
    fn a_wrong_file_is_an_error() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(library_name());
        std::fs::write(&path, b"not a library").expect("written");
        assert_eq!(library_in(folder.path()), Some(path.clone()));
        assert!(matches!(version_of(&path), Err(RuntimeError::Load { .. })));
        if cfg!(target_os = "linux") {
            let libc = version_of(Path::new("libc.so.6")).expect_err("another library");
            assert!(matches!(libc, RuntimeError::NotRuntime { .. }), "{libc}");
        }
    }

    // Of several versions in a folder the highest name is taken, and provider plug-ins are not.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_gives_its_library() {
        let folder = tempfile::tempdir().expect("temporary folder");
        assert_eq!(library_in(folder.path()), None);
        for name in [
            "libonnxruntime_providers_shared.so",
            "libonnxruntime.so.1",
            "libonnxruntime.so.1.32.0",
        ] {
            std::fs::write(folder.path().join(name), b"").expect("written");
        }
        let found = library_in(folder.path()).expect("found");
        assert_eq!(found.file_name(), Some("libonnxruntime.so.1.32.0".as_ref()));
    }
}
