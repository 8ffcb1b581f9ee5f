//! Rectangles, lines and text on a pixel picture.

use skrifa::{
    FontRef, MetadataProvider,
    instance::{LocationRef, Size},
    outline::{DrawSettings, OutlinePen},
};
use tiny_skia::{Color, FillRule, Paint, PathBuilder, Pixmap, Rect, Transform};

/// A colour: red, green, blue.
pub(super) type Rgb = [u8; 3];

/// How a text lies at its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// The text begins at the point.
    Left,
    /// The text ends at the point.
    Right,
}

/// A picture to draw on. Lengths are in pixels, from the top left corner.
pub(super) struct Canvas {
    pixels: Pixmap,
    font: FontRef<'static>,
}

impl Canvas {
    /// An opaque picture of one colour; at least one pixel in each direction.
    pub(super) fn new(width: u32, height: u32, background: Rgb) -> Self {
        let mut pixels = Pixmap::new(width.clamp(1, 8192), height.clamp(1, 8192))
            .expect("sizes between 1 and 8192 fit");
        let [red, green, blue] = background;
        pixels.fill(Color::from_rgba8(red, green, blue, 255));
        let font = FontRef::new(epaint_default_fonts::UBUNTU_LIGHT)
            .expect("the font is part of the program");
        Self { pixels, font }
    }

    /// A filled rectangle with rounded corners; nothing when it has no area.
    pub(super) fn rectangle(&mut self, area: [f32; 4], radius: f32, colour: Rgb, opacity: f32) {
        let [x, y, width, height] = area;
        let radius = radius.min(width / 2.0).min(height / 2.0).max(0.0);
        let mut path = PathBuilder::new();
        if radius > 0.0 {
            let (right, bottom) = (x + width, y + height);
            path.move_to(x + radius, y);
            path.line_to(right - radius, y);
            path.quad_to(right, y, right, y + radius);
            path.line_to(right, bottom - radius);
            path.quad_to(right, bottom, right - radius, bottom);
            path.line_to(x + radius, bottom);
            path.quad_to(x, bottom, x, bottom - radius);
            path.line_to(x, y + radius);
            path.quad_to(x, y, x + radius, y);
            path.close();
        } else if let Some(rect) = Rect::from_xywh(x, y, width, height) {
            path.push_rect(rect);
        }
        self.fill(path, colour, opacity);
    }

    /// A line of text with its baseline at `y`.
    pub(super) fn text(
        &mut self,
        text: &str,
        [x, y]: [f32; 2],
        size: f32,
        align: Align,
        colour: Rgb,
    ) {
        let start = match align {
            Align::Left => x,
            Align::Right => x - self.width_of(text, size),
        };
        let outlines = self.font.outline_glyphs();
        let charmap = self.font.charmap();
        let metrics = self.font.glyph_metrics(Size::new(size), LocationRef::default());
        let mut pen = Pen { path: PathBuilder::new(), x: start, y };
        for character in text.chars() {
            let glyph = charmap.map(character).unwrap_or_default();
            let settings = DrawSettings::unhinted(Size::new(size), LocationRef::default());
            if let Some(outline) = outlines.get(glyph) {
                // A glyph that cannot be drawn leaves a gap, which is all a label can do about it.
                let _ = outline.draw(settings, &mut pen);
            }
            pen.x += metrics.advance_width(glyph).unwrap_or(0.0);
        }
        self.fill(pen.path, colour, 1.0);
    }

    /// The picture as a PNG file.
    ///
    /// # Errors
    /// When the encoder fails.
    pub(super) fn png(&self) -> anyhow::Result<Vec<u8>> {
        Ok(self.pixels.encode_png()?)
    }

    fn width_of(&self, text: &str, size: f32) -> f32 {
        let charmap = self.font.charmap();
        let metrics = self.font.glyph_metrics(Size::new(size), LocationRef::default());
        text.chars()
            .map(|character| {
                metrics.advance_width(charmap.map(character).unwrap_or_default()).unwrap_or(0.0)
            })
            .sum()
    }

    fn fill(&mut self, path: PathBuilder, [red, green, blue]: Rgb, opacity: f32) {
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        let mut colour = Color::from_rgba8(red, green, blue, 255);
        colour.set_alpha(opacity.clamp(0.0, 1.0));
        paint.set_color(colour);
        if let Some(path) = path.finish() {
            self.pixels.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
        }
    }
}

/// Moves glyph outlines, whose y axis points up, to their place in the picture.
struct Pen {
    path: PathBuilder,
    x: f32,
    y: f32,
}

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.x + x, self.y - y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.x + x, self.y - y);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.path.quad_to(self.x + cx, self.y - cy, self.x + x, self.y - y);
    }

    fn curve_to(&mut self, cx0: f32, cy0: f32, cx1: f32, cy1: f32, x: f32, y: f32) {
        self.path.cubic_to(
            self.x + cx0,
            self.y - cy0,
            self.x + cx1,
            self.y - cy1,
            self.x + x,
            self.y - y,
        );
    }

    fn close(&mut self) {
        self.path.close();
    }
}
