//! What the worker decodes, and what saved projects hold, against golden files.
//!
//! `INTERLUDE_GOLDEN=write cargo test -p interlude-tests --test golden --test golden_in_host` makes
//! the files anew; saved projects that are there stay as they are.

use std::{
    collections::BTreeMap,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use interlude_models::{clip::Clip, runtime::Runtime};
use interlude_plugin::{
    key::Key,
    link::{AudioEnd, link},
    params::InterludeParams,
    player::{Lane, Link, Request, Sampling, Settings, Source},
    shape::Shape,
    shared::{Command, Shared},
    slots::{Position, SlotId},
    state::{self, Slot, Song, SongState},
    worker::WorkerThread,
};
use interlude_tests::golden::{self, Cases, SHIPPED, Shipped};
use nice_plug::prelude::{Params, PluginState};

/// Longest wait for the worker.
const PATIENCE: Duration = Duration::from_secs(600);

/// A worker on its thread, with one of the shipped models and a clip in each slot.
struct Bench {
    shared: Arc<Shared>,
    worker: Arc<WorkerThread>,
    audio: AudioEnd,
    requests: u64,
    cases: Cases,
    model: &'static str,
}

/// Settings of a case: morph position, temperature, evolve.
fn settings(morph: f32, temperature: f32, evolve: bool) -> Settings {
    Settings {
        position: Position::new(morph),
        source: Source::Between,
        key: Key::FREE,
        amounts: Shape::default(),
        sampling: Sampling { temperature, seed: 1, evolve },
    }
}

impl Bench {
    fn new(model: &Shipped, slots: [Option<Clip>; 2]) -> Self {
        let song = Song::default();
        let folder =
            interlude_bundler::workspace::root().join("models/pretrained").join(model.name);
        song.change(|state| {
            folder.to_str().expect("plain names").clone_into(&mut state.model);
            for (slot, clip) in state.slots.iter_mut().zip(slots) {
                slot.clip = clip;
            }
        });
        let shared = Shared::new(song);
        let (audio, end) = link(Arc::clone(&shared.signals));
        let worker = WorkerThread::new(Arc::clone(&shared), end);
        worker.start();
        Self { shared, worker, audio, requests: 0, cases: Cases::new(), model: model.name }
    }

    fn until<T>(&self, mut look: impl FnMut() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(begun.elapsed() < PATIENCE, "{:?}", self.shared.status.lock().message());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The notes of a cycle.
    fn ask(&mut self, name: &str, cycle: i64, settings: Settings) {
        self.requests += 1;
        let id = self.requests;
        let request = Request { id, lane: Lane::One, alone: false, cycle, settings };
        assert!(self.audio.request(&request));
        let begun = Instant::now();
        let answer = loop {
            if let Some(answer) = self.audio.answer() {
                break answer;
            }
            assert!(begun.elapsed() < PATIENCE, "no answer");
            std::thread::sleep(Duration::from_millis(1));
        };
        assert_eq!(answer.id(), id);
        self.audio.discard(answer);
        let status = self.shared.status.lock();
        assert_eq!(status.message(), None, "{}", self.model);
        let words = golden::words(status.pattern(id).expect("it was shown"));
        assert!(!words.is_empty() || name.contains("temperature 0"), "{name} is silent");
        self.cases.push((format!("{} {name}", self.model), words));
    }

    /// The clip that a command puts into a slot.
    fn filled_by(&mut self, name: &str, slot: usize, command: Command) {
        let before = self.shared.song.read(|state| state.slots[slot].clone());
        self.worker.command(command);
        let song = &self.shared.song;
        let filled = self.until(|| {
            song.read(|state| Some(&state.slots[slot]).filter(|slot| **slot != before).cloned())
        });
        let clip = filled.clip.expect("a clip");
        self.cases.push((format!("{} {name}", self.model), golden::words(&clip)));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.worker.stop();
    }
}

/// All cases of a model.
fn cases_of(model: &Shipped) -> Cases {
    let mut bench = Bench::new(model, model.clips().map(Some));
    for morph in [0.0, 0.25, 0.5, 1.0] {
        for temperature in [0.0, 0.7] {
            let name = format!("morph {morph} temperature {temperature}");
            bench.ask(&name, 3, settings(morph, temperature, false));
        }
    }
    bench.ask("another cycle without evolve", 5, settings(0.5, 0.7, false));
    bench.ask("evolve cycle 0", 0, settings(0.5, 0.7, true));
    bench.ask("evolve cycle 3", 3, settings(0.5, 0.7, true));
    let mut seeded = settings(0.5, 0.7, false);
    seeded.sampling.seed = 77;
    bench.ask("seed 77", 3, seeded);
    let shaped = |asked: [f32; 5]| {
        let mut amounts = Shape::default();
        amounts[..asked.len()].copy_from_slice(&asked);
        Settings { amounts, ..settings(0.25, 0.7, false) }
    };
    bench.ask("more density", 3, shaped([2.0, 0.0, 0.0, 0.0, 0.0]));
    bench.ask("lower, wider, more syncopation", 3, shaped([0.0, -1.5, 1.0, 0.5, 1.0]));
    bench.filled_by("dice 5", 0, Command::Draw(SlotId::A, 5));
    bench.ask("between an idea and a clip", 3, settings(0.5, 0.7, false));
    let mut cases = std::mem::take(&mut bench.cases);
    drop(bench);
    let [clip, _] = model.clips();
    let mut bench = Bench::new(model, [None, Some(clip)]);
    bench.ask("slot B alone", 3, settings(0.25, 0.7, false));
    cases.append(&mut bench.cases);
    drop(bench);
    if model.name == "mel-2bar" {
        let mut bench = Bench::new(model, model.clips().map(Some));
        bench.worker.command(Command::LearnSlots);
        let song = &bench.shared.song;
        bench.until(|| song.read(|state| state.style.is_some().then_some(())));
        bench.filled_by("dice 99 of a style", 1, Command::Draw(SlotId::B, 99));
        bench.ask("between a clip and one of a style", 3, settings(0.5, 0.7, true));
        cases.append(&mut bench.cases);
    }
    cases
}

#[test]
fn the_worker_decodes_the_same_notes() {
    // Contract: for the five shipped models, fixed clips, settings, seeds and dice, the worker decodes
    // the notes of the golden file: byte for byte with the ONNX Runtime and on a processor with the
    // instruction sets that the file names, half of all onsets on another, where ties fall otherwise.
    let cases: Cases = SHIPPED.iter().flat_map(cases_of).collect();
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let about = "Notes that the worker decodes with the shipped models; see tests/golden.rs";
    golden::check("worker.txt", about, &golden::arithmetic(runtime.version()), 1.0, &cases);
}

#[test]
fn saved_projects_load_and_save_the_same() {
    // Contract: each project in golden/states loads without complaint and is saved again with the
    // same bytes, through the plug-in's parameters; the known parts of it are there.
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(golden::folder().join("states")).expect("the folder").flatten() {
        let name = entry.file_name().into_string().expect("plain names");
        let bytes = fs::read(entry.path()).expect("it can be read");
        let mut state: PluginState = serde_json::from_slice(&bytes).expect("JSON");
        let saved = state.fields.clone();
        state::prepare(&mut state);
        let params = InterludeParams::default();
        params.deserialize_fields(&state.fields);
        assert_eq!(params.song.problem(), None, "{name}");
        assert_eq!(params.serialize_fields(), saved, "{name}");
        let ids: Vec<String> = state.params.keys().cloned().collect();
        let known: Vec<String> = params.param_map().into_iter().map(|(id, ..)| id).collect();
        assert!(ids.iter().all(|id| known.contains(id)), "{name}: {ids:?} of {known:?}");
        found.insert(name, params.song.snapshot().0);
    }
    let clips = |state: &SongState| state.slots.iter().filter(|slot| slot.clip.is_some()).count();
    assert_eq!(found["new.json"], SongState::default());
    for model in SHIPPED {
        let state = &found[&format!("{}.json", model.name)];
        assert_eq!((state.model.as_str(), clips(state)), (model.name, 2));
        let read =
            |slot: &Slot| slot.latent.as_ref().is_some_and(|latent| latent.model == model.name);
        assert!(state.slots.iter().all(read), "{}", model.name);
    }
    let style = &found["style.json"];
    assert!(style.style.as_ref().is_some_and(|style| style.source == "3 files"));
    assert!(style.slots[0].controls.is_some() && style.slots[1] == Slot::default());
}
