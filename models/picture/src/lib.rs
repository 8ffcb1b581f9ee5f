//! Charts and piano rolls as SVG, for files and for pages of HTML.
//!
//! [`Picture`] is drawn on from above to below: texts, bars, charts of [`Curve`]s, tables, rolls of clips.
//!
//! ```
//! use interlude_picture::{COLOURS, Picture};
//!
//! let mut picture = Picture::new(200.0, 100.0);
//! picture.rectangle([10.0, 10.0, 80.0, 20.0], COLOURS[0]);
//! picture.text("Steps & bars", [10.0, 60.0], 14.0);
//! assert!(picture.svg().contains("Steps &amp; bars"));
//! ```

use std::fmt::Write;

use interlude_models::clip::{Clip, Note};

/// Colours of the lines and bars of a chart, in turn.
pub const COLOURS: [&str; 4] = ["#2f6fb5", "#d9822b", "#3d8f5f", "#8a63b8"];
/// Colour of texts.
const TEXT: &str = "#26303d";
/// Colour of small texts and of axes.
const FAINT: &str = "#76818f";
/// Colour behind piano rolls and bars.
const LANE: &str = "#eef1f5";

/// Pixels of a beat from which a roll shows beats.
const BEAT_ROOM: f64 = 64.0;

/// A place in a picture: left, top, width, height in pixels.
pub type Area = [f64; 4];

/// A picture to draw on.
#[derive(Clone, Debug)]
pub struct Picture {
    size: [f64; 2],
    body: String,
}

/// A line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// Its name.
    pub name: String,
    /// Points, from left to right.
    pub points: Vec<[f64; 2]>,
}

/// How a clip is drawn as a piano roll.
pub struct Roll<'a> {
    /// The notes.
    pub clip: &'a Clip,
    /// Lowest and highest pitch of the height; notes beyond lie at its edges. Rolls with the same pitches
    /// can be compared.
    pub pitches: Option<(u8, u8)>,
    /// The colour of a note.
    pub colour: &'a dyn Fn(&Note) -> &'static str,
}

impl Picture {
    /// An empty white picture of a width and height in pixels.
    pub fn new(width: f64, height: f64) -> Self {
        let mut picture = Self { size: [width, height], body: String::new() };
        picture.rectangle([0.0, 0.0, width, height], "#ffffff");
        picture
    }

