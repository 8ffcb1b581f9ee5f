//! The MIDI files that generation begins with.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use interlude_models::config::Config;
use interlude_models::engine::{Engine, EngineError, Posterior};
use interlude_models::families::line::MELODIC_PROGRAMS;
use interlude_models::midi::{self, NoteSequence};
use interlude_models::tokens::{Limit, Place, TokenError, Window, extract_with_places, to_clip};

use super::error::GenerateError;
use super::folder::Folder;
use super::velocities::Dynamics;

/// Most that is said of what is wrong with one file.
const MAX_WARNINGS: usize = 3;

/// Windows to choose from that get velocities: nobody looks through more, and each takes as long as
/// reading the file.
const MAX_KEPT: usize = 1000;

/// What is read of MIDI files beside what the original reads of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The notes of all channels are drums, since pads often send on channels other than 10.
    pub drums: bool,
    /// Melodies of every program are read; otherwise only programs 0 to 31 (piano to guitar and bass)
    /// count.
    pub any_program: bool,
}

impl Reading {
    fn apply(self, config: &Config, sequence: &mut NoteSequence) {
        for note in &mut sequence.notes {
            note.is_drum |= self.drums;
            // A trio tells its bass by the program.
            let is_told = config.family().is_told_by(note.program);
            let is_melodic = MELODIC_PROGRAMS.contains(&note.program);
            if self.any_program && !is_melodic && !is_told {
                note.program = 0;
            }
        }
    }

    /// What to do about a sequence that gives no window: the option that makes it give some.
    fn remedy(self, config: &Config, sequence: &NoteSequence) -> &'static str {
        let options = [
            (Self { any_program: true, ..self }, "it can be read with --any-program"),
            (Self { drums: true, ..self }, "its notes are read as drums with --drums"),
        ];
        let helps = |option: &&(Self, &str)| {
            let mut sequence = sequence.clone();
            option.0.apply(config, &mut sequence);
            extract_with_places(config, &sequence, Limit::First(1)).is_ok()
        };
        options.iter().find(helps).map_or("try another MIDI file", |(_, remedy)| *remedy)
    }
}

/// One window of a file.
#[derive(Clone, Debug)]
pub struct Input {
    /// The MIDI file.
    pub path: PathBuf,
    /// Which window of the file, from 0.
    pub number: usize,
    /// Its tokens, and controls where the model has some.
    pub window: Window,
    place: Place,
    sequence: Rc<NoteSequence>,
}

impl Input {
    /// The velocities of the window, for models that make none of their own.
    pub fn dynamics(&self, config: &Config) -> Option<Dynamics> {
        if config.family().is_performed() {
            return None;
        }
        Dynamics::of(config, &self.sequence, &self.place)
    }
}

/// Where the windows of a file with several are written to.
#[derive(Clone, Copy, Debug)]
pub struct Apart<'a> {
    /// The folder; made if it does not exist.
    pub out: &'a Path,
    /// Whether notes keep their velocities instead of 80.
    pub keep_velocities: bool,
}

/// Reads MIDI files for a model.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// The model's configuration.
    pub config: &'a Config,
    /// What counts as melody and drums.
    pub reading: Reading,
    /// Takes a line about a file that is damaged but can be read.
    pub warn: &'a dyn Fn(&str),
}

