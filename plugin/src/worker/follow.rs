//! Brings what is loaded up to what the project says, step by step of a plan.

use std::{mem, sync::atomic::Ordering, time::Instant};

use serde_json::json;

use super::{
    Worker, advice, milliseconds,
    model::Point,
    plan::{InUse, Present, Step, Wanted, Wish, plan},
    reading,
};
use crate::{
    resources,
    slots::{SLOTS, SlotId},
    state::{Latent, Slot, SongState},
};

/// What was found out about the slots.
#[derive(Default)]
struct Slots {
    points: [Option<Point>; SLOTS],
    problems: [Option<String>; SLOTS],
    unread: [bool; SLOTS],
}

/// The project has changed while it was followed.
struct Changed;

impl Worker {
    /// Brings model, style and slots up to what the project says.
    pub(super) fn follow_song(&mut self) {
        let (state, revision) = self.shared.song.snapshot();
        self.revision = Some(revision);
        let loads = self.shared.song.loads();
        let wanted = Wanted { project: &state, loads, choice: self.choice };
        let steps = plan(&wanted, &self.present());
        self.loads = loads;
        let mut slots = Slots::default();
        for step in steps {
            if self.carry_out(step, &state, &mut slots).is_err() {
                // What was read of the project is out of date: it is followed anew.
                self.revision = None;
                return;
            }
        }
        self.show_slots(slots);
    }

    /// What is there.
    fn present(&self) -> Present {
        let in_use = self.model.as_ref().map(|model| InUse {
            wish: self.used.clone(),
            latent_size: model.latent_size(),
            space: model.space().to_owned(),
        });
        let loading = self.loading.is_some();
        Present { model: in_use, tried: self.tried.clone(), loading, loads: self.loads }
    }

    fn carry_out(
        &mut self,
        step: Step,
        state: &SongState,
        slots: &mut Slots,
    ) -> Result<(), Changed> {
        match step {
            Step::Leave => {
                self.model = None;
                self.used = Wish::default();
            }
            Step::Stay => self.tried = Some(self.used.clone()),
            Step::Load(wish) => {
                let installed = resources::models().into_iter().map(|model| model.name);
                if let Some(model) = state.model_instead(installed) {
                    // Followed as any other change, whoever made it.
                    self.write(|state| state.model = model)?;
                    return Err(Changed);
                }
                self.begin_loading(wish, state);
            }
            Step::Style { fits } => self.shared.status.lock().style_fits = fits,
            Step::Empty(_) => {}
            Step::Place(id) => {
                let slot = &state.slots[id.index()];
                let known = slot.latent.as_ref().map(|latent| latent.mu.as_slice());
                self.settle(id, slot, known, slots);
            }
            Step::Encode { slot: id, keep } => {
                self.settle(id, &state.slots[id.index()], None, slots);
                if let Some(point) = slots.points[id.index()].as_ref().filter(|_| keep) {
                    let latent = Latent { model: state.model.clone(), mu: point.code.clone() };
                    self.write(|state| {
                        if let Some(slot) = state.slots.get_mut(id.index()) {
                            slot.latent = Some(latent);
                        }
                    })?;
                }
            }
        }
        Ok(())
    }

    /// Writes what follows from the project into it, unless it has changed since it was read.
    fn write(&mut self, change: impl FnOnce(&mut SongState)) -> Result<(), Changed> {
        let revision = self.revision.ok_or(Changed)?;
        self.revision = Some(self.shared.song.change_if(revision, change).ok_or(Changed)?);
        Ok(())
    }

    /// Finds the point of a slot's clip, or why there is none.
    fn settle(&mut self, id: SlotId, slot: &Slot, known: Option<&[f32]>, slots: &mut Slots) {
        let index = id.index();
        match self.locate(id, slot, known) {
            Some(Ok(point)) => {
                if let (Some(clip), Some(model)) = (&slot.clip, &self.model) {
                    slots.problems[index] =
                        advice::misread(id.letter(), clip, model.config(), &self.used.model);
                }
                slots.points[index] = Some(point);
            }
            Some(Err(problem)) => {
                slots.problems[index] = Some(problem);
                slots.unread[index] = true;
            }
            None => {}
        }
    }

    /// The point of a slot's clip, or why the model cannot read it; `None` for an empty slot and
    /// without a model.
    fn locate(
        &mut self,
        id: SlotId,
        slot: &Slot,
        known: Option<&[f32]>,
    ) -> Option<Result<Point, String>> {
        let clip = slot.clip.as_ref()?;
        let letter = id.letter();
        let model = self.model.as_mut()?;
        let begun = Instant::now();
        let point = model.locate(slot, known);
        if point.is_ok() && known.is_none() {
            self.trace.write(&json!({
                "event": "encoded",
                "slot": letter,
                "encode_ms": milliseconds(begun),
            }));
        }
        Some(point.map_err(|problem| {
            if reading::read(model.config(), clip, slot.controls.as_ref()).is_err() {
                advice::unreadable(letter, clip, model.config(), &self.used.model)
            } else {
                format!("The clip in slot {letter} cannot be used: {problem}")
            }
        }))
    }

    /// Plays and shows what was found out about the slots.
    fn show_slots(&mut self, slots: Slots) {
        let Slots { points, problems, unread } = slots;
        for problem in problems.iter().flatten() {
            self.trace.write(&json!({"event": "error", "message": problem}));
        }
        {
            let mut status = self.shared.status.lock();
            status.slot_problems = problems;
            status.unread = unread;
        }
        if mem::replace(&mut self.points, points) != self.points {
            self.signals().contents.fetch_add(1, Ordering::AcqRel);
        }
    }
}
