//! How blocks follow on each other, as hosts report them.

use super::*;
use crate::transport::{
    HostTransport,
    song::{Song, to_fine_ticks, to_single, to_ticks},
};

fn rolling(beats: f64, frames: u32, cycle_range: Option<(f64, f64)>) -> Block {
    let host = HostTransport {
        playing: true,
        beats: Some(beats),
        tempo: Some(120.0),
        signature: Some((4, 4)),
        cycle_range,
        ..HostTransport::default()
    };
    Block::new(&host, 48_000.0, frames)
}

fn segments(timeline: &mut Timeline, block: &Block) -> Vec<Segment> {
    let mut found = Vec::new();
    timeline.follow(block, |segment| found.push(*segment));
    found
}

/// Consecutive blocks continue, a jump is a jump, and a stop makes the next start one.
#[test]
fn motion_is_told() {
    let mut timeline = Timeline::default();
    let beats = 64.0 / 24_000.0;
    let motion = |timeline: &mut Timeline, at| segments(timeline, &rolling(at, 64, None))[0].motion;
    assert_eq!(motion(&mut timeline, 0.0), Motion::Jump);
    assert_eq!(motion(&mut timeline, beats), Motion::Continue);
    assert_eq!(motion(&mut timeline, 2.0 * beats + 1e-9), Motion::Continue);
    assert_eq!(motion(&mut timeline, 100.0), Motion::Jump);
    assert!(
        segments(&mut timeline, &Block { rolling: false, ..rolling(100.0, 64, None) }).is_empty()
    );
    assert_eq!(motion(&mut timeline, 100.0), Motion::Jump);
}

/// A loop end inside a block cuts it there, and the host's next position continues.
#[test]
fn loops_wrap_inside_a_block() {
    let mut timeline = Timeline::default();
    let block = rolling(4.0 - 100.0 / 24_000.0, 256, Some((0.0, 4.0)));
    let found = segments(&mut timeline, &block);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].first, found[0].end), (0, 100));
    assert_eq!((found[1].first, found[1].end, found[1].motion), (100, 256, Motion::Wrap));
    assert!(found[1].beats.abs() < 1e-9);
    let next = segments(&mut timeline, &rolling(156.0 / 24_000.0, 256, Some((0.0, 4.0))));
    assert_eq!(next[0].motion, Motion::Continue);
}

/// A loop end exactly between two blocks is told as a wrap of the second.
#[test]
fn loops_wrap_between_blocks() {
    let mut timeline = Timeline::default();
    let block = rolling(4.0 - 256.0 / 24_000.0, 256, Some((2.0, 4.0)));
    assert_eq!(segments(&mut timeline, &block).len(), 1);
    let next = segments(&mut timeline, &rolling(2.0, 256, Some((2.0, 4.0))));
    assert_eq!(next[0].motion, Motion::Wrap);
}

/// A position exactly between two samples goes to the later one, also when it is a hair early.
#[test]
fn ties_are_stable() {
    let mut timeline = Timeline::default();
    let segment = segments(&mut timeline, &rolling(0.0, 64, None))[0];
    assert_eq!(segment.offset(10.5 / 24_000.0), 11);
    assert_eq!(segment.offset(10.5 / 24_000.0 - 1e-9), 11);
    assert_eq!(segment.offset(10.49 / 24_000.0), 10);
}

/// Rounds as hosts do.
type Rounding = fn(f64) -> f64;

fn down_to_ticks(beats: f64) -> f64 {
    (beats * 1920.0).floor() / 1920.0
}

/// Plays a song from a sample on in blocks of changing size; gives how far the positions were from
/// the truth, in samples, once `after` samples were over, and how often they jumped.
fn errors(
    song: &Song,
    from: u32,
    length: u32,
    round: Rounding,
    samples: bool,
    after: u32,
) -> (f64, usize) {
    let mut timeline = Timeline::default();
    let (mut worst, mut jumps) = (0.0_f64, 0);
    let mut at = from;
    let mut size = 1;
    while at < from + length {
        size = (size * 7 + 61) % 1021 + 1;
        let (beats, tempo) = song.at(f64::from(at));
        let host = HostTransport {
            playing: true,
            beats: Some(round(beats)),
            samples: samples.then_some(f64::from(at)),
            tempo: Some(tempo),
            ..HostTransport::default()
        };
        let found = segments(&mut timeline, &Block::new(&host, 48_000.0, size));
        jumps += found.iter().filter(|segment| segment.motion != Motion::Continue).count();
        if at >= from + after {
            worst = worst.max((found[0].beats - beats).abs() * found[0].samples_per_beat);
        }
        at += size;
    }
    (worst, jumps)
}

