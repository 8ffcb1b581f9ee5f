//! Every configuration that has a fixture, imported and played by the real plug-in in the headless
//! host: the debug build that aborts when `process` allocates.
//!
//! One test, alone in its program: it sets an environment variable.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use interlude_bundler::{
    bundle::BundleCommand,
    host::{PluginFile, Session, Settings, Span, hanging, spans},
    workspace,
};
use interlude_models::{
    config::{Config, Scheme},
    package::Package,
};
use interlude_tests::in_host::{PLUGIN, framed};
use interlude_trainer::commands;
use serde_json::Value;

const TEMPO: f64 = 240.0;
const BAR: f64 = 4.0;

#[test]
fn every_imported_model_plays_in_the_plugin() {
    // Contract: each fixture's checkpoint, imported and bundled, takes two clips from host MIDI and
    // plays cycles of its own length, on its own channels and on the grid, none of them late, and
    // leaves no note sounding; with Evolve on each cycle has a pattern of its own.
    let place = tempfile::tempdir().unwrap();
    let trace = place.path().join("trace.jsonl");
    // SAFETY: no other thread runs that reads the environment: the plug-in is loaded below.
    unsafe { std::env::set_var("INTERLUDE_TRACE", &trace) };
    let models = imported(place.path());
    assert_eq!(models.len(), 13);
    let bundle = BundleCommand {
        model: models.clone(),
        out: Some(workspace::target().join("bundled-every-model")),
        ..BundleCommand::checked()
    };
    let plugin = PluginFile::load(&bundle.run().unwrap().clap_binary).unwrap();
    for model in models {
        let config = Package::open(&model).unwrap().info.config;
        let before = lines(&trace).len();
        let mut session = prepare(&plugin, &config);
        let heard = play(&mut session, &config);
        let repeated = lines(&trace).split_off(before);
        check_trace(&config, &repeated);
        check_music(&config, &heard);
        let before = lines(&trace).len();
        session.set_text("Evolve", "On").unwrap();
        play(&mut session, &config);
        check_evolving(&config, &lines(&trace).split_off(before));
    }
}

/// The model folders of all fixtures.
fn imported(place: &Path) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut models = Vec::new();
    for entry in fs::read_dir(root).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let archive = entry.path().join(format!("{name}.tar"));
        if archive.is_file() {
            let out = place.join(&name);
            let (archive, folder) = (archive.to_str().unwrap(), out.to_str().unwrap());
            commands::run(["interlude", "import", archive, "--out", folder]).unwrap();
            models.push(out);
        }
    }
    models.sort();
    models
}

fn cycle_beats(config: &Config) -> f64 {
    f64::from(u32::try_from(config.bars()).unwrap()) * BAR
}

/// An instance with the model, half way between two captured clips.
fn prepare(plugin: &PluginFile, config: &Config) -> Session {
    let mut instance = plugin.instantiate(PLUGIN).unwrap();
    // The worker starts with the activation, and looks for the model that is chosen by then.
    let state = with_model(&instance.save_state().unwrap(), &config.name);
    instance.load_state(&state).unwrap();
    let settings = Settings { sample_rate: 48_000.0, block: 512, offline: true };
    let mut session = Session::new(instance, settings).unwrap();
    session.set_tempo(TEMPO);
    for (name, text) in [("Thru", "Off"), ("Temperature", "1"), ("Seed", "5"), ("Morph", "0.5")] {
        session.set_text(name, text).unwrap();
    }
    let length = cycle_beats(config);
    // The model says how long a window is, and it loads while the transport stands.
    session.run(4800).unwrap();
    session.play();
    for (slot, start) in [("Capture A", BAR), ("Capture B", length + 3.0 * BAR)] {
        session.run_to(start - 2.0).unwrap();
        session.set_text(slot, "On").unwrap();
        schedule(&mut session, config.scheme, start, length, slot == "Capture B");
        session.run_to(start + length + 1.0).unwrap();
        session.set_text(slot, "Off").unwrap();
    }
    session.run_to(2.0 * length + 4.0 * BAR).unwrap();
    session.stop();
    session.run(4800).unwrap();
    assert_eq!(hanging(session.events()), 0, "{} while it captured", config.name);
    session
}

/// What is heard of two cycles.
fn play(session: &mut Session, config: &Config) -> Vec<Span> {
    let length = cycle_beats(config);
    session.take_events();
    session.seek(-BAR);
    session.play();
    session.run_to(2.0 * length).unwrap();
    session.stop();
    session.run(4800).unwrap();
    assert_eq!(hanging(session.events()), 0, "{}", config.name);
    spans(session.events())
}

/// A saved state with another model in it: JSON behind its length in eight bytes.
fn with_model(state: &[u8], model: &str) -> Vec<u8> {
    let mut state: Value = serde_json::from_slice(&state[8..]).unwrap();
    let song = state.pointer_mut("/fields/song").unwrap();
    let mut inner: Value = serde_json::from_str(song.as_str().unwrap()).unwrap();
    inner["model"] = model.into();
    *song = inner.to_string().into();
    framed(&serde_json::to_vec(&state).unwrap())
}

