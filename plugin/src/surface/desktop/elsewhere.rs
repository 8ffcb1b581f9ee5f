//! macOS and Windows: baseview gives keys that are not wanted back to the host there.

use baseview::WindowContext;

/// The window's surroundings.
pub(in crate::surface) struct Desktop {
    window: WindowContext,
}

impl Desktop {
    /// The surroundings of a window.
    pub(in crate::surface) fn new(window: &WindowContext, _embedded: bool) -> Self {
        Self { window: window.clone() }
    }

    /// Whether the window can be seen.
    pub(in crate::surface) fn shows(&mut self) -> bool {
        true
    }

    /// Whether the window has the keyboard.
    pub(in crate::surface) fn has_keyboard(&self) -> bool {
        self.window.has_focus()
    }

    /// Takes the keyboard for text.
    pub(in crate::surface) fn take_keyboard(&mut self) {
        if !self.window.has_focus() {
            // Without the keyboard nothing can be written, which the user sees.
            let _ = self.window.focus();
        }
    }

    /// Gives the keyboard back.
    pub(in crate::surface) fn return_keyboard(&mut self) {}

    /// Notes what became of a key.
    pub(in crate::surface) fn key(&mut self, _pressed: bool, _wanted: bool) {}
}
