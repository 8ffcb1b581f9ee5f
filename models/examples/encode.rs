//! Encodes a MIDI clip: prints the posterior of its first window, one line for each of the latent dimensions that
//! differ most from the prior.
//!
//! ```text
//! cargo run -p interlude-models --example encode -- models/pretrained/mel-2bar bundler/clips/a.mid
//! ```

use std::path::Path;

use interlude_models::engine::{Engine, EngineOptions};
use interlude_models::midi;
use interlude_models::package::Package;
use interlude_models::runtime::Runtime;
use interlude_models::tokens::{self, Limit};

/// Lines that are printed.
const LINES: usize = 8;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, clip] = arguments.as_slice() else {
        return Err("usage: encode MODEL-FOLDER CLIP.mid".into());
    };

    // ONNX Runtime is found in target/runtime, see `cargo xtask runtime`.
    let runtime = Runtime::start(None)?;
    let package = Package::open(Path::new(model))?;
    let mut engine = Engine::load(runtime, &package, &EngineOptions::default())?;
    let config = &package.info.config;

    let (sequence, warnings) = midi::open(Path::new(clip))?;
    warnings.iter().for_each(|warning| eprintln!("{clip}: {warning}"));
    let windows = tokens::extract(config, &sequence, Limit::First(1))?;
    let window = windows.first().ok_or("the file holds no window")?;
    let controls = window.controls.clone().map(|controls| vec![controls]);
    let posteriors = engine.encode(std::slice::from_ref(&window.tokens), controls.as_deref())?;
    let posterior = &posteriors[0];

    let mut dimensions: Vec<usize> = (0..posterior.mu.len()).collect();
    dimensions.sort_by(|&a, &b| posterior.mu[b].abs().total_cmp(&posterior.mu[a].abs()));
    println!("{}: {} latent dimensions", config.name, posterior.mu.len());
    println!("KL divergence {:.1} bits", posterior.divergence() / std::f64::consts::LN_2);
    for index in dimensions.into_iter().take(LINES) {
        println!(
            "z[{index}]: mean {:+.3}, deviation {:.3}",
            posterior.mu[index], posterior.sigma[index]
        );
    }
    Ok(())
}
