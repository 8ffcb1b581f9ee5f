//! Piano rolls: notes on a grid of pitches and beats.

use egui::epaint::{Mesh, RectShape};
use egui::{Align2, Color32, Painter, Rangef, Rect, Shape, Stroke, StrokeKind, pos2, vec2};
use interlude_models::clip::{Clip, Note};

use super::palette;

/// Beats in a bar of a clip.
const BEATS_PER_BAR: f64 = 4.0;
/// Minimum number of rows of a roll.
const ROWS_MIN: u8 = 14;
/// Free rows above the highest and below the lowest note.
const MARGIN: u8 = 2;
/// The tallest row, in points; a taller roll shows more rows instead.
const ROW_HEIGHT_MAX: f32 = 15.0;
/// The most bars a roll shows; what lies beyond is not drawn.
const BARS_MAX: usize = 64;
/// Fade of a note's highlight after its end, in beats.
const AFTERGLOW: f64 = 0.9;

/// Mapping of pitches and beats to a rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Roll {
    rect: Rect,
    lowest: u8,
    highest: u8,
    bars: usize,
    /// The keys of the notes, one bit each, if all are drums; otherwise 0.
    drums: u128,
}

/// Names of the drums that models play, as drum machines write them.
const DRUMS: [(u8, &str); 9] = [
    (36, "BD"),
    (38, "SD"),
    (42, "CH"),
    (45, "LT"),
    (46, "OH"),
    (48, "MT"),
    (49, "CY"),
    (50, "HT"),
    (51, "RD"),
];

