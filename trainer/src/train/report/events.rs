//! Event files for TensorBoard, with the names that the original's summaries have.
//!
//! A file is a TFRecord of `Event` messages. Runs have two folders of them, as the original's:
//! `train` and `eval`. A resumed run begins a new file, which tells TensorBoard to forget later
//! steps.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::line::Line;
use crate::evaluate::scores::Scores;
use interlude_dataset::records;

/// What the first event of a file says.
const VERSION: &str = "brain.Event:2";
/// The status of a session that begins.
const START: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    session: Option<SessionLog>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    value: Option<f32>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Both files of a run.
#[derive(Debug)]
pub struct Events {
    train: File,
    eval: File,
}

impl Events {
    /// New files in a run's folder, from a step on.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(run: &Path, step: u64) -> io::Result<Self> {
        Ok(Self {
            train: create(&run.join("train"), step)?,
            eval: create(&run.join("eval"), step)?,
        })
    }

    /// Adds a line of metrics.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn step(&mut self, line: &Line) -> io::Result<()> {
        let mut values = vec![
            ("loss", line.loss),
            ("losses/r_loss", line.r_loss),
            ("losses/kl_bits", line.kl_bits),
            ("losses/kl_beta", line.beta),
            ("learning_rate", line.lr),
            ("global_norm", line.global_norm),
            ("metrics/accuracy", line.accuracy),
        ];
        if line.beta > 0.0 {
            values.push(("losses/kl_loss", (line.loss - line.r_loss) / line.beta));
        }
        values.extend(line.sampling.map(|probability| ("sampling_probability", probability)));
        let values = values.into_iter().map(|(tag, value)| (tag.to_owned(), value)).collect();
        write(&mut self.train, line.step, values)
    }

    /// Adds an evaluation.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn validation(&mut self, step: u64, scores: &Scores) -> io::Result<()> {
        let values = scores.by_name().into_iter().map(|(name, value)| {
            let tag = match name.as_str() {
                "r_loss" | "kl_bits" => format!("losses/{name}"),
                "accuracy_teacher_forced" => "metrics/accuracy".to_owned(),
                _ => format!("metrics/{name}"),
            };
            (tag, value)
        });
        write(&mut self.eval, step, values.collect())
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

fn create(folder: &Path, step: u64) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let name = format!("events.out.tfevents.{:.6}.interlude.{}", now(), std::process::id());
    let mut file = File::create(folder.join(name))?;
    let first = Event { file_version: Some(VERSION.to_owned()), ..event(0) };
    let session = Some(SessionLog { status: START });
    let start = Event { session, ..event(step) };
    for event in [first, start] {
        file.write_all(&records::frame(&event.encode_to_vec()))?;
    }
    Ok(file)
}

fn event(step: u64) -> Event {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    Event { wall_time: now(), step, ..Event::default() }
}

fn write(file: &mut File, step: u64, values: Vec<(String, f64)>) -> io::Result<()> {
    #[expect(clippy::cast_possible_truncation, reason = "summaries are in single precision")]
    let scalar = |(tag, value): (String, f64)| Scalar { tag, value: Some(value as f32) };
    let summary = Some(Summary { values: values.into_iter().map(scalar).collect() });
    file.write_all(&records::frame(&Event { summary, ..event(step) }.encode_to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path) -> Vec<Event> {
        let file = fs::read_dir(folder).expect("lists").flatten().next().expect("a file").path();
        let content = fs::read(file).expect("reads");
        let mut rest = &content[..];
        let mut events = Vec::new();
        while let Some(record) = records::next(&mut rest).expect("whole") {
            events.push(Event::decode(&record[..]).expect("an event"));
        }
        events
    }

    // Files begin with version and start, and hold the numbers under the original's names.
    #[test]
    fn numbers_have_the_originals_names() {
        let run = tempfile::tempdir().expect("a folder");
        let mut events = Events::create(run.path(), 7).expect("creates");
        let line = Line { step: 8, loss: 3.0, r_loss: 2.0, beta: 0.5, ..Line::default() };
        events.step(&line).expect("writes");
        events.validation(8, &Scores { kl_bits: 4.0, ..Scores::default() }).expect("writes");
        let train = read(&run.path().join("train"));
        assert_eq!(train[0].file_version.as_deref(), Some(VERSION));
        assert_eq!((train[1].step, train[1].session.expect("it starts").status), (7, START));
        let value = |event: &Event, tag: &str| {
            let values = &event.summary.as_ref().expect("numbers").values;
            values.iter().find(|scalar| scalar.tag == tag).and_then(|scalar| scalar.value)
        };
        assert_eq!(train[2].step, 8);
        assert_eq!(value(&train[2], "loss"), Some(3.0));
        assert_eq!(value(&train[2], "losses/kl_loss"), Some(2.0));
        assert_eq!(value(&train[2], "sampling_probability"), None);
        let eval = read(&run.path().join("eval"));
        assert_eq!(value(&eval[2], "losses/kl_bits"), Some(4.0));
        assert_eq!(value(&eval[2], "metrics/accuracy"), Some(0.0));
    }
}
