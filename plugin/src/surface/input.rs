//! From the window system's events to egui's input.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use baseview::dpi::PhysicalPosition;
use baseview::{DropData, MouseButton, MouseEvent, ScrollDelta, WindowEvent, WindowSize};
use egui::{Event, HoveredFile, MouseWheelUnit, PointerButton, Pos2, RawInput, Rect, pos2, vec2};
use keyboard_types::{Key, KeyboardEvent, Modifiers};

/// Who gets the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Focus {
    /// Text is being written.
    Text,
    /// A dialogue or a menu is open.
    Dialogue,
    /// The window as it is.
    Window {
        /// Whether a slider or button was touched last.
        widget: bool,
        /// Whether the window has the keyboard, and not only the pointer over it.
        keyboard: bool,
    },
}

impl Focus {
    /// Whether a key is the editor's. The others are the host's: above all the space bar, which
    /// starts and stops it.
    fn wants(self, key: &str, modifiers: egui::Modifiers) -> bool {
        let shortcut = modifiers.ctrl || modifiers.alt || modifiers.command;
        let leads = matches!(key, "Tab" | "Enter" | "Escape");
        match self {
            Self::Text => true,
            _ if shortcut => false,
            Self::Dialogue => leads,
            Self::Window { widget, keyboard } => {
                let moves = key.starts_with("Arrow")
                    || matches!(key, "PageUp" | "PageDown" | "Home" | "End");
                (widget && moves) || (keyboard && (key == "Tab" || (widget && leads)))
            }
        }
    }
}

/// A file that was dropped on the window.
#[derive(Debug)]
struct File(PathBuf);

impl egui::DroppedFile for File {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

/// Events since the last frame.
pub(super) struct Input {
    raw: RawInput,
    pointer: Option<Pos2>,
    modifiers: egui::Modifiers,
    texture_side: usize,
}

impl Input {
    /// No events, for a painter whose textures are `texture_side` pixels wide at most.
    pub(super) fn new(texture_side: usize) -> Self {
        Self {
            raw: RawInput::default(),
            pointer: None,
            modifiers: egui::Modifiers::NONE,
            texture_side,
        }
    }

    /// The events for a frame at `time` seconds in a window of `size`.
    pub(super) fn take(&mut self, time: f64, size: WindowSize) -> RawInput {
        let extent = size.physical.to_logical::<f32>(size.scale_factor);
        let extent = vec2(extent.width, extent.height);
        self.raw.time = Some(time);
        self.raw.screen_rect = Some(Rect::from_min_size(Pos2::ZERO, extent));
        self.raw.max_texture_side = Some(self.texture_side);
        #[expect(clippy::cast_possible_truncation, reason = "a scale needs no more precision")]
        let scale = size.scale_factor as f32;
        let viewport = self.raw.viewports.entry(egui::ViewportId::ROOT).or_default();
        viewport.native_pixels_per_point = Some(scale);
        self.raw.take()
    }

    /// Adds an event of the mouse in a window of the given scale.
    pub(super) fn mouse(&mut self, event: &MouseEvent, scale: f64) {
        match event {
            MouseEvent::CursorMoved { position, modifiers } => {
                self.set_modifiers(*modifiers);
                self.move_to(*position, scale);
            }
            MouseEvent::ButtonPressed { button, modifiers } => {
                self.set_modifiers(*modifiers);
                self.press(*button, true);
            }
            MouseEvent::ButtonReleased { button, modifiers } => {
                self.set_modifiers(*modifiers);
                self.press(*button, false);
            }
            MouseEvent::WheelScrolled { delta, modifiers } => {
                self.set_modifiers(*modifiers);
                let (unit, x, y) = match delta {
                    ScrollDelta::Lines { x, y } => (MouseWheelUnit::Line, *x, *y),
                    ScrollDelta::Pixels { x, y } => (MouseWheelUnit::Point, *x, *y),
                };
                self.raw.events.push(Event::MouseWheel {
                    unit,
                    delta: vec2(x, y),
                    modifiers: self.modifiers,
                    phase: egui::TouchPhase::Move,
                    source: egui::MouseWheelSource::Unknown,
                });
            }
            MouseEvent::CursorLeft => {
                self.pointer = None;
                self.raw.events.push(Event::PointerGone);
            }
            MouseEvent::DragEntered { position, data, .. }
            | MouseEvent::DragMoved { position, data, .. } => {
                self.move_to(*position, scale);
                self.raw.hovered_files = paths(data)
                    .iter()
                    .map(|path| HoveredFile { path: Some(path.clone()), mime: String::new() })
                    .collect();
            }
            MouseEvent::DragLeft => self.raw.hovered_files.clear(),
            MouseEvent::DragDropped { position, data, .. } => {
                self.move_to(*position, scale);
                self.raw.hovered_files.clear();
                for path in paths(data) {
                    self.raw.dropped_files.push(Arc::new(File(path.clone())));
                }
            }
            _ => {}
        }
    }