impl Roll {
    /// A roll of `bars` bars whose pitches hold all notes of `clips`.
    pub(super) fn fit<'a>(
        rect: Rect,
        bars: usize,
        clips: impl IntoIterator<Item = &'a Clip>,
    ) -> Self {
        let rect = Rect::from_min_max(rect.min, rect.max.max(rect.min + vec2(1.0, 1.0)));
        let clips: Vec<&Clip> = clips.into_iter().filter(|clip| !clip.is_empty()).collect();
        let notes = || clips.iter().flat_map(|clip| &clip.notes);
        let drums = if notes().all(Note::is_drum) {
            notes().fold(0, |keys, note| keys | 1_u128 << note.pitch.min(127))
        } else {
            0
        };
        let range = clips
            .into_iter()
            .filter_map(Clip::pitch_range)
            .reduce(|(low, high), (lowest, highest)| (low.min(lowest), high.max(highest)));
        let (lowest, highest) = range.unwrap_or((60, 71));
        let mut lowest = lowest.min(127).saturating_sub(MARGIN);
        let mut highest = highest.min(127).saturating_add(MARGIN).min(127);
        let enough = |rows: u8| {
            rows >= 127 || (rows >= ROWS_MIN && rect.height() / f32::from(rows) <= ROW_HEIGHT_MAX)
        };
        let mut below = false;
        while !enough(highest - lowest + 1) {
            if (below && lowest > 0) || highest == 127 {
                lowest = lowest.saturating_sub(1);
            } else {
                highest += 1;
            }
            below = !below;
        }
        Self { rect, lowest, highest, bars: bars.clamp(1, BARS_MAX), drums }
    }

    /// How many bars a clip needs, at least one.
    pub(super) fn bars_of(clip: &Clip) -> usize {
        let bars = (clip.length / BEATS_PER_BAR).ceil();
        (1..=BARS_MAX).find(|&count| f64_of(count) >= bars).unwrap_or(BARS_MAX)
    }

    /// Where a beat lies; beats far outside stay near the edges.
    pub(super) fn x(&self, beat: f64) -> f32 {
        let share = (beat / (f64_of(self.bars) * BEATS_PER_BAR)).clamp(-0.1, 1.1);
        self.rect.left() + self.rect.width() * f32_of(share)
    }

    /// The height of one row, in points.
    fn row_height(&self) -> f32 {
        self.rect.height() / f32::from(self.highest - self.lowest + 1)
    }

    /// The upper and lower edge of a pitch.
    fn row(&self, pitch: u8) -> Rangef {
        let height = self.row_height();
        let above = f32::from(self.highest) - f32::from(pitch);
        let top = self.rect.top() + above * height;
        Rangef::new(top, top + height)
    }

    /// The rectangle of a note, or `None` outside of the roll.
    pub(super) fn place(&self, note: &Note) -> Option<Rect> {
        let (left, right) = (self.x(note.start), self.x(note.end));
        let visible = note.pitch >= self.lowest
            && note.pitch <= self.highest
            && left < self.rect.right()
            && right > self.rect.left();
        if !visible || left.is_nan() || right.is_nan() {
            return None;
        }
        let row = self.row(note.pitch);
        let inset = if row.span() > 6.0 { 1.0 } else { 0.0 };
        let mut right = (right - 1.0).max(left + 2.0).min(self.rect.right());
        if note.is_drum() {
            // A hit has no length: a dot, as high as the row at most.
            right = right.min(left + (row.span() - 2.0 * inset).max(2.0));
        }
        Some(Rect::from_x_y_ranges(
            left.max(self.rect.left())..=right,
            (row.min + inset)..=(row.max - inset),
        ))
    }

    /// Paints rows, beats and bars, and octave names left of the roll.
    pub(super) fn paint_grid(&self, painter: &Painter) {
        for pitch in self.lowest..=self.highest {
            let row = self.row(pitch);
            let rect = Rect::from_x_y_ranges(self.rect.x_range(), row);
            if !is_black_key(pitch) {
                painter.rect_filled(rect, 0, palette::ROW);
            }
            if pitch % 12 == 0 && pitch > self.lowest {
                let y = painter.round_to_pixel_center(row.max);
                painter.hline(self.rect.x_range(), y, Stroke::new(1.0, palette::HAIRLINE));
            }
        }
        self.paint_beats(painter);
        for pitch in self.lowest..=self.highest {
            let row = self.row(pitch);
            let room = self.rect.height().min(row.max - self.rect.top() + 6.0);
            let Some(name) = self.name(pitch) else { continue };
            if self.drums == 0 && (room < 14.0 || row.max > self.rect.bottom() - 1.0) {
                continue;
            }
            painter.text(
                pos2(self.rect.left() - 5.0, row.center()),
                Align2::RIGHT_CENTER,
                name,
                egui::FontId::proportional(palette::SMALL_SIZE - 1.5),
                palette::FAINT,
            );
        }
    }

    fn paint_beats(&self, painter: &Painter) {
        let bar_width = self.rect.width() / f32_of(f64_of(self.bars));
        let every = if bar_width < 9.0 { 4 } else { 1 };
        for bar in 0..self.bars {
            let start = f64_of(bar) * BEATS_PER_BAR;
            if bar > 0 && bar % every == 0 {
                let x = painter.round_to_pixel_center(self.x(start));
                painter.vline(x, self.rect.y_range(), Stroke::new(1.0, palette::LINE));
            }
            if bar_width >= 32.0 {
                for beat in [1.0, 2.0, 3.0] {
                    let x = painter.round_to_pixel_center(self.x(start + beat));
                    painter.vline(x, self.rect.y_range(), Stroke::new(1.0, palette::HAIRLINE));
                }
            }
        }
    }

    /// Paints the number of each bar into `strip`, the bar that plays brighter.
    pub(super) fn paint_bar_numbers(&self, painter: &Painter, strip: Rect, current: Option<usize>) {
        let bar_width = self.rect.width() / f32_of(f64_of(self.bars));
        let every = if bar_width < 22.0 { 4 } else { 1 };
        for bar in (0..self.bars).step_by(every) {
            let colour = if current == Some(bar) { palette::TEXT } else { palette::FAINT };
            painter.text(
                pos2(self.x(f64_of(bar) * BEATS_PER_BAR) + 5.0, strip.center().y),
                Align2::LEFT_CENTER,
                (bar + 1).to_string(),
                egui::FontId::proportional(palette::SMALL_SIZE - 0.5),
                colour,
            );
        }
    }

    /// Paints a clip's notes; `sounding` gives the beat that plays, which lights notes up.
    pub(super) fn paint_notes(
        &self,
        painter: &Painter,
        clip: &Clip,
        hue: Color32,
        sounding: Option<f64>,
    ) {
        for note in &clip.notes {
            let Some(place) = self.place(note) else { continue };
            let radius = self.radius(note);
            let strength = 0.42 + 0.58 * f32::from(note.velocity.min(127)) / 127.0;
            let rest = palette::CARD.lerp_to_gamma(hue, strength);
            let light = sounding.map_or(0.0, |beat| light(note, beat));
            if light > 0.0 {
                let glow = palette::faded(hue, 0.55 * light);
                painter.add(
                    RectShape::filled(place.expand(3.0), radius + 3, glow).with_blur_width(12.0),
                );
            }
            let fill = rest.lerp_to_gamma(Color32::from_rgb(0xff, 0xf8, 0xee), 0.72 * light);
            painter.rect_filled(place, radius, fill);
        }
    }

    /// Paints a clip's notes as outlines, for comparison.
    pub(super) fn paint_ghosts(&self, painter: &Painter, clip: &Clip, hue: Color32, opacity: f32) {
        for note in &clip.notes {
            let Some(place) = self.place(note) else { continue };
            let radius = self.radius(note);
            painter.rect(
                place,
                radius,
                palette::faded(hue, 0.22 * opacity),
                Stroke::new(1.0, palette::faded(hue, 0.75 * opacity)),
                StrokeKind::Inside,
            );
        }
    }

    /// Paints the line at the beat that plays, with a trail behind it when it moves.
    pub(super) fn paint_playhead(&self, painter: &Painter, beat: f64, hue: Color32, moving: bool) {
        let x = self.x(beat).clamp(self.rect.left(), self.rect.right());
        if moving {
            let left = (x - 44.0).max(self.rect.left());
            let bright = palette::faded(hue, 0.20 * (x - left) / 44.0);
            let mut mesh = Mesh::default();
            for (x, colour) in [(left, Color32::TRANSPARENT), (x, bright)] {
                mesh.colored_vertex(pos2(x, self.rect.top()), colour);
                mesh.colored_vertex(pos2(x, self.rect.bottom()), colour);
            }
            mesh.add_triangle(0, 1, 2);
            mesh.add_triangle(1, 3, 2);
            painter.add(Shape::mesh(mesh));
        }
        let opacity = if moving { 0.9 } else { 0.35 };
        let stroke = Stroke::new(1.5, palette::faded(palette::TEXT, opacity));
        painter.vline(x, self.rect.y_range(), stroke);
        if moving {
            let tip = Rect::from_center_size(pos2(x, self.rect.top()), vec2(7.0, 7.0));
            painter.circle_filled(tip.center(), 3.5, palette::TEXT);
        }
    }

    /// The label of a key: an octave, or the name of a drum.
    fn name(&self, pitch: u8) -> Option<String> {
        if self.drums != 0 {
            let hit = self.row_height() >= 7.0 && self.drums >> pitch & 1 == 1;
            let known = DRUMS.iter().find(|(key, _)| hit && *key == pitch);
            return known.map(|(_, name)| (*name).to_owned());
        }
        pitch.is_multiple_of(12).then(|| format!("C{}", i16::from(pitch / 12) - 1))
    }

    fn radius(&self, note: &Note) -> u8 {
        let height = self.row_height();
        if note.is_drum() {
            // More than half of the dot, so that it is round at every size.
            8
        } else if height > 9.0 {
            3
        } else if height > 5.0 {
            2
        } else {
            1
        }
    }
}

