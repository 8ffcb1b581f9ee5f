//! Output of a run: lines of JSON in `metrics.jsonl`, events for TensorBoard, a progress bar.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde_json::Value;

use super::events::Events;
use super::line::Line;
use crate::evaluate::scores::{Score, Scores};

/// Name of the file in a run's folder.
pub const FILE: &str = "metrics.jsonl";

/// A line of an evaluation.
#[derive(Serialize)]
struct Validation<'a> {
    step: u64,
    seconds: f64,
    validation: &'a Scores,
}

/// The file and the bar.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: File,
    events: Events,
    bar: ProgressBar,
}

/// Parts of the whole that the bar counts.
const PARTS: u32 = 10_000;

impl Metrics {
    /// Goes on after `step` steps: later lines, left by a run that was stopped, are taken away.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn open(run: &Path, step: u64) -> io::Result<Self> {
        let path = run.join(FILE);
        if path.exists() {
            let text = fs::read_to_string(&path)?;
            let kept = text.lines().filter(|line| {
                let value = serde_json::from_str::<Value>(line).ok();
                value.and_then(|value| value["step"].as_u64()).is_some_and(|at| at <= step)
            });
            let mut temporary = interlude_models::files::beside(&path)?;
            for line in kept {
                writeln!(temporary, "{line}")?;
            }
            temporary.persist(&path).map_err(|error| error.error)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let bar = ProgressBar::with_draw_target(
            Some(u64::from(PARTS)),
            ProgressDrawTarget::stderr_with_hz(2),
        );
        let style = ProgressStyle::with_template("{percent:>3}% {bar:30} {msg}, {eta} left");
        bar.set_style(style.expect("the template is valid"));
        let events = Events::create(run, step)?;
        Ok(Self { path, file, events, bar })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn append(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())
    }

    /// Writes a line and moves the bar to the share of the run that is done.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn step(&mut self, line: &Line, done: f64) -> io::Result<()> {
        self.append(line)?;
        self.events.step(line)?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0..=10000")]
        let position = (done.clamp(0.0, 1.0) * f64::from(PARTS)) as u64;
        self.bar.set_position(position);
        self.bar.set_message(format!(
            "step {}: loss {:.3}, {:.1} bits, accuracy {:.3}, {:.0} examples/s",
            line.step, line.loss, line.kl_bits, line.accuracy, line.examples_per_second
        ));
        Ok(())
    }

    /// Writes and shows an evaluation.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn validation(&mut self, step: u64, seconds: f64, scores: &Scores) -> io::Result<()> {
        self.append(&Validation { step, seconds, validation: scores })?;
        self.events.validation(step, scores)?;
        let [forced, free, events] = [
            &scores.accuracy_teacher_forced,
            &scores.accuracy_free_running,
            &scores.accuracy_free_running_events,
        ]
        .map(Score::mean);
        let loss = scores.r_loss.map(|nats| format!("{nats:.2} nats, ")).unwrap_or_default();
        self.say(&format!(
            "step {step}, {:.1} min: {loss}{:.1} bits, right: {forced:.3} teacher-forced, {free:.3} \
             free-running ({events:.3} without holds), {:.3} of the windows",
            seconds / 60.0,
            scores.kl_bits,
            scores.windows_exact
        ));
        if scores.active_units == Some(0) {
            self.say(
                "all windows have the same code, so the decoder plays without listening; begin \
                 with less weight on the KL divergence (`beta` of a schedule), or more free bits",
            );
        }
        Ok(())
    }

    /// Shows a line above the bar, or without a terminal alone.
    pub fn say(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.println(text);
        }
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
