//! Files as programs write them, whole and damaged.

use super::*;
use crate::clip::{Clip, Note};

fn file() -> Vec<u8> {
    let note = |start, end, pitch| Note { start, end, pitch, velocity: 80, channel: 0, program: 0 };
    to_bytes(&Clip::new(vec![note(0.0, 1.0, 60), note(1.0, 1.5, 60)], 4.0), 60.0)
}

fn error(bytes: &[u8]) -> String {
    NoteSequence::from_bytes(bytes).unwrap_err().to_string()
}

/// A written file is read back with its notes, and its tempo sets their seconds.
#[test]
fn a_written_file_is_read_back() {
    let sequence = NoteSequence::from_bytes(&file()).unwrap();
    let times: Vec<_> = sequence.notes.iter().map(|note| (note.start, note.end)).collect();
    assert_eq!(times, [(0.0, 1.0), (1.0, 1.5)]);
    assert_eq!(sequence.tempos, [Tempo { time: 0.0, qpm: 60.0 }]);
    assert_eq!(sequence.total_time, 1.5);
}

/// Every unusable file has its own sentence.
#[test]
fn unusable_files_are_told_apart() {
    assert!(error(&[]).contains("empty"));
    assert!(error(b"RIFF....").contains("not a MIDI file"));
    for length in 1..file().len() {
        assert!(error(&file()[..length]).contains("cut off"), "{length} bytes");
    }
    let with = |offset: usize, value: [u8; 2]| {
        let mut bytes = file();
        bytes[offset..offset + 2].copy_from_slice(&value);
        error(&bytes)
    };
    assert!(with(8, [0, 2]).contains("type 2"));
    assert!(with(8, [0, 7]).contains("format 7"));
    assert!(with(12, [0xE7, 40]).contains("SMPTE"));
    assert!(with(12, [0x80, 0]).contains("SMPTE"));
    assert!(with(12, [0, 0]).contains("0 ticks"));
    // The first event of the first track: a byte that begins no message.
    assert!(with(22, [0, 0xF4]).contains("track 1, byte 0"));
}

/// A file with more notes, or changes of tempo, than any music has is refused.
#[test]
fn events_are_counted() {
    let error = |track: Vec<u8>| {
        let length = u32::try_from(track.len()).unwrap().to_be_bytes();
        let header = b"MThd\0\0\0\x06\0\0\0\x01\0\x18MTrk";
        NoteSequence::from_bytes(&[&header[..], &length, &track].concat()).unwrap_err()
    };
    // Notes that never end, so that only the number of beginnings can tell.
    let notes = error([0, 0x90, 60, 80].repeat(MAX_EVENTS + 1)).to_string();
    assert!(notes.contains("more than 1048576 notes"), "{notes}");
    let tempos = [1, 0xff, 0x51, 3, 7, 0xa1, 0x20, 1, 0xff, 0x51, 3, 6, 0xa1, 0x20];
    let tempos = error(tempos.repeat(MAX_EVENTS / 2 + 1)).to_string();
    assert!(tempos.contains("more than 1048576 changes of tempo"), "{tempos}");
}

/// Missing files are named.
#[test]
fn a_missing_file_is_named() {
    let error = NoteSequence::open(Path::new("no such.mid")).unwrap_err().to_string();
    assert!(error.starts_with("no such.mid: cannot read"), "{error}");
}

/// Transposition drops what leaves the range and spares drums.
#[test]
fn transposition_spares_drums() {
    let note = |pitch, is_drum| SequenceNote {
        start: 0.0,
        end: 1.0,
        instrument: 0,
        pitch,
        velocity: 80,
        program: 0,
        is_drum,
    };
    let notes = vec![note(60, false), note(126, false), note(36, true)];
    let sequence = NoteSequence { notes, total_time: 1.0, ..NoteSequence::default() };
    let pitches: Vec<u8> = sequence.transposed(3).notes.iter().map(|note| note.pitch).collect();
    assert_eq!(pitches, [63, 36]);
}

