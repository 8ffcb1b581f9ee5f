//! The view as it is filled from what is shared, and the actions as they are carried out.

use std::sync::atomic::AtomicU32;

use crossbeam_channel::Receiver;
use interlude_models::{clip::Note, runtime::Provider};

use super::*;
use crate::{editor::Choice, player::Playhead, resources::InstalledModel};

/// A window of an instance whose worker never starts, and what that is told.
fn window() -> (Window, Receiver<Command>) {
    let params = Arc::new(InterludeParams::default());
    let (worker, told) = WorkerThread::never(Shared::new(params.song.clone()));
    (Window::new(params, worker), told)
}

fn clip(pitch: u8) -> Clip {
    let note = Note { start: 0.0, end: 1.0, pitch, velocity: 80, channel: 0, program: 0 };
    Clip::new(vec![note], 8.0)
}

fn installed(name: &str) -> InstalledModel {
    InstalledModel { name: name.to_owned(), dir: name.into() }
}

/// The worker's status is what the view shows; a model that is named by its path is listed by that.
#[test]
fn the_status_is_shown() {
    let (mut window, _told) = window();
    {
        let mut status = window.shared.status.lock();
        status.models = vec![installed("one"), installed("two")];
        status.model = Some("two".to_owned());
        status.provider = "CPU".to_owned();
        status.provider_choice = Choice::Only(Provider::Cuda);
        status.provider_problem = Some("CUDA cannot be used.".to_owned());
        status.unread[0] = true;
        status.decode_ms = Some(5.0);
    }
    window.fill();
    let engine = &window.view.engine;
    assert_eq!((window.view.model, engine.provider.as_str()), (Some(1), "CPU"));
    assert_eq!((engine.decode_ms, engine.chosen), (Some(5.0), Choice::Only(Provider::Cuda)));
    assert!(engine.choices.contains(&Choice::Automatic), "another can be chosen");
    assert!(window.view.slots[0].unread && !window.view.slots[1].unread);
    assert_eq!(window.view.message.as_deref(), Some("CUDA cannot be used."));

    window.shared.status.lock().model = Some("/models/mine".to_owned());
    window.fill();
    assert_eq!(window.view.models, ["one", "two", "/models/mine"]);
    assert_eq!(window.view.model, Some(2));
    window.shared.status.lock().model = None;
    window.fill();
    assert_eq!((window.view.models.len(), window.view.model), (2, None));
}

/// Whoever changes the project, the slots show it; a slot that a recording has come into says so.
#[test]
fn the_project_is_shown() {
    let (mut window, _told) = window();
    let song = window.shared.song.clone();
    for pitch in [60, 72] {
        let source = format!("{pitch}.mid");
        let content = Slot { clip: Some(clip(pitch)), source, ..Slot::default() };
        song.replace(SlotId::B, content);
        window.fill();
        let slot = &window.view.slots[1];
        assert_eq!(slot.clip, Some(clip(pitch)));
        assert_eq!((slot.source.as_str(), slot.can_undo), (format!("{pitch}.mid").as_str(), true));
        assert_eq!(slot.capture, Capture::Idle);
    }
    window.shared.signals.count_taken(1);
    window.fill();
    assert_eq!(window.view.slots[1].capture, Capture::Done);
    assert_eq!(window.view.slots[0].capture, Capture::Idle);
}

/// The pattern that the player plays is shown, or the latest one where that is gone.
#[test]
fn what_plays_is_shown() {
    let (mut window, _told) = window();
    let show = |window: &mut Window, pattern| {
        let playhead = Playhead { cycle: 4, beats: 1.5, pattern };
        window.shared.signals.show_playhead(Some(playhead), true, 3.0);
        window.fill();
        window.view.pattern.clone()
    };
    assert_eq!(show(&mut window, 1).clip, None);
    for id in 1..=3 {
        let pitch = 60 + u8::try_from(id).expect("small");
        window.shared.status.lock().show_pattern(id, Arc::new(clip(pitch)));
    }
    let shown = show(&mut window, 2);
    assert_eq!(shown.clip, Some(clip(62)));
    assert_eq!((shown.cycle, shown.position, shown.beats_per_bar), (4, 1.5, 3.0));
    assert!(shown.playing);
    assert_eq!(show(&mut window, 9).clip, Some(clip(63)));
}

