//! Where the latent code of a pattern comes from, with the chords or hits beside it.

use interlude_models::latent::slerp;

use super::model::{Model, Point};
use crate::{
    player::{Settings, Source},
    slots::{Position, SLOTS, SlotId},
};

/// The point that a pattern is made from; `None` where there is nothing to make it from.
pub(super) fn point(
    model: &mut Model,
    points: &[Option<Point>; SLOTS],
    settings: &Settings,
) -> Option<Point> {
    match settings.source {
        Source::Between => {
            between(points, settings.position, |a, b, share| model.meet(a, b, share))
        }
    }
}

/// The point between the slots on both sides of a position, the one of them that is filled, the
/// nearest that is, or none.
///
/// Codes meet in a way of the model's own, or else by spherical interpolation. Chords and hits do not
/// blend; those of the nearer slot count, and in the middle those of the later one.
fn between(
    points: &[Option<Point>; SLOTS],
    position: Position,
    meet: impl FnOnce(&[f32], &[f32], f32) -> Option<Vec<f32>>,
) -> Option<Point> {
    let (low, high, share) = position.between();
    match (&points[low.index()], &points[high.index()]) {
        (Some(a), Some(b)) if a.code.len() == b.code.len() => {
            let nearer = if share < 0.5 { a } else { b };
            let code = meet(&a.code, &b.code, share);
            let code = code.unwrap_or_else(|| slerp(&a.code, &b.code, share));
            // What both clips repeat can be told only where both can be read. The ends are themselves.
            let windows = match (a.windows.as_slice(), b.windows.as_slice()) {
                (a, _) if share <= 0.0 => a.to_vec(),
                (_, b) if share >= 1.0 => b.to_vec(),
                ([], _) | (_, []) => Vec::new(),
                (a, b) => [a, b].concat(),
            };
            Some(Point { code, controls: nearer.controls.clone(), windows })
        }
        (Some(point), _) | (None, Some(point)) => Some(point.clone()),
        (None, None) => {
            let far = |slot: &SlotId| (slot.place() - position.share()).abs();
            let filled = SlotId::ALL.into_iter().filter(|slot| points[slot.index()].is_some());
            let nearest = filled.min_by(|a, b| far(a).total_cmp(&far(b)))?;
            points[nearest.index()].clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::tokens::Controls;

    use super::*;

    /// The neighbours blend, one alone stands for itself, none gives nothing; a way of the model's
    /// own comes before the spherical one.
    #[test]
    fn blends_what_there_is() {
        let point = |code: [f32; 2], chord| Point {
            code: code.to_vec(),
            controls: Some(Controls::Chords(vec![chord; 32])),
            windows: Vec::new(),
        };
        let (a, b) = (point([1.0, 0.0], 1), point([0.0, 1.0], 2));
        // Positions on the first leg, whatever the number of slots.
        let leg = SlotId::B.place();
        let none = |_: &[f32], _: &[f32], _| None;
        let blend = |first: Option<&Point>, second: Option<&Point>, share: f32| {
            let mut points: [Option<Point>; SLOTS] = Default::default();
            (points[0], points[1]) = (first.cloned(), second.cloned());
            between(&points, Position::new(share * leg), none)
        };
        assert_eq!(blend(Some(&a), Some(&b), 0.0), Some(a.clone()));
        let middle = blend(Some(&a), Some(&b), 0.5).expect("both are there");
        assert!((middle.code[0] - middle.code[1]).abs() < 1e-6 && middle.code[0] > 0.7);
        assert_eq!(middle.controls, b.controls);
        let before = blend(Some(&a), Some(&b), 0.49).expect("both are there");
        assert_eq!(before.controls, a.controls);
        assert_eq!(blend(None, Some(&b), 0.2), Some(b.clone()));
        assert_eq!(blend(Some(&a), None, 0.9), Some(a.clone()));
        assert_eq!(blend(None, None, 0.5), None);
        let mut points: [Option<Point>; SLOTS] = Default::default();
        points[SLOTS - 1] = Some(b.clone());
        assert_eq!(between(&points, Position::new(0.0), none), Some(b.clone()));
        points[0] = Some(a);
        points[1] = Some(b);
        let own = |_: &[f32], _: &[f32], _| Some(vec![7.0, 7.0]);
        let met = between(&points, Position::new(0.3 * leg), own).expect("both are there");
        assert_eq!(met.code, [7.0, 7.0]);
    }
}
