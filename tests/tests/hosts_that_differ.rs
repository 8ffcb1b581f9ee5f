//! What real hosts do differently, in the headless host: starts before the position, positions in
//! ticks, no `process` while stopped, blocks of any length. The same song must sound as in a host
//! that does nothing of that kind.

use interlude_bundler::host::{Manners, Session, hanging, spans};
use interlude_tests::in_host::{CYCLE, SAMPLE_RATE, filled, in_real_time};

/// Beats of the song that is played.
const SONG: f64 = 6.0 * CYCLE;

/// A note: song position of its beginning in samples, and its key.
type Heard = (f64, u8);

/// What is heard from song position `from` to `to`, in beats, at the session's tempo.
fn heard(session: &Session, from: f64, to: f64, tempo: f64) -> Vec<Heard> {
    let per_beat = SAMPLE_RATE * 60.0 / tempo;
    spans(session.events())
        .iter()
        .filter(|span| (from - 1e-3..to - 1e-3).contains(&span.beats))
        .map(|span| (span.beats * per_beat, span.key))
        .collect()
}

/// What the song sounds like where the plug-in may take its time.
fn song(tempo: f64) -> Vec<Heard> {
    let mut session = filled(true);
    session.set_text("Evolve", "On").unwrap();
    session.set_tempo(tempo);
    session.seek(-4.0);
    session.play();
    session.run_to(SONG).unwrap();
    let notes = heard(&session, 0.0, SONG, tempo);
    assert!(notes.len() > 20, "{notes:?}");
    notes
}

fn part(song: &[Heard], from: f64, to: f64, tempo: f64) -> Vec<Heard> {
    let per_beat = SAMPLE_RATE * 60.0 / tempo;
    let range = (from - 1e-3) * per_beat..(to - 1e-3) * per_beat;
    song.iter().filter(|(place, _)| range.contains(place)).copied().collect()
}

/// The same keys in the same order, each within a sample of its place.
fn assert_same(heard: &[Heard], expected: &[Heard], when: &str) {
    let keys = |notes: &[Heard]| notes.iter().map(|(_, key)| *key).collect::<Vec<_>>();
    assert_eq!(keys(heard), keys(expected), "{when}: {heard:?} instead of {expected:?}");
    for (heard, expected) in heard.iter().zip(expected) {
        let off = heard.0 - expected.0;
        assert!(off.abs() < 1.01, "{when}: {heard:?} is {off} samples off");
    }
}

/// A live instance with the song, standing until the model is ready.
fn ready(manners: Manners) -> Session {
    let mut session = filled(false);
    session.set_text("Evolve", "On").unwrap();
    in_real_time(&mut session, 3 * 48_000);
    session.behave(manners);
    session
}

#[test]
fn a_start_before_the_position_loses_no_first_note() {
    // Contract: of twenty starts on the line where a cycle begins, in a host that starts 512 frames
    // before it and counts in ticks, each has its first notes on their samples.
    let song = song(120.0);
    let mut session = ready(Manners::ardour());
    for index in 0_u8..20 {
        let start = CYCLE * f64::from(index * 5 % 6);
        session.seek(start);
        in_real_time(&mut session, 9600 + 4800 * u64::from(index % 4));
        session.take_events();
        session.play();
        let count = session.frames_until(start + 2.0);
        in_real_time(&mut session, count);
        let notes = heard(&session, start - 1.0, start + 2.0, 120.0);
        let expected = part(&song, start, start + 2.0, 120.0);
        assert_same(&notes, &expected, &format!("start {index} at beat {start}"));
        session.stop();
        in_real_time(&mut session, 2048);
    }
}

#[test]
fn positions_in_ticks_keep_notes_on_their_samples() {
    // Contract: in a host that rounds its positions to 1/1920 of a beat, every note is within a
    // sample of its place, at tempos whose blocks are no whole ticks.
    for tempo in [97.0, 120.0, 171.3] {
        let mut session = filled(true);
        session.set_text("Evolve", "On").unwrap();
        session.set_tempo(tempo);
        session.behave(Manners { ticks: Some(1920), ..Manners::default() });
        session.seek(-4.0);
        session.play();
        session.run_to(SONG).unwrap();
        let notes = heard(&session, 0.0, SONG, tempo);
        assert_same(&notes, &song(tempo), &format!("at {tempo} BPM"));
    }
}

#[test]
fn a_host_may_be_silent_while_it_stands() {
    // Contract: in a host that does not call `process` while stopped, what sounded at the stop ends
    // in the first block after it, and what is played from another place is what belongs there.
    let song = song(120.0);
    let mut session = ready(Manners { processes_standing: false, ..Manners::default() });
    for (start, end) in [(0.0, 5.1), (2.0 * CYCLE, 2.0 * CYCLE + 3.3), (CYCLE, CYCLE + 6.6)] {
        session.seek(start);
        session.play();
        let before = session.events().len();
        session.run(256).unwrap();
        let sounded = spans(&session.events()[..before]).len();
        let now = spans(session.events());
        assert!(now[..sounded].iter().all(|span| span.end.is_some()), "after the stop: {now:?}");
        // Where no pattern could be made ahead, it may come within a bar.
        let count = session.frames_until(end);
        in_real_time(&mut session, count);
        let settled = start + 4.0;
        let notes = heard(&session, settled, end, 120.0);
        assert_same(&notes, &part(&song, settled, end, 120.0), &format!("from beat {start}"));
        session.stop();
        session.run(48_000).unwrap();
    }
    session.behave(Manners::default());
    session.run(256).unwrap();
    assert_eq!(hanging(session.events()), 0);
}

#[test]
fn blocks_may_have_any_length() {
    // Contract: blocks of one frame and of many, in any order, give the same notes.
    let mut session = filled(true);
    session.set_text("Evolve", "On").unwrap();
    session
        .behave(Manners { blocks: vec![1, 256, 64, 7, 255, 128, 1, 1, 31], ..Manners::default() });
    session.seek(-4.0);
    session.play();
    session.run_to(SONG).unwrap();
    assert_same(&heard(&session, 0.0, SONG, 120.0), &song(120.0), "in uneven blocks");
}
