//! New ideas: clips drawn from a style or from all that the model knows, and the learning of styles.
//! All of it gives way to requests.

use std::{ops::ControlFlow, sync::Arc};

use interlude_models::tokens::{Controls, Window};
use serde_json::json;

use super::{
    Worker, fits,
    learning::{Learning, Outcome},
    model::{Model, Point},
    reading,
};
use crate::{
    slots::SlotId,
    state::{Latent, Slot, Style},
};

/// Drawings without a note that are drawn anew.
const MOST_ATTEMPTS: u64 = 8;

/// A slot that waits for a new clip.
pub(super) struct Wanted {
    pub(super) slot: SlotId,
    /// Decides what is drawn.
    pub(super) number: u64,
    /// Drawings that had no note.
    pub(super) attempt: u64,
}

impl Worker {
    /// Begins to learn, in place of what is being learnt.
    pub(super) fn begin_learning(&mut self, learning: Learning) {
        self.set_clip_problem(None);
        self.learning = Some(learning);
        self.shared.status.lock().learning = Some(0.0);
    }

    /// Leaves what is being learnt.
    pub(super) fn stop_learning(&mut self) {
        self.learning = None;
        self.shared.status.lock().learning = None;
    }

    /// The windows of the clips in the slots.
    pub(super) fn windows_of_slots(&self) -> Vec<Window> {
        let Some(config) = self.model.as_ref().map(Model::config) else { return Vec::new() };
        let (state, _) = self.shared.song.snapshot();
        let window = |slot: &Slot| {
            let clip = slot.clip.as_ref()?;
            let (tokens, controls) = reading::read(config, clip, slot.controls.as_ref()).ok()?;
            Some(Window { tokens, controls })
        };
        state.slots.iter().filter_map(window).collect()
    }

    /// Does a small piece of learning.
    pub(super) fn learn(&mut self) {
        let (Some(learning), Some(model)) = (&mut self.learning, &mut self.model) else {
            self.stop_learning();
            self.problem_with_clip("A style needs a model; choose one first.".to_owned());
            return;
        };
        match learning.step(model) {
            Ok(Outcome::Learning(share)) => self.shared.status.lock().learning = Some(share),
            Ok(Outcome::Learnt(personal)) => {
                let source = std::mem::take(&mut learning.source);
                let problem = learning.problem.take();
                self.trace.write(&json!({"event": "learnt", "source": &source}));
                let style = Style { source, personal: Arc::new(personal) };
                self.shared.song.edit(|state| state.style = Some(style));
                self.set_clip_problem(problem);
                self.stop_learning();
            }
            Err(problem) => {
                self.stop_learning();
                self.problem_with_clip(problem);
            }
        }
    }

    /// Puts a new clip into the slot that waits longest, unless a request comes in between: then the
    /// slot waits on.
    pub(super) fn draw(&mut self) {
        let Some(&Wanted { slot, number, attempt }) = self.wanted.front() else { return };
        let Some(model) = &mut self.model else {
            self.wanted.clear();
            return;
        };
        let (state, _) = self.shared.song.snapshot();
        let style = state.style.filter(|style| fits(style, model));
        let (code, source) = match &style {
            Some(style) => (style.personal.sample(number, attempt, 1.0), "Your style"),
            None => (model.idea(number, attempt), "New idea"),
        };
        let config = model.config();
        // Chords and hits are not drawn: those at hand count.
        let known = std::iter::once(&self.points[slot.index()]).chain(&self.points).flatten();
        let controls = known.filter_map(|point| point.controls.clone()).next();
        let controls = controls.or_else(|| Controls::none(config, config.hparams.max_seq_len));
        let point = Point { code: code.clone(), controls: controls.clone(), windows: Vec::new() };
        let inbox = &mut self.inbox;
        let drawn = model.sketch(point, &mut |_step| {
            inbox.receive();
            if inbox.quits() || !inbox.work.is_empty() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        match drawn {
            Ok(None) => {}
            Ok(Some(clip)) if clip.is_empty() && attempt < MOST_ATTEMPTS => {
                self.wanted[0].attempt += 1;
            }
            Ok(Some(clip)) => {
                self.wanted.pop_front();
                let latent = Some(Latent { model: state.model, mu: code });
                let source = source.to_owned();
                let content = Slot { clip: Some(clip), source, controls, latent };
                self.set_clip_problem(None);
                self.shared.song.replace(slot, content);
            }
            Err(problem) => {
                self.wanted.pop_front();
                self.problem_with_model(problem);
            }
        }
    }
}