/// From its first block on, a host that rounds to ticks or to single precision and says the sample
/// is followed to a hundredth of a sample, or to what single precision leaves.
#[test]
fn ticks_leave_no_trace() {
    let song = Song::new(&[(0.0, 120.0)]);
    let other = Song::new(&[(0.0, 97.3)]);
    for song in [song, other] {
        for from in [0, 191_700, 192_000, 1_234_567] {
            for round in [to_ticks as Rounding, down_to_ticks, to_fine_ticks] {
                let (worst, jumps) = errors(&song, from, 300_000, round, true, 0);
                assert!(worst < 0.01 && jumps == 1, "{worst} samples off, {jumps} jumps");
            }
            let (worst, jumps) = errors(&song, from, 300_000, to_single, true, 0);
            assert!(worst < 0.8 && jumps == 1, "{worst} samples off, {jumps} jumps");
        }
    }
}

/// Over an hour nothing adds up, with and without the sample.
#[test]
fn an_hour_does_not_drift() {
    let song = Song::new(&[(0.0, 113.7)]);
    for samples in [true, false] {
        let (worst, jumps) = errors(&song, 4800, 3600 * 48_000, to_ticks, samples, 48_000);
        assert!(worst < 0.5 && jumps == 1, "{worst} samples off, {jumps} jumps");
    }
}

/// A change of the tempo on a beat, and what comes after it, is followed exactly although the
/// position in samples tells nothing any more; one elsewhere as nearly as the ticks tell.
#[test]
fn tempo_changes_are_found() {
    let song = Song::new(&[(0.0, 120.0), (8.0, 90.0), (17.0, 133.3), (20.5, 71.0)]);
    for round in [to_ticks as Rounding, to_fine_ticks] {
        let (worst, jumps) = errors(&song, 100, 900_000, round, true, 0);
        assert!(worst < 0.01 && jumps == 1, "{worst} samples off, {jumps} jumps");
    }
    let song = Song::new(&[(0.0, 120.0), (8.3, 90.0)]);
    let (worst, jumps) = errors(&song, 0, 900_000, to_ticks, true, 8 * 24_000 + 96_000);
    assert!(worst < 2.0 && jumps == 1, "{worst} samples off, {jumps} jumps");
}

/// A song of several tempos, of which the last has its samples within a tick of where a song of that
/// tempo alone would have them, is followed exactly all the same, whether the host rounds or not.
#[test]
fn agreement_by_chance_moves_nothing() {
    let song = Song::new(&[(0.0, 176.5), (13.0, 114.7), (20.0, 148.5)]);
    for round in [to_ticks as Rounding, |beats| beats] {
        let (worst, jumps) = errors(&song, 0, 900_000, round, true, 0);
        assert!(worst < 0.01 && jumps == 1, "{worst} samples off, {jumps} jumps");
    }
}

/// The exact position of a host that rounds nothing is taken as it is also where it lies on a tick,
/// although its samples are whole numbers and may be half a sample beside it.
#[test]
fn exact_hosts_start_exactly() {
    let mut timeline = Timeline::default();
    let tempo = 153.6;
    let mut at = |beats: f64, frames: u32| {
        let host = HostTransport {
            playing: true,
            beats: Some(beats),
            samples: Some((beats * 48_000.0 * 60.0 / tempo + 0.3).round()),
            tempo: Some(tempo),
            ..HostTransport::default()
        };
        segments(&mut timeline, &Block::new(&host, 48_000.0, frames))[0].beats
    };
    let length = 64.0 * tempo / (48_000.0 * 60.0);
    for block in 0..40 {
        at(4.000_013 + f64::from(block) * length, 64);
    }
    assert_eq!(at(16.0, 64), 16.0);
    assert_eq!(at(16.0 + 1.0 / 1920.0 + 1.0, 64), 17.0 + 1.0 / 1920.0);
}

