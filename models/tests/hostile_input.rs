//! Files and clips from strangers: any bytes, any numbers.

use interlude_models::clip::{Clip, Note};
use interlude_models::config::{self, Config};
use interlude_models::midi::{NoteSequence, SequenceNote, from_bytes, to_bytes};
use interlude_models::tokens::{Limit, Tokens, extract, extract_with_places, from_clip, to_clip};
use proptest::prelude::*;

fn note() -> impl Strategy<Value = Note> {
    (any::<f64>(), any::<f64>(), any::<[u8; 4]>()).prop_map(|(start, end, bytes)| Note {
        start,
        end,
        pitch: bytes[0],
        velocity: bytes[1],
        channel: bytes[2],
        program: bytes[3],
    })
}

fn configs() -> Vec<Config> {
    config::all()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    // Whatever follows a MIDI header is read or refused, and never panics.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let length = u32::try_from(bytes.len()).expect("short").to_be_bytes();
        let header = b"MThd\0\0\0\x06\0\x01\0\x01\0\xdcMTrk";
        let file = [header.as_slice(), &length, &bytes].concat();
        for file in [bytes.as_slice(), &file] {
            if let Ok(sequence) = NoteSequence::from_bytes(file) {
                for config in configs() {
                    let _ = extract(&config, &sequence, Limit::All);
                }
            }
        }
    }

    // A file of several tracks with bytes changed, put in and taken out is read or refused, and what
    // is read of it is music.
    #[test]
    fn damaged_files_are_read_or_refused(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 0..6),
        tail in 0usize..40,
    ) {
        let note = |start: u8, channel| Note {
            start: start.into(),
            end: f64::from(start) + 0.5,
            pitch: 40 + start,
            velocity: 90,
            channel,
            program: channel * 16,
        };
        let notes = (0..12).flat_map(|start| [0, 1, 2, 9].map(|channel| note(start, channel)));
        let mut file = to_bytes(&Clip::new(notes.collect(), 12.0), 100.0);
        for (place, byte, kind) in edits {
            let place = place.index(file.len());
            match kind {
                0 => file.insert(place, byte),
                1 => drop(file.remove(place)),
                _ => file[place] = byte,
            }
        }
        file.truncate(file.len() - tail.min(file.len()));
        if let Ok((sequence, _)) = from_bytes(&file) {
            let is_music = |note: &SequenceNote| note.start >= 0.0 && note.end > note.start;
            prop_assert!(sequence.notes.iter().all(is_music));
            for name in ["cat-mel_2bar_small", "hierdec-trio_16bar", "groovae_4bar"] {
                let config = config::by_name(name).expect("a known name");
                for (window, place) in
                    extract_with_places(&config, &sequence, Limit::All).into_iter().flatten().take(3)
                {
                    let steps = window.tokens.len();
                    prop_assert!(
                        place.sources(&config, &sequence).iter().all(|it| it.step < steps)
                    );
                }
            }
        }
    }

    // Any clip becomes tokens of the right length or an error, and a MIDI file that can be read.
    #[test]
    fn any_clip_is_taken_or_refused(notes in prop::collection::vec(note(), 0..20)) {
        let clip = Clip { notes, length: 8.0 };
        for config in configs() {
            if let Ok(tokens) = from_clip(&config, &clip) {
                prop_assert_eq!(tokens.len(), config.hparams.max_seq_len);
                prop_assert!(tokens.input_rows(&config).is_ok());
            }
        }
        prop_assert!(NoteSequence::from_bytes(&to_bytes(&clip, 120.0)).is_ok());
    }

    // Melody tokens made from notes come back from their clip as they were.
    #[test]
    fn melodies_come_back(steps in prop::collection::vec(0u8..90, 32)) {
        let config = config::by_name("cat-mel_2bar_small").expect("a known name");
        let clip = to_clip(&config, &Tokens::Melody(steps));
        if let Ok(tokens) = from_clip(&config, &clip) {
            prop_assert_eq!(from_clip(&config, &to_clip(&config, &tokens)), Ok(tokens));
        }
    }
}
