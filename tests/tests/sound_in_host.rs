//! The preview in the headless host: the debug build that aborts when `process` allocates.

use std::time::{Duration, Instant};

use interlude_bundler::host::{EventKind, Input, PluginFile, Session, Settings, hanging};
use interlude_tests::in_host::{
    PLUGIN, SAMPLE_RATE, filled, in_real_time, plugin, plugin_with_shipped_models, session, state,
    without,
};

/// The loudest sample of what was put out since the last call.
fn peak(session: &mut Session) -> f32 {
    let audio = session.take_audio();
    audio.iter().flatten().fold(0.0, |peak, sample| peak.max(sample.abs()))
}

/// Runs until the preview is ready, which the worker makes: a note of a host is heard.
fn ready(session: &mut Session) {
    session.listen();
    let begun = Instant::now();
    while {
        let frame = session.frame();
        session.schedule_note(frame, 2400, 0, 60, 0.8);
        session.run(4800).unwrap();
        peak(session) < 1e-3
    } {
        assert!(begun.elapsed() < Duration::from_secs(20), "no sound within 20 s");
        std::thread::sleep(Duration::from_millis(5));
    }
    session.run(480_000).unwrap();
    session.take_audio();
}

#[test]
fn what_goes_out_is_heard_from_its_sample_on() {
    // Contract: in a new instance a note that is passed on, and a generated one, are heard in the
    // plug-in's own output within 16 samples of where they go out and above -30 dBFS, in blocks of any size;
    // without notes the output is silent.
    let mut session = session(false);
    ready(&mut session);
    session.run(48_000).unwrap();
    assert_eq!(peak(&mut session), 0.0);
    let frame = session.frame();
    session.schedule_note(frame + 1000, 9600, 0, 64, 0.8);
    session.run(24_000).unwrap();
    let [left, right] = session.take_audio();
    let loud = |sample: &&f32| sample.abs() > 0.0;
    let first = left.iter().zip(&right).position(|(left, right)| loud(&left) || loud(&right));
    let first = first.expect("the note is heard");
    assert!((1000..1064).contains(&first), "{first}");
    let loudest = left.iter().chain(&right).fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
    assert!(loudest > 0.0316, "{loudest}");

    let mut playing = filled(true);
    playing.set_text("Sound", "On").unwrap();
    playing.set_text("Morph", "0.5").unwrap();
    playing.listen();
    playing.play();
    playing.run_to(16.0).unwrap();
    assert!(peak(&mut playing) > 0.0316);
}

#[test]
fn off_is_silent() {
    // Contract: with Sound off, by the switch or in a project from before the preview, the output is
    // silent while notes go out; a muted part is silent too.
    let mut session = session(false);
    ready(&mut session);
    for settings in [&[("Sound", "Off")][..], &[("Sound", "On"), ("Melody mute", "On")]] {
        for (name, text) in settings {
            session.set_text(name, text).unwrap();
        }
        session.run(4800).unwrap();
        session.take_audio();
        let frame = session.frame();
        session.schedule_note(frame, 9600, 0, 64, 0.8);
        session.run(24_000).unwrap();
        assert_eq!(peak(&mut session), 0.0, "{settings:?}");
    }

    let older = without(state(), r#""sound":{"bool":true}"#);
    let instance = PluginFile::load(plugin()).unwrap().instantiate(PLUGIN).unwrap();
    let settings = Settings { sample_rate: SAMPLE_RATE, block: 256, offline: true };
    let mut old = Session::new(instance, settings).unwrap();
    old.instance().load_state(&older).unwrap();
    old.listen();
    old.play();
    old.run_to(9.0).unwrap();
    assert!(old.events().iter().any(|event| matches!(event.kind, EventKind::NoteOn { .. })));
    assert_eq!(peak(&mut old), 0.0);
}

#[test]
fn another_rate_is_followed() {
    // Contract: after a host has changed the sample rate, the preview sounds at the new one.
    let mut session = session(false);
    ready(&mut session);
    let settings = Settings { sample_rate: 96_000.0, block: 128, offline: false };
    let mut session = Session::new(session.into_instance(), settings).unwrap();
    ready(&mut session);
    let frame = session.frame();
    session.schedule(frame, Input::NoteOn { channel: 0, key: 69, velocity: 0.9 });
    session.run(48_000).unwrap();
    let [left, _] = session.take_audio();
    // A4 has 440 periods a second.
    let crossings = left[9600..38_400].windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0);
    let frequency = f64::from(u32::try_from(crossings.count()).unwrap()) / 0.3;
    assert!((380.0..500.0).contains(&frequency), "{frequency}");
}

#[test]
fn a_new_instance_plays_at_the_first_press_of_play() {
    // Contract: with the shipped models, a new instance has two factory clips, plays between them from
    // the first press of play on, and is heard above -30 dBFS within 300 ms of its first block once a
    // host has activated it; its project counts as unchanged. An empty project that a host loads stays
    // empty.
    let plugin = PluginFile::load(&plugin_with_shipped_models()).unwrap();
    let settings = Settings { sample_rate: SAMPLE_RATE, block: 256, offline: false };
    let begin = || Session::new(plugin.instantiate(PLUGIN).unwrap(), settings).unwrap();

    let mut session = begin();
    let empty = plugin.instantiate(PLUGIN).unwrap().save_state().unwrap();
    session.listen();
    session.play();
    // A debug build takes longer to load than 300 ms, so the clock stands until the model is there.
    let begun = Instant::now();
    while peak(&mut session) < 0.0316 {
        assert!(begun.elapsed() < Duration::from_secs(30), "nothing is heard");
        in_real_time(&mut session, 4800);
    }
    assert_eq!(session.instance().value("Project changes").unwrap(), 0.0);
    let saved = String::from_utf8_lossy(&session.instance().save_state().unwrap()).into_owned();
    assert!(saved.contains("Ode to joy") && saved.contains("London bridge"), "{saved}");
    session.stop();
    session.run(4800).unwrap();
    assert_eq!(hanging(session.events()), 0);

    let mut session = begin();
    session.instance().load_state(&empty).unwrap();
    session.listen();
    session.play();
    in_real_time(&mut session, 96_000);
    assert_eq!((session.events().len(), peak(&mut session)), (0, 0.0));
}
