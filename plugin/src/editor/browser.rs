//! A file browser inside the window: plug-ins cannot count on a host's or a desktop's dialogs.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use egui::accesskit::Role;
use egui::{Align2, Color32, Id, Key, Rect, Sense, Stroke, TextEdit, Ui, WidgetInfo, pos2, vec2};

use super::icon::Icon;
use super::palette;
use super::view::Action;
use super::widget::{self, Button};
use crate::slots::SlotId;

/// The most entries of a folder that are listed.
const ENTRIES_MAX: usize = 5000;
/// The height of one entry.
const ROW: f32 = 28.0;
/// The name that a saved pattern gets unless the user writes another, or there is such a file.
const EXPORT_NAME: &str = "interlude.mid";

/// What the chosen file is for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Purpose {
    /// Read a clip from it.
    Load(SlotId),
    /// Write the pattern to it.
    Export,
    /// Learn from it, and from others.
    Learn,
}

/// An open file browser.
#[derive(Debug)]
pub(super) struct Browser {
    purpose: Purpose,
    /// The folder that is listed.
    pub(super) folder: PathBuf,
    /// What stands in the path field.
    path: String,
    /// What stands in the file name field.
    name: String,
    /// The name that the browser wrote there.
    suggested: String,
    /// Whether the name is to be written when it is painted next.
    writes: bool,
    /// Whether the user was told that there is such a file.
    warned: bool,
    entries: Vec<Entry>,
    /// Files that were picked to learn from; in this folder only.
    picked: BTreeSet<PathBuf>,
    /// Why the folder cannot be listed.
    problem: Option<String>,
}

#[derive(Debug)]
struct Entry {
    name: String,
    path: PathBuf,
    is_folder: bool,
}

/// What became of the browser in this frame.
pub(super) enum Outcome {
    /// It stays open.
    Open,
    /// The user closed it.
    Closed,
    /// The user chose a file.
    Chosen(Action),
}

impl Browser {
    /// A browser in `folder`, or in the home folder when there is none.
    pub(super) fn new(purpose: Purpose, folder: Option<&Path>) -> Self {
        let folder = folder
            .map(Path::to_path_buf)
            .filter(|folder| folder.is_dir())
            .or_else(std::env::home_dir)
            .unwrap_or_else(|| PathBuf::from(std::path::MAIN_SEPARATOR_STR));
        let mut browser = Self {
            purpose,
            folder: PathBuf::new(),
            path: String::new(),
            name: String::new(),
            suggested: String::new(),
            writes: purpose == Purpose::Export,
            warned: false,
            entries: Vec::new(),
            picked: BTreeSet::new(),
            problem: None,
        };
        browser.enter(folder);
        browser
    }

    /// Lists a folder.
    fn enter(&mut self, folder: PathBuf) {
        self.path = folder.display().to_string();
        self.problem = None;
        self.picked.clear();
        self.warned = false;
        if self.purpose == Purpose::Export && self.name == self.suggested {
            self.suggested = free_name(&folder);
            self.name.clone_from(&self.suggested);
        }
        match entries(&folder) {
            Ok(entries) => self.entries = entries,
            Err(error) => {
                self.entries.clear();
                self.problem = Some(format!("This folder cannot be opened: {error}."));
            }
        }
        self.folder = folder;
    }

    /// Paints the browser over the window.
    pub(super) fn show(&mut self, ui: &Ui, window: Rect) -> Outcome {
        let size = vec2((window.width() - 48.0).min(560.0), (window.height() - 48.0).min(440.0));
        let frame = egui::Frame::new()
            .fill(palette::CARD)
            .stroke(Stroke::new(1.0, palette::LINE))
            .corner_radius(palette::CARD_RADIUS)
            .inner_margin(16.0);
        let modal = egui::Modal::new(Id::unique("browser"))
            .frame(frame)
            .backdrop_color(Color32::from_black_alpha(150));
        let response = modal.show(ui.ctx(), |ui| {
            ui.set_min_size(size - vec2(32.0, 32.0));
            ui.set_max_size(size - vec2(32.0, 32.0));
            self.contents(ui)
        });
        match response.inner {
            Outcome::Open if response.should_close() => Outcome::Closed,
            outcome => outcome,
        }
    }

