//! A loaded model and how the plug-in uses it.

use std::{ops::ControlFlow, path::PathBuf};

use interlude_models::{
    clip::Clip,
    config::Config,
    engine::{DecodeSettings, Engine, EngineOptions, NoiseKey},
    latent::slerp,
    package::Package,
    runtime::{PATH_VARIABLE, Provider, Runtime},
    tokens::{self, Controls},
};

use crate::{capture::SLOTS, player::Request, resources};

/// A model that is ready.
pub(super) struct Model {
    engine: Engine,
    runtime: &'static Runtime,
}

impl Model {
    /// Starts ONNX Runtime if it does not run yet, and loads the model that a project names.
    pub(super) fn load(name: &str) -> Result<Self, String> {
        let dir = resources::resolve(name).ok_or_else(|| missing(name))?;
        let package = Package::open(&dir).map_err(|error| sentence(&error))?;
        // Without a choice of the user's the bundled library is taken by its path: an older one of
        // the system would win a search by name.
        let explicit = match std::env::var_os(PATH_VARIABLE) {
            Some(_) => None,
            None => resources::runtime_folder(),
        };
        let runtime = Runtime::start(explicit.as_deref()).map_err(|error| sentence(&error))?;
        let options = EngineOptions { provider: Provider::Cpu, threads: 1 };
        let engine = Engine::load(runtime, &package, &options).map_err(|error| sentence(&error))?;
        Ok(Self { engine, runtime })
    }

    /// The model's configuration.
    pub(super) fn config(&self) -> &Config {
        self.engine.config()
    }

    /// Bars in a cycle.
    pub(super) fn bars(&self) -> u32 {
        u32::try_from(self.config().bars()).unwrap_or(1).max(1)
    }

    /// Dimensions of a latent code.
    pub(super) fn latent_size(&self) -> usize {
        self.config().hparams.z_size
    }

    /// What computes.
    pub(super) fn provider(&self) -> Provider {
        self.engine.provider()
    }

    /// Version of ONNX Runtime.
    pub(super) fn runtime_version(&self) -> &str {
        self.runtime.version()
    }

    /// The posterior mean of a clip.
    pub(super) fn encode(&mut self, clip: &Clip) -> Result<Vec<f32>, String> {
        let tokens = tokens::from_clip(self.config(), clip).map_err(|error| error.to_string())?;
        let controls = self.controls(tokens.len()).map(|controls| vec![controls]);
        let posteriors = self
            .engine
            .encode(&[tokens], controls.as_deref())
            .map_err(|error| error.to_string())?;
        let posterior = posteriors.into_iter().next();
        posterior.map(|posterior| posterior.mu).ok_or_else(|| "it gave no code.".to_owned())
    }

    /// The music at a point; `None` when `on_step` breaks it off.
    pub(super) fn decode(
        &mut self,
        point: Vec<f32>,
        request: &Request,
        on_step: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Clip>, String> {
        let steps = self.config().hparams.max_seq_len;
        let cycle = if request.settings.evolve { request.cycle.cast_unsigned() } else { 0 };
        let settings = DecodeSettings {
            temperature: request.settings.temperature,
            keys: vec![NoiseKey { seed: u64::from(request.settings.seed), cycle }],
            controls: self.controls(steps).map(|controls| vec![controls]),
            steps: None,
        };
        let mut broken = false;
        let mut watch = |step: usize| {
            let flow = on_step(step);
            broken = flow.is_break();
            flow
        };
        let decoded = self
            .engine
            .decode(&[point], &settings, &mut watch)
            .map_err(|error| sentence(&error))?;
        let tokens = decoded.into_iter().next().filter(|_| !broken);
        Ok(tokens.map(|tokens| tokens::to_clip(self.config(), &tokens)))
    }

    /// What models with controls are told: no chord and no hit.
    fn controls(&self, steps: usize) -> Option<Controls> {
        match self.config().control_depth() {
            0 => None,
            9 => Some(Controls::Hits(vec![0; steps])),
            _ => Some(Controls::Chords(vec![0; steps])),
        }
    }
}

/// The point between the slots: their spherical interpolation, the only one there is, or none.
pub(super) fn blend(points: &[Option<Vec<f32>>; SLOTS], morph: f32) -> Option<Vec<f32>> {
    match points {
        [Some(a), Some(b)] if a.len() == b.len() => Some(slerp(a, b, morph)),
        [Some(point), _] | [None, Some(point)] => Some(point.clone()),
        [None, None] => None,
    }
}

fn missing(name: &str) -> String {
    let place =
        resources::user_models().unwrap_or_else(|| PathBuf::from("models")).display().to_string();
    format!("There is no model named `{name}`; choose another one, or put its folder into {place}.")
}

/// An error as a sentence: a capital letter first, a full stop last.
fn sentence(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let mut sentence: String = match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    };
    if !sentence.ends_with('.') {
        sentence.push('.');
    }
    sentence
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both slots blend, one alone stands for itself, none gives nothing.
    #[test]
    fn blends_what_there_is() {
        let (a, b) = (vec![1.0, 0.0], vec![0.0, 1.0]);
        let both = [Some(a.clone()), Some(b.clone())];
        assert_eq!(blend(&both, 0.0), Some(a.clone()));
        let middle = blend(&both, 0.5).expect("both are there");
        assert!((middle[0] - middle[1]).abs() < 1e-6 && middle[0] > 0.7);
        assert_eq!(blend(&[None, Some(b.clone())], 0.2), Some(b));
        assert_eq!(blend(&[Some(a.clone()), None], 0.9), Some(a));
        assert_eq!(blend(&[None, None], 0.5), None);
    }
}
