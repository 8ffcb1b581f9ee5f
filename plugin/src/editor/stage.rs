//! The card of the playing pattern.

use egui::accesskit::Role;
use egui::{Align2, Rect, Sense, Stroke, StrokeKind, Ui, WidgetInfo, pos2, vec2};
use interlude_models::clip::Clip;

use super::browser::Purpose;
use super::icon::Icon;
use super::roll::{Roll, pattern_beat};
use super::view::View;
use super::widget::{self, Button};
use super::{EditorState, palette, slider};
use crate::slots::{Position, SlotId};

/// Space left of the roll for octave names.
const GUTTER: f32 = 26.0;
/// Height of the strip with bar numbers.
const RULER: f32 = 18.0;

/// Paints the pattern's card.
pub(super) fn show(ui: &mut Ui, rect: Rect, view: &View, state: &mut EditorState) {
    let pattern = &view.pattern;
    let morph = slider::finite_share(view.parameters.morph);
    let hue = palette::blend(morph);
    let (bar, beat) = pattern_beat(pattern.position, pattern.beats_per_bar, pattern.bars);
    let awake = ui.ctx().animate_bool(egui::Id::unique("awake"), pattern.playing);
    ui.painter().rect(
        rect,
        palette::CARD_RADIUS,
        palette::CARD,
        Stroke::new(1.0, palette::LINE.lerp_to_gamma(hue, 0.5 * awake)),
        StrokeKind::Inside,
    );
    let inner = rect.shrink(12.0);
    let head = Rect::from_min_size(inner.min, vec2(inner.width(), 32.0));
    title(ui, head, view, bar, state);

    let well = Rect::from_min_max(pos2(inner.left(), head.bottom() + 10.0), inner.max);
    let painter = ui.painter().with_clip_rect(well.intersect(ui.clip_rect()));
    painter.rect_filled(well, palette::RADIUS, palette::WELL);
    let grid = Rect::from_min_max(
        pos2(well.left() + GUTTER, well.top() + RULER),
        pos2(well.right(), well.bottom() - 4.0),
    );
    let ghosts = view.slots.iter().filter_map(|slot| slot.clip.as_ref());
    let roll = Roll::fit(grid, pattern.bars, ghosts.chain(&pattern.clip));
    let empty = view.slots.iter().all(|slot| slot.clip.is_none()) && pattern.clip.is_none();
    let mut grid_painter = painter.clone();
    grid_painter.set_opacity(if empty { 0.4 } else { 1.0 });
    roll.paint_grid(&grid_painter);
    let ruler = Rect::from_min_max(pos2(grid.left(), well.top()), grid.right_top());
    roll.paint_bar_numbers(&painter, ruler, pattern.playing.then_some(bar));
    let weights = Position::new(morph).weights();
    for id in SlotId::ALL {
        let weight = weights[id.index()];
        if let Some(clip) = &view.slots[id.index()].clip {
            roll.paint_ghosts(&painter, clip, palette::slot(id), 0.25 + 0.5 * weight);
        }
    }
    let audible = view.parameters.output && !view.parameters.bypass;
    let sounding = (pattern.playing && audible).then_some(beat);
    if let Some(clip) = &pattern.clip {
        let hue = if audible { hue } else { palette::faded(hue, 0.45) };
        roll.paint_notes(&painter, clip, hue, sounding);
    }
    if pattern.playing || pattern.position > 0.0 {
        roll.paint_playhead(&painter, beat, hue, pattern.playing);
    }
    if let Some(text) = advice(view) {
        let plate =
            Rect::from_center_size(grid.center(), vec2(grid.width().min(330.0) - 24.0, 64.0));
        painter.rect_filled(plate, palette::RADIUS, palette::faded(palette::WELL, 0.92));
        widget::paragraph(&painter, plate.shrink(12.0), &text, palette::SECONDARY);
    }
    let response = ui.interact(well, egui::Id::unique("pattern"), Sense::hover());
    response.widget_info(|| {
        let notes = pattern.clip.as_ref().map_or(0, |clip| clip.notes.len());
        let label = format!("Playing pattern, {}", widget::counted(notes, "note"));
        WidgetInfo::labeled(Role::Image, true, label)
    });
}

/// What to do when there is nothing to show.
fn advice(view: &View) -> Option<String> {
    if view.pattern.clip.as_ref().is_some_and(|clip| !clip.is_empty()) {
        return None;
    }
    let filled = view.slots.iter().filter(|slot| slot.clip.is_some()).count();
    let text = if view.engine.loading {
        "Loading the model"
    } else if filled == 0 {
        "Give A and B a clip each. What lies between them appears here."
    } else if view.model.is_none() {
        "No model is loaded. Choose one, and what lies between A and B appears here."
    } else if view.slots.iter().all(|slot| slot.clip.is_none() || slot.unread) {
        "The model cannot read what is in A and B, so nothing will play."
    } else if filled == 1 {
        "One clip is here. Add the other, and move between the two."
    } else if !view.pattern.playing {
        "Press play in your host."
    } else if view.pattern.clip.is_some() {
        "This cycle is silent."
    } else {
        "The first pattern is being made."
    };
    Some(text.to_owned())
}

fn title(ui: &mut Ui, rect: Rect, view: &View, bar: usize, state: &mut EditorState) {
    let pattern = &view.pattern;
    let save_width = if rect.width() > 300.0 { 104.0 } else { 32.0 };
    let save_place = Rect::from_min_max(
        pos2(rect.right() - save_width, rect.top() + 1.0),
        pos2(rect.right(), rect.bottom() - 1.0),
    );
    let save = Button {
        id: egui::Id::unique("save"),
        rect: save_place,
        icon: Some(Icon::Save),
        text: if save_width > 40.0 { "Save MIDI" } else { "" },
        label: "Save MIDI",
        hint: "Write the playing pattern to a .mid file.",
        enabled: pattern.clip.as_ref().is_some_and(|clip| !clip.is_empty()),
        raised: true,
    };
    if save.show(ui).clicked() {
        state.open_browser(Purpose::Export);
    }

    let painter = ui.painter();
    let room = save_place.left() - rect.left() - 8.0;
    let silent = pattern.clip.as_ref().is_none_or(Clip::is_empty);
    let (name, colour) = match (pattern.playing, view.parameters.output) {
        _ if view.parameters.bypass => ("Bypassed", palette::SECONDARY),
        (false, _) => ("Stopped", palette::SECONDARY),
        (true, _) if silent => ("Waiting", palette::SECONDARY),
        (true, true) => ("Playing", palette::TEXT),
        (true, false) => ("Muted", palette::SECONDARY),
    };
    let top = pos2(rect.left(), rect.center().y - 1.0);
    widget::text(painter, top, Align2::LEFT_BOTTOM, name, palette::body(), colour, room);
    let facts = format!("Cycle {} · bar {} of {}", pattern.cycle, bar + 1, pattern.bars.max(1));
    let below = pos2(rect.left(), rect.center().y + 1.0);
    let small = palette::small();
    widget::text(painter, below, Align2::LEFT_TOP, &facts, small, palette::SECONDARY, room);
}
