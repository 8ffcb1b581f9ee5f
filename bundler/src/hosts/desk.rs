//! Ardour with its window, on a display of its own (Xvfb): what is done in the editor marks the
//! session as changed, and what the editor costs.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    PATIENCE,
    ardour::Installation,
    jack, model_ready,
    place::{Dialogue, Place, Started},
};
use crate::demo::trace::VARIABLE;

/// Size and depth of the display.
const SCREEN: &str = "1600x1000x24";
/// A place on the display where no window is.
const CORNER: [&str; 2] = ["1595", "995"];
/// How long Ardour's window may take to come.
const OPENING: Duration = Duration::from_secs(90);
/// How long is looked at what the editor costs.
const COST: Duration = Duration::from_secs(15);

/// Where to click in the editor, in pixels of its window at its own size.
type Clicks = &'static [(u16, u16)];

/// What changes a project besides parameters, in an order in which each has something to change.
const ACTIONS: [(&str, Clicks); 7] = [
    // The browser of files shows one clip, which lies in the home folder.
    ("loading a clip", &[(56, 340), (300, 195)]),
    ("the dice", &[(108, 340)]),
    ("clearing", &[(174, 340)]),
    ("undo", &[(141, 340)]),
    ("swap", &[(504, 439)]),
    // Learn from A and B, in the menu of styles.
    ("a style", &[(455, 28), (424, 101)]),
    ("another model", &[(703, 28), (637, 71)]),
];

/// Ardour's configuration: the JACK server that runs is taken without asking.
const CONFIGURATION: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<Ardour>
  <Config><Option name="try-autostart-engine" value="1"/></Config>
  <Extra><AudioMIDISetup><EngineStates>
    <State backend="JACK" driver="" device="" input-device="" output-device="" sample-rate="48000"
      buffer-size="256" n-periods="2" input-latency="0" output-latency="0" lm-input="" lm-output=""
      active="1" use-buffered-io="0" midi-option="" lru="1"/>
  </EngineStates></AudioMIDISetup></Extra>
</Ardour>
"#;

/// A session open in Ardour's window, with Interlude's editor.
pub(super) struct Desk<'a> {
    place: &'a Place,
    display: String,
    /// Number of Ardour's main window.
    main: String,
    /// Number of the editor's window inside of Ardour's.
    editor: String,
    ardour: Started,
    _manager: Started,
    _server: Dialogue,
}

impl<'a> Desk<'a> {
    /// Opens a session in which the editor's window is said to be open.
    pub(super) fn open(
        place: &'a Place,
        installation: &Installation,
        folder: &Path,
        clip: &Path,
    ) -> Result<Self> {
        let own = place.home().join(".config").join(format!("ardour{}", installation.major));
        fs::create_dir_all(&own)?;
        fs::write(own.join("config"), CONFIGURATION)?;
        // Without it, Ardour would greet a new user.
        fs::write(own.join(format!(".a{}", installation.major)), "")?;
        fs::copy(clip, place.home().join("clip.mid"))?;

        let mut server = place.command("Xvfb");
        server.args(["-displayfd", "1", "-screen", "0", SCREEN]);
        let mut server = place.talk(server, "xvfb")?;
        let number = server.line(PATIENCE)?.context("Xvfb ended at once")?;
        let display = format!(":{}", number.trim());
        let command = |program: &str| {
            let mut command = place.command(program);
            command.env("DISPLAY", &display);
            command
        };
        let manager = place.start(command("openbox"), "openbox")?;
        jack::wait_gone(place, "ardour")?;
        let trace = folder.with_extension("trace");
        if trace.exists() {
            fs::remove_file(&trace)?;
        }
        let mut ardour = command("ardour");
        ardour
            .args(["-a", "-n"])
            .arg(folder.join("song.ardour"))
            .env("ARDOUR_TRY_AUTOSTART_ENGINE", "1")
            .env(VARIABLE, &trace);
        let ardour = place.start(ardour, "ardour-window")?;
        let (main, editor) = (String::new(), String::new());
        let (_manager, _server) = (manager, server);
        let mut desk = Self { place, display, main, editor, ardour, _manager, _server };
        let begun = Instant::now();
        loop {
            ensure!(desk.ardour.runs(), "Ardour ended at once");
            ensure!(begun.elapsed() < OPENING, "Ardour's window or the editor does not come");
            let (main, editor) = (desk.find("song - Ardour")?, desk.find("^Interlude$")?);
            if let (Some(main), Some(editor)) = (main, editor) {
                (desk.main, desk.editor) = (main, editor);
                break;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
        model_ready(&trace)?;
        jack::wait_for(place, "ardour:Gen/midi_out 1")?;
        Ok(desk)
    }

    /// Does one thing after the other in the editor, and gives those that left the session as it was
    /// in Ardour's eyes, and all of them.
    pub(super) fn unmarked(&mut self) -> Result<(Vec<&'static str>, Vec<&'static str>)> {
        let mut unmarked = Vec::new();
        for (name, clicks) in ACTIONS {
            self.save()?;
            self.raise()?;
            for (x, y) in clicks {
                let (x, y) = (x.to_string(), y.to_string());
                self.tool(&["mousemove", "--window", &self.editor, &x, &y])?;
                std::thread::sleep(Duration::from_millis(200));
                self.tool(&["click", "1"])?;
                std::thread::sleep(Duration::from_millis(1000));
            }
            let begun = Instant::now();
            while !self.is_changed()? && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(200));
            }
            if !self.is_changed()? {
                unmarked.push(name);
            }
        }
        self.save()?;
        Ok((unmarked, ACTIONS.iter().map(|(name, _)| *name).collect()))
    }

