//! The editor, a function of plain data.
//!
//! [`draw`] paints a [`View`] and returns the [`Action`]s of the user. It depends on neither
//! plug-in nor host: the caller fills the view from the parameters and the worker, and carries out
//! the actions. [`EditorState`] holds what only concerns the window, such as an open file browser.

mod browser;
mod controls;
mod fader;
mod icon;
mod key;
mod morph;
mod number;
mod palette;
mod roll;
mod seed;
mod shaping;
mod slider;
mod slot;
mod sound;
mod stage;
mod status;
pub mod strip;
mod style;
mod view;
mod widget;

use std::path::{Path, PathBuf};

use browser::{Browser, Outcome, Purpose};
use egui::{Rect, Ui, Vec2, pos2, vec2};

use crate::shape::Attribute;
use crate::slots::{Position, SLOTS};
use crate::sound::PARTS;

pub use crate::provider::Choice;
pub use crate::slots::SlotId;

pub use view::{
    Action, Capture, EngineView, Gesture, ParameterView, PatternView, SlotView, StyleView, View,
};

/// The size of a new window, in logical pixels.
pub const DEFAULT_SIZE: [f32; 2] = [860.0, 610.0];
/// The smallest size at which all controls fit, in logical pixels.
pub const MINIMUM_SIZE: [f32; 2] = [640.0, 460.0];
/// Interval between two frames of an animation, in seconds.
const FRAME: std::time::Duration = std::time::Duration::from_millis(33);

/// State of the window between frames.
#[derive(Debug, Default)]
pub struct EditorState {
    styled: bool,
    morph: slider::Hold,
    temperature: slider::Hold,
    shape: [slider::Hold; Attribute::ALL.len()],
    sound: [slider::Hold; PARTS],
    seed: Option<seed::Grab>,
    typing: Option<number::Typing>,
    dismissed: Option<String>,
    browser: Option<Browser>,
    folder: Option<PathBuf>,
}

/// Paints `view` over the whole of `ui` and returns what the user did, in order.
///
/// Call it once per frame. It asks for the next frame itself while something moves that is not in
/// the view; the caller paints one when the view changes.
pub fn draw(ui: &mut Ui, view: &View, state: &mut EditorState) -> Vec<Action> {
    if !state.styled {
        palette::apply(ui.ctx());
        state.styled = true;
    }
    if view.message.is_none() {
        state.dismissed = None;
    }
    widget::watch_keyboard(ui);
    let mut actions = Vec::new();
    let window = ui.max_rect();
    ui.painter().rect_filled(window, 0, palette::BACKGROUND);
    let places = Places::new(ui, window, view, state);

    status::header(ui, places.header, view, state, &mut actions);
    if let Some(banner) = places.banner {
        status::banner(ui, banner, view, state);
    }
    let weights = Position::new(view.parameters.morph).weights();
    let pattern = &view.pattern;
    let (_, beat) = roll::pattern_beat(pattern.position, pattern.beats_per_bar, pattern.bars);
    let files = Files::new(ui, &places, view);
    for id in SlotId::ALL {
        let around = slot::Surroundings {
            weight: weights[id.index()],
            beat: pattern.playing.then_some(beat),
            bars: pattern.bars,
            file_above: files.above == Some(id),
            can_draw: view.model.is_some(),
            has_style: view.style.counts(),
        };
        let place = places.slots[id.index()];
        slot::show(ui, place, id, &view.slots[id.index()], &around, state, &mut actions);
    }
    actions.extend(files.dropped);
    stage::show(ui, places.stage, view, state);
    morph::show(ui, places.morph, view, state, &mut actions);
    if let Some(shape) = places.shape {
        shaping::show(ui, shape, view, state, &mut actions);
    }
    controls::show(ui, places.controls, view, state, &mut actions);
    status::line(ui, places.status, view);
    state.show_browser(ui, window, &mut actions);
    actions
}

impl EditorState {
    /// Prepares for a new window: drags and open dialogues are dropped, choices are kept.
    pub fn reopen(&mut self) {
        *self = Self {
            dismissed: self.dismissed.take(),
            folder: self.folder.take(),
            ..Self::default()
        };
    }

    /// The folder in which the user chose or looked for a file last.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// Shows a folder when the file browser opens first.
    pub fn suggest_folder(&mut self, folder: &Path) {
        self.folder = Some(folder.to_owned());
    }

    fn open_browser(&mut self, purpose: Purpose) {
        self.browser = Some(Browser::new(purpose, self.folder.as_deref()));
    }

