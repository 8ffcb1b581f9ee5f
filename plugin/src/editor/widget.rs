//! Buttons, switches and text.

use std::sync::Arc;

use egui::accesskit::Role;
use egui::text::CCursorRange;
use egui::text_edit::TextEditState;
use egui::{
    Align2, Color32, FontId, Galley, Id, Painter, Pos2, Rect, Response, Sense, Stroke, StrokeKind,
    Ui, WidgetInfo, pos2, vec2,
};

use super::icon::Icon;
use super::palette;

/// Content and look of a button.
pub(super) struct Button<'a> {
    /// Id of the button.
    pub(super) id: Id,
    /// Its place.
    pub(super) rect: Rect,
    /// The picture before the text, if any.
    pub(super) icon: Option<Icon>,
    /// The text, empty for a button that is only a picture.
    pub(super) text: &'a str,
    /// The name for assistive technology.
    pub(super) label: &'a str,
    /// Text of the tooltip.
    pub(super) hint: &'a str,
    /// Whether it can be pressed.
    pub(super) enabled: bool,
    /// Whether it has a surface at rest.
    pub(super) raised: bool,
}

impl Button<'_> {
    /// Paints the button and returns the user's interaction.
    pub(super) fn show(&self, ui: &mut Ui) -> Response {
        let sense = if self.enabled { Sense::click() } else { Sense::hover() };
        let response = ui.interact(self.rect, self.id, sense);
        response.widget_info(|| {
            WidgetInfo::labeled(Role::Button, self.enabled && ui.is_enabled(), self.label)
        });
        let painter = ui.painter();
        let pressed = response.is_pointer_button_down_on();
        let hover =
            ui.ctx().animate_bool(self.id.with("hover"), self.enabled && response.hovered());
        let rest = if self.raised { palette::RAISED } else { Color32::TRANSPARENT };
        let fill =
            if pressed { palette::RAISED } else { rest.lerp_to_gamma(palette::HOVERED, hover) };
        painter.rect_filled(self.rect, palette::RADIUS, fill);
        let colour = if self.enabled {
            palette::SECONDARY.lerp_to_gamma(palette::TEXT, hover)
        } else {
            palette::faded(palette::FAINT, 0.45)
        };
        content(painter, self.rect, self.icon, self.text, colour);
        focus_ring(ui, &response, self.rect, palette::RADIUS);
        response.on_hover_text(self.hint)
    }
}

/// Paints a picture and a text, together centred in `rect`.
pub(super) fn content(
    painter: &Painter,
    rect: Rect,
    icon: Option<Icon>,
    text: &str,
    colour: Color32,
) {
    let icon_width = if icon.is_some() { 14.0 } else { 0.0 };
    let gap = if icon.is_some() && !text.is_empty() { 7.0 } else { 0.0 };
    let room = (rect.width() - icon_width - gap - 8.0).max(0.0);
    let galley = elided(painter, text, palette::body(), colour, room);
    let width = icon_width + gap + galley.size().x;
    let left = rect.center().x - width / 2.0;
    if let Some(icon) = icon {
        icon.paint(painter, pos2(left + icon_width / 2.0, rect.center().y), colour);
    }
    let top = rect.center().y - galley.size().y / 2.0;
    painter.galley(pos2(left + icon_width + gap, top), galley, colour);
}

/// The width of a switch with its name.
pub(super) fn switch_width(painter: &Painter, label: &str) -> f32 {
    let galley = elided(painter, label, palette::body(), palette::TEXT, f32::INFINITY);
    38.0 + galley.size().x
}

/// A switch with its name at its right; says whether it was flipped.
pub(super) fn switch(
    ui: &mut Ui,
    id: Id,
    rect: Rect,
    on: bool,
    accent: Color32,
    label: &str,
    hint: &str,
) -> bool {
    let response = ui.interact(rect, id, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, ui.is_enabled(), on, label));
    let amount = ui.ctx().animate_bool_responsive(id, on);
    let painter = ui.painter();
    let track = Rect::from_center_size(pos2(rect.left() + 15.0, rect.center().y), vec2(30.0, 17.0));
    let rest = if response.hovered() { palette::HOVERED } else { palette::RAISED };
    painter.rect_filled(
        track,
        8.5,
        rest.lerp_to_gamma(palette::CARD.lerp_to_gamma(accent, 0.62), amount),
    );
    let knob = pos2(egui::lerp(track.left() + 8.5..=track.right() - 8.5, amount), track.center().y);
    painter.circle_filled(knob, 6.0, palette::FAINT.lerp_to_gamma(palette::TEXT, amount));
    let colour = if on || response.hovered() { palette::TEXT } else { palette::SECONDARY };
    let room = (rect.right() - track.right() - 8.0).max(0.0);
    let galley = elided(painter, label, palette::body(), colour, room);
    let top = rect.center().y - galley.size().y / 2.0;
    painter.galley(pos2(track.right() + 8.0, top), galley, colour);
    focus_ring(ui, &response, track.expand(3.0), 11);
    response.on_hover_text(hint).clicked()
}

