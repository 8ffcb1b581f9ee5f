//! Sounding notes, and the note events of one block.

use crate::memory::room_for;

/// Most events in one block.
pub const MOST_EVENTS: usize = 1024;
/// Most notes that sound at once.
const MOST_SOUNDING: usize = 256;

/// A note-on or note-off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Samples from the start of the block.
    pub offset: u32,
    /// Zero-based MIDI channel.
    pub channel: u8,
    /// MIDI key.
    pub pitch: u8,
    /// Velocity of a note-on, in `1..128`; `None` for a note-off.
    pub velocity: Option<u8>,
}

#[derive(Clone, Copy, Debug)]
struct SoundingNote {
    channel: u8,
    pitch: u8,
    /// Song position at which it ends, in beats.
    end: f64,
    /// First offset in the current block at which it may end: one sample after its note-on.
    earliest: u32,
}

/// The notes that sound and the events of the current block, which always has room for the
/// note-offs of all that sound: a note-on that would take that room is left out.
#[derive(Debug)]
pub struct Sounding {
    notes: Vec<SoundingNote>,
    events: Vec<Event>,
}

impl Default for Sounding {
    fn default() -> Self {
        let note = SoundingNote { channel: 0, pitch: 0, end: 0.0, earliest: 0 };
        let event = Event { offset: 0, channel: 0, pitch: 0, velocity: None };
        Self { notes: room_for(MOST_SOUNDING, note), events: room_for(MOST_EVENTS, event) }
    }
}

impl Sounding {
    /// Starts a block: clears the events.
    pub fn begin_block(&mut self) {
        self.events.clear();
        for note in &mut self.notes {
            note.earliest = 0;
        }
    }

    /// The events of the current block, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether no note sounds.
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Starts a note that ends at song position `end`. A note of the same key ends first.
    pub fn start(&mut self, offset: u32, channel: u8, pitch: u8, velocity: u8, end: f64) {
        let same = |note: &SoundingNote| note.channel == channel && note.pitch == pitch;
        if let Some(index) = self.notes.iter().position(same) {
            self.stop(index, offset);
        }
        let reserved = self.events.len() + self.notes.len() + 2;
        if reserved > MOST_EVENTS || self.notes.len() == MOST_SOUNDING {
            return;
        }
        self.events.push(Event { offset, channel, pitch, velocity: Some(velocity) });
        self.notes.push(SoundingNote { channel, pitch, end, earliest: offset.saturating_add(1) });
    }

    /// The note that ends first: its index and the offset of its end, by `offset_of` a position.
    pub fn next_end(&self, offset_of: impl Fn(f64) -> i64) -> Option<(usize, i64)> {
        self.notes
            .iter()
            .enumerate()
            .map(|(index, note)| (index, offset_of(note.end).max(i64::from(note.earliest))))
            .min_by_key(|&(_, offset)| offset)
    }

    /// Ends the note at `index`.
    pub fn stop(&mut self, index: usize, offset: u32) {
        let note = self.notes.swap_remove(index);
        self.events.push(Event {
            offset,
            channel: note.channel,
            pitch: note.pitch,
            velocity: None,
        });
    }

    /// Ends all notes.
    pub fn flush(&mut self, offset: u32) {
        while let Some(last) = self.notes.len().checked_sub(1) {
            self.stop(last, offset);
        }
    }
}
