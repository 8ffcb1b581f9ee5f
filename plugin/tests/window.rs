//! The editor's window in a host's window, on a real X server (Xvfb) with real clicks and keys
//! (xdotool).

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use interlude_plugin::params::InterludeParams;
use interlude_plugin::shared::Shared;
use interlude_plugin::surface::{Content, Extent, Surface};
use interlude_plugin::window;
use interlude_plugin::worker::WorkerThread;
use nice_plug::context::PluginApi;
use nice_plug::context::gui::{GuiContext, GuiContextInner};
use nice_plug::editor::{Editor, EditorHandle, ParentWindowHandle, SpawnedEditor};
use nice_plug::params::internals::ParamPtr;
use nice_plug::prelude::PluginState;
use x11rb::COPY_DEPTH_FROM_PARENT;
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ConnectionExt, CreateWindowAux, EventMask, InputFocus, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;

/// Set in the process that has a display of its own.
const INSIDE: &str = "INTERLUDE_TEST_DISPLAY";
/// How long to wait for what must happen.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long to wait for what must not happen.
const QUIET: Duration = Duration::from_millis(700);
/// Temperature's knob and number, and a place that is no control, in a window of the default size.
const KNOB: [i32; 2] = [186, 558];
const NUMBER: [i32; 2] = [339, 538];
const NOTHING: [i32; 2] = [430, 594];

struct Xvfb(Child);

impl Drop for Xvfb {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs the named test again in a process with a display of its own. `true` in that process. The test is
/// skipped where there can be no display.
#[track_caller]
fn with_display(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let reason = "the programs xdotool and Xvfb are missing";
    let xdotool = Command::new("xdotool").arg("version").stdout(Stdio::null()).status();
    let mut server = Command::new("Xvfb");
    server.args(["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"]);
    server.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let server = xdotool.and_then(|_| server.spawn()).ok();
    let Some(mut server) = interlude_skip::needs(server, reason) else { return false };
    let number = server.stdout.take().map(BufReader::new).and_then(|mut output| {
        let mut line = String::new();
        output.read_line(&mut line).ok().map(|_| line.trim().to_owned())
    });
    let _server = Xvfb(server);
    let number = number.expect("Xvfb says which display it is");
    let output = Command::new(std::env::current_exe().expect("the test has a place"))
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env("DISPLAY", format!(":{number}"))
        .env(INSIDE, "1")
        .stderr(Stdio::inherit())
        .output()
        .expect("the test runs again");
    let told = String::from_utf8_lossy(&output.stdout);
    print!("{told}");
    // The software renderer now and then crashes in its own end, when the process has told its result:
    // the windows are closed and their threads joined by then.
    let passed = told.contains("test result: ok. 1 passed");
    let crashed = output.status.code().is_none();
    assert!(passed && (output.status.success() || crashed), "see above: {}", output.status);
    false
}

/// A host with one window and nothing in it.
struct Host {
    connection: RustConnection,
    window: Window,
}

impl Host {
    fn new() -> Self {
        let (connection, screen) = x11rb::connect(None).expect("there is a display");
        let root = connection.setup().roots[screen].root;
        let window = connection.generate_id().expect("an id");
        let mask = EventMask::KEY_PRESS | EventMask::STRUCTURE_NOTIFY;
        connection
            .create_window(
                COPY_DEPTH_FROM_PARENT,
                window,
                root,
                0,
                0,
                900,
                700,
                0,
                WindowClass::INPUT_OUTPUT,
                0,
                &CreateWindowAux::new().event_mask(mask),
            )
            .expect("the request is sent")
            .check()
            .expect("a window is made");
        let host = Self { connection, window };
        host.map(true);
        host
    }

    fn map(&self, on: bool) {
        let sent = if on {
            self.connection.map_window(self.window)
        } else {
            self.connection.unmap_window(self.window)
        };
        sent.expect("the request is sent").check().expect("the window is there");
    }

    fn take_keyboard(&self) {
        self.connection
            .set_input_focus(InputFocus::POINTER_ROOT, self.window, x11rb::CURRENT_TIME)
            .expect("the request is sent")
            .check()
            .expect("the window can have the keyboard");
    }

