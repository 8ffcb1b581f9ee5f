//! Which back end runs: the one that is wished for, or the best there is.

use std::sync::Arc;

use super::backend::{Backend, ConnectError, SharedEngine, StartError, Way, Wish};
use super::timer::{Timer, Wires};

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
