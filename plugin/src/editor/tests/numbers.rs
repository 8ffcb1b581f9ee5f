//! Numbers that are typed.

use super::*;

/// Clicks on a number and writes another in its place.
fn type_in(harness: &mut Harness<'_, Bench>, label: &str, text: &str, end: Key) -> Vec<Action> {
    harness.get_by_label(label).click();
    harness.run_steps(3);
    harness.event(Event::Text(text.to_owned()));
    harness.run_steps(2);
    harness.key_press(end);
    harness.run_steps(3);
    harness.state_mut().take()
}

fn temperature(value: f32) -> [Action; 3] {
    [Gesture::Begin, Gesture::Set(value), Gesture::End].map(Action::Temperature)
}

/// A click on a number opens a field in which the number is selected; Enter sets what was written,
/// as one gesture, and closes the field.
#[test]
fn numbers_are_typed() {
    let mut harness = open(full());
    let actions = type_in(&mut harness, "Number of Temperature: 0.50", "1,25", Key::Enter);
    let [begin, Action::Temperature(Gesture::Set(value)), end] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(
        [begin, end],
        [&Action::Temperature(Gesture::Begin), &Action::Temperature(Gesture::End)]
    );
    assert!((value - 1.25).abs() < 1e-5);
    assert!(harness.query_by_label("Number of Temperature: 1.25").is_some(), "the field is closed");
    assert!(!harness.ctx.text_edit_focused(), "the host has the keyboard again");

    let actions = type_in(&mut harness, "Number of Morph: 0.0 %", "42 %", Key::Enter);
    assert_gestures(&actions);
    assert!((morph_values(&actions)[0] - 0.42).abs() < 1e-5);
    let actions = type_in(&mut harness, "Number of Seed: 1", "77", Key::Enter);
    assert_eq!(actions, [Gesture::Begin, Gesture::Set(77), Gesture::End].map(Action::Seed));
    let actions = type_in(&mut harness, "Number of Pitch: 0", "-1.5", Key::Enter);
    let pitch = |gesture| Action::Shape(Attribute::Pitch, gesture);
    assert_eq!(actions, [Gesture::Begin, Gesture::Set(-1.5), Gesture::End].map(pitch));
}

/// Escape leaves the number as it was, and so does writing the same one.
#[test]
fn typing_can_be_given_up() {
    let mut harness = open(full());
    let label = "Number of Temperature: 0.50";
    assert_eq!(type_in(&mut harness, label, "1.5", Key::Escape), []);
    assert!(harness.query_by_label(label).is_some());
    assert!(!harness.ctx.text_edit_focused());
    assert_eq!(type_in(&mut harness, label, "0.5", Key::Enter), []);
}

/// What is no number of the range keeps the old value and says what the range is, until something
/// else is written.
#[test]
fn wrong_numbers_are_told() {
    let mut harness = open(full());
    for text in [" ", "warm", "2.5", "-1", "NaN"] {
        let label = "Number of Temperature: 0.50";
        assert_eq!(type_in(&mut harness, label, text, Key::Enter), [], "{text}");
        assert!(harness.query_by_label("Numbers from 0.05 to 2.00").is_some(), "{text}");
        assert!(harness.ctx.text_edit_focused(), "it can be mended at once");
        harness.event(Event::Text("1".to_owned()));
        harness.run_steps(2);
        assert!(harness.query_by_label("Numbers from 0.05 to 2.00").is_none());
        harness.key_press(Key::Escape);
        harness.run_steps(3);
        assert_eq!(harness.state().view.parameters.temperature, 0.5);
    }
    assert_eq!(type_in(&mut harness, "Number of Seed: 1", "1.5", Key::Enter), []);
    assert!(harness.query_by_label("Whole numbers from 0 to 9999").is_some());
}

/// A click elsewhere takes over what was written, if it is a number.
#[test]
fn a_click_elsewhere_ends_typing() {
    let mut harness = open(full());
    for (text, expected) in [("0.9", Some(0.9_f32)), ("none", None)] {
        harness.state_mut().view.parameters.temperature = 0.5;
        harness.run_steps(2);
        harness.get_by_label("Number of Temperature: 0.50").click();
        harness.run_steps(3);
        harness.event(Event::Text(text.to_owned()));
        harness.run_steps(2);
        let elsewhere = harness.get_by_role(Role::Status).rect().center();
        harness.drag_at(elsewhere);
        harness.step();
        harness.drop_at(elsewhere);
        harness.run_steps(2);
        assert!(!harness.ctx.text_edit_focused());
        let value = harness.state().view.parameters.temperature;
        assert!((value - expected.unwrap_or(0.5)).abs() < 1e-5, "{text}: {value}");
        let expected = if expected.is_some() { temperature(value).to_vec() } else { vec![] };
        assert_eq!(harness.state_mut().take(), expected);
    }
}

/// A double click or the right button on a number brings the default back, as one gesture.
#[test]
fn numbers_are_reset() {
    for double in [true, false] {
        let mut view = full();
        view.parameters.temperature = 1.5;
        let mut harness = open(view);
        let place = harness.get_by_label("Number of Temperature: 1.50").rect().center();
        let (button, times) = if double {
            (egui::PointerButton::Primary, 2)
        } else {
            (egui::PointerButton::Secondary, 1)
        };
        harness.hover_at(place);
        harness.step();
        for _ in 0..times {
            for pressed in [true, false] {
                let modifiers = Modifiers::NONE;
                harness.event(Event::PointerButton { pos: place, button, pressed, modifiers });
                harness.step();
            }
        }
        harness.run_steps(3);
        assert_eq!(harness.state_mut().take(), temperature(table::TEMPERATURE.default), "{double}");
        assert!(!harness.ctx.text_edit_focused());
    }
}
