//! The link between audio thread and worker: two wait-free rings and a few atomics.
//!
//! The rings are `rtrb`, one writer and one reader each, because nothing on the audio side may make
//! a system call: the sender of a channel from `crossbeam-channel` or the standard library takes a
//! lock and wakes a waiting receiver. The price is that the worker has to poll: every 2 ms while
//! the transport rolls, every 20 ms otherwise.
//!
//! The atomics are single values: none says that another one, or memory beside it, may be read. What
//! belongs together travels in one message, and the rings order it. Which orders are relied on, and why
//! they suffice, stands in `docs/architecture.md`.
//!
//! Memory is allocated and freed by the worker only: patterns and takes are sent in boxes and
//! returned. The ring to the worker always keeps [`RESERVE`] places for them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use atomic_float::{AtomicF32, AtomicF64};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::{
    capture::{Phase, Take},
    player::{Link, MOST_PATTERNS, Pattern, Playhead, Request},
    sketch::Sketch,
    slots::SLOTS,
    sound::Instrument,
};

/// Capacity of the ring to the worker, in messages.
const TO_WORKER: usize = 128;
/// Capacity of the ring to the audio thread, in messages.
const TO_AUDIO: usize = 16;
/// Places reserved for returned memory: the patterns in the player, the takes and the preview.
const RESERVE: usize = 32;
const _: () = assert!(MOST_PATTERNS + 2 * SLOTS + 2 <= RESERVE);

/// Polling interval for an answer where `process` may wait.
const WAIT: Duration = Duration::from_micros(100);

/// From the audio thread to the worker.
#[derive(Debug)]
pub enum ToWorker {
    /// Request for a pattern.
    Request(Request),
    /// A recording is complete.
    Captured(Box<Take>),
    /// A pattern is no longer needed.
    Discarded(Box<Pattern>),
    /// A cycle began without its pattern.
    Late(i64),
    /// A preview that another one has replaced.
    Replaced(Box<Instrument>),
}

/// From the worker to the audio thread.
#[derive(Debug)]
pub enum ToAudio {
    /// An answer to a request.
    Pattern(Box<Pattern>),
    /// Memory for a recording.
    Take(Box<Take>),
    /// The preview.
    Sound(Box<Instrument>),
}

/// Samples after a stop in which the worker polls as often as before: half a second or less.
const AWAKE: u32 = 22_050;

/// Polling rate of the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Pace {
    /// The transport stands or nothing processes.
    Idle = 0,
    /// The transport rolls.
    Rolling = 1,
    /// `process` waits for answers.
    Offline = 2,
}

/// Values that audio thread, worker and editor share without a queue.
#[derive(Debug, Default)]
pub struct Signals {
    pace: AtomicU8,
    /// Whether a worker takes messages.
    pub worker_runs: AtomicBool,
    /// Bars in a cycle of the model; 0 before one is loaded.
    pub bars: AtomicU32,
    /// Revision of the model.
    pub model: AtomicU32,
    /// Revision of the slots and the model, which a pattern depends on besides its settings.
    pub contents: AtomicU64,
    /// Tempo of the host in beats per minute; 0 before it is known.
    pub tempo: AtomicF64,
    /// Cycles that began without their pattern.
    pub late: AtomicU64,
    /// The sample rate at which the preview is to play, in frames a second; 0 while it is off.
    pub sound_rate: AtomicU32,
    playhead: PlayheadCell,
    /// The notes that are being recorded into each slot.
    pub sketches: [Sketch; SLOTS],
    taken: [AtomicU32; SLOTS],
    phases: [AtomicF32; SLOTS],
}

#[derive(Debug, Default)]
struct PlayheadCell {
    /// Grows with every block.
    blocks: AtomicU64,
    rolling: AtomicBool,
    cycle: AtomicI64,
    beats: AtomicF64,
    bar_beats: AtomicF64,
    pattern: AtomicU64,
}

impl Signals {
    /// Sets the worker's polling rate.
    pub fn set_pace(&self, pace: Pace) {
        self.pace.store(pace as u8, Ordering::Relaxed);
    }

    /// Whether `process` waits for answers.
    pub fn is_offline(&self) -> bool {
        self.pace.load(Ordering::Relaxed) == Pace::Offline as u8
    }

