//! The trainer's evaluation of one fixture folder against what the original and the engine do.

use std::ops::ControlFlow;

use anyhow::{Context, Result};
use interlude_backend::state::State;
use interlude_dataset::{Windows, layout};
use interlude_models::config::{Config, OutputKind, Scheme};
use interlude_models::engine::{DecodeSettings, Engine, EngineOptions};
use interlude_models::package::{ModelInfo, Package};
use interlude_models::runtime::Runtime;
use interlude_models::tokens::{Controls, Tokens, Window};
use interlude_trainer::train::evaluation::Evaluation;

use super::training::{LOSS, mean, ratio};
use super::{Array, Fixture, Row, hot_positions};

/// Evaluates the windows of a fixture. The loss must be the original's, and the share of steps that
/// come back when the decoder runs freely that of the engine. Grooves are left out: datasets hold
/// them in steps of 1/127 and 1/32767, the fixtures do not.
///
/// # Errors
/// When the fixture cannot be read or a graph does not run; deviations are no errors but rows that
/// have not passed.
pub fn reconstruction(runtime: &Runtime, fixture: &Fixture) -> Result<Vec<Row>> {
    let config = &fixture.config;
    if config.output_kind() == OutputKind::Groove {
        return Ok(Vec::new());
    }
    let weights = fixture.weights()?;
    let examples = windows(fixture)?;
    let mut windows = Windows::new(config.hparams.max_seq_len, layout::limits(config).len());
    examples.iter().for_each(|window| windows.push(&layout::write(config, window)));
    let state = State::new(config, &weights)?;
    let count = examples.len();
    let scores = Evaluation::new(runtime, config, count, &state, 1)?.run(&windows, count)?;

    let folder = tempfile::tempdir().context("temporary folder")?;
    let path = folder.path().join("model");
    Package::write(&path, &ModelInfo::new(config.clone(), "fixture"), &weights)?;
    let mut engine = Engine::load(runtime, &Package::open(&path)?, &EngineOptions::default())?;
    let codes: Vec<Vec<f32>> = fixture.need("enc_mu")?.rows().map(<[f32]>::to_vec).collect();
    let settings = DecodeSettings {
        controls: examples.iter().map(|window| window.controls.clone()).collect(),
        ..DecodeSettings::default()
    };
    let decoded = engine.decode(&codes, &settings, &mut |_| ControlFlow::Continue(()))?;
    let (mut right, mut all) = (0u32, 0u32);
    for (window, ours) in examples.iter().zip(&decoded) {
        for (wanted, found) in symbols(config, &window.tokens).iter().zip(symbols(config, ours)) {
            all += 1;
            right += u32::from(*wanted == found);
        }
    }
    let share = f64::from(right) / f64::from(all.max(1));
    let row = |what: &str, error, tolerance| Row {
        fixture: fixture.name.clone(),
        what: what.to_owned(),
        error,
        tolerance,
    };
    let loss = scores.r_loss.context("the evaluation gave no loss")?;
    let loss = ratio(loss, mean(&fixture.need("loss_mu_r_loss")?));
    let difference = (scores.accuracy_free_running.mean() - share).abs();
    Ok(vec![
        row("evaluated r_loss", loss, LOSS),
        row("evaluated free-running accuracy", difference, 1e-9),
    ])
}

/// The windows of a fixture.
fn windows(fixture: &Fixture) -> Result<Vec<Window>> {
    let config = &fixture.config;
    let targets = match fixture.array("outputs")? {
        Some(targets) => targets,
        None => fixture.need("inputs")?,
    };
    let controls = fixture.array("controls")?;
    let mut windows = Vec::new();
    for (index, row) in targets.rows().enumerate() {
        let tokens = if let Scheme::DrumRoll(_) = config.scheme {
            let bits =
                |row: &[f32]| (0..).zip(row).map(|(bit, &on)| u64::from(on > 0.5) << bit).sum();
            Tokens::Drums(row.chunks_exact(config.output_depth()).map(bits).collect())
        } else {
            let ids = hot_positions(row, config.outputs());
            let ids: Vec<u16> = ids.into_iter().map(u16::try_from).collect::<Result<_, _>>()?;
            Tokens::from_ids(config, &ids)?
        };
        let chords = |array: &Array| -> Result<Controls> {
            let row = array.rows().nth(index).context("controls of an example")?;
            let chords = hot_positions(row, &[config.control_depth()]).into_iter();
            Ok(Controls::Chords(chords.map(u8::try_from).collect::<Result<_, _>>()?))
        };
        windows.push(Window { tokens, controls: controls.as_ref().map(chords).transpose()? });
    }
    Ok(windows)
}

/// What is compared: the tokens of each step, or all bits of a step as one number.
fn symbols(config: &Config, tokens: &Tokens) -> Vec<u64> {
    match (config.output_kind(), tokens) {
        (OutputKind::Nade, Tokens::Drums(steps)) => steps.clone(),
        _ => tokens.ids(config).unwrap_or_default().into_iter().map(u64::from).collect(),
    }
}
