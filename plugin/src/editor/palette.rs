//! Colours, type sizes and the style of the few stock widgets.

use egui::{Color32, CornerRadius, FontId, Shadow, Stroke, Theme, vec2};

use crate::slots::SlotId;

/// Behind everything.
pub(super) const BACKGROUND: Color32 = Color32::from_rgb(0x17, 0x14, 0x13);
/// Cards.
pub(super) const CARD: Color32 = Color32::from_rgb(0x21, 0x1d, 0x1b);
/// Sunken areas: rolls, fields.
pub(super) const WELL: Color32 = Color32::from_rgb(0x13, 0x11, 0x10);
/// Rows of white keys in a roll.
pub(super) const ROW: Color32 = Color32::from_rgb(0x1a, 0x17, 0x16);
/// Buttons at rest.
pub(super) const RAISED: Color32 = Color32::from_rgb(0x2e, 0x29, 0x26);
/// Buttons under the pointer.
pub(super) const HOVERED: Color32 = Color32::from_rgb(0x3a, 0x34, 0x30);
/// Thin lines: borders, bar lines.
pub(super) const LINE: Color32 = Color32::from_rgb(0x3b, 0x35, 0x31);
/// Lines that should hardly be seen: beats.
pub(super) const HAIRLINE: Color32 = Color32::from_rgb(0x22, 0x1f, 0x1d);
/// Primary text.
pub(super) const TEXT: Color32 = Color32::from_rgb(0xf1, 0xea, 0xe2);
/// Secondary text.
pub(super) const SECONDARY: Color32 = Color32::from_rgb(0xb3, 0xa8, 0x9d);
/// Faint text.
pub(super) const FAINT: Color32 = Color32::from_rgb(0x9a, 0x8f, 0x85);
/// Messages.
pub(super) const WARNING: Color32 = Color32::from_rgb(0xe6, 0xb4, 0x6a);
/// A capture that records.
pub(super) const RECORD: Color32 = Color32::from_rgb(0xe8, 0x5d, 0x4e);

/// The name of the instrument.
pub(super) const TITLE_SIZE: f32 = 18.0;
/// Most text.
pub(super) const BODY_SIZE: f32 = 13.5;
/// Captions.
pub(super) const SMALL_SIZE: f32 = 11.5;

/// The corner radius of cards.
pub(super) const CARD_RADIUS: u8 = 12;
/// The corner radius of wells and buttons.
pub(super) const RADIUS: u8 = 8;

/// The font of most text.
pub(super) fn body() -> FontId {
    FontId::proportional(BODY_SIZE)
}

/// The font of captions.
pub(super) fn small() -> FontId {
    FontId::proportional(SMALL_SIZE)
}

/// A slot's own hue.
pub(super) fn slot(slot: SlotId) -> Color32 {
    blend(slot.place())
}

/// The hue of a point between A (amber, `position` 0) and B (violet, 1), by way of rose.
///
/// The path is straight in OKLCH (Björn Ottosson, "A perceptual color space for image
/// processing"), so brightness and strength stay even along it. Values outside `0..=1` are clamped.
pub(super) fn blend(position: f32) -> Color32 {
    let t = if position.is_finite() { position.clamp(0.0, 1.0) } else { 0.0 };
    let lightness = 0.80 - 0.10 * t;
    let chroma = 0.125 + 0.025 * t;
    let hue = (70.0 - 142.0 * t).to_radians();
    let (a, b) = (chroma * hue.cos(), chroma * hue.sin());
    let long = (lightness + 0.396_337_78 * a + 0.215_803_76 * b).powi(3);
    let medium = (lightness - 0.105_561_346 * a - 0.063_854_17 * b).powi(3);
    let short = (lightness - 0.089_484_18 * a - 1.291_485_5 * b).powi(3);
    let red = 4.076_741_7 * long - 3.307_711_6 * medium + 0.230_969_94 * short;
    let green = -1.268_438 * long + 2.609_757_4 * medium - 0.341_319_4 * short;
    let blue = -0.004_196_086_3 * long - 0.703_418_6 * medium + 1.707_614_7 * short;
    egui::Rgba::from_rgb(red.clamp(0.0, 1.0), green.clamp(0.0, 1.0), blue.clamp(0.0, 1.0)).into()
}