    /// What the editor takes of a core, in per cent: open, and after its window was closed, which
    /// Ardour hides only. The transport stands.
    pub(super) fn cost(&mut self) -> Result<[f64; 2]> {
        self.raise()?;
        self.tool(&["mousemove", CORNER[0], CORNER[1]])?;
        std::thread::sleep(Duration::from_secs(3));
        let open = self.measure()?;
        self.raise()?;
        self.tool(&["key", "alt+F4"])?;
        let begun = Instant::now();
        while self.find("Gen: Interlude")?.is_some() {
            ensure!(begun.elapsed() < PATIENCE, "the editor's window cannot be closed");
            std::thread::sleep(Duration::from_millis(200));
        }
        std::thread::sleep(Duration::from_secs(2));
        Ok([open, self.measure()?])
    }

    fn measure(&self) -> Result<f64> {
        let (before, begun) = (self.busy()?, Instant::now());
        std::thread::sleep(COST);
        let (after, seconds) = (self.busy()?, begun.elapsed().as_secs_f64());
        let ran = |thread: &str| before.get(thread).copied().unwrap_or(0);
        let nanoseconds: u64 = after.iter().map(|(thread, now)| now - ran(thread)).sum();
        #[expect(clippy::cast_precision_loss, reason = "seconds are less than 2^53 nanoseconds")]
        Ok(nanoseconds as f64 / 1e7 / seconds)
    }

    /// Nanoseconds that each thread of the editor has run: the plug-in's own, that of its window,
    /// which bears the program's name as others that rest do, and the renderer's.
    fn busy(&self) -> Result<BTreeMap<String, u64>> {
        let process = self.ardour.id().to_string();
        let tasks = Path::new("/proc").join(&process).join("task");
        let own = fs::read_to_string(tasks.join(&process).join("comm"))?;
        let mut threads = BTreeMap::new();
        for task in tasks.read_dir()?.flatten() {
            let id = task.file_name().to_string_lossy().into_owned();
            // A thread may have ended since.
            let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
            let (Some(name), Some(times)) = (read("comm"), read("schedstat")) else { continue };
            let editors = name.starts_with("interlude") || name.starts_with("llvmpipe");
            if id != process && (editors || name == own) {
                let ran = times.split_whitespace().next().and_then(|time| time.parse().ok());
                threads.insert(id, ran.context("the kernel tells what threads take")?);
            }
        }
        ensure!(!threads.is_empty(), "Ardour has no thread of the editor");
        Ok(threads)
    }

    /// Whether the session is marked, as its title tells.
    fn is_changed(&self) -> Result<bool> {
        Ok(self.tool(&["getwindowname", &self.main])?.starts_with('*'))
    }

    /// Saves until nothing is marked any more.
    fn save(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            self.tool(&["windowactivate", "--sync", &self.main])?;
            self.tool(&["key", "--clearmodifiers", "ctrl+s"])?;
            std::thread::sleep(Duration::from_millis(1500));
            if !self.is_changed()? {
                return Ok(());
            }
            ensure!(begun.elapsed() < PATIENCE, "Ardour does not save");
        }
    }

    fn raise(&self) -> Result<()> {
        let frame = self.find("Gen: Interlude")?.context("the editor's window is gone")?;
        self.tool(&["windowactivate", "--sync", &frame])?;
        std::thread::sleep(Duration::from_millis(400));
        Ok(())
    }

    /// The first window that is to be seen and has such a name.
    fn find(&self, name: &str) -> Result<Option<String>> {
        let mut search = self.place.command("xdotool");
        search.args(["search", "--onlyvisible", "--name", name]).env("DISPLAY", &self.display);
        let found = search.output().context("cannot start xdotool")?;
        Ok(String::from_utf8_lossy(&found.stdout).lines().next().map(str::to_owned))
    }

    fn tool(&self, arguments: &[&str]) -> Result<String> {
        let mut tool = self.place.command("xdotool");
        let done = tool.args(arguments).env("DISPLAY", &self.display).output();
        let done = done.context("cannot start xdotool")?;
        if !done.status.success() {
            bail!(
                "xdotool {}: {}",
                arguments.join(" "),
                String::from_utf8_lossy(&done.stderr).trim()
            );
        }
        Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned())
    }
}

impl Drop for Desk<'_> {
    fn drop(&mut self) {
        // Ardour leaves JACK only when it is quit as by its user; what cannot be said is killed.
        if !self.main.is_empty() && self.save().is_ok() {
            let _ = self.tool(&["key", "--clearmodifiers", "ctrl+q"]);
            let begun = Instant::now();
            while self.ardour.runs() && begun.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        self.ardour.end();
    }
}
