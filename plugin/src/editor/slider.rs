//! The behaviour of a horizontal slider: pointer, wheel, keyboard and assistive technology.

use egui::accesskit::{self, ActionData};
use egui::{
    EventFilter, Id, Key, MouseWheelUnit, Pos2, Rect, Response, Sense, Ui, Vec2, WidgetInfo,
};

use super::view::Gesture;
use super::widget;
use crate::table;

/// Step of an arrow key, as a share of the track.
const ARROW_STEP: f32 = 0.01;
/// Step of the page keys, as a share of the track.
const PAGE_STEP: f32 = 0.1;
/// Step of one notch of the wheel, as a share of the track.
const WHEEL_STEP: f32 = 0.02;
/// Points that a touchpad scrolls for one notch of a wheel.
const POINTS_PER_NOTCH: f32 = 50.0;
/// Factor of every step and drag while Shift is held.
const FINE: f32 = 0.1;
/// Maximum distance of two presses of a double click, in points.
const STRAY: f32 = 6.0;

/// Place and value of a slider. Values are positions of the handle, in `0..=1`.
pub(super) struct Slider<'a> {
    /// Id of the slider.
    pub(super) id: Id,
    /// The area of the track that reacts to the pointer.
    pub(super) track: Rect,
    /// Half the width and height of the knob, which feels the pointer too. A press on it does not
    /// make it jump.
    pub(super) knob: Vec2,
    /// The way of the knob's centre.
    pub(super) way: egui::Rangef,
    /// The value now.
    pub(super) value: f32,
    /// What it moves.
    pub(super) parameter: &'a table::Number,
}

/// Pointer state of a slider.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Hold {
    grab: Option<Grab>,
    /// When and where the button went down last.
    pressed: Option<(f64, Pos2)>,
    /// Whether the button is still down from a double click.
    spent: bool,
}

/// The drag in progress, if any.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Grab {
    /// Pointer position at which the drag, or its current precision, began.
    from: f32,
    /// The value there.
    start: f32,
    fine: bool,
    /// The value that was set last.
    value: f32,
}