    fn contents(&mut self, ui: &mut Ui) -> Outcome {
        let area = ui.max_rect();
        let title = match self.purpose {
            Purpose::Load(id) => format!("Load a clip into {}", id.letter()),
            Purpose::Export => "Save the playing pattern".to_owned(),
            Purpose::Learn => "Learn a style from MIDI files".to_owned(),
        };
        let painter = ui.painter();
        let top = pos2(area.left(), area.top() + 14.0);
        let font = egui::FontId::proportional(palette::BODY_SIZE + 2.5);
        painter.text(top, Align2::LEFT_CENTER, title, font, palette::TEXT);
        let close = Button {
            id: Id::unique("browser close"),
            rect: Rect::from_center_size(pos2(area.right() - 14.0, top.y), vec2(28.0, 28.0)),
            icon: Some(Icon::Cross),
            text: "",
            label: "Cancel",
            hint: "Close without choosing a file.",
            enabled: true,
            raised: false,
        };
        if close.show(ui).clicked() {
            return Outcome::Closed;
        }

        let bar =
            Rect::from_min_size(pos2(area.left(), area.top() + 38.0), vec2(area.width(), ROW));
        if let Some(outcome) = self.path_bar(ui, bar) {
            return outcome;
        }
        let warning = self.warning().filter(|_| self.purpose == Purpose::Export);
        let foot = match self.purpose {
            Purpose::Load(_) => 0.0,
            Purpose::Export if warning.is_some() => ROW + 32.0,
            Purpose::Export | Purpose::Learn => ROW + 10.0,
        };
        let list = Rect::from_min_max(
            pos2(area.left(), bar.bottom() + 10.0),
            pos2(area.right(), area.bottom() - foot),
        );
        if let Some(outcome) = self.list(ui, list) {
            return outcome;
        }
        if let Some(warning) = warning {
            let place = pos2(area.left() + 2.0, list.bottom() + 16.0);
            let font = palette::body();
            ui.painter().text(place, Align2::LEFT_CENTER, warning, font, palette::WARNING);
        }
        let foot = Rect::from_min_max(pos2(area.left(), area.bottom() - ROW), area.max);
        match self.purpose {
            Purpose::Load(_) => Outcome::Open,
            Purpose::Export => self.file_name(ui, foot),
            Purpose::Learn => self.learn(ui, foot),
        }
    }

    /// The button that learns from the picked files, or from all where none is picked.
    fn learn(&self, ui: &mut Ui, foot: Rect) -> Outcome {
        let files: Vec<PathBuf> = if self.picked.is_empty() {
            let files = self.entries.iter().filter(|entry| !entry.is_folder);
            files.map(|entry| entry.path.clone()).collect()
        } else {
            self.picked.iter().cloned().collect()
        };
        let all = if self.picked.is_empty() { "all " } else { "" };
        let text = match files.len() {
            0 => "Learn".to_owned(),
            1 => "Learn from this file".to_owned(),
            count => format!("Learn from {all}{count} files"),
        };
        let learn = Button {
            id: Id::unique("browser learn"),
            rect: foot.with_min_x((foot.right() - 240.0).max(foot.left())),
            icon: Some(Icon::Check),
            text: &text,
            label: &text,
            hint: "Pick files to learn from those only.",
            enabled: !files.is_empty(),
            raised: true,
        };
        if learn.show(ui).clicked() {
            return Outcome::Chosen(Action::LearnFiles(files));
        }
        Outcome::Open
    }

