//! One open window: events in, frames out.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baseview::{
    DamageArea, DropEffect, Event, EventStatus, HandlerError, MouseCursor, MouseEvent, TimerHandle,
    WindowContext, WindowEvent, WindowHandler, WindowSize,
};
use copypasta::{ClipboardContext, ClipboardProvider};
use egui::{CursorIcon, OutputCommand};
use parking_lot::Mutex;

use super::Content;
use super::canvas::Canvas;
use super::demand::{CALM, Demand};
use super::desktop::Desktop;
use super::extent::Extent;
use super::input::{Focus, Input};

/// How often the window looks whether it can be seen.
const SIGHT: Duration = Duration::from_millis(250);
/// A window manager may still be giving the keyboard to the host for the same click.
const LATE_MANAGER: Duration = Duration::from_millis(400);

/// The window's side of a [`Surface`](super::Surface).
pub(super) struct Handler<C> {
    window: WindowContext,
    content: Arc<Mutex<C>>,
    extent: Extent,
    /// Takes the place of the system's scale.
    scale: Option<f64>,
    egui: egui::Context,
    opened: Instant,
    /// When egui wants the next frame.
    moves: Arc<Mutex<Option<Instant>>>,
    state: RefCell<State>,
}

/// What changes while the window is open.
struct State {
    canvas: Canvas,
    demand: Demand,
    desktop: Desktop,
    /// Whether the window can be seen, and when that was looked at last.
    shown: bool,
    sighted: Option<Instant>,
    /// Since when text is written.
    writes: Option<Instant>,
    input: Input,
    clipboard: Option<ClipboardContext>,
    cursor: MouseCursor,
}

impl<C: Content> Handler<C> {
    pub(super) fn new(
        window: WindowContext,
        embedded: bool,
        content: Arc<Mutex<C>>,
        extent: Extent,
        scale: Option<f64>,
    ) -> Result<Self, HandlerError> {
        let canvas = Canvas::new(&window)?;
        let egui = egui::Context::default();
        let moves: Arc<Mutex<Option<Instant>>> = Arc::default();
        let wanted = Arc::clone(&moves);
        egui.set_request_repaint_callback(move |request| {
            if let Some(time) = Instant::now().checked_add(request.delay) {
                let mut wanted = wanted.lock();
                *wanted = Some(wanted.map_or(time, |wanted| wanted.min(time)));
            }
        });
        extent.follow(scaled(window.size(), scale));
        let input = Input::new(canvas.texture_side());
        // The looks while nothing moves. A timer costs less than asking for a frame.
        window.create_timer(CALM)?;
        let state = State {
            canvas,
            demand: Demand::new(Instant::now()),
            desktop: Desktop::new(&window, embedded),
            shown: true,
            sighted: None,
            writes: None,
            input,
            clipboard: ClipboardContext::new().ok(),
            cursor: MouseCursor::Default,
        };
        Ok(Self {
            window,
            content,
            extent,
            scale,
            egui,
            opened: Instant::now(),
            moves,
            state: RefCell::new(state),
        })
    }

    /// Who gets the keys.
    fn focus(&self, desktop: &Desktop) -> Focus {
        if self.egui.text_edit_focused() {
            Focus::Text
        } else if self.egui.memory(|memory| memory.top_modal_layer().is_some())
            || egui::Popup::is_any_open(&self.egui)
        {
            Focus::Dialogue
        } else {
            let widget = self.egui.egui_wants_keyboard_input();
            Focus::Window { widget, keyboard: desktop.has_keyboard() }
        }
    }

    /// Whether the window can be seen.
    fn is_shown(&self, state: &mut State, now: Instant) -> bool {
        if state.sighted.is_none_or(|sighted| now >= sighted + SIGHT) {
            state.sighted = Some(now);
            let shown = state.desktop.shows();
            if shown && !state.shown {
                state.demand.at_once();
            }
            state.shown = shown;
        }
        state.shown
    }

    /// Has the keyboard as long as text is written.
    fn follow_text(&self, state: &mut State, now: Instant) {
        match (self.egui.text_edit_focused(), state.writes) {
            (true, None) => {
                state.writes = Some(now);
                state.desktop.take_keyboard();
            }
            (false, Some(_)) => {
                state.writes = None;
                state.desktop.return_keyboard();
            }
            _ => {}
        }
    }

    /// Somebody else has the keyboard now.
    fn lose_keyboard(&self, state: &mut State, now: Instant) {
        let Some(since) = state.writes else { return };
        // A window manager that borrows it for a moment gives it back by itself.
        if state.desktop.has_keyboard() {
        } else if now < since + LATE_MANAGER {
            state.desktop.take_keyboard();
        } else {
            self.egui.memory_mut(egui::Memory::stop_text_input);
        }
    }

    fn size(&self) -> WindowSize {
        scaled(self.window.size(), self.scale)
    }

