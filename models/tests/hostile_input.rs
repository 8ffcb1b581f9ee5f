//! Files and clips from strangers: any bytes, any numbers.

use interlude_models::clip::{Clip, Note};
use interlude_models::config::{self, Config};
use interlude_models::midi::{NoteSequence, to_bytes};
use interlude_models::tokens::{Limit, Tokens, extract, from_clip, to_clip};
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
