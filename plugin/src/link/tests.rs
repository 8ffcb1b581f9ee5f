//! What audio thread and worker may rely on of the link between them.

use std::cell::Cell;

use interlude_models::clip::Clip;
use proptest::prelude::*;

use super::*;
use crate::player::{Lane, Settings};

fn ends() -> (AudioEnd, WorkerEnd, Arc<Signals>) {
    let signals = Arc::new(Signals::default());
    let (audio, worker) = link(Arc::clone(&signals));
    (audio, worker, signals)
}

fn request(id: u64) -> Request {
    Request { id, lane: Lane::One, alone: false, cycle: 0, settings: Settings::at(0.5) }
}

fn pattern(id: u64) -> Box<Pattern> {
    Box::new(Pattern::new(id, 2, 0, &Clip::default()))
}

/// The worker looks as often in the first blocks after a stop as while the transport rolls, so
/// that a seek, for which hosts stop, does not wait for it; half a second later it rests.
#[test]
fn a_stop_lets_the_worker_rest_a_little_later() {
    let (mut audio, _worker, signals) = ends();
    let mut pause = |rolling| {
        audio.begin_block(Duration::ZERO, rolling, 256);
        signals.pause()
    };
    let resting = pause(false);
    let rolling = pause(true);
    assert!(rolling < resting);
    assert!((0..60).all(|_| pause(false) == rolling));
    assert!((0..60).any(|_| pause(false) == resting));
}

/// While `process` may wait the worker looks most often, whether the transport rolls or not, until a
/// block comes in which it may not.
#[test]
fn a_bounce_keeps_the_worker_awake() {
    let (mut audio, _worker, signals) = ends();
    for rolling in [true, false] {
        audio.begin_block(Duration::from_secs(1), rolling, 64);
        assert!(signals.is_offline() && signals.pause() <= WAIT);
        audio.begin_block(Duration::ZERO, true, 64);
        assert!(!signals.is_offline() && signals.pause() > WAIT);
    }
}

/// `process` waits no longer in a block than it may, and not at all without a worker or when it may
/// not; each block begins anew.
#[test]
fn waits_are_bounded() {
    let (mut audio, _worker, signals) = ends();
    let patience = 10 * WAIT;
    audio.begin_block(patience, true, 64);
    assert!(!audio.wait(), "nobody answers");
    signals.worker_runs.store(true, Ordering::Release);
    for _ in 0..2 {
        audio.begin_block(Duration::ZERO, true, 64);
        assert!(!audio.wait() && audio.waited().is_zero());
        audio.begin_block(patience, true, 64);
        // Each wait takes `WAIT` or longer.
        let waits = (0..1000).take_while(|_| audio.wait()).count();
        assert!((1..=10).contains(&waits) && audio.waited() >= patience, "{waits}");
        assert!(signals.is_offline(), "the worker looks often meanwhile");
    }
    audio.begin_block(patience, true, 64);
    assert!(audio.wait());
    signals.worker_runs.store(false, Ordering::Release);
    assert!(!audio.wait(), "the worker has ended");
}

/// However much is asked for while the worker takes nothing, all memory that the audio thread may hold
/// can still be returned.
#[test]
fn returned_memory_has_room() {
    let (mut audio, mut worker, signals) = ends();
    let asked = (0..1000).take_while(|&id| audio.request(&request(id))).count();
    assert_eq!(asked, TO_WORKER - RESERVE);
    for cycle in 0..1000 {
        audio.late(cycle);
    }
    assert_eq!(signals.late.load(Ordering::Relaxed), 1000, "counted, if not told");
    for id in 0..MOST_PATTERNS {
        audio.discard(pattern(id as u64));
    }
    for _ in 0..2 * SLOTS {
        audio.captured(Box::<Take>::default());
    }
    let (mut patterns, mut takes) = (0, 0);
    while let Ok(message) = worker.from_audio.pop() {
        match message {
            ToWorker::Discarded(_) => patterns += 1,
            ToWorker::Captured(_) => takes += 1,
            ToWorker::Request(_) | ToWorker::Late(_) | ToWorker::Replaced(_) => {}
        }
    }
    assert_eq!((patterns, takes), (MOST_PATTERNS, 2 * SLOTS));
}

/// A pattern behind a take is handed on, and the take kept until a recorder wants it; a second take
/// keeps its place until the first was taken.
#[test]
fn takes_do_not_hold_patterns_up() {
    let (mut audio, mut worker, _signals) = ends();
    let mut send = |message| assert!(worker.to_audio.push(message).is_ok());
    assert!(audio.answer().is_none() && audio.take().is_none());
    send(ToAudio::Take(Box::<Take>::default()));
    send(ToAudio::Pattern(pattern(1)));
    assert_eq!(audio.answer().map(|pattern| pattern.id()), Some(1));
    send(ToAudio::Take(Box::<Take>::default()));
    send(ToAudio::Pattern(pattern(2)));
    assert!(audio.answer().is_none(), "the second take has no place");
    assert!(audio.take().is_some());
    assert_eq!(audio.answer().map(|pattern| pattern.id()), Some(2));
    assert!(audio.take().is_some() && audio.take().is_none());
}