/// Plays music that a model can read: a melody over chords, drums a little off the grid, or both
/// with a bass. Neither bars nor halves are alike, as those of loops would stay between two of them.
fn schedule(session: &mut Session, scheme: Scheme, start: f64, length: f64, other: bool) {
    let per_beat = session.frames_per_beat();
    let origin = session.frame() + session.frames_until(start);
    let mut note = |channel: u8, key: u8, beat: f64, beats: f64, velocity: f64| {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positions in a song"
        )]
        let [begin, length] = [beat, beats].map(|beats| (beats * per_beat) as u64);
        session.schedule_note(origin + begin, length, channel, key, velocity);
    };
    let (tune, kit) =
        if other { ([72, 67, 64, 60], [36, 46]) } else { ([60, 62, 64, 67], [36, 38]) };
    let with_drums =
        matches!(scheme, Scheme::Drums | Scheme::DrumRoll(_) | Scheme::Groove(_) | Scheme::Trio);
    let with_melody = !with_drums || scheme == Scheme::Trio;
    let mut beat = 0.0;
    for step in 0_usize.. {
        if beat >= length {
            break;
        }
        let turn = step + step / 4 + step / 32;
        if with_melody {
            note(0, tune[turn % 4], beat, 0.75, 0.7);
        }
        if scheme == Scheme::MelodyChords && step % 4 == 0 {
            for key in [48, 52, 55] {
                note(0, key, beat + 0.01, 3.9, 0.5);
            }
        }
        if scheme == Scheme::Trio {
            note(1, if other { 36 } else { 43 }, beat, 0.75, 0.8);
        }
        if with_drums {
            note(9, kit[turn % 2], beat + 0.02, 0.2, 0.9);
            note(9, 42, beat + 0.5, 0.2, 0.4);
        }
        beat += 1.0;
    }
}

/// The complete lines of the worker's trace.
fn lines(trace: &Path) -> Vec<Value> {
    let text = fs::read_to_string(trace).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn check_trace(config: &Config, lines: &[Value]) {
    let name = &config.name;
    let of = |event: &str| lines.iter().filter(|line| line["event"] == *event).collect::<Vec<_>>();
    assert_eq!(of("error"), Vec::<&Value>::new(), "{name}");
    assert_eq!(of("late"), Vec::<&Value>::new(), "{name}");
    assert!(of("model").iter().any(|line| line["name"] == **name), "{name}: {lines:?}");
    let slots: Vec<_> = of("encoded").iter().map(|line| line["slot"].clone()).collect();
    assert_eq!(slots, ["A", "B"], "{name}");
    // Without Evolve a pattern on hand serves any cycle, so not each one is decoded; what is heard of
    // them is checked with the music.
    let decoded = of("decoded");
    assert!(decoded.iter().any(|line| line["notes"].as_u64() > Some(0)), "{name}: {decoded:?}");
}

fn check_evolving(config: &Config, lines: &[Value]) {
    let name = &config.name;
    let of = |event: &'static str| lines.iter().filter(move |line| line["event"] == *event);
    assert_eq!(of("error").chain(of("late")).count(), 0, "{name}: {lines:?}");
    let decoded: BTreeSet<i64> = of("decoded").filter_map(|line| line["cycle"].as_i64()).collect();
    assert!(decoded.is_superset(&BTreeSet::from([0, 1])), "{name} decoded only {decoded:?}");
}

/// Whether channels and keys are equal, and places up to the rounding to samples.
fn same(a: &[(u8, u8, i64)], b: &[(u8, u8, i64)]) -> bool {
    let equal = |(a, b): (&(u8, u8, i64), &(u8, u8, i64))| {
        (a.0, a.1) == (b.0, b.1) && (a.2 - b.2).abs() <= 1
    };
    a.len() == b.len() && a.iter().zip(b).all(equal)
}

fn check_music(config: &Config, heard: &[Span]) {
    let name = &config.name;
    let length = cycle_beats(config);
    let part = |from: f64, to: f64| -> Vec<(u8, u8, i64)> {
        let inside = heard.iter().filter(|span| (from - 1e-3..to - 1e-3).contains(&span.beats));
        let place = |span: &Span| {
            #[expect(clippy::cast_possible_truncation, reason = "thousandths of beats")]
            let place = ((span.beats - from) * 1000.0).round() as i64;
            (span.channel, span.key, place)
        };
        let mut part: Vec<_> = inside.map(place).collect();
        part.sort_unstable();
        part
    };
    let cycle = part(0.0, length);
    println!("{name}: {} notes in a cycle of {length} beats", cycle.len());
    assert!(cycle.len() > 3, "{name} plays {cycle:?}");
    // Without Evolve each cycle repeats, and nothing shorter does.
    assert!(same(&part(length, 2.0 * length), &cycle), "{name}: {cycle:?}");
    assert!(!same(&part(length / 2.0, length), &part(0.0, length / 2.0)), "{name}: {cycle:?}");

    let channels: BTreeSet<u8> = heard.iter().map(|span| span.channel).collect();
    let expected = config.family().voices().iter().map(|voice| voice.channel).collect();
    assert_eq!(channels, expected, "{name}");

    // A groove lies up to half a 16th beside the grid; all else begins within a sample of it.
    let frames_per_step = 48_000.0 * 60.0 / TEMPO / 4.0;
    let most = if config.family().is_performed() { frames_per_step / 2.0 } else { 0.0 };
    for span in heard.iter().filter(|span| span.beats > -1e-3) {
        let steps = span.beats * 4.0;
        let off = (steps - steps.round()).abs() * frames_per_step;
        assert!(off <= most + 1.0, "{name}: {span:?} is {off} samples off");
    }
}
