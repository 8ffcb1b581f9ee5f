//! Plays the demo: clips into the slots, then the morph, on the plug-in in the headless host.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use interlude_models::clip::Clip;

use super::trace::{self, Event, Trace};
use crate::host::{PluginFile, Session, Settings, Span, spans};

/// Id of the plug-in in its file.
const PLUGIN: &str = "studio.interlude.interlude";
/// Frames in a second.
pub(super) const SAMPLE_RATE: f64 = 48_000.0;
/// Frames in a block.
const BLOCK: u32 = 64;
/// Beats in a bar of 4/4.
const BAR: f64 = 4.0;
/// Timeout for loading a model and encoding a clip.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long the sound of the last notes is kept.
const RINGING: Duration = Duration::from_millis(1500);

/// Time before a block is due for which the thread spins, so that the plug-in is measured and not
/// the processor's wake-up from an idle state.
const AWAKE: Duration = Duration::from_micros(150);

/// Iterations of the reference work that `process` is compared with; about two microseconds.
const CONTROL_STEPS: u32 = 2500;

/// Score of the demo.
#[derive(Clone, Debug)]
pub(super) struct Score<'a> {
    /// The clips for slots A and B.
    pub(super) clips: [&'a Clip; 2],
    /// Bars of 4/4 in a cycle.
    pub(super) bars: u32,
    /// Number of cycles.
    pub(super) cycles: u32,
    /// Beats in a minute.
    pub(super) tempo: f64,
    /// Sampling temperature.
    pub(super) temperature: f64,
    /// Seed of the noise.
    pub(super) seed: u32,
    /// How much faster than real time.
    pub(super) speed: f64,
}

impl Score<'_> {
    /// Beats in a cycle.
    pub(super) fn cycle_beats(&self) -> f64 {
        f64::from(self.bars) * BAR
    }

    /// Frames in a beat.
    pub(super) fn frames_per_beat(&self) -> f64 {
        SAMPLE_RATE * 60.0 / self.tempo
    }

    /// Morph position of a cycle: 0 for the first, 1 for the last.
    pub(super) fn morph(&self, cycle: u32) -> f64 {
        f64::from(cycle) / f64::from(self.cycles.saturating_sub(1).max(1))
    }
}

/// Recording of the demo.
pub(super) struct Performance {
    /// Notes of the morph, with the pre-roll.
    pub(super) spans: Vec<Span>,
    /// The sound of the morph at [`SAMPLE_RATE`], from the first cycle on: left and right.
    pub(super) audio: [Vec<f32>; 2],
    /// Wall-clock times of the `process` calls during the morph.
    pub(super) times: Vec<Duration>,
    /// Wall-clock times of a fixed piece of arithmetic before each of them.
    pub(super) control: Vec<Duration>,
    /// The worker's trace.
    pub(super) trace: Vec<Event>,
    /// Name of the model.
    pub(super) model: String,
    /// Execution provider.
    pub(super) provider: String,
    /// Whether the system granted a real-time priority.
    pub(super) realtime_priority: bool,
    /// Whether the processors were kept from idle states.
    pub(super) processors_awake: bool,
}

