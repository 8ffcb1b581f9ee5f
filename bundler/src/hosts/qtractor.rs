//! qtractor without its window: sessions are written for it, JACK's transport drives it, and it
//! saves when it is told to.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use flate2::{Compression, write::ZlibEncoder};
use interlude_models::clip::Clip;

use super::{
    compare::Tempos,
    jack,
    music::BEAT_CHANNEL,
    place::{Dialogue, Place, Started},
    project,
};
use crate::workspace::{self, run, write};

/// How long qtractor may take to open a session.
const PATIENCE: Duration = Duration::from_secs(40);

/// Its name among the clients of JACK.
pub(super) const CLIENT: &str = "Qtractor";

/// A session to write.
pub(super) struct SessionFile<'a> {
    /// The plug-in.
    pub(super) interlude: &'a Path,
    /// The plug-in that makes notes audible.
    pub(super) ear: &'a Path,
    /// Interlude's state, as CLAP saves it.
    pub(super) state: &'a [u8],
    /// The track of beats.
    pub(super) beats: &'a Clip,
    /// Tempos, each from the start of a bar.
    pub(super) tempos: &'a Tempos,
    /// Time signature.
    pub(super) metre: (u16, u16),
    /// Loop in frames, where it loops.
    pub(super) looping: Option<(u64, u64)>,
}

impl SessionFile<'_> {
    /// Writes the session and its MIDI file into a folder; gives the session's file.
    pub(super) fn write(&self, folder: &Path) -> Result<PathBuf> {
        write(&folder.join("beats.mid"), &project::file(self.beats)?)?;
        let (numerator, denominator) = self.metre;
        let divisor = denominator.trailing_zeros();
        let [first, rest @ ..] = self.tempos.0.as_slice() else { anyhow::bail!("no tempo") };
        let mut nodes = String::new();
        for tempo in rest {
            write!(
                nodes,
                "<tempo-node frame=\"{:.0}\"><tempo>{}</tempo><beat-type>2</beat-type>\
                 <beats-per-bar>{numerator}</beats-per-bar><beat-divisor>{divisor}</beat-divisor>\
                 </tempo-node>",
                self.tempos.frames(tempo.from),
                tempo.bpm,
            )?;
        }
        let (start, end) = self.looping.unwrap_or_default();
        let length = self.tempos.frames(self.beats.length);
        let clip = format!(
            "<clip name=\"beats\"><properties><name>beats</name><start>0</start>\
             <offset>0</offset><length>{length:.0}</length><gain>1</gain><mute>false</mute>\
             </properties><midi-clip><filename>beats.mid</filename>\
             <track-channel>{BEAT_CHANNEL}</track-channel><revision>0</revision></midi-clip></clip>"
        );
        let interlude = plugin(self.interlude, "Interlude", Some(self.state))?;
        let ear = plugin(self.ear, "Ear", None)?;
        let gen_track = track("Gen", 0, "", &format!("{interlude}{ear}"));
        let grid_track = track("Grid", BEAT_CHANNEL, &clip, &ear);
        let text = format!(
            "<!DOCTYPE qtractor-session>\n<session version=\"0.9.31\" name=\"song\">\
             <properties><directory>{}</directory><description></description>\
             <sample-rate>48000</sample-rate><tempo>{}</tempo>\
             <ticks-per-beat>960</ticks-per-beat><beats-per-bar>{numerator}</beats-per-bar>\
             <beat-divisor>{divisor}</beat-divisor></properties>\
             <state><loop-start>{start}</loop-start><loop-end>{end}</loop-end></state>\
             <files><audio-list/><midi-list/></files>\
             <devices><audio-engine><audio-control><transport-mode>duplex</transport-mode>\
             </audio-control><audio-bus name=\"Master\" mode=\"duplex\"><channels>2</channels>\
             </audio-bus></audio-engine>\
             <midi-engine><midi-bus name=\"Master\" mode=\"duplex\"/></midi-engine></devices>\
             <tempo-map>{nodes}</tempo-map>\
             <tracks><view/>{gen_track}{grid_track}</tracks></session>\n",
            folder.display(),
            first.bpm,
        );
        let file = folder.join("song.qtr");
        write(&file, text.as_bytes())?;
        Ok(file)
    }
}