/// A chunk with this length in its head, whatever that of the data is.
fn chunk(name: &[u8; 4], length: usize, data: &[u8]) -> Vec<u8> {
    [name, &u32::try_from(length).unwrap().to_be_bytes()[..], data].concat()
}

fn track(events: &[u8]) -> Vec<u8> {
    chunk(b"MTrk", events.len(), events)
}

/// A file of type 1 with 24 ticks in a quarter note.
fn file_of(tracks: u8, chunks: &[Vec<u8>]) -> Vec<u8> {
    [chunk(b"MThd", 6, &[0, 1, 0, tracks, 0, 24]), chunks.concat()].concat()
}

const END: [u8; 4] = [0, 0xFF, 0x2F, 0];

/// Notes of a quarter each, with these events before the first, between two and at the end, if any.
fn notes(count: u8, events: [&[u8]; 3]) -> Vec<u8> {
    let mut track = events[0].to_vec();
    for index in 0..count {
        track.extend([0, 0x90, 60 + index, 80, 24, 0x80, 60 + index, 64]);
        if index == 0 {
            track.extend(events[1]);
        }
    }
    [&track, events[2]].concat()
}

fn melody() -> Vec<u8> {
    notes(4, [&[], &[], &END])
}

fn pitches(bytes: &[u8]) -> Vec<u8> {
    from_bytes(bytes).unwrap().0.notes.iter().map(|note| note.pitch).collect()
}

fn warnings(bytes: &[u8]) -> Vec<String> {
    from_bytes(bytes).unwrap().1.iter().map(ToString::to_string).collect()
}

/// Meta events that carry no music are skipped whatever they hold, and running status goes on behind
/// them.
#[test]
fn meta_events_without_music_are_skipped() {
    let cases: [&[u8]; 14] = [
        // SMPTE offsets: 47 frames, 61 minutes, two bytes.
        &[0, 0xFF, 0x54, 5, 0x60, 0, 0, 47, 10],
        &[0, 0xFF, 0x54, 5, 0x60, 61, 0, 0, 0],
        &[0, 0xFF, 0x54, 2, 0x60, 0],
        // Key signatures: none, one byte, three bytes, 99 sharps in a mode of 7.
        &[0, 0xFF, 0x59, 0],
        &[0, 0xFF, 0x59, 1, 0],
        &[0, 0xFF, 0x59, 3, 0, 0, 0],
        &[0, 0xFF, 0x59, 2, 99, 7],
        // Sequence number, channel, port: none, or too much.
        &[0, 0xFF, 0x00, 1, 5],
        &[0, 0xFF, 0x20, 0],
        &[0, 0xFF, 0x20, 1, 200],
        &[0, 0xFF, 0x21, 0],
        &[0, 0xFF, 0x21, 1, 255],
        // Of a type that nobody knows, and of one above 127.
        &[0, 0xFF, 0x60, 3, 1, 2, 3],
        &[0, 0xFF, 0xC0, 1, 0x90],
    ];
    for event in cases {
        let bytes = file_of(1, &[track(&notes(2, [event, event, &END]))]);
        assert_eq!((pitches(&bytes), warnings(&bytes)), (vec![60, 61], vec![]), "{event:x?}");
        // The second note has the status of the first.
        let running =
            [&[0, 0x90, 60, 80, 24, 60, 0], event, &[0, 61, 80, 24, 61, 0], &END].concat();
        assert_eq!(pitches(&file_of(1, &[track(&running)])), [60, 61], "{event:x?}");
    }
}

