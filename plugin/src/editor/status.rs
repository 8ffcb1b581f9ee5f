//! Name, model menu, message and status line.

use egui::accesskit::Role;
use egui::text::{LayoutJob, TextFormat};
use egui::{Align2, FontId, Id, Popup, Rect, RectAlign, Sense, Stroke, StrokeKind, Ui, WidgetInfo};
use egui::{pos2, vec2};

use super::icon::Icon;
use super::view::{Action, View};
use super::widget::{self, Button};
use super::{EditorState, palette, slider, sound, style};

/// Paints the name of the instrument, the style and the model menu.
pub(super) fn header(
    ui: &mut Ui,
    rect: Rect,
    view: &View,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let mut job = LayoutJob::default();
    let format = TextFormat {
        font_id: FontId::proportional(palette::TITLE_SIZE),
        extra_letter_spacing: 1.5,
        color: palette::TEXT,
        ..TextFormat::default()
    };
    job.append("interlude", 0.0, format);
    let galley = ui.painter().layout_job(job);
    let mark = pos2(rect.left() + 12.0, rect.center().y);
    let beat = if view.pattern.playing { view.pattern.position.rem_euclid(1.0) } else { 1.0 };
    #[expect(clippy::cast_possible_truncation, reason = "a radius on the screen")]
    let swell = if beat.is_finite() { (1.0 - beat) as f32 } else { 0.0 };
    for (offset, share) in [(-6.0, 0.0_f32), (0.0, 0.5), (6.0, 1.0)] {
        let colour = palette::faded(palette::blend(share), 0.85);
        ui.painter().circle_filled(mark + vec2(offset, 0.0), 5.0 + 1.2 * swell, colour);
    }
    let top = rect.center().y - galley.size().y / 2.0;
    let left = rect.left() + 32.0;
    let name_width = galley.size().x;
    ui.painter().galley(pos2(left, top), galley, palette::TEXT);

    let sound_width = sound::width(rect.width());
    let room = rect.width() - name_width - 60.0 - sound_width - 8.0;
    let width = (room * 0.58).clamp(80.0, 250.0);
    let place = Rect::from_min_max(
        pos2(rect.right() - width, rect.center().y - 15.0),
        pos2(rect.right(), rect.center().y + 15.0),
    );
    model_menu(ui, place, view, actions);
    let width = (room - width - 8.0).clamp(60.0, 190.0);
    let right = place.left() - 8.0;
    let place = Rect::from_min_max(pos2(right - width, place.top()), pos2(right, place.bottom()));
    style::menu(ui, place, view, state, actions);
    let right = place.left() - 8.0;
    let left = right - sound_width;
    let place = Rect::from_min_max(pos2(left, place.top()), pos2(right, place.bottom()));
    sound::menu(ui, place, view, state, actions);
}

