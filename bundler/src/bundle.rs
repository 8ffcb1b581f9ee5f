//! `cargo xtask bundle` and `install`: the plug-in with runtime, model and licences, as CLAP and VST3.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use interlude_models::runtime::Provider;

use crate::{
    notices,
    platform::{Bundle, System},
    runtime::{self, Origin},
    workspace::{self, MODELS, beside, copy, replace, run},
};

/// Folder of the clips to begin with, from the workspace's root.
const CLIPS: &str = "bundler/clips";

/// Folder of the preview's SoundFont, from the workspace's root.
const SOUNDS: &str = "plugin/sounds";

/// Licence files that travel with the plug-in beside the folder `licences`, from the workspace's root.
const LICENCES: &[&str] = &["LICENSE-MIT", "LICENSE-APACHE", "NOTICES.md"];

/// Build the plug-in and bundle it as CLAP and VST3, with runtime and models.
#[derive(clap::Args, Clone, Debug)]
pub struct BundleCommand {
    /// Build without optimisation.
    #[arg(long)]
    pub debug: bool,
    /// Features of the plug-in, such as `alloc-check`.
    #[arg(long, value_delimiter = ',')]
    pub features: Vec<String>,
    /// Folder for the bundles [default: target/bundled, or target/bundled-debug].
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Model folder to bundle instead of those in models/pretrained; may be repeated.
    #[arg(long, value_name = "FOLDER")]
    pub model: Vec<PathBuf>,
    /// Execution provider that the plug-in may use besides the CPU; its feature is built in, and the
    /// runtime that has it is bundled.
    #[arg(long, default_value = Provider::Cpu.name(), value_parser = runtime::provider())]
    pub provider: Provider,
    /// Where ONNX Runtime comes from.
    #[command(flatten)]
    pub runtime: Origin,
}

/// The bundles that were made.
#[derive(Clone, Debug)]
pub struct Bundled {
    /// The CLAP plug-in: the file that hosts load (on macOS the bundle's folder).
    pub clap: PathBuf,
    /// The library inside of the CLAP plug-in, for [`PluginFile::load`](crate::host::PluginFile::load).
    pub clap_binary: PathBuf,
    /// The VST3 bundle.
    pub vst3: PathBuf,
}

impl Bundled {
    /// The bundles that were laid out in a folder.
    ///
    /// # Errors
    /// When one is missing.
    pub fn in_folder(folder: &Path) -> Result<Self> {
        let [clap, vst3] = System::host().bundles(folder);
        let top = |bundle: &Bundle| {
            bundle.parts.last().cloned().context("a bundle has at least one part")
        };
        let bundled = Self { clap: top(&clap)?, vst3: top(&vst3)?, clap_binary: clap.binary };
        for part in [&bundled.clap, &bundled.vst3] {
            ensure!(part.exists(), "there is no {}: `cargo xtask bundle` makes it", part.display());
        }
        Ok(bundled)
    }
}

impl BundleCommand {
    /// Bundles of the release build.
    pub fn release() -> Self {
        Self {
            debug: false,
            features: Vec::new(),
            out: None,
            model: Vec::new(),
            provider: Provider::Cpu,
            runtime: Origin::default(),
        }
    }

    /// Bundles of the debug build that aborts when `process` allocates; for the host tests.
    pub fn checked() -> Self {
        Self { debug: true, features: vec!["alloc-check".to_owned()], ..Self::release() }
    }

    /// Builds, and replaces the bundles that are there.
    ///
    /// # Errors
    /// When the runtime or the model is missing, or the build fails.
    pub fn run(&self) -> Result<Bundled> {
        let runtime = self.runtime.get_for(self.provider)?;
        let models = if self.model.is_empty() { shipped()? } else { self.model.clone() };
        for model in &models {
            ensure!(
                model.join("model.json").is_file(),
                "{} is no model folder: it has no model.json; name another one with --model",
                model.display()
            );
        }
        let built = self.build()?;
        let out = self.out.clone().unwrap_or_else(|| {
            workspace::target().join(if self.debug { "bundled-debug" } else { "bundled" })
        });
        let staging = beside(&out.join("bundles"))?;
        let prepared = System::host().bundles(staging.path());
        let placed = System::host().bundles(&out);
        for (bundle, destination) in prepared.iter().zip(&placed) {
            lay_out(bundle, &built, &runtime, &models)?;
            for (part, place) in bundle.parts.iter().zip(&destination.parts) {
                replace(part, place)?;
            }
        }
        let bundled = Bundled::in_folder(&out)?;
        println!("bundle: {}", bundled.clap.display());
        println!("bundle: {}", bundled.vst3.display());
        Ok(bundled)
    }