    fn has_keyboard(&self) -> bool {
        let focus = self.connection.get_input_focus().expect("the request is sent");
        focus.reply().expect("there is an answer").focus == self.window
    }

    /// The keys that came since the last call.
    fn keys(&self) -> Vec<u8> {
        let mut keys = Vec::new();
        while let Some(event) = self.connection.poll_for_event().expect("the server is there") {
            if let Event::KeyPress(event) = event {
                assert_eq!(event.event, self.window);
                keys.push(event.detail);
            }
        }
        keys
    }
}

fn xdotool(arguments: &[&str]) {
    let status = Command::new("xdotool").args(arguments).status().expect("xdotool runs");
    assert!(status.success(), "xdotool {arguments:?}");
}

fn point(place: [i32; 2]) {
    let [x, y] = place.map(|side| side.to_string());
    xdotool(&["mousemove", &x, &y]);
    std::thread::sleep(Duration::from_millis(300));
}

fn click(place: [i32; 2]) {
    point(place);
    xdotool(&["click", "1"]);
}

/// Waits until something is so.
fn until(what: &str, so: impl Fn() -> bool) {
    let latest = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < latest, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A host's side of the parameters: sets them at once.
#[derive(Default)]
struct Parameters;

impl GuiContextInner for Parameters {
    fn plugin_api(&self) -> PluginApi {
        PluginApi::Clap
    }

    unsafe fn raw_begin_set_parameter(&self, _param: ParamPtr) {}

    unsafe fn raw_set_parameter_normalized(&self, param: ParamPtr, normalized: f32) {
        // SAFETY: the parameters outlive the editor, which the test keeps.
        unsafe { param._internal_set_normalized_value(normalized) };
    }

    unsafe fn raw_end_set_parameter(&self, _param: ParamPtr) {}

    fn get_state(&self) -> PluginState {
        PluginState { version: String::new(), params: BTreeMap::new(), fields: BTreeMap::new() }
    }

    fn set_state(&self, _state: PluginState) {}

    fn request_restart(&self) {}
}

fn open<C: Content>(
    surface: &Surface<C>,
    host: &Host,
) -> SpawnedEditor<<Surface<C> as Editor>::Handle> {
    let parent = ParentWindowHandle::XlibWindow(host.window.into());
    let context = GuiContext::new(Arc::new(Parameters));
    let spawned = surface.spawn(Some(parent), false, None, context, None);
    let spawned = spawned.unwrap_or_else(|error| panic!("the editor opens: {error}"));
    spawned.handle.show(&spawned.window).expect("the editor is shown");
    spawned
}

/// A click leaves the keyboard with the host, and keys that the editor does not use reach it, once.
/// The editor has the keyboard while a number is written and gives it back.
#[test]
fn the_host_keeps_the_keyboard() {
    if !with_display("the_host_keeps_the_keyboard") {
        return;
    }
    let params = Arc::new(InterludeParams::default());
    let shared = Shared::new(params.song.clone());
    let (worker, _) = WorkerThread::never(shared);
    let surface = window::editor(Arc::clone(&params), Arc::clone(&worker)).expect("an editor");
    let host = Host::new();
    host.take_keyboard();
    let spawned = open(&surface, &host);
    std::thread::sleep(Duration::from_secs(2));
    host.keys();
    let came = |what: &str, keys: usize| {
        let latest = Instant::now() + PATIENCE;
        let mut all = Vec::new();
        while all.len() < keys && Instant::now() < latest {
            std::thread::sleep(Duration::from_millis(20));
            all.extend(host.keys());
        }
        std::thread::sleep(QUIET);
        all.extend(host.keys());
        assert_eq!(all.len(), keys, "{what}: keys {all:?}");
    };

    click(KNOB);
    std::thread::sleep(QUIET);
    assert!(host.has_keyboard(), "a click takes the keyboard");
    xdotool(&["key", "space"]);
    xdotool(&["key", "r"]);
    came("after a click on a slider", 2);
    let before = params.temperature.value();
    xdotool(&["key", "Right"]);
    until("the arrow moves the slider", || params.temperature.value() > before);
    came("the arrow was the slider's", 0);

    click(NUMBER);
    until("writing takes the keyboard", || !host.has_keyboard());
    xdotool(&["type", "1.25"]);
    xdotool(&["key", "space"]);
    std::thread::sleep(QUIET);
    xdotool(&["key", "Return"]);
    until("the number is taken", || (params.temperature.value() - 1.25).abs() < 1e-4);
    until("the keyboard comes back", || host.has_keyboard());
    came("what was written", 0);
    xdotool(&["key", "space"]);
    came("after writing", 1);

    click(NUMBER);
    until("writing takes the keyboard", || !host.has_keyboard());
    xdotool(&["key", "Escape"]);
    until("the keyboard comes back after Escape", || host.has_keyboard());
    click(NUMBER);
    until("writing takes the keyboard", || !host.has_keyboard());
    click(NOTHING);
    until("the keyboard comes back after a click elsewhere", || host.has_keyboard());
    host.keys();

    click(NUMBER);
    until("writing takes the keyboard", || !host.has_keyboard());
    drop(spawned);
    until("the keyboard comes back when the editor closes", || host.has_keyboard());
    worker.stop();
}

/// What never rests, and counts how often it is looked at and painted.
#[derive(Default)]
struct Restless {
    looks: Arc<AtomicU32>,
    frames: Arc<AtomicU32>,
}

impl Content for Restless {
    fn opened(&mut self, _context: GuiContext) {}

    fn changed(&mut self) -> bool {
        self.looks.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn draw(&mut self, ui: &mut egui::Ui) {
        self.frames.fetch_add(1, Ordering::Relaxed);
        ui.label("moving");
        ui.ctx().request_repaint();
    }

    fn closed(&mut self) {}
}

/// A window that cannot be seen, because it or one around it is hidden or another one covers it,
/// is neither looked at nor painted, and goes on when it can be seen again.
#[test]
fn hidden_windows_rest() {
    if !with_display("hidden_windows_rest") {
        return;
    }
    let content = Restless::default();
    let (looks, frames) = (Arc::clone(&content.looks), Arc::clone(&content.frames));
    let surface = Surface::new("moving", Extent::new([400.0, 300.0], [100.0, 100.0]), content);
    let host = Host::new();
    let spawned = open(&surface, &host);
    let frames = || frames.load(Ordering::Relaxed);
    let moves = |what: &str| {
        let before = frames();
        until(what, || frames() > before + 3);
    };
    let rests = |what: &str| {
        std::thread::sleep(Duration::from_secs(1));
        let before = (frames(), looks.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!((frames(), looks.load(Ordering::Relaxed)), before, "{what}");
    };
    moves("it is painted when it opens");
    host.map(false);
    rests("the host hides its window");
    host.map(true);
    moves("it is painted again");
    spawned.handle.hide(&spawned.window).expect("it can be hidden");
    rests("the host hides the editor");
    spawned.handle.show(&spawned.window).expect("it can be shown");
    moves("it is painted again");
    let cover = Host::new();
    rests("another window covers it");
    cover.map(false);
    moves("it is painted again");
}

/// A measurement and no test: what the editor of a new instance takes of a core, worker included,
/// while it is open, while the host hides it, and closed.
#[test]
#[ignore = "a measurement, for a machine without other work"]
fn cost_of_the_editor() {
    if !with_display("cost_of_the_editor") {
        return;
    }
    let params = Arc::new(InterludeParams::default());
    let shared = Shared::new(params.song.clone());
    let (worker, _) = WorkerThread::never(shared);
    let surface = window::editor(Arc::clone(&params), Arc::clone(&worker)).expect("an editor");
    let host = Host::new();
    let spawned = open(&surface, &host);
    std::thread::sleep(Duration::from_secs(5));
    let measure = |what: &str| {
        std::thread::sleep(Duration::from_secs(2));
        let (begun, before) = (Instant::now(), processor_seconds());
        std::thread::sleep(Duration::from_secs(10));
        let share = (processor_seconds() - before) / begun.elapsed().as_secs_f64();
        println!("{what}: {:.2} % of a core", 100.0 * share);
    };
    measure("open, stopped");
    host.map(false);
    measure("hidden");
    drop(spawned);
    measure("closed");
    worker.stop();
}

/// The processor time that this process has taken.
fn processor_seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists on Linux, and `time` is there to be written.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9;
    seconds
}
