//! The morph slider, the heart of the window.

use egui::epaint::{Mesh, RectShape};
use egui::{Align2, FontId, Rangef, Rect, Shape, Stroke, StrokeKind, Ui, pos2, vec2};

use super::icon::Icon;
use super::number::{Number, Typed};
use super::slider::{Slider, finite_share};
use super::view::{Action, Gesture, View};
use super::widget::{self, Button};
use super::{EditorState, key, palette};
use crate::{slots::SlotId, table::MORPH};

/// Half the width and height of the handle.
const HANDLE: egui::Vec2 = vec2(31.0, 17.0);
/// Half the height of the track.
const TRACK: f32 = 5.0;
/// Half the height of the area that reacts to the pointer.
const FELT: f32 = 9.0;

/// Paints the slider in `rect` and adds what the user does to `actions`.
pub(super) fn show(
    ui: &mut Ui,
    rect: Rect,
    view: &View,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let morph = view.parameters.morph;
    let swappable = view.slots.iter().any(|slot| slot.clip.is_some());
    let middle = rect.center().y - 9.0;
    let ends = 20.0;
    let track = Rect::from_min_max(
        pos2(rect.left() + ends + 22.0, middle - TRACK),
        pos2(rect.right() - ends - 22.0, middle + TRACK),
    );
    let slider = Slider {
        id: egui::Id::unique("morph"),
        track: Rect::from_center_size(track.center(), vec2(track.width(), 2.0 * FELT)),
        knob: HANDLE,
        way: Rangef::new(track.left() + HANDLE.x, track.right() - HANDLE.x),
        value: finite_share(morph),
        parameter: &MORPH,
    };
    let (response, mut gestures, mut value) = slider.interact(ui, &mut state.morph);
    let number = Number {
        id: slider.id.with("number"),
        rect: Rect::from_center_size(
            pos2(track.center().x + 26.0, middle + 34.0),
            vec2(58.0, 22.0),
        ),
        anchor: Align2::CENTER_CENTER,
        label: MORPH.name,
        text: &(MORPH.shown)(value),
        colour: palette::TEXT,
        range: 0.0..=100.0,
        ends: ["0", "100 %"],
        whole: false,
        framed: false,
    };
    let typed = number.show(ui, state).map(|typed| match typed {
        Typed::Value(percent) => percent / 100.0,
        Typed::Reset => slider.reset(),
    });
    if let Some(target) = typed {
        slider.set(target, &mut value, &mut gestures);
    }
    actions.extend(gestures.into_iter().map(Action::Morph));

    for id in SlotId::ALL.into_iter().filter(|id| id.is_end()) {
        let target = id.place();
        let x = egui::lerp(rect.left() + ends..=rect.right() - ends, target);
        if end_button(ui, pos2(x, middle), id) {
            actions.extend([Gesture::Begin, Gesture::Set(target), Gesture::End].map(Action::Morph));
        }
    }

    let painter = ui.painter();
    painter.rect_filled(track, TRACK, palette::WELL);
    painter.add(gradient(track));
    for quarter in [0.0_f32, 0.25, 0.5, 0.75, 1.0] {
        let x = slider.centre(quarter);
        let colour = palette::faded(palette::blend(quarter), 0.7);
        painter.circle_filled(pos2(x, middle + 23.0), 1.5, colour);
    }
    let caption = pos2(track.center().x - 8.0, middle + 34.0);
    let body = palette::body();
    painter.text(caption, Align2::RIGHT_CENTER, "Morph", body, palette::SECONDARY);

    let swap = Button {
        id: egui::Id::unique("swap"),
        rect: Rect::from_center_size(pos2(track.center().x + 74.0, caption.y), vec2(26.0, 20.0)),
        icon: Some(Icon::Swap),
        text: "",
        label: "Swap A and B",
        hint: "Exchange the two clips. What plays stays where it is until the next cycle.",
        enabled: swappable,
        raised: false,
    };
    if swap.show(ui).clicked() {
        actions.push(Action::Swap);
    }
    let right = rect.right() - ends;
    let place = Rect::from_min_max(
        pos2((track.center().x + 94.0).max(right - 190.0), caption.y - 11.0),
        pos2(right, caption.y + 11.0),
    );
    key::menu(ui, place, view, actions);

    let painter = ui.painter();
    let hue = palette::blend(value);
    let centre = pos2(slider.centre(value), middle);
    let held = response.is_pointer_button_down_on();
    let lift = ui.ctx().animate_bool_responsive(slider.id.with("lift"), held || response.hovered());
    let handle = Rect::from_center_size(centre, HANDLE * 2.0 + vec2(2.0, 2.0) * lift);
    let glow = palette::faded(hue, 0.28 + 0.22 * lift);
    painter.add(RectShape::filled(handle.expand(4.0), 21, glow).with_blur_width(18.0));
    painter.rect(handle, 18, palette::CARD, Stroke::new(2.0, hue), StrokeKind::Inside);
    painter.text(
        centre,
        Align2::CENTER_CENTER,
        format!("{:.0} %", value * 100.0),
        FontId::proportional(palette::BODY_SIZE + 1.0),
        palette::TEXT,
    );
    widget::focus_ring(ui, &response, handle.expand(3.0), 21);
    let response = response.on_hover_cursor(egui::CursorIcon::ResizeHorizontal);
    if !held {
        response.on_hover_text_at_pointer(MORPH.hint);
    }
}