impl Reader<'_> {
    fn open(&self, path: &Path) -> Result<NoteSequence, GenerateError> {
        let (mut sequence, warnings) = midi::open(path)?;
        for warning in warnings.iter().take(MAX_WARNINGS) {
            (self.warn)(&format!("{}: {warning}", path.display()));
        }
        if let more @ 1.. = warnings.len().saturating_sub(MAX_WARNINGS) {
            (self.warn)(&format!("{}: and {more} more like these", path.display()));
        }
        self.reading.apply(self.config, &mut sequence);
        Ok(sequence)
    }

    /// All windows of a file; there is at least one.
    ///
    /// # Errors
    /// [`GenerateError::Midi`] for a file that cannot be read, [`GenerateError::NoWindow`] with the
    /// option that would help for one without music for the model.
    pub fn windows(&self, path: &Path) -> Result<Vec<Input>, GenerateError> {
        let sequence = Rc::new(self.open(path)?);
        let windows =
            extract_with_places(self.config, &sequence, Limit::All).map_err(|reason| {
                let remedy = match reason {
                    // These say themselves what to do.
                    TokenError::NoLength { .. } | TokenError::NoEnd { .. } => None,
                    _ => Some(self.reading.remedy(self.config, &sequence)),
                };
                GenerateError::NoWindow { path: path.to_owned(), reason, remedy }
            })?;
        let input = |(number, (window, place))| Input {
            path: path.to_owned(),
            number,
            window,
            place,
            sequence: Rc::clone(&sequence),
        };
        Ok(windows.into_iter().enumerate().map(input).collect())
    }

    /// The only window of each file. Of files with several windows all are written, for one to be
    /// chosen: `CONFIG_inputN-extractions_TIME-I-of-COUNT.mid`, N the number of the input from 1.
    ///
    /// # Errors
    /// As [`Reader::windows`]; [`GenerateError::SeveralWindows`] once the windows are written.
    pub fn single_windows(
        &self,
        paths: &[PathBuf],
        apart: Apart<'_>,
    ) -> Result<Vec<Input>, GenerateError> {
        let config = self.config;
        let mut inputs = Vec::new();
        let mut several = Vec::new();
        for (index, path) in paths.iter().enumerate() {
            let mut windows = self.windows(path)?;
            if windows.len() == 1 {
                inputs.append(&mut windows);
                continue;
            }
            let stem = format!("{}_input{}-extractions", config.name, index + 1);
            let folder = Folder::create(apart.out, &stem, windows.len())?;
            for window in &windows {
                let mut clip = to_clip(config, &window.window.tokens);
                if apart.keep_velocities
                    && window.number < MAX_KEPT
                    && let Some(dynamics) = window.dynamics(config)
                {
                    dynamics.apply(&mut clip);
                }
                folder.write(window.number, &clip)?;
            }
            several.push(format!(
                "{} holds {} windows of {} bars, written to {}",
                path.display(),
                windows.len(),
                config.bars(),
                folder.pattern()
            ));
        }
        if several.is_empty() { Ok(inputs) } else { Err(GenerateError::SeveralWindows(several)) }
    }
}

/// The posteriors of windows, each with its own controls where the model has some.
///
/// # Errors
/// As [`Engine::encode`].
pub fn encode(engine: &mut Engine, inputs: &[Input]) -> Result<Vec<Posterior>, EngineError> {
    let tokens: Vec<_> = inputs.iter().map(|input| input.window.tokens.clone()).collect();
    let controls: Option<Vec<_>> =
        inputs.iter().map(|input| input.window.controls.clone()).collect();
    engine.encode(&tokens, controls.as_deref())
}

