//! The morph as a picture: a piano roll with one row for each cycle, A on top and B at the bottom.

use interlude_models::clip::{Clip, Note};

use super::{
    canvas::{Align, Canvas, Rgb},
    report::step,
};

const BACKGROUND: Rgb = [17, 19, 26];
const LANE: Rgb = [25, 28, 38];
const GRID: Rgb = [255, 255, 255];
const TEXT: Rgb = [226, 229, 238];
const FAINT: Rgb = [139, 146, 166];
const A: Rgb = [255, 168, 76];
const B: Rgb = [88, 190, 255];
const BOTH: Rgb = [150, 226, 156];
const NEITHER: Rgb = [172, 152, 222];

/// Pixels of a row of notes, whatever the number of bars.
const ROLL_WIDTH: f32 = 1024.0;
const MARGIN: f32 = 32.0;
const LABELS: f32 = 128.0;
const SHARES: f32 = 176.0;
const HEADER: f32 = 118.0;
const GAP: f32 = 10.0;
const NOTE_HEIGHT: f32 = 6.0;

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
    let range = rows.iter().filter_map(|row| row.clip.pitch_range());
    let (low, high) =
        range.fold((127, 0), |(low, high), (lowest, highest)| (low.min(lowest), high.max(highest)));
    let (low, high) = if low > high { (60, 72) } else { (low, high) };
    let keys = f32::from(high - low) + 1.0;
    let lane = (keys * NOTE_HEIGHT).max(44.0) + 12.0;
    let count = f32::from(u16::try_from(rows.len())?);
    let width = MARGIN + LABELS + ROLL_WIDTH + SHARES + MARGIN;
    let height = HEADER + count * (lane + GAP) + MARGIN;
    let mut canvas = Canvas::new(pixels(width), pixels(height), BACKGROUND);
    header(&mut canvas, title, subtitle, width);

    for (index, row) in (0_u16..).zip(rows) {
        let y = HEADER + f32::from(index) * (lane + GAP);
        let x = MARGIN + LABELS;
        let own = if index == 0 { Some(A) } else { None };
        let own = if usize::from(index) + 1 == rows.len() { Some(B) } else { own };
        canvas.rectangle([x, y, ROLL_WIDTH, lane], 6.0, LANE, 1.0);
        grid(&mut canvas, row.clip.length, [x, y, ROLL_WIDTH, lane]);
        let middle = y + lane / 2.0;
        let at = |dy: f32| [x - 16.0, middle + dy];
        canvas.text(&row.label, at(2.0), 22.0, Align::Right, own.unwrap_or(TEXT));
        canvas.text(&row.detail, at(20.0), 13.0, Align::Right, FAINT);
        for note in &row.clip.notes {
            let colour = own.unwrap_or_else(|| origin(note, a, b));
            let per_beat = scale(ROLL_WIDTH, row.clip.length);
            let left = x + narrow(note.start) * per_beat;
            let length = narrow((note.end.min(row.clip.length) - note.start).max(0.0)) * per_beat;
            let bottom = f32::from(note.pitch.saturating_sub(low)) + 1.0;
            let key_height = (lane - 12.0) / keys;
            let top = y + lane - 6.0 - bottom * key_height;
            let area = [left + 1.0, top, (length - 2.0).max(2.0), key_height];
            canvas.rectangle(area, 2.5, colour, 0.55 + 0.45 * f32::from(note.velocity) / 127.0);
        }
        if let Some(kept) = row.kept {
            shares(&mut canvas, kept, [x + ROLL_WIDTH + 20.0, middle]);
        }
    }
    canvas.png()
}

/// A note of a cycle takes the colour of the clip that has it, too.
fn origin(note: &Note, a: &Clip, b: &Clip) -> Rgb {
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

fn header(canvas: &mut Canvas, title: &str, subtitle: &str, width: f32) {
    canvas.text(title, [MARGIN, 46.0], 30.0, Align::Left, TEXT);
    canvas.text(subtitle, [MARGIN, 74.0], 15.0, Align::Left, FAINT);
    let mut x = MARGIN + LABELS;
    for (colour, words) in [(A, "as in A"), (B, "as in B"), (BOTH, "as in both"), (NEITHER, "new")]
    {
        canvas.rectangle([x, 91.0, 18.0, 9.0], 3.0, colour, 1.0);
        canvas.text(words, [x + 26.0, 100.0], 14.0, Align::Left, FAINT);
        x += 110.0;
    }
    let right = width - MARGIN;
    canvas.text("notes kept", [right - SHARES + 20.0, 100.0], 14.0, Align::Left, FAINT);
}

/// Lines at beats and, stronger, at bars.
fn grid(canvas: &mut Canvas, beats: f64, [x, y, width, height]: [f32; 4]) {
    let mut beat = 1_u16;
    while f64::from(beat) < beats {
        let strong = beat.is_multiple_of(4);
        let left = x + f32::from(beat) * scale(width, beats);
        canvas.rectangle([left - 0.5, y, 1.0, height], 0.0, GRID, if strong { 0.22 } else { 0.06 });
        beat += 1;
    }
}

/// Two bars with percentages.
fn shares(canvas: &mut Canvas, kept: [f64; 2], [x, middle]: [f32; 2]) {
    for ((share, name, colour), y) in
        [(kept[0], "A", A), (kept[1], "B", B)].into_iter().zip([middle - 16.0, middle + 6.0])
    {
        canvas.text(name, [x, y + 9.5], 13.0, Align::Left, colour);
        canvas.rectangle([x + 18.0, y, 84.0, 10.0], 5.0, LANE, 1.0);
        let length = narrow(share.clamp(0.0, 1.0)) * 84.0;
        if length > 0.0 {
            canvas.rectangle([x + 18.0, y, length.max(10.0), 10.0], 5.0, colour, 1.0);
        }
        let words = format!("{:.0} %", share * 100.0);
        canvas.text(&words, [x + 152.0, y + 9.5], 13.0, Align::Right, FAINT);
    }
}

fn scale(width: f32, beats: f64) -> f32 {
    width / narrow(beats.max(0.25))
}

#[expect(clippy::cast_possible_truncation, reason = "pixels need no more digits")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole, positive number of pixels; the canvas bounds it"
)]
fn pixels(length: f32) -> u32 {
    length.ceil() as u32
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
        let png = draw("", "", &rows).unwrap();
        assert_eq!(png[..4], [0x89, b'P', b'N', b'G']);
        assert!(draw("", "", &[]).is_err());
    }
}
