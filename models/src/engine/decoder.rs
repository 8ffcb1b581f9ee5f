//! Decoding step by step, with everything in view: noise and controls in, samples and logits out.

use std::borrow::Cow;

use ort::session::SessionInputValue;
use ort::value::DynValue;

use super::repeats::Repeating;
use super::{Engine, EngineError};
use crate::network::interface::{Widths, categorical};
use crate::noise::{NoiseKey, NoiseKind, step_noise};
use crate::steering::Run;

/// Outputs of one step for all examples: tokens `[batch, parts]`, or bits and values
/// `[batch, depth]`, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// Of categorical outputs; the size of the vocabulary means "none yet".
    Tokens(Vec<i64>),
    /// Of bits and grooves; all zeros mean "none yet".
    Values(Vec<f32>),
}

/// A decoding in progress. Made by [`Engine::begin`].
#[derive(Debug)]
pub struct Decoder<'e> {
    engine: &'e mut Engine,
    batch: usize,
    widths: Widths,
    /// Row-major `[batch, segments, width]`; a flat decoder has one segment, the latent code.
    embeddings: Vec<f32>,
    state: Option<DynValue>,
    context: Option<DynValue>,
    previous: Sample,
    logits: Vec<f32>,
    step: usize,
}

impl<'e> Decoder<'e> {
    pub(super) fn new(engine: &'e mut Engine, z: &[Vec<f32>]) -> Result<Self, EngineError> {
        let (config, batch) = (&engine.config, z.len());
        let widths = Widths::of(config);
        let size = config.hparams.z_size;
        if let Some(wrong) = z.iter().find(|z| z.len() != size) {
            return Err(EngineError::Latent { expected: size, found: wrong.len() });
        }
        if let Some(index) = z.iter().position(|z| z.iter().any(|value| !value.is_finite())) {
            return Err(EngineError::NotFinite { index });
        }
        let previous = if categorical(config) {
            let none = config.outputs().iter().map(|&size| interlude_onnx::extent(size));
            Sample::Tokens(none.cycle().take(batch * config.outputs().len()).collect())
        } else {
            Sample::Values(vec![0.0; batch * config.output_depth()])
        };
        let mut embeddings = z.concat();
        if batch > 0
            && let Some(conductor) = &mut engine.conductor
        {
            let count = batch * config.segments() * crate::network::embedding_size(config);
            let z = conductor.tensor(&[batch, size], embeddings)?;
            let outputs = conductor.run(vec![("z".into(), z.into())])?;
            embeddings = outputs.elements::<f32>("embeddings", count)?.to_vec();
        }
        Ok(Self {
            engine,
            batch,
            widths,
            embeddings,
            state: None,
            context: None,
            previous,
            logits: Vec::new(),
            step: 0,
        })
    }

    /// Steps made so far.
    pub fn position(&self) -> usize {
        self.step
    }

    /// What the last step sampled, and the next one will read.
    pub fn sample(&self) -> &Sample {
        &self.previous
    }

    /// The projections behind the last sample, `[batch, logits]` row-major.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Replaces what the next step reads as the previous output, as teacher forcing does.
    ///
    /// # Panics
    /// When the kind or the number of elements differs from [`Decoder::sample`].
    pub fn force(&mut self, previous: Sample) {
        match (&self.previous, &previous) {
            (Sample::Tokens(old), Sample::Tokens(new)) => assert_eq!(old.len(), new.len()),
            (Sample::Values(old), Sample::Values(new)) => assert_eq!(old.len(), new.len()),
            _ => panic!("a sample of another kind was forced"),
        }
        self.previous = previous;
    }

    /// Noise of the coming step, `[batch, noise]`, one key for each example.
    pub fn noise(&self, keys: &[NoiseKey]) -> Vec<f32> {
        let kind =
            if categorical(&self.engine.config) { NoiseKind::Gumbel } else { NoiseKind::Logistic };
        let noise = |&key| step_noise(key, self.step, kind, self.widths.noise);
        keys.iter().flat_map(noise).collect()
    }

    /// The temperature and noise of the coming step with what each example keeps to. Where there was
    /// no noise, the most probable of what is allowed is taken.
    pub(super) fn masked(
        &self,
        steering: &mut [Run],
        temperature: f32,
        noise: Option<Vec<f32>>,
    ) -> (f32, Option<Vec<f32>>) {
        if steering.is_empty() {
            return (temperature, noise);
        }
        let temperature = if noise.is_some() { temperature } else { 1.0 };
        let width = self.widths.noise;
        let mut noise = noise.unwrap_or_else(|| vec![0.0; self.batch * width]);
        for (run, noise) in steering.iter_mut().zip(noise.chunks_exact_mut(width)) {
            run.mask(self.step, noise);
        }
        (temperature, Some(noise))
    }

