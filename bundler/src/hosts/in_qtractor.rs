//! The cases in qtractor, with the CLAP plug-in. Its window cannot be used without a display, so
//! the slots are filled from a saved project, and a project is exported by nobody.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Result, ensure};

use super::{
    Table,
    compare::{Findings, Roll, Tempo, Tempos, compare, steadily},
    ear,
    jack::{self, AudioRecorder},
    music::{self, Note, Recording},
    place::Place,
    qtractor::{Qtractor, SessionFile},
    reference::Reference,
};

/// Audio outputs of the ears behind Interlude and behind the track of beats.
const PORTS: [&str; 4] =
    ["Qtractor:Gen/out_1", "Qtractor:Gen/out_2", "Qtractor:Grid/out_1", "Qtractor:Grid/out_2"];

/// Why there is nothing to measure a seek against.
const LOST_BEATS: &str = "after it, qtractor plays its own tracks wrongly: a beat in every block";

/// Everything that the cases share.
pub(super) struct Stage<'a> {
    /// Where qtractor lives.
    pub(super) place: &'a Place,
    /// What should be heard.
    pub(super) reference: &'a Reference,
    /// Interlude.
    pub(super) interlude: &'a Path,
    /// The plug-in that makes notes audible.
    pub(super) ear: &'a Path,
    /// Stands in for the kernel's sequencer where there is none.
    pub(super) sequencer: Option<&'a Path>,
}

impl Stage<'_> {
    /// Runs all cases.
    pub(super) fn run(&self, table: &mut Table) {
        let steady = Tempos::steady(120.0);
        let opened = self.with("4-4", &steady, (4, 4), None, |song| {
            table.right("load the plug-in", "with two clips from a project");
            table.add("play from bar 1", steadily(|| song.play(&[(0.0, 18.0)])));
            table.add("play from the middle of a bar", steadily(|| song.play(&[(21.5, 34.0)])));
            table.add("a bar before the cycle", steadily(|| song.play(&[(12.0, 27.0)])));
            table.add("starts on a cycle line", steadily(|| song.starts()));
            table.skip("seek while rolling", LOST_BEATS);
            table.add("save and reopen", steadily(|| song.reopened()));
            Ok(())
        });
        if let Err(error) = opened {
            return table.wrong("load the plug-in", format!("{error:#}"));
        }
        let slower = Tempos(vec![Tempo { from: 0.0, bpm: 120.0 }, Tempo { from: 20.0, bpm: 90.0 }]);
        for (case, name, tempos, metre) in [
            ("120 to 90 BPM", "tempo", &slower, (4, 4)),
            ("3/4", "3-4", &steady, (3, 4)),
            ("7/8", "7-8", &steady, (7, 8)),
        ] {
            let result = self.with(name, tempos, metre, None, |song| {
                table.add(case, steadily(|| song.play(&[(0.0, 40.0), (21.0, 30.0)])));
                Ok(())
            });
            if let Err(error) = result {
                table.wrong(case, format!("{error:#}"));
            }
        }
        let looping = Some((40.0, 52.0));
        let looped = self.with("loop", &steady, (4, 4), looping, |song| {
            table.add("loop over three bars", steadily(|| song.looped(40.0, 52.0)));
            Ok(())
        });
        if let Err(error) = looped {
            table.wrong("loop over three bars", format!("{error:#}"));
        }
        table.skip("export", "only its window exports");
        table.skip("marked as changed", "only its window tells");
    }

    fn with(
        &self,
        name: &str,
        tempos: &Tempos,
        metre: (u16, u16),
        looping: Option<(f64, f64)>,
        cases: impl FnOnce(&mut Song<'_>) -> Result<()>,
    ) -> Result<()> {
        let folder = self.place.root.join("qtractor").join(name);
        let frame = |beat: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a song is short and begins at 0"
            )]
            let frame = tempos.frames(beat).round() as u64;
            frame
        };
        let file = SessionFile {
            interlude: self.interlude,
            ear: self.ear,
            state: self.reference.state(),
            beats: &music::beats(),
            tempos,
            metre,
            looping: looping.map(|(start, end)| (frame(start), frame(end))),
        }
        .write(&folder)?;
        // What velocities become on the way to the next plug-in is qtractor's.
        let mut notes = self.reference.notes(metre, 0.0..f64::from(music::BEATS))?;
        notes.iter_mut().for_each(|note| note.velocity = 1);
        let mut song =
            Song { stage: self, host: self.open(&file)?, file, tempos, notes, recorded: 0 };
        cases(&mut song)
    }

    fn open(&self, file: &Path) -> Result<Qtractor> {
        let trace = file.with_extension("trace");
        let mut host = Qtractor::open(self.place, file, self.sequencer, &trace)?;
        for port in PORTS {
            jack::wait_for(self.place, port)?;
        }
        super::model_ready(&trace)?;
        ensure!(host.runs(), "qtractor ended, see its log");
        Ok(host)
    }
}

