//! The worker: everything slow, on a thread of its own, one for each instance.
//!
//! It loads the model, encodes clips, and answers requests for patterns. It is started when the
//! plug-in is activated or its editor wants something, never by a scan, and joined when the plug-in
//! is dropped. Whatever fails becomes a sentence in the status; the plug-in plays on.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use interlude_models::clip::Clip;
use serde_json::json;

use crate::{
    link::{Signals, ToAudio},
    player::Request,
    provider::{Choice, UnknownChoice},
    resources,
    shared::Shared,
    slots::SLOTS,
    state::Style,
};

mod advice;
mod compute;
mod factory;
mod files;
mod follow;
mod ideas;
mod inbox;
mod learning;
mod loading;
mod model;
mod plan;
mod preferences;
mod reading;
mod sentence;
mod serve;
mod shaping;
mod sound;
mod source;
#[cfg(test)]
mod tests;
mod thread;
mod trace;

pub use thread::WorkerThread;

use factory::Factory;
use ideas::Wanted;
use inbox::{Inbox, Work};
use learning::Learning;
use loading::Loading;
use model::{Model, Point};
use plan::Wish;
use preferences::Preferences;
use trace::Trace;

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
    /// How the model in use was asked for.
    used: Wish,
    /// What was loaded or tried last.
    tried: Option<Wish>,
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
    /// What the factory has put into the slots.
    factory: Factory,
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
            used: Wish::default(),
            tried: None,
            loading: None,
            revision: None,
            loads: 0,
            points: Default::default(),
            in_hand: None,
            wanted: VecDeque::new(),
            learning: None,
            factory: Factory::default(),
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
        self.used = Wish::default();
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
