//! A loaded model and how the plug-in uses it.

use std::{ops::ControlFlow, path::PathBuf, sync::Arc};

use interlude_models::{
    clip::Clip,
    config::Config,
    engine::{DecodeSettings, Engine, NoiseKey, Posterior, Repeats, Taste},
    latent::{
        constraint::Constraint,
        flow::{Origin, Place, Prior},
        prior,
    },
    package::Package,
    runtime::{PATH_VARIABLE, Provider, Runtime, RuntimeError},
    steering::Steering,
    tokens::{self, Controls, Tokens},
};

use super::{compute::Compute, reading, sentence::sentence, shaping::Shaping};
use crate::{
    key::Key,
    player::{Request, Settings},
    provider::Choice,
    resources,
    slots::SLOTS,
    state::Slot,
};

/// A point in a model's latent space, with what the model is told beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    /// The latent code.
    pub(super) code: Vec<f32>,
    /// The chords or hits of the whole window, for models with controls.
    pub(super) controls: Option<Controls>,
    /// The clips that it is of or lies between, as far as they can be read.
    pub(super) windows: Vec<Arc<Tokens>>,
}

/// A model that is ready.
pub(super) struct Model {
    compute: Compute,
    runtime: &'static Runtime,
    space: String,
    /// Moves codes of the prior to where music lies, where the model's folder has such an actor.
    constraint: Option<Constraint>,
    /// Carries noise to where music lies, where the model's folder has such a prior.
    learned: Option<Prior>,
    /// The noise of the slots' codes, and that of a few before them.
    origins: Vec<Origin>,
    /// The point between two codes that was found last: cycles mostly ask for the same again.
    met: Option<Meeting>,
    /// What is wrong with the model, though it plays.
    problem: Option<String>,
    shaping: Shaping,
}

/// A point that was found between two codes.
struct Meeting {
    ends: [Vec<f32>; 2],
    share: f32,
    code: Vec<f32>,
}

impl Meeting {
    fn is_at(&self, a: &[f32], b: &[f32], share: f32) -> bool {
        self.share.to_bits() == share.to_bits() && self.ends[0] == a && self.ends[1] == b
    }
}

/// Codes whose noise is kept.
const ORIGINS: usize = 2 * SLOTS;

impl Model {
    /// Starts ONNX Runtime if it does not run yet, and loads the model that a project names on what
    /// was chosen to compute.
    pub(super) fn load(name: &str, choice: Choice) -> Result<Self, String> {
        let dir = resources::resolve(name).ok_or_else(|| missing(name))?;
        let package = Package::open(&dir).map_err(|error| sentence(&error))?;
        // Without a choice of the user's the bundled library is taken by its path: an older one of
        // the system would win a search by name.
        let explicit = match std::env::var_os(PATH_VARIABLE) {
            Some(_) => None,
            None => resources::runtime_folder(),
        };
        let runtime = Runtime::start(explicit.as_deref()).map_err(|error| match error {
            RuntimeError::NotFound => format!(
                "No ONNX Runtime was found beside the plug-in; install Interlude again, or set \
                 {PATH_VARIABLE} to the runtime's library."
            ),
            error => sentence(&error),
        })?;
        let compute =
            Compute::start(runtime, &package, choice).map_err(|error| sentence(&error))?;
        // Without what cannot be used it plays as a model that has none of it, and says why.
        let mut problems = Vec::new();
        let constraint = usable(package.constraint(), &mut problems);
        let shaping = usable(package.attributes(), &mut problems);
        let shaping = shaping.as_ref().map(Shaping::of).unwrap_or_default();
        let learned = usable(package.prior(), &mut problems)
            .and_then(|flow| usable(flow.start(runtime).map(Some), &mut problems));
        let problem = (!problems.is_empty()).then(|| problems.join(" "));
        Ok(Self {
            compute,
            runtime,
            space: package.info.latent_space(),
            constraint,
            learned,
            origins: Vec::new(),
            met: None,
            problem,
            shaping,
        })
    }

    /// What is wrong with the model, though it plays.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The model's configuration.
    pub(super) fn config(&self) -> &Config {
        self.compute.engine().config()
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
        self.compute.engine().provider()
    }

    /// The engine, with its way back to the CPU.
    pub(super) fn compute(&mut self) -> &mut Compute {
        &mut self.compute
    }

    /// The runtime that it runs in.
    pub(super) fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// The name of its latent space.
    pub(super) fn space(&self) -> &str {
        &self.space
    }

    /// The ways to more or less of an attribute.
    pub(super) fn shaping(&self) -> &Shaping {
        &self.shaping
    }

    /// Version of ONNX Runtime.
    pub(super) fn runtime_version(&self) -> &str {
        self.runtime.version()
    }

    /// The point of a slot's clip: its posterior mean, or the code that is known already.
    pub(super) fn locate(&mut self, slot: &Slot, known: Option<&[f32]>) -> Result<Point, String> {
        let point = self.locate_code(slot, known)?;
        self.trace_back(&point.code);
        Ok(point)
    }

    fn locate_code(&mut self, slot: &Slot, known: Option<&[f32]>) -> Result<Point, String> {
        let clip = slot.clip.as_ref().ok_or("it is empty.")?;
        let config = self.compute.engine().config();
        let read = || reading::read(config, clip, slot.controls.as_ref());
        if let Some(code) = known {
            // Codes from a project count even if its clip has become unreadable.
            let (windows, controls) = match read() {
                Ok((tokens, controls)) => (vec![Arc::new(tokens)], controls),
                Err(_) => (Vec::new(), Controls::none(config, config.hparams.max_seq_len)),
            };
            return Ok(Point { code: code.to_vec(), controls, windows });
        }
        let (tokens, controls) = read().map_err(|error| error.to_string())?;
        let windows = vec![Arc::new(tokens.clone())];
        let posterior = self.encode(tokens, controls.as_ref())?;
        Ok(Point { code: posterior.mu, controls, windows })
    }

