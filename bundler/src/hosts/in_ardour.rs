//! The cases in Ardour, with the VST3 plug-in.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use interlude_models::clip::Clip;

use super::{
    PATIENCE, Table,
    ardour::{Ardour, Installation, Session},
    compare::{Findings, Roll, Tempo, Tempos, compare, steadily},
    desk::Desk,
    ear,
    jack::{self, Recorder},
    model_ready,
    music::{self, Beat, Note, Recording},
    place::Place,
    project::Project,
    reference::Reference,
    wait,
};
use crate::demo::trace::Event;

/// MIDI outputs of the two tracks.
const PORTS: [&str; 2] = ["ardour:Gen/midi_out 1", "ardour:Grid/midi_out 1"];
/// Beats of a cycle of two bars in 4/4.
const CYCLE: u8 = 8;
/// Starts on the line where a cycle begins.
const STARTS: u8 = 20;
/// How often a session is opened before that counts as wrong. At the end of opening, Ardour asks the
/// JACK server to be its time master while another thread of it has latencies computed; JACK's client
/// library does not lock its socket, so the two requests now and then mix and the server closes it.
const OPENINGS: u8 = 6;
/// What the editor may take of a core, in per cent, open and hidden.
const MOST_OPEN: f64 = 0.5;
const MOST_HIDDEN: f64 = 1.0;
/// Where the clips lie in the song, in beats.
const CLIPS: [f64; 2] = [8.0, 24.0];

/// Everything that the cases share.
pub(super) struct Stage<'a> {
    /// Where Ardour lives.
    pub(super) place: &'a Place,
    /// Its programs.
    pub(super) installation: &'a Installation,
    /// What should be heard.
    pub(super) reference: &'a Reference,
    /// The clips for the slots.
    pub(super) clips: [&'a Clip; 2],
    /// Whether only what every change must pass is run.
    pub(super) quick: bool,
}

/// A song as a variant of the session with the clips has it.
struct Song {
    folder: PathBuf,
    tempos: Tempos,
    notes: Vec<Note<f64>>,
}