    fn build(&self) -> Result<Built> {
        let mut cargo = workspace::cargo();
        cargo.args(["build", "--package", "interlude-plugin", "--lib"]);
        if !self.debug {
            cargo.arg("--release");
        }
        let provider = (self.provider != Provider::Cpu).then(|| self.provider.name().to_owned());
        let features: Vec<String> = self.features.iter().cloned().chain(provider).collect();
        if !features.is_empty() {
            cargo.arg("--features").arg(features.join(","));
        }
        run(&mut cargo)?;
        let profile = if self.debug { "debug" } else { "release" };
        let library =
            workspace::target().join(profile).join(System::host().library("interlude_plugin"));
        ensure!(library.is_file(), "the build left no {}", library.display());
        Ok(Built { binary: library, features: Vec::new() })
    }
}

/// A program or library that cargo has built of the plug-in.
pub(crate) struct Built {
    pub(crate) binary: PathBuf,
    /// Features that add dependencies.
    pub(crate) features: Vec<String>,
}

/// The folders of the shipped models.
pub(crate) fn shipped() -> Result<Vec<PathBuf>> {
    let folder = workspace::root().join(MODELS);
    let unreadable = || format!("cannot read {}", folder.display());
    let entries = fs::read_dir(&folder).with_context(unreadable)?;
    let mut models = Vec::new();
    for entry in entries {
        let path = entry.with_context(unreadable)?.path();
        if path.is_dir() {
            models.push(path);
        }
    }
    models.sort();
    Ok(models)
}