/// What one side shows the other reads; a block without a playhead leaves the one before.
#[test]
fn signals_are_read_as_they_were_set() {
    let signals = Signals::default();
    let playhead = Playhead { cycle: -3, beats: 2.5, pattern: 7 };
    signals.show_playhead(Some(playhead), true, 3.0);
    signals.show_playhead(None, false, 3.5);
    let (shown, rolling, bar_beats) = signals.playhead();
    assert_eq!((shown.cycle, shown.beats, shown.pattern), (-3, 2.5, 7));
    assert_eq!((rolling, bar_beats, signals.blocks()), (false, 3.5, 2));
    for slot in 0..SLOTS {
        for phase in [Phase::Waiting, Phase::Recording(0.0), Phase::Recording(1.0), Phase::Idle] {
            signals.show_phase(slot, phase);
            assert_eq!(signals.phase(slot), phase);
        }
        signals.count_taken(slot);
        assert_eq!(signals.taken(slot), 1);
    }
}

/// Between two threads: a pattern says of which contents it was made, and whoever takes it can see those
/// contents; contents never go back.
#[test]
fn patterns_are_not_older_than_they_say() {
    const PATTERNS: u64 = 20_000;
    let (mut audio, worker, signals) = ends();
    let written = Arc::clone(&signals);
    let writer = std::thread::spawn(move || {
        let WorkerEnd { mut to_audio, mut from_audio } = worker;
        for id in 0..PATTERNS {
            let contents = written.contents.fetch_add(1, Ordering::AcqRel) + 1;
            let mut message =
                ToAudio::Pattern(Box::new(Pattern::new(id, 2, contents, &Clip::default())));
            while let Err(rtrb::PushError::Full(back)) = to_audio.push(message) {
                message = back;
                while from_audio.pop().is_ok() {}
                std::thread::yield_now();
            }
        }
        // The rest is freed with the ring.
        from_audio
    });
    let (mut next, mut seen) = (0, 0);
    while next < PATTERNS {
        let Some(pattern) = audio.answer() else {
            std::thread::yield_now();
            continue;
        };
        assert_eq!(pattern.id(), next, "in order, none lost");
        let contents = signals.contents.load(Ordering::Acquire);
        assert!(contents >= pattern.contents() && contents >= seen, "{contents}");
        (next, seen) = (next + 1, contents);
        audio.discard(pattern);
    }
    drop(writer.join().expect("the worker's side ends"));
}

/// Something that happens on one of the sides.
#[derive(Clone, Copy, Debug)]
enum Event {
    Request,
    Late,
    Answer,
    Discard,
    Capture,
    Take,
    /// The worker takes some messages.
    Receive(usize),
    /// The worker answers, or returns a take.
    Send,
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Request),
        2 => Just(Event::Late),
        4 => Just(Event::Answer),
        2 => Just(Event::Discard),
        1 => Just(Event::Capture),
        1 => Just(Event::Take),
        1 => (1..40_usize).prop_map(Event::Receive),
        4 => Just(Event::Send),
    ]
}

proptest! {
    /// Whatever happens in whatever order, no memory is lost: every pattern and take is with one of the
    /// sides or on its way, and in the end all that the audio thread holds comes back.
    #[test]
    fn no_memory_is_lost(events in proptest::collection::vec(events(), 0..600)) {
        let (mut audio, mut worker, _signals) = ends();
        let mut patterns: Vec<Box<Pattern>> = Vec::new();
        // Each recorder has a take from the beginning, and one is in the worker's hands for each.
        let mut recorders: Vec<Box<Take>> = (0..SLOTS).map(|_| Box::<Take>::default()).collect();
        let mut spare: Vec<Box<Take>> = (0..SLOTS).map(|_| Box::<Take>::default()).collect();
        let (mut sent, returned) = (0, Cell::new(0));
        let receive = |worker: &mut WorkerEnd, spare: &mut Vec<Box<Take>>| {
            match worker.from_audio.pop() {
                Ok(ToWorker::Discarded(_)) => returned.set(returned.get() + 1),
                Ok(ToWorker::Captured(take)) => spare.push(take),
                Ok(ToWorker::Request(_) | ToWorker::Late(_) | ToWorker::Replaced(_)) => {}
                Err(_) => return false,
            }
            true
        };
        for event in events {
            match event {
                Event::Request => {
                    audio.request(&request(1));
                }
                Event::Late => audio.late(1),
                Event::Answer if patterns.len() < MOST_PATTERNS => patterns.extend(audio.answer()),
                Event::Discard => patterns.pop().into_iter().for_each(|pattern| audio.discard(pattern)),
                Event::Capture => recorders.pop().into_iter().for_each(|take| audio.captured(take)),
                Event::Take if recorders.len() < SLOTS => recorders.extend(audio.take()),
                Event::Answer | Event::Take => {}
                Event::Receive(count) => {
                    let _ = (0..count).take_while(|_| receive(&mut worker, &mut spare)).count();
                }
                Event::Send => match spare.pop() {
                    Some(take) => {
                        if let Err(rtrb::PushError::Full(ToAudio::Take(take))) =
                            worker.to_audio.push(ToAudio::Take(take))
                        {
                            spare.push(take);
                        }
                    }
                    None => sent += u64::from(worker.to_audio.push(ToAudio::Pattern(pattern(sent))).is_ok()),
                },
            }
        }
        // The worker takes nothing more until all has been returned.
        patterns.into_iter().for_each(|pattern| audio.discard(pattern));
        recorders.into_iter().for_each(|take| audio.captured(take));
        while receive(&mut worker, &mut spare) {}
        // What was on its way to the audio thread still is.
        let mut held = 0;
        loop {
            let (pattern, take) = (audio.answer(), audio.take());
            if pattern.is_none() && take.is_none() {
                break;
            }
            held += u64::from(pattern.is_some());
            spare.extend(take);
        }
        prop_assert_eq!(spare.len(), 2 * SLOTS);
        prop_assert_eq!(returned.get() + held, sent);
    }
}