    fn show_browser(&mut self, ui: &Ui, window: Rect, actions: &mut Vec<Action>) {
        let Some(browser) = &mut self.browser else { return };
        let outcome = browser.show(ui, window);
        if matches!(outcome, Outcome::Open) {
            return;
        }
        self.folder = Some(browser.folder.clone());
        self.browser = None;
        if let Outcome::Chosen(action) = outcome {
            actions.push(action);
        }
    }
}

/// Layout of the window.
struct Places {
    header: Rect,
    banner: Option<Rect>,
    slots: [Rect; SLOTS],
    stage: Rect,
    morph: Rect,
    shape: Option<Rect>,
    controls: Rect,
    status: Rect,
}

impl Places {
    fn new(ui: &Ui, window: Rect, view: &View, state: &EditorState) -> Self {
        // A smaller window cuts parts off rather than laying them over each other.
        let size = window.size().max(Vec2::from(MINIMUM_SIZE));
        let compact = size.y < 500.0;
        let margin = if size.x < 760.0 { 12.0 } else { 16.0 };
        let gap = if compact { 8.0 } else { 12.0 };
        let left = window.left() + margin;
        let width = size.x - 2.0 * margin;
        let band =
            |top: f32, height: f32| Rect::from_min_size(pos2(left, top), vec2(width, height));

        let header = band(window.top() + if compact { 6.0 } else { 10.0 }, 34.0);
        let mut top = header.bottom() + gap - 2.0;
        let banner = status::banner_height(ui, width, compact, view, state).map(|height| {
            let banner = band(top, height);
            top = banner.bottom() + gap;
            banner
        });
        let bottom = window.top() + size.y;
        let status = band(bottom - 26.0, 20.0);
        let controls_height = if compact { 48.0 } else { 58.0 };
        let controls = band(status.top() - 6.0 - controls_height, controls_height);
        let mut below_morph = controls.top();
        let shape = shaping::is_shown(view).then(|| {
            let height = if compact { 44.0 } else { 54.0 };
            let row = band(below_morph - 8.0 - height, height);
            below_morph = row.top();
            row
        });
        let morph_height = if compact { 72.0 } else { 88.0 };
        let morph = band(below_morph - morph_height, morph_height);
        let cards = band(top, (morph.top() - 4.0 - top).max(120.0));

        let slot_width = (width * 0.225).clamp(150.0, 270.0);
        // The first slot at the left, the next at the right, further ones below.
        let [mut rows, mut row] = [0.0_f32; 2];
        SlotId::ALL.iter().step_by(2).for_each(|_| rows += 1.0);
        let height = (cards.height() - (rows - 1.0) * gap) / rows;
        let slots = SlotId::ALL.map(|id| {
            let is_left = id.index() % 2 == 0;
            let left = if is_left { cards.left() } else { cards.right() - slot_width };
            let top = cards.top() + row * (height + gap);
            if !is_left {
                row += 1.0;
            }
            Rect::from_min_size(pos2(left, top), vec2(slot_width, height))
        });
        let stage = Rect::from_min_max(
            pos2(cards.left() + slot_width + gap, cards.top()),
            pos2(cards.right() - slot_width - gap, cards.bottom()),
        );
        Self { header, banner, slots, stage, morph, shape, controls, status }
    }

    /// The slot that a file at `position` is meant for: the nearest in its half of the window.
    fn slot_at(&self, position: egui::Pos2) -> SlotId {
        let is_left = position.x < self.stage.center().x;
        let half = SlotId::ALL.into_iter().filter(|id| (id.index() % 2 == 0) == is_left);
        let far = |id: &SlotId| (self.slots[id.index()].center().y - position.y).abs();
        half.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(SlotId::A)
    }
}

/// Files dragged over the window or dropped on it.
struct Files {
    above: Option<SlotId>,
    dropped: Vec<Action>,
}

impl Files {
    fn new(ui: &Ui, places: &Places, view: &View) -> Self {
        let first_empty = SlotId::ALL
            .into_iter()
            .find(|id| view.slots[id.index()].clip.is_none())
            .unwrap_or(SlotId::A);
        ui.input(|input| {
            let target =
                input.pointer.latest_pos().map_or(first_empty, |position| places.slot_at(position));
            // As many files as there are slots fill them; more are learnt from.
            let mut order = SlotId::ALL;
            order.rotate_left(target.index());
            let paths = input.raw.dropped_files.iter().map(|file| file.path().to_path_buf());
            let dropped = if input.raw.dropped_files.len() > order.len() {
                vec![Action::LearnFiles(paths.collect())]
            } else {
                order.into_iter().zip(paths).map(|(id, path)| Action::LoadFile(id, path)).collect()
            };
            Self { above: (!input.raw.hovered_files.is_empty()).then_some(target), dropped }
        })
    }
}

#[cfg(test)]
mod tests;
