//! Where the plug-in's runtime and models lie.
//!
//! A bundle carries a folder with `runtime/` (ONNX Runtime), `models/<name>/`, `clips/` and
//! `sounds/`. Its place depends
//! on format and system; a CLAP on Linux and Windows is a single file, so the folder lies beside it.
//! The environment variable [`RESOURCES_VARIABLE`] names another one. Users keep models of their own
//! in a folder of theirs.

use std::{
    env,
    path::{Path, PathBuf},
};

use interlude_models::package::INFO_FILE;

/// Environment variable that names the resource folder.
pub const RESOURCES_VARIABLE: &str = "INTERLUDE_RESOURCES";

/// Most models listed.
const MOST_MODELS: usize = 200;

/// A model that can be chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstalledModel {
    /// Name of its folder, by which projects refer to it.
    pub name: String,
    /// Its folder.
    pub dir: PathBuf,
}

/// The resource folder; `None` when there is none.
pub fn folder() -> Option<PathBuf> {
    if let Some(folder) = env::var_os(RESOURCES_VARIABLE).filter(|folder| !folder.is_empty()) {
        return Some(PathBuf::from(folder));
    }
    let library = library_path()?;
    candidates(&library).into_iter().find(|folder| folder.is_dir())
}

/// Where the resource folder may lie, seen from the plug-in's library.
fn candidates(library: &Path) -> Vec<PathBuf> {
    let mut candidates = vec![library.with_extension("resources")];
    // `Contents/<system>/library` in a VST3 and in a macOS bundle.
    if let Some(contents) = library.parent().and_then(Path::parent)
        && contents.file_name().is_some_and(|name| name == "Contents")
    {
        candidates.insert(0, contents.join("Resources"));
    }
    candidates
}

/// The folder with ONNX Runtime, when there is one among the resources.
pub fn runtime_folder() -> Option<PathBuf> {
    folder().map(|folder| folder.join("runtime")).filter(|folder| folder.is_dir())
}

/// The folder in which users keep their own models; it need not exist.
pub fn user_models() -> Option<PathBuf> {
    user_folder().map(|folder| folder.join("models"))
}

/// The folder of factory clips; it need not exist.
pub fn clips() -> Option<PathBuf> {
    folder().map(|folder| folder.join("clips"))
}

/// The SoundFont of the preview; it need not exist.
pub fn sound_font() -> Option<PathBuf> {
    folder().map(|folder| folder.join("sounds").join("preview.sf2"))
}

/// The user's own folder; it need not exist.
pub fn user_folder() -> Option<PathBuf> {
    let absolute =
        |name: &str| env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    Some(if cfg!(windows) {
        absolute("APPDATA")?.join("Interlude")
    } else if cfg!(target_os = "macos") {
        absolute("HOME")?.join("Library/Application Support/Interlude")
    } else {
        absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))?
            .join("interlude")
    })
}

/// The models there are, the bundled ones first; of two with one name the first counts.
pub fn models() -> Vec<InstalledModel> {
    let places = [folder().map(|folder| folder.join("models")), user_models()];
    let mut models: Vec<InstalledModel> = Vec::new();
    for place in places.into_iter().flatten() {
        let mut found = models_in(&place);
        found.retain(|model| models.iter().all(|known| known.name != model.name));
        models.append(&mut found);
    }
    models.truncate(MOST_MODELS);
    models
}

fn models_in(place: &Path) -> Vec<InstalledModel> {
    let Ok(entries) = place.read_dir() else { return Vec::new() };
    let mut models: Vec<InstalledModel> = entries
        .flatten()
        .take(10 * MOST_MODELS)
        .map(|entry| entry.path())
        .filter(|dir| dir.join(INFO_FILE).is_file())
        .filter_map(|dir| Some(InstalledModel { name: dir.file_name()?.to_str()?.to_owned(), dir }))
        .collect();
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models
}

/// The folder of the model that a project names: an installed model, or an absolute path.
pub fn resolve(model: &str) -> Option<PathBuf> {
    if let Some(installed) = models().into_iter().find(|installed| installed.name == model) {
        return Some(installed.dir);
    }
    let path = Path::new(model);
    path.is_absolute().then(|| path.to_owned())
}

/// The file of the library that this code is in.
#[cfg(unix)]
fn library_path() -> Option<PathBuf> {
    use std::{
        ffi::{CStr, OsStr},
        os::unix::ffi::OsStrExt,
    };

    // SAFETY: `Dl_info` is a plain C structure for which all zeroes is a valid value.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: the address lies in this library, and `info` outlives the call.
    let found = unsafe { libc::dladdr(library_path as *const libc::c_void, &raw mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a successful call leaves a terminated name that lives as long as the library.
    let name = unsafe { CStr::from_ptr(info.dli_fname) };
    Path::new(OsStr::from_bytes(name.to_bytes())).canonicalize().ok()
}

/// The file of the library that this code is in.
#[cfg(windows)]
fn library_path() -> Option<PathBuf> {
    use std::{ffi::OsString, os::windows::ffi::OsStringExt};

    unsafe extern "system" {
        fn GetModuleHandleExW(flags: u32, address: *const u16, module: *mut *mut u8) -> i32;
        fn GetModuleFileNameW(module: *mut u8, name: *mut u16, size: u32) -> u32;
    }
    /// The name is an address in the module; the module's count of users stays as it is.
    const FROM_ADDRESS_UNCHANGED: u32 = 0x4 | 0x2;
    const LONGEST_PATH: u32 = 32_768;

    let mut module = std::ptr::null_mut();
    // SAFETY: with these flags the second argument is an address in this library.
    let found = unsafe {
        GetModuleHandleExW(FROM_ADDRESS_UNCHANGED, library_path as *const u16, &raw mut module)
    };
    if found == 0 {
        return None;
    }
    let mut name = vec![0u16; usize::try_from(LONGEST_PATH).ok()?];
    // SAFETY: the buffer has as many elements as the size says.
    let length = unsafe { GetModuleFileNameW(module, name.as_mut_ptr(), LONGEST_PATH) };
    let name = name.get(..usize::try_from(length).ok()?)?;
    (!name.is_empty()).then(|| PathBuf::from(OsString::from_wide(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of bundle has its resources where the bundler puts them.
    #[test]
    fn bundles_have_their_resources() {
        let vst3 = candidates(Path::new("/p/Interlude.vst3/Contents/x86_64-linux/Interlude.so"));
        assert_eq!(vst3[0], Path::new("/p/Interlude.vst3/Contents/Resources"));
        let mac = candidates(Path::new("/p/Interlude.clap/Contents/MacOS/Interlude"));
        assert_eq!(mac[0], Path::new("/p/Interlude.clap/Contents/Resources"));
        let clap = candidates(Path::new("/p/Interlude.clap"));
        assert_eq!(clap, [Path::new("/p/Interlude.resources")]);
    }

    /// The file that holds this code can be found.
    #[test]
    fn the_library_is_found() {
        assert!(library_path().is_some_and(|path| path.is_file()));
    }

    /// A name that is neither installed nor an absolute path leads nowhere.
    #[test]
    fn names_do_not_escape() {
        assert_eq!(resolve("../../etc"), None);
        assert_eq!(resolve("no such model"), None);
        let absolute = if cfg!(windows) { r"C:\models\mine" } else { "/models/mine" };
        assert_eq!(resolve(absolute), Some(PathBuf::from(absolute)));
    }
}
