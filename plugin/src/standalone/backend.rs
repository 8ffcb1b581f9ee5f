//! What calls the engine and carries its messages.

use std::sync::Arc;

use parking_lot::Mutex;
use thiserror::Error;

use super::engine::Engine;
use super::timer::{Timer, Wires};
pub use crate::editor::strip::Way;

/// A running back end; it stops when it is dropped.
pub(super) trait Backend: Send {
    /// What Interlude is in time with, for people.
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

/// Starts the back end that is wished for; [`Wish::Auto`] takes the best there is and says in a
/// sentence what is missing.
pub(super) fn start(
    engine: &SharedEngine,
    wish: Wish,
) -> Result<(Box<dyn Backend>, Option<String>), StartError> {
    match wish {
        Wish::Jack => Ok((jack(engine)?, None)),
        Wish::System => Ok((system(engine)?, None)),
        Wish::None => Ok((Box::new(Alone::start(engine)?), None)),
        Wish::Auto => {
            let without_jack = match jack(engine) {
                Ok(backend) => return Ok((backend, None)),
                Err(error) => error,
            };
            let without_midi = match system(engine) {
                Ok(backend) => return Ok((backend, None)),
                Err(error) => error,
            };
            let notice = format!(
                "No MIDI ({without_jack}; {without_midi}). Start JACK or PipeWire, then look again \
                 under MIDI out."
            );
            Ok((Box::new(Alone::start(engine)?), Some(notice)))
        }
    }
}

#[cfg(feature = "standalone")]
fn jack(engine: &SharedEngine) -> Result<Box<dyn Backend>, StartError> {
    Ok(Box::new(super::jack::Jack::start(engine)?))
}

#[cfg(feature = "standalone")]
fn system(engine: &SharedEngine) -> Result<Box<dyn Backend>, StartError> {
    Ok(Box::new(super::system::System::start(engine)?))
}

#[cfg(not(feature = "standalone"))]
fn jack(_engine: &SharedEngine) -> Result<Box<dyn Backend>, StartError> {
    Err(StartError::NotBuilt)
}

#[cfg(not(feature = "standalone"))]
fn system(_engine: &SharedEngine) -> Result<Box<dyn Backend>, StartError> {
    Err(StartError::NotBuilt)
}

/// No ports: the music is only seen.
struct Alone {
    timer: Timer,
}

impl Alone {
    fn start(engine: &SharedEngine) -> Result<Self, StartError> {
        let (_, nothing_comes) = std::sync::mpsc::channel();
        let timer = Timer::start(Arc::clone(engine), nothing_comes, Wires::default())?;
        Ok(Self { timer })
    }
}

impl Backend for Alone {
    fn clock(&self) -> String {
        Timer::NAME.to_owned()
    }

    fn own(&self, _way: Way) -> Option<String> {
        None
    }

    fn others(&self, _way: Way) -> Vec<String> {
        Vec::new()
    }

    fn chosen(&self, _way: Way) -> Option<&str> {
        None
    }

    fn connect(&mut self, _way: Way, port: Option<&str>) -> Result<(), ConnectError> {
        port.map_or(Ok(()), |port| Err(ConnectError::Gone(port.to_owned())))
    }

    fn runs(&self) -> bool {
        self.timer.runs()
    }
}