    fn move_to(&mut self, position: PhysicalPosition<f64>, scale: f64) {
        let position = position.to_logical::<f32>(scale);
        let position = pos2(position.x, position.y);
        self.pointer = Some(position);
        self.raw.events.push(Event::PointerMoved(position));
    }

    fn press(&mut self, button: MouseButton, pressed: bool) {
        let button = match button {
            MouseButton::Left => PointerButton::Primary,
            MouseButton::Right => PointerButton::Secondary,
            MouseButton::Middle => PointerButton::Middle,
            _ => return,
        };
        if let Some(pos) = self.pointer {
            let modifiers = self.modifiers;
            self.raw.events.push(Event::PointerButton { pos, button, pressed, modifiers });
        }
    }

    /// Adds an event of the keyboard, unless the host shall have it; says whether it was added.
    pub(super) fn key(
        &mut self,
        event: &KeyboardEvent,
        focus: Focus,
        pasted: impl FnOnce() -> Option<String>,
    ) -> bool {
        self.set_modifiers(event.modifiers);
        let name = event.key.to_string();
        if !focus.wants(&name, self.modifiers) {
            return false;
        }
        let pressed = event.state.is_down();
        let key =
            egui::Key::from_name(&name).or_else(|| egui::Key::from_name(&name.to_uppercase()));
        if let Some(key) = key {
            self.raw.events.push(Event::Key {
                key,
                physical_key: None,
                pressed,
                repeat: event.repeat,
                modifiers: self.modifiers,
            });
        }
        if pressed && focus == Focus::Text {
            match key {
                Some(egui::Key::X) if self.modifiers.command => self.raw.events.push(Event::Cut),
                Some(egui::Key::C) if self.modifiers.command => self.raw.events.push(Event::Copy),
                Some(egui::Key::V) if self.modifiers.command => {
                    self.raw.events.extend(pasted().map(Event::Paste));
                }
                _ => {
                    if let (Key::Character(text), false, false) =
                        (&event.key, self.modifiers.ctrl, self.modifiers.command)
                    {
                        self.raw.events.push(Event::Text(text.clone()));
                    }
                }
            }
        }
        true
    }

    /// Adds an event of the window.
    pub(super) fn window(&mut self, event: &WindowEvent) {
        match event {
            WindowEvent::Focused => self.raw.events.push(Event::WindowFocused(true)),
            WindowEvent::Unfocused => self.raw.events.push(Event::WindowFocused(false)),
            _ => {}
        }
    }

