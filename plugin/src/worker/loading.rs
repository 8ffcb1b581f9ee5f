//! Loading a model on a thread of its own, so that the one in use plays on until the new one is
//! ready. The slots are encoded there too: the first pattern of the new model needs no wait.

use std::{
    sync::atomic::Ordering,
    thread::{Builder, JoinHandle, Thread},
    time::Instant,
};

use interlude_models::clip::Clip;
use serde_json::json;

use super::{Worker, milliseconds, model::Model, plan::Wish};
use crate::{
    resources,
    slots::SLOTS,
    state::{Latent, Slot, SongState},
};

/// A model that is being loaded.
pub(super) struct Loading {
    pub(super) wish: Wish,
    pub(super) begun: Instant,
    pub(super) thread: JoinHandle<Result<Loaded, String>>,
}

/// A model that is ready, and the codes of the clips that it could read.
pub(super) struct Loaded {
    pub(super) model: Model,
    pub(super) codes: [Option<(Clip, Vec<f32>)>; SLOTS],
}

impl Loading {
    /// Begins to load the model that a project names; `waiting` is woken when that has ended.
    pub(super) fn begin(wish: Wish, slots: Vec<Slot>, waiting: Thread) -> Result<Self, String> {
        let wanted = wish.clone();
        let load = move || {
            let loaded = Loaded::new(&wanted, &slots);
            waiting.unpark();
            loaded
        };
        let thread = Builder::new().name("interlude-load".to_owned()).spawn(load);
        let thread = thread.map_err(|error| {
            format!("No thread could be started ({error}); close other programs and reload.")
        })?;
        Ok(Self { wish, begun: Instant::now(), thread })
    }

    /// Whether the model is ready or has failed.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// The model, as soon as it is ready.
    pub(super) fn finish(self) -> Result<Loaded, String> {
        // Native libraries are at work there: should one of them panic, the music goes on.
        self.thread.join().unwrap_or_else(|_| {
            Err("The engine stopped while it loaded the model; choose the model again.".to_owned())
        })
    }
}

impl Loaded {
    pub(super) fn new(wish: &Wish, slots: &[Slot]) -> Result<Self, String> {
        let Wish { model: name, choice } = wish;
        let mut model = Model::load(name, *choice)?;
        let mut codes: [Option<(Clip, Vec<f32>)>; SLOTS] = Default::default();
        for (place, slot) in codes.iter_mut().zip(slots) {
            let Some(clip) = &slot.clip else { continue };
            let known = slot
                .latent
                .as_ref()
                .filter(|latent| latent.model == *name && latent.mu.len() == model.latent_size());
            if let Some(latent) = known {
                model.trace_back(&latent.mu);
            // What it cannot read is told when the model is put in its place.
            } else if let Ok(point) = model.locate(slot, None) {
                *place = Some((clip.clone(), point.code));
            }
        }
        Ok(Self { model, codes })
    }
}

impl Worker {
    /// Begins to load a model for a project.
    pub(super) fn begin_loading(&mut self, wish: Wish, state: &SongState) {
        self.tried = Some(wish.clone());
        let (slots, waiting) = (state.slots.clone(), std::thread::current());
        match Loading::begin(wish, slots, waiting) {
            Ok(loading) => {
                let mut status = self.shared.status.lock();
                status.loading = true;
                status.models = resources::models();
                self.loading = Some(loading);
            }
            Err(problem) => self.problem_with_model(problem),
        }
    }

    /// A model is ready, or has failed.
    pub(super) fn finish_loading(&mut self, loading: Loading) {
        let (wish, begun) = (loading.wish.clone(), loading.begun);
        let loaded = loading.finish();
        self.shared.status.lock().loading = false;
        // What the project says now is followed afterwards.
        self.revision = None;
        if self.shared.song.read(|state| state.model != wish.model) {
            return;
        }
        match loaded {
            Ok(loaded) => {
                self.trace.write(&json!({
                    "event": "model",
                    "name": &wish.model,
                    "provider": loaded.model.provider().to_string(),
                    "load_ms": milliseconds(begun),
                }));
                self.put_in_place(wish, loaded);
            }
            Err(problem) => self.model_failed(wish, problem),
        }
    }

    /// Uses a model from here on.
    fn put_in_place(&mut self, wish: Wish, loaded: Loaded) {
        let Loaded { mut model, codes } = loaded;
        self.stop_learning();
        {
            let mut status = self.shared.status.lock();
            status.decode_ms = None;
            status.model = Some(wish.model.clone());
            status.provider = model.provider().to_string();
            let problem = model.compute().problem().map(str::to_owned);
            status.provider_problem = problem.or_else(|| self.choice_problem.clone());
            status.runtime = model.runtime_version().to_owned();
            status.attributes = model.shaping().offers();
            status.model_problem = model.problem().map(str::to_owned);
        }
        self.shared.song.change(|state| {
            for (slot, code) in state.slots.iter_mut().zip(codes) {
                // A clip that came in the meantime is encoded when the project is followed.
                if let Some((clip, mu)) = code
                    && slot.clip.as_ref() == Some(&clip)
                {
                    slot.latent = Some(Latent { model: wish.model.clone(), mu });
                }
            }
        });
        self.signals().bars.store(model.bars(), Ordering::Release);
        self.model = Some(model);
        self.used = wish;
        // Codes of another model would be of no use to this one.
        self.points = Default::default();
        self.signals().contents.fetch_add(1, Ordering::AcqRel);
        self.furnish();
        self.follow_song();
        self.signals().model.fetch_add(1, Ordering::AcqRel);
    }

    /// A model cannot be used: the one in use plays on, and the project names that again.
    fn model_failed(&mut self, failed: Wish, problem: String) {
        if self.model.is_some() {
            let kept = self.used.model.clone();
            self.shared.song.change(|state| {
                if state.model == failed.model {
                    state.model.clone_from(&kept);
                }
            });
            // The one in use, asked for with another choice, would fail again.
            self.tried = Some(if failed.model == kept { failed } else { self.used.clone() });
            self.problem_with_model(format!("{problem} `{kept}` plays on."));
            return;
        }
        {
            let mut status = self.shared.status.lock();
            status.decode_ms = None;
            status.model = None;
            status.provider.clear();
            status.provider_problem = None;
            status.attributes = Default::default();
        }
        self.problem_with_model(problem);
        self.signals().model.fetch_add(1, Ordering::AcqRel);
    }
}
