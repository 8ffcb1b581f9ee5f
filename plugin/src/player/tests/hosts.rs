//! Transports as hosts make them, at random, against a worker that takes its time: every note is on
//! its sample, the first one of every start is there, and nothing hangs.

use std::collections::HashMap;

use super::*;
use crate::transport::{
    is_step_back, jitter,
    song::{RATE, Song, to_single, to_ticks},
};

mod band;
mod judge;

use band::{Band, Dice, Side, TIE, side};
use judge::{Counts, Due, Heard, Strictness};

/// Events of hosts in the normal test.
const EVENTS: u32 = 4000;
/// Another number of them.
const EVENTS_VARIABLE: &str = "INTERLUDE_HOST_EVENTS";
/// The number of the one session to play, to look at a fault.
const SESSION_VARIABLE: &str = "INTERLUDE_HOST_SESSION";
/// Samples that the arithmetic here may be off; as much before a block's end belongs to the next.
const HAIR: f64 = 1e-4;

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
    /// Position and length of the last block, and whether it began with a step back.
    last: (f64, u32, bool),
    /// Samples played by the clock.
    elapsed: u64,
    due: Vec<Due>,
    heard: Vec<Heard>,
    open: HashMap<(u8, u8), u64>,
    /// What is due before a moment of the clock is judged so.
    excuse: (f64, Strictness),
    /// But what is due before this moment is on time.
    on_hand: f64,
    /// Up to then a cycle that comes next may be asked for before the one that plays.
    hasty: f64,
    /// Whether what is played next follows on nothing, and whether it lies a step back.
    entered: bool,
    steps_back: bool,
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
        let settings = Settings::at(0.0).evolving(dice.below(2) == 0);
        let band = Band::new(bars, decode.into());
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
            last: (0.0, 256, false),
            elapsed: 0,
            due: Vec::new(),
            heard: Vec::new(),
            open: HashMap::new(),
            excuse: (0.0, Strictness::OnTime),
            on_hand: 0.0,
            hasty: 0.0,
            entered: true,
            steps_back: false,
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

    /// A position in beats as the host says it.
    fn reported(&self, beats: f64) -> f64 {
        match self.kind {
            Kind::Ardour => to_ticks(beats),
            Kind::Qtractor => to_single(beats),
            Kind::Reaper | Kind::Live => beats,
        }
    }

    fn block(&mut self, rolling: bool, frames: u32) {
        let (beats, tempo) = self.song.at(self.at);
        let ticks = self.looping.map(|(start, end)| (to_ticks(start), to_ticks(end)));
        let (samples, cycle_range) = match self.kind {
            Kind::Ardour => (Some(self.at), ticks),
            Kind::Qtractor => (Some(self.at), None),
            Kind::Reaper => (Some(self.at.round()), self.looping),
            Kind::Live => (None, self.looping),
        };
        let host = HostTransport {
            playing: rolling,
            beats: Some(self.reported(beats)),
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
        self.last = (self.at, frames, std::mem::take(&mut self.steps_back));
    }

    /// Notes what is due between two positions that are played in one go from a moment on. At an edge,
    /// where nothing leads to `from` or `to` leads to nothing, a note is played on that side on which
    /// the sample nearest to it is.
    fn expect(&mut self, (from, to): (f64, f64), clock: f64, edges: (bool, bool)) {
        let steps = f64::from(self.band.bars * 16);
        let first = if edges.0 { from - 1.0 } else { from };
        let mut step = (self.song.at(first).0 * 4.0).floor();
        while self.song.sample(step / 4.0) < first - HAIR {
            step += 1.0;
        }
        loop {
            let sample = self.song.sample(step / 4.0);
            if sample >= to - HAIR {
                return;
            }
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let key = step.rem_euclid(steps.min(64.0)) as u8;
            let odd = (step / steps).floor().rem_euclid(2.0) == 1.0;
            let channel = u8::from(self.conditions.settings.sampling.evolve && odd);
            let at = clock + sample - from;
            let entered = if edges.0 { side(at, clock) } else { Side::After };
            let left = if edges.1 { side(at, clock + to - from) } else { Side::Before };
            // Shortly before the next cycle that is made first.
            let looped = self.looping.map_or(f64::INFINITY, |(_, end)| end - step / 4.0);
            let closing = steps - step.rem_euclid(steps) <= 2.0 || looped <= 0.5;
            let strictness =
                if entered == Side::Either || left == Side::Either || at < self.hasty && closing {
                    Strictness::Open
                } else if at >= self.on_hand && at < self.excuse.0 {
                    self.excuse.1
                } else {
                    Strictness::OnTime
                };
            if entered != Side::Before && left != Side::After {
                self.due.push(Due { at, channel, key, strictness });
            }
            step += 1.0;
        }
    }

    /// What was played last ends now: a pattern that had no time to come is not missed.
    fn ends(&mut self, now: f64) {
        let short = (now < self.excuse.0 + f64::from(self.frames)).then_some(self.excuse.1);
        self.due.retain(|due| side(due.at, now) != Side::After);
        for due in self.due.iter_mut().rev().take_while(|due| due.at > now - 200_000.0) {
            if side(due.at, now) == Side::Either || Some(due.strictness) == short {
                due.strictness = Strictness::Open;
            }
        }
    }

    /// From a moment on patterns are needed that nobody could know of, except for so many samples.
    fn jumped(&mut self, now: f64, on_hand: f64) {
        self.ends(now);
        self.counts.jumps += 1;
        let patience = self.patience();
        self.hasty = now + patience;
        self.on_hand = if on_hand > 0.0 { now + on_hand } else { 0.0 };
        self.excuse = if on_hand >= patience {
            (0.0, Strictness::OnTime)
        } else {
            (self.hasty, Strictness::Late(self.counts.jumps))
        };
    }

    /// For how long after a jump at a moment from one position to another the pattern that played is
    /// of use: in the same cycle, or in any if all are the same and none is about to begin, which
    /// would have it first; up to where the next one begins.
    fn on_hand(&self, now: f64, from: f64, to: f64) -> f64 {
        let grid = self.grid();
        let ((left, _), (beats, tempo)) = (self.song.at(from - 0.5), self.song.at(to + 0.5));
        let cycle = grid.cycle_at(beats);
        let ahead = ahead(grid, self.frames, RATE * 60.0 / tempo);
        let looped = self.looping.map(|(_, end)| end);
        let looped = looped.filter(|&end| self.song.sample(end) > to - 1.0);
        let end = looped.unwrap_or(f64::INFINITY).min(grid.start_of(cycle + 1));
        let same = grid.cycle_at(left) == cycle;
        let any = !self.conditions.settings.sampling.evolve && end - beats > ahead + 0.01;
        // A sample that the next cycle begins on, or just not.
        let tie = grid.cycle_at(self.song.at(to + 0.5 - TIE).0)
            != grid.cycle_at(self.song.at(to + 0.5 + TIE).0);
        let is_of_use = now >= self.excuse.0 && (same || any) && !tie;
        if is_of_use { self.song.sample(end) - to - 1.0 } else { 0.0 }
    }

    /// Whether a host that goes on there looks like one that reports its position unsteadily, or that
    /// steps back block by block: the timeline takes it for that, and no note is played twice.
    fn is_jitter(&self, place: f64) -> bool {
        let (expected, tempo) = self.song.at(self.at);
        let length = f64::from(self.last.1) * tempo / (RATE * 60.0);
        // A loop that wraps is expected to, or to be switched off.
        let unlooped = self.song.at(self.last.0 + f64::from(self.last.1)).0;
        let apart = |expected: f64| (self.song.at(place).0 - expected).abs();
        apart(expected).min(apart(unlooped)) <= jitter(length) + 1e-3
            || self.last.2 && self.is_back(place)
    }

    fn is_back(&self, place: f64) -> bool {
        let (beats, tempo) = self.song.at(self.last.0);
        let length = f64::from(self.last.1) * tempo / (RATE * 60.0);
        is_step_back(beats - self.song.at(place).0, length)
    }

    /// Goes on at another place.
    fn seek(&mut self, place: f64) {
        let now = self.clock();
        // Where a loop is about to wrap, what has played is what lies before its end.
        let start = self.looping.map(|(start, _)| self.song.sample(start));
        let wraps = start.is_some_and(|start| (-0.5..1.0).contains(&(self.at - start)));
        // Nor has anything played since a seek at the same moment.
        let was_elsewhere = wraps || self.entered;
        let left = if was_elsewhere { self.last.0 + f64::from(self.last.1) } else { self.at };
        let on_hand = self.on_hand(now, left, place);
        self.steps_back = self.is_back(place);
        self.at = place;
        self.entered = true;
        self.jumped(now, on_hand);
    }

    /// Rolls from the position over a number of samples.
    fn roll(&mut self, samples: f64) {
        if samples < 1.0 {
            return;
        }
        let last = self.clock() + samples;
        let mut begins = std::mem::take(&mut self.entered);
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
                        let on_hand = self.on_hand(now + end - at, end, start);
                        self.jumped(now + end - at, on_hand);
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
        self.entered = true;
        self.counts.jumps += 1;
        self.excuse = (0.0, Strictness::OnTime);
        let cycle = grid.cycle_at(self.reported(standing) + 1e-9);
        let begins = self.song.sample(grid.start_of(cycle));
        if self.at < begins - 0.5 {
            let left = begins - self.at;
            let on_hand = self.on_hand(self.clock(), at + 1.0, self.at);
            self.jumped(self.clock(), on_hand);
            if left < self.patience() {
                self.excuse = (self.clock() + left - 1.0, Strictness::Open);
            }
        }
        let end = self.looping.map_or(f64::INFINITY, |(_, end)| self.song.sample(end));
        if self.at < end && end < at + 1.0 {
            // It stood at the end of a loop, and will begin it again.
            self.jumped(self.clock(), 0.0);
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
        let (due, heard) = (std::mem::take(&mut self.due), std::mem::take(&mut self.heard));
        self.counts.judge(due, heard, self.patience());
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

    /// A cycle that the loop leaves, or enters, so little after its start, or before its end, that a
    /// pattern takes longer leaves no time for the one after it: such a loop is moved to the cycle's
    /// edge. In the last moment of a cycle there is no note.
    fn fit_loop(&mut self) {
        let Some((start, end)) = self.looping else { return };
        let (cycle, least) = (self.grid().cycle_beats(), self.patience() * 200.0 / (RATE * 60.0));
        let left = cycle - start.rem_euclid(cycle);
        let start = if (0.1..least).contains(&left) { start + left } else { start };
        let over = end.rem_euclid(cycle);
        let end = if over > 0.0 && over < least { end - over + cycle } else { end };
        let end = end.max(start + 2.0);
        // A block in which both the tempo changes and the loop ends tells only one of the two.
        let tempo = |beats| self.song.at(self.song.sample(beats)).1;
        let end = if tempo(end - 0.5) == tempo(end) { end } else { end + 1.0 };
        self.looping = Some((start, end));
    }

    /// One of the things that users do; each is an event of the host.
    fn event(&mut self) {
        match self.dice.below(8) {
            0 => {
                let most = if self.tempos > 1 { 7 } else { 11 };
                let sizes = [64, 256, 512, 1024, 100, 333, 1023, 2048, 4096, 16_384, 1];
                self.frames = sizes[self.dice.below(most) as usize];
                self.fit_loop();
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
                self.looping = Some((start, start + length));
                self.fit_loop();
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
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    let only = number(SESSION_VARIABLE);
    let mut left = if only.is_some() { 100 } else { number(EVENTS_VARIABLE).unwrap_or(EVENTS) };
    let mut seed = u64::from(only.map_or(0, |session| session.saturating_sub(1)));
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