    fn path_bar(&mut self, ui: &mut Ui, bar: Rect) -> Option<Outcome> {
        let up = Button {
            id: Id::unique("browser up"),
            rect: Rect::from_min_size(bar.min, vec2(32.0, ROW)),
            icon: Some(Icon::Up),
            text: "",
            label: "Parent folder",
            hint: "Go to the folder above.",
            enabled: self.folder.parent().is_some(),
            raised: true,
        };
        if up.show(ui).clicked()
            && let Some(parent) = self.folder.parent().map(Path::to_path_buf)
        {
            self.enter(parent);
        }
        let field = Rect::from_min_max(pos2(bar.left() + 38.0, bar.top()), bar.max);
        let response = ui
            .put(field, text_edit(&mut self.path, "browser path"))
            .accessible_name("Path")
            .on_hover_text("A folder or file; write or paste one and press Enter.");
        if response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
            let path = PathBuf::from(self.path.trim());
            if path.is_dir() {
                self.enter(path);
            } else if let (Purpose::Load(id), true) = (self.purpose, path.is_file()) {
                return Some(self.choose(id, path));
            } else if self.purpose == Purpose::Learn && path.is_file() {
                return Some(Outcome::Chosen(Action::LearnFiles(vec![path])));
            } else {
                self.problem = Some("There is no such folder or file.".to_owned());
            }
        }
        None
    }

    fn list(&mut self, ui: &mut Ui, list: Rect) -> Option<Outcome> {
        ui.painter().rect_filled(list, palette::RADIUS, palette::WELL);
        let empty = match self.purpose {
            Purpose::Load(_) | Purpose::Learn => "No folders or .mid files here.",
            Purpose::Export => "No folders or .mid files here yet.",
        };
        let notice = self.problem.as_deref().or(self.entries.is_empty().then_some(empty));
        if let Some(notice) = notice {
            let place = list.shrink(20.0);
            widget::paragraph(ui.painter(), place, notice, palette::SECONDARY);
            if self.problem.is_some() {
                return None;
            }
        }
        let mut clicked = None;
        ui.scope_builder(egui::UiBuilder::new().max_rect(list.shrink(4.0)), |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            egui::ScrollArea::vertical().auto_shrink(false).show_rows(
                ui,
                ROW,
                self.entries.len(),
                |ui, range| {
                    for index in range {
                        let entry = &self.entries[index];
                        if row(ui, entry, index, self.picked.contains(&entry.path)) {
                            clicked = Some(index);
                        }
                    }
                },
            );
        });
        let entry = self.entries.get(clicked?)?;
        let path = entry.path.clone();
        if entry.is_folder {
            self.enter(path);
            return None;
        }
        match self.purpose {
            Purpose::Load(id) => Some(self.choose(id, path)),
            Purpose::Export => {
                self.name = entry.name.clone();
                self.writes = true;
                self.warned = false;
                None
            }
            Purpose::Learn => {
                if !self.picked.remove(&path) {
                    self.picked.insert(path);
                }
                None
            }
        }
    }

    fn choose(&mut self, id: SlotId, path: PathBuf) -> Outcome {
        if let Some(folder) = path.parent() {
            self.folder = folder.to_path_buf();
        }
        Outcome::Chosen(Action::LoadFile(id, path))
    }

    fn file_name(&mut self, ui: &mut Ui, foot: Rect) -> Outcome {
        let field = Rect::from_min_max(foot.min, pos2(foot.right() - 110.0, foot.bottom()));
        let id = "browser name";
        // While its size is found out, the dialogue cannot be written in.
        if self.writes && ui.is_enabled() && !ui.is_sizing_pass() {
            self.writes = false;
            widget::write(ui.ctx(), Id::unique(id), &self.name);
        }
        let response = ui.put(field, text_edit(&mut self.name, id)).accessible_name("File name");
        if response.changed() {
            self.warned = false;
        }
        let entered = response.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        let target = export_path(&self.folder, &self.name);
        let exists = target.as_ref().is_some_and(|path| path.exists());
        let save = Button {
            id: Id::unique("browser save"),
            rect: Rect::from_min_max(pos2(field.right() + 8.0, foot.top()), foot.max),
            icon: Some(Icon::Save),
            text: if exists { "Replace" } else { "Save" },
            label: if exists { "Replace the file" } else { "Save the file" },
            hint: if exists {
                "A file of this name is there already. Replace it."
            } else {
                "Write the file here."
            },
            enabled: target.is_some(),
            raised: true,
        };
        let pressed = save.show(ui).clicked();
        let sure = !exists || self.warned;
        match target {
            Some(path) if pressed || (entered && sure) => {
                return Outcome::Chosen(Action::ExportPattern(path));
            }
            // The first Enter does not replace a file, it tells; the second one does.
            target if entered => {
                self.warned = target.is_some();
                widget::write(ui.ctx(), Id::unique(id), &self.name);
            }
            _ => {}
        }
        Outcome::Open
    }

    /// What the file name's field has to say, if anything.
    fn warning(&self) -> Option<&'static str> {
        if self.warned {
            Some("This file is there already. Press Enter again to replace it.")
        } else if export_path(&self.folder, &self.name).is_none() {
            Some("Write a name for the file.")
        } else {
            None
        }
    }
}

/// A text field in the look of a button.
fn text_edit<'a>(text: &'a mut String, id: &'static str) -> TextEdit<'a> {
    TextEdit::singleline(text)
        .id(Id::unique(id))
        .margin(vec2(10.0, 5.0))
        .align(Align2::LEFT_CENTER)
        .background_color(palette::WELL)
}