impl Stage<'_> {
    /// Runs all cases that need no window; gives the session with two clips.
    pub(super) fn run(&self, table: &mut Table) -> Option<PathBuf> {
        let Some(filled) = self.fill(table) else {
            table.skip("all other cases", "there is no session with two clips to play");
            return None;
        };
        self.play(&filled, table);
        Some(filled)
    }

    fn play(&self, filled: &Path, table: &mut Table) {
        let song = self.variant(filled, "4-4", &Tempos::steady(120.0), (4, 4));
        let song = match song {
            Ok(song) => song,
            Err(error) => return table.wrong("reopen", format!("{error:#}")),
        };
        self.with(&song, table, |host, table| {
            table.add("starts on a cycle line", steadily(|| host.starts()));
            table.add("play from bar 1", steadily(|| host.play(&[(0.0, 18.0)])));
            table.add("play from the middle of a bar", steadily(|| host.play(&[(21.5, 34.0)])));
            table.add("a bar before the cycle", steadily(|| host.play(&[(12.0, 27.0)])));
            if !self.quick {
                table.add("loop over three bars", steadily(|| host.looped()));
                table.add("seek while rolling", steadily(|| host.seeks()));
                table.add("other block sizes", steadily(|| host.block_sizes()));
            }
            table.add("save and reopen", self.reopened(host));
        });
        table.add("two exports", self.exports(&song));
        if self.quick {
            return;
        }
        let faster = Tempos(vec![Tempo { from: 0.0, bpm: 120.0 }, Tempo { from: 20.0, bpm: 90.0 }]);
        for (case, name, tempos, metre) in [
            ("120 to 90 BPM", "tempo", faster, (4, 4)),
            ("3/4", "3-4", Tempos::steady(120.0), (3, 4)),
            ("7/8", "7-8", Tempos::steady(120.0), (7, 8)),
        ] {
            match self.variant(filled, name, &tempos, metre) {
                Ok(song) => self.with(&song, table, |host, table| {
                    table.add(case, steadily(|| host.play(&[(0.0, 40.0), (21.0, 30.0)])));
                }),
                Err(error) => table.wrong(case, format!("{error:#}")),
            }
        }
    }

    /// Runs the cases that need Ardour's window.
    pub(super) fn at_the_desk(&self, filled: &Path, table: &mut Table) {
        let opened = (|| {
            let folder = self.folder("window");
            let project = Project::copy(filled, &folder)?.place("Gen", &[])?;
            let folder = project.show("Gen", "Interlude")?.save()?;
            let clip = crate::workspace::root().join("bundler/clips/a.mid");
            again(|| Desk::open(self.place, self.installation, &folder, &clip))
        })();
        let mut desk = match opened {
            Ok(desk) => desk,
            Err(error) => return table.wrong("with its window", format!("{error:#}")),
        };
        match desk.unmarked() {
            Ok((unmarked, all)) if unmarked.is_empty() => {
                table.right("marked as changed", &format!("after {}", all.join(", ")));
            }
            Ok((unmarked, _)) => {
                table.wrong("marked as changed", format!("not after {}", unmarked.join(", ")));
            }
            Err(error) => table.wrong("marked as changed", format!("{error:#}")),
        }
        match desk.cost() {
            Ok(costs) => {
                for (case, cost, most) in [
                    ("editor open, standing", costs[0], MOST_OPEN),
                    ("editor closed", costs[1], MOST_HIDDEN),
                ] {
                    let text = format!("{cost:.2} % of a core, may be {most} %");
                    if cost < most { table.right(case, &text) } else { table.wrong(case, text) }
                }
            }
            Err(error) => table.wrong("what the editor costs", format!("{error:#}")),
        }
    }

    /// The folder of a session. Ardour keeps a session's files in one of the same name.
    fn folder(&self, name: &str) -> PathBuf {
        self.place.root.join("ardour").join(name).join("song")
    }

    /// Makes the session, and has both slots recorded from clips on the time line.
    fn fill(&self, table: &mut Table) -> Option<PathBuf> {
        let blank = self.folder("blank");
        // Without its JACK server Ardour makes a session in which no plug-in is called, so that none
        // takes the values that it saves.
        let created = again(|| {
            let trace = blank.with_extension("trace");
            for left in [&blank, &trace] {
                let _ = std::fs::remove_dir_all(left).or_else(|_| std::fs::remove_file(left));
            }
            std::fs::create_dir_all(blank.parent().context("a folder lies in another")?)?;
            let mut ardour =
                Ardour::start(self.place, self.installation, &trace, Session::New(&blank))?;
            model_ready(&trace)?;
            for port in PORTS {
                jack::wait_for(self.place, port)?;
            }
            for (name, value) in [("Thru", 0.0), ("Evolve", 1.0), ("Morph", 0.5)] {
                ardour.set(name, value)?;
            }
            std::thread::sleep(Duration::from_secs(1));
            ardour.ask("save()").map(drop)
        });
        if let Err(error) = created {
            table.wrong("load the plug-in", format!("{error:#}"));
            return None;
        }
        table.right("load the plug-in", "it is on its track, and a model is ready");
        match self.capture(&blank) {
            Ok((folder, findings)) => {
                table.add("two clips captured", Ok(findings));
                Some(folder)
            }
            Err(error) => {
                table.wrong("two clips captured", format!("{error:#}"));
                None
            }
        }
    }

    fn capture(&self, blank: &Path) -> Result<(PathBuf, Findings)> {
        let [a, b] = self.clips;
        let beats = music::beats();
        let folder = Project::copy(blank, &self.folder("captured"))?
            .place("Gen", &[(CLIPS[0], a), (CLIPS[1], b)])?
            .place("Grid", &[(0.0, &beats)])?
            .ranges(40.0..52.0, 0.0..64.0)?
            .save()?;
        let trace = folder.with_extension("trace");
        let mut host = Host::open(self, &folder, &trace)?;
        let tempos = Tempos::steady(120.0);
        let at = |beat: f64| sample(&tempos, beat);
        host.ardour.locate(0, false)?;
        host.ardour.roll()?;
        for (start, slot) in CLIPS.into_iter().zip(["Capture A", "Capture B"]) {
            host.ardour.roll_to(at(start - 2.0))?;
            host.ardour.set(slot, 1.0)?;
            host.ardour.roll_to(at(start + f64::from(CYCLE) + 1.0))?;
            host.ardour.set(slot, 0.0)?;
        }
        host.ardour.roll_to(at(50.0))?;
        host.ardour.stop()?;
        for slot in ["A", "B"] {
            wait(
                &trace,
                &format!("the clip in slot {slot} was not encoded"),
                |event| matches!(event, Event::Encoded { slot: wanted, .. } if wanted == slot),
            )?;
        }
        host.ardour.ask("save()")?;
        let mut recording = host.recorder.end();
        // Before the cycle after both takes, not all was there to be played.
        let begin = recording.beats.iter().find(|beat| beat.number == 40);
        let begin = begin.context("the host did not play its track of beats")?.frame;
        recording.notes.retain(|note| note.start >= begin - 12);
        recording.beats.retain(|beat| beat.frame >= begin);
        let song = self.reference.notes((4, 4), 0.0..64.0)?;
        let findings = compare(&recording, &[Roll::from(40.0)], &song, &tempos);
        Ok((folder, findings))
    }

    /// The session with the clips, in another metre and without what was on the track to capture.
    fn variant(
        &self,
        filled: &Path,
        name: &str,
        tempos: &Tempos,
        metre: (u16, u16),
    ) -> Result<Song> {
        let folder = Project::copy(filled, &self.folder(name))?
            .place("Gen", &[])?
            .metre(tempos, metre)?
            .save()?;
        let notes = self.reference.notes(metre, 0.0..f64::from(music::BEATS))?;
        Ok(Song { folder, tempos: tempos.clone(), notes })
    }

    /// Opens a session for some cases.
    fn with(
        &self,
        song: &Song,
        table: &mut Table,
        cases: impl FnOnce(&mut Performance<'_>, &mut Table),
    ) {
        let trace = song.folder.with_extension("trace");
        match Host::open(self, &song.folder, &trace) {
            Ok(host) => {
                cases(&mut Performance { host, song, place: self.place }, table);
            }
            Err(error) => table.wrong("reopen", format!("{error:#}")),
        }
    }

    /// Exports twice, and compares with each other and with the headless host.
    fn exports(&self, song: &Song) -> Result<Findings> {
        let folder = self.folder("export");
        Project::copy(&song.folder, &folder)?.save()?;
        let trace = folder.with_extension("trace");
        let mut ardour =
            Ardour::start(self.place, self.installation, &trace, Session::Saved(&folder))?;
        model_ready(&trace)?;
        ardour.ask("listen()")?;
        ardour.ask("save()")?;
        ardour.end();
        let export = |name: &str| {
            let wav = folder.with_file_name(name);
            // Ardour 7.3 frees its export graph wrongly, also in sessions without plug-ins, and dies of
            // it once in some fifty exports: it is told, and the notes are judged all the same.
            if let Err(error) = self.installation.export(self.place, &folder, &wav) {
                println!("hosts: the export is made again: {error:#}");
                self.installation.export(self.place, &folder, &wav)?;
            }
            let mut heard = ear::read(&wav)?;
            let frame = |number: u8| sample(&song.tempos, f64::from(number));
            // The file cuts what sounds at its end.
            heard.beats = (0..63).map(|number| Beat { frame: frame(number), number }).collect();
            heard.notes.retain(|note| note.start < frame(63));
            anyhow::Ok(heard)
        };
        let (one, two) = (export("one.wav")?, export("two.wav")?);
        let mut findings = compare(&one, &[Roll::from(0.0)], &song.notes, &song.tempos);
        if one.notes != two.notes {
            let differ = one.notes.iter().zip(&two.notes).filter(|(one, two)| one != two).count();
            findings.wrong.insert(
                0,
                format!(
                    "the exports differ: {} and {} notes, {differ} not the same",
                    one.notes.len(),
                    two.notes.len()
                ),
            );
        }
        Ok(findings)
    }

    /// Saves, opens what was saved, and plays it.
    fn reopened(&self, before: &mut Performance<'_>) -> Result<Findings> {
        before.host.ardour.ask("save()")?;
        let folder = self.folder("reopened");
        Project::copy(&before.song.folder, &folder)?.save()?;
        let trace = folder.with_extension("trace");
        // One client of that name at a time.
        let names = ["Thru", "Evolve", "Morph", "Capture A", "Capture B"];
        let values: Vec<f64> =
            names.iter().map(|name| before.host.ardour.get(name)).collect::<Result<_>>()?;
        before.host.reopen(self, &folder, &trace)?;
        for (name, value) in names.into_iter().zip(values) {
            let now = before.host.ardour.get(name)?;
            ensure!((now - value).abs() < 1e-6, "{name} was {value} and is {now} after reopening");
        }
        before.play(&[(8.0, 27.0)])
    }
}

