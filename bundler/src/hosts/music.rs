//! Recordings of a host: notes, and beats that locate them in the song.
//!
//! Each host plays a track of beats beside Interlude's: a note at every quarter note on
//! [`BEAT_CHANNEL`], whose key is the number of the beat. What comes out of both is recorded on one
//! clock, so the host itself tells on which sample a beat lies.

use interlude_models::clip::{Clip, Note as ClipNote};

/// Zero-based channel of the beats.
pub(super) const BEAT_CHANNEL: u8 = 15;
/// Beats in a song: a key for each.
pub(super) const BEATS: u8 = 128;

/// A note, with times in whatever unit its list has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Note<T> {
    /// When it begins.
    pub(super) start: T,
    /// When it ends; `None` when nothing ended it.
    pub(super) end: Option<T>,
    /// MIDI key.
    pub(super) key: u8,
    /// Velocity, in `1..128`.
    pub(super) velocity: u8,
    /// Zero-based channel.
    pub(super) channel: u8,
}

/// A beat of the song and the frame on which it came.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Beat {
    /// Frame of the recording's clock.
    pub(super) frame: i64,
    /// Number of the quarter note from the song's start.
    pub(super) number: u8,
}

/// What was recorded, in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Recording {
    /// Interlude's notes, in frames.
    pub(super) notes: Vec<Note<i64>>,
    /// The beats.
    pub(super) beats: Vec<Beat>,
}

impl Recording {
    /// Reads the lines of `jack_midi_dump -a`: a frame, a colon, the bytes, and words.
    pub(super) fn parse(lines: &[String]) -> Self {
        Self::of(lines.iter().filter_map(|line| {
            let (frame, rest) = line.split_once(':')?;
            let mut bytes = rest.split_whitespace().map(|byte| u8::from_str_radix(byte, 16));
            let mut byte = || bytes.next()?.ok();
            Some((frame.trim().parse().ok()?, [byte()?, byte()?, byte()?]))
        }))
    }

    /// Pairs note-ons with note-offs; an off ends the oldest sounding note of its key.
    pub(super) fn of(messages: impl IntoIterator<Item = (i64, [u8; 3])>) -> Self {
        let mut recording = Self::default();
        for (frame, [status, key, velocity]) in messages {
            let channel = status & 0x0f;
            match (status & 0xf0, velocity) {
                (0x90, 1..) if channel == BEAT_CHANNEL => {
                    recording.beats.push(Beat { frame, number: key });
                }
                (0x90, 1..) => {
                    recording.notes.push(Note { start: frame, end: None, key, velocity, channel });
                }
                (0x80, _) | (0x90, 0) => {
                    let sounding = recording.notes.iter_mut().find(|note| {
                        note.end.is_none() && note.key == key && note.channel == channel
                    });
                    if let Some(note) = sounding {
                        note.end = Some(frame);
                    }
                }
                _ => {}
            }
        }
        recording
    }
}

/// The track of beats.
pub(super) fn beats() -> Clip {
    let note = |beat: u8| ClipNote {
        start: f64::from(beat),
        end: f64::from(beat) + 0.25,
        pitch: beat,
        velocity: 64,
        channel: BEAT_CHANNEL,
        program: 0,
    };
    Clip::new((0..BEATS).map(note).collect(), f64::from(BEATS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_recorder_become_notes_and_beats() {
        // Contract: frames and bytes are read, beats are kept apart, offs end the oldest note of
        // their key, and what is no note is passed over.
        let lines = [
            "  1000: 9f 03 40 note on  (channel 15): pitch   3, velocity  64",
            "  1000: 90 3c 50 note on  (channel  0): pitch  60, velocity  80",
            "  2000: b0 7b 00 control change",
            "  7000: 80 3c 40 note off (channel  0): pitch  60, velocity  64",
            "  7000: 90 3c 50 note on  (channel  0): pitch  60, velocity  80",
            "jack_midi_dump: something else",
        ];
        let recording = Recording::parse(&lines.map(str::to_owned));
        assert_eq!(recording.beats, [Beat { frame: 1000, number: 3 }]);
        let note = Note { start: 1000, end: Some(7000), key: 60, velocity: 80, channel: 0 };
        assert_eq!(recording.notes, [note, Note { start: 7000, end: None, ..note }]);
    }
}