impl Slider<'_> {
    /// Handles the user's input. Gestures carry values in the parameter's unit; the returned number
    /// is the position at which the knob is painted, 0 to 1.
    pub(super) fn interact(&self, ui: &Ui, hold: &mut Hold) -> (Response, Vec<Gesture<f32>>, f32) {
        let knob = Rect::from_center_size(
            egui::pos2(self.centre(self.value), self.track.center().y),
            2.0 * self.knob,
        );
        let response = ui.interact(self.track, self.id, Sense::click_and_drag())
            | ui.interact(knob, self.id.with("knob"), Sense::CLICK | Sense::DRAG);
        let mut gestures = Vec::new();
        let mut value = finite_share(hold.grab.map_or(self.value, |grab| grab.value));

        // A tap may press and release between two frames.
        let tapped = hold.grab.is_none() && !hold.spent && response.clicked();
        let twice = tapped && response.double_clicked();
        if tapped {
            response.request_focus();
        }
        self.follow_pointer(ui, &response, hold, &mut value, &mut gestures);
        if hold.grab.is_none() {
            let target = if twice || response.secondary_clicked() {
                self.reset()
            } else if let (true, Some(pointer)) = (tapped, response.interact_pointer_pos()) {
                if self.is_on_knob(value, pointer) { value } else { self.value_at(pointer.x) }
            } else {
                self.stepped(ui, &response, value)
            };
            self.set(target, &mut value, &mut gestures);
        }

        let shown = f64::from(self.parameter.at(value));
        response.widget_info(|| WidgetInfo::slider(ui.is_enabled(), shown, self.parameter.name));
        ui.ctx().accesskit_node_builder(self.id, |node| {
            node.set_min_numeric_value(f64::from(self.parameter.at(0.0)));
            node.set_max_numeric_value(f64::from(self.parameter.at(1.0)));
            node.add_action(accesskit::Action::SetValue);
            node.add_action(accesskit::Action::Increment);
            node.add_action(accesskit::Action::Decrement);
        });
        (response, gestures, value)
    }

    /// Moves to a value within one gesture, unless the slider is there.
    pub(super) fn set(&self, target: f32, value: &mut f32, gestures: &mut Vec<Gesture<f32>>) {
        let target = finite_share(target);
        if target.total_cmp(value).is_ne() {
            *value = target;
            gestures.extend([
                Gesture::Begin,
                Gesture::Set(self.parameter.at(target)),
                Gesture::End,
            ]);
        }
    }

    fn follow_pointer(
        &self,
        ui: &Ui,
        response: &Response,
        hold: &mut Hold,
        value: &mut f32,
        gestures: &mut Vec<Gesture<f32>>,
    ) {
        let (down, fine, time) =
            ui.input(|input| (input.pointer.primary_down(), input.modifiers.shift, input.time));
        let held = down && response.is_pointer_button_down_on();
        let Some(pointer) = response.interact_pointer_pos().filter(|_| held) else {
            if hold.grab.take().is_some() {
                gestures.push(Gesture::End);
            }
            hold.spent = false;
            return;
        };
        if hold.grab.is_none() && !hold.spent {
            response.request_focus();
            let again = hold.pressed.replace((time, pointer)).is_some_and(|(before, place)| {
                time - before <= widget::double_click_delay(ui.ctx())
                    && place.distance(pointer) <= STRAY
            });
            if again {
                hold.pressed = None;
                hold.spent = true;
                self.set(self.reset(), value, gestures);
            } else {
                gestures.push(Gesture::Begin);
                let jumps = !fine && !self.is_on_knob(*value, pointer);
                let start = if jumps { self.value_at(pointer.x) } else { *value };
                hold.grab = Some(Grab { from: pointer.x, start, fine, value: *value });
            }
        }
        if hold.pressed.is_some_and(|(_, place)| place.distance(pointer) > STRAY) {
            hold.pressed = None;
        }
        if let Some(grab) = &mut hold.grab {
            if grab.fine != fine {
                *grab = Grab { from: pointer.x, start: grab.value, fine, value: grab.value };
            }
            let way = (pointer.x - grab.from) / self.way.span().max(1.0);
            let target = finite_share(grab.start + way * if fine { FINE } else { 1.0 });
            // A press on the knob that does not move leaves the value as it is.
            if target.total_cmp(&grab.value).is_ne() {
                grab.value = target;
                *value = target;
                gestures.push(Gesture::Set(self.parameter.at(target)));
            }
        }
    }

    fn is_on_knob(&self, value: f32, pointer: Pos2) -> bool {
        (self.centre(value) - pointer.x).abs() <= self.knob.x
    }

    fn stepped(&self, ui: &Ui, response: &Response, value: f32) -> f32 {
        let mut target = value;
        let (focused, hovered) = (response.has_focus(), response.hovered());
        if focused {
            ui.memory_mut(|memory| {
                let filter = EventFilter {
                    horizontal_arrows: true,
                    vertical_arrows: true,
                    ..EventFilter::default()
                };
                memory.set_focus_lock_filter(self.id, filter);
            });
        }
        ui.input(|input| {
            let fine = if input.modifiers.shift { FINE } else { 1.0 };
            if focused {
                for (key, step) in [
                    (Key::ArrowRight, ARROW_STEP * fine),
                    (Key::ArrowUp, ARROW_STEP * fine),
                    (Key::ArrowLeft, -ARROW_STEP * fine),
                    (Key::ArrowDown, -ARROW_STEP * fine),
                    (Key::PageUp, PAGE_STEP),
                    (Key::PageDown, -PAGE_STEP),
                    (Key::Home, -1.0),
                    (Key::End, 1.0),
                ] {
                    if input.key_pressed(key) {
                        target = (target + step).clamp(0.0, 1.0);
                    }
                }
            }
            if hovered {
                target += notches(input) * WHEEL_STEP * fine;
            }
            for request in input.accesskit_action_requests(self.id, accesskit::Action::SetValue) {
                if let Some(ActionData::NumericValue(number)) = request.data {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "the value is rounded to the parameter's precision"
                    )]
                    let number = number as f32;
                    target = self.parameter.share(number);
                }
            }
            if input.has_accesskit_action_request(self.id, accesskit::Action::Increment) {
                target += ARROW_STEP;
            }
            if input.has_accesskit_action_request(self.id, accesskit::Action::Decrement) {
                target -= ARROW_STEP;
            }
        });
        target
    }

    /// The share of the way that a double click or the right button brings back.
    pub(super) fn reset(&self) -> f32 {
        self.parameter.share(self.parameter.default)
    }

    /// The knob's centre at a value.
    pub(super) fn centre(&self, value: f32) -> f32 {
        egui::lerp(self.way.min..=self.way.max, value)
    }

    fn value_at(&self, x: f32) -> f32 {
        let span = self.way.span().max(1.0);
        finite_share((x - self.way.min) / span)
    }
}

/// How far the wheel was turned in this frame, up and to the right counted as more.
pub(super) fn notches(input: &egui::InputState) -> f32 {
    let turns = input.events.iter().map(|event| match event {
        egui::Event::MouseWheel { unit: MouseWheelUnit::Point, delta, .. } => {
            (delta.x + delta.y) / POINTS_PER_NOTCH
        }
        egui::Event::MouseWheel { delta, .. } => delta.x + delta.y,
        _ => 0.0,
    });
    turns.sum()
}

/// `value` in `0..=1`; 0 when it is not a number.
pub(super) fn finite_share(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}
