//! Clips to Standard MIDI Files.
//!
//! The layout is the one pretty_midi gives a file: type 1, 220 ticks per quarter note, a track with
//! tempo and 4/4, then one track for each instrument. A first track for the program of channel 0
//! always exists, so a file of drums alone has an empty piano track.

use std::collections::BTreeMap;

use midly::{
    Format, Header, MetaMessage, MidiMessage, Smf, Timing, TrackEvent, TrackEventKind,
    num::{u4, u7, u15, u24, u28},
};

use super::instruments::PROGRAM_NAMES;
use crate::clip::{Clip, Note};

/// Ticks in a quarter note of every file that is written.
const TICKS_PER_QUARTER: u16 = 220;
/// The largest delta time the format can express.
const MAX_TICK: f64 = ((1 << 28) - 1) as f64;

/// The bytes of a type 1 MIDI file with the notes of `clip`, at `qpm` quarter notes per minute.
///
/// At 120 the file is byte by byte what the original writes for the same notes. Notes outside the
/// ranges of [`Note`] are left out. `qpm` is held within what a file can say, about 3.6 to 60
/// million.
pub fn to_bytes(clip: &Clip, qpm: f64) -> Vec<u8> {
    let mut groups: BTreeMap<(bool, u8, u8), Vec<&Note>> = BTreeMap::new();
    for note in clip.notes.iter().filter(|note| is_writable(note)) {
        let program = if note.is_drum() { 0 } else { note.program };
        groups.entry((note.is_drum(), note.channel, program)).or_default().push(note);
    }
    let mut tracks = vec![timing_track(qpm)];
    if groups.keys().next().is_none_or(|&(is_drum, channel, _)| is_drum || channel != 0) {
        tracks.push(note_track(None, 0, 0, &[]));
    }
    for (&(is_drum, channel, program), notes) in &groups {
        let name = match (is_drum, tracks.len()) {
            (true, _) => Some("Drums"),
            (false, 1) => None,
            (false, _) => Some(PROGRAM_NAMES[usize::from(program)]),
        };
        tracks.push(note_track(name, channel, program, notes));
    }
    let header =
        Header::new(Format::Parallel, Timing::Metrical(u15::from_int_lossy(TICKS_PER_QUARTER)));
    let mut bytes = Vec::new();
    Smf { header, tracks }
        .write_std(&mut bytes)
        .expect("at most 2,050 tracks of short events: below every limit of the format");
    bytes
}

fn is_writable(note: &Note) -> bool {
    note.start >= 0.0
        && note.end > note.start
        && note.end * f64::from(TICKS_PER_QUARTER) < MAX_TICK
        && note.pitch < 128
        && (1..128).contains(&note.velocity)
        && note.channel < 16
        && note.program < 128
}

fn timing_track(qpm: f64) -> Vec<TrackEvent<'static>> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to 24 bits; not a number becomes the smallest"
    )]
    let tempo = (6e7 / qpm).round().clamp(1.0, f64::from((1 << 24) - 1)) as u32;
    let meta = |delta: u32, message| TrackEvent {
        delta: u28::from_int_lossy(delta),
        kind: TrackEventKind::Meta(message),
    };
    vec![
        meta(0, MetaMessage::Tempo(u24::from_int_lossy(tempo))),
        meta(0, MetaMessage::TimeSignature(4, 2, 24, 8)),
        meta(1, MetaMessage::EndOfTrack),
    ]
}

fn note_track(
    name: Option<&'static str>,
    channel: u8,
    program: u8,
    notes: &[&Note],
) -> Vec<TrackEvent<'static>> {
    // Tick, key, velocity (0 ends a note): in this order, so that a note ends before the next of
    // its key begins.
    let mut keys: Vec<(u32, u8, u8)> = Vec::with_capacity(2 * notes.len());
    for note in notes {
        let start = tick(note.start);
        keys.push((start, note.pitch, note.velocity));
        keys.push((tick(note.end).max(start + 1), note.pitch, 0));
    }
    keys.sort_unstable();

    let channel = u4::from_int_lossy(channel);
    let midi = |message| TrackEventKind::Midi { channel, message };
    let mut events = Vec::with_capacity(keys.len() + 3);
    let mut push = |delta: u32, kind| {
        events.push(TrackEvent { delta: u28::from_int_lossy(delta), kind });
    };
    if let Some(name) = name {
        push(0, TrackEventKind::Meta(MetaMessage::TrackName(name.as_bytes())));
    }
    push(0, midi(MidiMessage::ProgramChange { program: u7::from_int_lossy(program) }));
    let mut now = 0;
    for (tick, key, velocity) in keys {
        let (key, vel) = (u7::from_int_lossy(key), u7::from_int_lossy(velocity));
        push(tick - now, midi(MidiMessage::NoteOn { key, vel }));
        now = tick;
    }
    push(1, TrackEventKind::Meta(MetaMessage::EndOfTrack));
    events
}

fn tick(beat: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`is_writable` keeps beats within 28 bits of ticks"
    )]
    let tick = (beat * f64::from(TICKS_PER_QUARTER)).round_ties_even() as u32;
    tick
}