/// The posterior mean of each window.
///
/// # Errors
/// As [`Engine::encode`].
pub fn means(engine: &mut Engine, inputs: &[Input]) -> Result<Vec<Vec<f32>>, EngineError> {
    Ok(encode(engine, inputs)?.into_iter().map(|posterior| posterior.mu).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs;

    use interlude_models::clip::{Clip, Note};
    use interlude_models::config::by_name;
    use interlude_models::midi::to_bytes;

    use super::*;

    /// A MIDI file of quarters, each higher than the last, on a channel and program.
    fn tune(folder: &Path, name: &str, beats: u8, (channel, program): (u8, u8)) -> PathBuf {
        let note = |beat: u8| Note {
            start: beat.into(),
            end: f64::from(beat) + 0.5,
            pitch: 40 + beat,
            velocity: 20 + beat,
            channel,
            program,
        };
        let clip = Clip::new((0..beats).map(note).collect(), beats.into());
        let path = folder.join(name);
        fs::write(&path, to_bytes(&clip, 120.0)).expect("written");
        path
    }

    fn quiet(_: &str) {}

    // Each input with one window gives it, in the order given; the windows of an input with several
    // are written under its number, and the error tells how many and where.
    #[test]
    fn several_windows_are_written_under_the_inputs_number() {
        let place = tempfile::tempdir().expect("a folder");
        let config = by_name("cat-mel_2bar_small").expect("known");
        let reader = Reader { config: &config, reading: Reading::default(), warn: &quiet };
        let short = tune(place.path(), "short.mid", 8, (0, 0));
        let long = tune(place.path(), "long.mid", 16, (0, 0));
        let out = place.path().join("out");
        let apart = Apart { out: &out, keep_velocities: true };
        let inputs = reader.single_windows(&[short.clone(), short.clone()], apart).expect("read");
        assert_eq!(inputs.iter().map(|input| input.number).collect::<Vec<_>>(), [0, 0]);
        assert!(!out.exists(), "nothing is written for inputs of one window");

        let error = reader.single_windows(&[short, long.clone()], apart).expect_err("several");
        let told = error.to_string();
        assert!(told.contains("long.mid holds 3 windows of 2 bars"), "{told}");
        let mut names: Vec<String> = fs::read_dir(&out)
            .expect("made")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("Unicode"))
            .collect();
        names.sort();
        for (index, name) in names.iter().enumerate() {
            assert!(name.starts_with("cat-mel_2bar_small_input2-extractions_"), "{name}");
            assert!(name.ends_with(&format!("-{index:03}-of-003.mid")), "{name}");
        }
        // Each file is an input by itself, with the velocities of the bars that it was taken from.
        let second = NoteSequence::open(&out.join(&names[1])).expect("reads");
        let velocities: Vec<u8> = second.notes.iter().map(|note| note.velocity).collect();
        assert_eq!(velocities, (24..32).collect::<Vec<u8>>());
    }

    // Music that the model would not read is read with the options, and the error without them names
    // the one that helps; what no option helps says so.
    #[test]
    fn the_remedy_is_the_option_that_helps() {
        let place = tempfile::tempdir().expect("a folder");
        let melody = by_name("cat-mel_2bar_small").expect("known");
        let drums = by_name("cat-drums_2bar_small").expect("known");
        let strings = tune(place.path(), "strings.mid", 8, (0, 48));
        let pads = tune(place.path(), "pads.mid", 8, (0, 0));
        let silent = tune(place.path(), "silent.mid", 0, (0, 0));
        let any = Reading { any_program: true, ..Reading::default() };
        let all = Reading { drums: true, ..Reading::default() };
        for (config, path, remedy, reading) in [
            (&melody, &strings, "--any-program", Some(any)),
            (&drums, &pads, "--drums", Some(all)),
            (&melody, &silent, "", None),
        ] {
            let plain = Reader { config, reading: Reading::default(), warn: &quiet };
            let told = plain.windows(path).expect_err("nothing to read").to_string();
            let name = path.file_name().expect("a name").to_str().expect("Unicode");
            assert!(told.contains(name) && told.contains(remedy), "{told}");
            if let Some(reading) = reading {
                assert!(Reader { reading, ..plain }.windows(path).is_ok(), "{remedy}");
            }
        }
    }

    // A damaged file that can be read gets warnings that name it, at most a few lines.
    #[test]
    fn damage_is_told_in_few_lines() {
        let place = tempfile::tempdir().expect("a folder");
        let path = tune(place.path(), "cut.mid", 8, (0, 0));
        let mut bytes = fs::read(&path).expect("reads");
        // More tracks than there are.
        bytes[11] += 1;
        fs::write(&path, bytes).expect("written");
        let lines = RefCell::new(Vec::new());
        let warn = |line: &str| lines.borrow_mut().push(line.to_owned());
        let config = by_name("cat-mel_2bar_small").expect("known");
        let reader = Reader { config: &config, reading: Reading::default(), warn: &warn };
        assert_eq!(reader.windows(&path).expect("reads").len(), 1);
        let lines = lines.into_inner();
        assert!((1..=MAX_WARNINGS + 1).contains(&lines.len()), "{lines:?}");
        assert!(lines.iter().all(|line| line.contains("cut.mid")), "{lines:?}");
    }
}
