//! The program's window: the strip above the editor.

use std::path::PathBuf;
use std::sync::Arc;

use keyboard_types::{Key, KeyboardEvent};
use nice_plug::context::gui::GuiContext;
use nice_plug::editor::{Editor, EditorHandle};
use parking_lot::Mutex;
use thiserror::Error;

use super::NAME;
use super::backend::{Backend, ConnectError, SharedEngine, StartError, Way, Wish};
use super::choice;
use super::clock::{Controls, DEFAULT_TEMPO, TEMPOS};
use super::engine::Engine;
use super::parameters::Direct;
use crate::editor::strip::{self, PortsView, StripAction, StripView};
use crate::editor::{DEFAULT_SIZE, MINIMUM_SIZE};
use crate::shared::Command;
use crate::slots::SlotId;
use crate::surface::{Content, Extent, Surface, SurfaceHandle};
use crate::window::Window;

/// What the program begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Beginning {
    /// MIDI files for the slots; the factory's where there are none.
    pub clips: Vec<PathBuf>,
    /// Beats per minute.
    pub tempo: f64,
    /// Whether the transport rolls from the start.
    pub plays: bool,
    /// Pixels in a logical pixel; the desktop's where there is none.
    pub scale: Option<f64>,
    /// What carries the MIDI.
    pub backend: Wish,
    /// Ports to connect to, by [`Way::index`]: the first whose name holds the text.
    pub ports: [Option<String>; 2],
}

impl Default for Beginning {
    fn default() -> Self {
        Self {
            clips: Vec::new(),
            tempo: DEFAULT_TEMPO,
            plays: false,
            scale: None,
            backend: Wish::Auto,
            ports: [None, None],
        }
    }
}

