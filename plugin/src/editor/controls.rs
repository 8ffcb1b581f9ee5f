//! The row below the morph slider: temperature, seed and switches.

use std::hash::{BuildHasher, RandomState};

use egui::{Align2, DragValue, Id, Rect, Ui, pos2, vec2};

use super::fader::Fader;
use super::icon::Icon;
use super::view::{Action, Gesture, View};
use super::widget::{self, Button};
use super::{EditorState, SEED_RANGE, TEMPERATURE_DEFAULT, TEMPERATURE_RANGE, palette};

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
    let seed = Rect::from_min_size(
        pos2(temperature.right() + gap, inner.top()),
        vec2(seed_width, inner.height()),
    );
    show_seed(ui, seed, parameters.seed, state, actions);

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
    let gestures = fader.show(ui, &mut state.temperature);
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

fn show_seed(
    ui: &mut Ui,
    rect: Rect,
    seed: i32,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let caption = pos2(rect.left(), rect.center().y);
    let caption = widget::text(
        ui.painter(),
        caption,
        Align2::LEFT_CENTER,
        "Seed",
        palette::body(),
        palette::SECONDARY,
        40.0,
    );
    let height = 28.0;
    let dice_place =
        Rect::from_center_size(pos2(rect.right() - 16.0, rect.center().y), vec2(32.0, height));
    let field = Rect::from_min_max(
        pos2(caption.right() + 10.0, rect.center().y - height / 2.0),
        pos2(dice_place.left() - 4.0, rect.center().y + height / 2.0),
    );
    let seed = seed.clamp(*SEED_RANGE.start(), *SEED_RANGE.end());
    let mut value = seed;
    let response = ui
        .put(field, DragValue::new(&mut value).range(SEED_RANGE).speed(0.15))
        .accessible_name("Seed")
        .on_hover_text("The number that decides the dice. The same seed gives the same notes.");
    let held = response.dragged();
    if held && !state.seed_held {
        actions.push(Action::Seed(Gesture::Begin));
    }
    if value != seed {
        let set = Action::Seed(Gesture::Set(value));
        if held || state.seed_held {
            actions.push(set);
        } else {
            actions.extend([Action::Seed(Gesture::Begin), set, Action::Seed(Gesture::End)]);
        }
    }
    if !held && state.seed_held {
        actions.push(Action::Seed(Gesture::End));
    }
    state.seed_held = held;

    let dice = Button {
        id: Id::unique("dice"),
        rect: dice_place,
        icon: Some(Icon::Die),
        text: "",
        label: "New seed",
        hint: "Roll the dice: another seed, another variation.",
        enabled: true,
        raised: true,
    };
    if dice.show(ui).clicked() {
        let gestures = [Gesture::Begin, Gesture::Set(another_seed(seed)), Gesture::End];
        actions.extend(gestures.map(Action::Seed));
    }
}

/// A seed other than `seed`, by chance.
fn another_seed(seed: i32) -> i32 {
    let (low, high) = (*SEED_RANGE.start(), *SEED_RANGE.end());
    let others = u64::from((high - low).unsigned_abs());
    let step = 1 + i32::try_from(RandomState::new().hash_one(seed) % others).unwrap_or(0);
    low + (seed.clamp(low, high) - low + step) % (high - low + 1)
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

    /// The dice never show the same number again, and never one out of range.
    #[test]
    fn dice_give_another_seed() {
        for seed in [*SEED_RANGE.start(), 1, 17, *SEED_RANGE.end(), -4, i32::MAX] {
            let other = another_seed(seed);
            assert!(other != seed && SEED_RANGE.contains(&other), "{seed} became {other}");
        }
    }
}
