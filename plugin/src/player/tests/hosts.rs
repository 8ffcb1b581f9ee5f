//! Transports as hosts make them, at random, against a worker that takes its time: every note is on
//! its sample, the first one of every start is there, and nothing hangs.

use std::collections::{HashMap, VecDeque};

use interlude_models::clip::Clip;

use super::*;
use crate::transport::{
    jitter,
    song::{RATE, Song, to_single, to_ticks},
};

/// Events of hosts in the normal test.
const EVENTS: u32 = 4000;
/// Samples that the arithmetic here may be off; as much before a block's end belongs to the next.
const HAIR: f64 = 1e-4;
/// Another number of them.
const EVENTS_VARIABLE: &str = "INTERLUDE_HOST_EVENTS";

/// A worker that answers one request after the other.
#[derive(Default)]
struct Band {
    bars: u32,
    /// Samples that a pattern takes.
    decode: u64,
    now: u64,
    queue: VecDeque<Request>,
    busy: Option<(u64, Request)>,
    ready: VecDeque<Request>,
}

impl Band {
    fn run(&mut self, now: u64) {
        self.now = now;
        while let Some((done, request)) = self.busy.filter(|&(done, _)| done <= now) {
            self.ready.push_back(request);
            self.busy = self.queue.pop_front().map(|request| (done + self.decode, request));
        }
    }
}

impl Link for Band {
    fn request(&mut self, request: &Request) -> bool {
        self.queue.retain(|older| !request.supersedes(older));
        self.busy = self.busy.filter(|(_, older)| !request.supersedes(older));
        self.queue.push_back(*request);
        if self.busy.is_none() {
            // The worker looks every 2 ms.
            self.busy = self.queue.pop_front().map(|first| (self.now + 96 + self.decode, first));
        }
        true
    }

    fn answer(&mut self) -> Option<Box<Pattern>> {
        let request = self.ready.pop_front()?;
        Some(Box::new(Pattern::new(request.id, self.bars, 1, &music(&request, self.bars))))
    }

    fn discard(&mut self, _pattern: Box<Pattern>) {}

    fn late(&mut self, _cycle: i64) {}

    fn wait(&mut self) -> bool {
        false
    }
}

/// Sixteenths; the key tells the step, the channel the parity of the cycle.
fn music(request: &Request, bars: u32) -> Clip {
    let cycle = if request.settings.evolve { request.cycle } else { 0 };
    let channel = u8::from(cycle.rem_euclid(2) == 1);
    let at = |step: u32| f64::from(step) * 0.25;
    let notes = (0..bars * 16).map(|step| Note {
        channel,
        ..note(at(step), at(step + 1), u8::try_from(step % 64).expect("small"))
    });
    Clip::new(notes.collect(), f64::from(bars) * 4.0)
}

/// What a host does with its transport.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Whole samples, ticks of 1/1920, starts early, cuts blocks where the loop ends.
    Ardour,
    /// Whole samples, beats in single precision, tells of no loop.
    Qtractor,
    /// Exact beats, whole samples beside them, blocks that run over the loop's end.
    Reaper,
    /// Exact beats alone, cuts blocks where the loop ends, counts in.
    Live,
}

const KINDS: [Kind; 4] = [Kind::Ardour, Kind::Qtractor, Kind::Reaper, Kind::Live];

/// Random numbers.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let unit = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// A whole number in `0..below`.
    fn below(&mut self, below: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let number = (self.next() * f64::from(below)) as u32;
        number
    }
}