/// Loads the plug-in and plays the score.
pub(super) fn perform(plugin: &Path, score: &Score<'_>) -> Result<Performance> {
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let path = folder.path().join("trace.jsonl");
    // SAFETY: no other thread runs here: the plug-in, whose threads read the environment, is loaded
    // below.
    unsafe { std::env::set_var(trace::VARIABLE, &path) };
    let mut stage = Stage {
        trace: Trace::new(&path),
        clock: Clock::new(score.speed),
        session: Session::new(
            PluginFile::load(plugin)?.instantiate(PLUGIN)?,
            Settings { sample_rate: SAMPLE_RATE, block: BLOCK, offline: false },
        )?,
    };
    let realtime_priority = realtime_priority();
    let latency = awake_processors();
    stage.session.set_tempo(score.tempo);
    stage.wait("load the model", |events| {
        events.iter().any(|event| matches!(event, Event::Model { .. }))
    })?;
    for (name, text) in [
        ("Temperature", score.temperature.to_string()),
        ("Seed", score.seed.to_string()),
        ("Evolve", "Off".to_owned()),
        ("Thru", "Off".to_owned()),
        ("Output", "Off".to_owned()),
    ] {
        stage.session.set_text(name, &text)?;
    }
    // Patterns that are made before the morph begins would be kept, and not decoded again for it.
    stage.session.set("Morph", score.morph(0))?;
    stage.capture(score)?;
    let Heard { spans, times, audio } = stage.morph(score)?;
    let control = std::mem::take(&mut stage.clock.control);

    let trace = stage.trace.events();
    let (model, provider) = trace
        .iter()
        .rev()
        .find_map(|event| match event {
            Event::Model { name, provider, .. } => Some((name.clone(), provider.clone())),
            _ => None,
        })
        .unwrap_or_default();
    let processors_awake = latency.is_some();
    Ok(Performance {
        spans,
        audio,
        times,
        control,
        trace,
        model,
        provider,
        realtime_priority,
        processors_awake,
    })
}

/// What the morph gave: as in [`Performance`].
struct Heard {
    spans: Vec<Span>,
    times: Vec<Duration>,
    audio: [Vec<f32>; 2],
}

/// The plug-in, its trace, and the wall clock.
struct Stage {
    session: Session,
    trace: Trace,
    clock: Clock,
}

impl Stage {
    /// Plays each clip into its slot: armed within a bar, recorded from the next bar on.
    fn capture(&mut self, score: &Score<'_>) -> Result<()> {
        let length = score.cycle_beats();
        self.session.seek(0.0);
        self.session.play();
        let mut start = BAR;
        for (clip, name) in score.clips.into_iter().zip(["Capture A", "Capture B"]) {
            self.play_to(start - BAR / 2.0)?;
            self.session.set_text(name, "On")?;
            let origin = self.session.frame() + self.session.frames_until(start);
            let per_beat = score.frames_per_beat();
            for note in &clip.notes {
                let begin = origin + frames(note.start * per_beat);
                let end = origin + frames(note.end * per_beat);
                let velocity = f64::from(note.velocity) / 127.0;
                self.session.schedule_note(begin, end - begin, note.channel, note.pitch, velocity);
            }
            self.play_to(start + length + BAR / 4.0)?;
            self.session.set_text(name, "Off")?;
            start += length + BAR;
        }
        self.play_to(start)?;
        self.session.stop();
        self.wait("encode the clips", |events| {
            ["A", "B"].iter().all(|wanted| {
                events
                    .iter()
                    .any(|event| matches!(event, Event::Encoded { slot, .. } if slot == wanted))
            })
        })
    }

    /// Rolls from a bar before the first cycle to the end of the last one, then stops.
    fn morph(&mut self, score: &Score<'_>) -> Result<Heard> {
        let length = score.cycle_beats();
        self.session.set_text("Output", "On")?;
        self.session.set("Morph", score.morph(0))?;
        self.session.seek(-BAR);
        self.session.take_events();
        self.session.take_times();
        self.clock.control.clear();
        self.session.play();
        self.play_to(0.0)?;
        self.session.listen();
        for cycle in 1..score.cycles {
            // A cycle is decided a beat before it begins; the automation is in place by then.
            self.play_to(f64::from(cycle) * length - BAR / 2.0)?;
            self.session.set("Morph", score.morph(cycle))?;
        }
        self.play_to(f64::from(score.cycles) * length)?;
        let times = self.session.take_times();
        self.clock.control.truncate(times.len());
        self.session.stop();
        self.pass(RINGING)?;
        let spans = spans(&self.session.take_events());
        Ok(Heard { spans, times, audio: self.session.take_audio() })
    }

    fn play_to(&mut self, beats: f64) -> Result<()> {
        let count = self.session.frames_until(beats);
        let clock = &mut self.clock;
        self.session.run_paced(count, |frame| clock.pace(frame))?;
        Ok(())
    }

