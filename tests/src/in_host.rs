//! The plug-in in the headless host, as tests of several files play it: the debug build that aborts
//! when `process` allocates, from its bundle, with a model of random weights (its music is noise, its
//! timing is not).

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant},
};

use interlude_bundler::{
    bundle::BundleCommand,
    host::{PluginFile, Session, Settings, hanging},
    workspace,
};
use interlude_models::{
    config::by_name,
    network,
    package::{ModelInfo, Package},
    weights::{Tensor, Weights},
};

/// Id of the plug-in in its file.
pub const PLUGIN: &str = "studio.interlude.interlude";
/// Beats of a cycle of two bars.
pub const CYCLE: f64 = 8.0;
/// Frames in a second.
pub const SAMPLE_RATE: f64 = 48_000.0;

/// The plug-in's library in a bundle with a random model, made once for a process.
///
/// # Panics
/// When it cannot be built.
pub fn plugin() -> &'static Path {
    static PLUGIN: OnceLock<PathBuf> = OnceLock::new();
    PLUGIN.get_or_init(|| {
        let config = by_name("cat-mel_2bar_small").unwrap();
        let mut weights = Weights::default();
        let mut state = 1_u32;
        for variable in network::variables(&config) {
            let count = variable.shape.iter().product();
            let data = (0..count)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    f32::from(u16::try_from(state >> 16).unwrap()) / 327_680.0 - 0.1
                })
                .collect();
            weights.insert(variable.name, Tensor::new(variable.shape, data).unwrap());
        }
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("mel-2bar");
        Package::write(&model, &ModelInfo::new(config, "random weights"), &weights).unwrap();
        let out = Some(workspace::target().join("bundled-tests"));
        let bundle = BundleCommand { model: vec![model], out, ..BundleCommand::checked() };
        bundle.run().unwrap().clap_binary
    })
}

/// An instance with an empty project, in blocks of 256 frames.
///
/// # Panics
/// When the plug-in does not start.
pub fn session(offline: bool) -> Session {
    let mut instance = PluginFile::load(plugin()).unwrap().instantiate(PLUGIN).unwrap();
    // A new one would get factory clips.
    let empty = instance.save_state().unwrap();
    instance.load_state(&empty).unwrap();
    Session::new(instance, Settings { sample_rate: SAMPLE_RATE, block: 256, offline }).unwrap()
}

/// The plug-in's library in a bundle with the shipped models.
///
/// # Panics
/// When it cannot be built.
pub fn plugin_with_shipped_models() -> PathBuf {
    let out = Some(workspace::target().join("bundled-golden"));
    BundleCommand { out, ..BundleCommand::checked() }.run().unwrap().clap_binary
}

/// A CLAP state of nice-plug, which has the length of its text before it.
pub fn framed(text: &[u8]) -> Vec<u8> {
    let length = u64::try_from(text.len()).unwrap();
    [&length.to_le_bytes()[..], text].concat()
}

/// A state as a version saved it that did not know a parameter yet.
///
/// # Panics
/// When the parameter does not stand in the state as `written`.
pub fn without(state: &[u8], written: &str) -> Vec<u8> {
    let text = String::from_utf8(state[8..].to_vec()).unwrap();
    let older = text.replacen(&format!("{written},"), "", 1);
    assert_ne!(older, text);
    framed(older.as_bytes())
}

/// State of an instance that captured a clip in each slot from host MIDI.
///
/// # Panics
/// When the plug-in fails or leaves a note sounding.
pub fn state() -> &'static [u8] {
    static STATE: OnceLock<Vec<u8>> = OnceLock::new();
    STATE.get_or_init(|| {
        let mut session = session(true);
        session.set_text("Thru", "Off").unwrap();
        session.set_text("Temperature", "1").unwrap();
        // The notes that the tests know are those of free ones.
        session.set_text("Key", "Free").unwrap();
        session.play();
        for (slot, start, keys) in
            [("Capture A", 4.0, [60, 62, 64, 65]), ("Capture B", 16.0, [72, 67, 60, 55])]
        {
            session.run_to(start - 2.0).unwrap();
            session.set_text(slot, "On").unwrap();
            let origin = session.frame() + session.frames_until(start);
            for (beat, key) in (0_u64..).zip(keys) {
                session.schedule_note(origin + beat * 48_000, 24_000, 0, key, 0.7);
            }
            session.run_to(start + CYCLE + 1.0).unwrap();
            session.set_text(slot, "Off").unwrap();
        }
        session.run_to(40.0).unwrap();
        session.stop();
        session.run(4800).unwrap();
        assert_eq!(hanging(session.events()), 0);
        session.instance().save_state().unwrap()
    })
}

/// An instance with both slots filled.
///
/// # Panics
/// When the plug-in does not take the state.
pub fn filled(offline: bool) -> Session {
    let mut session = session(offline);
    session.instance().load_state(state()).unwrap();
    session
}

/// Processes `count` frames in as much time as they take to play.
///
/// # Panics
/// When the plug-in fails.
pub fn in_real_time(session: &mut Session, count: u64) {
    let (start, first) = (Instant::now(), session.frame());
    session
        .run_paced(count, |frame| {
            // At 48 kHz a thousand microseconds are 48 frames.
            let due = Duration::from_micros((frame - first) * 1000 / 48);
            std::thread::sleep((start + due).saturating_duration_since(Instant::now()));
        })
        .unwrap();
}
