//! Encoding of notes in audio.
//!
//! Each event is [`WORDS`] samples of one channel: a unit, and what follows as shares of it, so that
//! a fader or a panner between the plug-in and the file changes nothing. On the left channel notes
//! begin, on the right one they end. An event that must wait for others on its sample says so.
//!
//! This file is a module of the plug-in that writes and of the program that reads.
#![allow(dead_code, reason = "each of the two uses its half")]

/// Samples of an event: the unit, channel and key, velocity, and how long it had to wait.
pub(crate) const WORDS: usize = 4;
/// The unit as the plug-in writes it.
const UNIT: f32 = 0.5;
/// Less is silence.
pub(crate) const SILENCE: f32 = 1e-4;
/// Channels times keys.
pub(crate) const PLACES: f32 = 2048.0;
/// Velocities.
pub(crate) const VELOCITIES: f32 = 128.0;
/// Samples that an event can wait.
pub(crate) const WAITS: f32 = 4096.0;

/// The samples of an event that waits for `wait` samples of others.
pub(crate) fn encode(channel: u8, key: u8, velocity: f32, wait: usize) -> [f32; WORDS] {
    let place = f32::from(u16::from(channel & 15) * 128 + u16::from(key & 127));
    let wait = f32::from(u16::try_from(wait).unwrap_or(u16::MAX).min(4095));
    let velocity = (velocity * 127.0).round().clamp(1.0, 127.0);
    [UNIT, UNIT * place / PLACES, UNIT * velocity / VELOCITIES, UNIT * wait / WAITS]
}