/// Messages of a live connection, and sysex, stand between events without harm; what begins no
/// message is refused with its place.
#[test]
fn system_messages_are_skipped() {
    let cases: [&[u8]; 12] = [
        &[0, 0xF1, 5],
        &[0, 0xF2, 1, 2],
        &[0, 0xF3, 7],
        &[0, 0xF6],
        &[0, 0xF8],
        &[0, 0xFA],
        &[0, 0xFB],
        &[0, 0xFC],
        &[0, 0xFE],
        &[0, 0xF0, 3, 0x43, 0x12, 0xF7],
        &[0, 0xF7, 1, 0xFA],
        &[0x80, 0x80, 0x80, 0x80, 0, 0xF8],
    ];
    for event in cases {
        for at in 0..3 {
            let mut events: [&[u8]; 3] = [&[], &[], &[]];
            events[at] = event;
            let bytes = file_of(1, &[track(&[notes(2, events), END.to_vec()].concat())]);
            assert_eq!((pitches(&bytes), warnings(&bytes)), (vec![60, 61], vec![]), "{event:x?}");
        }
        let running =
            [&[0, 0x90, 60, 80, 24, 60, 0], event, &[0, 61, 80, 24, 61, 0], &END].concat();
        assert_eq!(pitches(&file_of(1, &[track(&running)])), [60, 61], "{event:x?}");
    }
    for status in [0xF4, 0xF5, 0xF9, 0xFD] {
        let message = error(&file_of(1, &[track(&notes(2, [&[], &[0, status], &END]))]));
        assert!(message.contains("track 1, byte 8, holds bytes that are no"), "{message}");
    }
    for cut in [&[0u8, 0xF0, 100, 1][..], &[0, 0xFF, 1, 100, 1], &[0, 0x90, 60]] {
        let message = error(&file_of(1, &[track(&notes(1, [&[], &[], cut]))]));
        assert!(message.contains("track 1, byte 8, holds an event that is longer"), "{message}");
    }
}

/// Two bytes are enough for a metre. With less the bars are not known, and that is told; in other
/// tracks nobody asks.
#[test]
fn time_signatures_may_be_short() {
    for (data, metre) in
        [(&[3u8, 2][..], (3, 4)), (&[6, 3, 36], (6, 8)), (&[4, 2, 24, 8, 9], (4, 4))]
    {
        let event = [&[0, 0xFF, 0x58, u8::try_from(data.len()).unwrap()], data].concat();
        let sequence =
            NoteSequence::from_bytes(&file_of(1, &[track(&notes(2, [&event, &[], &END]))]))
                .unwrap();
        let metres: Vec<_> =
            sequence.time_signatures.iter().map(|it| (it.numerator, it.denominator)).collect();
        assert_eq!(metres, [metre]);
    }
    for event in [&[0u8, 0xFF, 0x58, 0][..], &[0, 0xFF, 0x58, 1, 3]] {
        let short = track(&notes(2, [&[], event, &END]));
        let message = error(&file_of(1, std::slice::from_ref(&short)));
        assert!(message.contains("time signature in track 1, byte 8"), "{message}");
        assert_eq!(pitches(&file_of(2, &[track(&END), short])), [60, 61]);
    }
}

/// A tempo of 0 or of too few bytes leaves the one before, and is told.
#[test]
fn tempos_may_be_senseless() {
    let at_60 = [0, 0xFF, 0x51, 3, 0x0F, 0x42, 0x40];
    for event in
        [&[0u8, 0xFF, 0x51, 3, 0, 0, 0][..], &[0, 0xFF, 0x51, 2, 7, 0xA1], &[0, 0xFF, 0x51, 0]]
    {
        let bytes = file_of(1, &[track(&notes(2, [&at_60, event, &END]))]);
        let (sequence, warnings) = from_bytes(&bytes).unwrap();
        assert_eq!(sequence.tempos, [Tempo { time: 0.0, qpm: 60.0 }]);
        assert_eq!(warnings, [Warning::Tempo { byte: 15 }]);
        assert!(!warnings[0].is_loss());
    }
    let long = [0, 0xFF, 0x51, 4, 0x0F, 0x42, 0x40, 9];
    let sequence = NoteSequence::from_bytes(&file_of(1, &[track(&notes(2, [&long, &[], &END]))]));
    assert_eq!(sequence.unwrap().tempos, [Tempo { time: 0.0, qpm: 60.0 }]);
}

