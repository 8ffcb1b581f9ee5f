//! TFRecord: checked records one after the other, as TensorFlow writes them, and the note sequences
//! that Magenta stores in them.
//!
//! A record is its length (8 bytes, least significant first), the masked CRC32C of these 8 bytes,
//! the content, and the masked CRC32C of that.

use std::io::{self, Read};

use interlude_models::chords::chord_class;
use interlude_models::midi::{ChordChange, NoteSequence, SequenceNote, Tempo, TimeSignature};
use prost::Message;

use super::names::SEPARATORS;

/// Largest record that is read; real ones are far smaller.
const LARGEST: u64 = 64 << 20;
/// Kind of an annotation that is a chord symbol.
const CHORD_SYMBOL: i32 = 1;

/// A record with its length and checksums.
pub fn frame(content: &[u8]) -> Vec<u8> {
    let length = (content.len() as u64).to_le_bytes();
    let crc = |bytes: &[u8]| interlude_checkpoint::masked_crc(crc32c::crc32c(bytes)).to_le_bytes();
    [&length[..], &crc(&length), content, &crc(content)].concat()
}

/// Reads the next record; `None` at the end of the file.
///
/// # Errors
/// When the file ends within a record, or a checksum is wrong.
pub fn next(file: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut head = Vec::new();
    file.take(12).read_to_end(&mut head)?;
    if head.is_empty() {
        return Ok(None);
    }
    let checked = |bytes: &[u8], crc: &[u8]| {
        interlude_checkpoint::masked_crc(crc32c::crc32c(bytes)).to_le_bytes() == *crc
    };
    let (length, crc) = head.split_at_checked(8).ok_or_else(|| damaged("it is cut off"))?;
    if crc.len() < 4 {
        return Err(damaged("it is cut off"));
    }
    if !checked(length, crc) {
        return Err(damaged("a record's length has a wrong checksum"));
    }
    let length = u64::from_le_bytes(length.try_into().expect("8 bytes"));
    if length > LARGEST {
        return Err(damaged("a record is longer than 64 MiB"));
    }
    let mut content = Vec::new();
    file.take(length + 4).read_to_end(&mut content)?;
    if (content.len() as u64) < length + 4 {
        return Err(damaged("it is cut off"));
    }
    let crc = content.split_off(content.len() - 4);
    if !checked(&content, &crc) {
        return Err(damaged("a record has a wrong checksum"));
    }
    Ok(Some(content))
}

