//! The tracks of a file.
//!
//! A file is a sequence of chunks, each preceded by its length, and programs often write wrong
//! lengths: too short or too long by some bytes, 0 or the largest number where they were never
//! filled in, stray bytes between chunks. A length that leads to the next track or to the end of
//! the file is trusted; otherwise a track ends with its end-of-track event, and the next is
//! searched from there.

use super::error::{MidiError, Warning};
use super::events::{END_OF_TRACK, Events, Fault, Kind};

/// How a file begins.
const HEADER: &[u8] = b"MThd";
/// How a track begins.
const TRACK: &[u8] = b"MTrk";
/// Bytes of a chunk before its data: its name and length.
const HEAD: usize = 8;
/// Bytes of data in a header.
const HEADER_DATA: usize = 6;
/// Bytes that may stand before the header: the head of an old archive, of a mail.
const MAX_BEFORE: usize = 1 << 16;
/// First bytes of other formats that may contain a MIDI file.
const ARCHIVES: [&[u8]; 2] = [b"RIFF", b"PK\x03\x04"];

/// The tracks of a file.
pub(super) struct Tracks<'a> {
    pub(super) ticks_per_quarter: u16,
    /// The events of each track, or why it cannot be read.
    pub(super) tracks: Vec<Result<&'a [u8], MidiError>>,
    /// That the header promises a track that is not there.
    pub(super) missing: Option<MidiError>,
    pub(super) warnings: Vec<Warning>,
}

/// Finds the tracks of a file.
///
/// # Errors
/// When its header cannot be used.
pub(super) fn tracks(bytes: &[u8]) -> Result<Tracks<'_>, MidiError> {
    if bytes.is_empty() {
        return Err(MidiError::Empty);
    }
    let mut warnings = Vec::new();
    let before = before_header(bytes)?;
    if before > 0 {
        warnings.push(Warning::Before { bytes: before });
    }
    let bytes = &bytes[before..];
    let cut_off = || MidiError::Truncated { place: "its header".to_owned() };
    let (length, data) = head(bytes).ok_or_else(cut_off)?;
    let data = data.first_chunk::<HEADER_DATA>().ok_or_else(cut_off)?;
    let [format, declared, division] =
        [0, 2, 4].map(|at| u16::from_be_bytes([data[at], data[at + 1]]));
    match format {
        0 | 1 => {}
        // A single piece is not one of several.
        2 if declared == 1 => {}
        2 => return Err(MidiError::Sequential),
        other => return Err(MidiError::Header { what: format!("format {other}") }),
    }
    if division & 0x8000 != 0 {
        return Err(MidiError::Smpte);
    }
    if division == 0 {
        return Err(MidiError::Header { what: "0 ticks per quarter note".to_owned() });
    }

    // A header may be longer than what is known of it.
    let end = HEAD.saturating_add(length);
    let begin = if at(bytes, end).starts_with(TRACK) { end } else { HEAD + HEADER_DATA };
    let mut splitter =
        Splitter { bytes, next: begin, marker: (0, 0), declared, tracks: Vec::new(), warnings };
    splitter.run();
    let Splitter { tracks, mut warnings, next, .. } = splitter;
    let missing = (tracks.len() < usize::from(declared)).then(|| MidiError::Truncated {
        place: format!("track {} of {declared}", tracks.len() + 1),
    });
    if missing.is_some() {
        warnings.push(Warning::Missing { declared, found: tracks.len() });
    } else if at(bytes, next).starts_with(TRACK) {
        warnings.push(Warning::More { declared });
    }
    Ok(Tracks { ticks_per_quarter: division, tracks, missing, warnings })
}

/// Bytes before the header.
fn before_header(bytes: &[u8]) -> Result<usize, MidiError> {
    if bytes.starts_with(HEADER) {
        return Ok(0);
    }
    // A file of three bytes `MTh` is cut off rather than something else.
    if HEADER.starts_with(bytes) {
        return Err(MidiError::Truncated { place: "its header".to_owned() });
    }
    if ARCHIVES.iter().any(|archive| bytes.starts_with(archive)) {
        return Err(MidiError::NotMidi);
    }
    let with_length = [HEADER, &[0, 0, 0, 6]].concat();
    let searched = &bytes[..bytes.len().min(MAX_BEFORE)];
    find(searched, &with_length).ok_or(MidiError::NotMidi)
}

/// The rest of the bytes from a place on; nothing when that lies beyond their end.
fn at(bytes: &[u8], place: usize) -> &[u8] {
    bytes.get(place..).unwrap_or_default()
}

/// The length that a chunk has by its head, and what follows the head.
fn head(chunk: &[u8]) -> Option<(usize, &[u8])> {
    let (head, data) = chunk.split_first_chunk::<HEAD>()?;
    let [.., a, b, c, d] = *head;
    Some((usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX), data))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Where the events in some bytes end.
enum Extent {
    /// To an end-of-track event; the first byte behind it.
    Ended(usize),
    /// To the end of the bytes, without such an event.
    Whole,
    /// Not to the end: a fault before it.
    Broken(Fault),
}

fn extent(bytes: &[u8]) -> Extent {
    let mut events = Events::of(bytes);
    loop {
        match events.next() {
            None => return Extent::Whole,
            Some(Err(fault)) => return Extent::Broken(fault),
            Some(Ok(event)) if matches!(event.kind, Kind::Meta(END_OF_TRACK, _)) => {
                return Extent::Ended(events.position());
            }
            Some(Ok(_)) => {}
        }
    }
}