/// Where the song position stands in a pattern of 4/4 bars when bars of the host last
/// `beats_per_bar` quarter notes: the bar, and the beat from the pattern's start.
///
/// Bar `k` of the pattern plays at bar `k` of the cycle, so a longer bar of the host waits at the
/// end of the pattern's bar and a shorter one cuts it.
pub(super) fn pattern_beat(position: f64, beats_per_bar: f64, bars: usize) -> (usize, f64) {
    let length = if beats_per_bar.is_finite() && beats_per_bar > 0.0 {
        beats_per_bar
    } else {
        BEATS_PER_BAR
    };
    let position = if position.is_finite() { position.max(0.0) } else { 0.0 };
    let last = bars.clamp(1, BARS_MAX) - 1;
    let bar = (0..last).find(|&bar| position < f64_of(bar + 1) * length).unwrap_or(last);
    let within = (position - f64_of(bar) * length).min(BEATS_PER_BAR);
    (bar, f64_of(bar) * BEATS_PER_BAR + within)
}

/// Highlight of a note at `beat`, from 0 (none) to 1 (sounding).
fn light(note: &Note, beat: f64) -> f32 {
    if beat < note.start {
        0.0
    } else if beat < note.end {
        1.0
    } else {
        let rest = (1.0 - (beat - note.end) / AFTERGLOW).max(0.0);
        0.6 * f32_of(rest * rest)
    }
}

