//! Held keys of the host: resolves which note a note-off ends, and passes notes through.
//!
//! Hosts send note-offs without a voice id, with a voice id and no key, or for all keys at once;
//! here each becomes note-offs of single keys. A note that was passed on is ended even when passing
//! on has been switched off since.

use nice_plug::midi::{Channel, Key, NoteEvent, VoiceID};

use crate::memory::room_for;

/// Most keys held at once; a note-on beyond is ignored.
const MOST_HELD: usize = 256;

/// A held key.
#[derive(Clone, Copy, Debug)]
struct Held {
    channel: u8,
    pitch: u8,
    voice_id: VoiceID,
    passed: bool,
}

/// A note-on or note-off of one key, as the host meant it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KeyEvent {
    /// Samples from the start of the block.
    pub offset: u32,
    /// Zero-based MIDI channel.
    pub channel: u8,
    /// MIDI key.
    pub pitch: u8,
    /// Velocity of a note-on, in `1..128`; `None` for a note-off.
    pub velocity: Option<u8>,
}

impl KeyEvent {
    /// What an event starts or ends, where that is a note of one key.
    pub fn of(event: &NoteEvent<()>) -> Option<Self> {
        let (offset, channel, key, velocity) = match *event {
            NoteEvent::NoteOn { timing, channel, key, velocity, .. } => {
                (timing, channel, key, Some(midi_velocity(velocity)))
            }
            NoteEvent::NoteOff { timing, channel, key, .. }
            | NoteEvent::Choke { timing, channel, key, .. } => (timing, channel, key, None),
            _ => return None,
        };
        Some(Self { offset, channel: channel.number()?, pitch: key.number()?, velocity })
    }
}

/// The keys that the host holds.
#[derive(Debug)]
pub struct Keyboard {
    held: Vec<Held>,
}

impl Default for Keyboard {
    fn default() -> Self {
        let any = Held { channel: 0, pitch: 0, voice_id: VoiceID::Wildcard, passed: false };
        Self { held: room_for(MOST_HELD, any) }
    }
}

impl Keyboard {
    /// Takes an incoming event. `key` is called for each note that it starts or ends, `pass` for
    /// each event to pass on.
    pub fn take(
        &mut self,
        event: NoteEvent<()>,
        thru: bool,
        mut key: impl FnMut(KeyEvent),
        mut pass: impl FnMut(NoteEvent<()>),
    ) {
        let offset = event.timing();
        match event {
            NoteEvent::NoteOn { voice_id, channel, key: note, velocity, .. } => {
                let (Some(channel), Some(pitch)) = (channel.number(), note.number()) else {
                    return;
                };
                if channel >= 16 || pitch >= 128 || self.held.len() == MOST_HELD {
                    return;
                }
                self.held.push(Held { channel, pitch, voice_id, passed: thru });
                key(KeyEvent { offset, channel, pitch, velocity: Some(midi_velocity(velocity)) });
                if thru {
                    pass(event);
                }
            }
            NoteEvent::NoteOff { voice_id, channel, key: note, velocity, .. } => {
                self.end(offset, voice_id, channel, note, velocity, key, pass);
            }
            // A choke ends the note at once; MIDI has no other word for it than a note-off.
            NoteEvent::Choke { voice_id, channel, key: note, .. } => {
                self.end(offset, voice_id, channel, note, 0.0, key, pass);
            }
            NoteEvent::PolyPressure { .. }
            | NoteEvent::PolyVolume { .. }
            | NoteEvent::PolyPan { .. }
            | NoteEvent::PolyTuning { .. }
            | NoteEvent::PolyVibrato { .. }
            | NoteEvent::PolyExpression { .. }
            | NoteEvent::PolyBrightness { .. }
                if thru =>
            {
                pass(event);
            }
            _ => {}
        }
    }