/// One entry of the list; says whether it was clicked.
fn row(ui: &mut Ui, entry: &Entry, index: usize, picked: bool) -> bool {
    let (place, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let response = ui.interact(place, Id::unique(("browser row", index)), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, picked, &entry.name));
    let painter = ui.painter();
    if picked || response.hovered() || response.has_focus() {
        painter.rect_filled(place, palette::RADIUS - 2, palette::HOVERED);
    }
    let icon = match entry.is_folder {
        true => Icon::Folder,
        false if picked => Icon::Check,
        false => Icon::Note,
    };
    let colour = if entry.is_folder { palette::SECONDARY } else { palette::blend(0.0) };
    icon.paint(painter, pos2(place.left() + 18.0, place.center().y), colour);
    let left = pos2(place.left() + 36.0, place.center().y);
    let room = place.right() - left.x - 8.0;
    let font = palette::body();
    widget::text(painter, left, Align2::LEFT_CENTER, &entry.name, font, palette::TEXT, room);
    response.clicked()
}

/// The folders and MIDI files of a folder: folders first, each in the order of their names.
fn entries(folder: &Path) -> std::io::Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)?.flatten().take(ENTRIES_MAX) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        let is_folder = path.is_dir();
        if !name.starts_with('.') && (is_folder || is_midi(&path)) {
            entries.push(Entry { name, path, is_folder });
        }
    }
    entries.sort_by_cached_key(|entry| (Reverse(entry.is_folder), entry.name.to_lowercase()));
    Ok(entries)
}

fn is_midi(path: &Path) -> bool {
    path.extension()
        .and_then(|extension| extension.to_str())
        .is_some_and(|extension| matches!(&*extension.to_ascii_lowercase(), "mid" | "midi"))
}

/// A name for a saved pattern that no file of the folder has.
fn free_name(folder: &Path) -> String {
    let (stem, ending) = EXPORT_NAME.split_once('.').unwrap_or((EXPORT_NAME, "mid"));
    let numbered = (2..1000).map(|number| format!("{stem} {number}.{ending}"));
    std::iter::once(EXPORT_NAME.to_owned())
        .chain(numbered)
        .find(|name| !folder.join(name).exists())
        .unwrap_or_else(|| EXPORT_NAME.to_owned())
}

/// The file that a name stands for, with ".mid" added where it is missing; `None` for a name that
/// is empty or leads elsewhere.
fn export_path(folder: &Path, name: &str) -> Option<PathBuf> {
    let name = name.trim();
    let mut parts = Path::new(name).components();
    let single = matches!(parts.next(), Some(std::path::Component::Normal(_)));
    if !single || parts.next().is_some() || name.ends_with(['/', '\\']) {
        return None;
    }
    let path = folder.join(name);
    Some(if is_midi(&path) { path } else { folder.join(format!("{name}.mid")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file name stays in the chosen folder and ends in ".mid".
    #[test]
    fn export_names_stay_in_the_folder() {
        let folder = Path::new("music");
        assert_eq!(export_path(folder, " tune "), Some(folder.join("tune.mid")));
        assert_eq!(export_path(folder, "tune.MID"), Some(folder.join("tune.MID")));
        assert_eq!(export_path(folder, "v1.2"), Some(folder.join("v1.2.mid")));
        for name in ["", "  ", "..", ".", "../tune", "a/b", "/etc/passwd", "tune/"] {
            assert_eq!(export_path(folder, name), None, "{name:?}");
        }
    }

    /// Folders come first, then MIDI files; hidden and other files are left out.
    #[test]
    fn folders_and_midi_files_are_listed() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for name in ["b.mid", "A.MIDI", "notes.txt", ".hidden.mid"] {
            std::fs::write(folder.path().join(name), []).expect("the file can be written");
        }
        std::fs::create_dir(folder.path().join("zoo")).expect("the folder can be made");
        let entries = entries(folder.path()).expect("the folder can be read");
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["zoo", "A.MIDI", "b.mid"]);
    }

    /// A folder that cannot be read gives a message, not a panic.
    #[test]
    fn missing_folders_are_reported() {
        let mut browser = Browser::new(Purpose::Export, None);
        browser.enter(PathBuf::from("no/such/folder"));
        assert!(browser.problem.is_some() && browser.entries.is_empty());
    }
}
