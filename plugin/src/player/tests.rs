//! Properties of the player under any transport, with a worker that answers when it likes.

use std::collections::{HashMap, VecDeque};

use interlude_models::clip::{Clip, Note};
use proptest::prelude::*;

use super::*;
use crate::slots::Position;
use crate::transport::{HostTransport, Timeline};

mod changes;
mod hosts;

const RATE: f64 = 48_000.0;

fn note(start: f64, end: f64, pitch: u8) -> Note {
    Note { start, end, pitch, velocity: 80, channel: 0, program: 0 }
}

/// A worker on this thread: it makes the pattern of a request by a pure function and hands it over
/// a number of blocks later.
struct Worker {
    make: Box<dyn Fn(&Request) -> Clip>,
    bars: u32,
    contents: u64,
    delay: u32,
    offline: bool,
    queue: VecDeque<(u32, Request)>,
    requests: Vec<Request>,
    late: Vec<i64>,
    out: usize,
}

impl Worker {
    fn new(bars: u32, delay: u32, make: impl Fn(&Request) -> Clip + 'static) -> Self {
        Self {
            make: Box::new(make),
            bars,
            contents: 1,
            delay,
            offline: false,
            queue: VecDeque::new(),
            requests: Vec::new(),
            late: Vec::new(),
            out: 0,
        }
    }

    fn end_block(&mut self) {
        for (delay, _) in &mut self.queue {
            *delay = delay.saturating_sub(1);
        }
    }
}

impl Link for Worker {
    fn request(&mut self, request: &Request) -> bool {
        self.queue.retain(|(_, queued)| !request.supersedes(queued));
        self.queue.push_back((self.delay, *request));
        self.requests.push(*request);
        true
    }

    fn answer(&mut self) -> Option<Box<Pattern>> {
        let index = self.queue.iter().position(|(delay, _)| *delay == 0)?;
        let (_, request) = self.queue.remove(index)?;
        self.out += 1;
        Some(Box::new(Pattern::new(request.id, self.bars, self.contents, &(self.make)(&request))))
    }

    fn discard(&mut self, _pattern: Box<Pattern>) {
        self.out -= 1;
    }

    fn late(&mut self, cycle: i64) {
        self.late.push(cycle);
    }

    fn wait(&mut self) -> bool {
        if self.offline {
            self.queue.iter_mut().for_each(|(delay, _)| *delay = 0);
        }
        self.offline && !self.queue.is_empty()
    }
}

/// A host, a player and a worker.
struct Stage {
    player: Player,
    timeline: Timeline,
    worker: Worker,
    conditions: Conditions,
    bars: u32,
    /// Samples before the current block.
    elapsed: u64,
    /// (sample, channel, pitch, velocity or 0) of all events.
    heard: Vec<(u64, u8, u8, u8)>,
}

impl Stage {
    fn new(worker: Worker) -> Self {
        Self {
            player: Player::default(),
            timeline: Timeline::default(),
            bars: worker.bars,
            worker,
            conditions: Conditions {
                settings: Settings::at(0.0).evolving(true),
                model: 1,
                contents: 1,
                output: true,
            },
            elapsed: 0,
            heard: Vec::new(),
        }
    }

    fn block(&mut self, host: &HostTransport, frames: u32) {
        self.worker.contents = self.worker.contents.max(self.conditions.contents);
        let block = Block::new(host, RATE, frames);
        let grid = Grid { bar_beats: block.bar_beats, bars: self.bars };
        self.player.begin_block(grid, &self.conditions, &mut self.worker);
        let (player, worker, conditions) = (&mut self.player, &mut self.worker, &self.conditions);
        if !self.timeline.follow(&block, |segment| player.segment(segment, conditions, worker)) {
            self.player.stand(&block, &self.conditions, &mut self.worker);
        }
        let mut last = 0;
        for event in self.player.events() {
            assert!(event.offset >= last, "events are in order");
            assert!(event.offset < frames.max(1), "events lie inside their block");
            last = event.offset;
            let sample = self.elapsed + u64::from(event.offset);
            self.heard.push((sample, event.channel, event.pitch, event.velocity.unwrap_or(0)));
        }
        self.elapsed += u64::from(frames);
        self.worker.end_block();
    }

