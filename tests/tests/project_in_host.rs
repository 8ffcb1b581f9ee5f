//! What a host is told of the project, and what a project keeps: the real plug-in, from its bundle,
//! in the headless host.

use interlude_bundler::host::{EventKind, Session, spans};
use interlude_tests::in_host::{CYCLE, filled, framed, session, state};

/// Values of a parameter that the plug-in has told since the events were taken last.
fn told(session: &mut Session, name: &str) -> Vec<f64> {
    let id = session.instance().parameter(name).unwrap().id;
    let value = |kind: &EventKind| match kind {
        EventKind::Parameter { id: told, value } if *told == id => Some(*value),
        _ => None,
    };
    session.take_events().iter().filter_map(|event| value(&event.kind)).collect()
}

/// Arms a slot and plays a note at the second beat of the next window.
fn capture(session: &mut Session, slot: &str, bar: f64, key: u8) {
    session.run_to(bar - 1.0).unwrap();
    session.set_text(slot, "On").unwrap();
    let frame = session.frame() + session.frames_until(bar + 1.0);
    session.schedule_note(frame, 24_000, 0, key, 0.7);
    session.run_to(bar + CYCLE + 1.0).unwrap();
}

#[test]
fn a_capture_is_told_and_ends() {
    // Contract: a finished capture marks the project as changed, once, in both ways, and disarms
    // its slot, of which the host is told; what is played afterwards leaves the clip as it is.
    let mut session = session(true);
    session.play();
    capture(&mut session, "Capture A", 4.0, 60);
    assert_eq!(session.instance().take_marks(), 1);
    assert_eq!(session.instance().value("Capture A").unwrap(), 0.0);
    let saved = session.instance().save_state().unwrap();
    let mut events = session.take_events();
    events.retain(|event| matches!(event.kind, EventKind::Parameter { .. }));
    let ids =
        ["Capture A", "Project changes"].map(|name| session.instance().parameter(name).unwrap().id);
    let kinds: Vec<_> = events.iter().map(|event| event.kind).collect();
    let expected = ids.into_iter().zip([0.0, 1.0]);
    for (id, value) in expected {
        assert!(kinds.contains(&EventKind::Parameter { id, value }), "{kinds:?}");
    }
    assert_eq!(kinds.len(), 2, "{kinds:?}");

    let frame = session.frame() + 24_000;
    session.schedule_note(frame, 24_000, 0, 72, 0.7);
    session.run_to(40.0).unwrap();
    assert!(session.instance().save_state().unwrap() == saved, "the state differs");
    assert_eq!(session.instance().take_marks(), 0);
}

#[test]
fn loading_changes_nothing() {
    // Contract: a project that is loaded and played is not marked as changed, and no parameter is
    // told; recall and automation of the count of changes do no harm.
    let mut session = filled(true);
    session.seek(-4.0);
    session.play();
    session.run_to(12.0).unwrap();
    assert!(!spans(session.events()).is_empty(), "nothing plays");
    assert_eq!(session.instance().take_marks(), 0);
    for name in ["Project changes", "Capture A", "Capture B"] {
        let mut session = filled(true);
        session.run(4800).unwrap();
        assert_eq!(told(&mut session, name), [] as [f64; 0]);
    }
    session.set("Project changes", 77.0).unwrap();
    session.run_to(20.0).unwrap();
    assert_eq!(session.instance().value("Project changes").unwrap().round(), 77.0);
    assert_eq!(session.instance().take_marks(), 0);
    capture(&mut session, "Capture B", 24.0, 60);
    assert_eq!(session.instance().value("Project changes").unwrap().round(), 78.0);
}

#[test]
fn a_project_saved_armed_is_not_armed() {
    // Contract: a project that was saved while a slot was armed loads disarmed, and a host that sends
    // the parameter that it kept before the first block does not arm it either; the clip is what it
    // was. Armed again it records.
    let mut first = filled(true);
    first.run(4800).unwrap();
    let clean = first.instance().save_state().unwrap();
    first.set_text("Capture A", "On").unwrap();
    first.run(4800).unwrap();
    let armed = first.instance().save_state().unwrap();
    assert!(armed != clean, "the state is the same");

    let mut session = session(true);
    session.instance().load_state(&armed).unwrap();
    session.set_text("Capture A", "On").unwrap();
    session.play();
    session.run_to(2.0).unwrap();
    assert_eq!(told(&mut session, "Capture A"), [0.0]);
    let frame = session.frame() + session.frames_until(5.0);
    session.schedule_note(frame, 24_000, 0, 48, 0.7);
    session.run_to(16.0).unwrap();
    assert!(session.instance().save_state().unwrap() == clean, "the state differs");
    capture(&mut session, "Capture A", 20.0, 48);
    assert!(session.instance().save_state().unwrap() != clean, "the state is the same");
}

#[test]
fn a_damaged_state_leaves_a_plugin_that_works() {
    // Contract: a state that is cut off is refused without harm, and the plug-in plays on with what
    // it had; one with an unusable note loads and plays.
    let mut session = filled(true);
    for length in [0, 4, 8, 9, 100, state().len() / 2, state().len() - 1] {
        assert!(session.instance().load_state(&state()[..length]).is_err(), "{length} bytes");
    }
    assert!(session.instance().save_state().unwrap() == state(), "the state differs");

    let text = String::from_utf8(state()[8..].to_vec()).unwrap();
    assert!(text.contains(r#"\"pitch\":60"#), "{text}");
    let odd = text.replacen(r#"\"pitch\":60"#, r#"\"pitch\":200"#, 1);
    session.instance().load_state(&framed(odd.as_bytes())).unwrap();
    let saved = String::from_utf8(session.instance().save_state().unwrap()[8..].to_vec()).unwrap();
    assert!(!saved.contains(r#"\"pitch\":200"#));
    let notes = |text: &str| text.matches(r#"\"pitch\""#).count();
    assert_eq!(notes(&saved), notes(&text) - 1);
    session.seek(-4.0);
    session.play();
    session.run_to(8.0).unwrap();
    assert!(!spans(session.events()).is_empty(), "nothing plays");
}