/// `colour` with its opacity multiplied by `opacity`.
pub(super) fn faded(colour: Color32, opacity: f32) -> Color32 {
    colour.gamma_multiply(opacity.clamp(0.0, 1.0))
}

/// Gives tooltips, menus and text fields the editor's look.
pub(super) fn apply(context: &egui::Context) {
    context.set_theme(Theme::Dark);
    context.style_mut_of(Theme::Dark, |style| {
        for font in style.text_styles.values_mut() {
            font.size = BODY_SIZE;
        }
        if let Some(font) = style.text_styles.get_mut(&egui::TextStyle::Small) {
            font.size = SMALL_SIZE;
        }
        style.spacing.item_spacing = vec2(8.0, 6.0);
        style.spacing.button_padding = vec2(10.0, 5.0);
        style.spacing.interact_size.y = 26.0;
        style.spacing.menu_margin = egui::Margin::same(8);
        style.spacing.tooltip_width = 260.0;
        style.interaction.tooltip_delay = 0.45;
        style.interaction.interact_radius = 2.0;
        style.interaction.selectable_labels = false;
        let visuals = &mut style.visuals;
        visuals.override_text_color = Some(TEXT);
        visuals.panel_fill = BACKGROUND;
        visuals.window_fill = RAISED;
        visuals.window_stroke = Stroke::new(1.0, LINE);
        visuals.menu_corner_radius = CornerRadius::same(RADIUS);
        visuals.window_corner_radius = CornerRadius::same(CARD_RADIUS);
        let shadow =
            Shadow { offset: [0, 6], blur: 20, spread: 0, color: Color32::from_black_alpha(110) };
        visuals.popup_shadow = shadow;
        visuals.window_shadow = shadow;
        visuals.extreme_bg_color = WELL;
        visuals.selection.bg_fill = faded(blend(0.5), 0.45);
        visuals.selection.stroke = Stroke::new(1.0, TEXT);
        for (widget, fill) in [
            (&mut visuals.widgets.noninteractive, RAISED),
            (&mut visuals.widgets.inactive, RAISED),
            (&mut visuals.widgets.hovered, HOVERED),
            (&mut visuals.widgets.active, HOVERED),
            (&mut visuals.widgets.open, HOVERED),
        ] {
            widget.bg_fill = fill;
            widget.weak_bg_fill = fill;
            widget.bg_stroke = Stroke::NONE;
            widget.fg_stroke = Stroke::new(1.0, TEXT);
            widget.corner_radius = CornerRadius::same(RADIUS - 2);
            widget.expansion = 0.0;
        }
        visuals.widgets.noninteractive.bg_stroke = Stroke::new(1.0, LINE);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast ratio of text and background (WCAG 2).
    fn contrast(text: Color32, behind: Color32) -> f32 {
        let luminance = |colour: Color32| {
            let rgba = egui::Rgba::from(colour);
            0.2126 * rgba.r() + 0.7152 * rgba.g() + 0.0722 * rgba.b()
        };
        (luminance(text) + 0.05) / (luminance(behind) + 0.05)
    }

    /// All text can be read: its contrast is at least 4.5, and every point of the hue path stands
    /// out from a card as much.
    #[test]
    fn text_can_be_read() {
        for text in [TEXT, SECONDARY, WARNING] {
            for behind in [BACKGROUND, CARD, WELL, RAISED, HOVERED] {
                assert!(contrast(text, behind) >= 4.5, "{text:?} on {behind:?}");
            }
        }
        for behind in [BACKGROUND, CARD, WELL, RAISED] {
            assert!(contrast(FAINT, behind) >= 4.5, "{behind:?}");
        }
        for step in 0..=20_u8 {
            let colour = blend(f32::from(step) / 20.0);
            assert!(contrast(colour, CARD) >= 4.5, "{colour:?}");
        }
    }

    /// Positions out of range, or not numbers, give the nearest end.
    #[test]
    fn positions_are_clamped() {
        assert_eq!(blend(-3.0), slot(SlotId::A));
        assert_eq!(blend(3.0), blend(1.0));
        assert_eq!(blend(f32::NAN), slot(SlotId::A));
    }
}
