//! The row of attributes, for models with attribute vectors.

use egui::{Id, Rect, Ui, pos2, vec2};

use super::fader::Fader;
use super::view::{Action, View};
use super::{EditorState, palette};
use crate::{shape::Attribute, table::SHAPE};

/// Whether any attribute can be changed.
pub(super) fn is_shown(view: &View) -> bool {
    view.attributes.contains(&true)
}

/// Paints the row and adds what the user does to `actions`.
pub(super) fn show(
    ui: &mut Ui,
    rect: Rect,
    view: &View,
    state: &mut EditorState,
    actions: &mut Vec<Action>,
) {
    ui.painter().rect_filled(rect, palette::CARD_RADIUS, palette::CARD);
    let inner = rect.shrink2(vec2(16.0, 0.0));
    let gap = if rect.width() > 760.0 { 28.0 } else { 16.0 };
    let count: f32 = [1.0_f32; Attribute::ALL.len()].iter().sum();
    let width = (inner.width() + gap) / count - gap;
    let mut left = inner.left();
    for attribute in Attribute::ALL {
        let index = attribute.index();
        let (entry, enabled) = (attribute.entry(), view.attributes[index]);
        let hint = entry.hint.filter(|_| enabled).unwrap_or("This model does not know how.");
        let fader = Fader {
            id: Id::unique(("shape", entry.id)),
            rect: Rect::from_min_size(pos2(left, inner.top()), vec2(width, inner.height())),
            value: view.parameters.shape[index],
            two_sided: true,
            parameter: &SHAPE[index],
            hint,
            enabled,
        };
        let mut hold = state.shape[index];
        let gestures = fader.show(ui, &mut hold, state);
        state.shape[index] = hold;
        let action = |gesture| Action::Shape(attribute, gesture);
        actions.extend(gestures.into_iter().map(action));
        left += width + gap;
    }
}
