//! MIDI through a JACK server (or PipeWire in its place), which calls the engine and to whose
//! samples the notes are exact.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jack::{
    AsyncClient, Client, ClientOptions, ClientStatus, Control, Error, LoggerType, MidiIn, MidiOut,
    NotificationHandler, Port, PortFlags, ProcessHandler, ProcessScope, RawMidi,
};

use super::NAME;
use super::backend::{Backend, ConnectError, SharedEngine, StartError, Way};

/// JACK's name of the MIDI port type.
const MIDI: &str = "8 bit raw midi";

/// A client of a JACK server.
pub(super) struct Jack {
    /// `None` only while it is dropped.
    client: Option<AsyncClient<Watch, Player>>,
    clock: String,
    /// The full names of the own ports, by [`Way::index`].
    own: [String; 2],
    chosen: [Option<String>; 2],
    gone: Arc<AtomicBool>,
}

impl Jack {
    /// Connects to the server that runs; starts none.
    pub(super) fn start(engine: &SharedEngine) -> Result<Self, StartError> {
        // Whether a server runs is ours to tell.
        jack::set_logger(LoggerType::None);
        let failed = |error: Error| StartError::Jack(reason(&error));
        let (client, _) = Client::new(NAME, ClientOptions::NO_START_SERVER).map_err(failed)?;
        let input = client.register_port("in", MidiIn::default()).map_err(failed)?;
        let output = client.register_port("out", MidiOut::default()).map_err(failed)?;
        let own = [input.name().map_err(failed)?, output.name().map_err(failed)?];
        let rate = client.sample_rate();
        let clock = format!("JACK, {} kHz", f64::from(rate) / 1000.0);
        #[expect(clippy::cast_precision_loss, reason = "sample rates are far below 2^24")]
        engine.lock().start(rate as f32);
        let gone = Arc::new(AtomicBool::new(false));
        let watch = Watch { gone: Arc::clone(&gone) };
        let player = Player { engine: Arc::clone(engine), input, output };
        let client = client.activate_async(watch, player).map_err(failed)?;
        Ok(Self { client: Some(client), clock, own, chosen: [None, None], gone })
    }

    /// The client, while its server is there: the library follows pointers into the server's memory.
    fn client(&self) -> Result<&Client, Error> {
        match &self.client {
            Some(client) if self.runs() => Ok(client.as_client()),
            _ => Err(Error::ClientIsNoLongerAlive),
        }
    }

    /// Connects or disconnects an own port and another one.
    fn join(&self, way: Way, other: &str, on: bool) -> Result<(), Error> {
        let own = self.own[way.index()].as_str();
        let (from, to) = match way {
            Way::In => (other, own),
            Way::Out => (own, other),
        };
        let client = self.client()?;
        if on {
            match client.connect_ports_by_name(from, to) {
                Err(Error::PortAlreadyConnected(..)) => Ok(()),
                result => result,
            }
        } else {
            client.disconnect_ports_by_name(from, to)
        }
    }
}

/// An error of the library, in plain terms where possible.
fn reason(error: &Error) -> String {
    match error {
        Error::LibraryError(_) => "not installed".to_owned(),
        Error::ClientError(_) => "no server runs".to_owned(),
        error => error.to_string(),
    }
}

impl Backend for Jack {
    fn clock(&self) -> String {
        self.clock.clone()
    }

    fn own(&self, way: Way) -> Option<String> {
        Some(self.own[way.index()].clone())
    }

    fn others(&self, way: Way) -> Vec<String> {
        let Ok(client) = self.client() else { return Vec::new() };
        // What goes out of others comes in here.
        let flags = match way {
            Way::In => PortFlags::IS_OUTPUT,
            Way::Out => PortFlags::IS_INPUT,
        };
        let mut ports = client.ports(None, Some(MIDI), flags);
        ports.retain(|port| !self.own.contains(port));
        ports
    }

    fn chosen(&self, way: Way) -> Option<&str> {
        self.chosen[way.index()].as_deref()
    }

    fn connect(&mut self, way: Way, port: Option<&str>) -> Result<(), ConnectError> {
        if let Some(before) = self.chosen[way.index()].take() {
            // A port that is gone has taken its connections with it.
            let _ = self.join(way, &before, false);
        }
        let Some(port) = port else { return Ok(()) };
        if !self.others(way).iter().any(|other| other == port) {
            return Err(ConnectError::Gone(port.to_owned()));
        }
        self.join(way, port, true).map_err(|error| ConnectError::Refused {
            port: port.to_owned(),
            reason: error.to_string(),
        })?;
        self.chosen[way.index()] = Some(port.to_owned());
        Ok(())
    }

    fn runs(&self) -> bool {
        !self.gone.load(Ordering::Acquire)
    }
}

impl Drop for Jack {
    fn drop(&mut self) {
        if !self.runs() {
            // Nothing of it is called any more, and closing it would reach into the server's memory.
            std::mem::forget(self.client.take());
        }
    }
}

/// Detects the end of the server.
struct Watch {
    gone: Arc<AtomicBool>,
}

impl NotificationHandler for Watch {
    unsafe fn shutdown(&mut self, _status: ClientStatus, _reason: &str) {
        self.gone.store(true, Ordering::Release);
    }
}

/// Runs the engine in the server's process callback.
struct Player {
    engine: SharedEngine,
    input: Port<MidiIn>,
    output: Port<MidiOut>,
}

impl ProcessHandler for Player {
    fn process(&mut self, _client: &Client, scope: &ProcessScope) -> Control {
        // Clears the port's buffer, which must be done in each cycle.
        let mut writer = self.output.writer(scope);
        // Only a change of the back end holds the engine, and this is the end of one of them.
        let Some(mut engine) = self.engine.try_lock() else { return Control::Continue };
        for message in self.input.iter(scope) {
            engine.receive(message.time, message.bytes);
        }
        engine.run(scope.n_frames(), |time, message| {
            // A buffer that is full is the server's; what is left out is made good by `silence`.
            let _ = writer.write(&RawMidi { time, bytes: &message });
        });
        Control::Continue
    }
}
