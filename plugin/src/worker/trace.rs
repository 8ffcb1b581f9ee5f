//! A record of what the worker does, for demonstrations and tests.

use std::{
    env,
    fs::{File, OpenOptions},
    io::Write,
};

use serde_json::Value;

/// Environment variable that names the file to append to.
pub(super) const TRACE_VARIABLE: &str = "INTERLUDE_TRACE";

/// Appends one line of JSON for each event; to nowhere without [`TRACE_VARIABLE`].
#[derive(Debug)]
pub(super) struct Trace(Option<File>);

impl Trace {
    /// A trace into the file that the environment names.
    pub(super) fn from_environment() -> Self {
        let path = env::var_os(TRACE_VARIABLE).filter(|path| !path.is_empty());
        Self(path.and_then(|path| OpenOptions::new().create(true).append(true).open(path).ok()))
    }

    /// Writes one event. A trace that cannot be written is no reason to stop the music.
    pub(super) fn write(&mut self, event: &Value) {
        if let Some(file) = &mut self.0 {
            let _ = file.write_all(format!("{event}\n").as_bytes());
        }
    }
}
