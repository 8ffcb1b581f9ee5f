//! A number that can be typed after a click on it.

use std::ops::RangeInclusive;

use egui::accesskit::Role;
use egui::{
    Align2, Area, Color32, CursorIcon, Frame, Id, Key, Order, Rect, Sense, TextEdit, Ui,
    WidgetInfo, vec2,
};

use super::{EditorState, palette, widget};

/// The height of the number and of its field.
const HEIGHT: f32 = 22.0;

/// Content and look of a number.
pub(super) struct Number<'a> {
    /// Id of the widget.
    pub(super) id: Id,
    /// Its place; the text stands as `anchor` says.
    pub(super) rect: Rect,
    /// Where in `rect` the text stands.
    pub(super) anchor: Align2,
    /// Name of the quantity.
    pub(super) label: &'a str,
    /// The number as text.
    pub(super) text: &'a str,
    /// Its colour.
    pub(super) colour: Color32,
    /// Range of the number.
    pub(super) range: RangeInclusive<f32>,
    /// The ends of the range as text.
    pub(super) ends: [&'a str; 2],
    /// Whether only whole numbers are allowed.
    pub(super) whole: bool,
    /// Whether `rect` is a field of its own, which is felt as a whole.
    pub(super) framed: bool,
}

/// The number that is being written.
#[derive(Clone, Debug)]
pub(super) struct Typing {
    id: Id,
    text: String,
    /// When it began.
    since: f64,
    /// Whether what was written is no such number.
    wrong: bool,
}

/// Outcome of editing a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Typed {
    /// The user has written another.
    Value(f32),
    /// Restore the default.
    Reset,
}

