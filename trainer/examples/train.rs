//! Trains a tiny model: builds a dataset from MIDI files, trains on it for some seconds, and leaves a run whose
//! folder `last` is a model.
//!
//! ```text
//! cargo run -p interlude-trainer --example train -- bundler/clips target/tiny
//! ```

use std::path::Path;
use std::sync::atomic::AtomicBool;

use interlude_backend::ranks::Ranks;
use interlude_backend::stepper::Backend;
use interlude_dataset::{build, heldout, options, splits};
use interlude_models::config;
use interlude_models::runtime::Runtime;
use interlude_trainer::train::plan::growing;
use interlude_trainer::train::run;

/// Training steps.
const STEPS: u64 = 200;
/// Most windows in a step.
const BATCH_SIZE: usize = 64;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [music, out] = arguments.as_slice() else {
        return Err("usage: train FOLDER-OF-MIDI-FILES OUT-FOLDER".into());
    };
    let (music, out) = (Path::new(music), Path::new(out));
    let mut config = config::by_name("cat-mel_2bar_small")?;
    config.override_hparams("enc_rnn_size=[32],dec_rnn_size=[32],z_size=8")?;

    let dataset = out.join("dataset");
    let options = options::Options {
        sources: vec![music.to_owned()],
        config: config.clone(),
        out: dataset.clone(),
        seed: 1,
        monophonic: false,
        least_notes: 1,
        split_column: splits::COLUMN.to_owned(),
        roland: None,
        drums: None,
        every: 1,
        shard: None,
    };
    let description = build::build(&options, &|_| {})?;
    println!("{} files read", description.files);

    // Where no file was assigned to validation, some windows are held out, if there are enough.
    let halves = heldout::read(&dataset, &config)?;
    let batch_size = BATCH_SIZE.min(halves.train.len());
    let options = run::Options {
        schedule: Some(growing::schedule(&config, STEPS, batch_size)),
        config,
        out: out.join("run"),
        steps: None,
        batch_size,
        backend: Backend::Onnx,
        threads: 1,
        seed: 1,
        weights: None,
        resume: false,
        log_every: 50,
        save_every: 60.0,
        evaluate_every: 60.0,
        evaluate_windows: 64,
        keep: 1,
    };
    let (runtime, ranks) = (Runtime::start(None)?, Ranks::alone());
    // Setting this from another thread would save a checkpoint and end the run.
    let stop = AtomicBool::new(false);
    let end = run::run(runtime, &ranks, &options, &halves.train, Some(&halves.validation), &stop)?;
    println!("{end:?}: {}", options.out.join("last").display());
    Ok(())
}