/// The track's colours, from A to B.
fn gradient(track: Rect) -> Shape {
    const PIECES: u8 = 48;
    let mut mesh = Mesh::default();
    // The round ends are circles, so the strip between them starts one radius further in.
    let straight = track.shrink2(vec2(TRACK, 0.0));
    for piece in 0..=PIECES {
        let share = f32::from(piece) / f32::from(PIECES);
        let x = egui::lerp(straight.x_range(), share);
        let colour = palette::faded(palette::blend(share), 0.9);
        mesh.colored_vertex(pos2(x, straight.top()), colour);
        mesh.colored_vertex(pos2(x, straight.bottom()), colour);
        if piece > 0 {
            let last = 2 * u32::from(piece);
            mesh.add_triangle(last - 2, last - 1, last);
            mesh.add_triangle(last - 1, last, last + 1);
        }
    }
    let cap = |x: f32, side: f32, share: f32| {
        let colour = palette::faded(palette::blend(share), 0.9);
        let points = (0..=12_u8)
            .map(|step| {
                let angle = (f32::from(step) * 15.0 - 90.0).to_radians();
                pos2(x + side * angle.cos() * TRACK, straight.center().y + angle.sin() * TRACK)
            })
            .collect();
        Shape::convex_polygon(points, colour, Stroke::NONE)
    };
    Shape::Vec(vec![
        cap(straight.left(), -1.0, 0.0),
        cap(straight.right(), 1.0, 1.0),
        Shape::mesh(mesh),
    ])
}

/// A round button at an end of the track; says whether it was pressed.
fn end_button(ui: &Ui, centre: egui::Pos2, id: SlotId) -> bool {
    let letter = id.letter();
    let area = Rect::from_center_size(centre, vec2(34.0, 34.0));
    let response = ui.interact(area, egui::Id::unique(("end", id)), egui::Sense::click());
    response.widget_info(|| {
        let role = egui::accesskit::Role::Button;
        egui::WidgetInfo::labeled(role, ui.is_enabled(), format!("Morph to {letter}"))
    });
    let hover = ui.ctx().animate_bool(response.id.with("hover"), response.hovered());
    let hue = palette::slot(id);
    let painter = ui.painter();
    painter.circle(
        centre,
        17.0,
        palette::CARD.lerp_to_gamma(hue, 0.10 + 0.15 * hover),
        Stroke::new(1.0, palette::faded(hue, 0.5 + 0.5 * hover)),
    );
    painter.text(centre, Align2::CENTER_CENTER, letter, FontId::proportional(15.0), hue);
    widget::focus_ring(ui, &response, area, 17);
    response.on_hover_text(format!("Go all the way to {letter}.")).clicked()
}
