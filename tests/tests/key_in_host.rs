//! The key that generated notes keep to, in the headless host with a shipped model.

use interlude_bundler::host::{EventKind, PluginFile, Session, Settings};
use interlude_models::scale::Scale;
use interlude_tests::in_host::{PLUGIN, SAMPLE_RATE, plugin_with_shipped_models, without};

/// Notes of four cycles between the factory clips, which are in C major, at temperature 1.
fn notes(session: &mut Session, key: &str) -> Vec<u8> {
    session.set_text("Key", key).unwrap();
    session.seek(0.0);
    session.take_events();
    session.play();
    session.run_to(32.0).unwrap();
    session.stop();
    session.run(4800).unwrap();
    let begun = session.take_events().into_iter().filter_map(|event| match event.kind {
        EventKind::NoteOn { key, .. } => Some(key),
        _ => None,
    });
    begun.collect()
}

#[test]
fn notes_keep_to_the_key() {
    // Contract: of a chosen key every generated note belongs to it; as the clips, nine of ten notes between two
    // clips of one key belong to that, and none lies outside of their range by more than a fourth; the
    // number of notes stays within a third of that of free ones. A project from before the key is free.
    let plugin = PluginFile::load(&plugin_with_shipped_models()).unwrap();
    let settings = Settings { sample_rate: SAMPLE_RATE, block: 512, offline: true };
    let mut session = Session::new(plugin.instantiate(PLUGIN).unwrap(), settings).unwrap();
    for (name, text) in [("Temperature", "1"), ("Evolve", "On"), ("Morph", "0.5")] {
        session.set_text(name, text).unwrap();
    }
    session.play();
    session.run_to(8.0).unwrap();

    let free = notes(&mut session, "Free");
    assert!(free.len() > 20, "{free:?}");
    let count = |share: f64| f64::from(u32::try_from(free.len()).unwrap()) * share;
    for key in ["Eb major", "B minor"] {
        let scale: Scale = key.parse().unwrap();
        let notes = notes(&mut session, key);
        assert!(notes.iter().all(|&note| scale.holds(note)), "{key}: {notes:?}");
        let found = f64::from(u32::try_from(notes.len()).unwrap());
        assert!((count(0.66)..count(1.34)).contains(&found), "{key}: {notes:?}, free {free:?}");
    }
    let as_clips = notes(&mut session, "As the clips");
    let scale: Scale = "C major".parse().unwrap();
    let outside = as_clips.iter().filter(|&&note| !scale.holds(note)).count();
    assert!(10 * outside <= as_clips.len(), "{as_clips:?}");
    assert!(as_clips.iter().all(|note| (55..=74).contains(note)), "{as_clips:?}");

    let state = session.instance().save_state().unwrap();
    let older = without(&state, r#""key":{"i32":1}"#);
    session.instance().load_state(&older).unwrap();
    assert_eq!(session.instance().value("Key").unwrap(), 0.0);
}
