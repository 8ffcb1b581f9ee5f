//! What calls the engine and carries its messages.

use std::sync::Arc;

use parking_lot::Mutex;
use thiserror::Error;

use super::engine::Engine;
pub use crate::editor::strip::Way;

/// A running back end; it stops when it is dropped.
pub(super) trait Backend: Send {
    /// Clock of the transport, as text.
    fn clock(&self) -> String;

    /// Interlude's own port, where the system lets programs have one.
    fn own(&self, way: Way) -> Option<String>;

    /// The ports of others.
    fn others(&self, way: Way) -> Vec<String>;

    /// The port of another that Interlude has connected itself to.
    fn chosen(&self, way: Way) -> Option<&str>;

    /// Connects to a port of another in place of the one before, or to none.
    fn connect(&mut self, way: Way, port: Option<&str>) -> Result<(), ConnectError>;

    /// Whether the engine is still called.
    fn runs(&self) -> bool;
}

/// Why a port cannot be connected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConnectError {
    /// It is not there.
    #[error(
        "There is no MIDI port \u{201c}{0}\u{201d} any more; look again and choose another one."
    )]
    Gone(String),
    /// The system refuses.
    #[error(
        "The MIDI port \u{201c}{port}\u{201d} cannot be connected ({reason}); is another program using it?"
    )]
    Refused {
        /// The port.
        port: String,
        /// What the system says.
        reason: String,
    },
}

/// Which back end to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// JACK where a server runs, else the system's MIDI, else none.
    #[default]
    Auto,
    /// A JACK server, or PipeWire in its place.
    Jack,
    /// The system's own MIDI: ALSA, CoreMIDI, Windows.
    System,
    /// No MIDI at all.
    None,
}

/// Why a back end cannot be started.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StartError {
    /// No JACK.
    #[error("JACK: {0}")]
    Jack(String),
    /// No MIDI.
    #[error("the system\u{2019}s MIDI: {0}")]
    System(String),
    /// No thread.
    #[error("no thread could be started ({0})")]
    Thread(String),
    /// A program without ports.
    #[error("this program was built without JACK and MIDI (feature `standalone`)")]
    NotBuilt,
}

/// The engine as back ends share it: one calls it at a time.
pub(super) type SharedEngine = Arc<Mutex<Engine>>;