    /// Rolls over `samples` at 120 BPM from `beats`, in blocks of `frames`.
    fn roll(&mut self, mut beats: f64, samples: u32, frames: u32) -> f64 {
        let mut left = samples;
        while left > 0 {
            let frames = frames.min(left);
            self.block(&rolling(beats, 120.0), frames);
            beats += f64::from(frames) / 24_000.0;
            left -= frames;
        }
        beats
    }

    fn ons(&self) -> Vec<(u64, u8)> {
        self.heard.iter().filter(|event| event.3 > 0).map(|event| (event.0, event.2)).collect()
    }

    /// Every note-on has one note-off after it, before the next note-on of its key.
    fn assert_balanced(&self) {
        let mut open: HashMap<(u8, u8), u64> = HashMap::new();
        for &(sample, channel, pitch, velocity) in &self.heard {
            if velocity > 0 {
                assert!(open.insert((channel, pitch), sample).is_none(), "two note-ons in a row");
            } else {
                let on = open.remove(&(channel, pitch)).expect("a note-off belongs to a note-on");
                assert!(on <= sample);
            }
        }
        assert!(open.is_empty(), "left sounding: {open:?}");
        assert!(self.player.is_silent());
    }
}

fn rolling(beats: f64, tempo: f64) -> HostTransport {
    HostTransport {
        playing: true,
        beats: Some(beats),
        tempo: Some(tempo),
        signature: Some((4, 4)),
        ..HostTransport::default()
    }
}

fn stopped(beats: f64) -> HostTransport {
    HostTransport { playing: false, ..rolling(beats, 120.0) }
}

/// Sixteenths over two bars; the pitch tells the step and the cycle's parity.
fn steps(request: &Request) -> Clip {
    let base = if request.cycle % 2 == 0 { 36 } else { 72 };
    let notes = (0..32u8)
        .map(|step| note(f64::from(step) * 0.25, f64::from(step + 1) * 0.25, base + step))
        .collect();
    Clip::new(notes, 8.0)
}

/// All notes are on their sample and none is doubled or lost, whatever the block size.
#[test]
fn blocks_of_any_size_play_the_same() {
    let run = |frames: u32| {
        let mut stage = Stage::new(Worker::new(2, 0, steps));
        stage.block(&stopped(0.0), 64);
        stage.elapsed = 0;
        let end = stage.roll(0.0, 4 * 8 * 24_000, frames);
        stage.block(&stopped(end), 64);
        stage.assert_balanced();
        stage.heard
    };
    let reference = run(64);
    let ons: Vec<_> = reference.iter().filter(|event| event.3 > 0).collect();
    assert_eq!(ons.len(), 4 * 32);
    for (index, event) in ons.iter().enumerate() {
        let step = u64::try_from(index).expect("small");
        assert_eq!(event.0, step * 6000);
        let base = if (index / 32) % 2 == 0 { 36 } else { 72 };
        assert_eq!(usize::from(event.2), base + index % 32);
    }
    for frames in [1, 17, 100, 512, 6000, 16_384, 200_000] {
        assert_eq!(run(frames), reference, "{frames} samples a block");
    }
}

/// A pre-roll plays the cycle before the song's start, and the first cycle starts complete.
#[test]
fn pre_roll_counts_down() {
    let mut stage = Stage::new(Worker::new(2, 3, steps));
    stage.roll(-4.0, 8 * 24_000, 333);
    let ons = stage.ons();
    let first = ons.iter().find(|&&(sample, _)| sample == 4 * 24_000).expect("a note on beat 0");
    assert_eq!(first.1, 36);
    assert!(ons.iter().filter(|&&(sample, _)| sample < 4 * 24_000).all(|&(_, pitch)| pitch >= 72));
    assert_eq!(stage.worker.late, Vec::<i64>::new());
}

/// The settings of a cycle are those of its decision point, one beat before it.
#[test]
fn decisions_fall_one_beat_before() {
    let mut stage = Stage::new(Worker::new(2, 0, steps));
    stage.conditions.settings.position = Position::new(0.25);
    let beats = stage.roll(0.0, 7 * 24_000 - 64, 64);
    assert!(stage.worker.requests.iter().all(|request| request.cycle == 0));
    stage.conditions.settings.position = Position::new(0.5);
    stage.block(&rolling(beats, 120.0), 128);
    stage.conditions.settings.position = Position::new(0.75);
    stage.roll(beats + 128.0 / 24_000.0, 30_000, 64);
    let asked: Vec<_> = stage
        .worker
        .requests
        .iter()
        .map(|request| (request.cycle, request.settings.position.share()))
        .collect();
    assert_eq!(asked, [(0, 0.25), (1, 0.5)]);
}

