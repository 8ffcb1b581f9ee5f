//! The seed: a whole number to type, drag or roll.

use std::hash::{BuildHasher, RandomState};

use egui::accesskit;
use egui::{Align2, EventFilter, Id, Key, Rect, Response, Sense, Ui, WidgetInfo, pos2, vec2};

use super::icon::Icon;
use super::number::{Number, Typed};
use super::view::{Action, Gesture};
use super::widget::{self, Button};
use super::{EditorState, palette, slider};
use crate::table::SEED;

/// The height of field and dice.
const HEIGHT: f32 = 28.0;
/// Seeds for each point of a drag.
const SPEED: f32 = 0.15;

/// A drag of the seed in progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grab {
    /// Distance of the drag, in seeds, with its fraction.
    way: f32,
    start: i32,
}

/// Paints the seed with its dice and adds what the user does to `actions`.
pub(super) fn show(
    ui: &mut Ui,
    rect: Rect,
    seed: i32,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    let caption = widget::text(
        ui.painter(),
        rect.left_center(),
        Align2::LEFT_CENTER,
        "Seed",
        palette::body(),
        palette::SECONDARY,
        40.0,
    );
    let dice_place =
        Rect::from_center_size(pos2(rect.right() - 16.0, rect.center().y), vec2(32.0, HEIGHT));
    let field = Rect::from_min_max(
        pos2(caption.right() + 10.0, rect.center().y - HEIGHT / 2.0),
        pos2(dice_place.left() - 4.0, rect.center().y + HEIGHT / 2.0),
    );
    let (low, high) = (SEED.min, SEED.max);
    let seed = seed.clamp(low, high);
    let id = Id::unique("seed");
    // The number lies over this and takes the clicks.
    let response = ui.interact(field, id, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::slider(ui.is_enabled(), f64::from(seed), "Seed"));
    ui.ctx().accesskit_node_builder(id, |node| {
        node.set_min_numeric_value(f64::from(low));
        node.set_max_numeric_value(f64::from(high));
        node.add_action(accesskit::Action::SetValue);
    });
    let held = follow_drag(ui, &response, seed, state, actions);
    let number = Number {
        id: id.with("number"),
        rect: field,
        anchor: Align2::CENTER_CENTER,
        label: "Seed",
        text: &seed.to_string(),
        colour: palette::TEXT,
        range: as_number(low)..=as_number(high),
        ends: [&low.to_string(), &high.to_string()],
        whole: true,
        framed: true,
    };
    let typed = number.show(ui, state).map(|typed| match typed {
        Typed::Value(number) => as_seed(number),
        Typed::Reset => SEED.default,
    });
    widget::focus_ring(ui, &response, field, palette::RADIUS - 3);
    if !held {
        let target = typed.unwrap_or_else(|| stepped(ui, &response, field, seed));
        set(target, seed, actions);
    }

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
        set(another_seed(seed), seed, actions);
    }
}

/// Changes the seed within one gesture, unless it is the same.
fn set(target: i32, seed: i32, actions: &mut Vec<Action>) {
    let target = target.clamp(SEED.min, SEED.max);
    if target != seed {
        let gestures = [Gesture::Begin, Gesture::Set(target), Gesture::End];
        actions.extend(gestures.map(Action::Seed));
    }
}

/// Drags the seed; returns whether a drag is in progress.
fn follow_drag(
    ui: &Ui,
    response: &Response,
    seed: i32,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) -> bool {
    if !response.dragged_by(egui::PointerButton::Primary) {
        if state.seed.take().is_some() {
            actions.push(Action::Seed(Gesture::End));
        }
        return false;
    }
    let grab = state.seed.get_or_insert_with(|| {
        actions.push(Action::Seed(Gesture::Begin));
        Grab { way: 0.0, start: seed }
    });
    let fine = if ui.input(|input| input.modifiers.shift) { 0.1 } else { 1.0 };
    grab.way += response.drag_delta().x * SPEED * fine;
    let target = as_seed(as_number(grab.start) + grab.way);
    let target = target.clamp(SEED.min, SEED.max);
    if target != seed {
        actions.push(Action::Seed(Gesture::Set(target)));
    }
    true
}

/// The seed after wheel, keys and assistive technology.
fn stepped(ui: &Ui, response: &Response, field: Rect, seed: i32) -> i32 {
    let focused = response.has_focus();
    if focused {
        let filter = EventFilter {
            horizontal_arrows: true,
            vertical_arrows: true,
            ..EventFilter::default()
        };
        ui.memory_mut(|memory| memory.set_focus_lock_filter(response.id, filter));
    }
    let hovered = response.hovered() || ui.rect_contains_pointer(field);
    ui.input(|input| {
        let mut target = seed;
        if focused {
            for (key, step) in [
                (Key::ArrowRight, 1),
                (Key::ArrowUp, 1),
                (Key::ArrowLeft, -1),
                (Key::ArrowDown, -1),
                (Key::PageUp, 100),
                (Key::PageDown, -100),
                (Key::Home, -i32::from(u16::MAX)),
                (Key::End, i32::from(u16::MAX)),
            ] {
                if input.key_pressed(key) {
                    target += step;
                }
            }
        }
        if hovered {
            target += as_seed(slider::notches(input));
        }
        for request in input.accesskit_action_requests(response.id, accesskit::Action::SetValue) {
            if let Some(accesskit::ActionData::NumericValue(number)) = request.data {
                #[expect(clippy::cast_possible_truncation, reason = "seeds are small")]
                let number = number as f32;
                target = as_seed(number);
            }
        }
        target
    })
}

#[expect(clippy::cast_precision_loss, reason = "seeds are small")]
fn as_number(seed: i32) -> f32 {
    seed as f32
}

#[expect(clippy::cast_possible_truncation, reason = "too large numbers become the last seed")]
fn as_seed(number: f32) -> i32 {
    number.round() as i32
}

/// A random seed other than `seed`.
fn another_seed(seed: i32) -> i32 {
    let (low, high) = (SEED.min, SEED.max);
    let others = u64::from((high - low).unsigned_abs());
    let step = 1 + i32::try_from(RandomState::new().hash_one(seed) % others).unwrap_or(0);
    low + (seed.clamp(low, high) - low + step) % (high - low + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dice never show the same number again, and never one out of range.
    #[test]
    fn dice_give_another_seed() {
        for seed in [SEED.min, 1, 17, SEED.max, -4, i32::MAX] {
            let other = another_seed(seed);
            assert!(
                other != seed && (SEED.min..=SEED.max).contains(&other),
                "{seed} became {other}"
            );
        }
    }
}
