//! Small pictures for buttons, drawn with lines so that they are sharp at every scale.

use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, Vec2, pos2, vec2};

/// Icons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Icon {
    /// Open a file.
    Folder,
    /// Empty or close.
    Cross,
    /// Bring back.
    Undo,
    /// Write a file.
    Save,
    /// A die: draw a number.
    Die,
    /// Exchange left and right.
    Swap,
    /// A finished action.
    Check,
    /// Opens a list.
    Chevron,
    /// The folder above.
    Up,
    /// A file of notes.
    Note,
    /// Start the music.
    Play,
    /// Stop the music.
    Stop,
    /// A loudspeaker that sounds.
    Sound,
    /// A loudspeaker that is silent.
    Silence,
}

impl Icon {
    /// Paints the picture, 14 points wide and high, around `centre`.
    pub(super) fn paint(self, painter: &Painter, centre: Pos2, colour: Color32) {
        let stroke = Stroke::new(1.4, colour);
        let at = |x: f32, y: f32| centre + vec2(x, y);
        let line = |points: &[Pos2]| painter.add(Shape::line(points.to_vec(), stroke));
        match self {
            Self::Folder => {
                painter.add(Shape::closed_line(
                    vec![
                        at(-6.0, -4.5),
                        at(-1.5, -4.5),
                        at(0.0, -2.5),
                        at(6.0, -2.5),
                        at(6.0, 4.5),
                        at(-6.0, 4.5),
                    ],
                    stroke,
                ));
            }
            Self::Cross => {
                line(&[at(-4.0, -4.0), at(4.0, 4.0)]);
                line(&[at(4.0, -4.0), at(-4.0, 4.0)]);
            }
            Self::Undo => {
                let arc = |degrees: f32| {
                    let angle = degrees.to_radians();
                    at(0.5, 1.0) + vec2(angle.cos(), angle.sin()) * 4.6
                };
                let points: Vec<Pos2> =
                    (0..=20_u8).map(|step| arc(-160.0 + 270.0 * f32::from(step) / 20.0)).collect();
                painter.add(Shape::line(points, stroke));
                line(&[at(-5.2, -4.6), at(-4.0, -0.4), at(0.0, -1.6)]);
            }
            Self::Save => {
                line(&[at(0.0, -5.5), at(0.0, 2.0)]);
                line(&[at(-3.2, -1.2), at(0.0, 2.0), at(3.2, -1.2)]);
                line(&[at(-5.5, 2.8), at(-5.5, 5.5), at(5.5, 5.5), at(5.5, 2.8)]);
            }
            Self::Die => {
                let square = Rect::from_center_size(centre, Vec2::splat(11.5));
                painter.rect_stroke(square, 2.5, stroke, StrokeKind::Middle);
                for (x, y) in [(-2.6, -2.6), (2.6, -2.6), (0.0, 0.0), (-2.6, 2.6), (2.6, 2.6)] {
                    painter.circle_filled(at(x, y), 1.05, colour);
                }
            }
            Self::Swap => {
                line(&[at(-5.5, -2.6), at(5.2, -2.6)]);
                line(&[at(2.4, -5.4), at(5.4, -2.6), at(2.4, 0.2)]);
                line(&[at(5.5, 2.9), at(-5.2, 2.9)]);
                line(&[at(-2.4, 0.1), at(-5.4, 2.9), at(-2.4, 5.7)]);
            }
            Self::Check => {
                line(&[at(-4.5, 0.2), at(-1.4, 3.4), at(4.8, -3.6)]);
            }
            Self::Chevron => {
                line(&[at(-3.2, -1.6), at(0.0, 1.6), at(3.2, -1.6)]);
            }
            Self::Up => {
                line(&[at(0.0, 5.0), at(0.0, -4.5)]);
                line(&[at(-3.6, -1.0), at(0.0, -4.6), at(3.6, -1.0)]);
            }
            Self::Note => {
                painter.circle_filled(at(-2.4, 3.6), 2.3, colour);
                line(&[at(-0.6, 3.6), at(-0.6, -5.0), at(3.6, -3.4)]);
            }
            Self::Play => {
                let points = vec![at(-3.6, -5.0), at(5.2, 0.0), at(-3.6, 5.0)];
                painter.add(Shape::convex_polygon(points, colour, Stroke::NONE));
            }
            Self::Stop => {
                painter.rect_filled(Rect::from_center_size(centre, Vec2::splat(9.0)), 1.0, colour);
            }
            Self::Sound | Self::Silence => {
                painter.add(Shape::closed_line(
                    vec![
                        at(-6.0, -1.8),
                        at(-3.6, -1.8),
                        at(-0.6, -4.6),
                        at(-0.6, 4.6),
                        at(-3.6, 1.8),
                        at(-6.0, 1.8),
                    ],
                    stroke,
                ));
                if self == Self::Sound {
                    for radius in [3.0_f32, 6.0] {
                        let wave = |step: u8| {
                            let angle = (f32::from(step) * 9.0 - 45.0).to_radians();
                            at(0.4, 0.0) + vec2(angle.cos(), angle.sin()) * radius
                        };
                        line(&(0..=10).map(wave).collect::<Vec<_>>());
                    }
                } else {
                    line(&[at(2.0, -2.2), at(6.2, 2.2)]);
                    line(&[at(6.2, -2.2), at(2.0, 2.2)]);
                }
            }
        }
    }
}

/// Paints a short dashed outline along `rect`.
pub(super) fn dashed_outline(painter: &Painter, rect: Rect, stroke: Stroke) {
    let radius = 6.0;
    let mut points = Vec::new();
    for (corner, start) in [
        (pos2(rect.right() - radius, rect.top() + radius), -90.0_f32),
        (pos2(rect.right() - radius, rect.bottom() - radius), 0.0),
        (pos2(rect.left() + radius, rect.bottom() - radius), 90.0),
        (pos2(rect.left() + radius, rect.top() + radius), 180.0),
    ] {
        for step in 0..=6_u8 {
            let angle = (start + 15.0 * f32::from(step)).to_radians();
            points.push(corner + vec2(angle.cos(), angle.sin()) * radius);
        }
    }
    if let Some(&first) = points.first() {
        points.push(first);
    }
    painter.extend(Shape::dashed_line(&points, stroke, 4.0, 4.0));
}
