//! The editor's window in a host: fills the view from what is shared and carries the actions out.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use interlude_models::{clip::Clip, scale::Scale};
use nice_plug::{context::gui::GuiContext, prelude::*};

mod late;
mod presence;

use presence::Subject;

use crate::{
    capture::Phase,
    editor::{
        self, Action, Capture, EditorState, EngineView, Gesture, ParameterView, PatternView,
        SlotView, StyleView, View,
    },
    params::InterludeParams,
    shared::{Command, PREVIEW, Shared},
    slots::{SLOTS, SlotId},
    state::Slot,
    surface::{Content, Surface},
    transport::PATTERN_BAR_BEATS,
    worker::WorkerThread,
};

/// How long a finished capture is shown as such.
const DONE_SHOWN: Duration = Duration::from_millis(1500);

/// The editor for one instance.
pub fn editor(params: Arc<InterludeParams>, worker: Arc<WorkerThread>) -> Option<Surface<Window>> {
    let extent = params.editor.clone();
    Some(Surface::new("Interlude", extent, Window::new(params, worker)))
}

/// The window's content.
pub struct Window {
    params: Arc<InterludeParams>,
    shared: Arc<Shared>,
    worker: Arc<WorkerThread>,
    context: Option<GuiContext>,
    editor: EditorState,
    view: View,
    /// What the last frame showed.
    painted: Option<View>,
    seen: Seen,
}

/// What the view was filled from, to copy clips only when they change.
#[derive(Default)]
struct Seen {
    song: Option<u64>,
    /// Recordings that had come into each slot, and when the last one was noticed.
    taken: [Option<u32>; SLOTS],
    done: [Option<Instant>; SLOTS],
    pattern: Option<Arc<Clip>>,
    /// The request whose answer is shown.
    request: u64,
    late: late::Late,
    presence: presence::Presence,
}

impl Content for Window {
    fn opened(&mut self, context: GuiContext) {
        self.context = Some(context);
        self.editor.reopen();
        self.painted = None;
        self.worker.command(Command::ListModels);
    }

    fn changed(&mut self) -> bool {
        self.fill();
        self.painted.as_ref() != Some(&self.view)
    }

    fn draw(&mut self, ui: &mut egui::Ui) {
        self.fill();
        let folder = self.editor.folder().map(Path::to_owned);
        for action in editor::draw(ui, &self.view, &mut self.editor) {
            self.perform(action);
        }
        if let Some(chosen) =
            self.editor.folder().filter(|chosen| folder.as_deref() != Some(chosen))
        {
            self.worker.command(Command::RememberFolder(chosen.to_owned()));
        }
        self.painted.get_or_insert_default().clone_from(&self.view);
    }

    fn closed(&mut self) {
        self.context = None;
    }
}

impl Window {
    /// The content for one instance.
    pub fn new(params: Arc<InterludeParams>, worker: Arc<WorkerThread>) -> Self {
        Self {
            params,
            shared: Arc::clone(worker.shared()),
            worker,
            context: None,
            editor: EditorState::default(),
            view: View::default(),
            painted: None,
            seen: Seen::default(),
        }
    }

    fn fill(&mut self) {
        self.fill_slots();
        self.fill_pattern();
        let params = &self.params;
        self.view.parameters = ParameterView {
            morph: params.morph.value(),
            temperature: params.temperature.value(),
            shape: params.shape.each_ref().map(FloatParam::value),
            key: params.key(),
            seed: params.seed.value(),
            evolve: params.evolve.value(),
            output: params.output.value(),
            bypass: params.bypass.value(),
            thru: params.thru.value(),
            sound: params.sound.mix(),
        };
        let late = self.shared.signals.late.load(Ordering::Relaxed);
        let (late_cycles, late_glow) = self.seen.late.follow(late, Instant::now());
        let status = self.shared.status.lock();
        self.view.models = status.models.iter().map(|model| model.name.clone()).collect();
        // A model that a project names by its path is listed by that.
        let named = |name: &String| status.models.iter().position(|model| model.name == *name);
        self.view.model = status.model.as_ref().and_then(|name| {
            named(name).or_else(|| {
                self.view.models.push(name.clone());
                Some(self.view.models.len() - 1)
            })
        });
        self.view.engine = EngineView {
            provider: status.provider.clone(),
            choices: status.provider_choice.offered(),
            chosen: status.provider_choice,
            runtime: status.runtime.clone(),
            loading: status.loading,
            decode_ms: status.decode_ms,
            late_cycles,
            late_glow,
        };
        self.view.attributes = status.attributes;
        for (slot, unread) in self.view.slots.iter_mut().zip(status.unread) {
            slot.unread = unread;
        }
        self.view.style.fits = status.style_fits;
        self.view.style.learning = status.learning;
        let problems = [self.shared.song.problem(), status.message()];
        let problems: Vec<String> = problems.into_iter().flatten().collect();
        self.view.message = (!problems.is_empty()).then(|| problems.join("\n"));
        if let (None, Some(folder)) = (self.editor.folder(), &status.folder) {
            self.editor.suggest_folder(folder);
        }
    }