    /// Puts what examples repeat in the place of what the last step drew.
    pub(super) fn repeat(&mut self, repeating: &[Option<Repeating<'_>>]) {
        let Some(step) = self.step.checked_sub(1) else { return };
        if let Sample::Tokens(tokens) = &mut self.previous {
            let width = tokens.len() / self.batch;
            for (repeating, tokens) in repeating.iter().zip(tokens.chunks_exact_mut(width)) {
                repeating.iter().for_each(|repeating| repeating.repeat(step, tokens));
            }
        }
    }

    /// Shows what the last step drew to what steers each example, which may have the last word.
    pub(super) fn settle(&mut self, steering: &mut [Run], temperature: f32) {
        let Some(step) = self.step.checked_sub(1).filter(|_| !steering.is_empty()) else { return };
        match &mut self.previous {
            Sample::Tokens(tokens) => {
                let width = tokens.len() / self.batch;
                let logits = self.logits.chunks_exact(self.widths.logits);
                for ((run, tokens), logits) in
                    steering.iter_mut().zip(tokens.chunks_exact_mut(width)).zip(logits)
                {
                    run.drew(step, tokens, logits, temperature);
                }
            }
            Sample::Values(values) => {
                let width = values.len() / self.batch;
                for (run, values) in steering.iter_mut().zip(values.chunks_exact_mut(width)) {
                    run.settle(step, values);
                }
            }
        }
    }

    /// Makes one step. Without `noise` the most probable is taken and temperature is without
    /// meaning; `controls` `[batch, control depth]` must be given exactly when the model has them.
    ///
    /// # Errors
    /// [`EngineError::Run`] when the graph fails.
    pub fn step(
        &mut self,
        temperature: f32,
        noise: Option<Vec<f32>>,
        controls: Option<Vec<f32>>,
    ) -> Result<(), EngineError> {
        let steps = self.engine.config.segment_steps();
        if self.engine.config.hierarchical_decoder {
            if self.step.is_multiple_of(steps) {
                self.enter_segment(self.step / steps)?;
            }
        } else if self.step == 0 {
            self.enter_segment(0)?;
        }
        let (batch, widths) = (self.batch, self.widths);
        let graph = &mut self.engine.step;
        let (temperature, noise) = match noise {
            Some(noise) => (temperature, noise),
            None => (1.0, vec![0.0; batch * widths.noise]),
        };
        let (Some(state), Some(context)) = (self.state.take(), &self.context) else {
            unreachable!("a segment was entered");
        };
        let previous = match &self.previous {
            Sample::Tokens(tokens) => {
                graph.tensor(&[batch, tokens.len() / batch], tokens.clone())?
            }
            Sample::Values(values) => {
                graph.tensor(&[batch, values.len() / batch], values.clone())?
            }
        };
        let mut inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = vec![
            ("previous".into(), previous.into()),
            ("context".into(), context.into()),
            ("state".into(), state.into()),
            ("noise".into(), graph.tensor(&[batch, widths.noise], noise)?.into()),
            ("temperature".into(), graph.tensor(&[], vec![temperature])?.into()),
        ];
        if let Some(controls) = controls {
            let shape = [batch, controls.len() / batch];
            inputs.push(("control".into(), graph.tensor(&shape, controls)?.into()));
        }
        let mut outputs = graph.run(inputs)?;
        match &mut self.previous {
            Sample::Tokens(tokens) => {
                let count = tokens.len();
                tokens.copy_from_slice(outputs.elements("sample", count)?);
            }
            Sample::Values(values) => {
                let count = values.len();
                values.copy_from_slice(outputs.elements("sample", count)?);
            }
        }
        self.logits.clear();
        self.logits.extend_from_slice(outputs.elements("logits", batch * widths.logits)?);
        self.state = Some(outputs.take("next_state", batch * widths.state)?);
        self.step += 1;
        Ok(())
    }

    /// Sets the states that a segment, or the whole window of a flat decoder, begins with.
    fn enter_segment(&mut self, segment: usize) -> Result<(), EngineError> {
        let config = &self.engine.config;
        let segments = if config.hierarchical_decoder { config.segments() } else { 1 };
        let width = self.embeddings.len() / (self.batch * segments);
        let rows = self.embeddings.chunks_exact(width).skip(segment).step_by(segments);
        let embedding: Vec<f32> = rows.flatten().copied().collect();
        let graph = &mut self.engine.init;
        let embedding = graph.tensor(&[self.batch, width], embedding)?;
        let mut outputs = graph.run(vec![("embedding".into(), embedding.into())])?;
        self.state = Some(outputs.take("state", self.batch * self.widths.state)?);
        self.context = Some(outputs.take("context", self.batch * self.widths.context)?);
        Ok(())
    }
}
