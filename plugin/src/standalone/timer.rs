//! Runs the engine by a timer, where no audio system calls it.
//!
//! Interlude makes no sound, so it needs no sound card to keep time. Messages go out at their own
//! time within a block, as exactly as the system wakes a thread; what comes in is answered a block
//! later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::backend::{SharedEngine, StartError};

/// Samples per second: the resolution of time.
const RATE: u32 = 48_000;
/// Samples in a block, 2.7 ms.
const BLOCK: u32 = 128;
/// A thread that was delayed for longer does not catch up.
const LONGEST_DELAY: Duration = Duration::from_millis(200);

/// A message that came in, and when.
pub(super) type Incoming = (Instant, [u8; 3]);

/// A connection that messages go out by.
pub(super) trait Wire: Send {
    /// Sends a message.
    fn send(&mut self, message: [u8; 3]);
}

/// The connections that messages go out by.
pub(super) type Wires = Arc<Mutex<Vec<Box<dyn Wire>>>>;

/// A thread that runs the engine until it is dropped.
pub(super) struct Timer {
    quit: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Timer {
    /// Clock of the transport, as text.
    pub(super) const NAME: &'static str = "this computer\u{2019}s timer";

    pub(super) fn start(
        engine: SharedEngine,
        incoming: Receiver<Incoming>,
        wires: Wires,
    ) -> Result<Self, StartError> {
        #[expect(clippy::cast_precision_loss, reason = "48,000 is exact")]
        engine.lock().start(RATE as f32);
        let quit = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&quit);
        let thread = std::thread::Builder::new()
            .name("interlude-timer".to_owned())
            .spawn(move || run(&engine, &incoming, &wires, &ended))
            .map_err(|error| StartError::Thread(error.to_string()))?;
        Ok(Self { quit, thread: Some(thread) })
    }

    pub(super) fn runs(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.quit.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to clean up.
            let _ = thread.join();
        }
    }
}

fn run(engine: &SharedEngine, incoming: &Receiver<Incoming>, wires: &Wires, quit: &AtomicBool) {
    let mut origin = Instant::now();
    let mut blocks = 0;
    let mut outgoing = Vec::new();
    while !quit.load(Ordering::Acquire) {
        let begin = origin + time_of(blocks * u64::from(BLOCK));
        outgoing.clear();
        {
            let mut engine = engine.lock();
            for (came, message) in incoming.try_iter() {
                engine.receive(offset_of(came, begin), &message);
            }
            engine.run(BLOCK, |offset, message| outgoing.push((offset, message)));
        }
        for &(offset, message) in &outgoing {
            sleep_until(begin + time_of(u64::from(offset)));
            for wire in wires.lock().iter_mut() {
                wire.send(message);
            }
        }
        blocks += 1;
        let end = origin + time_of(blocks * u64::from(BLOCK));
        sleep_until(end);
        if end.elapsed() > LONGEST_DELAY {
            (origin, blocks) = (Instant::now(), 0);
        }
    }
}

/// How long so many samples last.
fn time_of(samples: u64) -> Duration {
    let (seconds, rest) = (samples / u64::from(RATE), samples % u64::from(RATE));
    Duration::from_secs(seconds) + Duration::from_secs(rest) / RATE
}

/// The sample, in the block that begins at `begin`, of what came while the block before played.
fn offset_of(came: Instant, begin: Instant) -> u32 {
    let since = (came + time_of(u64::from(BLOCK))).saturating_duration_since(begin);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
    let samples = (since.as_secs_f64() * f64::from(RATE)).round() as u32;
    samples.min(BLOCK - 1)
}

fn sleep_until(time: Instant) {
    let pause = time.saturating_duration_since(Instant::now());
    if !pause.is_zero() {
        std::thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::standalone::{clock::Controls, engine::Engine};

    struct Recorder(mpsc::Sender<(Instant, [u8; 3])>);

    impl Wire for Recorder {
        fn send(&mut self, message: [u8; 3]) {
            self.0.send((Instant::now(), message)).unwrap();
        }
    }

    /// Samples last as long as they do in the long run: an hour of blocks is an hour.
    #[test]
    fn time_does_not_drift() {
        assert_eq!(time_of(3600 * u64::from(RATE)), Duration::from_secs(3600));
        assert_eq!(time_of(1), Duration::from_nanos(20_833));
    }

    /// What came while a block played keeps its place within the next one, and what came before is
    /// not lost.
    #[test]
    fn what_comes_in_keeps_its_rhythm() {
        let begin = Instant::now() + Duration::from_secs(1);
        let block = time_of(u64::from(BLOCK));
        assert_eq!(offset_of(begin, begin), BLOCK - 1);
        assert_eq!(offset_of(begin - block / 2, begin), BLOCK / 2);
        assert_eq!(offset_of(begin - 3 * block, begin), 0);
    }

    /// Notes that come in go out again on every wire, in order, and the thread ends when it is
    /// dropped.
    #[test]
    fn notes_go_through() {
        let controls = Arc::new(Controls::default());
        let engine = Arc::new(Mutex::new(Engine::new(controls)));
        let (sent, arrived) = mpsc::channel();
        let wires = Wires::default();
        for _ in 0..2 {
            wires.lock().push(Box::new(Recorder(sent.clone())));
        }
        let (play, incoming) = mpsc::channel();
        let timer = Timer::start(engine, incoming, wires).unwrap();
        for message in [[0x90, 60, 100], [0x80, 60, 0]] {
            play.send((Instant::now(), message)).unwrap();
            for _ in 0..2 {
                let (_, heard) = arrived.recv_timeout(Duration::from_secs(20)).unwrap();
                assert_eq!(heard, message);
            }
        }
        assert!(timer.runs());
        drop(timer);
        drop(sent);
        assert!(arrived.recv().is_err(), "nothing holds the wires any more");
    }
}