/// A late pattern is replaced by the last one, counted, and takes over at a bar line.
#[test]
fn late_patterns_repeat_the_last() {
    let mut stage = Stage::new(Worker::new(2, 0, steps));
    let beats = stage.roll(0.0, 6 * 24_000, 64);
    // One beat and a bit until the cycle begins: the answer takes until beat 9.
    stage.worker.delay = 2 * 24_000 / 64;
    let beats = stage.roll(beats, 10 * 24_000, 64);
    assert_eq!(stage.worker.late, [1]);
    let second: Vec<_> = stage.ons()[32..].to_vec();
    assert_eq!(second.len(), 32, "{second:?}");
    let pitches: Vec<_> = second.iter().map(|&(_, pitch)| pitch).collect();
    let expected: Vec<u8> = (36..52).chain(72 + 16..72 + 32).collect();
    assert_eq!(pitches, expected);
    stage.block(&stopped(beats), 64);
    stage.assert_balanced();
}

/// After a seek into a cycle its pattern plays from there once it is ready, with the note that is
/// due in the meantime.
#[test]
fn seeks_join_the_cycle() {
    let mut stage = Stage::new(Worker::new(2, 2, steps));
    stage.roll(0.0, 24_000, 64);
    stage.heard.clear();
    stage.elapsed = 0;
    stage.roll(12.0, 24_000, 64);
    let ons = stage.ons();
    let pitches: Vec<_> = ons.iter().map(|&(_, pitch)| pitch).collect();
    assert_eq!(pitches, [72 + 16, 72 + 17, 72 + 18, 72 + 19]);
    assert_eq!(ons[0].0, 128, "two blocks late");
    assert_eq!(ons[1].0, 6000);
}

/// After a seek back to a cycle that has played its first note is there at once, and no pattern is
/// asked for again, also where each cycle has one of its own.
#[test]
fn a_cycle_that_has_played_begins_at_once() {
    let mut stage = Stage::new(Worker::new(2, 2, steps));
    stage.roll(0.0, 20 * 24_000, 64);
    let asked = stage.worker.requests.iter().filter(|request| request.cycle == 0).count();
    stage.heard.clear();
    stage.elapsed = 0;
    stage.roll(0.0, 24_000, 64);
    let ons = stage.ons();
    assert_eq!(ons.iter().map(|on| on.0).collect::<Vec<_>>(), [0, 6000, 12_000, 18_000]);
    let again = stage.worker.requests.iter().filter(|request| request.cycle == 0).count();
    assert_eq!(asked, again);
    stage.conditions.settings.sampling.seed += 1;
    stage.heard.clear();
    stage.elapsed = 0;
    stage.roll(8.0, 24_000, 64);
    assert_eq!(stage.ons()[0].0, 128, "another seed needs another pattern");
}

/// A loop repeats itself: each pass plays the same, complete from its first sample.
#[test]
fn loops_repeat() {
    for (range, frames) in
        [((0.0, 8.0), 64), ((0.0, 8.0), 500), ((4.0, 6.0), 333), ((6.0, 18.0), 64)]
    {
        let mut stage = Stage::new(Worker::new(2, 5, steps));
        let mut beats: f64 = range.0;
        stage.block(&stopped(beats), 64);
        for _ in 0..8 {
            stage.block(&stopped(beats), 64);
        }
        stage.elapsed = 0;
        let length = range.1 - range.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole beats")]
        let pass = (length * 24_000.0) as u64;
        while stage.elapsed < 4 * pass {
            let host = HostTransport { cycle_range: Some(range), ..rolling(beats, 120.0) };
            stage.block(&host, frames);
            beats += f64::from(frames) / 24_000.0;
            if beats >= range.1 - 1e-9 {
                beats -= length;
            }
        }
        stage.block(&stopped(beats), 64);
        stage.assert_balanced();
        assert_eq!(stage.worker.late, Vec::<i64>::new());
        let passes: Vec<Vec<_>> = (0..4)
            .map(|index| {
                stage
                    .ons()
                    .iter()
                    .filter(|(sample, _)| sample / pass == index)
                    .map(|(sample, pitch)| (sample % pass, *pitch))
                    .collect()
            })
            .collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole steps")]
        let expected = (length * 4.0) as usize;
        assert_eq!(passes[0].len(), expected, "{range:?}");
        assert!(passes.iter().all(|other| other == &passes[0]), "{range:?}");
    }
}

