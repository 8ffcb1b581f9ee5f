//! X11, through a connection of its own, since baseview's drops the events that are needed here.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use baseview::WindowContext;
use raw_window_handle::{HasWindowHandle, RawWindowHandle};
use x11rb::connection::Connection;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt, EventMask, InputFocus, KeyPressEvent, MapState,
    Visibility, Window,
};
use x11rb::rust_connection::RustConnection;
use x11rb::{CURRENT_TIME, NONE};

/// How long to wait for this connection's copy of a key that baseview's has brought.
const LATEST_COPY: Duration = Duration::from_millis(5);
/// After such a pause both connections have brought the same keys.
const STALE: Duration = Duration::from_millis(STALE_MILLIS as u64);
const STALE_MILLIS: u32 = 2000;

/// The window's surroundings. Where the X server cannot be asked, the window counts as seen and the
/// keyboard stays where it is.
pub(in crate::surface) struct Desktop {
    server: Option<Server>,
    /// Whether the window lies in one of the host's.
    embedded: bool,
    /// Window that had the keyboard focus before.
    before: Option<(Window, InputFocus)>,
    /// The keys that baseview has brought and this connection has not: whether they were pressed,
    /// and whether they were wanted.
    brought: VecDeque<(bool, bool)>,
    /// The keys that this connection has brought, pressed or released, and baseview has not.
    keys: VecDeque<(bool, KeyPressEvent)>,
    /// When the last key came.
    last: Instant,
    /// Whether other windows cover it.
    covered: bool,
}

struct Server {
    connection: RustConnection,
    window: Window,
}

impl Desktop {
    /// The surroundings of a window that is not shown yet.
    pub(in crate::surface) fn new(window: &WindowContext, embedded: bool) -> Self {
        let server = window_id(window).and_then(|id| Server::connect(id).ok());
        Self {
            server,
            embedded,
            before: None,
            brought: VecDeque::new(),
            keys: VecDeque::new(),
            last: Instant::now(),
            covered: false,
        }
    }

    /// Whether the window is visible. X11 does not notify a window that its parent was hidden, so
    /// this queries the server.
    pub(in crate::surface) fn shows(&mut self) -> bool {
        self.receive();
        !self.covered && self.server.as_ref().is_none_or(|server| server.is_viewable())
    }

    /// Whether the window has the keyboard.
    pub(in crate::surface) fn has_keyboard(&self) -> bool {
        self.server.as_ref().is_some_and(Server::has_keyboard)
    }

    /// Takes the keyboard for text and remembers who had it.
    pub(in crate::surface) fn take_keyboard(&mut self) {
        let Some(server) = self.server.as_ref().filter(|_| self.embedded) else { return };
        if let Ok((owner, revert)) = server.keyboard()
            && owner != server.window
        {
            self.before.get_or_insert((owner, revert));
            // A window that has just been hidden cannot have it, and then nobody writes.
            let _ = server.give_keyboard(server.window, InputFocus::PARENT);
        }
    }

    /// Gives the keyboard back, unless the user has given it to somebody else.
    pub(in crate::surface) fn return_keyboard(&mut self) {
        let (Some(server), Some((owner, revert))) = (&self.server, self.before.take()) else {
            return;
        };
        if server.has_keyboard() && server.give_keyboard(owner, revert).is_err() {
            // Who had it is gone. The window around this one is the host's.
            let parent = server.parent().unwrap_or(NONE);
            let _ = server.give_keyboard(parent, InputFocus::PARENT);
        }
    }

    /// Notes what became of a key that baseview has brought. Those that were not wanted go to the
    /// host's window, as if there were no window in it.
    pub(in crate::surface) fn key(&mut self, pressed: bool, wanted: bool) {
        if self.server.is_none() || !self.embedded {
            return;
        }
        let now = Instant::now();
        if now > self.last + STALE {
            self.brought.clear();
            self.receive();
            if let Some(newest) = self.keys.back().map(|(_, key)| key.time) {
                self.keys.retain(|(_, key)| newest.wrapping_sub(key.time) < STALE_MILLIS);
            }
        }
        self.last = now;
        self.brought.push_back((pressed, wanted));
        loop {
            self.receive();
            if self.brought.is_empty() || Instant::now() > now + LATEST_COPY {
                break;
            }
            std::thread::sleep(Duration::from_micros(200));
        }
    }

    /// Looks through what this connection has brought: the same keys as baseview's, in the same
    /// order, earlier or later, and with a release before each repetition, which baseview's leaves
    /// out.
    fn receive(&mut self) {
        let Some(server) = &self.server else { return };
        while let Ok(Some(event)) = server.connection.poll_for_event() {
            match event {
                Event::VisibilityNotify(event) => {
                    self.covered = event.state == Visibility::FULLY_OBSCURED;
                }
                Event::KeyPress(key) if self.embedded => self.keys.push_back((true, key)),
                Event::KeyRelease(key) if self.embedded => self.keys.push_back((false, key)),
                _ => {}
            }
        }
        while let Some(&(pressed, wanted)) = self.brought.front() {
            let Some((same, key)) = self.keys.pop_front() else { return };
            if same != pressed {
                continue;
            }
            self.brought.pop_front();
            if !wanted {
                server.pass_on(key, pressed);
            }
        }
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.return_keyboard();
    }
}

impl Server {
    fn connect(window: Window) -> Result<Self, Box<dyn std::error::Error>> {
        let (connection, _) = x11rb::connect(None)?;
        let mask = EventMask::VISIBILITY_CHANGE | EventMask::KEY_PRESS | EventMask::KEY_RELEASE;
        let wish = ChangeWindowAttributesAux::new().event_mask(mask);
        connection.change_window_attributes(window, &wish)?.check()?;
        Ok(Self { connection, window })
    }

    fn is_viewable(&self) -> bool {
        let attributes = self.connection.get_window_attributes(self.window);
        attributes
            .map_err(ReplyError::from)
            .and_then(|attributes| attributes.reply())
            .is_ok_and(|attributes| attributes.map_state == MapState::VIEWABLE)
    }

    fn keyboard(&self) -> Result<(Window, InputFocus), ReplyError> {
        let reply = self.connection.get_input_focus()?.reply()?;
        Ok((reply.focus, reply.revert_to))
    }

    fn has_keyboard(&self) -> bool {
        self.keyboard().is_ok_and(|(owner, _)| owner == self.window)
    }

    fn give_keyboard(&self, window: Window, revert: InputFocus) -> Result<(), ReplyError> {
        self.connection.set_input_focus(revert, window, CURRENT_TIME)?.check()
    }

    fn parent(&self) -> Result<Window, ReplyError> {
        Ok(self.connection.query_tree(self.window)?.reply()?.parent)
    }

    fn pass_on(&self, mut event: KeyPressEvent, pressed: bool) {
        let mask = if pressed { EventMask::KEY_PRESS } else { EventMask::KEY_RELEASE };
        let Ok(parent) = self.parent() else { return };
        event.event = parent;
        event.child = NONE;
        // A host that is gone misses no key.
        let _ = self.connection.send_event(true, parent, mask, event);
        let _ = self.connection.flush();
    }
}

fn window_id(window: &WindowContext) -> Option<Window> {
    match window.window_handle().ok()?.as_raw() {
        RawWindowHandle::Xlib(handle) => u32::try_from(handle.window).ok(),
        RawWindowHandle::Xcb(handle) => Some(handle.window.get()),
        _ => None,
    }
}