impl Number<'_> {
    /// Paints the number and lets the user write another.
    pub(super) fn show(&self, ui: &mut Ui, state: &mut EditorState) -> Option<Typed> {
        match state.typing.take_if(|typing| typing.id == self.id) {
            Some(typing) => {
                let (typed, typing) = self.field(ui, typing);
                if typing.is_some() {
                    state.typing = typing;
                }
                typed
            }
            None => self.read(ui, state),
        }
    }

    fn read(&self, ui: &mut Ui, state: &mut EditorState) -> Option<Typed> {
        let painter = ui.painter();
        let room = self.rect.width();
        let galley = widget::elided(painter, self.text, palette::body(), self.colour, room);
        let place = self.anchor.align_size_within_rect(galley.size(), self.rect);
        let felt = if self.framed {
            self.rect
        } else {
            place.expand2(vec2(6.0, (HEIGHT - place.height()).max(0.0) / 2.0))
        };
        let response = ui.interact(felt, self.id, Sense::click());
        response.widget_info(|| {
            let label = format!("Number of {}: {}", self.label, self.text);
            WidgetInfo::labeled(Role::Button, ui.is_enabled(), label)
        });
        let hover = ui.ctx().animate_bool(self.id.with("hover"), response.hovered());
        let rest = if self.framed { palette::RAISED } else { Color32::TRANSPARENT };
        let fill = rest.lerp_to_gamma(palette::HOVERED, hover);
        ui.painter().rect_filled(felt, palette::RADIUS - 3, fill);
        ui.painter().galley(place.min, galley, self.colour);
        widget::focus_ring(ui, &response, felt, palette::RADIUS - 3);
        if response.secondary_clicked() {
            return Some(Typed::Reset);
        }
        if response.clicked() {
            let text = plain(self.text);
            let since = ui.input(|input| input.time);
            widget::write(ui.ctx(), self.id.with("field"), &text);
            state.typing = Some(Typing { id: self.id, text, since, wrong: false });
            ui.ctx().request_repaint();
        }
        response.on_hover_cursor(CursorIcon::Text).on_hover_text(format!(
            "Click to type a number from {} to {}.",
            self.ends[0], self.ends[1]
        ));
        None
    }

    fn field(&self, ui: &mut Ui, mut typing: Typing) -> (Option<Typed>, Option<Typing>) {
        let id = self.id.with("field");
        let place = if self.framed {
            self.rect
        } else {
            let size = vec2(self.rect.width().max(58.0), HEIGHT);
            self.anchor.align_size_within_rect(size, self.rect)
        };
        let field = TextEdit::singleline(&mut typing.text)
            .id(id)
            .margin(vec2(6.0, 2.0))
            .align(Align2([self.anchor.x(), egui::Align::Center]))
            .background_color(palette::WELL);
        let response = ui.put(place, field).accessible_name(self.label);
        if response.changed() {
            typing.wrong = false;
        }
        // The second click of a double click may come before the field was painted.
        let fresh = 2.0 * widget::double_click_delay(ui.ctx());
        let twice = ui.input(|input| {
            let pointer = &input.pointer;
            input.time - typing.since <= fresh
                && pointer.button_double_clicked(egui::PointerButton::Primary)
                && pointer.interact_pos().is_some_and(|position| place.contains(position))
        });
        if twice || response.secondary_clicked() {
            return (Some(Typed::Reset), None);
        }
        if !response.lost_focus() {
            if typing.wrong {
                self.complain(ui, place);
            }
            return (None, Some(typing));
        }
        let (entered, left) =
            ui.input(|input| (input.key_pressed(Key::Enter), input.key_pressed(Key::Escape)));
        match self.value(&typing.text) {
            _ if left => (None, None),
            Some(value) => (Some(Typed::Value(value)), None),
            None if entered => {
                typing.wrong = true;
                widget::write(ui.ctx(), id, &typing.text);
                self.complain(ui, place);
                (None, Some(typing))
            }
            None => (None, None),
        }
    }

    /// Explains the range.
    fn complain(&self, ui: &Ui, field: Rect) {
        let what = if self.whole { "Whole numbers" } else { "Numbers" };
        let [low, high] = self.ends;
        Area::new(self.id.with("range"))
            .order(Order::Tooltip)
            .fixed_pos(field.left_bottom() + vec2(0.0, 4.0))
            .interactable(false)
            .show(ui.ctx(), |ui| {
                Frame::popup(ui.style()).show(ui, |ui| {
                    ui.set_max_width(200.0);
                    ui.label(format!("{what} from {low} to {high}"));
                });
            });
    }

    /// The number that was written, if it is one.
    fn value(&self, text: &str) -> Option<f32> {
        let value: f32 = plain(text).parse().ok()?;
        let fits = self.range.contains(&value) && (!self.whole || value.fract() == 0.0);
        fits.then_some(value)
    }
}

/// The text of a number without its unit, with ASCII signs.
fn plain(text: &str) -> String {
    let text = text.trim();
    let text = text.strip_suffix('%').unwrap_or(text).trim_end();
    text.replace('\u{2212}', "-").replace(',', ".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(whole: bool) -> Number<'static> {
        Number {
            id: Id::unique("number"),
            rect: Rect::NOTHING,
            anchor: Align2::RIGHT_CENTER,
            label: "Number",
            text: "0",
            colour: palette::TEXT,
            range: -2.0..=100.0,
            ends: ["-2", "100"],
            whole,
            framed: false,
        }
    }

    /// Numbers are taken as people write them: with a comma, a sign, a unit, blanks around them.
    #[test]
    fn numbers_are_read() {
        for (text, value) in [
            ("0.5", 0.5),
            (" 0,5 ", 0.5),
            ("+1", 1.0),
            ("\u{2212}1.5", -1.5),
            ("42 %", 42.0),
            ("42%", 42.0),
            (".5", 0.5),
            ("1e1", 10.0),
        ] {
            assert_eq!(number(false).value(text), Some(value), "{text:?}");
        }
        assert_eq!(number(true).value("12"), Some(12.0));
    }

    /// What is no number, or not in the range, is none.
    #[test]
    fn other_texts_are_refused() {
        for text in ["", " ", "%", "half", "NaN", "inf", "1e99", "-2.1", "100.1", "1.2.3", "1 2"] {
            assert_eq!(number(false).value(text), None, "{text:?}");
        }
        assert_eq!(number(true).value("1.5"), None);
    }
}
