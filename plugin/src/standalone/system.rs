//! MIDI of the system (ALSA, CoreMIDI or Windows), with a timer as the clock.
//!
//! On Linux and macOS Interlude has ports of its own, to which others connect themselves; Windows
//! has no such ports. CoreMIDI and Windows are untested.

use std::sync::{Arc, mpsc};
use std::time::Instant;

use midir::{Ignore, MidiInput, MidiInputConnection, MidiOutput, MidiOutputConnection};

use super::NAME;
use super::backend::{Backend, ConnectError, SharedEngine, StartError, Way};
use super::timer::{Incoming, Timer, Wire, Wires};

/// Name of the system's MIDI.
const SYSTEM: &str = if cfg!(windows) {
    "Windows MIDI"
} else if cfg!(target_os = "macos") {
    "CoreMIDI"
} else {
    "ALSA"
};

/// Connections to the system's MIDI.
pub(super) struct System {
    /// The own port first where there is one, then the chosen one.
    wires: Wires,
    sender: mpsc::Sender<Incoming>,
    own: Own,
    /// The connection to the chosen input.
    input: Option<MidiInputConnection<()>>,
    chosen: [Option<String>; 2],
    timer: Timer,
}

impl System {
    pub(super) fn start(engine: &SharedEngine) -> Result<Self, StartError> {
        // ALSA writes a line of its own to the terminal where it has no sequencer.
        if cfg!(target_os = "linux") && !std::path::Path::new("/dev/snd/seq").exists() {
            return Err(StartError::System("no /dev/snd/seq".to_owned()));
        }
        let (sender, incoming) = mpsc::channel();
        let (own, wire) = Own::open(&sender).map_err(StartError::System)?;
        let wires = Wires::default();
        wires.lock().extend(wire);
        let timer = Timer::start(Arc::clone(engine), incoming, Arc::clone(&wires))?;
        Ok(Self { wires, sender, own, input: None, chosen: [None, None], timer })
    }
}

impl Backend for System {
    fn clock(&self) -> String {
        format!("{SYSTEM}, {}", Timer::NAME)
    }

    fn own(&self, way: Way) -> Option<String> {
        self.own.name(way)
    }

    fn others(&self, way: Way) -> Vec<String> {
        let mut names: Vec<String> = match way {
            Way::In => MidiInput::new(NAME)
                .map(|input| {
                    input.ports().iter().filter_map(|port| input.port_name(port).ok()).collect()
                })
                .unwrap_or_default(),
            Way::Out => MidiOutput::new(NAME)
                .map(|output| {
                    output.ports().iter().filter_map(|port| output.port_name(port).ok()).collect()
                })
                .unwrap_or_default(),
        };
        names.retain(|name| !is_own(name));
        names
    }

    fn chosen(&self, way: Way) -> Option<&str> {
        self.chosen[way.index()].as_deref()
    }

    fn connect(&mut self, way: Way, port: Option<&str>) -> Result<(), ConnectError> {
        self.chosen[way.index()] = None;
        match way {
            Way::In => {
                if let Some(before) = self.input.take() {
                    before.close();
                }
                if let Some(port) = port {
                    self.input = Some(connect_input(port, &self.sender)?);
                }
            }
            Way::Out => {
                let kept = usize::from(self.own.is_there());
                self.wires.lock().truncate(kept);
                if let Some(port) = port {
                    let wire = connect_output(port)?;
                    self.wires.lock().push(Box::new(wire));
                }
            }
        }
        self.chosen[way.index()] = port.map(str::to_owned);
        Ok(())
    }

    fn runs(&self) -> bool {
        self.timer.runs()
    }
}

/// Whether a port is one of this program's own.
fn is_own(name: &str) -> bool {
    name.strip_prefix(NAME).is_some_and(|rest| rest.starts_with(':'))
}