    fn set_modifiers(&mut self, modifiers: Modifiers) {
        let mac_cmd = cfg!(target_os = "macos") && modifiers.meta();
        let command = if cfg!(target_os = "macos") { mac_cmd } else { modifiers.ctrl() };
        let modifiers = egui::Modifiers {
            alt: modifiers.alt(),
            ctrl: modifiers.ctrl(),
            shift: modifiers.shift(),
            mac_cmd,
            command,
        };
        if modifiers != self.modifiers {
            self.modifiers = modifiers;
            self.raw.events.push(Event::ModifiersChanged(modifiers));
        }
    }
}

fn paths(data: &DropData) -> &[PathBuf] {
    match data {
        DropData::Files(paths) => paths,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use baseview::dpi::{LogicalSize, PhysicalSize};
    use keyboard_types::{Code, NamedKey};

    use super::*;

    fn size() -> WindowSize {
        WindowSize {
            physical: PhysicalSize::new(1720, 1120),
            logical: LogicalSize::new(860.0, 560.0),
            scale_factor: 2.0,
        }
    }

    fn space() -> KeyboardEvent {
        KeyboardEvent::key_down(Key::Character(" ".into()), Code::Space)
    }

    fn nothing() -> Option<String> {
        None
    }

    /// Places and sizes reach egui in logical pixels.
    #[test]
    fn pixels_become_points() {
        let mut input = Input::new(2048);
        let position = PhysicalPosition::new(100.0, 60.0);
        let modifiers = Modifiers::empty();
        input.mouse(&MouseEvent::CursorMoved { position, modifiers }, 2.0);
        let raw = input.take(1.0, size());
        assert_eq!(raw.events, [Event::PointerMoved(pos2(50.0, 30.0))]);
        assert_eq!(raw.screen_rect.map(|rect| rect.size()), Some(vec2(860.0, 560.0)));
    }

    /// A file is shown as hovering until it is dropped, and dropped once.
    #[test]
    fn dragged_files_hover_then_drop() {
        let mut input = Input::new(2048);
        let position = PhysicalPosition::new(10.0, 10.0);
        let modifiers = Modifiers::empty();
        let data = DropData::Files(vec!["tune.mid".into()]);
        input.mouse(&MouseEvent::DragEntered { position, modifiers, data: data.clone() }, 1.0);
        for _ in 0..2 {
            assert_eq!(input.take(0.0, size()).hovered_files.len(), 1);
        }
        input.mouse(&MouseEvent::DragDropped { position, modifiers, data }, 1.0);
        let raw = input.take(0.0, size());
        assert!(raw.hovered_files.is_empty());
        let dropped: Vec<&Path> = raw.dropped_files.iter().map(|file| file.path()).collect();
        assert_eq!(dropped, [Path::new("tune.mid")]);
        assert!(input.take(0.0, size()).dropped_files.is_empty());
    }

    fn window(widget: bool, keyboard: bool) -> Focus {
        Focus::Window { widget, keyboard }
    }

    /// The space bar starts and stops the host unless text is being written.
    #[test]
    fn the_host_keeps_the_space_bar() {
        let mut input = Input::new(2048);
        for focus in [Focus::Dialogue, window(false, false), window(true, true)] {
            assert!(!input.key(&space(), focus, nothing), "{focus:?}");
        }
        assert!(input.take(0.0, size()).events.is_empty());
        assert!(input.key(&space(), Focus::Text, nothing));
        assert!(input.take(0.0, size()).events.contains(&Event::Text(" ".into())));
    }

    /// Arrow keys go to the slider that was touched last, and to the host when there is none.
    #[test]
    fn arrows_follow_the_focus() {
        let mut input = Input::new(2048);
        let arrow = KeyboardEvent::key_down(Key::Named(NamedKey::ArrowLeft), Code::ArrowLeft);
        assert!(!input.key(&arrow, window(false, true), nothing));
        assert!(input.key(&arrow, window(true, false), nothing));
        let raw = input.take(0.0, size());
        assert!(matches!(
            raw.events[..],
            [Event::Key { key: egui::Key::ArrowLeft, pressed: true, .. }]
        ));
    }

    /// Letters and shortcuts stay the host's, also where a slider was touched; Tab, Enter and Escape
    /// are the editor's where it has the keyboard or a dialogue is open.
    #[test]
    fn the_host_keeps_its_shortcuts() {
        let mut input = Input::new(2048);
        let record = KeyboardEvent::key_down(Key::Character("r".into()), Code::KeyR);
        let mut back = KeyboardEvent::key_down(Key::Named(NamedKey::ArrowLeft), Code::ArrowLeft);
        back.modifiers = Modifiers::CONTROL;
        for key in [&record, &back] {
            for focus in [Focus::Dialogue, window(false, true), window(true, true)] {
                assert!(!input.key(key, focus, nothing), "{key:?} {focus:?}");
            }
        }
        let escape = KeyboardEvent::key_down(Key::Named(NamedKey::Escape), Code::Escape);
        for (focus, wanted) in [
            (Focus::Dialogue, true),
            (window(true, true), true),
            (window(true, false), false),
            (window(false, true), false),
        ] {
            assert_eq!(input.key(&escape, focus, nothing), wanted, "{focus:?}");
        }
    }

    /// Ctrl+V (Command+V) pastes what is in the clipboard.
    #[test]
    fn text_is_pasted() {
        let mut input = Input::new(2048);
        let mut event = KeyboardEvent::key_down(Key::Character("v".into()), Code::KeyV);
        event.modifiers =
            if cfg!(target_os = "macos") { Modifiers::META } else { Modifiers::CONTROL };
        assert!(input.key(&event, Focus::Text, || Some("pasted".into())));
        let events = input.take(0.0, size()).events;
        assert!(events.contains(&Event::Paste("pasted".into())), "{events:?}");
    }
}
