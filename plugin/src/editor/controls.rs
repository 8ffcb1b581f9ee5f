//! The row below the morph slider: temperature, seed and switches.

use egui::{Id, Rect, Ui, pos2, vec2};

use super::fader::Fader;
use super::view::{Action, View};
use super::{EditorState, TEMPERATURE_DEFAULT, TEMPERATURE_RANGE, palette, seed, widget};

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
    let widths = ["Evolve", "Output", "Thru"].map(|name| widget::switch_width(ui.painter(), name));
    let switch_gap = if rect.width() > 760.0 { 20.0 } else { 10.0 };
    let switches = widths.iter().sum::<f32>() + 2.0 * switch_gap;
    let seed_width = 150.0;
    let temperature_width = (inner.width() - switches - seed_width - 2.0 * gap).clamp(96.0, 320.0);

    let temperature = Rect::from_min_size(inner.min, vec2(temperature_width, inner.height()));
    show_temperature(ui, temperature, parameters.temperature, state, actions);
    let place = Rect::from_min_size(
        pos2(temperature.right() + gap, inner.top()),
        vec2(seed_width, inner.height()),
    );
    seed::show(ui, place, parameters.seed, state, actions);

    let hue = palette::blend(super::slider::finite_share(parameters.morph));
    let mut left = inner.right() - switches;
    let switches = [
        (
            "Evolve",
            parameters.evolve,
            Action::Evolve as fn(bool) -> Action,
            "Off: every cycle at the same place plays the same notes. On: each cycle is a new \
             variation.",
        ),
        (
            "Output",
            parameters.output,
            Action::Output as fn(bool) -> Action,
            "Send the generated notes to the host.",
        ),
        (
            "Thru",
            parameters.thru,
            Action::Thru as fn(bool) -> Action,
            "Pass on the notes that come in, so that you hear what you play.",
        ),
    ];
    for ((name, on, action, hint), width) in switches.into_iter().zip(widths) {
        let size = vec2(width, inner.height());
        let place = Rect::from_min_size(pos2(left, inner.top()), size);
        if widget::switch(ui, Id::unique(("switch", name)), place, on, hue, name, hint) {
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
        reset: TEMPERATURE_DEFAULT,
        two_sided: false,
        label: "Temperature",
        hint: "How freely notes are chosen. Low keeps to the likeliest notes, high takes risks. \
               Double-click for 0.5.",
        enabled: true,
        number: |temperature| format!("{temperature:.2}"),
        unit: temperature_at,
        share: temperature_share,
    };
    let mut hold = state.temperature;
    let gestures = fader.show(ui, &mut hold, state);
    state.temperature = hold;
    actions.extend(gestures.into_iter().map(Action::Temperature));
}

/// The temperature at a share of the way; small temperatures get most of it.
fn temperature_at(share: f32) -> f32 {
    let (low, high) = (*TEMPERATURE_RANGE.start(), *TEMPERATURE_RANGE.end());
    (low + (high - low) * share * share).clamp(low, high)
}

/// The inverse of [`temperature_at`].
fn temperature_share(temperature: f32) -> f32 {
    let (low, high) = (*TEMPERATURE_RANGE.start(), *TEMPERATURE_RANGE.end());
    super::slider::finite_share((temperature - low) / (high - low)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The way of the handle and the temperature are each other's inverse.
    #[test]
    fn temperature_goes_both_ways() {
        for temperature in [0.05_f32, 0.2, 0.5, 1.0, 2.0] {
            let back = temperature_at(temperature_share(temperature));
            assert!((back - temperature).abs() < 1e-5, "{temperature} came back as {back}");
        }
    }
}
