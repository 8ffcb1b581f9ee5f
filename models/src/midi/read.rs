//! Standard MIDI files to note sequences.
//!
//! The rules, all of them pretty_midi's: tempo and time signatures count on the first track only.
//! Notes belong to the instrument given by program, channel and track at the moment they *end*. A
//! note-off ends every open note of its channel and key that began on another tick; notes that
//! began on the same tick stay open if another was ended, and vanish if none was. Notes without an
//! end are dropped.

use std::collections::HashMap;

use midly::{EventIter, MetaMessage, MidiMessage, TrackEventKind};

use super::{MAX_EVENTS, MidiError, NoteSequence, SequenceNote, Tempo, TimeSignature};
use crate::clip::DRUM_CHANNEL;

/// Microseconds in a quarter note until the file says otherwise.
const DEFAULT_TEMPO: u32 = 500_000;

pub(super) fn sequence(bytes: &[u8]) -> Result<NoteSequence, MidiError> {
    let (ticks_per_quarter, tracks) = tracks(bytes)?;
    let mut tempo_map = TempoMap::new(ticks_per_quarter);
    let mut time_signatures = Vec::new();
    if let Some(first) = tracks.first() {
        for_each_event(first, 0, |tick, kind| {
            match kind {
                TrackEventKind::Meta(MetaMessage::Tempo(tempo)) => {
                    tempo_map.add(tick, tempo.as_int());
                }
                TrackEventKind::Meta(MetaMessage::TimeSignature(numerator, power, ..)) => {
                    // A denominator beyond 2^31 cannot be told from one of 2^31: neither makes a
                    // bar.
                    time_signatures.push((tick, numerator, 1u32 << power.min(31)));
                }
                _ => {}
            }
            within(tempo_map.changes.len(), "changes of tempo")?;
            within(time_signatures.len(), "time signatures")
        })?;
    }

    let mut instruments = Instruments::default();
    let mut open = OpenNotes::new();
    let mut begun = 0;
    for (index, track) in tracks.iter().enumerate() {
        let mut programs = [0u8; 16];
        for_each_event(track, index, |tick, kind| {
            let TrackEventKind::Midi { channel, message } = kind else { return Ok(()) };
            let channel = channel.as_int();
            match message {
                MidiMessage::ProgramChange { program } => {
                    programs[usize::from(channel)] = program.as_int();
                }
                MidiMessage::NoteOn { key, vel } if vel.as_int() > 0 => {
                    begun += 1;
                    within(begun, "notes")?;
                    open.start(channel, key.as_int(), OpenNote { tick, velocity: vel.as_int() });
                }
                MidiMessage::NoteOn { key, .. } | MidiMessage::NoteOff { key, .. } => {
                    let program = programs[usize::from(channel)];
                    open.end(channel, key.as_int(), tick, |note| {
                        instruments.of(program, channel, index).push(SequenceNote {
                            start: tempo_map.seconds(note.tick),
                            end: tempo_map.seconds(tick),
                            instrument: 0,
                            pitch: key.as_int(),
                            velocity: note.velocity,
                            program,
                            is_drum: channel == DRUM_CHANNEL,
                        });
                    });
                }
                _ => {}
            }
            Ok(())
        })?;
        open.clear();
    }

    let notes = instruments.into_notes();
    Ok(NoteSequence {
        total_time: notes.iter().map(|note| note.end).fold(0.0, f64::max),
        notes,
        tempos: tempo_map.tempos(),
        time_signatures: time_signatures
            .into_iter()
            .map(|(tick, numerator, denominator)| TimeSignature {
                time: tempo_map.seconds(tick),
                numerator: u32::from(numerator),
                denominator,
            })
            .collect(),
        chords: Vec::new(),
        ticks_per_quarter,
    })
}

/// Refuses more things of a kind than any music has.
fn within(count: usize, what: &'static str) -> Result<(), MidiError> {
    if count > MAX_EVENTS { Err(MidiError::TooMany { what }) } else { Ok(()) }
}

