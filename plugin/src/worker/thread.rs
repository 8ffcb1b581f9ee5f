//! The worker's thread: started when it is first needed, told what to do, joined at the end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{Builder, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::{inbox::Inbox, run};
use crate::{
    link::WorkerEnd,
    shared::{Command, Shared},
};

/// One instance's worker, for all who ask it for something.
#[derive(Debug)]
pub struct WorkerThread {
    shared: Arc<Shared>,
    commands: Sender<Command>,
    /// Whether the worker must end.
    quit: Arc<AtomicBool>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Here until the worker starts.
    inbox: Option<Inbox>,
    handle: Option<JoinHandle<()>>,
}

impl WorkerThread {
    /// The worker of an instance, which is not started yet.
    pub fn new(shared: Arc<Shared>, end: WorkerEnd) -> Arc<Self> {
        let (commands, receiver) = unbounded();
        let quit = Arc::new(AtomicBool::new(false));
        let inbox = Some(Inbox::new(end, receiver, Arc::clone(&quit)));
        Arc::new(Self { shared, commands, quit, state: Mutex::new(State { inbox, handle: None }) })
    }

    /// One that is never started, and what it is told: for an editor alone.
    pub fn never(shared: Arc<Shared>) -> (Arc<Self>, Receiver<Command>) {
        let (commands, receiver) = unbounded();
        let (quit, state) = (Arc::default(), Mutex::default());
        (Arc::new(Self { shared, commands, quit, state }), receiver)
    }

    /// What the worker shares with others.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Starts the worker if it does not run yet. Hosts scan plug-ins without activating them or
    /// opening their editor, so nothing slow is started by a scan.
    pub fn start(&self) {
        let mut state = self.state.lock();
        if self.quit.load(Ordering::Acquire) {
            return;
        }
        let Some(inbox) = state.inbox.take() else { return };
        let shared = Arc::clone(&self.shared);
        // From here on a bounce may wait for the worker, however long its thread takes to start.
        self.shared.signals.worker_runs.store(true, Ordering::Release);
        let started =
            Builder::new().name("interlude".to_owned()).spawn(move || run(&shared, inbox));
        match started {
            Ok(handle) => state.handle = Some(handle),
            Err(error) => {
                self.shared.signals.worker_runs.store(false, Ordering::Release);
                self.shared.status.lock().model_problem = Some(format!(
                    "No thread could be started ({error}); close other programs and reload."
                ));
            }
        }
    }

    /// Stops the worker and waits until it has.
    pub fn stop(&self) {
        self.quit.store(true, Ordering::Release);
        let handle = self.state.lock().handle.take();
        if let Some(handle) = handle {
            handle.thread().unpark();
            // A worker that panicked has nothing left to clean up.
            let _ = handle.join();
        }
    }

    /// Asks the worker for something.
    pub fn command(&self, command: Command) {
        // A worker that could not be started takes nothing; that has been told.
        let _ = self.commands.send(command);
        self.start();
        if let Some(handle) = &self.state.lock().handle {
            handle.thread().unpark();
        }
    }
}
