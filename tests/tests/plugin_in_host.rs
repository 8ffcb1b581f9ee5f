//! The real plug-in in the headless host: the debug build that aborts when `process` allocates,
//! from its bundle, with a model of random weights (its music is noise, its timing is not).

use interlude_bundler::host::{Input, Manners, NotePort, Session, Settings, Span, hanging, spans};
use interlude_tests::in_host::{CYCLE, filled, in_real_time, session, state};
use proptest::prelude::*;

/// Notes that begin in `0.0..beats`: key and start in thousandths of a beat.
fn music(session: &Session, beats: f64) -> Vec<(u8, i64)> {
    let heard = spans(session.events());
    heard
        .iter()
        .filter(|span| (-1e-3..beats - 1e-3).contains(&span.beats))
        .map(|span| (span.key, thousandths(span)))
        .collect()
}

fn thousandths(span: &Span) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
    let rounded = (span.beats * 1000.0).round() as i64;
    rounded
}

/// Plays two cycles from a bar of pre-roll and stops.
fn two_cycles(session: &mut Session) -> Vec<(u8, i64)> {
    session.seek(-4.0);
    session.play();
    session.run_to(2.0 * CYCLE).unwrap();
    session.stop();
    session.run(4800).unwrap();
    assert_eq!(hanging(session.events()), 0);
    music(session, 2.0 * CYCLE)
}

#[test]
fn a_song_sounds_the_same_again() {
    // Contract: a restored state is saved byte for byte as it was, and a second instance with it
    // plays the same notes, beside the first one.
    let (mut one, mut two) = (filled(true), filled(true));
    assert_eq!(one.instance().save_state().unwrap(), state());
    let music = two_cycles(&mut one);
    assert!(music.len() > 4, "{music:?}");
    assert_eq!(two_cycles(&mut two), music);
    assert_eq!(two.instance().save_state().unwrap(), state());
}

#[test]
fn a_bounce_has_the_notes_of_playback() {
    // Contract: rendered offline and played in real time, the same state gives the same notes.
    let mut bounce = filled(true);
    let expected = two_cycles(&mut bounce);
    let mut live = filled(false);
    // The model loads while the transport stands.
    in_real_time(&mut live, 5 * 48_000);
    live.seek(-4.0);
    live.play();
    let count = live.frames_until(2.0 * CYCLE);
    in_real_time(&mut live, count);
    assert_eq!(music(&live, 2.0 * CYCLE), expected);
}

#[test]
fn a_loop_repeats_itself_and_leaves_nothing_sounding() {
    // Contract: each pass of a loop over one cycle has the same notes, and a note that the wrap
    // cuts is ended.
    for split in [true, false] {
        let mut session = filled(true);
        session.behave(Manners { split_at_loop: split, ..Manners::default() });
        session.set_loop(Some(0.0..CYCLE));
        session.seek(0.0);
        session.play();
        let pass = session.frames_until(CYCLE);
        // In the first pass the first cycle has no look-ahead behind it.
        session.run(pass).unwrap();
        session.take_events();
        session.run(pass).unwrap();
        let second = music(&session, CYCLE);
        session.take_events();
        session.run(pass).unwrap();
        let third = music(&session, CYCLE);
        if split {
            assert!(!second.is_empty());
            assert_eq!(second, third);
        }
        session.stop();
        session.run(4800).unwrap();
    }
}

#[test]
fn stopping_and_seeking_end_all_notes() {
    // Contract: in the first block after a stop or a seek every sounding note is ended.
    let mut session = filled(true);
    session.seek(-4.0);
    session.play();
    for beats in [1.1, 2.6, 3.3, 5.9] {
        session.run_to(beats).unwrap();
        session.stop();
        session.run(256).unwrap();
        assert_eq!(hanging(session.events()), 0, "after the stop at {beats}");
        session.play();
    }
    session.run_to(7.2).unwrap();
    let before = session.events().len();
    session.seek(100.0);
    session.run(256).unwrap();
    let sounding_before = spans(&session.events()[..before]);
    let now = spans(session.events());
    let still = now[..sounding_before.len()].iter().filter(|span| span.end.is_none()).count();
    assert!(sounding_before.iter().any(|span| span.end.is_none()), "no note sounded");
    assert_eq!(still, 0, "after the seek");
}

