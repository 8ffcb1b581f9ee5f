//! The choice of a key, beside the morph's number.

use egui::accesskit::Role;
use egui::{Align2, Id, Popup, Rect, RectAlign, Sense, Ui, WidgetInfo, pos2};

use super::icon::Icon;
use super::view::{Action, View};
use super::{palette, widget};
use crate::key::{KEYS, Key};

/// Width of the menu.
const WIDTH: f32 = 180.0;

/// Paints the key in use with its menu.
pub(super) fn menu(ui: &mut Ui, rect: Rect, view: &View, actions: &mut Vec<Action>) {
    let key = view.parameters.key;
    let name = match (key, &view.clips_key) {
        (Key::CLIPS, Some(found)) => found.clone(),
        (Key::CLIPS, None) => "as the clips".to_owned(),
        (Key::FREE, _) => "free".to_owned(),
        (chosen, _) => KEYS[chosen.index()].to_owned(),
    };
    let response = ui.interact(rect, Id::unique("key"), Sense::click());
    let label = format!("Key: {name}");
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), &label));
    let open = Popup::is_id_open(ui.ctx(), response.id.with("popup"));
    let hover = ui.ctx().animate_bool(response.id.with("hover"), response.hovered() || open);
    let painter = ui.painter();
    let fill = palette::BACKGROUND.lerp_to_gamma(palette::HOVERED, hover);
    painter.rect_filled(rect, palette::RADIUS, fill);
    let centre = rect.center().y;
    Icon::Chevron.paint(painter, pos2(rect.right() - 12.0, centre), palette::SECONDARY);
    let right = pos2(rect.right() - 24.0, centre);
    let room = rect.width() - 60.0;
    let body = palette::body();
    let shown =
        widget::text(painter, right, Align2::RIGHT_CENTER, &name, body, palette::TEXT, room);
    let left = pos2(shown.left() - 8.0, centre);
    let body = palette::body();
    widget::text(painter, left, Align2::RIGHT_CENTER, "Key", body, palette::SECONDARY, 40.0);
    widget::focus_ring(ui, &response, rect, palette::RADIUS);

    Popup::menu(&response)
        .id(response.id.with("popup"))
        .align(RectAlign::TOP_END)
        .width(WIDTH)
        .gap(6.0)
        .accessible_name("Keys")
        .show(|ui| {
            ui.set_width(WIDTH - 16.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            egui::ScrollArea::vertical().max_height(260.0).show(ui, |ui| {
                for (index, name) in KEYS.into_iter().enumerate() {
                    if widget::menu_row(ui, ("key", index), name, key.index() == index) {
                        actions.push(Action::Key(Key::at(index)));
                        ui.close();
                    }
                }
            });
        });
    response.on_hover_text(
        "The key of what is generated. As the clips: between two clips of one key the notes keep to \
         it and to their range. A chosen key holds everywhere. Drums are left alone.",
    );
}