    /// Polling interval of the worker.
    pub fn pause(&self) -> Duration {
        match self.pace.load(Ordering::Relaxed) {
            0 => Duration::from_millis(20),
            1 => Duration::from_millis(2),
            _ => WAIT,
        }
    }

    /// Shows the editor where the player is, or where it would begin, in every block. The parts are
    /// not read at one instant, which a picture of a moving line can bear.
    pub fn show_playhead(&self, playhead: Option<Playhead>, rolling: bool, bar_beats: f64) {
        let cell = &self.playhead;
        cell.blocks.fetch_add(1, Ordering::Relaxed);
        cell.rolling.store(rolling, Ordering::Relaxed);
        cell.bar_beats.store(bar_beats, Ordering::Relaxed);
        if let Some(playhead) = playhead {
            cell.cycle.store(playhead.cycle, Ordering::Relaxed);
            cell.beats.store(playhead.beats, Ordering::Relaxed);
            cell.pattern.store(playhead.pattern, Ordering::Relaxed);
        }
    }

    /// Blocks that were processed; a host may stop calling while its transport stands.
    pub fn blocks(&self) -> u64 {
        self.playhead.blocks.load(Ordering::Relaxed)
    }

    /// What plays, or would play first, whether the transport rolls, and the beats in a bar.
    pub fn playhead(&self) -> (Playhead, bool, f64) {
        let cell = &self.playhead;
        let playhead = Playhead {
            cycle: cell.cycle.load(Ordering::Relaxed),
            beats: cell.beats.load(Ordering::Relaxed),
            pattern: cell.pattern.load(Ordering::Relaxed),
        };
        (playhead, cell.rolling.load(Ordering::Relaxed), cell.bar_beats.load(Ordering::Relaxed))
    }

    /// Counts a recording that has come into its slot.
    pub fn count_taken(&self, slot: usize) {
        self.taken[slot].fetch_add(1, Ordering::Relaxed);
    }

    /// Recordings that have come into a slot.
    pub fn taken(&self, slot: usize) -> u32 {
        self.taken[slot].load(Ordering::Relaxed)
    }

    /// Shows the editor what a slot's recorder does.
    pub fn show_phase(&self, slot: usize, phase: Phase) {
        let code = match phase {
            Phase::Idle => -2.0,
            Phase::Waiting => -1.0,
            Phase::Recording(share) => share,
        };
        self.phases[slot].store(code, Ordering::Relaxed);
    }

    /// State of a slot's recorder.
    pub fn phase(&self, slot: usize) -> Phase {
        match self.phases[slot].load(Ordering::Relaxed) {
            share if share >= 0.0 => Phase::Recording(share),
            -1.0 => Phase::Waiting,
            _ => Phase::Idle,
        }
    }
}

/// The audio thread's end.
#[derive(Debug)]
pub struct AudioEnd {
    to_worker: Producer<ToWorker>,
    from_worker: Consumer<ToAudio>,
    signals: Arc<Signals>,
    take: Option<Box<Take>>,
    sound: Option<Box<Instrument>>,
    patience: Duration,
    waited: Duration,
    /// Samples for which the worker still looks as often as while the transport rolls.
    awake: u32,
}

/// The worker's end.
#[derive(Debug)]
pub struct WorkerEnd {
    /// Messages from the audio thread.
    pub from_audio: Consumer<ToWorker>,
    /// Messages to the audio thread.
    pub to_audio: Producer<ToAudio>,
}

/// Makes both ends.
pub fn link(signals: Arc<Signals>) -> (AudioEnd, WorkerEnd) {
    let (to_worker, from_audio) = RingBuffer::new(TO_WORKER);
    let (to_audio, from_worker) = RingBuffer::new(TO_AUDIO);
    let audio = AudioEnd {
        to_worker,
        from_worker,
        signals,
        take: None,
        sound: None,
        patience: Duration::ZERO,
        waited: Duration::ZERO,
        awake: 0,
    };
    (audio, WorkerEnd { from_audio, to_audio })
}

