//! One open window: events in, frames out.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use baseview::{
    DamageArea, DropEffect, Event, EventStatus, HandlerError, MouseCursor, MouseEvent,
    WindowContext, WindowHandler, WindowSize,
};
use copypasta::{ClipboardContext, ClipboardProvider};
use egui::{CursorIcon, OutputCommand};
use parking_lot::Mutex;

use super::canvas::Canvas;
use super::demand::Demand;
use super::input::{Focus, Input};
use super::{Content, Extent};

/// The window's side of a [`Surface`](super::Surface).
pub(super) struct Handler<C> {
    window: WindowContext,
    content: Arc<Mutex<C>>,
    extent: Arc<Extent>,
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
    input: Input,
    clipboard: Option<ClipboardContext>,
    cursor: MouseCursor,
}

impl<C: Content> Handler<C> {
    pub(super) fn new(
        window: WindowContext,
        content: Arc<Mutex<C>>,
        extent: Arc<Extent>,
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
        let size = window.size();
        extent.set(size);
        let input = Input::new(canvas.texture_side());
        let state = State {
            canvas,
            demand: Demand::new(Instant::now()),
            input,
            clipboard: ClipboardContext::new().ok(),
            cursor: MouseCursor::Default,
        };
        Ok(Self {
            window,
            content,
            extent,
            egui,
            opened: Instant::now(),
            moves,
            state: RefCell::new(state),
        })
    }

    /// Who gets the keys.
    fn focus(&self) -> Focus {
        if self.egui.text_edit_focused() {
            Focus::Text
        } else if self.egui.egui_wants_keyboard_input() {
            Focus::Widget
        } else {
            Focus::Nothing
        }
    }

    /// Paints a frame.
    fn paint(&self, state: &mut State) -> Result<(), HandlerError> {
        let size = self.window.size();
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
        state.demand.at(self.moves.lock().take());
        if state.demand.is_due(begun, || self.content.lock().changed()) {
            self.paint(&mut state)?;
            state.demand.painted(begun, Instant::now());
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
        }
    }

    fn resized(&self, size: WindowSize) -> Result<(), HandlerError> {
        self.extent.set(size);
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
                if matches!(event, MouseEvent::ButtonPressed { .. }) && !self.window.has_focus() {
                    // Embedded windows do not get the keyboard by themselves.
                    let _ = self.window.focus();
                }
                let dragging = matches!(
                    event,
                    MouseEvent::DragEntered { .. }
                        | MouseEvent::DragMoved { .. }
                        | MouseEvent::DragDropped { .. }
                );
                state.input.mouse(&event, self.window.scale_factor());
                if dragging {
                    EventStatus::AcceptDrop(DropEffect::Copy)
                } else {
                    EventStatus::Captured
                }
            }
            Event::Keyboard(event) => {
                let State { input, clipboard, .. } = &mut *state;
                let pasted =
                    || clipboard.as_mut().and_then(|clipboard| clipboard.get_contents().ok());
                if input.key(&event, self.focus(), pasted) {
                    EventStatus::Captured
                } else {
                    EventStatus::Ignored
                }
            }
            Event::Window(event) => {
                state.input.window(&event);
                EventStatus::Captured
            }
            _ => EventStatus::Ignored,
        }
    }
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
