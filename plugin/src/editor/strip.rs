//! The strip above the editor of the stand-alone program: transport, tempo and MIDI ports.
//!
//! Like the editor a function of plain data: [`draw`] paints a [`StripView`] and returns what the
//! user did.

use egui::accesskit::Role;
use egui::{
    Align2, DragValue, Id, Popup, PopupCloseBehavior, Rect, RectAlign, Sense, Ui, WidgetInfo, pos2,
    vec2,
};

use super::icon::Icon;
use super::palette;
use super::widget::{self, Button};
use crate::transport::PATTERN_BAR_BEATS;

/// Height of the row of controls, in logical pixels.
const ROW: f32 = 50.0;
/// Height of the line for a notice, in logical pixels.
const NOTICE: f32 = 24.0;

/// Direction of MIDI: to Interlude or from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What is played to Interlude.
    In,
    /// What Interlude plays.
    Out,
}

impl Way {
    /// Both, in the order in which they stand.
    pub const ALL: [Self; 2] = [Self::In, Self::Out];

    /// Its place in arrays.
    pub fn index(self) -> usize {
        self as usize
    }

    fn name(self) -> &'static str {
        match self {
            Self::In => "MIDI in",
            Self::Out => "MIDI out",
        }
    }
}

/// The MIDI ports of one way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortsView {
    /// Interlude's own port, to which other programs connect themselves.
    pub own: Option<String>,
    /// The ports of other programs and devices.
    pub others: Vec<String>,
    /// The one that Interlude is connected to.
    pub chosen: Option<String>,
}

/// Content of the strip.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StripView {
    /// Whether the transport rolls.
    pub playing: bool,
    /// Song position in whole beats from 0.
    pub beat: u32,
    /// Beats per minute.
    pub tempo: f64,
    /// The tempos that can be set.
    pub tempos: (f64, f64),
    /// Clock of the transport, as text: "JACK, 48 kHz".
    pub clock: String,
    /// The ports, by [`Way::index`].
    pub ports: [PortsView; 2],
    /// Notice about MIDI, for the user.
    pub notice: Option<String>,
}

impl StripView {
    /// The height that the strip takes, in logical pixels.
    pub fn height(&self) -> f32 {
        if self.notice.is_some() { ROW + NOTICE } else { ROW }
    }
}

/// An action of the user.
#[derive(Clone, Debug, PartialEq)]
pub enum StripAction {
    /// Start at bar 1, or stop.
    Play(bool),
    /// Set the tempo in beats per minute.
    Tempo(f64),
    /// Connect to this port, or to none.
    Choose(Way, Option<String>),
    /// List the ports again.
    Refresh,
}

/// Paints the strip at the top of `ui`, as wide as it is, and returns what the user did.
pub fn draw(ui: &mut Ui, view: &StripView) -> Vec<StripAction> {
    let mut actions = Vec::new();
    let whole = Rect::from_min_size(ui.max_rect().min, vec2(ui.max_rect().width(), view.height()));
    ui.painter().rect_filled(whole, 0, palette::CARD);
    let line = [whole.left_bottom(), whole.right_bottom()];
    ui.painter().line_segment(line, egui::Stroke::new(1.0, palette::LINE));
    let row = Rect::from_min_size(whole.min, vec2(whole.width(), ROW)).shrink2(vec2(16.0, 9.0));

    let place = Rect::from_min_size(row.min, vec2(82.0, row.height()));
    let (icon, text, hint) = if view.playing {
        (Icon::Stop, "Stop", "Stop and return to bar 1. The space bar does it too.")
    } else {
        (Icon::Play, "Play", "Start at bar 1. The space bar does it too.")
    };
    let play = Button {
        id: Id::unique("play"),
        rect: place,
        icon: Some(icon),
        text,
        label: text,
        hint,
        enabled: true,
        raised: true,
    };
    if play.show(ui).clicked() {
        actions.push(StripAction::Play(!view.playing));
    }
    let right = position(ui, pos2(place.right() + 16.0, row.center().y), view);
    let right = tempo(ui, pos2(right + 18.0, row.center().y), view, &mut actions);

    let room = (row.right() - right - 18.0).max(0.0);
    let width = ((room - 8.0) / 2.0).clamp(90.0, 176.0);
    let mut left = row.right() - 2.0 * width - 8.0;
    let clock_room = left - right - 32.0;
    if clock_room > 70.0 {
        let small = palette::small();
        let at = pos2(right + 16.0, row.center().y);
        let anchor = Align2::LEFT_CENTER;
        widget::text(ui.painter(), at, anchor, &view.clock, small, palette::FAINT, clock_room);
    }
    for way in Way::ALL {
        let place = Rect::from_min_size(pos2(left, row.top()), vec2(width, row.height()));
        port_menu(ui, place, way, &view.ports[way.index()], &view.clock, &mut actions);
        left += width + 8.0;
    }

    if let Some(notice) = &view.notice {
        let place = Rect::from_min_max(pos2(row.left(), whole.top() + ROW), whole.max);
        let dot = pos2(place.left() + 4.0, place.center().y - 5.0);
        ui.painter().circle_filled(dot, 3.5, palette::WARNING);
        let at = pos2(place.left() + 16.0, dot.y);
        let (small, room) = (palette::small(), row.right() - at.x);
        let anchor = Align2::LEFT_CENTER;
        widget::text(ui.painter(), at, anchor, notice, small, palette::TEXT, room);
        let response = ui.interact(place, Id::unique("notice"), Sense::hover());
        response.widget_info(|| WidgetInfo::labeled(Role::Alert, true, notice));
        response.on_hover_text(notice);
    }
    actions
}

