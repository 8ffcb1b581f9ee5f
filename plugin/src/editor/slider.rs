//! The behaviour of a horizontal slider: pointer, wheel, keyboard and assistive technology.

use egui::accesskit::{self, ActionData};
use egui::{EventFilter, Id, Key, MouseWheelUnit, Rect, Response, Sense, Ui, WidgetInfo};

use super::view::Gesture;

/// How far an arrow key moves the handle, as a share of the way.
const ARROW_STEP: f32 = 0.01;
/// How far the page keys move it.
const PAGE_STEP: f32 = 0.1;
/// How far one notch of the wheel moves it.
const WHEEL_STEP: f32 = 0.02;
/// Points that a touchpad scrolls for one notch of a wheel.
const POINTS_PER_NOTCH: f32 = 50.0;
/// What the shift key multiplies keyboard and wheel steps by.
const FINE: f32 = 0.1;

/// A slider's place and value. Values are shares of the way, in `0..=1`.
pub(super) struct Slider<'a> {
    /// What tells the slider from others.
    pub(super) id: Id,
    /// Where the pointer is felt.
    pub(super) area: Rect,
    /// The way of the handle's centre.
    pub(super) way: egui::Rangef,
    /// Half the width of the handle: a press within it does not make the handle jump.
    pub(super) reach: f32,
    /// The value now.
    pub(super) value: f32,
    /// The value that a double click brings back.
    pub(super) reset: f32,
    /// The name for assistive technology.
    pub(super) label: &'a str,
    /// From the share of the way to the parameter's own unit.
    pub(super) unit: fn(f32) -> f32,
    /// From the parameter's own unit to the share of the way.
    pub(super) share: fn(f32) -> f32,
}

/// What the pointer holds of a slider.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grab {
    /// From the pointer to the handle's centre, in points.
    offset: f32,
    /// The value that was set last.
    value: f32,
}

impl Slider<'_> {
    /// Lets the user move the slider. Gestures carry values in the parameter's own unit; the
    /// number is the share of the way at which the handle is to be painted.
    pub(super) fn interact(
        &self,
        ui: &Ui,
        grab: &mut Option<Grab>,
    ) -> (Response, Vec<Gesture<f32>>, f32) {
        let response = ui.interact(self.area, self.id, Sense::click_and_drag());
        let mut gestures = Vec::new();
        let mut value = finite_share(grab.map_or(self.value, |grab| grab.value));

        // A tap may press and release between two frames.
        let tapped = grab.is_none() && response.clicked();
        self.follow_pointer(&response, grab, &mut value, &mut gestures);
        if grab.is_none() {
            let target = if response.double_clicked() {
                self.reset
            } else if let (true, Some(pointer)) = (tapped, response.interact_pointer_pos()) {
                let near = (self.centre(value) - pointer.x).abs() <= self.reach;
                if near { value } else { self.value_at(pointer.x) }
            } else {
                self.stepped(ui, &response, value)
            };
            let target = finite_share(target);
            if target.total_cmp(&value).is_ne() {
                value = target;
                gestures.extend([Gesture::Begin, Gesture::Set((self.unit)(value)), Gesture::End]);
            }
        }

        let shown = f64::from((self.unit)(value));
        response.widget_info(|| WidgetInfo::slider(ui.is_enabled(), shown, self.label));
        ui.ctx().accesskit_node_builder(self.id, |node| {
            node.set_min_numeric_value(f64::from((self.unit)(0.0)));
            node.set_max_numeric_value(f64::from((self.unit)(1.0)));
            node.add_action(accesskit::Action::SetValue);
            node.add_action(accesskit::Action::Increment);
            node.add_action(accesskit::Action::Decrement);
        });
        (response, gestures, value)
    }

    fn follow_pointer(
        &self,
        response: &Response,
        grab: &mut Option<Grab>,
        value: &mut f32,
        gestures: &mut Vec<Gesture<f32>>,
    ) {
        let pointer = response.interact_pointer_pos().map(|position| position.x);
        if response.is_pointer_button_down_on()
            && let Some(pointer) = pointer
        {
            let held = grab.get_or_insert_with(|| {
                gestures.push(Gesture::Begin);
                response.request_focus();
                let offset = self.centre(*value) - pointer;
                let offset = if offset.abs() <= self.reach { offset } else { 0.0 };
                Grab { offset, value: *value }
            });
            let target = self.value_at(pointer + held.offset);
            // A press on the handle that does not move leaves the value as it is.
            let moved = (self.centre(target) - self.centre(held.value)).abs() > 0.01;
            if moved {
                held.value = target;
                *value = target;
                gestures.push(Gesture::Set((self.unit)(target)));
            }
        } else if grab.take().is_some() {
            gestures.push(Gesture::End);
        }
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
                for event in &input.events {
                    if let egui::Event::MouseWheel { unit, delta, .. } = event {
                        let notches = match unit {
                            MouseWheelUnit::Point => (delta.x + delta.y) / POINTS_PER_NOTCH,
                            MouseWheelUnit::Line | MouseWheelUnit::Page => delta.x + delta.y,
                        };
                        target += notches * WHEEL_STEP * fine;
                    }
                }
            }
            for request in input.accesskit_action_requests(self.id, accesskit::Action::SetValue) {
                if let Some(ActionData::NumericValue(number)) = request.data {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "the value is rounded to the parameter's precision"
                    )]
                    let number = number as f32;
                    target = (self.share)(number);
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

    /// The handle's centre at a value.
    pub(super) fn centre(&self, value: f32) -> f32 {
        egui::lerp(self.way.min..=self.way.max, value)
    }

    fn value_at(&self, x: f32) -> f32 {
        let span = self.way.span().max(1.0);
        finite_share((x - self.way.min) / span)
    }
}

/// `value` in `0..=1`; 0 when it is not a number.
pub(super) fn finite_share(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}
