//! The row below the morph slider: temperature, seed and switches.

use egui::{Id, Rect, Ui, pos2, vec2};

use super::fader::Fader;
use super::view::{Action, View};
use super::{EditorState, palette, seed, widget};
use crate::table::{EVOLVE, OUTPUT, TEMPERATURE, THRU};

/// Paints the row and adds what the user does to `actions`.
pub(super) fn show(
    ui: &mut Ui,
    rect: Rect,
    view: &View,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let parameters = &view.parameters;
    ui.painter().rect_filled(rect, palette::CARD_RADIUS, palette::CARD);
    let inner = rect.shrink2(vec2(16.0, 0.0));
    let gap = if rect.width() > 760.0 { 28.0 } else { 14.0 };
    let switches = [
        (&EVOLVE, parameters.evolve, Action::Evolve as fn(bool) -> Action),
        (&OUTPUT, parameters.output, Action::Output as fn(bool) -> Action),
        (&THRU, parameters.thru, Action::Thru as fn(bool) -> Action),
    ];
    let widths = switches.map(|(switch, ..)| widget::switch_width(ui.painter(), switch.name));
    let switch_gap = if rect.width() > 760.0 { 20.0 } else { 10.0 };
    let room = widths.iter().sum::<f32>() + 2.0 * switch_gap;
    let seed_width = 150.0;
    let temperature_width = (inner.width() - room - seed_width - 2.0 * gap).clamp(96.0, 320.0);

    let temperature = Rect::from_min_size(inner.min, vec2(temperature_width, inner.height()));
    show_temperature(ui, temperature, parameters.temperature, state, actions);
    let place = Rect::from_min_size(
        pos2(temperature.right() + gap, inner.top()),
        vec2(seed_width, inner.height()),
    );
    seed::show(ui, place, parameters.seed, state, actions);

    let hue = palette::blend(super::slider::finite_share(parameters.morph));
    let mut left = inner.right() - room;
    for ((switch, on, action), width) in switches.into_iter().zip(widths) {
        let size = vec2(width, inner.height());
        let place = Rect::from_min_size(pos2(left, inner.top()), size);
        let (name, id) = (switch.name, Id::unique(("switch", switch.name)));
        if widget::switch(ui, id, place, on, hue, name, switch.hint) {
            actions.push(action(!on));
        }
        left += width + switch_gap;
    }
}

fn show_temperature(
    ui: &mut Ui,
    rect: Rect,
    temperature: f32,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let fader = Fader {
        id: Id::unique("temperature"),
        rect,
        value: temperature,
        two_sided: false,
        parameter: &TEMPERATURE,
        hint: TEMPERATURE.hint,
        enabled: true,
    };
    let mut hold = state.temperature;
    let gestures = fader.show(ui, &mut hold, state);
    state.temperature = hold;
    actions.extend(gestures.into_iter().map(Action::Temperature));
}