/// A song open in qtractor.
struct Song<'a> {
    stage: &'a Stage<'a>,
    host: Qtractor,
    file: PathBuf,
    tempos: &'a Tempos,
    notes: Vec<Note<f64>>,
    /// Number of recordings so far.
    recorded: u8,
}

impl Song<'_> {
    fn frame(&self, beat: f64) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a song is short")]
        let frame = self.tempos.frames(beat).round() as i64;
        frame
    }

    fn seconds(&self, from: f64, to: f64) -> Duration {
        let frames = self.tempos.frames(to) - self.tempos.frames(from);
        Duration::from_secs_f64(frames / f64::from(jack::SAMPLE_RATE))
    }

    /// Plays while everything is recorded, and compares.
    fn record(
        &mut self,
        length: Duration,
        rolls: &[Roll],
        play: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<Findings> {
        self.recorded += 1;
        let wav = self.file.with_file_name(format!("heard-{}.wav", self.recorded));
        let recorder = AudioRecorder::start(self.stage.place, &wav, &PORTS, length)?;
        play(self)?;
        recorder.finish()?;
        let mut heard: Recording = ear::read(&wav)?;
        heard.notes.iter_mut().for_each(|note| note.velocity = 1);
        Ok(compare(&heard, rolls, &self.notes, self.tempos))
    }

    fn play(&mut self, stretches: &[(f64, f64)]) -> Result<Findings> {
        let pauses = Duration::from_millis(1500);
        let length =
            stretches.iter().map(|&(from, to)| self.seconds(from, to) + pauses).sum::<Duration>();
        let rolls: Vec<Roll> = stretches.iter().map(|&(from, _)| Roll::from(from)).collect();
        self.record(length, &rolls, |song| {
            for &(from, to) in stretches {
                song.host.locate(song.frame(from))?;
                std::thread::sleep(Duration::from_millis(800));
                song.host.roll()?;
                std::thread::sleep(song.seconds(from, to));
                song.host.stop()?;
                std::thread::sleep(Duration::from_millis(400));
            }
            Ok(())
        })
    }

    fn starts(&mut self) -> Result<Findings> {
        let starts: Vec<(f64, f64)> = (0_u8..8)
            .map(|index| f64::from(index * 7 % 12 * 8))
            .map(|beat| (beat, beat + 2.5))
            .collect();
        self.play(&starts)
    }

    fn looped(&mut self, start: f64, end: f64) -> Result<Findings> {
        let pass = self.seconds(start, end);
        let rolls = [Roll::pass(start..end), Roll::pass(start..end), Roll::from(start)];
        self.record(pass.mul_f64(2.5) + Duration::from_secs(2), &rolls, |song| {
            song.host.locate(song.frame(start))?;
            std::thread::sleep(Duration::from_millis(800));
            song.host.roll()?;
            std::thread::sleep(pass.mul_f64(2.5));
            song.host.stop()
        })
    }

    fn reopened(&mut self) -> Result<Findings> {
        self.host.save(&self.file)?;
        self.host.end();
        self.host = self.stage.open(&self.file)?;
        self.play(&[(8.0, 27.0)])
    }
}
