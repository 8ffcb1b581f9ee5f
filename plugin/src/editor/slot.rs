//! The card of one slot: its clip, capture, loading, clearing and undoing.

use egui::accesskit::Role;
use egui::{Align2, Rect, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};
use interlude_models::clip::Clip;

use super::browser::Purpose;
use super::icon::{Icon, dashed_outline};
use super::roll::Roll;
use super::view::{Action, Capture, SlotView};
use super::widget::{self, Button};
use super::{EditorState, FRAME, palette};
use crate::slots::SlotId;

/// Space left of the roll for octave names.
const GUTTER: f32 = 20.0;

/// What a slot's card shows besides the slot.
pub(super) struct Surroundings {
    /// How much of the slot is in the mix, in `0..=1`.
    pub(super) weight: f32,
    /// The beat of the pattern that plays, while the transport rolls.
    pub(super) beat: Option<f64>,
    /// Bars in one window of the model.
    pub(super) bars: usize,
    /// Whether a file hangs over the card.
    pub(super) file_above: bool,
    /// Whether a model is there to draw clips from.
    pub(super) can_draw: bool,
    /// Whether they are drawn from a style.
    pub(super) has_style: bool,
}

/// Paints a slot's card and adds what the user does to `actions`.
pub(super) fn show(
    ui: &mut Ui,
    rect: Rect,
    id: SlotId,
    slot: &SlotView,
    around: &Surroundings,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let hue = palette::slot(id);
    let outline = palette::LINE.lerp_to_gamma(hue, 0.15 + 0.5 * around.weight);
    ui.painter().rect(
        rect,
        palette::CARD_RADIUS,
        palette::CARD,
        Stroke::new(1.0, palette::faded(outline, 0.35 + 0.65 * around.weight)),
        StrokeKind::Inside,
    );
    let inner = rect.shrink(12.0);
    title(ui, Rect::from_min_size(inner.min, vec2(inner.width(), 32.0)), id, slot);

    // A low card has one row of pictures instead of two rows with text.
    let low = inner.height() < 190.0;
    let tools = Rect::from_min_max(pos2(inner.left(), inner.bottom() - 28.0), inner.max);
    let capture = if low {
        Rect::from_min_size(tools.min, vec2(30.0, tools.height()))
    } else {
        let bottom = tools.top() - 6.0;
        Rect::from_min_max(pos2(inner.left(), bottom - 30.0), pos2(inner.right(), bottom))
    };
    let roll = Rect::from_min_max(
        pos2(inner.left(), inner.top() + 32.0 + 10.0),
        pos2(inner.right(), (capture.top() - 10.0).max(inner.top() + 42.0)),
    );
    show_roll(ui, roll, id, slot, around);
    show_capture(ui, capture, id, slot, actions);
    let tools = if low { tools.with_min_x(capture.right() + 4.0) } else { tools };
    show_tools(ui, tools, id, slot, around, state, actions);
}

fn title(ui: &Ui, rect: Rect, id: SlotId, slot: &SlotView) {
    let hue = palette::slot(id);
    let painter = ui.painter();
    let centre = pos2(rect.left() + 13.0, rect.center().y);
    painter.circle_filled(centre, 13.0, hue);
    painter.text(
        centre,
        Align2::CENTER_CENTER,
        id.letter(),
        egui::FontId::proportional(palette::BODY_SIZE + 1.5),
        palette::BACKGROUND,
    );
    let left = rect.left() + 26.0 + 10.0;
    let room = rect.right() - left;
    let (name, mut facts) = match &slot.clip {
        Some(clip) => {
            let name = if slot.source.is_empty() { "Clip" } else { slot.source.as_str() };
            (name, facts(clip))
        }
        None => ("Empty", "No clip yet".to_owned()),
    };
    if let Capture::Armed | Capture::Recording { .. } = slot.capture {
        facts = capture_text(slot.capture);
    }
    let colour = if slot.clip.is_some() { palette::TEXT } else { palette::SECONDARY };
    let top = pos2(left, rect.center().y - 1.0);
    widget::text(painter, top, Align2::LEFT_BOTTOM, name, palette::body(), colour, room);
    let below = pos2(left, rect.center().y + 1.0);
    let small = palette::small();
    widget::text(painter, below, Align2::LEFT_TOP, &facts, small, palette::SECONDARY, room);
}

