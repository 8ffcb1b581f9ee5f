//! A headless host for CLAP plug-ins: loads a real `.clap` file and plays it as a DAW would.
//!
//! A [`PluginFile`] is the loaded library, an [`Instance`] one plug-in made from it, a [`Session`]
//! an instance with a transport that rolls and a clock that counts frames. Everything runs on the
//! calling thread, which plays the parts of main thread and audio thread in turn.

mod events;
mod instance;
mod session;

pub use events::{EventKind, Input, OutputEvent, Span, hanging, spans};
pub use instance::{Block, Instance, NotePort, Parameter, Settings};
pub use session::{Manners, Session, Transport};

use std::{
    ffi::CString,
    path::{Path, PathBuf},
};

use clack_host::prelude::*;
use thiserror::Error;

/// An error between the host and a plug-in.
#[derive(Debug, Error)]
pub enum HostError {
    /// The file is no CLAP plug-in, or the system cannot load it.
    #[error("cannot load {path}: {reason}; build it with `cargo xtask bundle`")]
    Load {
        /// The file.
        path: PathBuf,
        /// The loader's message.
        reason: String,
    },
    /// The file offers no plug-in with the id asked for.
    #[error("{path} has no plug-in with the id `{id}`; it has: {known}")]
    UnknownPlugin {
        /// The file.
        path: PathBuf,
        /// The id asked for.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// The plug-in has no parameter of that name.
    #[error("the plug-in has no parameter named `{name}`; it has: {known}")]
    UnknownParameter {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The plug-in does not understand a text as a parameter value.
    #[error("the parameter `{name}` does not take `{text}` as a value")]
    Value {
        /// The parameter.
        name: String,
        /// The text.
        text: String,
    },
    /// The plug-in refused something that the host asked of it.
    #[error("the plug-in refused to {action}: {reason}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// What the plug-in or the host library says.
        reason: String,
    },
    /// An output event lies outside of its block or before its predecessor.
    #[error(
        "the plug-in sent an event at frame {time} after one at {previous} in a block of {frames} frames"
    )]
    EventOrder {
        /// Frame of the event.
        time: u32,
        /// Frame of the event before it.
        previous: u32,
        /// Length of the block in frames.
        frames: u32,
    },
}

/// Id and name of a plug-in within a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Stable id, such as `studio.interlude.interlude`.
    pub id: String,
    /// Display name.
    pub name: String,
}

/// A loaded `.clap` file. The library stays in memory until the file and all its instances are gone.
pub struct PluginFile {
    entry: PluginEntry,
    path: PathBuf,
}

impl PluginFile {
    /// Loads a `.clap` file (on macOS the library inside the bundle).
    ///
    /// # Errors
    /// [`HostError::Load`] when the file is missing or no CLAP plug-in.
    pub fn load(path: &Path) -> Result<Self, HostError> {
        let absolute = std::path::absolute(path).map_err(|error| HostError::Load {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        // SAFETY: loading a library runs its initialisers. Running a plug-in's code is what a host
        // is for; the caller names the file.
        let entry = unsafe { PluginEntry::load(&absolute) }.map_err(|error| HostError::Load {
            path: absolute.clone(),
            reason: error.to_string(),
        })?;
        Ok(Self { entry, path: absolute })
    }

    /// The plug-ins in the file.
    pub fn plugins(&self) -> Vec<Descriptor> {
        let Some(factory) = self.entry.get_plugin_factory() else { return Vec::new() };
        factory
            .plugin_descriptors()
            .filter_map(|descriptor| {
                Some(Descriptor {
                    id: descriptor.id()?.to_str().ok()?.to_owned(),
                    name: descriptor.name()?.to_string_lossy().into_owned(),
                })
            })
            .collect()
    }

    /// Makes an instance of the plug-in with this id.
    ///
    /// # Errors
    /// [`HostError::UnknownPlugin`], or [`HostError::Refused`] when the plug-in does not start.
    pub fn instantiate(&self, id: &str) -> Result<Instance, HostError> {
        let known = self.plugins();
        if !known.iter().any(|descriptor| descriptor.id == id) {
            return Err(HostError::UnknownPlugin {
                path: self.path.clone(),
                id: id.to_owned(),
                known: known.into_iter().map(|plugin| plugin.id).collect::<Vec<_>>().join(", "),
            });
        }
        let refused = |reason: String| HostError::Refused { action: "start", reason };
        let id = CString::new(id).map_err(|error| refused(error.to_string()))?;
        let info = HostInfo::new(
            "Interlude headless host",
            "Interlude",
            "https://interlude.studio",
            env!("CARGO_PKG_VERSION"),
        )
        .map_err(|error| refused(error.to_string()))?;
        let plugin = PluginInstance::<instance::Handlers>::new(
            |_| instance::Shared::default(),
            |_| instance::MainThread::default(),
            &self.entry,
            &id,
            &info,
        )
        .map_err(|error| refused(error.to_string()))?;
        Ok(Instance::new(plugin))
    }
}
