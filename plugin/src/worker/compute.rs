//! A model's engine on the execution provider that was chosen, or else on the CPU.
//!
//! A graphics card can be missing, lack its driver, or fail in the middle of a song. None of that may
//! cost music: what cannot be used leaves the CPU, and a sentence.

use interlude_models::{
    engine::{Engine, EngineError, EngineOptions},
    package::Package,
    runtime::{Provider, Runtime, RuntimeError, list},
};

use super::sentence::sentence;
use crate::provider::Choice;

/// An engine, with a way back to the CPU.
pub(super) struct Compute {
    engine: Engine,
    /// What the CPU's engine is made from, while another provider computes.
    spare: Option<Spare>,
    /// Why another provider computes than the one that was chosen.
    problem: Option<String>,
    /// Whether the provider has changed since that was asked last.
    changed: bool,
}

/// What the CPU's engine is made from.
pub(super) struct Spare {
    pub(super) runtime: &'static Runtime,
    pub(super) package: Package,
    /// The provider whose place the CPU would take.
    pub(super) instead_of: Provider,
}

impl Compute {
    /// Loads a model on the first provider that can run it, in the order of the choice.
    ///
    /// # Errors
    /// [`EngineError`] when the CPU cannot run it either.
    pub(super) fn start(
        runtime: &'static Runtime,
        package: &Package,
        choice: Choice,
    ) -> Result<Self, EngineError> {
        let mut problem = None;
        for provider in choice.order(&runtime.available()) {
            if provider == Provider::Cpu {
                break;
            }
            match warm_engine(runtime, package, provider) {
                Ok(engine) => {
                    let package = package.clone();
                    let spare = Spare { runtime, package, instead_of: provider };
                    return Ok(Self { engine, spare: Some(spare), problem, changed: false });
                }
                Err(error) => {
                    problem.get_or_insert_with(|| unusable(provider, &error));
                }
            }
        }
        let engine = Engine::load(runtime, package, &on(Provider::Cpu))?;
        Ok(Self { engine, spare: None, problem, changed: false })
    }

    /// An engine that stands in for one that a provider runs.
    #[cfg(test)]
    pub(super) fn on_trial(engine: Engine, spare: Spare) -> Self {
        Self { engine, spare: Some(spare), problem: None, changed: false }
    }

    /// The engine.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Why another provider computes than the one that was chosen.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Whether the provider has changed since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Does something with the engine. When a graph fails on another provider than the CPU, the same
    /// is done on the CPU, which computes from then on.
    ///
    /// # Errors
    /// [`EngineError`] when the CPU fails too.
    pub(super) fn run<R>(
        &mut self,
        mut task: impl FnMut(&mut Engine) -> Result<R, EngineError>,
    ) -> Result<R, EngineError> {
        let failed = match task(&mut self.engine) {
            Err(EngineError::Run { reason, .. }) if self.spare.is_some() => reason,
            result => return result,
        };
        if let Some(Spare { runtime, package, instead_of }) = &self.spare {
            self.engine = Engine::load(runtime, package, &on(Provider::Cpu))?;
            self.problem = Some(format!(
                "{instead_of} stopped while it worked ({}). The CPU plays on; choose the model again \
                 to try {instead_of} anew.",
                failed.trim_end_matches('.')
            ));
            self.spare = None;
            self.changed = true;
        }
        task(&mut self.engine)
    }
}

/// Patterns are decoded one at a time, on one core beside those of the host.
fn on(provider: Provider) -> EngineOptions {
    EngineOptions { provider, threads: 1 }
}

fn warm_engine(
    runtime: &Runtime,
    package: &Package,
    provider: Provider,
) -> Result<Engine, EngineError> {
    let mut engine = Engine::load(runtime, package, &on(provider))?;
    engine.warm_up()?;
    Ok(engine)
}

/// Why a provider was not taken, and what mends it.
fn unusable(provider: Provider, error: &EngineError) -> String {
    let install = format!("`cargo xtask install --provider {}` installs one", provider.name());
    let problem = match error {
        EngineError::Runtime(RuntimeError::NotBuilt { .. }) => format!(
            "{provider} cannot be used: this Interlude was built without it, and {install} with it."
        ),
        EngineError::Runtime(RuntimeError::NotOffered { available, .. }) => {
            let available: Vec<String> = available.iter().map(ToString::to_string).collect();
            format!(
                "{provider} cannot be used: the ONNX Runtime of this Interlude has only {}, and \
                 {install} that has it.",
                list(available.iter().map(String::as_str))
            )
        }
        EngineError::Runtime(error) => {
            format!("{} Check its driver and libraries.", sentence(error))
        }
        error => format!("{provider} cannot run this model: {error}."),
    };
    format!("{problem} The CPU plays instead.")
}