fn is_black_key(pitch: u8) -> bool {
    matches!(pitch % 12, 1 | 3 | 6 | 8 | 10)
}

#[expect(clippy::cast_possible_truncation, reason = "screen positions need no more precision")]
fn f32_of(value: f64) -> f32 {
    value as f32
}

#[expect(clippy::cast_precision_loss, reason = "counts of bars are small")]
fn f64_of(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(pitch: u8, start: f64, end: f64) -> Note {
        Note { start, end, pitch, velocity: 100, channel: 0, program: 0 }
    }

    /// All notes of a clip are in sight, with free rows around them, at any pitch.
    #[test]
    fn rolls_hold_their_notes() {
        let rect = Rect::from_min_size(pos2(10.0, 20.0), vec2(300.0, 120.0));
        for (low, high) in [(60, 64), (0, 0), (127, 127), (0, 127), (40, 90)] {
            let clip = Clip::new(vec![note(low, 0.0, 1.0), note(high, 7.0, 8.0)], 8.0);
            let roll = Roll::fit(rect, 2, [&clip]);
            for note in &clip.notes {
                let place = roll.place(note).expect("the note is inside the roll");
                assert!(rect.expand(0.5).contains_rect(place), "{place:?} in {rect:?}");
            }
            assert!(low == 0 || roll.lowest < low);
            assert!(high == 127 || roll.highest > high);
        }
    }

    /// Drums alone have their names beside the rows and round hits; with other notes rows are keys.
    #[test]
    fn drums_have_names() {
        let rect = Rect::from_min_size(pos2(0.0, 0.0), vec2(300.0, 240.0));
        let drum = Note { channel: 9, ..note(36, 0.0, 1.0) };
        let kit = Clip::new(vec![drum, Note { pitch: 42, ..drum }], 8.0);
        let roll = Roll::fit(rect, 2, [&kit]);
        assert_eq!([roll.name(36), roll.name(48)], [Some("BD".into()), None]);
        assert_eq!(roll.name(42), Some("CH".into()));
        let place = roll.place(&drum).expect("it is inside");
        assert!((place.width() - place.height()).abs() < 0.1, "{place:?}");
        let band = Clip::new(vec![drum, note(60, 0.0, 1.0)], 8.0);
        let roll = Roll::fit(rect, 2, [&kit, &band]);
        assert_eq!([roll.name(36), roll.name(38)], [Some("C2".into()), None]);
    }

    /// A note is lit while it sounds and fades after its end.
    #[test]
    fn light_follows_the_song_position() {
        let note = note(60, 1.0, 2.0);
        assert_eq!(light(&note, 0.99), 0.0);
        assert_eq!(light(&note, 1.0), 1.0);
        assert!(light(&note, 2.1) > light(&note, 2.3));
        assert_eq!(light(&note, 4.0), 0.0);
    }

    /// The playhead keeps to the bars of the pattern in other metres than 4/4.
    #[test]
    fn pattern_bars_start_with_host_bars() {
        assert_eq!(pattern_beat(5.0, 4.0, 2), (1, 5.0));
        assert_eq!(pattern_beat(3.0, 3.0, 2), (1, 4.0));
        assert_eq!(pattern_beat(5.5, 3.0, 2), (1, 6.5));
        assert_eq!(pattern_beat(4.5, 5.0, 2), (0, 4.0));
        assert_eq!(pattern_beat(-1.0, f64::NAN, 0), (0, 0.0));
    }

    /// A clip's bars are counted up to its length, within sane limits.
    #[test]
    fn bars_cover_the_clip() {
        for (length, bars) in
            [(8.0, 2), (8.1, 3), (0.0, 1), (f64::NAN, BARS_MAX), (1e300, BARS_MAX)]
        {
            assert_eq!(Roll::bars_of(&Clip { notes: Vec::new(), length }), bars, "{length}");
        }
    }
}