fn connect_input(
    port: &str,
    sender: &mpsc::Sender<Incoming>,
) -> Result<MidiInputConnection<()>, ConnectError> {
    let refused = |reason: String| ConnectError::Refused { port: port.to_owned(), reason };
    let input = input().map_err(refused)?;
    let found = input
        .ports()
        .into_iter()
        .find(|found| input.port_name(found).is_ok_and(|name| name == port));
    let found = found.ok_or_else(|| ConnectError::Gone(port.to_owned()))?;
    input
        .connect(&found, "from", receive(sender), ())
        .map_err(|error| refused(error.kind().to_string()))
}

fn connect_output(port: &str) -> Result<Connection, ConnectError> {
    let refused = |reason: String| ConnectError::Refused { port: port.to_owned(), reason };
    let output = MidiOutput::new(NAME).map_err(|error| refused(error.to_string()))?;
    let found = output
        .ports()
        .into_iter()
        .find(|found| output.port_name(found).is_ok_and(|name| name == port));
    let found = found.ok_or_else(|| ConnectError::Gone(port.to_owned()))?;
    let connection =
        output.connect(&found, "to").map_err(|error| refused(error.kind().to_string()))?;
    Ok(Connection(connection))
}

fn input() -> Result<MidiInput, String> {
    let mut input = MidiInput::new(NAME).map_err(|error| error.to_string())?;
    input.ignore(Ignore::All);
    Ok(input)
}

/// Takes what comes in on a thread of the system's.
fn receive(sender: &mpsc::Sender<Incoming>) -> impl FnMut(u64, &[u8], &mut ()) + Send + 'static {
    let sender = sender.clone();
    move |_stamp, message, ()| {
        if let Ok(message) = message.try_into() {
            // Nobody listens when the program is about to end.
            let _ = sender.send((Instant::now(), message));
        }
    }
}

/// An open output.
struct Connection(MidiOutputConnection);

impl Wire for Connection {
    fn send(&mut self, message: [u8; 3]) {
        // A device that was pulled out takes nothing; the menu shows what there is.
        let _ = self.0.send(&message);
    }
}

/// Interlude's own ports, to which others connect themselves.
#[cfg(unix)]
struct Own {
    _input: MidiInputConnection<()>,
}

#[cfg(unix)]
impl Own {
    /// Opens them: the input, and the wire of the output.
    fn open(sender: &mpsc::Sender<Incoming>) -> Result<(Self, Option<Box<dyn Wire>>), String> {
        use midir::os::unix::{VirtualInput as _, VirtualOutput as _};

        let output = MidiOutput::new(NAME).map_err(|error| error.to_string())?;
        let output = output.create_virtual("out").map_err(|error| error.kind().to_string())?;
        let input = input()?
            .create_virtual("in", receive(sender), ())
            .map_err(|error| error.kind().to_string())?;
        Ok((Self { _input: input }, Some(Box::new(Connection(output)))))
    }

    fn is_there(&self) -> bool {
        true
    }

    fn name(&self, way: Way) -> Option<String> {
        let port = match way {
            Way::In => "in",
            Way::Out => "out",
        };
        Some(format!("{NAME}:{port}"))
    }
}

/// Windows has no ports of programs; untested.
#[cfg(not(unix))]
struct Own;

#[cfg(not(unix))]
impl Own {
    fn open(_sender: &mpsc::Sender<Incoming>) -> Result<(Self, Option<Box<dyn Wire>>), String> {
        MidiOutput::new(NAME).map_err(|error| error.to_string())?;
        Ok((Self, None))
    }

    fn is_there(&self) -> bool {
        false
    }

    fn name(&self, _way: Way) -> Option<String> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Interlude does not offer itself to itself; a program with a longer name is another one.
    #[test]
    fn own_ports_are_left_out() {
        assert!(is_own("Interlude:out 128:0"));
        assert!(!is_own("Interlude Synth:in 129:0"));
        assert!(!is_own("FLUID Synth:Synth input port 130:0"));
    }
}