/// Takes a file apart into its resolution and the bytes of its tracks.
fn tracks(bytes: &[u8]) -> Result<(u16, Vec<&[u8]>), MidiError> {
    if bytes.is_empty() {
        return Err(MidiError::Empty);
    }
    if !bytes.starts_with(b"MThd") {
        // A file of three bytes `MTh` is cut off rather than something else.
        return Err(if b"MThd".starts_with(bytes) {
            MidiError::Truncated { place: "its header".to_owned() }
        } else {
            MidiError::NotMidi
        });
    }
    let mut rest = bytes;
    let header = chunk(&mut rest, "its header")?.1;
    let [format_high, format_low, _, _, division_high, division_low, ..] = *header else {
        return Err(MidiError::Truncated { place: "its header".to_owned() });
    };
    match u16::from_be_bytes([format_high, format_low]) {
        0 | 1 => {}
        2 => return Err(MidiError::Sequential),
        other => return Err(MidiError::Header { what: format!("format {other}") }),
    }
    if division_high & 0x80 != 0 {
        return Err(MidiError::Smpte);
    }
    let ticks_per_quarter = u16::from_be_bytes([division_high, division_low]);
    if ticks_per_quarter == 0 {
        return Err(MidiError::Header { what: "0 ticks per quarter note".to_owned() });
    }
    let declared = u16::from_be_bytes([header[2], header[3]]);
    let mut tracks = Vec::new();
    while tracks.len() < usize::from(declared) {
        let place = format!("track {} of {declared}", tracks.len() + 1);
        if rest.is_empty() {
            return Err(MidiError::Truncated { place });
        }
        let (kind, data) = chunk(&mut rest, &place)?;
        // Other chunks are allowed by the standard and mean nothing here.
        if kind == b"MTrk" {
            tracks.push(data);
        }
    }
    Ok((ticks_per_quarter, tracks))
}

/// Cuts the next chunk off `rest`: its four-letter kind and its data.
fn chunk<'a>(rest: &mut &'a [u8], place: &str) -> Result<(&'a [u8], &'a [u8]), MidiError> {
    let truncated = || MidiError::Truncated { place: place.to_owned() };
    let (head, tail) = rest.split_at_checked(8).ok_or_else(truncated)?;
    let (kind, length) = head.split_at(4);
    let length = length.iter().fold(0usize, |sum, byte| (sum << 8) | usize::from(*byte));
    let (data, tail) = tail.split_at_checked(length).ok_or_else(truncated)?;
    *rest = tail;
    Ok((kind, data))
}

/// Calls `each` with the absolute tick of every event of a track, until it refuses one.
fn for_each_event<'a>(
    track: &'a [u8],
    index: usize,
    mut each: impl FnMut(u64, TrackEventKind<'a>) -> Result<(), MidiError>,
) -> Result<(), MidiError> {
    let mut events = EventIter::new(track);
    let mut tick = 0u64;
    loop {
        let unread = events.unread().len();
        if unread == 0 {
            return Ok(());
        }
        let status = events.running_status();
        let malformed = || MidiError::Malformed {
            place: format!("track {}, byte {},", index + 1, track.len() - unread),
        };
        // The iterator ends without a word at an event it cannot read.
        let event = events.next().ok_or_else(malformed)?.map_err(|_| malformed())?;
        tick += u64::from(event.delta.as_int());
        if !matches!(event.kind, TrackEventKind::Midi { .. }) {
            // The standard says that meta events end running status; programs that write files do
            // not all know, and the original lets it live on.
            *events.running_status_mut() = status;
        }
        each(tick, event.kind)?;
    }
}

/// Ticks to seconds, piecewise linear.
struct TempoMap {
    ticks_per_quarter: f64,
    /// Tick and second at which each tempo begins, and its seconds per tick.
    changes: Vec<(u64, f64, f64)>,
}

