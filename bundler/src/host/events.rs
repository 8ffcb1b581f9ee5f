//! Input and output events of a plug-in, on the host's frame clock.

use clack_host::{
    events::{
        Match, Pckn, UnknownEvent,
        event_types::{MidiEvent, NoteOffEvent, NoteOnEvent, ParamValueEvent},
        spaces::CoreEventSpace,
    },
    prelude::EventBuffer,
    utils::ClapId,
};

/// An event for the plug-in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// A note begins.
    NoteOn {
        /// Zero-based MIDI channel, in `0..16`.
        channel: u8,
        /// MIDI key, in `0..128`.
        key: u8,
        /// Velocity, in `0.0..=1.0`.
        velocity: f64,
    },
    /// A note ends.
    NoteOff {
        /// Zero-based MIDI channel, in `0..16`.
        channel: u8,
        /// MIDI key, in `0..128`.
        key: u8,
    },
    /// A parameter changes.
    Parameter {
        /// The CLAP id, from [`Parameter::id`](super::Parameter::id).
        id: u32,
        /// The CLAP value, between the parameter's `minimum` and `maximum`.
        value: f64,
    },
    /// A raw MIDI message.
    Midi([u8; 3]),
}

impl Input {
    /// Appends the event to a buffer, `time` frames into the block.
    pub(super) fn push(self, time: u32, buffer: &mut EventBuffer) {
        match self {
            Self::NoteOn { channel, key, velocity } => {
                let address = Pckn::new(0_u16, u16::from(channel), u16::from(key), Match::All);
                buffer.push(&NoteOnEvent::new(time, address, velocity));
            }
            Self::NoteOff { channel, key } => {
                let address = Pckn::new(0_u16, u16::from(channel), u16::from(key), Match::All);
                buffer.push(&NoteOffEvent::new(time, address, 0.0));
            }
            Self::Parameter { id, value } => {
                if let Some(id) = ClapId::from_raw(id) {
                    buffer.push(&ParamValueEvent::new(time, id, Pckn::match_all(), value));
                }
            }
            Self::Midi(data) => buffer.push(&MidiEvent::new(time, 0, data)),
        }
    }
}

/// An event from the plug-in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OutputEvent {
    /// Frames since the session began, whether the transport rolled or not.
    pub frame: u64,
    /// Song position in beats (quarter notes) at that frame.
    pub beats: f64,
    /// What it is.
    pub kind: EventKind,
}

/// The kinds of output events.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EventKind {
    /// A note begins.
    NoteOn {
        /// Zero-based MIDI channel, in `0..16`.
        channel: u8,
        /// MIDI key, in `0..128`.
        key: u8,
        /// Velocity, in `0.0..=1.0`.
        velocity: f64,
    },
    /// A note ends, or is choked. `None` stands for every channel or key.
    NoteOff {
        /// Zero-based MIDI channel.
        channel: Option<u8>,
        /// MIDI key.
        key: Option<u8>,
    },
    /// A raw MIDI message.
    Midi([u8; 3]),
    /// The plug-in changed a parameter by itself.
    Parameter {
        /// The CLAP id.
        id: u32,
        /// The CLAP value.
        value: f64,
    },
    /// Anything else.
    Other,
}

impl EventKind {
    /// Reads an event of the plug-in.
    pub(super) fn read(event: &UnknownEvent) -> Self {
        match event.as_core_event() {
            Some(CoreEventSpace::NoteOn(note)) => {
                match (specific(note.channel()), specific(note.key())) {
                    (Some(channel), Some(key)) => {
                        Self::NoteOn { channel, key, velocity: note.velocity() }
                    }
                    _ => Self::Other,
                }
            }
            Some(CoreEventSpace::NoteOff(note)) => {
                Self::NoteOff { channel: specific(note.channel()), key: specific(note.key()) }
            }
            Some(CoreEventSpace::NoteChoke(note)) => {
                Self::NoteOff { channel: specific(note.channel()), key: specific(note.key()) }
            }
            Some(CoreEventSpace::Midi(midi)) => Self::Midi(midi.data()),
            Some(CoreEventSpace::ParamValue(change)) => match change.param_id() {
                Some(id) => Self::Parameter { id: id.get(), value: change.value() },
                None => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

fn specific(value: Match<u16>) -> Option<u8> {
    value.into_specific().and_then(|value| u8::try_from(value).ok())
}

/// One sounded note: an on with the off that ended it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Zero-based MIDI channel.
    pub channel: u8,
    /// MIDI key.
    pub key: u8,
    /// Velocity, in `0.0..=1.0`.
    pub velocity: f64,
    /// Frame of the note-on.
    pub start: u64,
    /// Frame of the note-off; `None` when the note is still sounding.
    pub end: Option<u64>,
    /// Song position of the note-on in beats.
    pub beats: f64,
}

/// Pairs note-ons with their note-offs, in the order of the note-ons.
///
/// An off ends the oldest sounding note of its channel and key, as a receiver without note ids
/// hears it.
pub fn spans(events: &[OutputEvent]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for event in events {
        match event.kind {
            EventKind::NoteOn { channel, key, velocity } => spans.push(Span {
                channel,
                key,
                velocity,
                start: event.frame,
                end: None,
                beats: event.beats,
            }),
            EventKind::NoteOff { channel, key } => {
                let ends = |span: &&mut Span| {
                    span.end.is_none()
                        && channel.is_none_or(|channel| channel == span.channel)
                        && key.is_none_or(|key| key == span.key)
                };
                let several = channel.is_none() || key.is_none();
                let count = if several { usize::MAX } else { 1 };
                for span in spans.iter_mut().filter(ends).take(count) {
                    span.end = Some(event.frame);
                }
            }
            _ => {}
        }
    }
    spans
}

/// Number of notes that were begun and never ended.
pub fn hanging(events: &[OutputEvent]) -> usize {
    spans(events).iter().filter(|span| span.end.is_none()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(frame: u64, key: u8) -> OutputEvent {
        OutputEvent {
            frame,
            beats: 0.0,
            kind: EventKind::NoteOn { channel: 0, key, velocity: 0.5 },
        }
    }

    fn off(frame: u64, key: Option<u8>) -> OutputEvent {
        OutputEvent { frame, beats: 0.0, kind: EventKind::NoteOff { channel: Some(0), key } }
    }

    #[test]
    fn offs_end_the_oldest_note_of_their_key() {
        // Contract: each note-off ends exactly one note, the oldest that sounds on its key.
        let events = [on(0, 60), on(5, 60), on(6, 62), off(10, Some(60))];
        let ends: Vec<_> = spans(&events).iter().map(|span| span.end).collect();
        assert_eq!(ends, [Some(10), None, None]);
        assert_eq!(hanging(&events), 2);
    }

    #[test]
    fn a_wildcard_off_ends_everything() {
        // Contract: a note-off for every key leaves nothing sounding.
        let events = [on(0, 60), on(5, 61), off(9, None)];
        assert_eq!(hanging(&events), 0);
    }
}
