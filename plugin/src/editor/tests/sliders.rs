//! Sliders under pointer, wheel, keys and assistive technology.

use super::*;

/// Pressing, dragging and releasing the morph slider is one gesture whose values follow the
/// pointer from A to B.
#[test]
fn dragging_the_morph_slider_is_one_gesture() {
    let mut harness = open(full());
    let track = harness.get_by_label("Morph").rect();
    let middle = track.center();
    harness.drag_at(Pos2::new(track.left() + 34.0, middle.y));
    harness.step();
    harness.hover_at(middle);
    harness.step();
    harness.hover_at(track.right_center());
    harness.step();
    harness.drop_at(track.right_center());
    harness.step();
    let actions = harness.state_mut().take();
    assert_gestures(&actions);
    let begun = actions.iter().filter(|action| **action == Action::Morph(Gesture::Begin)).count();
    assert_eq!(begun, 1, "{actions:?}");
    let values = morph_values(&actions);
    assert!(values.is_sorted() && values.len() == 2, "{values:?}");
    assert!((values[0] - 0.5).abs() < 0.02 && values[1] == 1.0, "{values:?}");
}

/// A click beside the handle takes it there; a double click brings the default back.
#[test]
fn clicks_move_the_morph() {
    let mut harness = open(full());
    let track = harness.get_by_label("Morph").rect();
    let place = Pos2::new(track.left() + track.width() * 0.75, track.center().y);
    harness.drag_at(place);
    harness.step();
    harness.drop_at(place);
    harness.step();
    let actions = harness.state_mut().take();
    assert_gestures(&actions);
    assert!((harness.state().view.parameters.morph - 0.77).abs() < 0.03);
    // The first click was a while ago, so two more make a double click of their own.
    harness.run_steps(20);
    for _ in 0..2 {
        harness.drag_at(place);
        harness.step();
        harness.drop_at(place);
        harness.step();
    }
    harness.run_steps(2);
    assert_gestures(&harness.state_mut().take());
    assert_eq!(harness.state().view.parameters.morph, table::MORPH.default);
}

/// A tap whose press and release come in one frame moves the slider too, but not when it is on the
/// handle.
#[test]
fn taps_move_the_morph() {
    let mut harness = open(full());
    let track = harness.get_by_label("Morph").rect();
    let place = Pos2::new(track.left() + track.width() * 0.75, track.center().y);
    for (place, moves) in [(place, true), (place + vec2(4.0, 0.0), false)] {
        harness.hover_at(place);
        harness.run_steps(20);
        let button = |pressed| Event::PointerButton {
            pos: place,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: Modifiers::NONE,
        };
        harness.input_mut().events.extend([button(true), button(false)]);
        harness.run_steps(2);
        let actions = harness.state_mut().take();
        assert_gestures(&actions);
        assert_eq!(!morph_values(&actions).is_empty(), moves, "{actions:?}");
        assert!((harness.state().view.parameters.morph - 0.77).abs() < 0.03);
    }
}

/// Arrow, page, Home and End keys move a slider that has the keyboard, and only that one.
#[test]
fn keys_move_the_focused_slider() {
    let mut harness = open(full());
    harness.key_press(Key::ArrowRight);
    harness.run_steps(2);
    assert_eq!(harness.state_mut().take(), []);
    harness.get_by_label("Morph").focus();
    harness.run_steps(2);
    let mut last = 0.0;
    for (key, value) in [
        (Key::ArrowRight, 0.01),
        (Key::ArrowUp, 0.02),
        (Key::ArrowLeft, 0.01),
        (Key::PageUp, 0.11),
        (Key::End, 1.0),
        (Key::PageDown, 0.9),
        (Key::Home, 0.0),
    ] {
        harness.key_press(key);
        harness.run_steps(2);
        let actions = harness.state_mut().take();
        assert_gestures(&actions);
        last = harness.state().view.parameters.morph;
        assert!((last - value).abs() < 1e-5, "{key:?} gave {last}");
    }
    harness.key_press_modifiers(Modifiers::SHIFT, Key::ArrowRight);
    harness.run_steps(2);
    assert!((harness.state().view.parameters.morph - last - 0.001).abs() < 1e-5);
}

/// The wheel moves the slider under the pointer.
#[test]
fn wheel_moves_the_hovered_slider() {
    let mut harness = open(full());
    let middle = harness.get_by_label("Morph").rect().center();
    harness.hover_at(middle);
    harness.step();
    harness.event(Event::MouseWheel {
        unit: MouseWheelUnit::Line,
        delta: vec2(0.0, 2.0),
        modifiers: Modifiers::NONE,
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Unknown,
    });
    harness.step();
    let actions = harness.state_mut().take();
    assert_gestures(&actions);
    assert!((harness.state().view.parameters.morph - 0.04).abs() < 1e-5, "{actions:?}");
}