    /// A filled rectangle.
    pub fn rectangle(&mut self, [x, y, width, height]: Area, colour: &str) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}" fill="{colour}"/>"#
        );
    }

    /// A text whose baseline begins at a point.
    pub fn text(&mut self, text: &str, [x, y]: [f64; 2], size: f64) {
        self.write(text, [x, y], size, "start");
    }

    /// A text whose baseline ends at a point.
    pub fn text_before(&mut self, text: &str, [x, y]: [f64; 2], size: f64) {
        self.write(text, [x, y], size, "end");
    }

    fn write(&mut self, text: &str, [x, y]: [f64; 2], size: f64, anchor: &str) {
        let colour = if size < 13.0 { FAINT } else { TEXT };
        let _ = writeln!(
            self.body,
            r#"<text x="{x:.1}" y="{y:.1}" font-size="{size}" text-anchor="{anchor}" fill="{colour}">{}</text>"#,
            escape(text)
        );
    }

    fn line(&mut self, points: &[[f64; 2]], colour: &str, width: f64) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        let _ = writeln!(
            self.body,
            r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"/>"#
        );
    }

    /// Bars below each other, from 0 to the largest number or to 1 if that is larger: a label, a
    /// number as text, and its share of the whole.
    pub fn bars(&mut self, [x, y, width, height]: Area, bars: &[(String, String, f64)]) {
        let largest = bars.iter().map(|bar| bar.2).filter(|n| n.is_finite()).fold(1.0, f64::max);
        let row = height / as_float(bars.len().max(1));
        let (label, number) = (0.42 * width, (0.14 * width).max(44.0));
        for (index, (name, text, share)) in bars.iter().enumerate() {
            let top = y + as_float(index) * row;
            let baseline = top + 0.5 * row + 4.0;
            self.write(name, [x + label - 8.0, baseline], 12.0, "end");
            let room = width - label - number;
            let area = [x + label, top + 0.15 * row, room, 0.7 * row];
            self.rectangle(area, LANE);
            let length = room * (share / largest).clamp(0.0, 1.0);
            self.rectangle([area[0], area[1], length, area[3]], COLOURS[0]);
            self.write(text, [x + width, baseline], 12.0, "end");
        }
    }

    /// Curves over common axes that hold all of their points, with a legend.
    pub fn chart(&mut self, [x, y, width, height]: Area, title: &str, curves: &[Curve]) {
        self.text(title, [x, y + 14.0], 14.0);
        let (left, top) = (x + 52.0, y + 26.0);
        let (width, height) = (width - 60.0, height - 50.0);
        self.rectangle([left, top, width, height], LANE);
        let points = || {
            let all = curves.iter().flat_map(|curve| &curve.points);
            all.filter(|point| point.iter().all(|value| value.is_finite()))
        };
        let extent = |axis: usize| {
            let values = points().map(|point| point[axis]);
            let low = values.clone().fold(f64::INFINITY, f64::min);
            let high = values.fold(f64::NEG_INFINITY, f64::max);
            if low > high {
                [0.0, 1.0]
            } else if low < high {
                [low, high]
            } else {
                [low, low + 1.0]
            }
        };
        let ([x_low, x_high], [y_low, y_high]) = (extent(0), extent(1));
        let place = |[px, py]: [f64; 2]| {
            [
                left + width * (px - x_low) / (x_high - x_low),
                top + height * (1.0 - (py - y_low) / (y_high - y_low)),
            ]
        };
        for (value, at) in [(y_high, top + 10.0), (y_low, top + height)] {
            self.write(&short(value), [left - 6.0, at], 11.0, "end");
        }
        self.write(&short(x_low), [left, top + height + 14.0], 11.0, "start");
        self.write(&short(x_high), [left + width, top + height + 14.0], 11.0, "end");
        let mut legend = left + 0.3 * width;
        for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
            let finite = curve.points.iter().filter(|p| p.iter().all(|value| value.is_finite()));
            let points: Vec<[f64; 2]> = finite.copied().map(place).collect();
            self.line(&points, colour, 1.6);
            self.rectangle([legend, top + height + 8.0, 10.0, 4.0], colour);
            self.text(&curve.name, [legend + 14.0, top + height + 14.0], 11.0);
            legend += 26.0 + 6.2 * as_float(curve.name.len());
        }
    }

    /// A table of numbers as a heat map: orange above 0, blue below, white at 0, full from 1 on;
    /// grey where there is none. Names stand above columns and before rows.
    pub fn heat_map(
        &mut self,
        [x, y]: [f64; 2],
        [width, height]: [f64; 2],
        names: &[&str],
        rows: &[Vec<Option<f64>>],
    ) {
        let label = 10.0 + 7.0 * as_float(names.iter().map(|name| name.len()).max().unwrap_or(0));
        for (index, name) in names.iter().enumerate() {
            let middle = as_float(index) + 0.5;
            self.write(name, [x + label + middle * width, y + 14.0], 12.0, "middle");
            self.write(name, [x + label - 8.0, y + 24.0 + middle * height], 12.0, "end");
        }
        for (row, values) in rows.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let left = x + label + as_float(column) * width;
                let top = y + 20.0 + as_float(row) * height;
                let area = [left + 1.0, top + 1.0, width - 2.0, height - 2.0];
                let value = value.filter(|value| value.is_finite());
                self.rectangle(area, &value.map_or(LANE.to_owned(), heat));
                let text = value.map_or("–".to_owned(), |value| format!("{value:+.2}"));
                let place = [left + 0.5 * width, top + 0.5 * height + 5.0];
                self.write(&text, place, 13.0, "middle");
            }
        }
    }

    /// A clip as a piano roll in one colour; its pitches fill the height.
    pub fn roll(&mut self, area: Area, clip: &Clip, colour: &'static str) {
        self.roll_of(area, &Roll { clip, pitches: clip.pitch_range(), colour: &|_| colour });
    }

    /// A piano roll with lines at bars, and at beats where there is room.
    pub fn roll_of(&mut self, area: Area, roll: &Roll<'_>) {
        let [x, y, width, height] = area;
        self.rectangle(area, LANE);
        let beats = roll.clip.length.max(0.25);
        let (bar, beat) = (4.0, 1.0);
        let apart = if width / beats < BEAT_ROOM { bar } else { beat };
        let mut line = apart;
        while line < beats {
            let thick = if line % bar == 0.0 && apart < bar { 2.0 } else { 1.0 };
            self.rectangle([x + width * line / beats, y, thick, height], "#ffffff");
            line += apart;
        }
        let (low, high) = roll.pitches.unwrap_or((60, 60));
        // At least an octave, so that few pitches do not look like large leaps.
        let keys = f64::from(high.saturating_sub(low).max(12)) + 1.0;
        let key = (height - 4.0) / keys;
        for note in &roll.clip.notes {
            let left = x + width * (note.start / beats).clamp(0.0, 1.0);
            let right = x + width * (note.end / beats).clamp(0.0, 1.0);
            let pitch = note.pitch.clamp(low, high.max(low)) - low;
            let top = y + height - 2.0 - key * (f64::from(pitch) + 1.0);
            let area = [left, top, (right - left - 0.5).max(1.0), key.max(1.5)];
            self.rectangle(area, (roll.colour)(note));
        }
    }

    /// The picture as the text of an SVG file, or of an element of HTML.
    pub fn svg(&self) -> String {
        let [width, height] = self.size;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\">\n{}</svg>\n",
            self.body
        )
    }
}