/// Ardour with a session, and the recorder.
struct Host {
    ardour: Ardour,
    recorder: Recorder,
}

impl Host {
    /// Opens a session, again where Ardour has lost its JACK server, which says nothing of the plug-in.
    fn open(stage: &Stage<'_>, folder: &Path, trace: &Path) -> Result<Self> {
        again(|| Self::open_once(stage, folder, trace))
    }

    fn open_once(stage: &Stage<'_>, folder: &Path, trace: &Path) -> Result<Self> {
        let ardour = Ardour::start(stage.place, stage.installation, trace, Session::Saved(folder))?;
        model_ready(trace)?;
        let recorder = Recorder::start(stage.place, &PORTS)?;
        Ok(Self { ardour, recorder })
    }

    /// Closes the session and opens another one.
    fn reopen(&mut self, stage: &Stage<'_>, folder: &Path, trace: &Path) -> Result<()> {
        again(|| self.reopen_once(stage, folder, trace))
    }

    fn reopen_once(&mut self, stage: &Stage<'_>, folder: &Path, trace: &Path) -> Result<()> {
        self.ardour.end();
        self.ardour =
            Ardour::start(stage.place, stage.installation, trace, Session::Saved(folder))?;
        model_ready(trace)?;
        self.recorder.connect(stage.place, &PORTS)
    }
}

