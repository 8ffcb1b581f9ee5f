//! Model folders: `model.json`, and what is derived from a description that was accepted.

use interlude_models::clip::{Clip, Note};
use interlude_models::network::{Part, variables};
use interlude_models::package::{INFO_FILE, Package};
use interlude_models::tokens::{Controls, from_clip, to_clip};

use crate::{in_folder, write};

/// Opens a folder with this `model.json` and files in the place of all graphs.
pub fn run(bytes: &[u8]) {
    in_folder(|folder| {
        for part in [Part::Encoder, Part::Conductor, Part::Init, Part::Step] {
            let path = folder.join(part.file());
            if !path.exists() {
                write(&path, b"");
            }
        }
        write(&folder.join(INFO_FILE), bytes);
        let Ok(package) = Package::open(folder) else { return };
        let text = serde_json::to_vec(&package.info).expect("a description can be written");
        write(&folder.join(INFO_FILE), &text);
        assert_eq!(Package::open(folder).expect("reads what is written"), package);

        let config = &package.info.config;
        for variable in variables(config) {
            let elements =
                variable.shape.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
            assert!(elements.is_some(), "{}", variable.name);
        }
        let note = |beat: u8| Note {
            start: f64::from(beat),
            end: f64::from(beat) + 0.5,
            pitch: 36 + beat,
            velocity: 80,
            channel: [0, 1, 9][usize::from(beat % 3)],
            program: 0,
        };
        let clip = Clip::new((0..8).map(note).collect(), 8.0);
        if let Ok(tokens) = from_clip(config, &clip) {
            assert_eq!(tokens.len(), config.hparams.max_seq_len);
            let _ = (tokens.input_rows(config), to_clip(config, &tokens));
            let _ = Controls::of_clip(config, &clip, &tokens);
        }
    });
}