/// A note-on that is due.
#[derive(Clone, Copy, Debug)]
struct Due {
    /// In samples of the clock, with a fraction.
    at: f64,
    channel: u8,
    key: u8,
    strictness: Strictness,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Strictness {
    /// It is on its sample.
    OnTime,
    /// Its pattern could not be known before the jump of this number: it may come late, and of all
    /// with this number the last before the pattern came is heard.
    Late(usize),
    /// It lies on an edge of what is played, or before a cycle that is heard next.
    Open,
}

/// What a run has shown.
#[derive(Debug, Default)]
struct Counts {
    notes: usize,
    jumps: usize,
    off: usize,
    lost: usize,
    wrong: usize,
    firsts_lost: usize,
    hanging: usize,
    farthest: f64,
    /// Of the first fault: when it was due and when heard.
    fault: Option<(Due, Option<f64>)>,
}

/// A host with its plug-in.
struct Session {
    kind: Kind,
    dice: Dice,
    song: Song,
    tempos: usize,
    player: Player,
    timeline: Timeline,
    band: Band,
    conditions: Conditions,
    /// Position in samples of the song.
    at: f64,
    looping: Option<(f64, f64)>,
    frames: u32,
    /// Length of the last block.
    last_frames: u32,
    /// Samples played by the clock.
    elapsed: u64,
    due: Vec<Due>,
    heard: Vec<(f64, u8, u8)>,
    open: HashMap<(u8, u8), u64>,
    /// What is due before a moment of the clock is judged so.
    excuse: (f64, Strictness),
    counts: Counts,
}

impl Session {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678);
        let kind = KINDS[dice.below(4) as usize];
        let tempo = |dice: &mut Dice| 60.0 + f64::from(dice.below(1400)) / 10.0;
        let mut tempos = vec![(0.0, tempo(&mut dice))];
        if dice.below(3) == 0 {
            tempos.push((f64::from(8 + dice.below(6)), tempo(&mut dice)));
            tempos.push((f64::from(20 + dice.below(6)), tempo(&mut dice)));
        }
        let bars = if dice.below(4) == 0 { 16 } else { 2 };
        let decode = if bars == 16 { 1440 + dice.below(2880) } else { 288 + dice.below(1600) };
        let settings = Settings { evolve: dice.below(2) == 0, ..Settings::at(0.0) };
        let band = Band { bars, decode: decode.into(), ..Band::default() };
        let mut session = Self {
            kind,
            dice,
            song: Song::new(&tempos),
            tempos: tempos.len(),
            player: Player::default(),
            timeline: Timeline::default(),
            band,
            conditions: Conditions { settings, model: 1, contents: 1, output: true },
            at: 0.0,
            looping: None,
            frames: 256,
            last_frames: 256,
            elapsed: 0,
            due: Vec::new(),
            heard: Vec::new(),
            open: HashMap::new(),
            excuse: (0.0, Strictness::OnTime),
            counts: Counts::default(),
        };
        // The tempos are known after a pass; before it a start is as exact as the ticks are.
        session.start(0.0);
        session.roll(session.song.sample(28.0));
        session.stop();
        session
    }

    fn clock(&self) -> f64 {
        float(self.elapsed)
    }

    /// How long the patterns of a place take that nobody knew of, in samples.
    fn patience(&self) -> f64 {
        float(2 * self.band.decode) + f64::from(2 * self.frames + 300)
    }

    fn block(&mut self, rolling: bool, frames: u32) {
        let (beats, tempo) = self.song.at(self.at);
        let ticks = self.looping.map(|(start, end)| (to_ticks(start), to_ticks(end)));
        let (reported, samples, cycle_range) = match self.kind {
            Kind::Ardour => (to_ticks(beats), Some(self.at), ticks),
            Kind::Qtractor => (to_single(beats), Some(self.at), None),
            Kind::Reaper => (beats, Some(self.at.round()), self.looping),
            Kind::Live => (beats, None, self.looping),
        };
        let host = HostTransport {
            playing: rolling,
            beats: Some(reported),
            samples,
            tempo: Some(tempo),
            signature: Some((4, 4)),
            cycle_range,
        };
        let block = Block::new(&host, RATE, frames);
        let grid = Grid { bar_beats: block.bar_beats, bars: self.band.bars };
        self.band.run(self.elapsed);
        self.player.begin_block(grid, &self.conditions, &mut self.band);
        let (player, band, conditions) = (&mut self.player, &mut self.band, &self.conditions);
        if !self.timeline.follow(&block, |segment| player.segment(segment, conditions, band)) {
            self.player.stand(&block, &self.conditions, &mut self.band);
        }
        for event in self.player.events() {
            assert!(event.offset < frames);
            let (at, key) = (self.elapsed + u64::from(event.offset), (event.channel, event.pitch));
            let unpaired = if event.velocity.is_some() {
                self.heard.push((float(at), event.channel, event.pitch));
                self.open.insert(key, at).is_some()
            } else {
                self.open.remove(&key).is_none()
            };
            self.counts.hanging += usize::from(unpaired);
        }
        self.elapsed += u64::from(frames);
        self.last_frames = frames;
    }

    /// Notes what is due between two positions that are played in one go from a moment on; at the
    /// edges it is left open whether a note that lies within a sample of them is heard.
    fn expect(&mut self, (from, to): (f64, f64), clock: f64, edges: (bool, bool)) {
        let steps = f64::from(self.band.bars * 16);
        let first = if edges.0 { from - 1.0 } else { from };
        let mut step = (self.song.at(first).0 * 4.0).floor();
        while self.song.sample(step / 4.0) < first - HAIR {
            step += 1.0;
        }
        loop {
            let sample = self.song.sample(step / 4.0);
            if sample >= to - HAIR && !(edges.1 && sample < to + 1.0) {
                return;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let key = step.rem_euclid(steps.min(64.0)) as u8;
            let odd = (step / steps).floor().rem_euclid(2.0) == 1.0;
            let channel = u8::from(self.conditions.settings.evolve && odd);
            let at = clock + sample - from;
            let edge = edges.0 && sample < from || edges.1 && sample > to - 1.0;
            // Shortly before the next cycle that is made first.
            let looped = self.looping.map_or(f64::INFINITY, |(_, end)| end - step / 4.0);
            let closing = steps - step.rem_euclid(steps) <= 2.0 || looped <= 0.5;
            let late = at < self.excuse.0 && self.excuse.1 != Strictness::OnTime;
            let strictness = if edge || late && closing {
                Strictness::Open
            } else if at < self.excuse.0 {
                self.excuse.1
            } else {
                Strictness::OnTime
            };
            self.due.push(Due { at, channel, key, strictness });
            step += 1.0;
        }
    }

    /// What was played last ends now: a pattern that had no time to come is not missed.
    fn ends(&mut self, now: f64) {
        let short = (now < self.excuse.0 + f64::from(self.frames)).then_some(self.excuse.1);
        for due in self.due.iter_mut().rev().take_while(|due| due.at > now - 200_000.0) {
            if due.at > now - 1.0 || Some(due.strictness) == short {
                due.strictness = Strictness::Open;
            }
        }
    }

    /// From now on patterns are needed that nobody could know of.
    fn jumped(&mut self, now: f64) {
        self.ends(now);
        self.counts.jumps += 1;
        self.excuse = (now + self.patience(), Strictness::Late(self.counts.jumps));
    }

    /// Whether a host that goes on there looks like one that reports its position unsteadily: the
    /// timeline takes it for that, and no note is played twice.
    fn is_jitter(&self, place: f64) -> bool {
        let (expected, tempo) = self.song.at(self.at);
        let length = f64::from(self.last_frames) * tempo / (RATE * 60.0);
        (self.song.at(place).0 - expected).abs() <= jitter(length) + 1e-3
    }

    /// Goes on at another place.
    fn seek(&mut self, place: f64) {
        let now = self.clock();
        self.at = place;
        self.jumped(now);
    }

    /// Rolls from the position over a number of samples.
    fn roll(&mut self, samples: f64) {
        let last = self.clock() + samples;
        let mut begins = true;
        while self.clock() < last {
            let sample = |beats| match self.kind {
                Kind::Ardour | Kind::Qtractor => self.song.sample(beats).round(),
                Kind::Reaper | Kind::Live => self.song.sample(beats),
            };
            let range = self.looping.map(|(start, end)| (sample(start), sample(end)));
            let range = range.filter(|&(_, end)| self.at < end);
            // Hosts cut blocks at events of their own.
            let cut = self.frames > 1 && self.dice.below(8) == 0;
            let mut frames = if cut { 1 + self.dice.below(self.frames) } else { self.frames };
            if self.kind != Kind::Reaper
                && let Some((_, end)) = range
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "small"
                )]
                let left = (end - self.at).ceil().min(16_384.0) as u32;
                frames = frames.min(left.max(1));
            }
            let (at, now) = (self.at, self.clock());
            let passed = at + f64::from(frames);
            let after = match range {
                Some((start, end)) if passed >= end => {
                    self.expect((at, end), now, (begins, true));
                    if self.kind == Kind::Qtractor {
                        self.jumped(now + end - at);
                    }
                    self.expect((start, start + passed - end), now + end - at, (true, false));
                    start + passed - end
                }
                _ => {
                    self.expect((at, passed), now, (begins, false));
                    passed
                }
            };
            begins = false;
            self.block(true, frames);
            self.at = after;
        }
    }

    /// Stands at a position until all is ready, and starts as the host does.
    fn start(&mut self, at: f64) {
        self.at = at;
        let (standing, grid) = (self.song.at(at).0, self.grid());
        let ready = self.clock() + 2.0 * self.patience();
        while self.clock() < ready {
            self.block(false, self.frames);
        }
        let early = match self.kind {
            Kind::Ardour => f64::from(self.dice.below(2000)).min(at),
            Kind::Live if self.dice.below(2) == 0 => self.song.sample(4.0).round(),
            _ => 0.0,
        };
        self.at -= early;
        self.counts.jumps += 1;
        self.excuse = (0.0, Strictness::OnTime);
        let cycle = grid.cycle_at(standing + 1e-9);
        let begins = self.song.sample(grid.start_of(cycle));
        if self.at < begins - 0.5 {
            let left = begins - self.at;
            self.jumped(self.clock());
            if left < self.patience() {
                self.excuse = (self.clock() + left - 1.0, Strictness::Open);
            }
        }
        let end = self.looping.map_or(f64::INFINITY, |(_, end)| self.song.sample(end));
        if self.at < end && end < at + 1.0 {
            // It stood at the end of a loop, and will begin it again.
            self.jumped(self.clock());
        }
    }

    fn grid(&self) -> Grid {
        Grid { bar_beats: 4.0, bars: self.band.bars }
    }

    /// Stops, and judges what was heard since the last stop.
    fn stop(&mut self) {
        self.ends(self.clock());
        self.block(false, self.frames);
        self.counts.hanging += self.open.len();
        self.open.clear();
        self.judge();
    }

    fn judge(&mut self) {
        let heard = std::mem::take(&mut self.heard);
        let (patience, counts) = (self.patience(), &mut self.counts);
        counts.notes += heard.len();
        let mut used = vec![false; heard.len()];
        // Whether of the notes of a jump that may be late one has been heard.
        let mut firsts: HashMap<usize, bool> = HashMap::new();
        // What must be on time has its choice first.
        self.due.sort_by_key(|due| match due.strictness {
            Strictness::OnTime => 0,
            Strictness::Late(_) => 1,
            Strictness::Open => 2,
        });
        for due in &self.due {
            let before = if due.strictness == Strictness::OnTime { 1000.0 } else { 1.5 };
            let from = heard.partition_point(|note| note.0 < due.at - before);
            let until =
                due.at + if due.strictness == Strictness::OnTime { 1000.0 } else { patience };
            let found = (from..heard.len())
                .take_while(|&index| heard[index].0 < until)
                .filter(|&index| {
                    !used[index] && (heard[index].1, heard[index].2) == (due.channel, due.key)
                })
                .min_by(|&a, &b| {
                    (heard[a].0 - due.at).abs().total_cmp(&(heard[b].0 - due.at).abs())
                });
            if let Some(index) = found {
                used[index] = true;
                let off = heard[index].0 - due.at;
                if due.strictness == Strictness::OnTime || off < -1.0 {
                    counts.farthest = counts.farthest.max(off.abs());
                    counts.off += usize::from(off.abs() > 1.0);
                }
            }
            match due.strictness {
                Strictness::OnTime => {
                    let heard = found.map(|index| heard[index].0);
                    if heard.is_none_or(|heard| (heard - due.at).abs() > 1.0) {
                        counts.fault.get_or_insert((*due, heard));
                    }
                    counts.lost += usize::from(found.is_none());
                }
                Strictness::Late(jump) => {
                    *firsts.entry(jump).or_default() |= found.is_some();
                }
                Strictness::Open => {}
            }
        }
        for (jump, _) in firsts.iter().filter(|(_, heard)| !**heard) {
            counts.firsts_lost += 1;
            let late = Strictness::Late(*jump);
            let due = self.due.iter().find(|due| due.strictness == late);
            counts.fault = counts.fault.or(due.map(|due| (*due, None)));
        }
        counts.wrong += used.iter().filter(|used| !**used).count();
        self.due.clear();
    }

    /// A place to start from: mostly the line of a cycle or a bar.
    fn place(&mut self) -> f64 {
        let beats = match self.dice.below(4) {
            0 => f64::from(self.dice.below(60_000)) / 1000.0,
            1 => f64::from(4 * self.dice.below(15)),
            _ => f64::from(4 * self.band.bars * self.dice.below(4)),
        };
        self.song.sample(beats).round()
    }

    /// One of the things that users do; each is an event of the host.
    fn event(&mut self) {
        match self.dice.below(8) {
            0 => {
                let most = if self.tempos > 1 { 7 } else { 11 };
                let sizes = [64, 256, 512, 1024, 100, 333, 1023, 2048, 4096, 16_384, 1];
                self.frames = sizes[self.dice.below(most) as usize];
            }
            1 => self.looping = None,
            // A block that wraps into another tempo tells only one of the two.
            2 if self.tempos > 1 && self.kind == Kind::Reaper => self.looping = None,
            2 => {
                let start = if self.dice.below(2) == 0 {
                    f64::from(4 * self.dice.below(6))
                } else {
                    f64::from(self.dice.below(20_000)) / 1000.0
                };
                let length = match self.dice.below(3) {
                    0 => f64::from(4 * self.band.bars),
                    1 => f64::from(2 + self.dice.below(14)),
                    _ => 4.0 + f64::from(self.dice.below(8000)) / 1000.0,
                };
                // A cycle that is left a moment after it began, or entered a moment before it ends,
                // leaves no time for the pattern after it.
                let cycle = self.grid().cycle_beats();
                let left = cycle - start.rem_euclid(cycle);
                let start = if (0.1..3.0).contains(&left) { start + left } else { start };
                let end = start + length;
                let over = end.rem_euclid(cycle);
                let end = if over > 0.0 && over < 3.0 { end - over + cycle } else { end };
                self.looping = Some((start, end));
            }
            3..=5 => {
                let place = self.place();
                self.start(place);
                let seconds = if self.frames == 1 { 0.3 } else { 6.0 * self.dice.next() };
                self.roll((seconds * RATE).round());
                self.stop();
            }
            _ => {
                let place = self.place();
                self.start(place);
                for _ in 0..=self.dice.below(3) {
                    let seconds = if self.frames == 1 { 0.1 } else { 3.0 * self.dice.next() };
                    self.roll((seconds * RATE).round());
                    let place = self.place();
                    if !self.is_jitter(place) {
                        self.seek(place);
                    }
                }
                self.roll(0.2 * RATE);
                self.stop();
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "small")]
fn float(count: u64) -> f64 {
    count as f64
}

/// Over random transports no note hangs, none is off by more than a sample, none is lost, and none
/// is played that should not be; after a start that could be prepared the first one is on time, after
/// any other jump it is late at most by the time that two patterns take.
#[test]
fn random_hosts_hear_every_note() {
    let events = std::env::var(EVENTS_VARIABLE).ok().and_then(|text| text.parse().ok());
    let mut left: u32 = events.unwrap_or(EVENTS);
    let mut seed = 0;
    let mut all = Counts::default();
    let mut faulty = Vec::new();
    while left > 0 {
        seed += 1;
        let mut session = Session::new(seed);
        let (kind, bars) = (session.kind, session.band.bars);
        for event in 0..left.min(100) {
            session.event();
            let counts = &session.counts;
            let faults =
                [counts.off, counts.lost, counts.wrong, counts.firsts_lost, counts.hanging];
            if faults != [0; 5] {
                faulty.push(format!(
                    "{kind:?}, {bars} bars, session {seed}, event {event}, blocks of {}, loop {:?}: \
                     {counts:?}",
                    session.frames, session.looping,
                ));
                break;
            }
        }
        left -= left.min(100);
        all.notes += session.counts.notes;
        all.jumps += session.counts.jumps;
        all.farthest = all.farthest.max(session.counts.farthest);
    }
    let shown = faulty.iter().take(8).map(String::as_str).collect::<Vec<_>>().join("\n");
    assert!(faulty.is_empty(), "{} of {seed} sessions:\n{shown}", faulty.len());
    println!("{} notes, {} jumps, farthest {:.3} samples", all.notes, all.jumps, all.farthest);
}
