//! MIDI files: notes, the windows of every scheme, and back.

use std::cell::LazyCell;

use interlude_models::config::{self, Config};
use interlude_models::midi::{NoteSequence, to_bytes};
use interlude_models::tokens::{ControlKind, Limit, extract, from_clip, to_clip};

/// One configuration of each scheme and length.
const CONFIGS: [&str; 9] = [
    "cat-mel_2bar_small",
    "cat-mel_2bar_med_chords",
    "cat-drums_2bar_small",
    "nade-drums_2bar_reduced",
    "nade-drums_2bar_full",
    "hierdec-mel_16bar",
    "hierdec-trio_16bar",
    "groovae_4bar",
    "groovae_2bar_hits_control_tfds",
];

thread_local! {
    static CONFIGS_BY_NAME: LazyCell<Vec<Config>> = const {
        LazyCell::new(|| {
            CONFIGS.iter().map(|name| config::by_name(name).expect("a known name")).collect()
        })
    };
}

/// Reads a file, and takes windows of every scheme from it, which become files again.
pub fn run(bytes: &[u8]) {
    let Ok(sequence) = NoteSequence::from_bytes(bytes) else { return };
    assert!(sequence.notes.iter().all(|note| note.start <= note.end && note.start >= 0.0));
    // Chords take a hundred times as long as all the rest, a second for half an hour of music.
    let with_chords = bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) < 8
        && sequence.total_time < 60.0;
    CONFIGS_BY_NAME.with(|configs| {
        for config in configs.iter() {
            if config.family().control_kind() == Some(ControlKind::Chords) && !with_chords {
                continue;
            }
            let Ok(windows) = extract(config, &sequence, Limit::All) else { continue };
            assert!(!windows.is_empty());
            if windows.len() > 5 {
                assert_eq!(extract(config, &sequence, Limit::First(5)).expect("windows").len(), 5);
            }
            for window in windows.iter().take(2) {
                assert_eq!(window.tokens.len(), config.hparams.max_seq_len);
                window.tokens.input_rows(config).expect("windows are of their configuration");
                let clip = to_clip(config, &window.tokens);
                let _ = from_clip(config, &clip);
                NoteSequence::from_bytes(&to_bytes(&clip, 120.0)).expect("reads what is written");
            }
        }
    });
}