    /// What the encoder believes about a window.
    pub(super) fn encode(
        &mut self,
        tokens: Tokens,
        controls: Option<&Controls>,
    ) -> Result<Posterior, String> {
        let windows = [tokens];
        let posteriors = self
            .compute
            .run(|engine| engine.encode(&windows, controls.map(std::slice::from_ref)))
            .map_err(|error| error.to_string())?;
        posteriors.into_iter().next().ok_or_else(|| "it gave no code.".to_owned())
    }

    /// Finds the noise of a code once, so that a morph need not. Without it codes blend as they are.
    pub(super) fn trace_back(&mut self, code: &[f32]) {
        let learned = self.learned.as_mut().filter(|learned| learned.flow().blends());
        let Some(learned) = learned else { return };
        if self.origins.iter().any(|origin| origin.code() == code) {
            return;
        }
        if let Ok(origin) = learned.origin(code) {
            if self.origins.len() == ORIGINS {
                self.origins.remove(0);
            }
            self.origins.push(origin);
        }
    }

    /// A new code with a number: of the learned prior, else of the plain one, moved to where music
    /// lies if the model knows how.
    pub(super) fn idea(&mut self, number: u64, attempt: u64) -> Vec<f32> {
        if let Some(learned) = &mut self.learned {
            let guidance = learned.flow().guidance();
            let codes = learned.samples(number, &[attempt], &[], guidance);
            if let Some(code) = codes.ok().and_then(|mut codes| codes.pop()) {
                return code;
            }
        }
        match &self.constraint {
            Some(actor) => actor.sample(number, attempt, &[]),
            None => prior(number, attempt, self.latent_size()),
        }
    }

    /// The code at a share of the way between two: of a model with a learned prior found in their
    /// noise, else `None`.
    pub(super) fn meet(&mut self, a: &[f32], b: &[f32], share: f32) -> Option<Vec<f32>> {
        if let Some(met) = self.met.as_ref().filter(|met| met.is_at(a, b, share)) {
            return Some(met.code.clone());
        }
        self.trace_back(a);
        self.trace_back(b);
        let find = |code: &[f32]| self.origins.iter().find(|origin| origin.code() == code);
        let place = Place::between(find(a)?, find(b)?, share);
        let code = self.learned.as_mut()?.visit(&[place]).ok()?.pop()?;
        self.met = Some(Meeting { ends: [a.to_vec(), b.to_vec()], share, code: code.clone() });
        Some(code)
    }

    /// The most probable music at a point; `None` when `on_step` breaks it off.
    pub(super) fn sketch(
        &mut self,
        point: Point,
        on_step: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Clip>, String> {
        self.run(point, DecodeSettings::default(), on_step)
    }

    /// The music at a point; `None` when `on_step` breaks it off.
    pub(super) fn decode(
        &mut self,
        point: Point,
        request: &Request,
        on_step: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Clip>, String> {
        let cycle =
            if request.settings.sampling.evolve { request.cycle.cast_unsigned() } else { 0 };
        let settings = DecodeSettings {
            temperature: request.settings.sampling.temperature,
            keys: vec![NoiseKey { seed: u64::from(request.settings.sampling.seed), cycle }],
            tastes: taste(&point, &request.settings).into_iter().collect(),
            steering: steering(&request.settings).into_iter().collect(),
            ..DecodeSettings::default()
        };
        self.run(point, settings, on_step)
    }

    fn run(
        &mut self,
        point: Point,
        mut settings: DecodeSettings,
        on_step: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Option<Clip>, String> {
        settings.controls = point.controls.map(|controls| vec![controls]);
        if point.windows.len() > 1 {
            let windows: Vec<&Tokens> = point.windows.iter().map(AsRef::as_ref).collect();
            settings.repeats = vec![Repeats::of(self.config(), &windows)];
        }
        let codes = [point.code];
        let mut broken = false;
        let decode = |engine: &mut Engine| {
            engine.decode(&codes, &settings, &mut |step: usize| {
                let flow = on_step(step);
                broken = flow.is_break();
                flow
            })
        };
        let decoded = self.compute.run(decode).map_err(|error| sentence(&error))?;
        let tokens = decoded.into_iter().next().filter(|_| !broken);
        Ok(tokens.map(|tokens| tokens::to_clip(self.config(), &tokens)))
    }
}

/// What notes between two clips of one key lean to, where the key is that of the clips.
fn taste(point: &Point, settings: &Settings) -> Option<Taste> {
    let follows = settings.key == Key::CLIPS && point.windows.len() > 1;
    let windows: Vec<&Tokens> = point.windows.iter().map(AsRef::as_ref).collect();
    let (_, _, share) = settings.position.between();
    follows.then(|| Taste::of(&windows)).flatten().map(|taste| taste.at(share))
}

/// The chosen key.
fn steering(settings: &Settings) -> Option<Steering> {
    settings.key.scale().map(|scale| Steering { scale: Some(scale), ..Steering::default() })
}

/// What lies beside a model's graphs, if it is there and can be used; else what is wrong with it goes
/// to `problems`.
fn usable<T, E: std::error::Error>(
    found: Result<Option<T>, E>,
    problems: &mut Vec<String>,
) -> Option<T> {
    found.unwrap_or_else(|error| {
        problems.push(sentence(&error));
        None
    })
}

fn missing(name: &str) -> String {
    let place =
        resources::user_models().unwrap_or_else(|| PathBuf::from("models")).display().to_string();
    format!("There is no model named `{name}`; choose another one, or put its folder into {place}.")
}
