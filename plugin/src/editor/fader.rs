//! A thin slider with its name and its number above.

use egui::{Align2, Rangef, Rect, Sense, Ui, WidgetInfo, pos2, vec2};

use super::number::{Number, Typed};
use super::slider::{Hold, Slider};
use super::view::Gesture;
use super::{EditorState, palette, widget};
use crate::table;

/// Half the height of the area that reacts to the pointer.
const FELT: f32 = 8.0;
/// The knob's radius.
const KNOB: f32 = 6.5;

/// Content and look of a slider.
pub(super) struct Fader<'a> {
    /// Id of the widget.
    pub(super) id: egui::Id,
    /// Its place.
    pub(super) rect: Rect,
    /// The parameter's value, in its own unit.
    pub(super) value: f32,
    /// Whether the bar starts at `reset` instead of the lowest value.
    pub(super) two_sided: bool,
    /// What it moves.
    pub(super) parameter: &'a table::Number,
    /// What the tooltip teaches.
    pub(super) hint: &'a str,
    /// Whether it can be moved.
    pub(super) enabled: bool,
}

impl Fader<'_> {
    /// Paints the slider and lets the user move it.
    pub(super) fn show(
        &self,
        ui: &mut Ui,
        hold: &mut Hold,
        state: &mut EditorState,
    ) -> Vec<Gesture<f32>> {
        let rect = self.rect;
        let line = rect.center().y + 9.0;
        let track =
            Rect::from_min_max(pos2(rect.left(), line - FELT), pos2(rect.right(), line + FELT));
        let slider = Slider {
            id: self.id,
            track,
            knob: vec2(KNOB + 2.5, FELT),
            way: Rangef::new(rect.left() + 7.0, rect.right() - 7.0),
            value: self.parameter.share(self.value),
            parameter: self.parameter,
        };
        if !self.enabled {
            *hold = Hold::default();
            let response = ui.interact(rect, self.id, Sense::hover());
            let shown = f64::from(self.value);
            response.widget_info(|| WidgetInfo::slider(false, shown, self.parameter.name));
            self.paint(ui, &slider, slider.value, 0.0, 0.4);
            self.name(ui, rect.right(), 0.4);
            response.on_hover_text(self.hint);
            return Vec::new();
        }
        let (response, mut gestures, mut value) = slider.interact(ui, hold);
        let text = (self.parameter.shown)(self.parameter.at(value));
        let [low, high] = [0.0, 1.0].map(|end| self.parameter.at(end));
        let number = Number {
            id: self.id.with("number"),
            rect: Rect::from_min_max(
                pos2(rect.right() - 60.0, line - 33.0),
                pos2(rect.right(), line - 11.0),
            ),
            anchor: Align2::RIGHT_BOTTOM,
            label: self.parameter.name,
            text: &text,
            colour: palette::TEXT,
            range: low..=high,
            ends: [&(self.parameter.shown)(low), &(self.parameter.shown)(high)],
            whole: false,
            framed: false,
        };
        let typed = number.show(ui, state).map(|typed| match typed {
            Typed::Value(number) => self.parameter.share(number),
            Typed::Reset => slider.reset(),
        });
        if let Some(share) = typed {
            slider.set(share, &mut value, &mut gestures);
        }
        let width = widget::elided(ui.painter(), &text, palette::body(), palette::TEXT, 60.0);
        self.name(ui, rect.right() - width.size().x - 8.0, 1.0);
        let held = response.is_pointer_button_down_on();
        let lift = ui.ctx().animate_bool(self.id.with("lift"), held || response.hovered());
        let knob = self.paint(ui, &slider, value, lift, 1.0);
        widget::focus_ring(ui, &response, knob.expand(2.5), 9);
        let response = response.on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
        if !held {
            response.on_hover_text(self.hint);
        }
        gestures
    }

    /// Paints the name, up to where the number begins.
    fn name(&self, ui: &Ui, end: f32, opacity: f32) {
        let rect = self.rect;
        let left = pos2(rect.left(), rect.center().y - 2.0);
        let colour = palette::faded(palette::SECONDARY, opacity);
        let (font, room) = (palette::body(), end - rect.left());
        widget::text(
            ui.painter(),
            left,
            Align2::LEFT_BOTTOM,
            self.parameter.name,
            font,
            colour,
            room,
        );
    }

    /// Paints track and knob; returns the knob's place.
    fn paint(&self, ui: &Ui, slider: &Slider<'_>, value: f32, lift: f32, opacity: f32) -> Rect {
        let painter = ui.painter();
        let (left, right) = (slider.track.left(), slider.track.right());
        let line = slider.track.center().y;
        let bar = |from: f32, to: f32| {
            Rect::from_min_max(pos2(from.min(to), line - 2.0), pos2(from.max(to), line + 2.0))
        };
        let faint = palette::faded(palette::FAINT, opacity);
        let x = slider.centre(value);
        painter.rect_filled(bar(left, right), 2, palette::faded(palette::HOVERED, opacity));
        if self.two_sided {
            let rest = slider.centre(slider.reset());
            painter.rect_filled(bar(rest, x), 2, faint);
            let mark = Rect::from_center_size(pos2(rest, line), vec2(2.0, 9.0));
            painter.rect_filled(mark, 1, faint);
        } else if self.enabled {
            painter.rect_filled(bar(left, x), 2, faint);
        }
        let knob = Rect::from_center_size(pos2(x, line), vec2(KNOB, KNOB) * 2.0);
        if self.enabled {
            painter.circle_filled(knob.center(), KNOB + lift, palette::TEXT);
        }
        knob
    }
}