/// A screen reader's request sets a slider in the parameter's own unit.
#[test]
fn assistive_technology_sets_values() {
    let mut harness = open(full());
    let node = harness.get_by_label("Temperature").accesskit_node();
    let (target_node, target_tree) = node.locate();
    harness.event(Event::AccessKitActionRequest(egui::accesskit::ActionRequest {
        action: egui::accesskit::Action::SetValue,
        target_tree,
        target_node,
        data: Some(egui::accesskit::ActionData::NumericValue(1.25)),
    }));
    harness.run_steps(2);
    assert!((harness.state().view.parameters.temperature - 1.25).abs() < 1e-4);
}

fn button(place: Pos2, button: egui::PointerButton, pressed: bool, modifiers: Modifiers) -> Event {
    Event::PointerButton { pos: place, button, pressed, modifiers }
}

/// Presses and releases a button at a place.
fn press(harness: &mut Harness<'_, Bench>, place: Pos2, which: egui::PointerButton) {
    harness.hover_at(place);
    harness.step();
    for pressed in [true, false] {
        harness.event(button(place, which, pressed, Modifiers::NONE));
        harness.step();
    }
}

fn number_of_begins(actions: &[Action]) -> usize {
    actions.iter().filter(|action| **action == Action::Morph(Gesture::Begin)).count()
}

/// The pointer is felt on track and knob alone: not on a slider's name, not around it.
#[test]
fn only_track_and_knob_are_felt() {
    let mut harness = open(full());
    let track = harness.get_by_label("Temperature").rect();
    let morph = harness.get_by_label("Morph").rect();
    for place in [
        Pos2::new(track.right() - 90.0, track.top() - 6.0),
        Pos2::new(track.left() + 20.0, track.top() - 12.0),
        Pos2::new(track.right() - 20.0, track.bottom() + 5.0),
        Pos2::new(morph.right() - 60.0, morph.center().y - 14.0),
        Pos2::new(morph.right() - 60.0, morph.center().y + 14.0),
    ] {
        press(&mut harness, place, egui::PointerButton::Primary);
        harness.event(wheel(1.0, Modifiers::NONE));
        harness.run_steps(20);
        assert_eq!(harness.state_mut().take(), [], "{place:?}");
    }
    // The knob of the morph is higher than its track.
    let knob = Pos2::new(morph.left() + 31.0, morph.center().y - 14.0);
    harness.drag_at(knob);
    harness.step();
    harness.hover_at(knob + vec2(200.0, 0.0));
    harness.step();
    harness.drop_at(knob + vec2(200.0, 0.0));
    harness.step();
    assert!(harness.state().view.parameters.morph > 0.1);
}

/// A double click and the right button bring the default back, each as one gesture with one value.
#[test]
fn sliders_are_reset() {
    let mut view = full();
    view.parameters.temperature = 1.4;
    let mut harness = open(view);
    let track = harness.get_by_label("Temperature").rect();
    let reset = [Gesture::Begin, Gesture::Set(table::TEMPERATURE.default), Gesture::End]
        .map(Action::Temperature);

    press(&mut harness, track.center(), egui::PointerButton::Secondary);
    assert_eq!(harness.state_mut().take(), reset);
    press(&mut harness, track.center(), egui::PointerButton::Secondary);
    assert_eq!(harness.state_mut().take(), [], "it is there already");

    press(&mut harness, track.right_center() - vec2(20.0, 0.0), egui::PointerButton::Primary);
    assert!(harness.state().view.parameters.temperature > 1.0);
    harness.state_mut().take();
    press(&mut harness, track.right_center() - vec2(20.0, 0.0), egui::PointerButton::Primary);
    let actions = harness.state_mut().take();
    assert_eq!(actions, reset);
    harness.run_steps(5);
    assert_eq!(harness.state_mut().take(), []);
}

/// The right button moves nothing where there is nothing to bring back.
#[test]
fn the_right_button_does_not_drag() {
    let mut harness = open(full());
    let place = harness.get_by_label("Morph").rect().center();
    harness.hover_at(place);
    harness.step();
    harness.event(button(place, egui::PointerButton::Secondary, true, Modifiers::NONE));
    harness.step();
    harness.hover_at(place + vec2(100.0, 0.0));
    harness.step();
    let up = place + vec2(100.0, 0.0);
    harness.event(button(up, egui::PointerButton::Secondary, false, Modifiers::NONE));
    harness.run_steps(2);
    assert_eq!(harness.state_mut().take(), []);
}

