//! The style (personal model) that new clips are drawn from: its menu, and the progress of
//! training.

use egui::accesskit::Role;
use egui::{Align2, Id, Popup, Rect, RectAlign, Sense, Ui, WidgetInfo, pos2, vec2};

use super::browser::Purpose;
use super::icon::Icon;
use super::view::{Action, View};
use super::{EditorState, palette, slider, widget};

/// Width of the menu.
const WIDTH: f32 = 230.0;

/// Paints the style with its menu.
pub(super) fn menu(
    ui: &mut Ui,
    rect: Rect,
    view: &View,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let style = &view.style;
    let name = match (&style.source, style.learning) {
        (_, Some(share)) => format!("Learning {:.0} %", 100.0 * slider::finite_share(share)),
        (Some(source), None) if style.fits => source.clone(),
        (Some(_), None) => "of another model".to_owned(),
        (None, None) => "any".to_owned(),
    };
    let response = ui.interact(rect, Id::unique("style"), Sense::click());
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Button, ui.is_enabled(), format!("Style: {name}"))
    });
    let open = Popup::is_id_open(ui.ctx(), response.id.with("popup"));
    let hover = ui.ctx().animate_bool(response.id.with("hover"), response.hovered() || open);
    let painter = ui.painter();
    let fill = palette::CARD.lerp_to_gamma(palette::HOVERED, hover);
    painter.rect_filled(rect, palette::RADIUS, fill);
    if let Some(share) = style.learning {
        let mut done = rect;
        done.set_width(rect.width() * slider::finite_share(share));
        let hue = palette::faded(palette::blend(0.5), 0.35);
        painter.with_clip_rect(done.intersect(ui.clip_rect())).rect_filled(
            rect,
            palette::RADIUS,
            hue,
        );
    }
    let centre = rect.center().y;
    let mut left = pos2(rect.left() + 12.0, centre);
    if rect.width() > 110.0 && style.learning.is_none() {
        let small = palette::small();
        let caption = "Style";
        let caption = widget::text(
            painter,
            left,
            Align2::LEFT_CENTER,
            caption,
            small,
            palette::SECONDARY,
            60.0,
        );
        left.x = caption.right() + 10.0;
    }
    let room = rect.right() - 28.0 - left.x;
    widget::text(painter, left, Align2::LEFT_CENTER, &name, palette::body(), palette::TEXT, room);
    Icon::Chevron.paint(painter, pos2(rect.right() - 16.0, centre), palette::SECONDARY);
    widget::focus_ring(ui, &response, rect, palette::RADIUS);

    let clips = view.slots.iter().any(|slot| slot.clip.is_some());
    let idle = style.learning.is_none();
    Popup::menu(&response)
        .id(response.id.with("popup"))
        .align(RectAlign::BOTTOM_END)
        .width(WIDTH)
        .gap(6.0)
        .accessible_name("Style")
        .show(|ui| {
            ui.set_width(WIDTH - 16.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            let ready = idle && view.model.is_some();
            if row(ui, Icon::Folder, "Learn from MIDI files", ready) {
                state.open_browser(Purpose::Learn);
                ui.close();
            }
            if row(ui, Icon::Note, "Learn from A and B", ready && clips) {
                actions.push(Action::LearnSlots);
                ui.close();
            }
            if !idle && row(ui, Icon::Cross, "Stop learning", true) {
                actions.push(Action::StopLearning);
                ui.close();
            }
            if idle && row(ui, Icon::Cross, "Forget the style", style.source.is_some()) {
                actions.push(Action::ForgetStyle);
                ui.close();
            }
        });
    response.on_hover_text(
        "Let the model learn from your clips, in seconds: the dice on A and B then draw clips like \
         them. The style is saved with the project.",
    );
}

/// One line of the menu; says whether it was clicked.
fn row(ui: &mut Ui, icon: Icon, text: &str, enabled: bool) -> bool {
    let (place, _) = ui.allocate_exact_size(vec2(ui.available_width(), 28.0), Sense::hover());
    let sense = if enabled { Sense::click() } else { Sense::hover() };
    let response = ui.interact(place, Id::unique(("style", text)), sense);
    response.widget_info(|| WidgetInfo::labeled(Role::MenuItem, enabled, text));
    let painter = ui.painter();
    if enabled && (response.hovered() || response.has_focus()) {
        painter.rect_filled(place, palette::RADIUS - 2, palette::HOVERED);
    }
    let colour = if enabled { palette::TEXT } else { palette::faded(palette::FAINT, 0.6) };
    icon.paint(painter, pos2(place.left() + 16.0, place.center().y), colour);
    let left = pos2(place.left() + 34.0, place.center().y);
    let room = place.right() - left.x - 8.0;
    widget::text(painter, left, Align2::LEFT_CENTER, text, palette::body(), colour, room);
    response.clicked()
}