impl TempoMap {
    fn new(ticks_per_quarter: u16) -> Self {
        let mut map = Self { ticks_per_quarter: f64::from(ticks_per_quarter), changes: Vec::new() };
        map.changes.push((0, 0.0, map.scale(DEFAULT_TEMPO)));
        map
    }

    /// Seconds per tick. The order of operations is the original's, to the last bit.
    fn scale(&self, microseconds_per_quarter: u32) -> f64 {
        60.0 / ((6e7 / f64::from(microseconds_per_quarter)) * self.ticks_per_quarter)
    }

    /// Adds a tempo at or after the last one. A tempo of 0 has no meaning and is left out.
    fn add(&mut self, tick: u64, microseconds_per_quarter: u32) {
        if microseconds_per_quarter == 0 {
            return;
        }
        let scale = self.scale(microseconds_per_quarter);
        if tick == 0 {
            self.changes = vec![(0, 0.0, scale)];
        } else if self.changes.last().is_none_or(|&(_, _, last)| last != scale) {
            self.changes.push((tick, self.seconds(tick), scale));
        }
    }

    fn seconds(&self, tick: u64) -> f64 {
        let index = self.changes.partition_point(|&(start, _, _)| start <= tick);
        let (start, seconds, scale) = self.changes[index.saturating_sub(1)];
        #[expect(clippy::cast_precision_loss, reason = "a file has less than 2^53 ticks")]
        let ticks = (tick - start) as f64;
        seconds + scale * ticks
    }

    fn tempos(&self) -> Vec<Tempo> {
        self.changes
            .iter()
            .map(|&(_, time, scale)| Tempo { time, qpm: 60.0 / (scale * self.ticks_per_quarter) })
            .collect()
    }
}

#[derive(Clone, Copy)]
struct OpenNote {
    tick: u64,
    velocity: u8,
}

/// The sounding notes of a track by channel and key.
struct OpenNotes {
    by_key: Vec<Vec<OpenNote>>,
    used: Vec<usize>,
}

impl OpenNotes {
    fn new() -> Self {
        Self { by_key: vec![Vec::new(); 16 * 128], used: Vec::new() }
    }

    fn slot(channel: u8, key: u8) -> usize {
        usize::from(channel) * 128 + usize::from(key)
    }

    fn start(&mut self, channel: u8, key: u8, note: OpenNote) {
        let slot = Self::slot(channel, key);
        if self.by_key[slot].is_empty() {
            self.used.push(slot);
        }
        self.by_key[slot].push(note);
    }

    fn end(&mut self, channel: u8, key: u8, tick: u64, mut ended: impl FnMut(OpenNote)) {
        let notes = &mut self.by_key[Self::slot(channel, key)];
        let all = notes.len();
        notes.retain(|note| {
            let stays = note.tick == tick;
            if !stays {
                ended(*note);
            }
            stays
        });
        if notes.len() == all {
            notes.clear();
        }
    }

    fn clear(&mut self) {
        for slot in self.used.drain(..) {
            self.by_key[slot].clear();
        }
    }
}

/// Notes by instrument, in the order in which the instruments first ended one.
#[derive(Default)]
struct Instruments {
    numbers: HashMap<(u8, u8, usize), usize>,
    notes: Vec<Vec<SequenceNote>>,
}

impl Instruments {
    fn of(&mut self, program: u8, channel: u8, track: usize) -> &mut Vec<SequenceNote> {
        let number = *self.numbers.entry((program, channel, track)).or_insert_with(|| {
            self.notes.push(Vec::new());
            self.notes.len() - 1
        });
        &mut self.notes[number]
    }

    fn into_notes(self) -> Vec<SequenceNote> {
        let mut all = Vec::with_capacity(self.notes.iter().map(Vec::len).sum());
        for (instrument, notes) in (0u32..).zip(self.notes) {
            all.extend(notes.into_iter().map(|note| SequenceNote { instrument, ..note }));
        }
        all
    }
}