fn model_menu(ui: &mut Ui, rect: Rect, view: &View, actions: &mut Vec<Action>) {
    let chosen = view.model.and_then(|index| view.models.get(index));
    let name = match chosen {
        _ if view.engine.loading => "Loading the model",
        Some(name) => name,
        None if view.models.is_empty() => "No model found",
        None => "Choose a model",
    };
    let response = ui.interact(rect, Id::unique("model"), Sense::click());
    response.widget_info(|| {
        WidgetInfo::labeled(Role::Button, ui.is_enabled(), format!("Model: {name}"))
    });
    let open = Popup::is_id_open(ui.ctx(), response.id.with("popup"));
    let hover = ui.ctx().animate_bool(response.id.with("hover"), response.hovered() || open);
    let fill = palette::CARD.lerp_to_gamma(palette::HOVERED, hover);
    let painter = ui.painter();
    painter.rect_filled(rect, palette::RADIUS, fill);
    let small = palette::small();
    let centre = rect.center().y;
    let caption = pos2(rect.left() + 12.0, centre);
    let caption = widget::text(
        painter,
        caption,
        Align2::LEFT_CENTER,
        "Model",
        small,
        palette::SECONDARY,
        60.0,
    );
    let room = rect.right() - 28.0 - caption.right() - 10.0;
    let left = pos2(caption.right() + 10.0, centre);
    widget::text(painter, left, Align2::LEFT_CENTER, name, palette::body(), palette::TEXT, room);
    Icon::Chevron.paint(painter, pos2(rect.right() - 16.0, centre), palette::SECONDARY);
    widget::focus_ring(ui, &response, rect, palette::RADIUS);

    Popup::menu(&response)
        .id(response.id.with("popup"))
        .align(RectAlign::BOTTOM_END)
        .width(rect.width())
        .gap(6.0)
        .accessible_name("Models")
        .show(|ui| {
            ui.set_width(rect.width() - 16.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            if view.models.is_empty() {
                ui.label("No model is installed.");
            }
            egui::ScrollArea::vertical().max_height(240.0).show(ui, |ui| {
                for (index, name) in view.models.iter().enumerate() {
                    if widget::menu_row(ui, ("model", index), name, view.model == Some(index)) {
                        actions.push(Action::ChooseModel(index));
                        ui.close();
                    }
                }
            });
            providers(ui, view, actions);
        });
    response.on_hover_text("The model decides what lies between A and B.");
}

/// What computes, below the models, where there is something to choose.
fn providers(ui: &mut Ui, view: &View, actions: &mut Vec<Action>) {
    let engine = &view.engine;
    if engine.choices.is_empty() {
        return;
    }
    let (place, _) = ui.allocate_exact_size(vec2(ui.available_width(), 30.0), Sense::hover());
    let line = Stroke::new(1.0, palette::LINE);
    ui.painter().hline(place.x_range(), place.top() + 4.0, line);
    let left = pos2(place.left() + 10.0, place.bottom() - 10.0);
    let (small, room) = (palette::small(), place.width() - 20.0);
    let text = "Computes on, for all projects";
    let colour = palette::SECONDARY;
    widget::text(ui.painter(), left, Align2::LEFT_CENTER, text, small, colour, room);
    for (index, &choice) in engine.choices.iter().enumerate() {
        let chosen = choice == engine.chosen;
        if widget::menu_row(ui, ("provider", index), &choice.to_string(), chosen) {
            actions.push(Action::Compute(choice));
            ui.close();
        }
    }
}

/// The height that the message needs at `width`, or `None` when there is none to show.
pub(super) fn banner_height(
    ui: &Ui,
    width: f32,
    compact: bool,
    view: &View,
    state: &EditorState,
) -> Option<f32> {
    let message = visible_message(view, state)?;
    let galley = banner_text(ui, message, width);
    Some(galley.size().y.min(if compact { 54.0 } else { 90.0 }) + 20.0)
}

/// Paints the message; the user can close it.
pub(super) fn banner(ui: &mut Ui, rect: Rect, view: &View, state: &mut EditorState) {
    let Some(message) = visible_message(view, state).map(str::to_owned) else { return };
    let painter = ui.painter();
    painter.rect(
        rect,
        palette::RADIUS,
        palette::CARD.lerp_to_gamma(palette::WARNING, 0.10),
        Stroke::new(1.0, palette::faded(palette::WARNING, 0.45)),
        StrokeKind::Inside,
    );
    painter.circle_filled(pos2(rect.left() + 18.0, rect.top() + 19.0), 4.0, palette::WARNING);
    let galley = banner_text(ui, &message, rect.width());
    let text = Rect::from_min_max(
        pos2(rect.left() + 32.0, rect.top() + 10.0),
        rect.max - vec2(44.0, 10.0),
    );
    let galley_height = galley.size().y;
    painter.with_clip_rect(text).galley(text.min, galley, palette::TEXT);
    let response = ui.interact(text, Id::unique("message"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Alert, true, &message));
    if text.height() < galley_height {
        response.on_hover_text(&message);
    }
    let close = Button {
        id: Id::unique("dismiss"),
        rect: Rect::from_center_size(
            pos2(rect.right() - 22.0, rect.top() + 19.0),
            vec2(28.0, 28.0),
        ),
        icon: Some(Icon::Cross),
        text: "",
        label: "Dismiss the message",
        hint: "Close this message.",
        enabled: true,
        raised: false,
    };
    if close.show(ui).clicked() {
        state.dismissed = Some(message);
    }
}

fn visible_message<'a>(view: &'a View, state: &EditorState) -> Option<&'a str> {
    view.message.as_deref().filter(|message| state.dismissed.as_deref() != Some(*message))
}

fn banner_text(ui: &Ui, message: &str, width: f32) -> std::sync::Arc<egui::Galley> {
    let room = (width - 76.0).max(40.0);
    ui.painter().layout(message.to_owned(), palette::body(), palette::TEXT, room)
}

/// Paints model, provider and decoding time.
pub(super) fn line(ui: &mut Ui, rect: Rect, view: &View) {
    let engine = &view.engine;
    let mut parts = Vec::new();
    if engine.loading {
        parts.push("Loading".to_owned());
    }
    if !engine.provider.is_empty() {
        parts.push(format!("Runs on {}", engine.provider));
    }
    if !engine.runtime.is_empty() {
        parts.push(format!("ONNX Runtime {}", engine.runtime));
    }
    if let Some(decode_ms) = engine.decode_ms {
        parts.push(format!("Decoded in {decode_ms:.1} ms"));
    }
    if parts.is_empty() {
        parts.push("No model runs".to_owned());
    }
    let text = parts.join("  ·  ");
    let late = match engine.late_cycles {
        0 => String::new(),
        1 => "1 late cycle".to_owned(),
        count => format!("{count} late cycles"),
    };
    let painter = ui.painter();
    let end = widget::text(
        painter,
        rect.right_center(),
        Align2::RIGHT_CENTER,
        &late,
        palette::small(),
        palette::faded(palette::WARNING, slider::finite_share(engine.late_glow)),
        rect.width() / 3.0,
    );
    let room = end.left() - rect.left() - 12.0;
    let small = palette::small();
    let left = rect.left_center();
    widget::text(painter, left, Align2::LEFT_CENTER, &text, small, palette::FAINT, room);
    let response = ui.interact(rect, Id::unique("status"), Sense::hover());
    let label = if late.is_empty() { text } else { format!("{text}  ·  {late}") };
    response.widget_info(|| WidgetInfo::labeled(Role::Status, true, &label));
    if engine.late_cycles > 0 {
        response.on_hover_text(
            "A cycle is late when its pattern is not ready in time; the last pattern plays \
             instead. A smaller model or a bigger audio buffer helps.",
        );
    }
}