/// Behind the end of a track the original reads on; what is no event there is padding. A track need
/// not say that it ends.
#[test]
fn tracks_may_be_padded() {
    let more = [0, 0x90, 70, 80, 24, 0x80, 70, 64];
    let paddings: [&[u8]; 6] = [&[0], &[0; 2], &[0; 5], &[0xFF; 3], &[0xF7], &[0x1A, 0x0D]];
    for padding in paddings {
        let padded = track(&[&melody()[..], padding].concat());
        for chunks in [vec![padded.clone()], vec![padded.clone(), track(&melody())]] {
            let count = u8::try_from(chunks.len()).unwrap();
            let bytes = file_of(count, &chunks);
            assert_eq!(pitches(&bytes), [60, 61, 62, 63].repeat(count.into()), "{padding:x?}");
            assert_eq!(warnings(&bytes), [] as [String; 0]);
        }
    }
    let read_on = track(&[&melody()[..], &more].concat());
    assert_eq!(pitches(&file_of(1, &[read_on])), [60, 61, 62, 63, 70]);
    let endless = track(&notes(2, [&[], &[], &[]]));
    let bytes = file_of(2, &[endless.clone(), endless]);
    assert_eq!((pitches(&bytes), warnings(&bytes)), (vec![60, 61, 60, 61], vec![]));
}

/// Lengths that are wrong in either direction, or were never filled in, lose nothing; the track is
/// told. So are bytes between tracks and before the header.
#[test]
fn wrong_lengths_lose_nothing() {
    let (timing, tune) = (track(&END), melody());
    let all = [60, 61, 62, 63];
    for length in [0, 1, 2, 8, 20, 33, 34, 35, 37, 38, 44, 200, 1 << 20, u32::MAX as usize] {
        let wrong = chunk(b"MTrk", length, &tune);
        let told = format!("track 2 is said to have {length} bytes but ends after {}", tune.len());
        for (bytes, expected) in [
            (file_of(2, &[timing.clone(), wrong.clone()]), all.to_vec()),
            (file_of(3, &[timing.clone(), wrong.clone(), track(&tune)]), all.repeat(2)),
            (file_of(3, &[timing.clone(), wrong.clone(), wrong.clone()]), all.repeat(2)),
            // The end of the track is missing too.
            (
                file_of(3, &[timing.clone(), chunk(b"MTrk", length, &tune[..32]), track(&tune)]),
                all.repeat(2),
            ),
        ] {
            assert_eq!(pitches(&bytes), expected, "{length}");
        }
        let bytes = file_of(2, &[timing.clone(), wrong]);
        assert!(warnings(&bytes)[0].starts_with(&told), "{:?}", warnings(&bytes));
    }
    // The first track is said to end with the file.
    let bytes = file_of(2, &[chunk(b"MTrk", 4 + 8 + tune.len(), &END), track(&tune)]);
    assert_eq!(pitches(&bytes), all);

    for junk in [&[0x85u8, 0][..], &[0], &[0xFF; 9], b"abc", &[0; 100]] {
        let between = file_of(2, &[timing.clone(), junk.to_vec(), track(&tune), junk.to_vec()]);
        assert_eq!(pitches(&between), all);
        let told = format!("{} bytes before track 2 belong to no track", junk.len());
        assert!(warnings(&between)[0].starts_with(&told), "{:?}", warnings(&between));
        let before = [junk, &file_of(2, &[timing.clone(), track(&tune)])].concat();
        assert_eq!(pitches(&before), all);
        let told = format!("{} bytes before the header", junk.len());
        assert!(warnings(&before)[0].starts_with(&told), "{:?}", warnings(&before));
    }
    // Chunks of other kinds are no junk.
    let foreign = [chunk(b"XFIH", 3, &[1, 2, 3]), chunk(b"XFKM", 0, &[])].concat();
    let bytes = file_of(2, &[timing.clone(), foreign.clone(), track(&tune), foreign]);
    assert_eq!((pitches(&bytes), warnings(&bytes)), (all.to_vec(), vec![]));
}