/// In a song of several tempos a start within one that has been played before is exact.
#[test]
fn known_tempos_start_exactly() {
    let song = Song::new(&[(0.0, 120.0), (8.0, 90.0)]);
    let mut timeline = Timeline::default();
    let mut play = |from: u32, until: u32| {
        let mut worst = 0.0_f64;
        for at in (from..until).step_by(256) {
            let (beats, tempo) = song.at(f64::from(at));
            let host = HostTransport {
                playing: true,
                beats: Some(to_ticks(beats)),
                samples: Some(f64::from(at)),
                tempo: Some(tempo),
                ..HostTransport::default()
            };
            let found = segments(&mut timeline, &Block::new(&host, 48_000.0, 256));
            worst = worst.max((found[0].beats - beats).abs() * found[0].samples_per_beat);
        }
        timeline.reset();
        worst
    };
    assert!(play(180_000, 260_000) < 0.01);
    for from in [200_001, 300_007, 500_011] {
        let worst = play(from, from + 256);
        assert!(worst < 0.01, "{worst} samples off at {from}");
    }
}

/// A start from a beat behind a change of the tempo that nobody has played yet is exact, also when it
/// begins a little before: the standing transport has told where that beat is.
#[test]
fn unknown_tempos_start_exactly_from_a_beat() {
    let song = Song::new(&[(0.0, 120.0), (8.0, 90.0)]);
    for round in [to_ticks as Rounding, to_fine_ticks] {
        for (beat, lead) in [(9.0, 0.0), (12.25, 512.0), (37.5, 300.0)] {
            let mut timeline = Timeline::default();
            let place = 192_000.0 + (beat - 8.0) * 32_000.0;
            for (playing, at) in
                [(false, place), (true, place - lead), (true, place - lead + 256.0)]
            {
                let (beats, tempo) = song.at(at);
                let host = HostTransport {
                    playing,
                    beats: Some(round(beats)),
                    samples: Some(at),
                    tempo: Some(tempo),
                    ..HostTransport::default()
                };
                for found in segments(&mut timeline, &Block::new(&host, 48_000.0, 256)) {
                    let off = (found.beats - beats).abs() * found.samples_per_beat;
                    assert!(off < 0.01, "{off} samples off at {at} before beat {beat}");
                }
            }
        }
    }
}

/// A ramp of the tempo is followed: to a fraction of a sample where the host says exactly where it
/// is, and to what its ticks leave open elsewhere.
#[test]
fn ramps_are_followed() {
    for (round, most) in [(std::convert::identity as Rounding, 0.1), (to_ticks, 8.0)] {
        let mut timeline = Timeline::default();
        let (mut beats, mut tempo) = (0.0, 100.0);
        for block in 0..4000 {
            let host = HostTransport {
                playing: true,
                beats: Some(round(beats)),
                tempo: Some(tempo),
                ..HostTransport::default()
            };
            let found = segments(&mut timeline, &Block::new(&host, 48_000.0, 128));
            let off = (found[0].beats - beats).abs() * found[0].samples_per_beat;
            assert!(off < most, "{off} samples off in block {block}");
            assert_eq!(found[0].motion == Motion::Continue, block > 0);
            let next = tempo + 0.02;
            beats += 128.0 * 0.5 * (tempo + next) / (48_000.0 * 60.0);
            tempo = next;
        }
    }
}

