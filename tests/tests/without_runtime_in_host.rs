//! The plug-in in the headless host where ONNX Runtime is missing or is no library.
//!
//! One test, alone in its program: it sets environment variables.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use interlude_bundler::{
    bundle::BundleCommand,
    host::{EventKind, PluginFile, Session, Settings, hanging},
    workspace,
};
use serde_json::Value;

const PLUGIN: &str = "studio.interlude.interlude";
/// How long the worker may take to find out.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn without_a_runtime_the_plugin_says_so_and_plays_on() {
    // Contract: a runtime that is missing or no library is told in a sentence that names the file
    // and the remedy; incoming notes pass, a captured clip is kept, and nothing waits or hangs.
    let place = tempfile::tempdir().unwrap();
    let bundle = BundleCommand {
        out: Some(workspace::target().join("bundled-without-runtime")),
        ..BundleCommand::checked()
    };
    let plugin = bundle.run().unwrap().clap_binary;
    let missing = place.path().join("missing.so");
    let text = place.path().join("text.so");
    fs::write(&text, "not a library").unwrap();
    for (library, remedy) in [(&missing, "check"), (&text, "cannot be loaded")] {
        let trace = place.path().join("trace.jsonl");
        // SAFETY: no thread runs that reads the environment: the plug-in is loaded below, and the
        // instance before, with its worker, is gone.
        unsafe {
            std::env::set_var("ORT_DYLIB_PATH", library);
            std::env::set_var("INTERLUDE_TRACE", &trace);
        }
        plays_on(&plugin, &trace, library, remedy);
        fs::remove_file(&trace).unwrap();
    }
}

fn plays_on(plugin: &Path, trace: &Path, library: &Path, remedy: &str) {
    let instance = PluginFile::load(plugin).unwrap().instantiate(PLUGIN).unwrap();
    let settings = Settings { sample_rate: 48_000.0, block: 256, offline: true };
    let mut session = Session::new(instance, settings).unwrap();
    session.set_text("Capture A", "On").unwrap();
    session.seek(-1.0);
    session.play();
    let origin = session.frame() + session.frames_until(1.0);
    session.schedule_note(origin, 12_000, 0, 64, 0.8);
    session.run_to(9.0).unwrap();
    session.set_text("Capture A", "Off").unwrap();
    session.stop();
    session.run(4800).unwrap();
    let ons: Vec<_> = session
        .events()
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::NoteOn { key, .. } => Some((event.frame, key)),
            _ => None,
        })
        .collect();
    assert_eq!(ons, [(origin, 64)], "the note passes, and nothing else plays");
    assert_eq!(hanging(session.events()), 0);

    let message = message(trace);
    assert!(message.contains(library.to_str().unwrap()), "{message}");
    assert!(message.contains(remedy) && message.ends_with('.'), "{message}");
    let state = session.instance().save_state().unwrap();
    let state = String::from_utf8_lossy(&state).into_owned();
    assert!(state.contains("Captured"), "{state}");
}

/// The first problem that the worker tells.
fn message(trace: &Path) -> String {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(trace).unwrap_or_default();
        for line in text.lines() {
            // The last line may still be being written.
            let event: Value = serde_json::from_str(line).unwrap_or_default();
            if event["event"] == "error" {
                return event["message"].as_str().unwrap().to_owned();
            }
        }
        assert!(begun.elapsed() < PATIENCE, "no message came");
        std::thread::sleep(Duration::from_millis(5));
    }
}
