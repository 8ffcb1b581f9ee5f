//! Decodes a sample of the prior at a temperature, with a seed: the same arguments give the same file.
//!
//! ```text
//! cargo run -p interlude-models --example decode -- models/pretrained/mel-2bar out.mid 0.5 1
//! ```

use std::ops::ControlFlow;
use std::path::Path;

use interlude_models::engine::{DecodeSettings, Engine, EngineOptions, NoiseKey};
use interlude_models::files;
use interlude_models::latent::prior;
use interlude_models::midi;
use interlude_models::package::Package;
use interlude_models::runtime::Runtime;
use interlude_models::tokens::{self, Controls};

/// Quarter notes per minute of the file.
const TEMPO: f64 = 120.0;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, out, temperature, seed] = arguments.as_slice() else {
        return Err("usage: decode MODEL-FOLDER OUT.mid TEMPERATURE SEED".into());
    };
    let (temperature, seed) = (temperature.parse()?, seed.parse()?);

    let runtime = Runtime::start(None)?;
    let package = Package::open(Path::new(model))?;
    let mut engine = Engine::load(runtime, &package, &EngineOptions::default())?;
    let config = package.info.config.clone();

    // A model with a learned prior draws from it, any other from the standard normal distribution.
    let codes = match package.prior()? {
        Some(learned) => {
            let guidance = learned.guidance();
            learned.start(runtime)?.samples(seed, &[0], &[], guidance)?
        }
        None => vec![prior(seed, 0, config.hparams.z_size)],
    };
    let controls = Controls::none(&config, config.hparams.max_seq_len);
    let settings = DecodeSettings {
        temperature,
        keys: vec![NoiseKey { seed, cycle: 0 }],
        controls: controls.map(|controls| vec![controls]),
        ..DecodeSettings::default()
    };
    // The closure is called after each step; `ControlFlow::Break` would stop there.
    let decoded = engine.decode(&codes, &settings, &mut |_| ControlFlow::Continue(()))?;
    let clip = tokens::to_clip(&config, &decoded[0]);
    files::write(Path::new(out), &midi::to_bytes(&clip, TEMPO))?;
    println!("{out}: {} notes in {} beats", clip.notes.len(), clip.length);
    Ok(())
}