/// A position that runs backwards or stands still while the transport is said to roll does not
/// play for longer than a 64th or a block, whatever the size of the blocks; then it goes on.
#[test]
fn only_what_gets_on_plays() {
    for frames in [1_u32, 64, 1000, 16_384] {
        let length = f64::from(frames) / 24_000.0;
        for step in [0.0, -1.0, -0.5] {
            let mut timeline = Timeline::default();
            let mut beats = 1000.0;
            let mut played = 0.0;
            for _ in 0..(48_000 / frames).max(8) {
                if timeline.follow(&rolling(beats, frames, None), |_| {}) {
                    played += length;
                }
                beats += step * length;
            }
            assert!(played <= 1.0 / 16.0 + 2.0 * length, "{frames}, {step}: {played} beats");
            for block in 0..3000 {
                let plays = timeline.follow(&rolling(beats, frames, None), |_| {});
                assert!(plays || f64::from(block) * length < 0.3, "{frames}, {step}");
                beats += length;
            }
        }
    }
}

/// A seek back by about a block plays at once, however large the blocks are.
#[test]
fn a_seek_back_by_a_block_plays() {
    for frames in [64_u32, 1000, 16_384] {
        let length = f64::from(frames) / 24_000.0;
        let mut timeline = Timeline::default();
        for blocks in [0.0, 5.5, 3.0] {
            for block in 0..8_u32 {
                let beats = 100.0 + (blocks + f64::from(block)) * length;
                let plays = timeline.follow(&rolling(beats, frames, None), |_| {});
                assert!(plays, "{frames}, from {blocks}, block {block}");
            }
        }
    }
}

/// A start within half a sample of the loop's end begins the loop and goes on in it.
#[test]
fn a_start_at_the_loops_end_goes_on() {
    for frames in [64_u32, 4096] {
        let (mut timeline, cycle_range) = (Timeline::default(), Some((0.11, 16.0)));
        let length = f64::from(frames) / 24_000.0;
        for block in 0..20_u32 {
            let beats = 16.0 - 1e-5 + f64::from(block) * length;
            let beats = if block == 0 { beats } else { beats - 15.89 };
            let block = Block { cycle_range, ..rolling(beats, frames, None) };
            let mut places = Vec::new();
            assert!(timeline.follow(&block, |segment| places.push(segment.beats)), "{beats}");
            assert!(places.iter().all(|at| (0.1..16.0).contains(at)), "{places:?}");
        }
    }
}

/// A host that says no tempo is followed by how far it gets.
#[test]
fn a_missing_tempo_is_measured() {
    let mut timeline = Timeline::default();
    for (round, most) in [(std::convert::identity as Rounding, 0.01), (to_ticks, 10.0)] {
        timeline.reset();
        for block in 0..2000_u32 {
            let beats = 3.0 + f64::from(block * 256) * 87.0 / (48_000.0 * 60.0);
            let host = HostTransport {
                playing: true,
                beats: Some(round(beats)),
                ..HostTransport::default()
            };
            let found = segments(&mut timeline, &Block::new(&host, 48_000.0, 256));
            assert_eq!(found.len(), usize::from(block > 0), "nothing is known in the first block");
            if let Some(segment) = found.first() {
                let off = (segment.position(256) - beats) * 48_000.0 * 60.0 / 87.0 - 256.0;
                assert!(off.abs() < if block > 30 { most } else { 25.0 }, "{block}: {off}");
            }
        }
    }
}

/// A loop whose end the host rounds to a tick, and wraps at on its own sample, wraps without a jump.
#[test]
fn rounded_loops_wrap() {
    let (start, end) = (1.0_f64, 7.300_01_f64);
    let mut timeline = Timeline::default();
    let (mut at, mut wraps) = (24_000.0_f64, 0);
    for block in 0..20_000 {
        let left = (end * 24_000.0).round() - at;
        let frames = left.min(256.0);
        let host = HostTransport {
            playing: true,
            beats: Some(to_ticks(at / 24_000.0)),
            samples: Some(at),
            tempo: Some(120.0),
            signature: None,
            cycle_range: Some((to_ticks(start), to_ticks(end))),
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole")]
        let found = segments(&mut timeline, &Block::new(&host, 48_000.0, frames as u32));
        assert!(block == 0 || found.iter().all(|segment| segment.motion != Motion::Jump));
        wraps += found.iter().filter(|segment| segment.motion == Motion::Wrap).count();
        at = if frames < 256.0 || left == 256.0 { 24_000.0 } else { at + 256.0 };
    }
    assert_eq!(wraps, 20_000 / 591, "one a pass");
}