    /// Ends all that was passed on, at the start of a block.
    pub fn release(&mut self, mut pass: impl FnMut(NoteEvent<()>)) {
        while let Some(held) = self.held.pop() {
            if held.passed {
                pass(note_off(0, &held, 0.0));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one event and its two receivers")]
    fn end(
        &mut self,
        offset: u32,
        voice_id: VoiceID,
        channel: Channel,
        note: Key,
        velocity: f32,
        mut key: impl FnMut(KeyEvent),
        mut pass: impl FnMut(NoteEvent<()>),
    ) {
        let single = note.number().is_some() && channel.number().is_some();
        let mut index = 0;
        while let Some(held) = self.held.get(index).copied() {
            let matches = channel.number().is_none_or(|channel| channel == held.channel)
                && note.number().is_none_or(|pitch| pitch == held.pitch)
                && match (voice_id, held.voice_id) {
                    (VoiceID::ID(asked), VoiceID::ID(id)) => asked == id,
                    _ => true,
                };
            if !matches {
                index += 1;
                continue;
            }
            self.held.remove(index);
            let (channel, pitch) = (held.channel, held.pitch);
            key(KeyEvent { offset, channel, pitch, velocity: None });
            if held.passed {
                pass(note_off(offset, &held, velocity));
            }
            if single {
                return;
            }
        }
    }
}

fn note_off(timing: u32, held: &Held, velocity: f32) -> NoteEvent<()> {
    NoteEvent::NoteOff {
        timing,
        voice_id: held.voice_id,
        channel: Channel::Number(held.channel),
        key: Key::Number(held.pitch),
        velocity,
    }
}

/// A velocity in `0..=1` as MIDI has it; 0 would be a note-off.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=127")]
fn midi_velocity(velocity: f32) -> u8 {
    (velocity * 127.0).round().clamp(1.0, 127.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(pitch: u8, id: Option<i32>) -> NoteEvent<()> {
        NoteEvent::NoteOn {
            timing: 3,
            voice_id: id.map_or(VoiceID::Wildcard, VoiceID::ID),
            channel: Channel::Number(0),
            key: Key::Number(pitch),
            velocity: 0.8,
        }
    }

    fn off(channel: Channel, key: Key, voice_id: VoiceID) -> NoteEvent<()> {
        NoteEvent::NoteOff { timing: 5, voice_id, channel, key, velocity: 0.0 }
    }

    fn ended(keyboard: &mut Keyboard, event: NoteEvent<()>, thru: bool) -> (Vec<u8>, usize) {
        let mut pitches = Vec::new();
        let mut passed = 0;
        keyboard.take(
            event,
            thru,
            |key| {
                if key.velocity.is_none() {
                    pitches.push(key.pitch);
                }
            },
            |_| passed += 1,
        );
        (pitches, passed)
    }

    /// A note-off finds its note by key, by voice id alone, or by nothing at all.
    #[test]
    fn note_offs_find_their_notes() {
        let mut keyboard = Keyboard::default();
        for (pitch, id) in [(60, None), (60, Some(1)), (64, Some(2)), (67, Some(3))] {
            ended(&mut keyboard, on(pitch, id), true);
        }
        let channel = Channel::Number(0);
        let by_key = off(channel, Key::Number(60), VoiceID::Wildcard);
        assert_eq!(ended(&mut keyboard, by_key, true), (vec![60], 1));
        let by_id = off(Channel::Wildcard, Key::Wildcard, VoiceID::ID(2));
        assert_eq!(ended(&mut keyboard, by_id, true), (vec![64], 1));
        let all = off(Channel::Wildcard, Key::Wildcard, VoiceID::Wildcard);
        assert_eq!(ended(&mut keyboard, all, true), (vec![60, 67], 2));
        assert_eq!(ended(&mut keyboard, by_key, true), (vec![], 0));
    }

    /// What was passed on is ended after thru is switched off; what was not is never passed.
    #[test]
    fn thru_switches_between_notes() {
        let mut keyboard = Keyboard::default();
        ended(&mut keyboard, on(60, None), true);
        assert_eq!(ended(&mut keyboard, on(62, None), false), (vec![], 0));
        let end = |pitch| off(Channel::Number(0), Key::Number(pitch), VoiceID::Wildcard);
        assert_eq!(ended(&mut keyboard, end(60), false), (vec![60], 1));
        assert_eq!(ended(&mut keyboard, end(62), true), (vec![62], 0));
        ended(&mut keyboard, on(60, None), true);
        let mut released = 0;
        keyboard.release(|_| released += 1);
        assert_eq!(released, 1);
    }
}