/// A seek and a loop's wrap end what sounds on that sample, not where the note would have ended.
#[test]
fn jumps_end_all_notes_at_once() {
    let long = |_: &Request| Clip::new(vec![note(1.0, 8.0, 60)], 8.0);
    let offs = |stage: &Stage| -> Vec<u64> {
        stage.heard.iter().filter(|event| event.3 == 0).map(|event| event.0).collect()
    };

    let mut stage = Stage::new(Worker::new(2, 0, long));
    stage.roll(0.0, 48_000, 100);
    assert_eq!((stage.ons().len(), offs(&stage).len()), (1, 0));
    stage.roll(4.5, 100, 100);
    assert_eq!(offs(&stage), [48_000]);

    let mut stage = Stage::new(Worker::new(2, 0, long));
    let mut beats = 0.0;
    for _ in 0..1000 {
        let host = HostTransport { cycle_range: Some((0.0, 4.0)), ..rolling(beats, 120.0) };
        stage.block(&host, 250);
        beats += 250.0 / 24_000.0;
        if beats >= 4.0 - 1e-9 {
            beats -= 4.0;
        }
    }
    assert_eq!(offs(&stage), [96_000, 192_000]);
    let ons: Vec<_> = stage.ons().iter().map(|on| on.0).collect();
    assert_eq!(ons, [24_000, 120_000, 216_000]);
}

/// A tempo change in the middle of a cycle moves the notes that follow, and only those.
#[test]
fn tempo_changes_inside_a_cycle() {
    let mut stage = Stage::new(Worker::new(2, 0, steps));
    stage.block(&stopped(0.0), 64);
    stage.elapsed = 0;
    let mut beats = stage.roll(0.0, 3 * 24_000 + 1000, 100);
    let from = stage.elapsed;
    for _ in 0..1000 {
        stage.block(&rolling(beats, 60.0), 100);
        beats += 100.0 / 48_000.0;
    }
    let ons = stage.ons();
    assert!(ons.iter().take(13).enumerate().all(|(index, on)| on.0 == 6000 * index as u64));
    let next = ons[13];
    assert_eq!(next.0, from + 10_000, "a 16th at 60 BPM is 12000 samples, 1000 of 6000 are over");
    assert_eq!(ons[14].0, next.0 + 12_000);
}

/// Switching the output off ends all notes; switching it on again plays on in time.
#[test]
fn output_off_is_silent() {
    let mut stage = Stage::new(Worker::new(2, 0, steps));
    let beats = stage.roll(0.0, 30_100, 100);
    stage.conditions.output = false;
    let count = stage.ons().len();
    let beats = stage.roll(beats, 24_000, 100);
    assert!(stage.player.is_silent());
    assert_eq!(stage.ons().len(), count);
    stage.conditions.output = true;
    stage.roll(beats, 12_000, 100);
    assert_eq!(stage.ons().len(), count + 2);
}

