//! Encoder, decoder and variables of one fixture folder.

use std::fs;
use std::ops::ControlFlow;

use anyhow::{Context, Result};
use interlude_models::config::OutputKind;
use interlude_models::engine::{
    DecodeSettings, EncoderInputs, Engine, EngineOptions, NoiseKey, Posterior, Sample,
};
use interlude_models::network;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::runtime::Runtime;
use interlude_models::tokens::{Controls, Tokens};

use super::{Array, Fixture, Row, converters, count_different, hot_positions, worst_difference};

/// Tolerance of posteriors.
const POSTERIOR: f64 = 1e-4;
/// Tolerance of logits.
const LOGITS: f64 = 1e-3;
/// Temperature at which sampling is as good as taking the most probable.
const NEARLY_GREEDY: f32 = 1e-9;

/// Compares the networks of a fixture with what the original computed.
///
/// # Errors
/// When the fixture cannot be read or the model does not run; deviations are no errors but rows
/// that have not passed.
pub fn networks(runtime: &Runtime, fixture: &Fixture) -> Result<Vec<Row>> {
    let weights = fixture.weights()?;
    let folder = tempfile::tempdir().context("temporary folder")?;
    let path = folder.path().join("model");
    let info = ModelInfo::new(fixture.config.clone(), "fixture");
    Package::write(&path, &info, &weights)?;
    let mut engine = Engine::load(runtime, &Package::open(&path)?, &EngineOptions::default())?;
    let mut comparison = Comparison { fixture, engine: &mut engine, rows: Vec::new() };
    comparison.variables()?;
    comparison.encoder("lengths", "enc")?;
    comparison.encoder("var_lengths", "var_enc")?;
    comparison.greedy()?;
    comparison.teacher_forced()?;
    comparison.sampling()?;
    Ok(comparison.rows)
}

struct Comparison<'a> {
    fixture: &'a Fixture,
    engine: &'a mut Engine,
    rows: Vec<Row>,
}