/// Copies a program or library to its place, with runtime, models, clips, sounds and licences.
pub(crate) fn lay_out(
    bundle: &Bundle,
    built: &Built,
    runtime: &Path,
    models: &[PathBuf],
) -> Result<()> {
    copy(&built.binary, &bundle.binary)?;
    copy(runtime, &bundle.resources.join("runtime"))?;
    for model in models {
        let name =
            model.file_name().with_context(|| format!("{} has no folder name", model.display()))?;
        copy(model, &bundle.resources.join("models").join(name))?;
    }
    copy(&workspace::root().join(CLIPS), &bundle.resources.join("clips"))?;
    copy(&workspace::root().join(SOUNDS), &bundle.resources.join("sounds"))?;
    let licences = bundle.resources.join("licences");
    copy(&workspace::root().join("licences"), &licences)?;
    for file in LICENCES {
        copy(&workspace::root().join(file), &bundle.resources.join(file))?;
    }
    let crates = notices::of_crates("interlude-plugin", &built.features)?;
    fs::write(licences.join("rust-crates.txt"), crates)
        .with_context(|| format!("cannot write to {}", licences.display()))?;
    if let Some(path) = &bundle.property_list {
        fs::write(path, property_list())
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// `Info.plist` of a macOS bundle, with the keys that hosts read.
fn property_list() -> String {
    let keys = [
        ("CFBundleExecutable", "Interlude"),
        ("CFBundleIdentifier", "studio.interlude.interlude"),
        ("CFBundleName", "Interlude"),
        ("CFBundlePackageType", "BNDL"),
        ("CFBundleShortVersionString", env!("CARGO_PKG_VERSION")),
        ("CFBundleVersion", env!("CARGO_PKG_VERSION")),
    ];
    let entries: String =
        keys.map(|(key, value)| format!("  <key>{key}</key><string>{value}</string>\n")).concat();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<plist version=\"1.0\">\n<dict>\n{entries}</dict>\n</plist>\n"
    )
}

/// Bundle the plug-in and install it into your plug-in folders.
#[derive(clap::Args, Clone, Debug)]
pub struct Install {
    /// How the bundles are made.
    #[command(flatten)]
    pub bundle: BundleCommand,
    /// Folder for the CLAP plug-in [default: your own, such as ~/.clap].
    #[arg(long, value_name = "FOLDER")]
    pub clap: Option<PathBuf>,
    /// Folder for the VST3 plug-in [default: your own, such as ~/.vst3].
    #[arg(long, value_name = "FOLDER")]
    pub vst3: Option<PathBuf>,
}

impl Install {
    /// Bundles and installs. Models that were added to an installed plug-in are kept.
    ///
    /// # Errors
    /// When bundling fails or a folder cannot be written; then the old plug-in stays as it was.
    pub fn run(&self) -> Result<()> {
        let [clap, vst3] = match (&self.clap, &self.vst3) {
            (Some(clap), Some(vst3)) => [clap.clone(), vst3.clone()],
            (clap, vst3) => {
                let [own_clap, own_vst3] = System::host().plugin_folders()?;
                [clap.clone().unwrap_or(own_clap), vst3.clone().unwrap_or(own_vst3)]
            }
        };
        let bundled = self.bundle.run()?;
        let from = bundled.clap.parent().context("bundles lie in a folder")?;
        let [clap_from, vst3_from] = System::host().bundles(from);
        let [clap_to, _] = System::host().bundles(&clap);
        let [_, vst3_to] = System::host().bundles(&vst3);
        for (from, to) in [(&clap_from, &clap_to), (&vst3_from, &vst3_to)] {
            install_bundle(from, to)?;
            println!("install: {}", to.parts.last().unwrap_or(&to.binary).display());
        }
        Ok(())
    }
}

/// Copies one bundle to the folder of plug-ins. Everything is copied before the first old part is
/// replaced.
fn install_bundle(from: &Bundle, to: &Bundle) -> Result<()> {
    let top = to.parts.first().context("a bundle has at least one part")?;
    let staging = beside(top)?;
    let mut prepared = Vec::new();
    for (part, place) in from.parts.iter().zip(&to.parts) {
        let name = place.file_name().context("a part of a bundle has a name")?;
        let copied = staging.path().join(name);
        copy(part, &copied)?;
        if let Ok(inside) = to.resources.strip_prefix(place) {
            keep_models(&to.resources.join("models"), &copied.join(inside).join("models"))?;
        }
        prepared.push((copied, place));
    }
    for (copied, place) in prepared {
        replace(&copied, place)?;
    }
    Ok(())
}

/// Copies the models that only the installed plug-in has.
fn keep_models(installed: &Path, new: &Path) -> Result<()> {
    let Ok(entries) = fs::read_dir(installed) else { return Ok(()) };
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot read {}", installed.display()))?;
        let place = new.join(entry.file_name());
        if !place.exists() {
            copy(&entry.path(), &place)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn installing_keeps_the_models_of_the_user() {
        // Contract: installing replaces the plug-in and its own model and keeps a model that
        // someone else put beside it.
        let folder = tempfile::tempdir().unwrap();
        for (from, to) in System::Linux
            .bundles(&folder.path().join("new"))
            .iter()
            .zip(&System::Linux.bundles(&folder.path().join("installed")))
        {
            write(&from.binary, "new plug-in");
            write(&from.resources.join("models/own/model.json"), "new model");
            write(&to.binary, "old plug-in");
            write(&to.resources.join("models/own/model.json"), "old model");
            write(&to.resources.join("models/mine/model.json"), "mine");
            write(&to.resources.join("runtime/gone"), "an old library");
            install_bundle(from, to).unwrap();
            let read = |path: &str| fs::read_to_string(to.resources.join(path)).unwrap();
            assert_eq!(fs::read_to_string(&to.binary).unwrap(), "new plug-in");
            assert_eq!(read("models/own/model.json"), "new model");
            assert_eq!(read("models/mine/model.json"), "mine");
            assert!(!to.resources.join("runtime/gone").exists());
        }
        let left: Vec<_> = fs::read_dir(folder.path().join("installed")).unwrap().collect();
        assert_eq!(left.len(), 3, "{left:?}");
    }
}
