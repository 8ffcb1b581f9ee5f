//! Standard MIDI files to note sequences.
//!
//! For files that conform to the standard, or deviate in ways that the original tolerates, the
//! rules are those of pretty_midi: tempo and time signatures count on the first track only. Notes
//! belong to the instrument given by program, channel and track at the moment they *end*. A
//! note-off ends every open note of its channel and key that began on another tick; notes that
//! began on the same tick stay open if another was ended, and vanish if none was. Notes without an
//! end are dropped.
//!
//! The original fails at files that are damaged anywhere. Here a damaged track is left out as long as
//! it is not the first and others have notes.

use std::collections::HashMap;

use midly::MidiMessage;

use super::chunks::{self, Tracks};
use super::error::{MidiError, Warning};
use super::events::{Event, Events, Kind};
use super::{Lost, MAX_EVENTS, NoteSequence, SequenceNote, Tempo, TimeSignature};
use crate::clip::DRUM_CHANNEL;

/// Type of the meta event with a tempo: three bytes of microseconds.
const TEMPO: u8 = 0x51;
/// Type of the meta event with a time signature: numerator, power of the denominator, and what a
/// metronome does.
const TIME_SIGNATURE: u8 = 0x58;

/// Microseconds in a quarter note until the file says otherwise.
const DEFAULT_TEMPO: u32 = 500_000;

/// A file's music, and what is wrong with the file.
pub(super) fn sequence(bytes: &[u8]) -> Result<(NoteSequence, Vec<Warning>), MidiError> {
    let Tracks { ticks_per_quarter, mut tracks, missing, mut warnings } = chunks::tracks(bytes)?;
    if matches!(tracks.first(), Some(Err(_))) {
        // Tempo and time signatures are the first track's: without it no bar is known.
        tracks.swap_remove(0)?;
    }
    let mut tempo_map = TempoMap::new(ticks_per_quarter);
    let mut time_signatures = Vec::new();
    if let Some(Ok(first)) = tracks.first() {
        for Event { byte, tick, kind } in Events::of(first).flatten() {
            match kind {
                Kind::Meta(TEMPO, &[a, b, c, ..]) if [a, b, c] != [0; 3] => {
                    tempo_map.add(tick, u32::from_be_bytes([0, a, b, c]));
                }
                Kind::Meta(TEMPO, _) => warnings.push(Warning::Tempo { byte }),
                Kind::Meta(TIME_SIGNATURE, &[numerator, power, ..]) => {
                    // A denominator beyond 2^31 cannot be told from one of 2^31: neither makes a
                    // bar.
                    time_signatures.push((tick, numerator, 1u32 << power.min(31)));
                }
                Kind::Meta(TIME_SIGNATURE, _) => return Err(MidiError::Metre { byte }),
                _ => {}
            }
            within(tempo_map.changes.len().max(warnings.len()), "changes of tempo")?;
            within(time_signatures.len(), "time signatures")?;
        }
    }

    let mut instruments = Instruments::default();
    let mut open = OpenNotes::new();
    let mut lost = Lost::default();
    let mut begun = 0;
    let mut damage = None;
    for (index, track) in tracks.into_iter().enumerate() {
        let track = match track {
            Ok(track) => track,
            Err(error) => {
                warnings.push(Warning::LeftOut { track: index + 1, reason: error.to_string() });
                damage.get_or_insert(error);
                continue;
            }
        };
        let mut programs = [0u8; 16];
        for Event { tick, kind, .. } in Events::of(track).flatten() {
            let Kind::Channel(channel, message) = kind else { continue };
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
                    let vanished = open.end(channel, key.as_int(), tick, |note| {
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
                    lost.count_without_length(channel, vanished);
                }
                _ => {}
            }
        }
        open.clear(|channel, notes| lost.count_without_end(channel, notes));
    }

    let notes = instruments.into_notes();
    if let Some(damage) = damage.or(missing).filter(|_| notes.is_empty()) {
        return Err(damage);
    }
    let sequence = NoteSequence {
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
        lost,
        ticks_per_quarter,
    };
    Ok((sequence, warnings))
}

/// Rejects more items of a kind than any music has.
fn within(count: usize, what: &'static str) -> Result<(), MidiError> {
    if count > MAX_EVENTS { Err(MidiError::TooMany { what }) } else { Ok(()) }
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

    /// Adds a tempo, not 0, at or after the last one.
    fn add(&mut self, tick: u64, microseconds_per_quarter: u32) {
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

    /// Ends notes; the answer is how many began on the same tick and vanish.
    fn end(&mut self, channel: u8, key: u8, tick: u64, mut ended: impl FnMut(OpenNote)) -> usize {
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
            return all;
        }
        0
    }

    /// Forgets what is open, and tells of how many notes of which channel.
    fn clear(&mut self, mut forgotten: impl FnMut(u8, usize)) {
        for slot in self.used.drain(..) {
            let channel = u8::try_from(slot / 128).unwrap_or(0);
            forgotten(channel, self.by_key[slot].len());
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
