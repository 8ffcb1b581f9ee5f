//! The worker: everything slow, on a thread of its own, one for each instance.
//!
//! It loads the model, encodes clips, and answers requests for patterns. It is started when the
//! plug-in is activated or its editor wants something, never by a scan, and joined when the plug-in
//! is dropped. Whatever fails becomes a sentence in the status; the plug-in plays on.

use std::{
    collections::VecDeque,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use interlude_models::{clip::Clip, tokens::Controls};
use serde_json::json;

use crate::{
    capture::Take,
    link::{Signals, ToAudio},
    player::{Lane, Pattern, Request},
    provider::{Choice, UnknownChoice},
    resources,
    shared::{Command, PREVIEW, Shared},
    slots::{SLOTS, SlotId},
    state::{Latent, Slot, SongState, Style},
};

mod advice;
mod compute;
mod files;
mod ideas;
mod inbox;
mod learning;
mod loading;
mod model;
mod preferences;
mod reading;
mod shaping;
mod sound;
mod source;
#[cfg(test)]
mod tests;
mod thread;
mod trace;

use files::Loaded;
pub use thread::WorkerThread;

use ideas::Wanted;
use inbox::{Inbox, Work};
use learning::Learning;
use loading::Loading;
use model::{Model, Point};
use preferences::Preferences;
use trace::Trace;

/// Bars of the answers while no model is loaded; the player takes none of them for a cycle of its
/// own length.
const DEFAULT_BARS: u32 = 2;
/// Time without a message after which nobody can be waiting, even if a bounce was the last thing.
const QUIET: Duration = Duration::from_secs(1);
/// Shortest pause between two looks then.
const QUIET_PAUSE: Duration = Duration::from_millis(2);
/// Pause between two looks for a model that is being loaded.
const LOADING_PAUSE: Duration = Duration::from_millis(1);

/// Runs the worker until the plug-in is dropped.
fn run(shared: &Arc<Shared>, inbox: Inbox) {
    let signals = Arc::clone(&shared.signals);
    let mut worker = Worker::new(Arc::clone(shared), inbox, resources::user_folder());
    while !worker.inbox.quits() {
        // Native libraries are at work here: should one of them panic, the music goes on.
        match catch_unwind(AssertUnwindSafe(|| worker.turn())) {
            Ok(true) => {}
            Ok(false) => std::thread::park_timeout(worker.pause()),
            Err(_) => worker.recover(),
        }
    }
    if let Some(loading) = worker.loading.take() {
        // The library may be unloaded as soon as this thread has ended.
        let _ = loading.finish();
    }
    signals.worker_runs.store(false, Ordering::Release);
}

struct Worker {
    shared: Arc<Shared>,
    inbox: Inbox,
    /// The user's own folder, where choices are remembered.
    user_folder: Option<PathBuf>,
    /// What is to compute.
    choice: Choice,
    /// What was wrong with the choice that was remembered.
    choice_problem: Option<String>,
    outbox: VecDeque<ToAudio>,
    trace: Trace,
    model: Option<Model>,
    /// What projects call the model in use.
    model_name: String,
    /// What was to compute when it was loaded.
    model_choice: Choice,
    /// The model that was loaded or tried last, and what was to compute.
    tried: Option<(String, Choice)>,
    loading: Option<Loading>,
    /// Revision of the project that has been followed.
    revision: Option<u64>,
    /// How often a host had loaded a project when it was followed.
    loads: u64,
    /// Where the slots lie.
    points: [Option<Point>; SLOTS],
    /// The request being answered.
    in_hand: Option<Request>,
    /// Slots that wait for a new clip.
    wanted: VecDeque<Wanted>,
    learning: Option<Learning>,
    /// The sample rate of the preview that was made last.
    sound_rate: u32,
}

impl Worker {
    fn new(shared: Arc<Shared>, inbox: Inbox, user_folder: Option<PathBuf>) -> Self {
        let preferences = user_folder.as_deref().map(Preferences::read).unwrap_or_default();
        let choice = match preferences.provider.as_str() {
            "" => Ok(Choice::default()),
            name => name.parse::<Choice>(),
        };
        let file = user_folder.as_deref().map(Preferences::file).unwrap_or_default();
        let told = |error: &UnknownChoice| {
            format!("{error} `{}` names it; the best that works is taken instead.", file.display())
        };
        let choice_problem = choice.as_ref().err().map(told);
        {
            let mut status = shared.status.lock();
            status.models = resources::models();
            status.folder = preferences.folder;
            status.provider_choice = *choice.as_ref().unwrap_or(&Choice::default());
        }
        Self {
            shared,
            inbox,
            user_folder,
            choice: choice.unwrap_or_default(),
            choice_problem,
            outbox: VecDeque::new(),
            trace: Trace::from_environment(),
            model: None,
            model_name: String::new(),
            model_choice: Choice::default(),
            tried: None,
            loading: None,
            revision: None,
            loads: 0,
            points: Default::default(),
            in_hand: None,
            wanted: VecDeque::new(),
            learning: None,
            sound_rate: 0,
        }
    }

    fn signals(&self) -> &Signals {
        &self.shared.signals
    }

    fn pause(&self) -> Duration {
        let pause = self.signals().pause();
        if self.inbox.quiet() > QUIET { pause.max(QUIET_PAUSE) } else { pause }
    }

    /// Does what there is to do; `false` when that is nothing.
    fn turn(&mut self) -> bool {
        let busy = self.work();
        self.tell_provider();
        busy
    }

    /// Tells when the provider has failed and the CPU has taken its place.
    fn tell_provider(&mut self) {
        let Some(model) = &mut self.model else { return };
        if !model.compute().take_changed() {
            return;
        }
        let (provider, problem) =
            (model.provider().to_string(), model.compute().problem().map(str::to_owned));
        self.trace.write(&json!({"event": "error", "message": &problem}));
        let mut status = self.shared.status.lock();
        status.provider = provider;
        status.provider_problem = problem;
    }

    fn work(&mut self) -> bool {
        self.send();
        // Requests first: what the project said when one was made is then followed before it is
        // answered.
        self.inbox.receive();
        if self.follow_sound() {
            return true;
        }
        if let Some(loading) = self.loading.take_if(|loading| loading.is_finished()) {
            self.finish_loading(loading);
            return true;
        }
        if self.revision != Some(self.shared.song.revision()) {
            self.follow_song();
            return true;
        }
        // What needs a model waits for the first one, as does a bounce for the one that the project
        // names; otherwise the model in use plays on.
        let waits = self.loading.is_some() && (self.model.is_none() || self.signals().is_offline());
        if !waits && let Some(command) = self.inbox.next_command() {
            self.perform(command);
            return true;
        }
        for cycle in self.inbox.take_late() {
            self.trace.write(&json!({"event": "late", "cycle": cycle}));
        }
        let is_request = matches!(self.inbox.work.front(), Some(Work::Request(_)));
        if waits && (is_request || self.inbox.work.is_empty()) {
            std::thread::park_timeout(LOADING_PAUSE);
            return true;
        }
        match self.inbox.work.pop_front() {
            Some(Work::Request(request)) => {
                self.in_hand = Some(request);
                if let Some(clip) = self.make(&request) {
                    self.answer(&request, clip);
                }
                self.in_hand = None;
            }
            Some(Work::Captured(take)) => self.take_in(take),
            None if !self.wanted.is_empty() => self.draw(),
            None if self.learning.is_some() => self.learn(),
            None if self.loading.is_some() => std::thread::park_timeout(LOADING_PAUSE),
            None => return false,
        }
        self.send();
        true
    }

    /// After a panic: the request in hand is answered with silence, so that nobody waits for it.
    fn recover(&mut self) {
        self.problem_with_model(
            "The engine stopped while it worked; choose the model again to restart it.".to_owned(),
        );
        self.model = None;
        self.model_name.clear();
        self.wanted.clear();
        self.stop_learning();
        if let Some(request) = self.in_hand.take() {
            self.answer(&request, Clip::default());
        }
    }

    fn send(&mut self) {
        while let Some(message) = self.outbox.pop_front() {
            if let Err(rtrb::PushError::Full(message)) = self.inbox.answers().push(message) {
                self.outbox.push_front(message);
                return;
            }
        }
    }

    fn perform(&mut self, command: Command) {
        match command {
            Command::LoadFile(slot, path) => {
                match files::read(&path, self.model.as_ref().map(Model::config)) {
                    Ok(Loaded { clip, controls, warning }) => {
                        let source = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                        self.fill(slot, clip, controls, source.into_owned());
                        let told = self.shared.status.lock().clip_problem.is_some();
                        if let Some(warning) = warning.filter(|_| !told) {
                            self.problem_with_clip(warning);
                        }
                    }
                    Err(problem) => self.problem_with_clip(problem),
                }
            }
            Command::Export(pattern, path) => {
                let clip = self.shared.status.lock().pattern(pattern).cloned();
                let tempo = self.signals().tempo.load(Ordering::Relaxed);
                let result = match clip {
                    Some(clip) => files::write(&path, &clip, tempo),
                    None => Err("There is no pattern to export yet; let it play first.".to_owned()),
                };
                self.set_clip_problem(result.err());
            }
            Command::Preview(cycle, settings) => {
                let id = PREVIEW;
                let request = Request { id, lane: Lane::One, alone: false, cycle, settings };
                if let Some(clip) = self.model.is_some().then(|| self.make(&request)).flatten() {
                    self.shared.status.lock().show_pattern(id, Arc::new(clip));
                }
            }
            Command::LearnFiles(files) => self.begin_learning(Learning::from_files(files)),
            Command::LearnSlots => {
                let windows = self.windows_of_slots();
                self.begin_learning(Learning::from_windows("A and B", windows));
            }
            Command::StopLearning => self.stop_learning(),
            Command::Draw(slot, number) => {
                self.wanted.retain(|wanted| wanted.slot != slot);
                self.wanted.push_back(Wanted { slot, number, attempt: 0 });
            }
            Command::RememberFolder(folder) => {
                self.prefer(|choices| choices.folder = Some(folder));
            }
            Command::Compute(choice) => {
                self.prefer(|choices| choice.name().clone_into(&mut choices.provider));
                self.choice = choice;
                self.choice_problem = None;
                self.shared.status.lock().provider_choice = choice;
                self.revision = None;
            }
            Command::ListModels => self.shared.status.lock().models = resources::models(),
            Command::Retry => {
                if self.loading.is_none() {
                    self.tried = None;
                    self.revision = None;
                }
            }
        }
    }

    /// Remembers a choice of the user's.
    fn prefer(&self, change: impl FnOnce(&mut Preferences)) {
        if let Some(place) = &self.user_folder {
            Preferences::change(place, change);
        }
    }

    /// A recording has come.
    fn take_in(&mut self, take: Box<Take>) {
        let Some(slot) = SlotId::at(take.slot()) else { return };
        self.fill(slot, take.clip(), None, "Captured".to_owned());
        self.signals().count_taken(take.slot());
        self.outbox.push_back(ToAudio::Take(take));
    }

    fn fill(&mut self, slot: SlotId, clip: Clip, controls: Option<Controls>, source: String) {
        self.set_clip_problem(None);
        let content = Slot { clip: Some(clip), source, controls, latent: None };
        self.shared.song.replace(slot, content);
        self.follow_song();
    }

    /// Brings model and latents up to what the project says.
    fn follow_song(&mut self) {
        let (state, revision) = self.shared.song.snapshot();
        self.revision = Some(revision);
        let loads = self.shared.song.loads();
        if std::mem::replace(&mut self.loads, loads) != loads && self.model_name != state.model {
            // Another project: what the model in use would play is none of its music.
            self.model = None;
            self.model_name.clear();
        }
        let another = self.tried.as_ref().is_some_and(|(model, _)| *model != state.model);
        if another && self.model.is_some() && self.model_name == state.model {
            // Chosen again while another one was being loaded.
            self.tried = Some((state.model.clone(), self.model_choice));
        }
        let wanted = (&state.model, self.choice);
        let tried = self.tried.as_ref().map(|(model, choice)| (model, *choice));
        if self.loading.is_none() && tried != Some(wanted) {
            let installed = resources::models().into_iter().map(|model| model.name);
            if let Some(model) = state.model_instead(installed) {
                self.shared.song.change_if(revision, |state| state.model = model);
                // Followed as any other change, whoever made it.
                self.revision = None;
                return;
            }
            self.begin_loading(&state);
        }
        self.follow_slots(&state, revision);
    }

    /// Brings the slots' points up to what the project says, for the model in use.
    fn follow_slots(&mut self, state: &SongState, revision: u64) {
        let style = state.style.as_ref().zip(self.model.as_ref());
        let fits = style.is_some_and(|(style, model)| fits(style, model));
        self.shared.status.lock().style_fits = fits;
        let mut points: [Option<Point>; SLOTS] = Default::default();
        let mut problems: [Option<String>; SLOTS] = Default::default();
        let mut unread = [false; SLOTS];
        for (id, slot) in SlotId::ALL.into_iter().zip(&state.slots) {
            let index = id.index();
            let known = slot.latent.as_ref().filter(|latent| {
                latent.model == self.model_name
                    && self
                        .model
                        .as_ref()
                        .is_none_or(|model| model.latent_size() == latent.mu.len())
            });
            let known = known.map(|latent| latent.mu.as_slice());
            let point = match self.locate(id, slot, known) {
                Some(Ok(point)) => point,
                Some(Err(problem)) => {
                    problems[index] = Some(problem);
                    unread[index] = true;
                    continue;
                }
                None => continue,
            };
            if let (Some(clip), Some(model)) = (&slot.clip, &self.model) {
                problems[index] =
                    advice::misread(id.letter(), clip, model.config(), &self.model_name);
            }
            // While another model is loaded, codes of the one in use are none of the project's.
            if known.is_none() && self.model_name == state.model {
                let latent = Latent { model: state.model.clone(), mu: point.code.clone() };
                let before = self.revision.unwrap_or(revision);
                let written = self.shared.song.change_if(before, |state| {
                    if let Some(slot) = state.slots.get_mut(index) {
                        slot.latent = Some(latent);
                    }
                });
                let Some(written) = written else {
                    // The project changed in the meantime: what was read of it is out of date.
                    self.revision = None;
                    return;
                };
                self.revision = Some(written);
            }
            points[index] = Some(point);
        }
        for problem in problems.iter().flatten() {
            self.trace.write(&json!({"event": "error", "message": problem}));
        }
        {
            let mut status = self.shared.status.lock();
            status.slot_problems = problems;
            status.unread = unread;
        }
        if points != self.points {
            self.points = points;
            self.signals().contents.fetch_add(1, Ordering::AcqRel);
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
                advice::unreadable(letter, clip, model.config(), &self.model_name)
            } else {
                format!("The clip in slot {letter} cannot be used: {problem}")
            }
        }))
    }

    /// The music that a request asks for; `None` when a newer one makes it needless.
    fn make(&mut self, request: &Request) -> Option<Clip> {
        let Some(model) = &mut self.model else { return Some(Clip::default()) };
        let Some(mut point) = source::point(model, &self.points, &request.settings) else {
            return Some(Clip::default());
        };
        model.shaping().apply(&mut point.code, &request.settings.amounts);
        let begun = Instant::now();
        let inbox = &mut self.inbox;
        let mut on_step = |_step: usize| {
            inbox.receive();
            let waits = request.id == PREVIEW && !inbox.work.is_empty();
            if inbox.quits() || waits || inbox.supersedes(request) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        match model.decode(point, request, &mut on_step) {
            Ok(Some(clip)) => {
                let decode_ms = milliseconds(begun);
                self.trace.write(&json!({
                    "event": "decoded",
                    "cycle": request.cycle,
                    "morph": request.settings.position.share(),
                    "decode_ms": decode_ms,
                    "notes": clip.notes.len(),
                }));
                #[expect(clippy::cast_possible_truncation, reason = "a time for the eye")]
                let shown = decode_ms as f32;
                self.shared.status.lock().decode_ms = Some(shown);
                Some(clip)
            }
            Ok(None) => None,
            Err(problem) => {
                self.problem_with_model(problem);
                Some(Clip::default())
            }
        }
    }

    fn answer(&mut self, request: &Request, clip: Clip) {
        let bars = self.model.as_ref().map_or(DEFAULT_BARS, Model::bars);
        let contents = self.signals().contents.load(Ordering::Acquire);
        let pattern = Pattern::new(request.id, bars, contents, &clip);
        self.shared.status.lock().show_pattern(request.id, Arc::new(clip));
        self.outbox.push_back(ToAudio::Pattern(Box::new(pattern)));
        self.send();
    }

    fn problem_with_model(&mut self, problem: String) {
        self.trace.write(&json!({"event": "error", "message": &problem}));
        self.shared.status.lock().model_problem = Some(problem);
    }

    fn problem_with_clip(&mut self, problem: String) {
        self.set_clip_problem(Some(problem));
    }

    fn set_clip_problem(&mut self, problem: Option<String>) {
        if let Some(problem) = &problem {
            self.trace.write(&json!({"event": "error", "message": problem}));
        }
        self.shared.status.lock().clip_problem = problem;
    }
}

/// Whether a style was learnt with a model.
fn fits(style: &Style, model: &Model) -> bool {
    style.personal.fits(model.space(), model.latent_size())
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}