/// Damaged tracks are left out and told while others have notes; without the first track no bar is
/// known, and without a note there is nothing to read.
#[test]
fn whole_tracks_are_kept() {
    let (timing, tune) = (track(&END), track(&melody()));
    let bad = track(&notes(4, [&[], &[0, 0xF4], &END]));
    let cut = chunk(b"MTrk", 36, &melody()[..20]);

    let bytes = file_of(4, &[timing.clone(), bad.clone(), tune.clone(), cut.clone()]);
    assert_eq!(pitches(&bytes), [60, 61, 62, 63]);
    let (_, told) = from_bytes(&bytes).unwrap();
    assert!(told.len() == 2 && told.iter().all(Warning::is_loss), "{told:?}");
    assert!(
        told[0].to_string().starts_with("track 2 is left out: track 2, byte 8,"),
        "{}",
        told[0]
    );
    assert!(told[1].to_string().contains("cut off in track 4 of 4"), "{}", told[1]);

    assert!(error(&file_of(2, &[bad.clone(), tune.clone()])).contains("track 1, byte 8"));
    assert!(error(&file_of(2, &[timing.clone(), bad.clone()])).contains("track 2, byte 8"));
    assert!(error(&file_of(2, &[timing.clone(), cut])).contains("cut off in track 2 of 2"));
    assert!(error(&file_of(2, std::slice::from_ref(&timing))).contains("cut off in track 2 of 2"));

    // The header counts wrong.
    let two = [timing, tune];
    for (count, word) in [(0, None), (1, None), (2, None), (3, Some("counts 3 tracks, but only 2"))]
    {
        let bytes = file_of(count, &two);
        if count == 1 {
            // As the original does.
            assert_eq!(pitches(&bytes), [] as [u8; 0]);
            assert!(warnings(&bytes)[0].contains("counts 1 tracks; those behind"));
            continue;
        }
        assert_eq!(pitches(&bytes), [60, 61, 62, 63]);
        assert_eq!(
            warnings(&bytes).first().is_some_and(|it| it.contains(word.unwrap_or("?"))),
            word.is_some()
        );
    }
}

/// Notes that end where they begin, and notes that never end, are counted by kind.
#[test]
fn lost_notes_are_counted() {
    let drums = [0, 0x99, 36, 80, 0, 0x89, 36, 0, 0, 0x99, 38, 80, 0, 0x90, 60, 80];
    let (sequence, _) = from_bytes(&file_of(1, &[track(&drums)])).unwrap();
    let lost = Lost {
        drums_without_length: 1,
        drums_without_end: 1,
        notes_without_end: 1,
        ..Lost::default()
    };
    assert_eq!((sequence.notes.len(), sequence.lost), (0, lost));
}

/// A folder is called one.
#[test]
fn a_folder_is_no_file() {
    let error = NoteSequence::open(&std::env::temp_dir()).unwrap_err().to_string();
    assert!(error.contains("it is a folder"), "{error}");
}

/// Files that are made of nothing but beginnings of tracks are gone through once.
#[test]
fn hostile_lengths_have_an_end() {
    let head = |length: u32| [b"MTrk", &length.to_be_bytes()[..]].concat();
    let many = |piece: &[u8]| [file_of(0, &[]), piece.repeat((2 << 20) / piece.len())].concat();
    let files = [
        many(&head(0)),
        many(&head(u32::MAX)),
        many(&head(7)),
        many(&[&head(1 << 22)[..], &[0, 0xF8, 0, 0xF4]].concat()),
        many(&[&head(1 << 22)[..], &END, &[0]].concat()),
        many(&chunk(b"abcd", 0, &[])),
        many(b"MTr"),
    ];
    for mut bytes in files {
        bytes[10..12].copy_from_slice(&[0xFF, 0xFF]);
        // Read or refused: it ends.
        let _ = from_bytes(&bytes);
    }
}
