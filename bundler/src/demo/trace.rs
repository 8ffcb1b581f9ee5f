//! Reads what the plug-in's worker writes to the file named by `INTERLUDE_TRACE`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

/// The environment variable that makes the plug-in write a trace.
pub(crate) const VARIABLE: &str = "INTERLUDE_TRACE";

/// One line of the trace. Events and fields that are not of interest here are skipped.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(crate) enum Event {
    /// A model is ready.
    Model {
        /// The model's name.
        name: String,
        /// The execution provider that runs it.
        provider: String,
        /// Milliseconds from request to ready.
        load_ms: f64,
    },
    /// A slot got its latent code.
    Encoded {
        /// `A` or `B`.
        slot: String,
        /// Milliseconds of tokenising and encoding.
        encode_ms: f64,
    },
    /// The pattern of a cycle is ready.
    Decoded {
        /// Index of the cycle, counted from song position 0.
        cycle: i64,
        /// Milliseconds of blending and decoding.
        decode_ms: f64,
    },
    /// A cycle began before its pattern was ready.
    Late {
        /// Index of the cycle.
        cycle: i64,
    },
    /// An error; the plug-in continues.
    Error {
        /// What, in words.
        message: String,
    },
    /// Anything else.
    #[serde(other)]
    Other,
}

/// A trace file while the plug-in writes to it.
pub(crate) struct Trace {
    path: PathBuf,
}

impl Trace {
    /// Names the file; it need not exist yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// All complete lines so far. Lines that are no events are left out.
    pub(crate) fn events(&self) -> Vec<Event> {
        let text = fs::read_to_string(&self.path).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_of_known_events_count() {
        // Contract: a line that is still being written is not read, an unknown event is no error.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        let trace = Trace::new(&path);
        assert_eq!(trace.events(), []);
        let lines = "{\"event\":\"decoded\",\"cycle\":-1,\"morph\":0.5,\"decode_ms\":5.5,\"notes\":3}\n\
                     {\"event\":\"tea\",\"cups\":2}\n{\"event\":\"late\",\"cycle\":4}\n{\"event\":\"la";
        fs::write(&path, lines).unwrap();
        let decoded = Event::Decoded { cycle: -1, decode_ms: 5.5 };
        assert_eq!(trace.events(), [decoded, Event::Other, Event::Late { cycle: 4 }]);
    }
}
