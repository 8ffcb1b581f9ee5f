//! The preview's switch, with a menu of sound, level and mute for each part.

use egui::accesskit::Role;
use egui::{
    Align2, Id, Popup, PopupCloseBehavior, Rect, RectAlign, Sense, Ui, WidgetInfo, pos2, vec2,
};

use super::fader::Fader;
use super::icon::Icon;
use super::view::{Action, View};
use super::{EditorState, palette, widget};
use crate::sound::{Part, SOUND_NAMES};
use crate::table;

/// Width of the menu.
const WIDTH: f32 = 280.0;
/// Height of a line with a switch.
const LINE: f32 = 32.0;
/// Height of a level.
const LEVEL: f32 = 42.0;
/// What the menu says of the switch.
const ADVICE: &str = "Off, when another instrument plays the notes.";

/// Width of the button in a header of this width.
pub(super) fn width(header: f32) -> f32 {
    if header > 740.0 { 96.0 } else { 56.0 }
}

/// Paints the button that opens the menu.
pub(super) fn menu(
    ui: &mut Ui,
    rect: Rect,
    view: &View,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let on = view.parameters.sound.on;
    let response = ui.interact(rect, Id::unique("sound"), Sense::click());
    let label = if on { "Sound: on" } else { "Sound: off" };
    response.widget_info(|| WidgetInfo::labeled(Role::Button, ui.is_enabled(), label));
    let open = Popup::is_id_open(ui.ctx(), response.id.with("popup"));
    let hover = ui.ctx().animate_bool(response.id.with("hover"), response.hovered() || open);
    let painter = ui.painter();
    let fill = palette::CARD.lerp_to_gamma(palette::HOVERED, hover);
    painter.rect_filled(rect, palette::RADIUS, fill);
    let centre = rect.center().y;
    let (icon, colour) = if on {
        (Icon::Sound, palette::TEXT)
    } else {
        (Icon::Silence, palette::faded(palette::FAINT, 0.8))
    };
    icon.paint(painter, pos2(rect.left() + 18.0, centre), colour);
    if rect.width() > 80.0 {
        let left = pos2(rect.left() + 33.0, centre);
        let text = if on { "Sound" } else { "Silent" };
        widget::text(painter, left, Align2::LEFT_CENTER, text, palette::body(), colour, 46.0);
    }
    Icon::Chevron.paint(painter, pos2(rect.right() - 14.0, centre), palette::SECONDARY);
    widget::focus_ring(ui, &response, rect, palette::RADIUS);

    Popup::menu(&response)
        .id(response.id.with("popup"))
        .align(RectAlign::BOTTOM_END)
        .width(WIDTH)
        .gap(6.0)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name("Sound")
        .show(|ui| {
            ui.set_width(WIDTH - 16.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            content(ui, view, state, actions);
        });
    response.on_hover_text("What Interlude itself sounds like, before its notes go anywhere.");
}

fn content(ui: &mut Ui, view: &View, state: &mut EditorState, actions: &mut Vec<Action>) {
    let mix = &view.parameters.sound;
    let hue = palette::blend(super::slider::finite_share(view.parameters.morph));
    let place = line(ui, LINE);
    let switch = &table::SOUND;
    if widget::switch(ui, Id::unique("sound on"), place, mix.on, hue, switch.name, switch.hint) {
        actions.push(Action::Sound(!mix.on));
    }
    let advice = line(ui, 20.0);
    let left = pos2(advice.left(), advice.top() + 2.0);
    let room = advice.width();
    let small = palette::small();
    widget::text(ui.painter(), left, Align2::LEFT_TOP, ADVICE, small, palette::FAINT, room);
    for part in Part::ALL {
        let choice = &mix.parts[part.index()];
        let place = line(ui, LINE);
        let id = Id::unique(("sound of", part.name()));
        let (left, right) = place.split_left_right_at_x(place.left() + 96.0);
        let hint = format!("Whether Interlude itself plays the {}.", part.name().to_lowercase());
        if widget::switch(ui, id, left, !choice.muted, hue, part.name(), &hint) {
            actions.push(Action::SoundMute(part, !choice.muted));
        }
        if part.default_sound().is_some() {
            sounds(ui, right.shrink2(vec2(0.0, 2.0)), part, choice.sound, actions);
        }
        let fader = Fader {
            id: id.with("level"),
            rect: line(ui, LEVEL),
            value: choice.level,
            two_sided: false,
            parameter: &table::SOUND_LEVEL[part.index()],
            hint: table::SOUND_LEVEL[part.index()].hint,
            enabled: mix.on && !choice.muted,
        };
        let mut hold = std::mem::take(&mut state.sound[part.index()]);
        let gestures = fader.show(ui, &mut hold, state);
        state.sound[part.index()] = hold;
        actions.extend(gestures.into_iter().map(|gesture| Action::SoundLevel(part, gesture)));
    }
    ui.add_space(4.0);
}

fn line(ui: &mut Ui, height: f32) -> Rect {
    ui.allocate_exact_size(vec2(ui.available_width(), height), Sense::hover()).0
}

/// The name of a part's sound; a click takes the next one, a right click the one before.
fn sounds(ui: &mut Ui, rect: Rect, part: Part, sound: usize, actions: &mut Vec<Action>) {
    let name = SOUND_NAMES.get(sound).copied().unwrap_or_default();
    let button = widget::Button {
        id: Id::unique(("sound", part.name())),
        rect,
        icon: Some(Icon::Swap),
        text: name,
        label: &format!("{} sound: {name}", part.name()),
        hint: "Click for the next sound, right-click for the one before.",
        enabled: true,
        raised: true,
    };
    let response = button.show(ui);
    let count = SOUND_NAMES.len();
    if response.clicked() {
        actions.push(Action::SoundOf(part, (sound + 1) % count));
    } else if response.secondary_clicked() {
        actions.push(Action::SoundOf(part, (sound + count - 1) % count));
    }
}
