//! A JACK server without sound hardware, and a recorder of the MIDI that goes through it.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    music::Recording,
    place::{Dialogue, Place, Started},
};

/// Frames in a second.
pub(super) const SAMPLE_RATE: u32 = 48_000;
/// Frames in a block when the server starts.
const BLOCK: u32 = 256;
/// How long the server, a client or a connection may take to come.
const PATIENCE: Duration = Duration::from_secs(15);

/// The server. It is no real-time program and is heard by nobody.
pub(super) struct Server {
    started: Started,
}

impl Server {
    /// Starts a server and waits until it answers.
    pub(super) fn start(place: &Place) -> Result<Self> {
        let mut command = place.command("jackd");
        // Synchronous: a late client makes the clock wait instead of losing what it plays.
        command.args(["-n", place.server(), "--no-realtime", "-S", "-t", "20000", "-d", "dummy"]);
        command.args(["-r", &SAMPLE_RATE.to_string(), "-p", &BLOCK.to_string()]);
        let mut server = Self { started: place.start(command, "jackd")? };
        let begun = Instant::now();
        while ports(place).is_err() {
            ensure!(server.started.runs(), "jackd ended at once, see {}", place.root.display());
            ensure!(begun.elapsed() < PATIENCE, "jackd does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(server)
    }
}

/// The names of all ports.
fn ports(place: &Place) -> Result<Vec<String>> {
    let output = place.command("jack_lsp").output().context("cannot start jack_lsp")?;
    ensure!(output.status.success(), "the JACK server does not answer");
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// Whether a port is connected with the recorder.
fn feeds_recorder(place: &Place, port: &str) -> Result<bool> {
    let output = place.command("jack_lsp").args(["-c", "recorder:input"]).output();
    let output = output.context("cannot start jack_lsp")?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().any(|line| line.trim() == port))
}

/// Waits for a port.
pub(super) fn wait_for(place: &Place, port: &str) -> Result<()> {
    let begun = Instant::now();
    loop {
        let there = ports(place)?;
        if there.iter().any(|name| name == port) {
            return Ok(());
        }
        ensure!(
            begun.elapsed() < PATIENCE,
            "the JACK port {port} did not come; there are {}",
            there.join(", ")
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until a client that has ended is gone: the server takes its time on a busy machine, and
/// another client of the same name would be given another one.
pub(super) fn wait_gone(place: &Place, client: &str) -> Result<()> {
    let begun = Instant::now();
    let prefix = format!("{client}:");
    while ports(place)?.iter().any(|name| name.starts_with(&prefix)) {
        ensure!(begun.elapsed() < PATIENCE, "the JACK client {client} does not go");
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Changes the length of blocks.
pub(super) fn set_block(place: &Place, frames: u32) -> Result<()> {
    let mut command = place.command("jack_bufsize");
    command.arg(frames.to_string());
    place.finish(command, "jack_bufsize", PATIENCE)
}

/// Records what comes out of MIDI ports, each event with its frame on the server's clock.
pub(super) struct Recorder {
    dump: Dialogue,
}

impl Recorder {
    /// Begins to record from ports that all go to one input, so that their events have one clock.
    pub(super) fn start(place: &Place, ports: &[&str]) -> Result<Self> {
        let mut command = place.command("jack_midi_dump");
        command.args(["-a", "recorder"]);
        let recorder = Self { dump: place.talk(command, "jack_midi_dump")? };
        wait_for(place, "recorder:input")?;
        recorder.connect(place, ports)?;
        Ok(recorder)
    }

    /// Records from ports, also when they were gone for a while.
    pub(super) fn connect(&self, place: &Place, ports: &[&str]) -> Result<()> {
        for port in ports {
            wait_for(place, port)?;
            // A host may have saved the connection and made it again.
            if !feeds_recorder(place, port)? {
                let mut connect: Command = place.command("jack_connect");
                connect.args([port, "recorder:input"]);
                let connected = place.finish(connect, "jack_connect", PATIENCE);
                if !feeds_recorder(place, port)? {
                    connected?;
                    bail!("{port} cannot be connected with the recorder");
                }
            }
        }
        Ok(())
    }

    /// What was recorded since the last time.
    pub(super) fn take(&mut self) -> Result<Recording> {
        // What was played just now is on its way through the recorder.
        std::thread::sleep(Duration::from_millis(300));
        if !self.dump.started.runs() {
            bail!("the recorder ended before its time");
        }
        Ok(Recording::parse(&self.dump.waiting()))
    }

    /// Ends the recording.
    pub(super) fn end(self) -> Recording {
        Recording::parse(&self.dump.end())
    }
}

/// Records what comes out of audio ports into a WAV file, for a time that is known before.
pub(super) struct AudioRecorder {
    started: Started,
    until: Instant,
}

impl AudioRecorder {
    /// Begins to record.
    pub(super) fn start(
        place: &Place,
        file: &Path,
        ports: &[&str],
        length: Duration,
    ) -> Result<Self> {
        // A second for its start and its end.
        let length = length + Duration::from_secs(2);
        let mut command = place.command("jack_rec");
        command.arg("-f").arg(file).args(["-b", "32", "-d", &length.as_secs().to_string()]);
        command.args(ports);
        let started = place.start(command, "jack_rec")?;
        std::thread::sleep(Duration::from_millis(500));
        Ok(Self { started, until: Instant::now() + length + PATIENCE })
    }

    /// Waits for the end.
    pub(super) fn finish(mut self) -> Result<()> {
        while self.started.runs() {
            ensure!(Instant::now() < self.until, "the audio recorder does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}
