//! A thin slider with its name and its number above.

use egui::{Align2, Rangef, Rect, Sense, Ui, WidgetInfo, pos2, vec2};

use super::slider::{Grab, Slider, finite_share};
use super::view::Gesture;
use super::{palette, widget};

/// A slider's content and looks.
pub(super) struct Fader<'a> {
    /// What tells it from others.
    pub(super) id: egui::Id,
    /// Its place.
    pub(super) rect: Rect,
    /// The parameter's value, in its own unit.
    pub(super) value: f32,
    /// The value that a double click brings back.
    pub(super) reset: f32,
    /// Whether the bar shows how far the value is from `reset`, and not from the lowest.
    pub(super) two_sided: bool,
    /// The name.
    pub(super) label: &'a str,
    /// What the tooltip teaches.
    pub(super) hint: &'a str,
    /// Whether it can be moved.
    pub(super) enabled: bool,
    /// The number that is shown for a value.
    pub(super) number: fn(f32) -> String,
    /// From the share of the way to the parameter's own unit.
    pub(super) unit: fn(f32) -> f32,
    /// From the parameter's own unit to the share of the way.
    pub(super) share: fn(f32) -> f32,
}

impl Fader<'_> {
    /// Paints the slider and lets the user move it.
    pub(super) fn show(&self, ui: &mut Ui, grab: &mut Option<Grab>) -> Vec<Gesture<f32>> {
        let rect = self.rect;
        let slider = Slider {
            id: self.id,
            area: rect,
            way: Rangef::new(rect.left() + 7.0, rect.right() - 7.0),
            reach: 9.0,
            value: finite_share((self.share)(self.value)),
            reset: (self.share)(self.reset),
            label: self.label,
            unit: self.unit,
            share: self.share,
        };
        let (response, gestures, value) = if self.enabled {
            slider.interact(ui, grab)
        } else {
            let response = ui.interact(rect, self.id, Sense::hover());
            let shown = f64::from(self.value);
            response.widget_info(|| WidgetInfo::slider(false, shown, self.label));
            (response, grab.take().map(|_| Gesture::End).into_iter().collect(), slider.value)
        };

        let opacity = if self.enabled { 1.0 } else { 0.4 };
        let (bright, dim) = [palette::TEXT, palette::SECONDARY]
            .map(|colour| palette::faded(colour, opacity))
            .into();
        let painter = ui.painter();
        let line = rect.center().y + 9.0;
        let words = line - 11.0;
        let number = if self.enabled { (self.number)((self.unit)(value)) } else { String::new() };
        let right = pos2(rect.right(), words);
        let number = widget::text(
            painter,
            right,
            Align2::RIGHT_BOTTOM,
            &number,
            palette::body(),
            bright,
            60.0,
        );
        let left = pos2(rect.left(), words);
        let room = number.left() - rect.left() - 6.0;
        widget::text(painter, left, Align2::LEFT_BOTTOM, self.label, palette::body(), dim, room);
        let bar = |from: f32, to: f32| {
            Rect::from_min_max(pos2(from.min(to), line - 2.0), pos2(from.max(to), line + 2.0))
        };
        let x = slider.centre(value);
        painter.rect_filled(
            bar(rect.left(), rect.right()),
            2,
            palette::faded(palette::HOVERED, opacity),
        );
        if self.two_sided {
            let rest = slider.centre(slider.reset);
            painter.rect_filled(bar(rest, x), 2, palette::faded(palette::FAINT, opacity));
            let mark = Rect::from_center_size(pos2(rest, line), vec2(2.0, 9.0));
            painter.rect_filled(mark, 1, palette::faded(palette::FAINT, opacity));
        } else {
            painter.rect_filled(bar(rect.left(), x), 2, palette::FAINT);
        }
        if !self.enabled {
            response.on_hover_text(self.hint);
            return gestures;
        }
        let held = response.is_pointer_button_down_on();
        let lift = ui.ctx().animate_bool(self.id.with("lift"), held || response.hovered());
        let handle = pos2(x, line);
        painter.circle_filled(handle, 6.5 + lift, bright);
        widget::focus_ring(ui, &response, Rect::from_center_size(handle, vec2(18.0, 18.0)), 9);
        let response = response.on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
        if !held {
            response.on_hover_text(self.hint);
        }
        gestures
    }
}