    fn fill_slots(&mut self) {
        let song = &self.shared.song;
        let armed = if song.is_fresh() { [false; SLOTS] } else { self.params.armed() };
        for (id, slot) in SlotId::ALL.into_iter().zip(&mut self.view.slots) {
            let index = id.index();
            let taken = self.shared.signals.taken(index);
            if self.seen.taken[index].replace(taken).is_some_and(|before| before != taken) {
                self.seen.done[index] = Some(Instant::now());
            }
            let done = self.seen.done[index].is_some_and(|since| since.elapsed() < DONE_SHOWN);
            slot.capture = match self.shared.signals.phase(index) {
                _ if done => Capture::Done,
                _ if !armed[index] => Capture::Idle,
                Phase::Recording(progress) => Capture::Recording { progress },
                _ => Capture::Armed,
            };
            slot.recording = match slot.capture {
                Capture::Recording { progress } => {
                    let bars = self.shared.signals.bars.load(Ordering::Relaxed).max(1);
                    let length = PATTERN_BAR_BEATS * f64::from(bars);
                    Some(self.shared.signals.sketches[index].clip(length, progress))
                }
                _ => None,
            };
            slot.can_undo = song.can_undo(id);
        }
        let revision = song.revision();
        if self.seen.song == Some(revision) {
            return;
        }
        self.seen.song = Some(revision);
        song.read(|state| {
            self.view.clips_key = clips_key(&state.slots);
            self.view.style = StyleView {
                source: state.style.as_ref().map(|style| style.source.clone()),
                ..self.view.style.clone()
            };
            for (view, slot) in self.view.slots.iter_mut().zip(&state.slots) {
                *view = SlotView {
                    clip: slot.clip.clone(),
                    source: slot.source.clone(),
                    ..view.clone()
                };
            }
        });
    }

    fn fill_pattern(&mut self) {
        let signals = &self.shared.signals;
        let now = Instant::now();
        let calls = self.seen.presence.follow(signals.blocks(), now);
        let (playhead, rolling, bar_beats) = signals.playhead();
        let bars = signals.bars.load(Ordering::Relaxed);
        let pattern = &mut self.view.pattern;
        *pattern = PatternView {
            clip: pattern.clip.take(),
            bars: if bars == 0 { 2 } else { usize::try_from(bars).unwrap_or(2) },
            beats_per_bar: if bar_beats > 0.0 { bar_beats } else { 4.0 },
            position: playhead.beats,
            cycle: playhead.cycle,
            playing: rolling && calls,
        };
        // Some hosts do not call while their transport stands, and nobody then asks for what has
        // changed.
        let subject = Subject {
            cycle: playhead.cycle,
            settings: self.params.settings(),
            contents: signals.contents.load(Ordering::Relaxed),
            model: signals.model.load(Ordering::Relaxed),
        };
        if !calls && bars > 0 && self.seen.presence.asks(subject, now) {
            self.worker.command(Command::Preview(subject.cycle, subject.settings));
        }
        self.seen.request = if calls { playhead.pattern } else { PREVIEW };
        let shown = self.shared.status.lock().pattern(self.seen.request).cloned();
        let same = match (&shown, &self.seen.pattern) {
            (Some(shown), Some(seen)) => Arc::ptr_eq(shown, seen),
            (None, None) => true,
            _ => false,
        };
        if !same {
            pattern.clip = shown.as_deref().cloned().filter(|clip| !clip.is_empty());
            self.seen.pattern = shown;
        }
    }

