//! What changes while music plays: the model, the clips in the slots.

use super::*;

/// After a change of the model the old pattern plays on, without a gap, until the new one's is there;
/// that takes over at the next bar line, with nothing left sounding.
#[test]
fn a_change_of_the_model_keeps_playing() {
    for delay in [100, 24_000 / 100, 5 * 24_000 / 100] {
        let mut stage = Stage::new(Worker::new(2, 0, steps));
        let beats = stage.roll(0.0, 30_100, 100);
        stage.conditions.model = 2;
        stage.conditions.contents = 2;
        stage.worker.delay = delay;
        stage.worker.make = Box::new(|request| {
            let mut clip = steps(request);
            clip.notes.iter_mut().for_each(|note| note.channel = 1);
            clip
        });
        let beats = stage.roll(beats, 16 * 24_000, 100);
        let ons: Vec<_> = stage.heard.iter().filter(|event| event.3 > 0).collect();
        let steps: Vec<_> = ons.iter().map(|event| event.0).collect();
        let gapless: Vec<_> = (0..steps.len() as u64).map(|step| step * 6000).collect();
        assert_eq!(steps, gapless, "a note on every step");
        let taken_over = ons.iter().find(|event| event.1 == 1).expect("the new model plays").0;
        assert_eq!(taken_over % 96_000, 0, "at a bar line");
        assert!(taken_over >= 30_100 + u64::from(delay) * 100);
        assert!(taken_over <= 30_100 + u64::from(delay) * 100 + 96_000 + 100);
        stage.block(&stopped(beats), 64);
        stage.assert_balanced();
    }
}

/// A model with longer cycles takes over at a bar line, in the middle of its own cycle; one with
/// shorter cycles too, and until then the old pattern is repeated on the cycle it was made for.
#[test]
fn models_of_other_lengths_take_over() {
    let bars = |bars: u8| {
        move |_: &Request| {
            let at = |bar: u8| 4.0 * f64::from(bar);
            let notes = (0..bars).map(|bar| note(at(bar), at(bar) + 1.0, 40 + bar)).collect();
            Clip::new(notes, at(bars))
        }
    };
    for (before, after) in [(2, 16), (16, 2)] {
        let mut stage = Stage::new(Worker::new(before.into(), 0, bars(before)));
        let beats = stage.roll(0.0, 5 * 96_000 + 24_100, 100);
        stage.conditions.model = 2;
        stage.conditions.contents = 2;
        (stage.bars, stage.worker.bars) = (after.into(), after.into());
        stage.worker.make = Box::new(bars(after));
        stage.worker.delay = 480;
        let beats = stage.roll(beats, 20 * 96_000, 100);
        // Asked for in bar 5, there in its last quarter.
        let expected: Vec<_> = (0..26_u8)
            .map(|bar| (u64::from(bar) * 96_000, 40 + bar % if bar < 6 { before } else { after }))
            .collect();
        assert_eq!(stage.ons()[..25], expected[..25], "{before} to {after} bars");
        stage.block(&stopped(beats), 64);
        stage.assert_balanced();
    }
}

/// A clip that comes into an empty slot while the transport rolls is heard in the same cycle.
#[test]
fn first_clip_is_heard_at_once() {
    let mut stage = Stage::new(Worker::new(2, 0, |_| Clip::default()));
    let beats = stage.roll(0.0, 24_000, 100);
    assert!(stage.ons().is_empty());
    stage.worker.make = Box::new(steps);
    stage.conditions.contents = 2;
    stage.roll(beats, 24_000, 100);
    assert_eq!(stage.ons().len(), 4);
}

/// The first note after a recording is on its sample, though encoding and decoding take longer than
/// the half step by which it comes early lasts a block; also where the recording fills the first slot,
/// and ends in the middle of a cycle.
#[test]
fn the_first_note_after_a_recording_is_on_time() {
    for (ends, silent) in [(8_u32, false), (8, true), (12, true)] {
        let before = if silent { |_: &Request| Clip::default() } else { steps };
        let mut stage = Stage::new(Worker::new(2, 0, before));
        let beats = stage.roll(0.0, ends * 24_000 - 3000, 120);
        // The worker works in order: it encodes for 20 ms, then decodes for 20 more.
        stage.worker.delay = 16;
        stage.worker.make = Box::new(|request| {
            let mut clip = steps(request);
            clip.notes.iter_mut().for_each(|note| note.channel = 1);
            clip
        });
        stage.worker.contents = 2;
        stage.player.take_ends(ends.into(), &stage.conditions, &mut stage.worker);
        let beats = stage.roll(beats, 960, 120);
        stage.conditions.contents = 2;
        let beats = stage.roll(beats, 8 * 24_000, 120);
        let first = stage.heard.iter().find(|event| event.1 == 1 && event.3 > 0);
        assert_eq!(first.map(|event| event.0), Some(u64::from(ends) * 24_000), "{ends} {silent}");
        assert_eq!(stage.worker.late, Vec::<i64>::new());
        stage.block(&stopped(beats), 64);
        stage.assert_balanced();
    }
}