/// "12 notes · 2 bars".
fn facts(clip: &Clip) -> String {
    format!(
        "{} · {}",
        widget::counted(clip.notes.len(), "note"),
        widget::counted(Roll::bars_of(clip), "bar")
    )
}

fn show_roll(ui: &Ui, rect: Rect, id: SlotId, slot: &SlotView, around: &Surroundings) {
    let hue = palette::slot(id);
    let painter = ui.painter().with_clip_rect(rect.intersect(ui.clip_rect()));
    painter.rect_filled(rect, palette::RADIUS, palette::WELL);
    let response = ui.interact(rect, egui::Id::unique(("roll", id)), Sense::hover());
    response.widget_info(|| {
        let what = slot.clip.as_ref().map_or_else(|| "empty".to_owned(), facts);
        WidgetInfo::labeled(Role::Image, true, format!("Clip {}, {what}", id.letter()))
    });
    let recording = slot.recording.as_ref().filter(|clip| !clip.is_empty());
    let hue = if recording.is_some() { palette::RECORD } else { hue };
    if let Some(clip) = recording.or(slot.clip.as_ref()).filter(|clip| !clip.is_empty()) {
        let bars = Roll::bars_of(clip);
        let place = rect.shrink2(vec2(0.0, 4.0)).with_min_x(rect.left() + GUTTER);
        let roll = Roll::fit(place, bars, [clip]);
        roll.paint_grid(&painter);
        roll.paint_notes(&painter, clip, hue, None);
        let beat = match (slot.capture, recording) {
            (Capture::Recording { progress }, Some(clip)) => {
                Some(f64::from(super::slider::finite_share(progress)) * clip.length)
            }
            _ => around.beat,
        };
        if let Some(beat) = beat {
            let line = Stroke::new(1.0, palette::faded(palette::TEXT, 0.28));
            painter.vline(roll.x(beat), rect.y_range(), line);
        }
    } else {
        dashed_outline(&painter, rect.shrink(6.0), Stroke::new(1.0, palette::faded(hue, 0.4)));
        let text = if matches!(slot.capture, Capture::Armed | Capture::Recording { .. }) {
            format!("Play {} now", widget::counted(around.bars, "bar"))
        } else {
            format!(
                "Arm capture and\nplay {},\nor drop a .mid here",
                widget::counted(around.bars, "bar")
            )
        };
        if !around.file_above {
            widget::paragraph(&painter, rect.shrink(16.0), &text, palette::SECONDARY);
        }
    }
    if around.file_above {
        painter.rect_filled(rect, palette::RADIUS, palette::faded(palette::WELL, 0.8));
        painter.rect(
            rect,
            palette::RADIUS,
            palette::faded(hue, 0.16),
            Stroke::new(1.5, hue),
            StrokeKind::Inside,
        );
        let text = format!("Drop to load into {}", id.letter());
        widget::paragraph(&painter, rect.shrink(16.0), &text, palette::TEXT);
    }
}

fn show_capture(ui: &Ui, rect: Rect, id: SlotId, slot: &SlotView, actions: &mut Vec<Action>) {
    let hue = palette::slot(id);
    let armed = slot.capture.is_armed();
    let response = ui.interact(rect, egui::Id::unique(("capture", id)), Sense::click());
    let label = format!("Capture {}", id.letter());
    response.widget_info(|| WidgetInfo::selected(Role::Button, ui.is_enabled(), armed, &label));
    let painter = ui.painter();
    let hover = ui.ctx().animate_bool(response.id.with("hover"), response.hovered());
    let fill = palette::RAISED.lerp_to_gamma(palette::HOVERED, hover);
    painter.rect_filled(rect, palette::RADIUS, fill);
    let mut dot = palette::RECORD;
    match slot.capture {
        Capture::Idle | Capture::Done => {}
        Capture::Armed => dot = palette::faded(dot, 0.35 + 0.65 * pulse(ui)),
        Capture::Recording { progress } => {
            let mut done = rect;
            done.set_width(rect.width() * super::slider::finite_share(progress));
            painter.with_clip_rect(done.intersect(ui.clip_rect())).rect_filled(
                rect,
                palette::RADIUS,
                palette::faded(palette::RECORD, 0.45),
            );
        }
    }
    if armed {
        let stroke = Stroke::new(1.0, palette::faded(palette::RECORD, 0.6));
        painter.rect_stroke(rect, palette::RADIUS, stroke, StrokeKind::Inside);
    }
    let colour = if armed || response.hovered() { palette::TEXT } else { palette::SECONDARY };
    let text = if rect.width() < 60.0 { String::new() } else { capture_text(slot.capture) };
    let galley = widget::elided(painter, &text, palette::body(), colour, rect.width() - 34.0);
    let width = if text.is_empty() { 10.0 } else { galley.size().x + 18.0 };
    let left = rect.center().x - width / 2.0;
    let centre = pos2(left + 5.0, rect.center().y);
    if slot.capture == Capture::Done {
        Icon::Check.paint(painter, centre, hue);
    } else {
        painter.circle_filled(centre, 4.5, dot);
    }
    painter.galley(pos2(left + 18.0, rect.center().y - galley.size().y / 2.0), galley, colour);
    widget::focus_ring(ui, &response, rect, palette::RADIUS);
    let hint = if armed {
        "Stop capturing. What you play from the next bar on replaces the clip, once."
    } else {
        "Record what you play: it starts at the next bar while the host's transport rolls, and \
         an empty window leaves the clip as it is."
    };
    if response.on_hover_text(hint).clicked() {
        actions.push(Action::Capture(id, !armed));
    }
}

