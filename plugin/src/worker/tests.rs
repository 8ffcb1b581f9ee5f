//! The worker through the audio thread's end of the link, when there is no model to work with; and
//! turn by turn, with a model whose weights are all zero.

use std::{
    fs,
    path::{Path, PathBuf},
};

use interlude_models::{
    clip::{Clip, Note},
    config,
    latent::{
        attributes, constraint,
        flow::{self, Conditions, Flow, Place},
        prior, slerp,
    },
    network,
    package::{ModelInfo, Package},
    weights::{Tensor, Weights},
};

use super::{loading::Loaded, *};

mod ideas;
mod providers;

use crate::{
    capture::Take,
    link::{AudioEnd, link},
    player::{Lane, Link, Pattern, Settings},
    shared::Command,
    slots::SlotId,
    state::{Slot, Song, SongState},
};
use nice_plug::params::persist::PersistentField;

/// Longest wait for the worker.
const PATIENCE: Duration = Duration::from_secs(20);

/// A worker that was told to use a model.
struct Bench {
    shared: Arc<Shared>,
    worker: Arc<WorkerThread>,
    audio: AudioEnd,
}

impl Bench {
    fn new(model: &str) -> Self {
        let song = Song::default();
        song.change(|state| model.clone_into(&mut state.model));
        let shared = Shared::new(song);
        let (audio, end) = link(Arc::clone(&shared.signals));
        let worker = WorkerThread::new(Arc::clone(&shared), end);
        worker.start();
        // A bounce that begins at once must wait, even while the thread is still starting.
        assert!(shared.signals.worker_runs.load(Ordering::Acquire));
        Self { shared, worker, audio }
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
        self.worker.stop();
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
    bench.worker.command(Command::LoadFile(SlotId::A, tune));
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
    bench.worker.command(Command::LoadFile(SlotId::B, noise));
    let status = &bench.shared.status;
    let message = until(|| status.lock().message().filter(|text| text.contains("noise.mid")));
    assert!(message.contains("`no such model`"), "{message}");
}

/// Writes a model for melodies whose weights are all zero; gives its path.
fn write_model(folder: &Folder, name: &str, sizes: &str) -> String {
    let mut config = config::by_name("cat-mel_2bar_small").expect("a name of the table");
    config.override_hparams(sizes).expect("they fit");
    let mut weights = Weights::default();
    for variable in network::variables(&config) {
        let mut tensor = Tensor::zeros(&variable.shape);
        if variable.name == "decoder/output_projection/bias" {
            // The likeliest token at every step is a note.
            tensor.data[60 - 19] = 5.0;
        }
        weights.insert(variable.name, tensor);
    }
    let model = folder.0.join(name);
    Package::write(&model, &ModelInfo::new(config, "zeros"), &weights).expect("written");
    model.to_str().expect("temporary folders have plain names").to_owned()
}

/// A worker in this thread, with a model whose weights are all zero.
struct Steps {
    worker: Worker,
    audio: AudioEnd,
    folder: Folder,
}

impl Steps {
    fn new(name: &str) -> Self {
        let steps = Self::with(name, |_| {});
        assert_eq!(steps.worker.shared.status.lock().message(), None);
        steps
    }

