//! The dialogue that saves a pattern.

use super::*;

/// The pattern is written where the browser says; the Escape key closes it without an action.
#[test]
fn patterns_are_exported_through_the_browser() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut harness = open(full());
    harness.state_mut().state.folder = Some(folder.path().to_path_buf());
    click(&mut harness, "Save MIDI");
    let actions = click(&mut harness, "Save the file");
    assert_eq!(actions, [Action::ExportPattern(folder.path().join("interlude.mid"))]);
    click(&mut harness, "Save MIDI");
    harness.key_press(Key::Escape);
    harness.run_steps(3);
    assert_eq!(harness.state_mut().take(), []);
    assert!(harness.state().state.browser.is_none());
}

/// The name has the keyboard and is selected when the dialogue opens, so that writing replaces it;
/// Enter saves.
#[test]
fn a_name_is_written_and_saved_with_enter() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut harness = open(full());
    harness.state_mut().state.folder = Some(folder.path().to_path_buf());
    click(&mut harness, "Save MIDI");
    harness.event(Event::Text("verse".to_owned()));
    harness.run_steps(2);
    harness.key_press(Key::Enter);
    harness.run_steps(3);
    let actions = harness.state_mut().take();
    assert_eq!(actions, [Action::ExportPattern(folder.path().join("verse.mid"))]);
    assert!(harness.state().state.browser.is_none());
    assert!(!harness.ctx.text_edit_focused(), "the host has the keyboard again");
}

/// Enter alone saves under a name that no file has.
#[test]
fn enter_never_meets_a_file_by_chance() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for name in ["interlude.mid", "interlude 2.mid"] {
        std::fs::write(folder.path().join(name), []).expect("the file can be written");
    }
    let mut harness = open(full());
    harness.state_mut().state.folder = Some(folder.path().to_path_buf());
    click(&mut harness, "Save MIDI");
    harness.key_press(Key::Enter);
    harness.run_steps(3);
    let actions = harness.state_mut().take();
    assert_eq!(actions, [Action::ExportPattern(folder.path().join("interlude 3.mid"))]);
}

/// A file is replaced by the second Enter only, and an empty name by none.
#[test]
fn replacing_takes_two_enters() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    std::fs::write(folder.path().join("verse.mid"), []).expect("the file can be written");
    let mut harness = open(full());
    harness.state_mut().state.folder = Some(folder.path().to_path_buf());
    click(&mut harness, "Save MIDI");
    harness.key_press(Key::Delete);
    harness.run_steps(2);
    harness.key_press(Key::Enter);
    harness.run_steps(3);
    assert_eq!(harness.state_mut().take(), []);
    harness.event(Event::Text("verse".to_owned()));
    harness.run_steps(2);
    harness.key_press(Key::Enter);
    harness.run_steps(3);
    assert_eq!(harness.state_mut().take(), []);
    harness.key_press(Key::Enter);
    harness.run_steps(3);
    let actions = harness.state_mut().take();
    assert_eq!(actions, [Action::ExportPattern(folder.path().join("verse.mid"))]);
}