/// Where the host does not call, the window asks for what would play, once, and shows it.
#[test]
fn a_preview_is_asked_for_where_the_host_is_silent() {
    let (mut window, told) = window();
    window.fill();
    assert_eq!(told.try_iter().count(), 0, "there is no model yet");
    window.shared.signals.bars.store(2, Ordering::Release);
    window.fill();
    window.fill();
    let asked: Vec<Command> = told.try_iter().collect();
    assert_eq!(asked, [Command::Preview(0, window.params.settings())]);
    window.shared.status.lock().show_pattern(PREVIEW, Arc::new(clip(64)));
    window.fill();
    assert_eq!(window.view.pattern.clip, Some(clip(64)));
    // A block is processed: the player asks for itself.
    window.shared.signals.contents.fetch_add(1, Ordering::AcqRel);
    window.shared.signals.show_playhead(None, false, 4.0);
    window.fill();
    assert_eq!(told.try_iter().count(), 0);
}

/// What the worker has to do it is told, in the user's order and with what was shown.
#[test]
fn actions_reach_the_worker() {
    let (mut window, told) = window();
    window.shared.status.lock().models = vec![installed("one")];
    let playhead = Playhead { cycle: 0, beats: 0.0, pattern: 7 };
    window.shared.signals.show_playhead(Some(playhead), true, 4.0);
    window.fill();
    let cuda = Choice::Only(Provider::Cuda);
    for (action, command) in [
        (Action::LoadFile(SlotId::B, "a.mid".into()), Command::LoadFile(SlotId::B, "a.mid".into())),
        (Action::LearnFiles(vec!["b.mid".into()]), Command::LearnFiles(vec!["b.mid".into()])),
        (Action::LearnSlots, Command::LearnSlots),
        (Action::StopLearning, Command::StopLearning),
        (Action::ChooseModel(0), Command::Retry),
        (Action::Compute(cuda), Command::Compute(cuda)),
        (Action::ExportPattern("c.mid".into()), Command::Export(7, "c.mid".into())),
    ] {
        window.perform(action);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [command]);
    }
    // Each draw is another one.
    let mut drawn = || {
        window.perform(Action::Draw(SlotId::A));
        told.try_iter().next()
    };
    let (first, second) = (drawn(), drawn());
    assert!(matches!(first, Some(Command::Draw(SlotId::A, _))) && first != second, "{first:?}");
    window.perform(Action::Swap);
    assert_eq!(told.try_iter().count(), 0, "the project itself is changed");
}

/// The window is painted when what it shows has changed, and not otherwise.
#[test]
fn only_changes_are_painted() {
    let (mut window, _told) = window();
    assert!(window.changed(), "nothing was painted yet");
    window.painted = Some(window.view.clone());
    assert!(!window.changed());
    window.shared.status.lock().loading = true;
    assert!(window.changed());
}

/// Each action that changes the music marks the project as changed, once; one that changes
/// nothing does not.
#[test]
fn actions_mark_the_project() {
    let params = Arc::new(InterludeParams::default());
    let shared = Shared::new(params.song.clone());
    let edits = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&edits);
    params.song.on_edit(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let mut window = Window::new(params, WorkerThread::never(Arc::clone(&shared)).0);
    let model = InstalledModel { name: "another".to_owned(), dir: "models/another".into() };
    shared.status.lock().models.push(model);
    window.fill();
    for (action, expected) in [
        (Action::Clear(SlotId::A), 1),
        (Action::Undo(SlotId::A), 1),
        (Action::Undo(SlotId::B), 0),
        (Action::Swap, 1),
        (Action::ForgetStyle, 1),
        (Action::ChooseModel(0), 1),
        (Action::ChooseModel(7), 0),
        (Action::StopLearning, 0),
        (Action::Compute(editor::Choice::Automatic), 0),
    ] {
        let before = edits.load(Ordering::Relaxed);
        window.perform(action.clone());
        assert_eq!(edits.load(Ordering::Relaxed) - before, expected, "{action:?}");
    }
    assert_eq!(shared.song.snapshot().0.model, "another");
}

/// A state that could not be read is told beside what the worker tells.
#[test]
fn damaged_states_are_shown() {
    let params = Arc::new(InterludeParams::default());
    let shared = Shared::new(params.song.clone());
    shared.song.refuse();
    shared.status.lock().model_problem = Some("No model.".to_owned());
    let mut window = Window::new(params, WorkerThread::never(Arc::clone(&shared)).0);
    window.fill();
    let message = window.view.message.expect("a message");
    assert!(message.contains("damaged or cut off") && message.contains("No model."), "{message}");
}