/// Notes whether the user moves by keyboard: only then is the focus worth an outline.
pub(super) fn watch_keyboard(ui: &Ui) {
    let (pressed, tabbed) =
        ui.input(|input| (input.pointer.any_pressed(), input.key_pressed(egui::Key::Tab)));
    if pressed || tabbed {
        ui.data_mut(|data| data.insert_temp(keyboard_flag(), tabbed));
    }
}

fn keyboard_flag() -> Id {
    Id::unique("moves by keyboard")
}

/// Paints an outline around a widget that has the keyboard.
pub(super) fn focus_ring(ui: &Ui, response: &Response, rect: Rect, radius: u8) {
    let by_keyboard = ui.data(|data| data.get_temp(keyboard_flag()).unwrap_or(true));
    if response.has_focus() && by_keyboard {
        let stroke = Stroke::new(1.5, palette::faded(palette::TEXT, 0.8));
        ui.painter().rect_stroke(rect, radius, stroke, StrokeKind::Outside);
    }
}

/// Lets the user write in a text field that is painted next; all that stands there is selected.
pub(super) fn write(context: &egui::Context, field: Id, text: &str) {
    let mut state = TextEditState::load(context, field).unwrap_or_default();
    state.cursor.set_char_range(Some(CCursorRange::select_all_str(text)));
    state.store(context, field);
    context.memory_mut(|memory| memory.request_focus(field));
}

/// The longest time between the clicks of a double click, in seconds.
pub(super) fn double_click_delay(context: &egui::Context) -> f64 {
    context.options(|options| options.input_options.max_double_click_delay)
}

/// One line of text, cut with an ellipsis where it does not fit `room` points.
pub(super) fn elided(
    painter: &Painter,
    text: &str,
    font: FontId,
    colour: Color32,
    room: f32,
) -> Arc<Galley> {
    let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, colour);
    job.wrap = egui::text::TextWrapping::truncate_at_width(room.max(0.0));
    painter.layout_job(job)
}

/// Paints one line of text, cut where it does not fit, and returns its place.
pub(super) fn text(
    painter: &Painter,
    position: Pos2,
    anchor: Align2,
    text: &str,
    font: FontId,
    colour: Color32,
    room: f32,
) -> Rect {
    let galley = elided(painter, text, font, colour, room);
    let rect = anchor.anchor_size(position, galley.size());
    painter.galley(rect.min, galley, colour);
    rect
}

/// Paints wrapped text in the middle of `rect`.
pub(super) fn paragraph(painter: &Painter, rect: Rect, text: &str, colour: Color32) {
    let mut job = egui::text::LayoutJob::simple(
        text.to_owned(),
        palette::body(),
        colour,
        rect.width().max(10.0),
    );
    job.halign = egui::Align::Center;
    let galley = painter.layout_job(job);
    let top = rect.center().y - galley.size().y / 2.0;
    painter.galley(pos2(rect.center().x, top), galley, colour);
}

/// "1 note", "2 notes".
pub(super) fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// One line of a menu; says whether it was clicked.
pub(super) fn menu_row(ui: &mut Ui, id: (&str, usize), name: &str, chosen: bool) -> bool {
    let (place, _) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::hover());
    let response = ui.interact(place, Id::unique(id), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::MenuItemRadio, true, chosen, name));
    let painter = ui.painter();
    if response.hovered() || response.has_focus() {
        painter.rect_filled(place, palette::RADIUS - 2, palette::HOVERED);
    }
    if chosen {
        Icon::Check.paint(painter, pos2(place.left() + 16.0, place.center().y), palette::TEXT);
    }
    let left = pos2(place.left() + 32.0, place.center().y);
    let room = place.right() - left.x - 8.0;
    text(painter, left, Align2::LEFT_CENTER, name, palette::body(), palette::TEXT, room);
    response.clicked()
}