/// One thing a host may do.
#[derive(Clone, Debug)]
enum Deed {
    Roll { blocks: u32 },
    Stop,
    Seek(f64),
    Tempo(f64),
    Signature(i32, i32),
    Loop(Option<(f64, f64)>),
    Frames(u32),
    Delay(u32),
    Settings(f32, u32),
    Contents,
    Model,
    Output(bool),
    Reset,
    Jitter(f64),
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        8 => (1u32..60).prop_map(|blocks| Deed::Roll { blocks }),
        1 => Just(Deed::Stop),
        2 => (-20.0..60.0f64).prop_map(Deed::Seek),
        2 => (20.0..400.0f64).prop_map(Deed::Tempo),
        1 => (1i32..9, prop_oneof![Just(4), Just(8), Just(16)]).prop_map(|(n, d)| Deed::Signature(n, d)),
        2 => prop_oneof![
            Just(None),
            (-4.0..20.0f64, 0.1..12.0f64).prop_map(|(start, length)| Some((start, start + length))),
        ]
        .prop_map(Deed::Loop),
        2 => prop_oneof![1u32..64, 64u32..2048, Just(16_384)].prop_map(Deed::Frames),
        1 => (0u32..40).prop_map(Deed::Delay),
        1 => (0.0..1.0f32, 0u32..9999).prop_map(|(morph, seed)| Deed::Settings(morph, seed)),
        1 => Just(Deed::Contents),
        1 => Just(Deed::Model),
        1 => any::<bool>().prop_map(Deed::Output),
        1 => Just(Deed::Reset),
        1 => (-0.01..0.01f64).prop_map(Deed::Jitter),
    ]
}

/// Overlapping notes of the same and other keys, on several channels, up to the cycle's end.
fn busy(request: &Request) -> Clip {
    let seed = u8::try_from(request.settings.sampling.seed % 24).expect("small");
    let notes = (0..40u8)
        .map(|index| Note {
            channel: index % 3,
            ..note(f64::from(index) * 0.2, f64::from(index) * 0.2 + 0.7, 40 + (index + seed) % 11)
        })
        .collect();
    Clip::new(notes, 8.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever the transport does, every note-on gets its note-off, events lie in order inside
    /// their blocks, and every pattern handed out comes back but those in use.
    #[test]
    fn every_note_on_gets_its_note_off(deeds in prop::collection::vec(deed(), 1..60)) {
        let mut stage = Stage::new(Worker::new(2, 0, busy));
        let mut host = rolling(0.0, 120.0);
        let mut frames = 256;
        let mut beats = 0.0;
        for deed in deeds {
            match deed {
                Deed::Roll { blocks } => {
                    for _ in 0..blocks {
                        host.beats = Some(beats);
                        stage.block(&host, frames);
                        beats += f64::from(frames) / (RATE * 60.0 / host.tempo.unwrap_or(120.0));
                        if let Some((start, end)) = host.cycle_range && beats >= end && beats < end + 1.0 {
                            beats = start + (beats - end);
                        }
                    }
                }
                Deed::Stop => {
                    stage.block(&HostTransport { playing: false, ..host }, frames);
                    prop_assert!(stage.player.is_silent());
                }
                Deed::Seek(to) => beats = to,
                Deed::Tempo(tempo) => host.tempo = Some(tempo),
                Deed::Signature(numerator, denominator) => {
                    host.signature = Some((numerator, denominator));
                }
                Deed::Loop(range) => host.cycle_range = range,
                Deed::Frames(count) => frames = count,
                Deed::Delay(delay) => stage.worker.delay = delay,
                Deed::Settings(morph, seed) => {
                    stage.conditions.settings.position = Position::new(morph);
                    stage.conditions.settings.sampling.seed = seed;
                }
                Deed::Contents => stage.conditions.contents += 1,
                Deed::Model => {
                    stage.conditions.model += 1;
                    stage.conditions.contents += 1;
                }
                Deed::Output(output) => stage.conditions.output = output,
                Deed::Reset => stage.player.reset(),
                Deed::Jitter(by) => beats += by,
            }
            prop_assert!(stage.worker.out <= MOST_PATTERNS, "patterns in use: {}", stage.worker.out);
        }
        stage.block(&stopped(beats), 64);
        stage.assert_balanced();
    }

    /// A bounce plays what playback played, even when the worker is slow in neither.
    #[test]
    fn offline_is_real_time(frames in 16u32..4096, bounced in 16u32..4096, delay in 0u32..4) {
        let run = |frames: u32, offline: bool| {
            let mut stage = Stage::new(Worker::new(2, delay, busy));
            stage.worker.offline = offline;
            for _ in 0..5 {
                stage.block(&stopped(0.0), frames);
            }
            stage.elapsed = 0;
            stage.heard.clear();
            let end = stage.roll(0.0, 20 * 24_000, frames);
            stage.block(&stopped(end), frames);
            stage.heard
        };
        prop_assert_eq!(run(frames, false), run(bounced, true));
    }
}