impl Comparison<'_> {
    fn row(&mut self, what: &str, error: f64, tolerance: f64) {
        let fixture = self.fixture.name.clone();
        self.rows.push(Row { fixture, what: what.to_owned(), error, tolerance });
    }

    /// Names and shapes of all variables.
    fn variables(&mut self) -> Result<()> {
        let listed =
            self.fixture.meta["variables"].as_object().context("variables in meta.json")?;
        let mut theirs: Vec<(String, Vec<u64>)> = Vec::new();
        for (name, variable) in listed.iter().filter(|(name, _)| *name != "global_step") {
            let shape = variable["shape"].as_array().context("shapes in meta.json")?;
            theirs.push((name.clone(), shape.iter().filter_map(|size| size.as_u64()).collect()));
        }
        let ours = network::variables(&self.fixture.config).into_iter();
        let mut ours: Vec<(String, Vec<u64>)> =
            ours.map(|v| (v.name, v.shape.iter().map(|&size| size as u64).collect())).collect();
        theirs.sort();
        ours.sort();
        self.row("variables", count_different(&ours, &theirs), 0.0);
        Ok(())
    }

    /// Posteriors for the lengths of one array.
    fn encoder(&mut self, lengths: &str, outputs: &str) -> Result<()> {
        let Some(lengths) = self.fixture.array(lengths)? else { return Ok(()) };
        let rows = |array: Array| array.rows().map(<[f32]>::to_vec).collect();
        let inputs = EncoderInputs {
            rows: rows(self.fixture.need("inputs")?),
            controls: self.fixture.array("controls")?.map(rows).unwrap_or_default(),
            lengths: lengths.sizes(),
        };
        let posteriors = self.engine.encode_rows(&inputs)?;
        for (suffix, part) in
            [("mu", (|p| &p.mu) as fn(&Posterior) -> &Vec<f32>), ("sigma", |p| &p.sigma)]
        {
            let name = format!("{outputs}_{suffix}");
            let ours: Vec<f32> = posteriors.iter().flat_map(part).copied().collect();
            let error = worst_difference(&ours, &self.fixture.need(&name)?.data);
            self.row(&name, error, POSTERIOR);
        }
        Ok(())
    }

    /// Decoding that always takes the most probable: samples and the logits on the way. The
    /// original used the controls of the first example for all.
    fn greedy(&mut self) -> Result<()> {
        let z: Vec<Vec<f32>> = self.fixture.need("z")?.rows().map(<[f32]>::to_vec).collect();
        let controls = self.fixture.array("controls")?;
        let controls = controls.as_ref().and_then(|controls| controls.rows().next());
        let steps = self.fixture.config.hparams.max_seq_len;
        let mut decoder = self.engine.begin(&z)?;
        let (mut samples, mut logits) = (Vec::new(), Vec::new());
        for step in 0..steps {
            let control = controls.map(|rows| {
                let width = rows.len() / steps;
                rows[step * width..(step + 1) * width].repeat(z.len())
            });
            decoder.step(1.0, None, control)?;
            samples.push(numbers(decoder.sample()));
            logits.push(decoder.logits().to_vec());
        }
        let samples = by_example(&samples, z.len(), z.len());
        match self.fixture.config.output_kind() {
            // Velocities and offsets deviate no more than the logits that they are squashed from.
            OutputKind::Groove => {
                let theirs = self.fixture.need("decode_samples")?;
                self.row("decode_samples", worst_difference(&samples, &theirs.data), LOGITS);
            }
            kind => {
                let bits = kind == OutputKind::Nade;
                let name = if bits { "decode_samples" } else { "decode_tokens" };
                let theirs = self.fixture.need(name)?;
                self.row(name, count_different(&samples, &theirs.data), 0.0);
            }
        }
        self.notes(&samples, z.len())?;
        let theirs = self.fixture.need("decode_rnn_output")?;
        let ours = by_example(&logits, z.len(), theirs.shape[0]);
        self.row("decode_rnn_output", worst_difference(&ours, &theirs.data), LOGITS);
        Ok(())
    }

    /// The notes of what was decoded, of `count` examples, and the MIDI files of them.
    fn notes(&mut self, samples: &[f32], count: usize) -> Result<()> {
        let path = self.fixture.folder.join("decode_notes.json");
        if !path.is_file() {
            return Ok(());
        }
        let recorded =
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let recorded: Vec<serde_json::Value> = serde_json::from_slice(&recorded)
            .with_context(|| format!("cannot understand {}", path.display()))?;
        let config = &self.fixture.config;
        let values = matches!(config.output_kind(), OutputKind::Groove | OutputKind::Nade);
        let mut worst = if recorded.len() == count { 0.0 } else { f64::NAN };
        for (recorded, rows) in recorded.iter().zip(samples.chunks_exact(samples.len() / count)) {
            let tokens = if values {
                Tokens::from_output_rows(config, rows)?
            } else {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "ids")]
                let ids: Vec<u16> = rows.iter().map(|&id| id as u16).collect();
                Tokens::from_ids(config, &ids)?
            };
            let difference = converters::check_way_back(config, recorded, &tokens)?;
            worst = if difference > worst { difference } else { worst };
        }
        let tolerance = if config.output_kind() == OutputKind::Groove { LOGITS } else { 0.0 };
        self.row("decode_notes", worst, tolerance);
        Ok(())
    }

    /// Logits when the previous output is the target, from `z = mu`.
    fn teacher_forced(&mut self) -> Result<()> {
        let theirs = self.fixture.need("tf_logits")?;
        let outputs = match self.fixture.array("outputs")? {
            Some(outputs) => outputs,
            None => self.fixture.need("inputs")?,
        };
        let z: Vec<Vec<f32>> = self.fixture.need("enc_mu")?.rows().map(<[f32]>::to_vec).collect();
        let controls = self.fixture.array("controls")?;
        let config = self.fixture.config.clone();
        let steps = config.hparams.max_seq_len;
        let at = |array: &Array, step: usize| -> Vec<f32> {
            let row = |row: &[f32]| {
                let width = row.len() / steps;
                row[step * width..(step + 1) * width].to_vec()
            };
            array.rows().flat_map(row).collect()
        };
        let mut decoder = self.engine.begin(&z)?;
        let (mut samples, mut logits) = (Vec::new(), Vec::new());
        for step in 0..steps {
            decoder.step(1.0, None, controls.as_ref().map(|controls| at(controls, step)))?;
            samples.push(numbers(decoder.sample()));
            logits.push(decoder.logits().to_vec());
            let target = at(&outputs, step);
            decoder.force(match decoder.sample() {
                Sample::Tokens(_) => Sample::Tokens(hot_positions(&target, config.outputs())),
                Sample::Values(_) => Sample::Values(target),
            });
        }
        let ours = by_example(&logits, z.len(), theirs.shape[0]);
        self.row("tf_logits", worst_difference(&ours, &theirs.data), LOGITS);
        if let Some(theirs) = self.fixture.array("nade_threshold_sample")? {
            let ours = by_example(&samples, z.len(), theirs.shape[0]);
            self.row("nade_threshold_sample", count_different(&ours, &theirs.data), 0.0);
        }
        Ok(())
    }

    /// Sampling through [`Engine::decode`] at a very low temperature is as good as taking the most
    /// probable.
    fn sampling(&mut self) -> Result<()> {
        let z: Vec<Vec<f32>> = self.fixture.need("z")?.rows().map(<[f32]>::to_vec).collect();
        let steps = self.fixture.config.hparams.max_seq_len;
        let controls = Controls::none(&self.fixture.config, steps);
        let mut settings = DecodeSettings {
            temperature: 0.0,
            keys: vec![NoiseKey { seed: 1, cycle: 0 }; z.len()],
            controls: controls.map(|controls| vec![controls; z.len()]),
            ..DecodeSettings::default()
        };
        let go = &mut |_| ControlFlow::Continue(());
        let greedy = self.engine.decode(&z, &settings, go)?;
        settings.temperature = NEARLY_GREEDY;
        let sampled = self.engine.decode(&z, &settings, go)?;
        self.row("decode at temperature 0", count_different(&sampled, &greedy), 0.0);
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "tokens are small")]
fn numbers(sample: &Sample) -> Vec<f32> {
    match sample {
        Sample::Tokens(tokens) => tokens.iter().map(|&token| token as f32).collect(),
        Sample::Values(values) => values.clone(),
    }
}

/// Steps of `[batch, width]` as `[count, steps, width]`, the first `count` examples.
fn by_example(steps: &[Vec<f32>], batch: usize, count: usize) -> Vec<f32> {
    let mut all = Vec::new();
    for example in 0..count.min(batch) {
        for step in steps {
            let width = step.len() / batch;
            all.extend_from_slice(&step[example * width..(example + 1) * width]);
        }
    }
    all
}
