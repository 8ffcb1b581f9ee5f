//! All that comes to the worker: messages of the audio thread, commands of the editor, the wish that
//! it ends. What a newer one makes needless is dropped here.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crossbeam_channel::Receiver;
use rtrb::Producer;

use crate::{
    capture::Take,
    link::{ToAudio, ToWorker, WorkerEnd},
    player::Request,
    shared::Command,
};

/// Something to do, in the order in which the audio thread asked for it.
#[derive(Debug)]
pub(super) enum Work {
    /// Request for a pattern.
    Request(Request),
    /// A recording is complete.
    Captured(Box<Take>),
}

/// The worker's one inbox.
#[derive(Debug)]
pub(super) struct Inbox {
    end: WorkerEnd,
    channel: Receiver<Command>,
    quit: Arc<AtomicBool>,
    /// What the audio thread asks for.
    pub(super) work: VecDeque<Work>,
    /// What the editor asks for.
    commands: VecDeque<Command>,
    /// Cycles that began without their pattern.
    late: Vec<i64>,
    /// When the audio thread sent something last.
    last: Instant,
}

impl Inbox {
    /// An empty one.
    pub(super) fn new(end: WorkerEnd, channel: Receiver<Command>, quit: Arc<AtomicBool>) -> Self {
        let (work, commands, late) = Default::default();
        Self { end, channel, quit, work, commands, late, last: Instant::now() }
    }

    /// Takes what has come; the boxes that come back are freed here.
    pub(super) fn receive(&mut self) {
        while let Ok(message) = self.end.from_audio.pop() {
            self.last = Instant::now();
            match message {
                ToWorker::Request(request) => {
                    self.work.retain(
                        |work| !matches!(work, Work::Request(older) if request.supersedes(older)),
                    );
                    self.work.push_back(Work::Request(request));
                }
                ToWorker::Captured(take) => self.work.push_back(Work::Captured(take)),
                ToWorker::Discarded(pattern) => drop(pattern),
                ToWorker::Replaced(sound) => drop(sound),
                ToWorker::Late(cycle) => self.late.push(cycle),
            }
        }
        while let Ok(command) = self.channel.try_recv() {
            if matches!(command, Command::Preview(..)) {
                self.commands.retain(|older| !matches!(older, Command::Preview(..)));
            }
            self.commands.push_back(command);
        }
    }

    /// The next command.
    pub(super) fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Cycles that have begun without their pattern since the last call.
    pub(super) fn take_late(&mut self) -> Vec<i64> {
        std::mem::take(&mut self.late)
    }

    /// Whether a newer request has made this one needless.
    pub(super) fn supersedes(&self, request: &Request) -> bool {
        self.work
            .iter()
            .any(|work| matches!(work, Work::Request(newer) if newer.supersedes(request)))
    }

    /// How long the audio thread has sent nothing.
    pub(super) fn quiet(&self) -> Duration {
        self.last.elapsed()
    }

    /// Whether the worker must end.
    pub(super) fn quits(&self) -> bool {
        self.quit.load(Ordering::Acquire)
    }

    /// The way back to the audio thread.
    pub(super) fn answers(&mut self) -> &mut Producer<ToAudio> {
        &mut self.end.to_audio
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        link::{AudioEnd, Signals, link},
        player::{Lane, Link, Settings},
        shared::Shared,
        state::Song,
    };

    fn inbox() -> (Inbox, AudioEnd, crossbeam_channel::Sender<Command>) {
        let (audio, end) = link(Arc::<Signals>::default());
        let (sender, receiver) = crossbeam_channel::unbounded();
        (Inbox::new(end, receiver, Arc::default()), audio, sender)
    }

    fn request(id: u64, lane: Lane, alone: bool) -> Request {
        Request { id, lane, alone, cycle: 0, settings: Settings::at(0.5) }
    }

    /// Of each lane the latest request is left, in order; one that stands alone leaves no other; a
    /// recording is never dropped.
    #[test]
    fn the_latest_request_wins() {
        let (mut inbox, mut audio, _sender) = inbox();
        let ids = |inbox: &Inbox| -> Vec<Option<u64>> {
            let id = |work: &Work| match work {
                Work::Request(request) => Some(request.id),
                Work::Captured(_) => None,
            };
            inbox.work.iter().map(id).collect()
        };
        for (id, lane) in [(1, Lane::One), (2, Lane::Two), (3, Lane::One)] {
            assert!(audio.request(&request(id, lane, false)));
        }
        audio.captured(Box::new(Take::new()));
        inbox.receive();
        assert_eq!(ids(&inbox), [Some(2), Some(3), None]);
        assert!(inbox.supersedes(&request(0, Lane::Two, false)));
        assert!(audio.request(&request(4, Lane::One, true)));
        inbox.receive();
        assert_eq!(ids(&inbox), [None, Some(4)]);
    }

    /// Commands come in order, except that a newer preview takes the place of an older one, as the
    /// last; late cycles are handed on once.
    #[test]
    fn a_newer_preview_replaces_an_older_one() {
        let (mut inbox, mut audio, sender) = inbox();
        let preview = |cycle| Command::Preview(cycle, Settings::at(0.0));
        for command in [preview(1), Command::ListModels, preview(2), Command::LearnSlots] {
            sender.send(command).expect("the inbox lives");
        }
        audio.late(7);
        inbox.receive();
        let commands: Vec<Command> = std::iter::from_fn(|| inbox.next_command()).collect();
        assert_eq!(commands, [Command::ListModels, preview(2), Command::LearnSlots]);
        assert_eq!((inbox.take_late(), inbox.take_late()), (vec![7], vec![]));
        let (thread, told) = super::super::WorkerThread::never(Shared::new(Song::default()));
        thread.command(Command::Retry);
        assert_eq!(told.try_recv(), Ok(Command::Retry));
    }
}