/// The fields of Magenta's `NoteSequence` that matter here.
#[derive(Clone, PartialEq, Message)]
struct Stored {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(string, tag = "2")]
    filename: String,
    #[prost(int32, tag = "4")]
    ticks_per_quarter: i32,
    #[prost(message, repeated, tag = "5")]
    time_signatures: Vec<StoredMeter>,
    #[prost(message, repeated, tag = "7")]
    tempos: Vec<StoredTempo>,
    #[prost(message, repeated, tag = "8")]
    notes: Vec<StoredNote>,
    #[prost(message, repeated, tag = "14")]
    annotations: Vec<StoredText>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredMeter {
    #[prost(double, tag = "1")]
    time: f64,
    #[prost(uint32, tag = "2")]
    numerator: u32,
    #[prost(uint32, tag = "3")]
    denominator: u32,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredTempo {
    #[prost(double, tag = "1")]
    time: f64,
    #[prost(double, tag = "2")]
    qpm: f64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct StoredNote {
    #[prost(int32, tag = "1")]
    pitch: i32,
    #[prost(int32, tag = "2")]
    velocity: i32,
    #[prost(double, tag = "3")]
    start: f64,
    #[prost(double, tag = "4")]
    end: f64,
    #[prost(int32, tag = "7")]
    instrument: i32,
    #[prost(int32, tag = "8")]
    program: i32,
    #[prost(bool, tag = "9")]
    is_drum: bool,
}

#[derive(Clone, PartialEq, Message)]
struct StoredText {
    #[prost(double, tag = "1")]
    time: f64,
    #[prost(string, tag = "2")]
    text: String,
    #[prost(int32, tag = "3")]
    kind: i32,
}

/// The note sequence in a record, with the name of the file it was made from, or else its number.
/// Notes out of the ranges of MIDI are left out.
///
/// # Errors
/// A reason when the record is no note sequence.
pub fn note_sequence(record: &[u8], number: usize) -> Result<(String, NoteSequence), String> {
    let stored = Stored::decode(record)
        .map_err(|error| format!("record {number} is no note sequence: {error}"))?;
    let is_time = |time: f64| (0.0..1e9).contains(&time);
    let byte = |value: i32| u8::try_from(value).ok().filter(|&value| value < 128);
    let note = |note: &StoredNote| {
        let whole = is_time(note.start) && is_time(note.end) && note.end > note.start;
        whole.then_some(SequenceNote {
            start: note.start,
            end: note.end,
            instrument: u32::try_from(note.instrument).ok()?,
            pitch: byte(note.pitch)?,
            velocity: byte(note.velocity)?,
            program: byte(note.program)?,
            is_drum: note.is_drum,
        })
    };
    let notes: Vec<SequenceNote> = stored.notes.iter().filter_map(note).collect();
    let total_time = notes.iter().map(|note| note.end).fold(0.0, f64::max);
    let tempos = stored.tempos.iter().filter(|tempo| is_time(tempo.time));
    let tempos = tempos.filter(|tempo| tempo.qpm.is_finite() && tempo.qpm > 0.0);
    let meters = stored.time_signatures.iter().filter(|meter| is_time(meter.time));
    let chords = stored.annotations.iter().filter(|text| text.kind == CHORD_SYMBOL);
    let sequence = NoteSequence {
        notes,
        tempos: tempos.map(|&StoredTempo { time, qpm }| Tempo { time, qpm }).collect(),
        time_signatures: meters
            .map(|&StoredMeter { time, numerator, denominator }| TimeSignature {
                time,
                numerator,
                denominator,
            })
            .collect(),
        chords: chords
            .filter(|chord| is_time(chord.time))
            .map(|chord| ChordChange { time: chord.time, chord: chord_class(&chord.text) })
            .collect(),
        total_time,
        ticks_per_quarter: u16::try_from(stored.ticks_per_quarter).unwrap_or(0),
        ..NoteSequence::default()
    };
    let name = match (stored.filename, stored.id) {
        (name, _) if !name.is_empty() => name,
        (_, id) if !id.is_empty() => id.replace(SEPARATORS, "-"),
        _ => number.to_string(),
    };
    Ok((name, sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored() -> Stored {
        let note = |pitch, start, end| StoredNote {
            pitch,
            velocity: 90,
            start,
            end,
            instrument: 2,
            program: 33,
            is_drum: false,
        };
        Stored {
            filename: "folder/song.mid".to_owned(),
            notes: vec![note(60, 0.0, 0.5), note(200, 0.0, 0.5), note(61, 1.0, 0.5)],
            tempos: vec![StoredTempo { time: 0.0, qpm: 90.0 }],
            time_signatures: vec![StoredMeter { time: 0.0, numerator: 3, denominator: 4 }],
            annotations: vec![StoredText { time: 1.0, text: "Am7".to_owned(), kind: 1 }],
            ..Stored::default()
        }
    }

    // A note sequence comes back from its record; impossible notes are left out.
    #[test]
    fn sequences_are_read() {
        let file = [frame(&stored().encode_to_vec()), frame(b"")].concat();
        let mut rest = &file[..];
        let record = next(&mut rest).expect("whole").expect("a record");
        let (name, sequence) = note_sequence(&record, 0).expect("a sequence");
        assert_eq!(name, "folder/song.mid");
        let [note] = sequence.notes[..] else { panic!("one note is possible") };
        assert_eq!((note.pitch, note.program, note.instrument, note.end), (60, 33, 2, 0.5));
        assert_eq!((sequence.tempos[0].qpm, sequence.time_signatures[0].numerator), (90.0, 3));
        assert_eq!(sequence.chords[0].chord, Some(13 + 9));
        assert_eq!(next(&mut rest).expect("whole"), Some(Vec::new()));
        assert_eq!(note_sequence(b"", 7).expect("an empty one").0, "7");
        assert_eq!(next(&mut rest).expect("the end"), None);
    }

    // A file cut off anywhere, or with any byte changed, is an error and never a panic.
    #[test]
    fn damage_is_found() {
        let whole = frame(&stored().encode_to_vec());
        for length in 1..whole.len() {
            assert!(next(&mut &whole[..length]).is_err(), "{length}");
        }
        for index in 0..whole.len() {
            let mut changed = whole.clone();
            changed[index] ^= 0x40;
            assert!(next(&mut &changed[..]).is_err(), "{index}");
        }
    }
}