impl AudioEnd {
    /// Starts a block of `frames` samples: sets how long `process` may wait in it for the worker, and
    /// how often that looks for messages. Hosts stop for a few blocks when they seek while rolling,
    /// and what is heard next is asked for in them.
    pub fn begin_block(&mut self, patience: Duration, rolling: bool, frames: u32) {
        (self.patience, self.waited) = (patience, Duration::ZERO);
        self.awake = if rolling { AWAKE } else { self.awake.saturating_sub(frames) };
        self.signals.set_pace(match (patience.is_zero(), self.awake > 0) {
            (false, _) => Pace::Offline,
            (true, true) => Pace::Rolling,
            (true, false) => Pace::Idle,
        });
    }

    /// How long `process` has waited in this block.
    pub fn waited(&self) -> Duration {
        self.waited
    }

    /// Sends a recording to be encoded.
    pub fn captured(&mut self, take: Box<Take>) {
        if let Err(rtrb::PushError::Full(message)) = self.to_worker.push(ToWorker::Captured(take)) {
            // The reserve rules this out; a leak is better than freeing memory on this thread.
            std::mem::forget(message);
        }
    }

    /// Memory for a recording, when some has come.
    pub fn take(&mut self) -> Option<Box<Take>> {
        if self.take.is_none() && matches!(self.from_worker.peek(), Ok(ToAudio::Take(_))) {
            self.receive_take();
        }
        self.take.take()
    }

    /// A preview, when one has come.
    pub fn sound(&mut self) -> Option<Box<Instrument>> {
        if self.sound.is_none() && matches!(self.from_worker.peek(), Ok(ToAudio::Sound(_))) {
            self.receive_sound();
        }
        self.sound.take()
    }

    /// Gives a preview back.
    pub fn replaced(&mut self, sound: Box<Instrument>) {
        if let Err(rtrb::PushError::Full(message)) = self.to_worker.push(ToWorker::Replaced(sound))
        {
            // The reserve rules this out; a leak is better than freeing memory on this thread.
            std::mem::forget(message);
        }
    }

    fn receive_sound(&mut self) {
        if let Ok(ToAudio::Sound(sound)) = self.from_worker.pop()
            && let Some(older) = self.sound.replace(sound)
        {
            self.replaced(older);
        }
    }

    fn receive_take(&mut self) {
        if let Ok(ToAudio::Take(take)) = self.from_worker.pop()
            && let Some(surplus) = self.take.replace(take)
        {
            // Never reached: there are no more takes than recorders. Freeing would be a system call.
            std::mem::forget(surplus);
        }
    }
}

impl Link for AudioEnd {
    fn request(&mut self, request: &Request) -> bool {
        self.to_worker.slots() > RESERVE && self.to_worker.push(ToWorker::Request(*request)).is_ok()
    }

    fn answer(&mut self) -> Option<Box<Pattern>> {
        loop {
            if self.to_worker.slots() < RESERVE {
                return None;
            }
            match self.from_worker.peek().ok()? {
                ToAudio::Take(_) if self.take.is_some() => return None,
                ToAudio::Take(_) => self.receive_take(),
                ToAudio::Sound(_) => self.receive_sound(),
                ToAudio::Pattern(_) => {
                    let Ok(ToAudio::Pattern(pattern)) = self.from_worker.pop() else { return None };
                    return Some(pattern);
                }
            }
        }
    }

    fn discard(&mut self, pattern: Box<Pattern>) {
        if let Err(rtrb::PushError::Full(message)) =
            self.to_worker.push(ToWorker::Discarded(pattern))
        {
            // The reserve rules this out; a leak is better than freeing memory on this thread.
            std::mem::forget(message);
        }
    }

    fn late(&mut self, cycle: i64) {
        self.signals.late.fetch_add(1, Ordering::Relaxed);
        if self.to_worker.slots() > RESERVE {
            // With room checked the push cannot fail, and the message owns no memory.
            let _ = self.to_worker.push(ToWorker::Late(cycle));
        }
    }

    fn wait(&mut self) -> bool {
        let may = self.waited < self.patience && self.signals.worker_runs.load(Ordering::Acquire);
        if may {
            let begun = Instant::now();
            self.signals.set_pace(Pace::Offline);
            std::thread::sleep(WAIT);
            self.waited += begun.elapsed();
        }
        may
    }
}

#[cfg(test)]
mod tests;
