//! The worker through the audio thread's end of the link, when there is no model to work with; and
//! turn by turn, with a model whose weights are all zero.

use std::{fs, path::PathBuf};

use interlude_models::{
    clip::Note,
    config,
    latent::prior,
    network,
    package::{ModelInfo, Package},
    weights::{Tensor, Weights},
};

use super::*;
use crate::{
    link::{AudioEnd, link},
    player::{Lane, Link, Settings},
    state::Song,
};

/// Longest wait for the worker.
const PATIENCE: Duration = Duration::from_secs(20);

/// A worker that was told to use a model.
struct Bench {
    shared: Arc<Shared>,
    audio: AudioEnd,
}

impl Bench {
    fn new(model: &str) -> Self {
        let song = Song::default();
        song.change(|state| model.clone_into(&mut state.model));
        let shared = Shared::new(song);
        let (audio, end) = link(Arc::clone(&shared.signals));
        shared.keep_worker_end(end);
        shared.start_worker();
        // A bounce that begins at once must wait, even while the thread is still starting.
        assert!(shared.signals.worker_runs.load(Ordering::Acquire));
        Self { shared, audio }
    }

    fn answer_to(&mut self, id: u64) -> Box<Pattern> {
        let settings = Settings::at(0.5);
        assert!(self.audio.request(&Request {
            id,
            lane: Lane::One,
            alone: false,
            cycle: 3,
            settings
        }));
        let audio = &mut self.audio;
        until(|| audio.answer())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.shared.stop_worker();
        assert!(!self.shared.signals.worker_runs.load(Ordering::Acquire));
    }
}

fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "the worker does not answer");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An empty folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("interlude-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).expect("the temporary folder can be written");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder left behind in a temporary place does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Without its model the worker says which one is missing and what to do, and answers with silence.
#[test]
fn a_missing_model_is_told() {
    let mut bench = Bench::new("no such model");
    let pattern = bench.answer_to(7);
    assert_eq!((pattern.id(), pattern.notes().len()), (7, 0));
    let status = bench.shared.status.lock();
    let message = status.message().expect("a message");
    assert!(message.contains("`no such model`") && message.contains("choose another"), "{message}");
    assert_eq!((status.model.as_ref(), status.loading), (None, false));
}

/// A model folder with a file missing is told by the file's name; another choice is tried anew.
#[test]
fn an_incomplete_model_is_told() {
    let folder = Folder::new("incomplete");
    let model = folder.0.to_str().expect("temporary folders have plain names").to_owned();
    let mut bench = Bench::new(&model);
    bench.answer_to(1);
    let message = bench.shared.status.lock().message().expect("a message");
    assert!(message.contains("model.json") && message.contains(&model), "{message}");

    bench.shared.song.change(|state| state.model = "another".to_owned());
    let shared = Arc::clone(&bench.shared);
    until(|| shared.status.lock().message().filter(|text| text.contains("`another`")));
}

/// Without a model a recording is still kept in its slot, and its memory comes back.
#[test]
fn recordings_are_kept_without_a_model() {
    let mut bench = Bench::new("no such model");
    let note = Note { start: 0.0, end: 1.0, pitch: 60, velocity: 80, channel: 0, program: 0 };
    let clip = Clip::new(vec![note], 8.0);
    bench.audio.captured(Box::new(Take::of(1, &clip)));
    let audio = &mut bench.audio;
    until(|| audio.take());
    let (state, _) = bench.shared.song.snapshot();
    assert_eq!(state.slots[1].clip.as_ref(), Some(&clip));
    assert_eq!((state.slots[1].source.as_str(), &state.slots[1].latent), ("Captured", &None));
    assert_eq!([0, 1].map(|slot| bench.shared.signals.taken(slot)), [0, 1]);
    assert_eq!(bench.shared.signals.takes_under_way.load(Ordering::Acquire), 0);
}

/// Without a model a file's first bars are kept in the slot; a file that is no MIDI file is told
/// beside what is wrong with the model.
#[test]
fn files_are_kept_without_a_model() {
    let folder = Folder::new("files");
    let mut bench = Bench::new("no such model");
    bench.answer_to(1);
    let note = |start: f64, channel| Note {
        start,
        end: start + 1.0,
        pitch: 60,
        velocity: 80,
        channel,
        program: 0,
    };
    let clip = Clip::new(vec![note(9.0, 0), note(10.5, 9), note(80.0, 0)], 84.0);
    let tune = folder.0.join("tune.mid");
    fs::write(&tune, interlude_models::midi::to_bytes(&clip, 97.0)).expect("it can be written");
    bench.shared.command(Command::LoadFile(0, tune));
    let song = &bench.shared.song;
    let slot =
        until(|| song.read(|state| state.slots[0].clip.clone().map(|_| state.slots[0].clone())));
    let clip = slot.clip.expect("it was waited for");
    assert_eq!((slot.source.as_str(), clip.length), ("tune.mid", 4.0));
    let places: Vec<_> =
        clip.notes.iter().map(|note| ((note.start * 8.0).round(), note.channel)).collect();
    assert_eq!(places, [(8.0, 0), (20.0, 9)]);

    let noise = folder.0.join("noise.mid");
    fs::write(&noise, b"no music").expect("it can be written");
    bench.shared.command(Command::LoadFile(1, noise));
    let status = &bench.shared.status;
    let message = until(|| status.lock().message().filter(|text| text.contains("noise.mid")));
    assert!(message.contains("`no such model`"), "{message}");
}

/// A worker in this thread, with a model whose weights are all zero.
struct Steps {
    worker: Worker,
    audio: AudioEnd,
    folder: Folder,
}

impl Steps {
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let mut config = config::by_name("cat-mel_2bar_small").expect("a name of the table");
        config.override_hparams("z_size=6,enc_rnn_size=[4],dec_rnn_size=[4]").expect("they fit");
        let mut weights = Weights::default();
        for variable in network::variables(&config) {
            let mut tensor = Tensor::zeros(&variable.shape);
            if variable.name == "decoder/output_projection/bias" {
                // The likeliest token at every step is a note.
                tensor.data[60 - 19] = 5.0;
            }
            weights.insert(variable.name, tensor);
        }
        let model = folder.0.join("model");
        Package::write(&model, &ModelInfo::new(config, "zeros"), &weights).expect("written");
        let song = Song::default();
        let model = model.to_str().expect("temporary folders have plain names").to_owned();
        song.change(|state| state.model = model);
        let shared = Shared::new(song);
        let (audio, end) = link(Arc::clone(&shared.signals));
        let mut worker = Worker::new(shared, end);
        while worker.turn() {}
        assert_eq!(worker.shared.status.lock().message(), None);
        Self { worker, audio, folder }
    }

    /// Tells the worker something without starting its thread.
    fn perform(&mut self, command: Command) {
        self.worker.perform(command);
    }

    fn tune(&self, name: &str, pitch: u8) -> PathBuf {
        let note = |step: u8| Note {
            start: f64::from(step),
            end: f64::from(step) + 1.0,
            pitch: pitch + step % 5,
            velocity: 80,
            channel: 0,
            program: 0,
        };
        let path = self.folder.0.join(name);
        let clip = Clip::new((0..24).map(note).collect(), 24.0);
        fs::write(&path, interlude_models::midi::to_bytes(&clip, 120.0)).expect("written");
        path
    }

    fn learning(&self) -> Option<f32> {
        self.worker.shared.status.lock().learning
    }
}

