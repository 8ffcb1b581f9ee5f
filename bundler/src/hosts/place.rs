//! Environment of the hosts: a home of their own, processes that are ended by id, and bounded
//! waits.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// How long a program that was asked to end may take before it is killed.
const GOODBYE: Duration = Duration::from_secs(10);

/// A folder that the hosts take for the user's home, and a name for the JACK server in it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Everything lies in here.
    pub(super) root: PathBuf,
    server: String,
}

impl Place {
    /// An empty folder, where there was one before too.
    pub(super) fn new(root: &Path) -> Result<Self> {
        let failed = || format!("cannot prepare {}", root.display());
        if root.exists() {
            fs::remove_dir_all(root).with_context(failed)?;
        }
        let place =
            Self { root: root.to_owned(), server: format!("interlude-{}", std::process::id()) };
        for folder in ["home", "run", "log"] {
            fs::create_dir_all(root.join(folder)).with_context(failed)?;
        }
        Ok(place)
    }

    /// The home folder.
    pub(super) fn home(&self) -> PathBuf {
        self.root.join("home")
    }

    /// Name of the JACK server.
    pub(super) fn server(&self) -> &str {
        &self.server
    }

    /// A program that sees this home and no display.
    pub(super) fn command(&self, program: &str) -> Command {
        let home = self.home();
        let mut command = Command::new(program);
        command
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_RUNTIME_DIR", self.root.join("run"))
            .env("JACK_DEFAULT_SERVER", &self.server)
            .env("JACK_NO_START_SERVER", "1")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .current_dir(&self.root);
        command
    }

    /// The file that keeps what a program says.
    pub(super) fn log(&self, name: &str) -> Result<File> {
        let path = self.root.join("log").join(format!("{name}.log"));
        let file = File::options().create(true).append(true).open(&path);
        file.with_context(|| format!("cannot write {}", path.display()))
    }

    /// Starts a program whose output goes to its log.
    pub(super) fn start(&self, mut command: Command, name: &str) -> Result<Started> {
        command.stdin(Stdio::null()).stdout(self.log(name)?).stderr(self.log(name)?);
        let child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        Ok(Started { child, name: name.to_owned(), signal: "INT" })
    }

    /// Starts a program whose lines are read, and to which lines can be said.
    pub(super) fn talk(&self, mut command: Command, name: &str) -> Result<Dialogue> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(self.log(name)?);
        let mut child = command.spawn().with_context(|| format!("cannot start {name}"))?;
        let output = child.stdout.take().context("the output of a program just started")?;
        let input = child.stdin.take();
        let mut log = self.log(name)?;
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                // A log that cannot be written is no reason to stop listening.
                let _ = writeln!(log, "{line}");
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Dialogue {
            started: Started { child, name: name.to_owned(), signal: "INT" },
            input,
            lines,
        })
    }

    /// Runs a program to its end, or ends it when its time is up.
    pub(super) fn finish(&self, command: Command, name: &str, limit: Duration) -> Result<()> {
        let mut started = self.start(command, name)?;
        let begun = Instant::now();
        loop {
            if let Some(status) = started.child.try_wait()? {
                if status.success() {
                    return Ok(());
                }
                bail!("{name} failed with {status}, see {}", self.root.join("log").display());
            }
            if begun.elapsed() > limit {
                bail!("{name} hung and was ended after {} s", limit.as_secs());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A program that was started here. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Started {
    child: Child,
    name: String,
    /// What it is asked to end by.
    signal: &'static str,
}

impl Started {
    /// Whether it still runs.
    pub(super) fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// A program that closes its files for another signal than that of Ctrl-C.
    pub(super) fn ended_by(mut self, signal: &'static str) -> Self {
        self.signal = signal;
        self
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to end, and kills it when it does not.
    pub(super) fn end(&mut self) {
        if self.runs() {
            // Without `kill` there is still the harder way below.
            let _ = Command::new("kill")
                .args(["-s", self.signal, &self.child.id().to_string()])
                .status();
            let begun = Instant::now();
            while self.runs() && begun.elapsed() < GOODBYE {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if self.runs() {
            // It is gone when killing fails.
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.end();
    }
}

/// A program with a line-based dialogue.
#[derive(Debug)]
pub(super) struct Dialogue {
    /// The program.
    pub(super) started: Started,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Dialogue {
    /// Says a line.
    pub(super) fn say(&mut self, line: &str) -> Result<()> {
        let name = &self.started.name;
        let input = self.input.as_mut().with_context(|| format!("{name} takes no input"))?;
        writeln!(input, "{line}").with_context(|| format!("{name} ended before its time"))
    }

    /// The next line, `None` at the end.
    pub(super) fn line(&mut self, limit: Duration) -> Result<Option<String>> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                let name = &self.started.name;
                bail!("{name} hung: nothing came for {} s", limit.as_secs())
            }
        }
    }

    /// The lines that have come and were not read.
    pub(super) fn waiting(&mut self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// Ends the input of a program that ends with it, and waits.
    pub(super) fn leave(&mut self) {
        self.input = None;
        let begun = Instant::now();
        while self.started.runs() && begun.elapsed() < GOODBYE {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.started.end();
    }

    /// Ends the input and the program, and gives the lines that were not read.
    pub(super) fn end(mut self) -> Vec<String> {
        self.input = None;
        self.started.end();
        self.lines.iter().collect()
    }
}