    /// A worker with a model in whose folder more is put.
    fn with(name: &str, add: impl FnOnce(&Path)) -> Self {
        let folder = Folder::new(name);
        let model = write_model(&folder, "model", "z_size=6,enc_rnn_size=[4],dec_rnn_size=[4]");
        add(Path::new(&model));
        let song = Song::default();
        song.change(|state| state.model = model);
        let shared = Shared::new(song);
        let (audio, end) = link(Arc::clone(&shared.signals));
        let (_, commands) = WorkerThread::never(Arc::clone(&shared));
        let inbox = Inbox::new(end, commands, Arc::default());
        let mut worker = Worker::new(shared, inbox, Some(folder.0.join("user")));
        while worker.turn() {}
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

    /// Asks for a pattern and turns until there is nothing left to do, or the answer is there.
    fn ask(&mut self, id: u64, most_turns: usize) -> Option<Box<Pattern>> {
        let settings = Settings::at(0.5);
        assert!(self.audio.request(&Request {
            id,
            lane: Lane::One,
            alone: false,
            cycle: 3,
            settings
        }));
        for _ in 0..most_turns {
            self.worker.turn();
            if let Some(pattern) = self.audio.answer() {
                return Some(pattern);
            }
        }
        None
    }

    /// Begins to load a model that comes when the sender is used or dropped.
    fn load_slowly(&mut self, name: &str) -> std::sync::mpsc::Sender<()> {
        let (sender, receiver) = std::sync::mpsc::channel();
        let wish = Wish { model: name.to_owned(), choice: Choice::Automatic };
        let (wanted, slots) = (wish.clone(), self.song(|state| state.slots.clone()));
        let thread = std::thread::spawn(move || {
            // Dropped or used, the sender has had its time.
            let _ = receiver.recv();
            Loaded::new(&wanted, &slots)
        });
        self.worker.tried = Some(wish.clone());
        self.worker.loading = Some(Loading { wish, begun: Instant::now(), thread });
        sender
    }

    fn song<R>(&self, read: impl FnOnce(&SongState) -> R) -> R {
        self.worker.shared.song.read(read)
    }

    fn model(&self) -> Option<String> {
        self.worker.shared.status.lock().model.clone()
    }

    fn model_signal(&self) -> u32 {
        self.worker.signals().model.load(Ordering::Acquire)
    }

    fn learning(&self) -> Option<f32> {
        self.worker.shared.status.lock().learning
    }
}

/// While another model is loaded the one in use answers; then the new one is there at once, with the
/// points of both slots.
#[test]
fn a_change_of_model_plays_on() {
    let mut steps = Steps::new("changing");
    for slot in SlotId::ALL {
        steps.perform(Command::Draw(slot, 7));
    }
    while steps.worker.turn() {}
    let (before, signal) = (steps.model().expect("a model"), steps.model_signal());
    let other = write_model(
        &steps.folder,
        "other",
        "z_size=5,enc_rnn_size=[4],dec_rnn_size=[4],max_seq_len=64",
    );
    steps.worker.shared.song.edit(|state| state.model.clone_from(&other));
    let ready = steps.load_slowly(&other);
    for id in 1..5 {
        let pattern = steps.ask(id, 3).expect("the model in use answers");
        assert_eq!((pattern.bars(), pattern.notes().is_empty()), (2, false));
        steps.audio.discard(pattern);
    }
    assert_eq!((steps.model(), steps.model_signal()), (Some(before), signal));
    drop(ready);
    while steps.model_signal() == signal {
        assert_eq!(steps.worker.signals().bars.load(Ordering::Acquire), 2);
        assert!(steps.worker.turn());
    }
    assert_eq!(steps.model().as_ref(), Some(&other));
    assert_eq!(steps.worker.signals().bars.load(Ordering::Acquire), 4);
    let sizes = steps.worker.points.iter().flatten().map(|point| point.code.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [5, 5]);
    let pattern = steps.ask(9, 3).expect("the new model answers");
    assert_eq!((pattern.bars(), pattern.notes().is_empty()), (4, false));
}

/// A model that cannot be used leaves the one in use playing: it says so, the project names what
/// plays, and the player is not told of another model.
#[test]
fn a_model_that_fails_leaves_the_old_one() {
    let mut steps = Steps::new("failing");
    steps.perform(Command::Draw(SlotId::A, 7));
    while steps.worker.turn() {}
    let (before, signal) = (steps.model().expect("a model"), steps.model_signal());
    for _ in 0..2 {
        steps.worker.shared.song.edit(|state| state.model = "no such model".to_owned());
        steps.perform(Command::Retry);
        while steps.worker.turn() {}
        let message = steps.worker.shared.status.lock().message().expect("a message");
        assert!(message.contains("`no such model`") && message.contains("plays on"), "{message}");
        assert_eq!((steps.model().as_ref(), steps.model_signal()), (Some(&before), signal));
        assert_eq!(steps.song(|state| state.model.clone()), before);
        let pattern = steps.ask(1, 3).expect("the model in use answers");
        assert!(!pattern.notes().is_empty());
        steps.audio.discard(pattern);
    }
}

/// Another project's requests wait for its model: what played before is none of its music. A bounce
/// waits for the model that has been chosen.
#[test]
fn requests_wait_for_their_model() {
    let mut steps = Steps::new("waiting");
    let other = write_model(&steps.folder, "other", "z_size=5,enc_rnn_size=[4],dec_rnn_size=[4]");
    steps.perform(Command::Draw(SlotId::A, 7));
    while steps.worker.turn() {}
    let slots = steps.song(|state| state.slots.clone());
    let project = SongState { model: other.clone(), slots, ..SongState::default() };
    steps.worker.shared.song.set(project);
    let ready = steps.load_slowly(&other);
    assert!(steps.ask(1, 20).is_none(), "the model of another project has answered");
    drop(ready);
    let pattern = steps.ask(2, 5000).expect("an answer");
    assert_eq!((pattern.id(), pattern.notes().is_empty()), (2, false));
    assert_eq!(steps.model().as_ref(), Some(&other));
    steps.audio.discard(pattern);

    let first = steps.folder.0.join("model").to_str().expect("a plain name").to_owned();
    steps.worker.shared.song.edit(|state| state.model.clone_from(&first));
    let ready = steps.load_slowly(&first);
    steps.audio.begin_block(Duration::from_secs(1), true, 64);
    assert!(steps.ask(3, 20).is_none(), "the model that was left has answered a bounce");
    drop(ready);
    assert!(steps.ask(4, 5000).is_some());
    assert_eq!(steps.model(), Some(first));
}

/// Each slot that the model cannot read is told for as long as it is so, and played without.
#[test]
fn unreadable_slots_are_all_told() {
    let mut steps = Steps::new("unreadable");
    let clip = |pitch: u8, channel: u8| {
        let note = Note { start: 0.0, end: 1.0, pitch, velocity: 80, channel, program: 0 };
        Slot { clip: Some(Clip::new(vec![note], 8.0)), ..Slot::default() }
    };
    let message = |steps: &Steps| steps.worker.shared.status.lock().message();
    let unread = |steps: &Steps| {
        let unread = steps.worker.shared.status.lock().unread;
        SlotId::ALL.into_iter().filter(|slot| unread[slot.index()]).collect::<Vec<_>>()
    };
    let song = steps.worker.shared.song.clone();
    song.replace(SlotId::A, clip(36, 9));
    song.replace(SlotId::B, clip(2, 0));
    while steps.worker.turn() {}
    let both = message(&steps).expect("a message");
    assert!(both.contains("Slot A holds drums") && both.contains("slot B are too low"), "{both}");
    assert_eq!((both.lines().count(), unread(&steps)), (2, vec![SlotId::A, SlotId::B]));
    song.swap();
    song.replace(SlotId::A, clip(60, 0));
    while steps.worker.turn() {}
    let one = message(&steps).expect("a message");
    assert!(one.contains("Slot B holds drums") && one.lines().count() == 1, "{one}");
    assert_eq!(unread(&steps), [SlotId::B]);
    assert!(!steps.ask(1, 3).expect("an answer").notes().is_empty());
    song.replace(SlotId::B, Slot::default());
    while steps.worker.turn() {}
    assert_eq!((message(&steps), unread(&steps)), (None, vec![]));
}

/// What the user does marks the project as changed, each time once; what follows from it does not.
#[test]
fn what_the_user_does_is_an_edit() {
    let mut steps = Steps::new("edits");
    let edits = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let count = Arc::clone(&edits);
    steps.worker.shared.song.on_edit(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let tune = steps.tune("one.mid", 60);
    let folder = steps.folder.0.clone();
    let commands = [
        (Command::LoadFile(SlotId::A, tune.clone()), 1),
        (Command::Draw(SlotId::B, 3), 1),
        (Command::LearnFiles(vec![tune]), 1),
        (Command::LearnSlots, 1),
        (Command::LoadFile(SlotId::A, folder.join("absent.mid")), 0),
        (Command::ListModels, 0),
        (Command::Retry, 0),
    ];
    for (command, expected) in commands {
        let before = edits.load(Ordering::Relaxed);
        let shown = format!("{command:?}");
        steps.perform(command);
        while steps.worker.turn() {}
        assert_eq!(edits.load(Ordering::Relaxed) - before, expected, "{shown}");
    }
    let before = edits.load(Ordering::Relaxed);
    let note = Note { start: 0.0, end: 1.0, pitch: 60, velocity: 80, channel: 0, program: 0 };
    steps.audio.captured(Box::new(Take::of(1, &Clip::new(vec![note], 8.0))));
    while steps.worker.turn() {}
    assert_eq!(edits.load(Ordering::Relaxed) - before, 1);
    assert!(steps.song(|state| state.slots[1].latent.is_some()), "its latent is no edit");
}
