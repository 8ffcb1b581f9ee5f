//! The transport of the stand-alone program: a song position that advances by samples.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use atomic_float::AtomicF64;

use crate::transport::HostTransport;

/// The tempos that can be chosen, in beats per minute.
pub const TEMPOS: std::ops::RangeInclusive<f64> = 20.0..=300.0;
/// The tempo of a new program, in beats per minute.
pub const DEFAULT_TEMPO: f64 = 120.0;

/// Longest wait until what sounds has been ended; a stalled sound system must not hold the window.
const PATIENCE: Duration = Duration::from_millis(300);

/// What the window sets and the playing thread follows. Wait-free on both sides.
#[derive(Debug)]
pub struct Controls {
    playing: AtomicBool,
    tempo: AtomicF64,
    position: AtomicF64,
    silence: AtomicU8,
}

/// Nothing is asked for.
const SOUNDING: u8 = 0;
/// All notes shall end with the next block.
const REQUESTED: u8 = 1;
/// A block with the ends of all notes was made; the block after it finds them sent.
const ENDED: u8 = 2;

impl Default for Controls {
    fn default() -> Self {
        Self {
            playing: AtomicBool::new(false),
            tempo: AtomicF64::new(DEFAULT_TEMPO),
            position: AtomicF64::new(0.0),
            silence: AtomicU8::new(SOUNDING),
        }
    }
}

impl Controls {
    /// Starts at bar 1, or stops and returns there.
    pub fn play(&self, on: bool) {
        self.playing.store(on, Ordering::Release);
    }

    /// Whether the transport rolls.
    pub fn playing(&self) -> bool {
        self.playing.load(Ordering::Acquire)
    }

    /// Sets the tempo in beats per minute; what lies outside of [`TEMPOS`] becomes the nearest end.
    pub fn set_tempo(&self, tempo: f64) {
        if !tempo.is_nan() {
            self.tempo.store(tempo.clamp(*TEMPOS.start(), *TEMPOS.end()), Ordering::Release);
        }
    }

    /// The tempo in beats per minute.
    pub fn tempo(&self) -> f64 {
        self.tempo.load(Ordering::Acquire)
    }

    /// The song position in beats, as of the last block.
    pub fn position(&self) -> f64 {
        self.position.load(Ordering::Relaxed)
    }

    /// Ends all notes that sound and waits until their note-offs are on their way, for use before a
    /// connection is cut. Gives up after a moment if nobody plays.
    pub fn silence(&self) {
        self.silence.store(REQUESTED, Ordering::Release);
        let begun = Instant::now();
        while self.silence.load(Ordering::Acquire) != SOUNDING && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// For the playing thread, once in each block: whether all notes must end at its start.
    pub(super) fn must_end_notes(&self) -> bool {
        match self.silence.load(Ordering::Acquire) {
            REQUESTED => {
                self.silence.store(ENDED, Ordering::Release);
                true
            }
            ENDED => {
                self.silence.store(SOUNDING, Ordering::Release);
                false
            }
            _ => false,
        }
    }
}

/// The song position, advanced block by block.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Position of the next block's first sample, in beats.
    beats: f64,
}

impl Clock {
    /// The transport of the next block, of `frames` samples at `sample_rate` hertz.
    pub fn next(&mut self, controls: &Controls, sample_rate: f64, frames: u32) -> HostTransport {
        let (playing, tempo) = (controls.playing(), controls.tempo());
        if !playing {
            self.beats = 0.0;
        }
        let beats = self.beats;
        controls.position.store(beats, Ordering::Relaxed);
        if playing {
            self.beats += f64::from(frames) * tempo / (60.0 * sample_rate);
        }
        HostTransport {
            playing,
            beats: Some(beats),
            // The beats are exact.
            samples: None,
            tempo: Some(tempo),
            signature: Some((4, 4)),
            cycle_range: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Block, Motion, Timeline};

    const RATE: f64 = 48_000.0;

    fn motions(timeline: &mut Timeline, block: &HostTransport, frames: u32) -> Vec<Motion> {
        let mut found = Vec::new();
        timeline.follow(&Block::new(block, RATE, frames), |segment| found.push(segment.motion));
        found
    }

    /// Play starts at bar 1, a stop returns there, and while it stands nothing moves.
    #[test]
    fn play_starts_at_the_beginning() {
        let (controls, mut clock) = (Controls::default(), Clock::default());
        for _ in 0..3 {
            let block = clock.next(&controls, RATE, 512);
            assert_eq!((block.playing, block.beats), (false, Some(0.0)));
        }
        controls.play(true);
        assert_eq!(clock.next(&controls, RATE, 24_000).beats, Some(0.0));
        assert_eq!(clock.next(&controls, RATE, 24_000).beats, Some(1.0));
        controls.play(false);
        assert_eq!(clock.next(&controls, RATE, 24_000).beats, Some(0.0));
        controls.play(true);
        assert_eq!(clock.next(&controls, RATE, 24_000).beats, Some(0.0));
    }

    /// An hour of blocks of changing size stays within a hundredth of a sample, and the player
    /// hears one jump, at the start, whatever happens to the tempo.
    #[test]
    fn the_position_follows_the_samples() {
        let (controls, mut clock) = (Controls::default(), Clock::default());
        let mut timeline = Timeline::default();
        controls.play(true);
        let (mut frames, mut jumps) = (0_u64, 0);
        for size in [1_u32, 64, 128, 441, 1024, 16_384].into_iter().cycle().take(60_000) {
            let block = clock.next(&controls, RATE, size);
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            let expected = frames as f64 / 24_000.0;
            assert!((block.beats.unwrap() - expected).abs() * 24_000.0 < 0.01);
            jumps += motions(&mut timeline, &block, size)
                .iter()
                .filter(|motion| **motion == Motion::Jump)
                .count();
            frames += u64::from(size);
        }
        for tempo in [90.0, 240.0, 20.0, 300.0] {
            controls.set_tempo(tempo);
            for _ in 0..3 {
                let block = clock.next(&controls, RATE, 128);
                assert_eq!(block.tempo, Some(tempo));
                jumps += motions(&mut timeline, &block, 128)
                    .iter()
                    .filter(|motion| **motion == Motion::Jump)
                    .count();
            }
        }
        assert_eq!(jumps, 1);
    }

    /// A tempo that nobody could play becomes the nearest that can be, or is ignored.
    #[test]
    fn tempos_are_bounded() {
        let controls = Controls::default();
        for (set, becomes) in [(0.0, 20.0), (1e9, 300.0), (93.5, 93.5), (f64::NAN, 93.5)] {
            controls.set_tempo(set);
            assert_eq!(controls.tempo(), becomes);
        }
    }

    /// Waiting for silence ends when a block after the note-offs was begun, and without a player
    /// after a moment.
    #[test]
    fn silence_is_awaited() {
        let controls = Controls::default();
        let begun = Instant::now();
        controls.silence();
        assert!(begun.elapsed() >= PATIENCE, "nobody played");
        assert!(controls.must_end_notes());
        assert!(!controls.must_end_notes());
        std::thread::scope(|scope| {
            let player = scope.spawn(|| {
                while !controls.must_end_notes() {
                    std::thread::yield_now();
                }
                assert!(!controls.must_end_notes());
            });
            controls.silence();
            player.join().unwrap();
        });
        assert_eq!(controls.silence.load(Ordering::Acquire), SOUNDING);
    }
}