    /// Paints a frame.
    fn paint(&self, state: &mut State) -> Result<(), HandlerError> {
        let size = self.size();
        let input = state.input.take(self.opened.elapsed().as_secs_f64(), size);
        let mut output = self.egui.run_ui(input, |ui| self.content.lock().draw(ui));
        let pixels = [size.physical.width, size.physical.height];
        let painted = state.canvas.paint(pixels, &self.egui, &mut output);
        // egui insists that texture changes are taken, also when they could not be painted.
        output.textures_delta.clear();
        painted?;
        for command in output.platform_output.commands {
            if let (OutputCommand::CopyText(text), Some(clipboard)) =
                (command, &mut state.clipboard)
            {
                // A desktop without a clipboard only means that nothing is copied.
                let _ = clipboard.set_contents(text);
            }
        }
        let cursor = cursor(output.platform_output.cursor_icon);
        if cursor != state.cursor {
            state.cursor = cursor;
            self.window.set_mouse_cursor(cursor)?;
        }
        Ok(())
    }
}

impl<C: Content> WindowHandler for Handler<C> {
    fn draw(&self) -> Result<(), HandlerError> {
        let mut state = self.state.borrow_mut();
        let begun = Instant::now();
        if !self.is_shown(&mut state, begun) {
            return Ok(());
        }
        state.demand.at(self.moves.lock().take());
        state.demand.look(begun, || self.content.lock().changed());
        if state.demand.is_due(begun) {
            self.paint(&mut state)?;
            state.demand.painted(begun, Instant::now());
            state.demand.at(self.moves.lock().take());
            self.follow_text(&mut state, begun);
        }
        match state.demand.next_look(Instant::now()) {
            Some(Duration::ZERO) => self.window.request_redraw(),
            Some(pause) => self.window.request_redraw_after(pause),
            None => {}
        }
        Ok(())
    }

    fn damage(&self, _area: DamageArea) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.demand.at_once();
            // The picture of a window that comes back is lost.
            state.sighted = None;
        }
    }

    fn on_timer(&self, _timer: &TimerHandle) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        let now = Instant::now();
        if !self.is_shown(&mut state, now) {
            return;
        }
        state.demand.look(now, || self.content.lock().changed());
        if state.demand.is_due(now) {
            self.window.request_redraw();
        }
    }

    fn resized(&self, size: WindowSize) -> Result<(), HandlerError> {
        self.extent.follow(scaled(size, self.scale));
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.demand.at_once();
        }
        self.window.request_redraw();
        Ok(())
    }

    fn on_event(&self, event: Event) -> EventStatus {
        // While a frame is drawn, an event can only come from a nested call of the host.
        let Ok(mut state) = self.state.try_borrow_mut() else { return EventStatus::Ignored };
        state.demand.at_once();
        self.window.request_redraw();
        match event {
            Event::Mouse(event) => {
                let dragging = matches!(
                    event,
                    MouseEvent::DragEntered { .. }
                        | MouseEvent::DragMoved { .. }
                        | MouseEvent::DragDropped { .. }
                );
                state.input.mouse(&event, self.size().scale_factor);
                if dragging {
                    EventStatus::AcceptDrop(DropEffect::Copy)
                } else {
                    EventStatus::Captured
                }
            }
            Event::Keyboard(event) => {
                let State { input, clipboard, desktop, .. } = &mut *state;
                let pasted =
                    || clipboard.as_mut().and_then(|clipboard| clipboard.get_contents().ok());
                let wanted = input.key(&event, self.focus(desktop), pasted)
                    || self.content.lock().spare_key(&event);
                desktop.key(event.state.is_down(), wanted);
                if wanted { EventStatus::Captured } else { EventStatus::Ignored }
            }
            Event::Window(event) => {
                state.input.window(&event);
                match event {
                    WindowEvent::Unfocused => self.lose_keyboard(&mut state, Instant::now()),
                    WindowEvent::WillClose => state.desktop.return_keyboard(),
                    _ => {}
                }
                EventStatus::Captured
            }
            _ => EventStatus::Ignored,
        }
    }
}

/// A size in pixels of `scale`, where it is not for the system to say.
fn scaled(size: WindowSize, scale: Option<f64>) -> WindowSize {
    scale.map_or(size, |scale| WindowSize::from_physical(size.physical, scale))
}

/// The window system's picture of a cursor that the editor uses.
fn cursor(icon: CursorIcon) -> MouseCursor {
    match icon {
        CursorIcon::PointingHand => MouseCursor::Hand,
        CursorIcon::Text => MouseCursor::Text,
        CursorIcon::ResizeHorizontal | CursorIcon::ResizeColumn => MouseCursor::EwResize,
        CursorIcon::ResizeVertical | CursorIcon::ResizeRow => MouseCursor::NsResize,
        CursorIcon::Grab => MouseCursor::Hand,
        CursorIcon::Grabbing => MouseCursor::HandGrabbing,
        CursorIcon::NotAllowed | CursorIcon::NoDrop => MouseCursor::NotAllowed,
        _ => MouseCursor::Default,
    }
}