/// A track of MIDI; what its clips play comes on its channel.
fn track(name: &str, channel: u8, clips: &str, plugins: &str) -> String {
    format!(
        "<track name=\"{name}\" type=\"midi\"><properties><input-bus>Master</input-bus>\
         <output-bus>Master</output-bus><midi-omni>true</midi-omni>\
         <midi-channel>{channel}</midi-channel></properties>\
         <state><mute>false</mute><solo>false</solo><record>false</record>\
         <monitor>false</monitor><gain>1</gain><panning>0</panning></state>\
         <clips>{clips}</clips><plugins>{plugins}<audio-output-bus>true</audio-output-bus>\
         <audio-output-auto-connect>false</audio-output-auto-connect></plugins></track>"
    )
}

/// A plug-in of a track. qtractor keeps states compressed, with their length in front, as text.
fn plugin(file: &Path, label: &str, state: Option<&[u8]>) -> Result<String> {
    let mut configs = String::new();
    if let Some(state) = state {
        let mut packed = u32::try_from(state.len())?.to_be_bytes().to_vec();
        let mut encoder = ZlibEncoder::new(&mut packed, Compression::default());
        encoder.write_all(state)?;
        encoder.finish()?;
        let text = BASE64_STANDARD.encode(packed);
        configs = format!("<config key=\"state\">{text}</config>");
    }
    Ok(format!(
        "<plugin type=\"CLAP\"><filename>{}</filename><index>0</index><label>{label}</label>\
         <activated>true</activated><configs>{configs}</configs></plugin>",
        file.display()
    ))
}

/// Builds the stand-in for the sequencer of the kernel, and gives its library.
pub(super) fn build_sequencer() -> Result<PathBuf> {
    let mut cargo = workspace::cargo();
    let package = ["build", "--quiet", "--package", "interlude-ear"];
    run(cargo.args(package).args(["--example", "no_sequencer"]))?;
    Ok(workspace::target().join("debug/examples/libno_sequencer.so"))
}

/// A running qtractor with one session.
pub(super) struct Qtractor {
    started: Started,
    transport: Dialogue,
}

impl Qtractor {
    /// Opens a session; `sequencer` stands in for the kernel's where there is none.
    pub(super) fn open(
        place: &Place,
        session: &Path,
        sequencer: Option<&Path>,
        trace: &Path,
    ) -> Result<Self> {
        let mut command = place.command("qtractor");
        command
            .arg(session)
            .env("QT_QPA_PLATFORM", "offscreen")
            .env(crate::demo::trace::VARIABLE, trace);
        if let Some(sequencer) = sequencer {
            command.env("LD_PRELOAD", sequencer);
        }
        let folder = session.parent().context("a session lies in a folder")?;
        command.current_dir(folder);
        // What is in it already was said by another one.
        if trace.exists() {
            fs::remove_file(trace)?;
        }
        jack::wait_gone(place, CLIENT)?;
        let started = place.start(command, "qtractor")?.ended_by("TERM");
        let transport = place.talk(place.command("jack_transport"), "jack_transport")?;
        Ok(Self { started, transport })
    }

    /// Whether it still runs.
    pub(super) fn runs(&mut self) -> bool {
        self.started.runs()
    }

    /// Has JACK's transport stand at a frame.
    pub(super) fn locate(&mut self, frame: i64) -> Result<()> {
        self.transport.say(&format!("locate {frame}"))
    }

    /// Starts JACK's transport.
    pub(super) fn roll(&mut self) -> Result<()> {
        self.transport.say("play")
    }

    /// Stops JACK's transport.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.transport.say("stop")
    }

    /// Has the session saved, and waits for the file.
    pub(super) fn save(&mut self, session: &Path) -> Result<()> {
        let before = fs::metadata(session)?.modified()?;
        self.ask_to_save()?;
        let begun = Instant::now();
        while fs::metadata(session)?.modified()? == before {
            ensure!(begun.elapsed() < PATIENCE, "qtractor does not save");
            std::thread::sleep(Duration::from_millis(50));
        }
        // It writes in place.
        std::thread::sleep(Duration::from_millis(300));
        Ok(())
    }

    fn ask_to_save(&self) -> Result<()> {
        // There is no Debian system without `kill`.
        run(Command::new("kill").args(["-USR1", &self.started.id().to_string()]))
    }

    /// Ends it. What has changed is saved first, since it would ask, and nobody could answer; it must
    /// not be killed, which stops the JACK server for half a minute.
    pub(super) fn end(&mut self) {
        if self.started.runs() && self.ask_to_save().is_ok() {
            std::thread::sleep(Duration::from_secs(1));
        }
        self.started.end();
    }
}

impl Drop for Qtractor {
    fn drop(&mut self) {
        self.end();
    }
}
