//! The row of attributes.

use super::*;
use crate::shape::{REACH, Shape};

/// Dragging an attribute is one gesture of that attribute, in standard deviations, and a double
/// click makes it nothing again.
#[test]
fn attributes_are_dragged() {
    let mut harness = open(full());
    let place = harness.get_by_label("Pitch").rect();
    harness.drag_at(place.center());
    harness.step();
    harness.hover_at(place.right_center());
    harness.step();
    harness.drop_at(place.right_center());
    harness.step();
    let pitch = |gesture| Action::Shape(Attribute::Pitch, gesture);
    let expected = [Gesture::Begin, Gesture::Set(REACH), Gesture::End].map(pitch);
    assert_eq!(harness.state_mut().take(), expected);

    for _ in 0..2 {
        harness.drag_at(place.center());
        harness.step();
        harness.drop_at(place.center());
        harness.step();
    }
    assert_eq!(harness.state().view.parameters.shape, Shape::default());
}

/// What a model does not know cannot be moved, and a model that knows nothing has no row.
#[test]
fn only_known_attributes_move() {
    let mut view = full();
    view.attributes = Attribute::ALL
        .map(|attribute| matches!(attribute, Attribute::Density | Attribute::Syncopation));
    let mut harness = open(view);
    for (name, moves) in [("Density", true), ("Interval", false), ("Syncopation", true)] {
        let place = harness.get_by_label(name).rect();
        harness.drag_at(place.right_center());
        harness.step();
        harness.drop_at(place.right_center());
        harness.step();
        assert_eq!(!harness.state_mut().take().is_empty(), moves, "{name}");
    }
    harness.state_mut().view.attributes = [false; Attribute::ALL.len()];
    harness.run_steps(2);
    assert!(harness.query_by_label("Density").is_none());
    assert!(harness.query_by_label("Temperature").is_some());
}

/// Every slider of the row can be moved in the smallest window.
#[test]
fn attributes_move_in_the_smallest_window() {
    let mut harness = open_at(full(), MINIMUM_SIZE);
    for attribute in Attribute::ALL {
        let place = harness.get_by_label(attribute.entry().name).rect();
        harness.drag_at(place.left_center());
        harness.step();
        harness.drop_at(place.left_center());
        harness.step();
    }
    assert_eq!(harness.state().view.parameters.shape, [-REACH; Attribute::ALL.len()]);
}