/// The state of a capture in words.
fn capture_text(capture: Capture) -> String {
    match capture {
        Capture::Idle => "Capture".to_owned(),
        Capture::Armed => "Waiting for the bar".to_owned(),
        Capture::Recording { progress } => {
            format!("Recording {:.0} %", super::slider::finite_share(progress) * 100.0)
        }
        Capture::Done => "Captured".to_owned(),
    }
}

/// A slow swell between 0 and 1.
fn pulse(ui: &Ui) -> f32 {
    ui.ctx().request_repaint_after(FRAME);
    let time = ui.input(|input| input.time).rem_euclid(1.2) / 1.2;
    #[expect(clippy::cast_possible_truncation, reason = "a brightness")]
    let swell = (0.5 + 0.5 * (time * std::f64::consts::TAU).cos()) as f32;
    swell
}

fn show_tools(
    ui: &mut Ui,
    rect: Rect,
    id: SlotId,
    slot: &SlotView,
    around: &Surroundings,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let letter = id.letter();
    let side = ((rect.width() - 12.0) / 4.0).clamp(12.0, 30.0);
    let square = |left: f32| Rect::from_min_size(pos2(left, rect.top()), vec2(side, rect.height()));
    let clear_place = square(rect.right() - side);
    let undo_place = square(clear_place.left() - side - 4.0);
    let draw_place = square(undo_place.left() - side - 4.0);
    let load_place = Rect::from_min_max(rect.min, pos2(draw_place.left() - 4.0, rect.bottom()));

    let load = Button {
        id: egui::Id::unique(("load", id)),
        rect: load_place,
        icon: Some(Icon::Folder),
        text: if load_place.width() > 50.0 { "Load" } else { "" },
        label: &format!("Load a MIDI file into {letter}"),
        hint: "Load a .mid file. Its first bars that the model can use become the clip.",
        enabled: true,
        raised: true,
    };
    if load.show(ui).clicked() {
        state.open_browser(Purpose::Load(id));
    }
    let draw = Button {
        id: egui::Id::unique(("draw", id)),
        rect: draw_place,
        icon: Some(Icon::Die),
        text: "",
        label: &format!("New idea for {letter}"),
        hint: if around.has_style {
            "Roll the dice: a new clip in your style."
        } else {
            "Roll the dice: a new clip, from all that the model knows. Let it learn your style to \
             have clips like yours."
        },
        enabled: around.can_draw,
        raised: false,
    };
    if draw.show(ui).clicked() {
        actions.push(Action::Draw(id));
    }
    let undo = Button {
        id: egui::Id::unique(("undo", id)),
        rect: undo_place,
        icon: Some(Icon::Undo),
        text: "",
        label: &format!("Undo {letter}"),
        hint: "Bring back the clip from before the last change.",
        enabled: slot.can_undo,
        raised: false,
    };
    if undo.show(ui).clicked() {
        actions.push(Action::Undo(id));
    }
    let clear = Button {
        id: egui::Id::unique(("clear", id)),
        rect: clear_place,
        icon: Some(Icon::Cross),
        text: "",
        label: &format!("Clear {letter}"),
        hint: "Empty this slot. Undo brings the clip back.",
        enabled: slot.clip.is_some(),
        raised: false,
    };
    if clear.show(ui).clicked() {
        actions.push(Action::Clear(id));
    }
}