/// A request that comes while a style is learnt is answered in the very next turn, at every stage of
/// the learning; the style then belongs to the model, and files that cannot be read are told.
#[test]
fn requests_come_before_learning() {
    let mut steps = Steps::new("learning");
    let noise = steps.folder.0.join("noise.mid");
    fs::write(&noise, b"no music").expect("written");
    let files = vec![steps.tune("one.mid", 60), noise, steps.tune("two.mid", 64)];
    steps.perform(Command::LearnFiles(files));
    let settings = Settings::at(0.5);
    let (mut turns, mut last) = (0, 0.0);
    while let Some(share) = steps.learning() {
        assert!((last..=1.0).contains(&share), "{share} after {last}");
        last = share;
        turns += 1;
        if turns % 7 == 0 {
            let request = Request { id: turns, lane: Lane::One, alone: false, cycle: 3, settings };
            assert!(steps.audio.request(&request));
            assert!(steps.worker.turn());
            let answer = steps.audio.answer().expect("an answer within one turn");
            assert_eq!((answer.id(), steps.learning()), (turns, Some(share)));
            steps.audio.discard(answer);
        }
        assert!(steps.worker.turn());
    }
    assert!(turns > 600, "{turns} turns are fewer than steps of training");
    steps.worker.turn();
    let message = steps.worker.shared.status.lock().message().expect("a message");
    assert!(message.contains("noise.mid"), "{message}");
    let style = steps.worker.shared.song.read(|state| state.style.clone()).expect("a style");
    assert_eq!((style.source.as_str(), style.personal.latent_size()), ("3 files", 6));
    assert!(steps.worker.shared.status.lock().style_fits);
}

/// A new idea is drawn from the prior, or from the style when it fits the model; it fills its slot
/// and can be undone. A request that comes first is answered first.
#[test]
fn ideas_fill_their_slots() {
    let mut steps = Steps::new("ideas");
    let slot = |steps: &Steps| steps.worker.shared.song.read(|state| state.slots[1].clone());
    steps.perform(Command::Draw(1, 99));
    while steps.worker.turn() {}
    let drawn = slot(&steps);
    assert_eq!(drawn.source, "New idea");
    assert_eq!(drawn.clip.expect("a clip").notes.len(), 32);
    assert_eq!(drawn.latent.expect("a code").mu, prior(99, 0, 6));

    let files = vec![steps.tune("one.mid", 60)];
    steps.perform(Command::LearnFiles(files));
    while steps.worker.turn() {}
    steps.perform(Command::Draw(1, 99));
    let settings = Settings::at(1.0);
    let request = Request { id: 5, lane: Lane::One, alone: false, cycle: 0, settings };
    assert!(steps.audio.request(&request));
    assert!(steps.worker.turn());
    assert_eq!(steps.audio.answer().map(|answer| answer.id()), Some(5));
    assert_eq!(slot(&steps).source, "New idea");
    while steps.worker.turn() {}
    let style = steps.worker.shared.song.read(|state| state.style.clone()).expect("a style");
    let mine = slot(&steps);
    assert_eq!((style.source.as_str(), mine.source.as_str()), ("one", "Your style"));
    assert_eq!(mine.latent.expect("a code").mu, style.personal.sample(99, 0, 1.0));
    steps.worker.shared.song.undo(1);
    assert_eq!(slot(&steps).source, "New idea");
}

/// Learning can be stopped, learns from the slots, and says when there is nothing to learn from.
#[test]
fn learning_stops_and_starts() {
    let mut steps = Steps::new("stopping");
    steps.perform(Command::LearnSlots);
    while steps.worker.turn() {}
    let message = steps.worker.shared.status.lock().message().expect("a message");
    assert!(message.contains("nothing to learn"), "{message}");

    steps.perform(Command::Draw(0, 1));
    while steps.worker.turn() {}
    steps.perform(Command::LearnSlots);
    for _ in 0..50 {
        assert!(steps.worker.turn());
    }
    steps.perform(Command::StopLearning);
    assert!(!steps.worker.turn());
    assert_eq!(steps.learning(), None);
    assert!(steps.worker.shared.song.read(|state| state.style.is_none()));

    steps.perform(Command::LearnSlots);
    while steps.worker.turn() {}
    let source = |state: &crate::state::SongState| state.style.as_ref().map(|s| s.source.clone());
    assert_eq!(steps.worker.shared.song.read(source).as_deref(), Some("A and B"));
}