#[test]
fn a_tempo_change_within_a_cycle_keeps_notes_on_the_grid() {
    // Contract: notes begin within a sample of a 16th, before and after the tempo changes in the
    // middle of a cycle.
    let mut session = filled(true);
    session.seek(-4.0);
    session.play();
    session.run_to(3.1).unwrap();
    session.set_tempo(87.0);
    session.run_to(11.3).unwrap();
    session.set_tempo(171.0);
    session.run_to(16.0).unwrap();
    let heard = spans(session.events());
    assert!(heard.iter().any(|span| span.beats > 12.0));
    // In the pre-roll nothing was decided ahead: a pattern joins there as soon as it comes in.
    for span in heard.iter().filter(|span| span.beats >= 0.0) {
        let sixteenths = span.beats * 4.0;
        let distance = (sixteenths - sixteenths.round()).abs() / 4.0 * 48_000.0 * 60.0 / 87.0;
        assert!(distance < 1.01, "{span:?} is {distance} samples off");
    }
}

#[test]
fn a_new_sample_rate_ends_notes_and_keeps_the_grid() {
    // Contract: when a host restarts the plug-in at another sample rate, what sounded is ended in
    // the first block after it, and notes lie on the grid of the new rate.
    let mut session = filled(true);
    for sample_rate in [44_100.0, 192_000.0, 22_050.0] {
        session.seek(-4.0);
        session.play();
        session.run_to(3.1).unwrap();
        assert!(hanging(session.events()) > 0, "no note sounds at {sample_rate}");
        let before = spans(session.events()).len();
        session.seek(session.beats());
        let settings = Settings { sample_rate, block: 480, offline: true };
        session.instance().activate(settings).unwrap();
        session.run(480).unwrap();
        let now = spans(session.events());
        let still = now[..before].iter().filter(|span| span.end.is_none()).count();
        assert_eq!(still, 0, "left sounding at {sample_rate}");
        session.take_events();
        session.run_to(16.0).unwrap();
        let heard = spans(session.events());
        assert!(heard.len() > 4, "{heard:?}");
        for span in heard.iter().filter(|span| span.beats > 3.5) {
            let steps = span.beats * 4.0;
            let off = (steps - steps.round()).abs() * sample_rate * 60.0 / 120.0 / 4.0;
            assert!(off < 1.01, "{span:?} is {off} samples off at {sample_rate}");
        }
        session.stop();
        session.run(4800).unwrap();
        assert_eq!(hanging(session.events()), 0);
        session.take_events();
    }
}

#[test]
fn bypass_ends_notes_and_passes_input() {
    // Contract: bypassed by the host, the plug-in ends its notes at once, generates none and passes
    // on what comes in even without Thru; switched back it plays on, and nothing hangs.
    let mut session = filled(true);
    session.set_text("Thru", "Off").unwrap();
    session.seek(-4.0);
    session.play();
    session.run_to(3.1).unwrap();
    assert!(hanging(session.events()) > 0, "no note sounds");
    session.set_text("Bypass", "On").unwrap();
    session.run(256).unwrap();
    assert_eq!(hanging(session.events()), 0);
    session.take_events();
    let frame = session.frame() + 1000;
    session.schedule_note(frame, 9000, 2, 90, 0.5);
    session.run_to(11.0).unwrap();
    let heard = spans(session.events());
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!((heard[0].start, heard[0].channel, heard[0].key), (frame, 2, 90));
    session.set_text("Bypass", "Off").unwrap();
    session.run_to(24.0).unwrap();
    session.stop();
    session.run(4800).unwrap();
    assert!(spans(session.events()).len() > 1);
    assert_eq!(hanging(session.events()), 0);
}