/// Paints the position and returns its right edge.
fn position(ui: &mut Ui, left: egui::Pos2, view: &StripView) -> f32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small constant")]
    let beats_per_bar = PATTERN_BAR_BEATS as u32;
    let text = format!("{}.{}", view.beat / beats_per_bar + 1, view.beat % beats_per_bar + 1);
    let painter = ui.painter();
    let (small, body) = (palette::small(), palette::body());
    let anchor = Align2::LEFT_CENTER;
    let caption = widget::text(painter, left, anchor, "Bar", small, palette::FAINT, 40.0);
    let at = pos2(caption.right() + 7.0, left.y);
    let colour = if view.playing { palette::TEXT } else { palette::SECONDARY };
    widget::text(painter, at, anchor, &text, body, colour, 60.0);
    // Room for three digits, so that nothing moves while it counts.
    let right = at.x + 42.0;
    let place = Rect::from_min_max(left - vec2(0.0, 12.0), pos2(right, left.y + 12.0));
    let response = ui.interact(place, Id::unique("position"), Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("Bar {text}")));
    right
}

/// Shows the tempo's field and returns its right edge.
fn tempo(ui: &mut Ui, left: egui::Pos2, view: &StripView, actions: &mut Vec<StripAction>) -> f32 {
    let anchor = Align2::LEFT_CENTER;
    let small = palette::small();
    let caption = widget::text(ui.painter(), left, anchor, "Tempo", small, palette::FAINT, 60.0);
    let field = Rect::from_min_size(pos2(caption.right() + 8.0, left.y - 14.0), vec2(84.0, 28.0));
    let mut tempo = view.tempo;
    let (slowest, fastest) = view.tempos;
    let value = DragValue::new(&mut tempo)
        .range(slowest..=fastest)
        .speed(0.25)
        .max_decimals(2)
        .suffix(" BPM");
    let response = ui.put(field, value);
    response
        .accessible_name("Tempo")
        .on_hover_text("Beats per minute. Drag, or click and write a number.");
    #[expect(clippy::float_cmp, reason = "a value that nobody touched is the same value")]
    if tempo != view.tempo {
        actions.push(StripAction::Tempo(tempo));
    }
    field.right()
}

fn port_menu(
    ui: &mut Ui,
    rect: Rect,
    way: Way,
    ports: &PortsView,
    clock: &str,
    actions: &mut Vec<StripAction>,
) {
    let nothing = match (&ports.own, ports.others.is_empty()) {
        (Some(_), _) => "own port",
        (None, false) => "not connected",
        (None, true) => "none",
    };
    let shown = ports.chosen.as_deref().unwrap_or(nothing);
    let response = ui.interact(rect, Id::unique(way.name()), Sense::click());
    response.widget_info(|| {
        let label = format!("{}: {shown}", way.name());
        WidgetInfo::labeled(Role::Button, ui.is_enabled(), label)
    });
    if response.clicked() {
        actions.push(StripAction::Refresh);
    }
    let popup = response.id.with("popup");
    let open = Popup::is_id_open(ui.ctx(), popup);
    let hover = ui.ctx().animate_bool(response.id.with("hover"), response.hovered() || open);
    let fill = palette::RAISED.lerp_to_gamma(palette::HOVERED, hover);
    let painter = ui.painter();
    painter.rect_filled(rect, palette::RADIUS, fill);
    let (small, centre) = (palette::small(), rect.center().y);
    let caption = pos2(rect.left() + 12.0, centre);
    let anchor = Align2::LEFT_CENTER;
    let caption = widget::text(painter, caption, anchor, way.name(), small, palette::FAINT, 60.0);
    let left = pos2(caption.right() + 9.0, centre);
    let room = rect.right() - 26.0 - left.x;
    let colour = if ports.chosen.is_some() { palette::TEXT } else { palette::SECONDARY };
    widget::text(painter, left, anchor, shown, palette::body(), colour, room);
    Icon::Chevron.paint(painter, pos2(rect.right() - 15.0, centre), palette::SECONDARY);
    widget::focus_ring(ui, &response, rect, palette::RADIUS);

    let width = rect.width().max(280.0);
    Popup::menu(&response)
        .id(popup)
        .align(RectAlign::BOTTOM_END)
        .width(width)
        .gap(6.0)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .accessible_name(way.name())
        .show(|ui| {
            ui.set_width(width - 16.0);
            ui.spacing_mut().item_spacing.y = 2.0;
            let none = match &ports.own {
                Some(own) => format!("Only its own port, {own}"),
                None => "Not connected".to_owned(),
            };
            if widget::menu_row(ui, (way.name(), usize::MAX), &none, ports.chosen.is_none()) {
                actions.push(StripAction::Choose(way, None));
                ui.close();
            }
            egui::ScrollArea::vertical().max_height(240.0).show(ui, |ui| {
                for (index, name) in ports.others.iter().enumerate() {
                    let chosen = ports.chosen.as_deref() == Some(name);
                    if widget::menu_row(ui, (way.name(), index), name, chosen) {
                        actions.push(StripAction::Choose(way, Some(name.clone())));
                        ui.close();
                    }
                }
            });
            if ports.others.is_empty() {
                ui.label("No other program or device offers a port.");
            }
            ui.separator();
            if widget::menu_row(ui, (way.name(), usize::MAX - 1), "Look again", false) {
                actions.push(StripAction::Refresh);
            }
        });
    response.on_hover_text(match way {
        Way::In => format!("Where the notes that you play come from. In time with {clock}."),
        Way::Out => format!(
            "Where the notes go: choose a synthesiser, since Interlude makes no sound of its own. \
             In time with {clock}."
        ),
    });
}