/// With Shift a drag moves a tenth as far, from wherever it began and whenever Shift comes.
#[test]
fn shift_drags_finely() {
    let mut view = full();
    view.parameters.morph = 0.5;
    let mut harness = open(view);
    let track = harness.get_by_label("Morph").rect();
    let place = track.center();
    let way = track.width() - 62.0;
    let drag = |harness: &mut Harness<'_, Bench>, place: Pos2, modifiers: Modifiers| {
        harness.event(Event::ModifiersChanged(modifiers));
        harness.event(Event::PointerMoved(place));
        harness.step();
    };
    drag(&mut harness, place, Modifiers::SHIFT);
    harness.event(button(place, egui::PointerButton::Primary, true, Modifiers::SHIFT));
    harness.step();
    drag(&mut harness, place + vec2(0.2 * way, 0.0), Modifiers::SHIFT);
    let fine = harness.state().view.parameters.morph;
    assert!((fine - 0.52).abs() < 1e-3, "{fine}");
    drag(&mut harness, place + vec2(0.2 * way, 0.0), Modifiers::NONE);
    let same = harness.state().view.parameters.morph;
    assert!((same - fine).abs() < 1e-6, "letting go of Shift moves nothing");
    drag(&mut harness, place + vec2(0.3 * way, 0.0), Modifiers::NONE);
    let coarse = harness.state().view.parameters.morph;
    assert!((coarse - fine - 0.1).abs() < 1e-3, "{coarse}");
    let up = place + vec2(0.3 * way, 0.0);
    harness.event(button(up, egui::PointerButton::Primary, false, Modifiers::NONE));
    harness.step();
    let actions = harness.state_mut().take();
    assert_gestures(&actions);
    assert_eq!(number_of_begins(&actions), 1);
}

fn wheel(lines: f32, modifiers: Modifiers) -> Event {
    Event::MouseWheel {
        unit: MouseWheelUnit::Line,
        delta: vec2(0.0, lines),
        modifiers,
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Unknown,
    }
}

/// A step of the wheel is one gesture with one value, a tenth as large with Shift.
#[test]
fn a_wheel_step_is_one_gesture() {
    let mut harness = open(full());
    harness.hover_at(harness.get_by_label("Morph").rect().center());
    harness.step();
    for (modifiers, step) in [(Modifiers::NONE, 0.02), (Modifiers::SHIFT, 0.002)] {
        harness.state_mut().view.parameters.morph = 0.5;
        harness.step();
        harness.event(Event::ModifiersChanged(modifiers));
        harness.event(wheel(-1.0, modifiers));
        harness.step();
        let actions = harness.state_mut().take();
        let [begin, Action::Morph(Gesture::Set(value)), end] = &actions[..] else {
            panic!("{actions:?}");
        };
        assert_eq!(*begin, Action::Morph(Gesture::Begin));
        assert_eq!(*end, Action::Morph(Gesture::End));
        assert!((value - 0.5 + step).abs() < 1e-5, "{value}");
    }
}

/// The seed is dragged, turned and stepped, each as one gesture.
#[test]
fn the_seed_is_moved() {
    let mut harness = open(full());
    let place = harness.get_by_label("Seed").rect().center();
    harness.drag_at(place);
    harness.step();
    harness.hover_at(place + vec2(40.0, 0.0));
    harness.step();
    harness.drop_at(place + vec2(40.0, 0.0));
    harness.run_steps(2);
    let actions = harness.state_mut().take();
    let [Action::Seed(Gesture::Begin), Action::Seed(Gesture::Set(seed)), end] = &actions[..] else {
        panic!("{actions:?}");
    };
    assert_eq!(*end, Action::Seed(Gesture::End));
    assert!(*seed > 1);
    let set = |seed| [Gesture::Begin, Gesture::Set(seed), Gesture::End].map(Action::Seed);
    harness.hover_at(place);
    harness.step();
    harness.event(wheel(2.0, Modifiers::NONE));
    harness.step();
    assert_eq!(harness.state_mut().take(), set(seed + 2));
    harness.get_by_label("Seed").focus();
    harness.run_steps(2);
    harness.key_press(Key::ArrowDown);
    harness.run_steps(2);
    assert_eq!(harness.state_mut().take(), set(seed + 1));
    press(&mut harness, place, egui::PointerButton::Secondary);
    assert_eq!(harness.state_mut().take(), set(table::SEED.default));
}
