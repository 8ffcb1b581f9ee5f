//! The events of a track, one after the other.
//!
//! midly has an iterator of events, but real files need a more tolerant one: it silently ends a
//! track at an event that it cannot read, it cannot read meta events out of range (an SMPTE offset
//! of 47 frames) or short (a key signature of one byte) nor messages of a live connection, which
//! some programs record, and it takes all that follows for a text whose length is too large. So
//! events are separated here, and midly parses the channel messages.

use midly::MidiMessage;
use midly::live::LiveEvent;

/// Largest delta time, and largest length of an event: four bytes of seven bits.
const MAX_NUMBER: u32 = (1 << 28) - 1;
/// The meta event with which a track ends.
pub(super) const END_OF_TRACK: u8 = 0x2F;

/// An event of a track.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind<'a> {
    /// A message of a channel, in `0..16`.
    Channel(u8, MidiMessage),
    /// A meta event: its type and data of any length.
    Meta(u8, &'a [u8]),
    /// A message to a device, which is ignored.
    System,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Event<'a> {
    /// Where it begins in the track, with the time before it.
    pub(super) byte: usize,
    /// Ticks from the start of the track.
    pub(super) tick: u64,
    pub(super) kind: Kind<'a>,
}

/// Bytes that are not an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where the event begins in the track.
    pub(super) byte: usize,
    /// Whether it would go on beyond the end.
    pub(super) is_cut: bool,
}

/// Events until the end or the first fault.
pub(super) struct Events<'a> {
    track: &'a [u8],
    next: usize,
    tick: u64,
    /// Status of the last channel message. System messages and meta events end it by the letter of
    /// the standard; programs that write files do not all know, and the original lets it live on.
    running: Option<u8>,
    faulty: bool,
}

impl<'a> Events<'a> {
    pub(super) fn of(track: &'a [u8]) -> Self {
        Self { track, next: 0, tick: 0, running: None, faulty: false }
    }

    /// First byte behind the events so far.
    pub(super) fn position(&self) -> usize {
        self.next
    }

    /// `None` for bytes that are no event.
    fn read(&mut self, rest: &mut Bytes<'a>) -> Option<Kind<'a>> {
        self.tick += u64::from(rest.number()?);
        let data = rest.left;
        let mut status = rest.byte()?;
        if status < 0x80 {
            status = self.running?;
            rest.left = data;
        }
        Some(match status {
            0..0x80 => return None,
            0x80..0xF0 => {
                let length = if (0xC0..0xE0).contains(&status) { 1 } else { 2 };
                let mut bytes = [status, 0, 0];
                bytes[1..=length].copy_from_slice(rest.take(length)?);
                let parsed = LiveEvent::parse(&bytes[..=length]);
                let Ok(LiveEvent::Midi { channel, message }) = parsed else { return None };
                self.running = Some(status);
                Kind::Channel(channel.as_int(), message)
            }
            0xFF => {
                let kind = rest.byte()?;
                let length = rest.number()?;
                Kind::Meta(kind, rest.take(usize::try_from(length).ok()?)?)
            }
            0xF0 | 0xF7 => {
                let length = rest.number()?;
                rest.take(usize::try_from(length).ok()?)?;
                Kind::System
            }
            // Quarter frame, song position, song select, tune request, and the clock, start,
            // continue, stop and active sensing of a live connection.
            0xF1 | 0xF3 => rest.data(1)?,
            0xF2 => rest.data(2)?,
            0xF6 | 0xF8 | 0xFA..=0xFC | 0xFE => Kind::System,
            0xF4 | 0xF5 | 0xF9 | 0xFD => return None,
        })
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<Event<'a>, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.faulty || self.next == self.track.len() {
            return None;
        }
        let byte = self.next;
        let mut rest = Bytes { left: &self.track[byte..], is_short: false };
        let Some(kind) = self.read(&mut rest) else {
            self.faulty = true;
            return Some(Err(Fault { byte, is_cut: rest.is_short }));
        };
        self.next = self.track.len() - rest.left.len();
        Some(Ok(Event { byte, tick: self.tick, kind }))
    }
}

/// What is left of a track.
struct Bytes<'a> {
    left: &'a [u8],
    /// Whether more was asked for than is left.
    is_short: bool,
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let Some((taken, left)) = self.left.split_at_checked(count) else {
            self.is_short = true;
            return None;
        };
        self.left = left;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    /// A number in bytes of seven bits, of which only the last has no top bit.
    fn number(&mut self) -> Option<u32> {
        let mut number = 0u32;
        loop {
            let byte = self.byte()?;
            number = (number << 7) | u32::from(byte & 0x7F);
            if byte < 0x80 {
                return Some(number);
            }
            if number > MAX_NUMBER >> 7 {
                return None;
            }
        }
    }

    /// A system message with data bytes.
    fn data(&mut self, count: usize) -> Option<Kind<'a>> {
        self.take(count)?.iter().all(|byte| *byte < 0x80).then_some(Kind::System)
    }
}
