//! Measures a configuration at its real size with random weights: seconds to write the model
//! folder, to load it, to encode one window, and milliseconds for each step of decoding.
//!
//! `cargo run --release -p interlude-models --example measure -- cat-mel_2bar_small 1 4 32`
//! measures batches of 1, 4 and 32. The model is removed at the end.

use std::ops::ControlFlow;
use std::time::Instant;

use interlude_models::config::{self, Config};
use interlude_models::engine::{DecodeSettings, EncoderInputs, Engine, EngineOptions, NoiseKey};
use interlude_models::network;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::runtime::Runtime;
use interlude_models::tokens::Controls;
use interlude_models::weights::{Tensor, Weights};
use interlude_models::{latent, network::Init};

/// Decodings of which the best counts.
const RUNS: usize = 15;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "cat-mel_2bar_small".to_owned());
    let batches: Vec<usize> = arguments.map(|text| text.parse()).collect::<Result<_, _>>()?;
    let batches = if batches.is_empty() { vec![1] } else { batches };
    let config = config::by_name(&name)?;
    let runtime = Runtime::start(None)?;
    println!("{name}, ONNX Runtime {} at {}", runtime.version(), runtime.path().display());

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model");
    let weights = random_weights(&config);
    let start = Instant::now();
    Package::write(&path, &ModelInfo::new(config.clone(), "random"), &weights)?;
    println!("write    {:8.2} s", start.elapsed().as_secs_f64());
    drop(weights);
    let start = Instant::now();
    let mut engine = Engine::load(runtime, &Package::open(&path)?, &EngineOptions::default())?;
    println!("load     {:8.3} s", start.elapsed().as_secs_f64());

    let steps = config.hparams.max_seq_len;
    let inputs = EncoderInputs {
        rows: vec![vec![0.0; steps * config.input_depth()]],
        controls: vec![vec![0.0; steps * config.control_depth()]],
        lengths: vec![steps],
    };
    engine.encode_rows(&inputs)?;
    let start = Instant::now();
    engine.encode_rows(&inputs)?;
    println!("encode   {:8.2} ms", start.elapsed().as_secs_f64() * 1e3);
    for batch in batches {
        let size = config.hparams.z_size;
        let z: Vec<Vec<f32>> = (0u64..).take(batch).map(|k| latent::prior(1, k, size)).collect();
        let settings = DecodeSettings {
            temperature: 1.0,
            keys: vec![NoiseKey::default(); batch],
            controls: Controls::none(&config, steps).map(|none| vec![none; batch]),
            ..DecodeSettings::default()
        };
        let mut times = Vec::new();
        for _ in 0..RUNS {
            let start = Instant::now();
            engine.decode(&z, &settings, &mut |_| ControlFlow::Continue(()))?;
            times.push(start.elapsed().as_secs_f64() * 1e3);
        }
        // The best run is the one that other programs disturbed least.
        let best = times.into_iter().fold(f64::INFINITY, f64::min);
        let per_step = best / f64::from(u32::try_from(steps)?);
        println!("decode   {best:8.2} ms, {per_step:.3} ms a step, batch {batch}");
    }
    Ok(())
}

/// Weights as large as trained ones: uniform, scaled by the inputs of each unit.
fn random_weights(config: &Config) -> Weights {
    let mut weights = Weights::default();
    let mut state = 1u32;
    for variable in network::variables(config) {
        let mut tensor = Tensor::zeros(&variable.shape);
        if variable.init != Init::Zeros {
            let inputs = u16::try_from(variable.shape[0]).unwrap_or(u16::MAX);
            let scale = 1.7 / f32::from(inputs).sqrt();
            for value in &mut tensor.data {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let [.., low, high] = state.to_le_bytes();
                *value = (f32::from(u16::from_le_bytes([low, high])) / 32768.0 - 1.0) * scale;
            }
        }
        weights.insert(variable.name, tensor);
    }
    weights
}