#[test]
fn hosts_may_speak_midi_or_clap() {
    // Contract: one note port each way that takes CLAP notes, by preference, and raw MIDI; raw
    // note-ons, also those of velocity 0 that end notes, are passed on as notes without delay.
    let mut session = session(true);
    for is_input in [true, false] {
        let expected = NotePort { clap: true, midi: true, prefers_clap: true };
        assert_eq!(session.instance().note_ports(is_input), [expected]);
    }
    assert_eq!(session.instance().latency(), 0);
    for (frame, message) in [
        (100, [0x93, 60, 100]),
        (300, [0x83, 60, 64]),
        (500, [0x93, 62, 1]),
        (700, [0x93, 62, 0]),
        (750, [0xc3, 5, 0]),
        (800, [0xb3, 1, 64]),
    ] {
        session.schedule(frame, Input::Midi(message));
    }
    session.run(2048).unwrap();
    let heard: Vec<_> = spans(session.events())
        .iter()
        .map(|span| (span.channel, span.key, span.start, span.end))
        .collect();
    assert_eq!(heard, [(3, 60, 100, Some(300)), (3, 62, 500, Some(700))]);
}

#[derive(Clone, Debug)]
enum Action {
    Run(u64),
    Play,
    Stop,
    Seek(f64),
    Tempo(f64),
    Signature(u16, u16),
    Loop(Option<(f64, f64)>),
    Set(&'static str, &'static str),
    Note(u8),
    Reactivate,
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1_u64..40_000).prop_map(Action::Run),
        3 => Just(Action::Play),
        1 => Just(Action::Stop),
        2 => (-8.0..40.0).prop_map(Action::Seek),
        1 => (30.0..300.0).prop_map(Action::Tempo),
        1 => (1_u16..8, prop_oneof![Just(2_u16), Just(4), Just(8)])
            .prop_map(|(numerator, denominator)| Action::Signature(numerator, denominator)),
        1 => proptest::option::of((0.0..16.0, 0.1..9.0)).prop_map(Action::Loop),
        1 => prop_oneof![
            Just(("Output", "Off")), Just(("Output", "On")), Just(("Thru", "On")),
            Just(("Thru", "Off")), Just(("Capture A", "On")), Just(("Capture A", "Off")),
            Just(("Evolve", "On")), Just(("Seed", "77")), Just(("Bypass", "On")),
            Just(("Bypass", "Off")),
        ]
        .prop_map(|(name, text)| Action::Set(name, text)),
        1 => (0_u8..128).prop_map(Action::Note),
        1 => Just(Action::Reactivate),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, ..ProptestConfig::default() })]

    #[test]
    fn every_note_on_has_its_note_off(actions in proptest::collection::vec(action(), 1..30)) {
        // Contract: whatever the transport and the parameters do, after a stop nothing sounds.
        let mut session = filled(true);
        session.play();
        for action in actions {
            match action {
                Action::Run(count) => session.run(count).unwrap(),
                Action::Play => session.play(),
                Action::Stop => session.stop(),
                Action::Seek(beats) => session.seek(beats),
                Action::Tempo(tempo) => session.set_tempo(tempo),
                Action::Signature(numerator, denominator) => {
                    session.set_time_signature(numerator, denominator);
                }
                Action::Loop(range) => {
                    session.set_loop(range.map(|(start, length)| start..start + length));
                }
                Action::Set(name, text) => session.set_text(name, text).unwrap(),
                Action::Note(key) => {
                    let frame = session.frame();
                    session.schedule_note(frame, 9000, 0, key, 0.5);
                }
                Action::Reactivate => {
                    // What sounds is ended before a deactivation, as a host stops first.
                    session.stop();
                    session.run(20_000).unwrap();
                    let settings = session.instance().settings();
                    session.instance().activate(settings).unwrap();
                    session.play();
                }
            }
        }
        session.stop();
        session.run(20_000).unwrap();
        prop_assert_eq!(hanging(session.events()), 0);
    }
}
