//! Ardour without its window: its Lua interpreter, to which lines are said one by one.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    jack,
    place::{Dialogue, Place},
};

/// What runs in the interpreter.
const SCRIPT: &str = include_str!("../../hosts/ardour.lua");
/// How long an answer may take; opening a session with a plug-in is the longest.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a plug-in may be looked at.
const SCAN: Duration = Duration::from_secs(60);
/// How long an export may take.
const EXPORT: Duration = Duration::from_secs(120);

/// Where a version of Ardour has its programs.
#[derive(Clone, Debug)]
pub(super) struct Installation {
    /// `ardour7-lua`.
    lua: PathBuf,
    /// `ardour7-export`.
    export: PathBuf,
    /// `ardour-vst3-scanner`; its place differs by package.
    scanner: PathBuf,
    /// Its major version, by which its programs and folders are called.
    pub(super) major: u32,
    /// Such as `Ardour 7`.
    pub(super) name: String,
}

impl Installation {
    /// The newest one there is.
    pub(super) fn find() -> Option<Self> {
        (6..20).rev().find_map(|version: u32| {
            let program = |name: &str| {
                let path = Path::new("/usr/bin").join(format!("ardour{version}-{name}"));
                path.is_file().then_some(path)
            };
            let libraries = Path::new("/usr/lib").join(format!("ardour{version}"));
            let scanner = libraries.join("ardour-vst3-scanner");
            Some(Self {
                lua: program("lua")?,
                export: program("export")?,
                scanner: scanner.is_file().then_some(scanner)?,
                major: version,
                name: version_of(&libraries).unwrap_or_else(|| format!("Ardour {version}")),
            })
        })
    }

    /// Lets Ardour look at a plug-in, as it does when it scans for new ones.
    pub(super) fn scan(&self, place: &Place, vst3: &Path) -> Result<()> {
        // What it finds counts only when the plug-in is older than that, by whole seconds.
        let old = SystemTime::now() - Duration::from_secs(3600);
        for library in vst3.join("Contents").read_dir()?.flatten() {
            for file in library.path().read_dir()?.flatten() {
                if file.path().extension().is_some_and(|ending| ending == "so") {
                    File::options().write(true).open(file.path())?.set_modified(old)?;
                }
            }
        }
        let mut command = place.command("/bin/sh");
        // The scanner is started by Ardour itself, which has set the way to its libraries.
        let libraries = self.scanner.parent().context("a file lies in a folder")?;
        command
            .args(["-c", "exec \"$0\" -v \"$1\""])
            .arg(&self.scanner)
            .arg(vst3)
            .env("LD_LIBRARY_PATH", libraries);
        place.finish(command, "ardour-vst3-scanner", SCAN)
    }

    /// Exports a session to a WAV file of 32-bit floating-point samples.
    pub(super) fn export(&self, place: &Place, session: &Path, out: &Path) -> Result<()> {
        let mut command = place.command(&self.export.to_string_lossy());
        command.args(["-b", "float", "-o"]).arg(out).arg(session).arg("song");
        place.finish(command, "ardour-export", EXPORT)
    }
}

/// The version that the main program's name holds, such as `ardour-7.3.0~ds0`.
fn version_of(libraries: &Path) -> Option<String> {
    libraries.read_dir().ok()?.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let version = name.strip_prefix("ardour-")?;
        let digits: String =
            version.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        (digits.contains('.')).then(|| format!("Ardour {digits}"))
    })
}

/// The folder of a session.
#[derive(Clone, Copy, Debug)]
pub(super) enum Session<'a> {
    /// To be made, with Interlude on a track.
    New(&'a Path),
    /// That is there.
    Saved(&'a Path),
}

/// A running Ardour with one session.
pub(super) struct Ardour {
    dialogue: Dialogue,
}

impl Ardour {
    /// Starts the interpreter with a session; `trace` is where Interlude's worker writes what it does.
    pub(super) fn start(
        place: &Place,
        installation: &Installation,
        trace: &Path,
        session: Session<'_>,
    ) -> Result<Self> {
        jack::wait_gone(place, "ardour")?;
        let script = place.root.join("ardour.lua");
        std::fs::write(&script, SCRIPT)?;
        let mut command = place.command(&installation.lua.to_string_lossy());
        command.arg(&script).env(crate::demo::trace::VARIABLE, trace);
        let mut ardour = Self { dialogue: place.talk(command, "ardour")? };
        ardour.answer("start")?;
        ardour.ask(&match session {
            Session::New(folder) => format!("create({})", quoted(folder)),
            Session::Saved(folder) => format!("open({})", quoted(folder)),
        })?;
        Ok(ardour)
    }

    /// Ends Ardour without saving.
    pub(super) fn end(&mut self) {
        // A client of JACK that is killed may take the server with it.
        self.dialogue.leave();
    }

    /// Has a call done and gives its answer.
    pub(super) fn ask(&mut self, call: &str) -> Result<String> {
        self.dialogue.say(&format!("return {call}"))?;
        self.answer(call)
    }

    fn answer(&mut self, call: &str) -> Result<String> {
        let begun = Instant::now();
        while let Some(line) = self.dialogue.line(PATIENCE.saturating_sub(begun.elapsed()))? {
            // What Ardour itself has to say stands in the log.
            if let Some(answer) = line.strip_prefix("@ok") {
                return Ok(answer.trim().to_owned());
            }
            if let Some(reason) = line.strip_prefix("@error") {
                bail!("Ardour cannot do {call}: {}", reason.trim());
            }
        }
        bail!("Ardour ended at {call}")
    }

    /// Sets a parameter of Interlude, in `0.0..=1.0`.
    pub(super) fn set(&mut self, name: &str, value: f64) -> Result<()> {
        self.ask(&format!("set({name:?}, {value})")).map(drop)
    }

    /// A parameter of Interlude.
    pub(super) fn get(&mut self, name: &str) -> Result<f64> {
        let answer = self.ask(&format!("get({name:?})"))?;
        answer.parse().with_context(|| format!("Ardour says {name} is {answer}"))
    }

    /// Moves the transport to a sample; with `roll` it goes on from there.
    pub(super) fn locate(&mut self, sample: i64, roll: bool) -> Result<()> {
        self.ask(&format!("locate({sample}, {roll})")).map(drop)
    }

    /// Starts the transport.
    pub(super) fn roll(&mut self) -> Result<()> {
        self.ask("roll()").map(drop)
    }

    /// Stops the transport.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.ask("stop()").map(drop)
    }

    /// Where the transport is, in samples.
    pub(super) fn position(&mut self) -> Result<i64> {
        let answer = self.ask("position()")?;
        answer.parse().with_context(|| format!("Ardour says its position is {answer}"))
    }

    /// Waits until the transport has come to a sample.
    pub(super) fn roll_to(&mut self, sample: i64) -> Result<()> {
        let mut last = (self.position()?, Instant::now());
        while last.0 < sample {
            std::thread::sleep(Duration::from_millis(20));
            let position = self.position()?;
            if position != last.0 {
                last = (position, Instant::now());
            }
            ensure!(
                last.1.elapsed() < Duration::from_secs(5),
                "Ardour's transport stands at sample {position} and should come to {sample}"
            );
        }
        Ok(())
    }
}

impl Drop for Ardour {
    fn drop(&mut self) {
        self.end();
    }
}

fn quoted(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}