/// The colour of a number in a heat map.
fn heat(value: f64) -> String {
    let full = if value < 0.0 { [106.0, 158.0, 214.0] } else { [239.0, 164.0, 88.0] };
    let share = value.abs().min(1.0);
    let part = full.map(|full: f64| format!("{:.0}", 255.0 + share * (full - 255.0)));
    format!("rgb({})", part.join(","))
}

/// A text in which nothing is markup.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A number with as many digits as an axis needs.
pub fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1e6 => format!("{:.1}M", value / 1e6),
        size if size >= 1e4 => format!("{:.0}k", value / 1e3),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.1}"),
        size if size >= 0.001 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    }
}

/// A count as a length.
pub fn as_float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Names with markup in them stay text, and numbers that are none are left out of curves.
    #[test]
    fn strange_names_and_numbers_are_drawn() {
        let mut picture = Picture::new(300.0, 200.0);
        let points = vec![[0.0, f64::NAN], [1.0, 2.0], [f64::INFINITY, 0.0]];
        let curve = Curve { name: "<loss> & \"co\"".to_owned(), points };
        picture.chart(
            [0.0, 0.0, 300.0, 200.0],
            "",
            &[curve, Curve { name: String::new(), points: vec![] }],
        );
        picture.bars([0.0, 0.0, 100.0, 20.0], &[("a".to_owned(), "1".to_owned(), f64::NAN)]);
        let svg = picture.svg();
        assert!(svg.contains("&lt;loss&gt; &amp; &quot;co&quot;"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    // Numbers are told by text and colour, also where they are none or far beyond 1.
    #[test]
    fn heat_maps_hold_any_number() {
        let mut picture = Picture::new(300.0, 200.0);
        let rows = [vec![Some(1.0), Some(-1e9)], vec![None, Some(f64::NAN)]];
        picture.heat_map([0.0, 0.0], [50.0, 20.0], &["a", "<b>"], &rows);
        let svg = picture.svg();
        for text in
            ["+1.00", "-1000000000.00", "–", "&lt;b&gt;", "rgb(239,164,88)", "rgb(106,158,214)"]
        {
            assert!(svg.contains(text), "no {text} in {svg}");
        }
        assert!(!svg.contains("NaN"), "{svg}");
    }

    // Notes have the colours that are asked for, and the same pitch lies at the same height in rolls of the
    // same pitches; where there is room, beats have lines.
    #[test]
    fn rolls_of_the_same_pitches_compare() {
        let note =
            |pitch, start| Note { start, end: 4.0, pitch, velocity: 80, channel: 0, program: 0 };
        let drawn = |pitches: &[u8]| {
            let notes = pitches.iter().map(|&pitch| note(pitch, 0.0)).collect();
            let clip = Clip::new(notes, 4.0);
            let colour = |note: &Note| COLOURS[usize::from(note.pitch == 64)];
            let mut picture = Picture::new(400.0, 80.0);
            let roll = Roll { clip: &clip, pitches: Some((48, 72)), colour: &colour };
            picture.roll_of([0.0, 0.0, 400.0, 80.0], &roll);
            picture.svg()
        };
        let row = |svg: &str, colour: &str| {
            svg.lines().find(|line| line.contains(colour)).map(str::to_owned)
        };
        let (one, two) = (drawn(&[64]), drawn(&[50, 64]));
        assert_eq!(row(&one, COLOURS[1]), row(&two, COLOURS[1]));
        assert!(row(&one, COLOURS[0]).is_none() && row(&two, COLOURS[0]).is_some());
        // Paper and three beats.
        assert_eq!(one.matches("#ffffff").count(), 4);
    }

    // Every note of a clip is a rectangle inside the roll, also beyond the clip's end.
    #[test]
    fn rolls_stay_in_their_area() {
        let note =
            |pitch, start, end| Note { start, end, pitch, velocity: 80, channel: 0, program: 0 };
        let clip = Clip::new(vec![note(0, 0.0, 1.0), note(127, 3.0, 99.0)], 4.0);
        let mut picture = Picture::new(10.0, 10.0);
        let before = picture.svg().matches("<rect").count();
        picture.roll([100.0, 50.0, 200.0, 80.0], &clip, COLOURS[0]);
        let svg = picture.svg();
        assert_eq!(svg.matches("<rect").count() - before, 3);
        for rectangle in svg.lines().filter(|line| line.contains(COLOURS[0])) {
            let value = |name: &str| -> f64 {
                let from =
                    rectangle.find(&format!(" {name}=\"")).expect("present") + name.len() + 3;
                let length = rectangle[from..].find('"').expect("closed");
                rectangle[from..from + length].parse().expect("a number")
            };
            assert!(value("x") >= 100.0 && value("x") + value("width") <= 300.5, "{rectangle}");
            assert!(value("y") >= 49.0 && value("y") + value("height") <= 131.0, "{rectangle}");
        }
    }
}
