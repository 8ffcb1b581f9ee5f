//! The morph as a picture: a piano roll for each cycle below each other, A on top and B at the bottom.

use std::sync::Arc;

use anyhow::Context;
use interlude_models::clip::{Clip, Note};
use interlude_picture::{COLOURS, Picture, Roll, as_float};
use resvg::{tiny_skia, usvg};

use super::report::step;

/// Colours of notes, by the clip that has them, too.
const A: &str = COLOURS[1];
const B: &str = COLOURS[0];
const BOTH: &str = COLOURS[2];
const NEITHER: &str = COLOURS[3];

/// Pixels of a row of notes, whatever the number of bars.
const ROLL_WIDTH: f64 = 1024.0;
const MARGIN: f64 = 32.0;
const LABELS: f64 = 128.0;
const SHARES: f64 = 176.0;
const HEADER: f64 = 118.0;
const GAP: f64 = 10.0;
const NOTE_HEIGHT: f64 = 6.0;

/// One row of the picture.
pub(super) struct Row {
    /// What was played, in beats from the start of the cycle.
    pub(super) clip: Clip,
    /// The name on the left.
    pub(super) label: String,
    /// A second, smaller line below it.
    pub(super) detail: String,
    /// Shares of A's and B's notes that the row has, `0.0..=1.0`; `None` for A and B themselves.
    pub(super) kept: Option<[f64; 2]>,
}

/// Draws the rows below each other as a PNG file. The first row is A, the last one B.
///
/// # Errors
/// When there is no row, or the encoder fails.
pub(super) fn draw(title: &str, subtitle: &str, rows: &[Row]) -> anyhow::Result<Vec<u8>> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        anyhow::bail!("a picture needs at least one row");
    };
    let (a, b) = (&first.clip, &last.clip);
    let ranges = rows.iter().filter_map(|row| row.clip.pitch_range());
    let pitches =
        ranges.reduce(|(low, high), (lowest, highest)| (low.min(lowest), high.max(highest)));
    let keys = pitches.map_or(13.0, |(low, high)| f64::from(high - low) + 1.0);
    let lane = (keys * NOTE_HEIGHT).max(44.0) + 12.0;
    let width = MARGIN + LABELS + ROLL_WIDTH + SHARES + MARGIN;
    let height = HEADER + as_float(rows.len()) * (lane + GAP) + MARGIN;
    let mut picture = Picture::new(width, height);
    header(&mut picture, title, subtitle, width);

    for (index, row) in rows.iter().enumerate() {
        let y = HEADER + as_float(index) * (lane + GAP);
        let x = MARGIN + LABELS;
        let own = if index == 0 { Some(A) } else { None };
        let own = if index + 1 == rows.len() { Some(B) } else { own };
        let colour = |note: &Note| own.unwrap_or_else(|| origin(note, a, b));
        let roll = Roll { clip: &row.clip, pitches, colour: &colour };
        picture.roll_of([x, y, ROLL_WIDTH, lane], &roll);
        let middle = y + lane / 2.0;
        picture.text_before(&row.label, [x - 16.0, middle + 2.0], 22.0);
        picture.text_before(&row.detail, [x - 16.0, middle + 20.0], 12.0);
        if let Some([a, b]) = row.kept {
            let bar = |name: &str, share: f64| {
                (name.to_owned(), format!("{:.0} %", 100.0 * share), share)
            };
            let area = [x + ROLL_WIDTH + 8.0, middle - 20.0, SHARES - 8.0, 40.0];
            picture.bars(area, &[bar("A", a), bar("B", b)]);
        }
    }
    png(&picture.svg())
}

/// The colour of a note of a cycle.
fn origin(note: &Note, a: &Clip, b: &Clip) -> &'static str {
    let is_in = |clip: &Clip| {
        clip.notes
            .iter()
            .any(|other| other.pitch == note.pitch && step(other.start) == step(note.start))
    };
    match (is_in(a), is_in(b)) {
        (true, true) => BOTH,
        (true, false) => A,
        (false, true) => B,
        (false, false) => NEITHER,
    }
}

fn header(picture: &mut Picture, title: &str, subtitle: &str, width: f64) {
    picture.text(title, [MARGIN, 46.0], 30.0);
    picture.text(subtitle, [MARGIN, 74.0], 15.0);
    let mut x = MARGIN + LABELS;
    for (colour, words) in [(A, "as in A"), (B, "as in B"), (BOTH, "as in both"), (NEITHER, "new")]
    {
        picture.rectangle([x, 91.0, 18.0, 9.0], colour);
        picture.text(words, [x + 26.0, 100.0], 14.0);
        x += 110.0;
    }
    picture.text_before("notes kept", [width - MARGIN, 100.0], 14.0);
}

/// An SVG picture as a PNG file.
fn png(svg: &str) -> anyhow::Result<Vec<u8>> {
    let mut options = usvg::Options::default();
    let fonts = Arc::make_mut(&mut options.fontdb);
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts.faces().next().and_then(|face| face.families.first());
    let family = family.map(|(name, _)| name.clone()).context("the font has no name")?;
    fonts.set_sans_serif_family(family);
    let tree = usvg::Tree::from_str(svg, &options)?;
    let size = tree.size().to_int_size();
    let mut pixels = tiny_skia::Pixmap::new(size.width(), size.height())
        .context("the picture is too large; take fewer --cycles")?;
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    Ok(pixels.encode_png()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(notes: &[(u8, f64, f64)], kept: Option<[f64; 2]>) -> Row {
        let note =
            |&(pitch, start, end)| Note { start, end, pitch, velocity: 90, channel: 0, program: 0 };
        Row {
            clip: Clip::new(notes.iter().map(note).collect(), 8.0),
            label: "A".to_owned(),
            detail: String::new(),
            kept,
        }
    }

    #[test]
    fn notes_are_coloured_by_where_they_come_from() {
        // Contract: a note is coloured as A's or B's exactly when that clip has its pitch and start.
        let a = row(&[(60, 0.0, 1.0), (62, 1.0, 2.0)], None).clip;
        let b = row(&[(60, 0.0, 0.5), (64, 1.0, 2.0)], None).clip;
        let colours = [(60, 0.0, 2.0), (62, 1.0, 2.0), (64, 1.0, 2.0), (62, 2.0, 3.0)]
            .map(|note| origin(&row(&[note], None).clip.notes[0], &a, &b));
        assert_eq!(colours, [BOTH, A, B, NEITHER]);
    }

    #[test]
    fn extreme_rows_can_be_drawn() {
        // Contract: rows without notes, with the outermost pitches and with notes beyond their end
        // give a PNG file.
        let rows = [
            row(&[], None),
            row(&[(0, 0.0, 0.01), (127, 7.9, 99.0)], Some([0.0, 1.0])),
            row(&[(60, 9.0, 10.0)], None),
        ];
        let file = draw("", "", &rows).unwrap();
        assert_eq!(file[..4], [0x89, b'P', b'N', b'G']);
        assert!(draw("", "", &[]).is_err());
    }

    #[test]
    fn texts_have_letters() {
        // Contract: the font is part of the program, so that texts are drawn on any machine.
        let picture = |text: &str| {
            let mut picture = Picture::new(200.0, 40.0);
            picture.text(text, [10.0, 30.0], 20.0);
            png(&picture.svg()).unwrap()
        };
        assert_ne!(picture("morph"), picture(""));
        assert_ne!(picture("morph"), picture("klang"));
    }
}