/// Why the program ends before it has begun.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// No window.
    #[error(
        "no window can be opened ({0}); on Linux a desktop with X11 (or XWayland) and OpenGL is needed, and DISPLAY must name it"
    )]
    Window(String),
    /// The back end that was asked for.
    #[error("no MIDI by way of {0}; without --midi the program takes what there is")]
    Backend(#[from] StartError),
    /// The port that was asked for.
    #[error(transparent)]
    Port(#[from] ConnectError),
    /// No port has such a name.
    #[error("no MIDI port has \u{201c}{wanted}\u{201d} in its name; there {there}")]
    NoSuchPort {
        /// The text.
        wanted: String,
        /// The ports there are, as the end of a sentence.
        there: String,
    },
}

/// Runs the program until its window is closed.
///
/// `controls` is what a handler of Ctrl-C stops the music with.
///
/// # Errors
/// When no window can be opened, or what `beginning` asks for is not there.
pub fn run(beginning: &Beginning, controls: &Arc<Controls>) -> Result<(), ProgramError> {
    controls.set_tempo(beginning.tempo);
    let engine = Arc::new(Mutex::new(Engine::new(Arc::clone(controls))));
    let program = Program::start(Arc::clone(&engine), Arc::clone(controls), beginning)?;
    controls.play(beginning.plays);
    let taller = |[width, height]: [f32; 2]| [width, height + program.view.height()];
    let (size, minimum) = (taller(DEFAULT_SIZE), taller(MINIMUM_SIZE));
    let params = Arc::clone(engine.lock().plugin().parts().0);
    let context = GuiContext::new(Arc::new(Direct::new(params)));
    let extent = Extent::new(size, minimum);
    let surface = Surface::new(NAME, extent, program).with_scale(beginning.scale);
    let failed = |error: &dyn std::fmt::Display| ProgramError::Window(error.to_string());
    let spawned =
        surface.spawn(None, false, None, context, None).map_err(|error| failed(&error))?;
    let closed = SurfaceHandle::<Program>::run_until_closed(spawned.window);
    controls.play(false);
    controls.silence();
    closed.map_err(|error| failed(&error))
}

/// What the window shows.
struct Program {
    editor: Window,
    engine: SharedEngine,
    controls: Arc<Controls>,
    wish: Wish,
    backend: Box<dyn Backend>,
    view: StripView,
    painted: Option<StripView>,
}

impl Program {
    fn start(
        engine: SharedEngine,
        controls: Arc<Controls>,
        beginning: &Beginning,
    ) -> Result<Self, ProgramError> {
        let (mut backend, notice) = choice::start(&engine, beginning.backend)?;
        for way in Way::ALL {
            if let Some(wanted) = &beginning.ports[way.index()] {
                let port = named(&backend.others(way), wanted)?;
                backend.connect(way, Some(&port))?;
            }
        }
        let editor = {
            let engine = engine.lock();
            let (params, worker) = engine.plugin().parts();
            for (slot, clip) in SlotId::ALL.into_iter().zip(&beginning.clips) {
                worker.command(Command::LoadFile(slot, clip.clone()));
            }
            Window::new(Arc::clone(params), Arc::clone(worker))
        };
        let view = StripView { tempos: TEMPOS.into_inner(), notice, ..StripView::default() };
        let wish = beginning.backend;
        let mut program = Self { editor, engine, controls, wish, backend, view, painted: None };
        program.look_for_ports();
        program.fill();
        Ok(program)
    }

    /// Fills the view with what changes by itself.
    fn fill(&mut self) {
        if !self.backend.runs() {
            self.begin_again(&format!("{} is gone", self.backend.clock()));
        }
        self.view.playing = self.controls.playing();
        self.view.tempo = self.controls.tempo();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole beats")]
        let beat = self.controls.position().floor() as u32;
        self.view.beat = beat;
    }

    fn look_for_ports(&mut self) {
        self.view.clock = self.backend.clock();
        self.view.ports = Way::ALL.map(|way| PortsView {
            own: self.backend.own(way),
            others: self.backend.others(way),
            chosen: self.backend.chosen(way).map(str::to_owned),
        });
    }

    /// Goes on without the back end that has ended.
    fn begin_again(&mut self, why: &str) {
        self.controls.play(false);
        self.start_again();
        let notice = self.view.notice.take();
        self.view.notice = Some(notice.unwrap_or_else(|| format!("{why}; the music stopped.")));
        self.look_for_ports();
    }

    /// Starts the best back end there is in place of the one there was.
    fn start_again(&mut self) {
        let started = choice::start(&self.engine, self.wish)
            .or_else(|_| choice::start(&self.engine, Wish::None));
        match started {
            Ok((backend, notice)) => (self.backend, self.view.notice) = (backend, notice),
            Err(error) => self.view.notice = Some(error.to_string()),
        }
    }

    fn perform(&mut self, action: StripAction) {
        match action {
            StripAction::Play(on) => self.controls.play(on),
            StripAction::Tempo(tempo) => self.controls.set_tempo(tempo),
            StripAction::Refresh => {
                let bare = Way::ALL.iter().all(|&way| self.backend.own(way).is_none());
                if bare && self.wish == Wish::Auto && self.view.notice.is_some() {
                    self.start_again();
                }
                self.look_for_ports();
            }
            StripAction::Choose(way, port) => {
                if way == Way::Out {
                    // Or they would sound on at the port that is left.
                    self.controls.silence();
                }
                let result = self.backend.connect(way, port.as_deref());
                self.view.notice = result.err().map(|error| error.to_string());
                self.look_for_ports();
            }
        }
    }
}

/// The first port whose name holds a text, in any case.
fn named(ports: &[String], wanted: &str) -> Result<String, ProgramError> {
    let lower = wanted.to_lowercase();
    ports.iter().find(|port| port.to_lowercase().contains(&lower)).cloned().ok_or_else(|| {
        let there = match ports {
            [] => "are none".to_owned(),
            ports => format!("are: {}", ports.join(", ")),
        };
        ProgramError::NoSuchPort { wanted: wanted.to_owned(), there }
    })
}

impl Content for Program {
    fn opened(&mut self, context: GuiContext) {
        self.editor.opened(context);
        self.painted = None;
    }

    fn changed(&mut self) -> bool {
        self.fill();
        self.painted.as_ref() != Some(&self.view) || self.editor.changed()
    }

    fn draw(&mut self, ui: &mut egui::Ui) {
        self.fill();
        let whole = ui.max_rect();
        let mut below = whole;
        below.set_top(whole.top() + self.view.height());
        // The editor first: it gives the style, and it is below the strip's menus.
        self.editor.draw(&mut ui.new_child(egui::UiBuilder::new().max_rect(below)));
        for action in strip::draw(ui, &self.view) {
            self.perform(action);
        }
        self.painted.get_or_insert_default().clone_from(&self.view);
    }

    fn spare_key(&mut self, key: &KeyboardEvent) -> bool {
        let space = key.key == Key::Character(" ".to_owned());
        if space && key.state.is_down() && !key.repeat {
            self.controls.play(!self.controls.playing());
        }
        space
    }

    fn closed(&mut self) {
        self.editor.closed();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A part of a port's name in any case is enough; a name that no port has is answered with the
    /// names that there are.
    #[test]
    fn ports_are_found_by_part_of_their_name() {
        let ports = ["FLUID Synth:in".to_owned(), "Keys:in".to_owned()];
        assert_eq!(named(&ports, "fluid").unwrap(), "FLUID Synth:in");
        let error = named(&ports, "piano").unwrap_err().to_string();
        assert!(error.contains("piano") && error.contains("Keys:in"), "{error}");
        assert!(named(&[], "x").unwrap_err().to_string().contains("there are none"));
    }

    fn program() -> Program {
        let controls = Arc::new(Controls::default());
        let engine = Arc::new(Mutex::new(Engine::new(Arc::clone(&controls))));
        let beginning = Beginning { backend: Wish::None, ..Beginning::default() };
        Program::start(engine, controls, &beginning).unwrap()
    }

    fn press(text: &str) -> KeyboardEvent {
        KeyboardEvent::key_down(Key::Character(text.to_owned()), keyboard_types::Code::Space)
    }

    /// The space bar starts and stops, once for each press; other keys are left to the system.
    #[test]
    fn the_space_bar_plays() {
        let mut program = program();
        assert!(program.spare_key(&press(" ")) && program.controls.playing());
        let mut held = press(" ");
        held.repeat = true;
        assert!(program.spare_key(&held) && program.controls.playing());
        assert!(program.spare_key(&press(" ")) && !program.controls.playing());
        assert!(!program.spare_key(&press("a")));
    }

    /// Without any MIDI the transport rolls all the same, the strip counts, and stop goes back to
    /// bar 1.
    #[test]
    fn it_plays_without_ports() {
        let mut program = program();
        program.perform(StripAction::Tempo(300.0));
        program.perform(StripAction::Play(true));
        let begun = std::time::Instant::now();
        while program.view.beat < 2 {
            program.fill();
            assert!(begun.elapsed().as_secs() < 20, "the transport stands");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(program.view.playing && program.view.tempo == 300.0);
        program.perform(StripAction::Choose(Way::Out, Some("nobody".to_owned())));
        assert!(program.view.notice.as_ref().is_some_and(|notice| notice.contains("nobody")));
        program.perform(StripAction::Play(false));
        while program.view.beat > 0 {
            program.fill();
            assert!(begun.elapsed().as_secs() < 40, "the transport goes on");
        }
    }
}