/// Tries [`OPENINGS`] times to open a session.
fn again<T>(mut open: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..OPENINGS {
        match open() {
            Ok(opened) => return Ok(opened),
            Err(error) => println!("hosts: Ardour is opened again: {error:#}"),
        }
    }
    open()
}

/// A song being played by Ardour.
struct Performance<'a> {
    host: Host,
    song: &'a Song,
    place: &'a Place,
}

impl Performance<'_> {
    fn sample(&self, beat: f64) -> i64 {
        sample(&self.song.tempos, beat)
    }

    /// Starts from a standing transport.
    fn start(&mut self, beat: f64, pause: Duration) -> Result<()> {
        let sample = self.sample(beat);
        self.host.ardour.locate(sample, false)?;
        std::thread::sleep(pause);
        self.host.ardour.roll()
    }

    fn stop(&mut self) -> Result<()> {
        self.host.ardour.stop()?;
        let begun = Instant::now();
        while self.host.ardour.ask("rolling()")? == "true" {
            ensure!(begun.elapsed() < PATIENCE, "Ardour's transport does not stop");
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(100));
        Ok(())
    }

    fn judge(&self, recording: &Recording, rolls: &[Roll]) -> Findings {
        compare(recording, rolls, &self.song.notes, &self.song.tempos)
    }

    /// Plays from beats to beats, each from a stop.
    fn play(&mut self, stretches: &[(f64, f64)]) -> Result<Findings> {
        self.host.recorder.take()?;
        let mut rolls = Vec::new();
        for &(from, to) in stretches {
            self.start(from, Duration::from_millis(900))?;
            let end = self.sample(to);
            self.host.ardour.roll_to(end)?;
            self.stop()?;
            rolls.push(Roll::from(from));
        }
        let recording = self.host.recorder.take()?;
        Ok(self.judge(&recording, &rolls))
    }

    /// Starts again and again where cycles begin, after pauses of different lengths.
    fn starts(&mut self) -> Result<Findings> {
        self.host.recorder.take()?;
        let mut findings = Findings::default();
        let mut lost = 0;
        for index in 0..STARTS {
            // Every cycle of the song comes, in an order that jumps to and fro.
            let beat = f64::from(index * 7 % 12 * CYCLE);
            self.start(beat, Duration::from_millis(400 + u64::from(index % 5) * 250))?;
            let end = self.sample(beat + 2.0);
            self.host.ardour.roll_to(end)?;
            self.stop()?;
            let recording = self.host.recorder.take()?;
            let found = self.judge(&recording, &[Roll::from(beat)]);
            lost += usize::from(!found.wrong.is_empty());
            findings.add(found);
        }
        if lost > 0 {
            findings.wrong.insert(0, format!("{lost} of {STARTS} starts are wrong"));
        }
        Ok(findings)
    }

    fn looped(&mut self) -> Result<Findings> {
        self.host.recorder.take()?;
        let (start, end) = (40.0, 52.0);
        self.host.ardour.locate(self.sample(start), false)?;
        std::thread::sleep(Duration::from_millis(900));
        self.host.ardour.ask("loop(true)")?;
        // Twice around and half of a third time, however long that takes.
        let mut last = self.sample(start);
        let mut wraps = 0;
        let begun = Instant::now();
        while wraps < 2 || last < self.sample((start + end) / 2.0) {
            ensure!(begun.elapsed() < PATIENCE * 4, "Ardour does not loop");
            std::thread::sleep(Duration::from_millis(20));
            let now = self.host.ardour.position()?;
            wraps += u32::from(now < last - self.sample(1.0));
            last = now;
        }
        self.host.ardour.ask("loop(false)")?;
        self.stop()?;
        let recording = self.host.recorder.take()?;
        let pass = Roll::pass(start..end);
        Ok(self.judge(&recording, &[pass, pass, Roll::from(start)]))
    }

    fn seeks(&mut self) -> Result<Findings> {
        self.host.recorder.take()?;
        self.start(0.0, Duration::from_millis(900))?;
        self.host.ardour.roll_to(self.sample(10.0))?;
        let mut rolls = vec![Roll::from(0.0)];
        for (to, until) in [(50.25, 58.0), (8.0, 18.0), (24.0, 33.0)] {
            self.host.ardour.locate(self.sample(to), true)?;
            // The position may be that of before for a moment.
            std::thread::sleep(Duration::from_millis(300));
            self.host.ardour.roll_to(self.sample(until))?;
            rolls.push(Roll::from(to));
        }
        self.stop()?;
        let recording = self.host.recorder.take()?;
        Ok(self.judge(&recording, &rolls))
    }

    fn block_sizes(&mut self) -> Result<Findings> {
        let mut findings = Findings::default();
        for frames in [64, 1024, 256] {
            jack::set_block(self.place, frames)?;
            std::thread::sleep(Duration::from_millis(500));
            findings.add(self.play(&[(16.0, 20.0), (6.5, 17.0)])?);
        }
        Ok(findings)
    }
}

fn sample(tempos: &Tempos, beat: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a song has less than 2^63 samples")]
    let sample = tempos.frames(beat).round() as i64;
    sample
}