    fn perform(&mut self, action: Action) {
        let (params, shared, worker) = (&self.params, &self.shared, &self.worker);
        match action {
            Action::Morph(gesture) => self.gesture(&params.morph, gesture),
            Action::Temperature(gesture) => self.gesture(&params.temperature, gesture),
            Action::Shape(attribute, gesture) => {
                self.gesture(&params.shape[attribute.index()], gesture);
            }
            Action::Key(key) => {
                self.set(&params.key, i32::try_from(key.index()).unwrap_or(0));
            }
            Action::Seed(gesture) => self.gesture(&params.seed, gesture),
            Action::Evolve(on) => self.switch(&params.evolve, on),
            Action::Output(on) => self.switch(&params.output, on),
            Action::Thru(on) => self.switch(&params.thru, on),
            Action::Sound(on) => self.switch(&params.sound.on, on),
            Action::SoundMute(part, on) => self.switch(&params.sound.mutes[part.index()], on),
            Action::SoundLevel(part, gesture) => {
                self.gesture(&params.sound.levels[part.index()], gesture);
            }
            Action::SoundOf(part, sound) => {
                if let Some(param) = &params.sound.sounds[part.index()] {
                    let sound = i32::try_from(sound).unwrap_or(0);
                    self.set(param, sound);
                }
            }
            Action::Capture(slot, on) => {
                let slots = &params.capture;
                if shared.song.take_fresh() {
                    // The user's wish counts from here on, not that of the day the project was saved.
                    for armed in slots.iter().filter(|param| param.value()) {
                        self.switch(armed, false);
                    }
                }
                self.switch(&slots[slot.index()], on);
            }
            Action::LoadFile(slot, path) => worker.command(Command::LoadFile(slot, path)),
            Action::Clear(slot) => shared.song.replace(slot, Slot::default()),
            Action::Undo(slot) => shared.song.undo(slot),
            Action::Swap => shared.song.swap(),
            Action::Draw(slot) => {
                let number = RandomState::new().build_hasher().finish();
                worker.command(Command::Draw(slot, number));
            }
            Action::LearnFiles(files) => worker.command(Command::LearnFiles(files)),
            Action::LearnSlots => worker.command(Command::LearnSlots),
            Action::StopLearning => worker.command(Command::StopLearning),
            Action::ForgetStyle => {
                shared.song.edit(|state| state.style = None);
            }
            Action::ChooseModel(index) => {
                if let Some(name) = self.view.models.get(index) {
                    shared.song.edit(|state| state.model.clone_from(name));
                    worker.command(Command::Retry);
                }
            }
            Action::Compute(choice) => worker.command(Command::Compute(choice)),
            Action::ExportPattern(path) => {
                worker.command(Command::Export(self.seen.request, path));
            }
        }
    }

    fn gesture<P: Param>(&self, param: &P, gesture: Gesture<P::Plain>) {
        let Some(context) = &self.context else { return };
        let setter = context.param_setter();
        match gesture {
            Gesture::Begin => setter.begin_set_parameter(param),
            Gesture::Set(value) => setter.set_parameter(param, value),
            Gesture::End => setter.end_set_parameter(param),
        }
    }

    fn switch(&self, param: &BoolParam, on: bool) {
        self.set(param, on);
    }

    fn set<P: Param>(&self, param: &P, value: P::Plain) {
        self.gesture(param, Gesture::Begin);
        self.gesture(param, Gesture::Set(value));
        self.gesture(param, Gesture::End);
    }
}

/// The key that holds the notes of all clips but drums.
fn clips_key(slots: &[Slot]) -> Option<String> {
    let notes = slots.iter().filter_map(|slot| slot.clip.as_ref()).flat_map(|clip| &clip.notes);
    let pitches: Vec<u8> = notes.filter(|note| !note.is_drum()).map(|note| note.pitch).collect();
    Scale::of(&pitches).filter(|_| !pitches.is_empty()).map(|scale| scale.to_string())
}

#[cfg(test)]
mod tests;