/// Scans a file from its header on, in linear time.
struct Splitter<'a> {
    bytes: &'a [u8],
    /// First byte that is not assigned to a chunk yet.
    next: usize,
    /// The place from which a track was looked for last, and where it was.
    marker: (usize, usize),
    /// Number of tracks by the header; 0 where it was never filled in.
    declared: u16,
    tracks: Vec<Result<&'a [u8], MidiError>>,
    warnings: Vec<Warning>,
}

impl<'a> Splitter<'a> {
    fn run(&mut self) {
        while self.declared == 0 || self.tracks.len() < usize::from(self.declared) {
            let rest = at(self.bytes, self.next);
            if rest.is_empty() {
                return;
            }
            if rest.starts_with(TRACK) {
                self.track();
            } else if let Some(length) = self.foreign(rest) {
                self.next += length;
            } else {
                let track = self.marker(self.next);
                if track == self.bytes.len() {
                    return;
                }
                let (bytes, number) = (track - self.next, self.tracks.len() + 1);
                self.warnings.push(Warning::Between { bytes, track: number });
                self.next = track;
            }
        }
    }

    /// Where the next track begins at or after a place; the end of the file if there is none.
    fn marker(&mut self, from: usize) -> usize {
        if !(self.marker.0..=self.marker.1).contains(&from) || self.marker.1 == 0 {
            let found = find(at(self.bytes, from), TRACK).map(|offset| from + offset);
            self.marker = (from, found.unwrap_or(self.bytes.len()));
        }
        self.marker.1
    }

    /// Bytes of a chunk of another kind, which the standard allows and which mean nothing here.
    fn foreign(&mut self, chunk: &[u8]) -> Option<usize> {
        let is_name = chunk.get(..4)?.iter().all(|byte| (b' '..=b'~').contains(byte));
        let length = HEAD.checked_add(head(chunk)?.0)?;
        let end = self.next.checked_add(length)?;
        let is_credible = is_name && end <= self.bytes.len();
        (is_credible && self.marker(self.next) >= end).then_some(length)
    }

    /// Takes the track that begins at `next`.
    fn track(&mut self) {
        let number = self.tracks.len() + 1;
        let start = self.next + HEAD;
        let Some((length, _)) = head(at(self.bytes, self.next)) else {
            self.tracks.push(Err(self.cut_off(number)));
            self.next = self.bytes.len();
            return;
        };
        let declared = start.saturating_add(length);
        let fits = declared <= self.bytes.len();
        let leads_on = declared == self.bytes.len() || at(self.bytes, declared).starts_with(TRACK);
        let (end, next) = if leads_on {
            self.believed(start, declared)
        } else {
            self.looked_for(start, declared)
        };
        let track = end.map(|end| &self.bytes[start..end]).map_err(|fault| {
            if !fits && next == self.bytes.len() && fault.is_cut {
                return self.cut_off(number);
            }
            let what = match fault.is_cut {
                true => "an event that is longer than its track",
                false => "bytes that are no MIDI event",
            };
            MidiError::Malformed { place: format!("track {number}, byte {},", fault.byte), what }
        });
        if let Ok(track) = track
            && !leads_on
            && track.len() != length
        {
            self.warnings.push(Warning::Length {
                track: number,
                declared: length,
                found: track.len(),
            });
        }
        self.tracks.push(track);
        self.next = next;
    }

    fn cut_off(&self, track: usize) -> MidiError {
        let of = if self.declared == 0 { String::new() } else { format!(" of {}", self.declared) };
        MidiError::Truncated { place: format!("track {track}{of}") }
    }

    /// The end of a track whose length is right, and the start of the next.
    fn believed(&mut self, start: usize, end: usize) -> (Result<usize, Fault>, usize) {
        match extent(&self.bytes[start..end]) {
            Extent::Broken(fault) => (Err(fault), end),
            Extent::Whole => (Ok(end), end),
            Extent::Ended(length) => {
                let ended = start + length;
                let track = self.marker(ended);
                if track < end {
                    return (Ok(ended), track);
                }
                // Behind the event the original reads on. What cannot be read there is padding.
                let is_music = Events::of(&self.bytes[start..end]).all(|event| event.is_ok());
                (Ok(if is_music { end } else { ended }), end)
            }
        }
    }

    /// The end of a track whose length is wrong, and where to search for the next.
    fn looked_for(&mut self, start: usize, declared: usize) -> (Result<usize, Fault>, usize) {
        let limit = self.marker(start);
        let fault = match extent(&self.bytes[start..limit]) {
            Extent::Ended(length) => return (Ok(start + length), start + length),
            Extent::Whole if limit < self.bytes.len() || declared <= limit => {
                return (Ok(limit), limit);
            }
            // A file that ends between two events is cut off too.
            Extent::Whole => Fault { byte: limit - start, is_cut: true },
            Extent::Broken(fault) => fault,
        };
        // Without the event that ends it, a track may still be as long as is said.
        let is_whole = (start + 1..=limit).contains(&declared)
            && matches!(extent(&self.bytes[start..declared]), Extent::Whole);
        if is_whole {
            return (Ok(declared), declared);
        }
        (Err(fault), limit)
    }
}
