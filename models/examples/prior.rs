//! Measures what the learned prior of a model costs, beside decoding in the same run: milliseconds
//! to find the noise of a clip, once; for a point of a morph; for a sample.
//!
//! `cargo run --release -p interlude-models --example prior -- models/pretrained/mel-2bar`

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use interlude_models::engine::{DecodeSettings, Engine, EngineOptions};
use interlude_models::latent::flow::Place;
use interlude_models::latent::prior;
use interlude_models::package::Package;
use interlude_models::runtime::Runtime;
use interlude_models::tokens::Controls;

/// Runs of which the best counts: the one that other programs disturbed least.
const RUNS: usize = 40;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name a model's folder")?;
    let package = Package::open(&PathBuf::from(&folder))?;
    let runtime = Runtime::start(None)?;
    let flow = package.prior()?.ok_or_else(|| format!("`{folder}` has no learned prior"))?;
    let config = package.info.config.clone();
    let mut engine = Engine::load(runtime, &package, &EngineOptions::default())?;
    println!("{folder}: {} weights", flow.weight_count());
    let start = Instant::now();
    let guidance = flow.guidance();
    let mut learned = flow.start(runtime)?;
    println!("start    {:8.2} ms", start.elapsed().as_secs_f64() * 1e3);
    let codes = [0, 1].map(|index| prior(1, index, config.hparams.z_size));

    let mut origins = Vec::new();
    let found = best(|| {
        origins = codes.iter().map(|code| learned.origin(code)).collect::<Result<_, _>>()?;
        Ok(())
    })?;
    println!("origin   {:8.2} ms", found / 2.0);
    let place = [Place::between(&origins[0], &origins[1], 0.5)];
    println!("point    {:8.2} ms", best(|| learned.visit(&place).map(|_| ()).map_err(Into::into))?);
    println!(
        "sample   {:8.2} ms",
        best(|| learned.samples(1, &[0], &[], guidance).map(|_| ()).map_err(Into::into))?
    );
    let none = Controls::none(&config, config.hparams.max_seq_len);
    let settings =
        DecodeSettings { controls: none.map(|none| vec![none]), ..DecodeSettings::default() };
    let mut decode = || {
        engine.decode(&codes[..1], &settings, &mut |_| ControlFlow::Continue(()))?;
        Ok(())
    };
    println!("decode   {:8.2} ms", best(&mut decode)?);
    Ok(())
}

/// Milliseconds of the fastest run.
fn best(
    mut run: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let start = Instant::now();
        run()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(best)
}