    fn pass(&mut self, time: Duration) -> Result<()> {
        let clock = &mut self.clock;
        let count = frames(time.as_secs_f64() * SAMPLE_RATE);
        self.session.run_paced(count, |frame| clock.pace(frame))?;
        Ok(())
    }

    /// Processes without rolling until the trace shows something.
    fn wait(&mut self, action: &str, done: impl Fn(&[Event]) -> bool) -> Result<()> {
        let begun = Instant::now();
        loop {
            let events = self.trace.events();
            if let Some(message) = events.iter().find_map(|event| match event {
                Event::Error { message } => Some(message),
                _ => None,
            }) {
                bail!("the plug-in cannot {action}: {message}");
            }
            if done(&events) {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                bail!("the plug-in did not {action} within {} s", PATIENCE.as_secs());
            }
            self.pass(Duration::from_millis(20))?;
        }
    }
}

/// Paces the frame clock by the wall clock.
struct Clock {
    rate: f64,
    origin: Option<(Instant, u64)>,
    control: Vec<Duration>,
}

impl Clock {
    fn new(speed: f64) -> Self {
        Self { rate: SAMPLE_RATE * speed, origin: None, control: Vec::new() }
    }

    /// Sleeps until a frame is due. A host that is far behind continues from there, as a sound card
    /// does after an underrun.
    fn pace(&mut self, frame: u64) {
        self.wait(frame);
        let begun = Instant::now();
        std::hint::black_box(arithmetic());
        self.control.push(begun.elapsed());
    }

    fn wait(&mut self, frame: u64) {
        let now = Instant::now();
        let (start, first) = *self.origin.get_or_insert((now, frame));
        #[expect(clippy::cast_precision_loss, reason = "a demo has less than 2^53 frames")]
        let due = start + Duration::from_secs_f64((frame - first) as f64 / self.rate);
        match due.checked_duration_since(now) {
            Some(early) => {
                std::thread::sleep(early.saturating_sub(AWAKE));
                while Instant::now() < due {
                    std::hint::spin_loop();
                }
            }
            None if now - due > Duration::from_millis(50) => self.origin = Some((now, frame)),
            None => {}
        }
    }
}

/// Work that always takes the same instructions, and about as long as `process`. How much longer it
/// takes now and then tells what the system adds to any work on this thread.
fn arithmetic() -> u32 {
    (0..CONTROL_STEPS).fold(1_u32, |state, _| std::hint::black_box(state.rotate_left(5) ^ 0x9e37))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturates; lengths are not negative"
)]
fn frames(count: f64) -> u64 {
    count.round() as u64
}

/// Keeps the processors from idle states as long as the file is open, as workstations do for their
/// audio thread: where a processor was lent to others in between, the next block finds its caches
/// cold. `None` where the system has no such switch or does not grant it.
fn awake_processors() -> Option<File> {
    let mut file = OpenOptions::new().write(true).open("/dev/cpu_dma_latency").ok()?;
    // The longest way back from an idle state that is allowed, in microseconds.
    file.write_all(&0_i32.to_ne_bytes()).ok()?;
    Some(file)
}

/// Asks for the scheduling that workstations give their audio thread, and tells whether it was
/// granted. Threads made from here on do not inherit it.
#[cfg(target_os = "linux")]
fn realtime_priority() -> bool {
    let parameters = libc::sched_param { sched_priority: 10 };
    // SAFETY: the pointer is to a live structure of the type the call reads; 0 is this thread.
    let status = unsafe {
        libc::sched_setscheduler(
            0,
            libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK,
            &raw const parameters,
        )
    };
    status == 0
}

#[cfg(not(target_os = "linux"))]
fn realtime_priority() -> bool {
    false
}

#[cfg(test)]
impl<'a> Score<'a> {
    /// A score of one cycle with the same clip in both slots.
    pub(super) fn of(clip: &'a Clip) -> Self {
        Self {
            clips: [clip, clip],
            bars: 2,
            cycles: 1,
            tempo: 120.0,
            temperature: 0.5,
            seed: 1,
            speed: 1.0,
        }
    }
}
