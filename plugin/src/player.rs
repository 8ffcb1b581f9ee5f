//! Plays patterns in time with the host: which cycle is next, when to ask for its pattern, and
//! which note falls on which sample.
//!
//! The player knows no plug-in framework and no thread. It asks for patterns through a [`Link`] and
//! is handed them whenever they are ready. Its rules:
//!
//! - A cycle's pattern is asked for [`look_ahead`] before the cycle begins, with the settings of
//!   that moment: one beat for two bars. A loop's wrap is known in advance, so the cycle at the
//!   loop's start is asked for as long before the loop's end. After a start or a seek the current cycle is asked for at once;
//!   while the transport stands, the cycle at its position is kept ready.
//! - A pattern that is not there when its cycle begins is late: the last one plays again, from the
//!   next bar line on the late one takes over.
//! - Each note starts and ends on the sample nearest to its place. A note due exactly at a block's
//!   end belongs to the next block. Notes are taken in order from a cursor, so a host whose
//!   positions jitter neither doubles nor loses one.
//! - Every note-on gets its note-off: on stop, seek, loop wrap, reset, change of model and switching
//!   the output off, all that sounds ends.

use crate::transport::{Block, Grid, Motion, Segment};

mod pattern;
mod sounding;
#[cfg(test)]
mod tests;

pub use pattern::{Pattern, Request, Role, Settings};
pub use sounding::{Event, MOST_EVENTS, Sounding};

/// Beats before its cycle at which a pattern of so many bars is asked for. Longer patterns take
/// longer to decode.
pub fn look_ahead(bars: u32) -> f64 {
    0.5 * f64::from(bars)
}

/// A note that should have started this many beats ago, when its pattern arrives after a seek,
/// still starts; an older one would be out of time.
const LATEST_START: f64 = 0.25;

/// The way to the worker and back. Nothing in it may allocate, lock or block in real time.
pub trait Link {
    /// Asks for a pattern; `false` when the way is blocked and the player must ask again.
    fn request(&mut self, request: &Request) -> bool;
    /// The next pattern that is ready.
    fn answer(&mut self) -> Option<Box<Pattern>>;
    /// Gives a pattern back to be freed.
    fn discard(&mut self, pattern: Box<Pattern>);
    /// Tells that a cycle began without its pattern.
    fn late(&mut self, cycle: i64);
    /// Waits a moment for an answer. `false`, at once, when `process` must not wait.
    fn wait(&mut self) -> bool;
}

/// What the player must know about the plug-in in a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The settings as they are now.
    pub settings: Settings,
    /// Changes with the model.
    pub model: u32,
    /// Changes with the contents of the slots and with the model.
    pub contents: u64,
    /// Whether notes go out.
    pub output: bool,
}

/// A cycle whose pattern has been asked for.
#[derive(Debug)]
struct Decision {
    id: u64,
    cycle: i64,
    settings: Settings,
    contents: u64,
    pattern: Option<Box<Pattern>>,
}

impl Decision {
    fn fits(&self, cycle: i64, conditions: &Conditions) -> bool {
        self.cycle == cycle
            && self.settings == conditions.settings
            && self.contents == conditions.contents
    }

    /// Whether nothing plays: the answer has come and holds no note.
    fn is_silent(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.notes().is_empty())
    }
}

/// What the editor shows of the player.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playhead {
    /// The cycle being played.
    pub cycle: i64,
    /// Beats of the host since the cycle began.
    pub beats: f64,
    /// Request whose answer plays; 0 before the first.
    pub pattern: u64,
}

/// The player. See the module's documentation.
#[derive(Debug, Default)]
pub struct Player {
    sounding: Sounding,
    next_id: u64,
    /// The cycle being played; `None` while the transport stands.
    cycle: Option<i64>,
    current: Option<Decision>,
    next: Option<Decision>,
    /// The last pattern, in the place of the current one that is late.
    stand_in: Option<Box<Pattern>>,
    /// Index of the next note of the playing pattern.
    cursor: usize,
    /// Where playing began in this cycle, in beats of the song.
    entry: f64,
    /// Whether the current pattern has come after its cycle began and does not play yet.
    arrived: bool,
    /// Whether all must end before anything else.
    flush: bool,
    grid: Option<Grid>,
    model: u32,
    playhead: Option<Playhead>,
}

impl Player {
    /// Starts a block. [`Player::stand`] or [`Player::segment`] follow, then [`Player::events`].
    pub fn begin_block(&mut self, grid: Grid, conditions: &Conditions, link: &mut impl Link) {
        self.sounding.begin_block();
        if self.model != conditions.model || self.grid != Some(grid) {
            let other_model = self.model != conditions.model;
            self.model = conditions.model;
            self.grid = Some(grid);
            self.leave(link);
            if other_model {
                self.drop_current(link);
            }
        }
        if std::mem::take(&mut self.flush) || !conditions.output {
            self.sounding.flush(0);
        }
    }

    /// Note events of the block, in order.
    pub fn events(&self) -> &[Event] {
        self.sounding.events()
    }

    /// Whether no note sounds.
    pub fn is_silent(&self) -> bool {
        self.sounding.is_empty()
    }

    /// What plays; `None` while the transport stands.
    pub fn playhead(&self) -> Option<Playhead> {
        self.playhead
    }

    /// Ends all notes at the start of the next block and forgets the position.
    pub fn reset(&mut self) {
        self.flush = true;
        self.cycle = None;
    }

    /// A block in which the transport stands: silence, and the pattern for a start at its position
    /// is kept ready.
    pub fn stand(&mut self, block: &Block, conditions: &Conditions, link: &mut impl Link) {
        self.sounding.flush(0);
        self.leave(link);
        self.playhead = None;
        if let Some(grid) = self.grid {
            let cycle = grid.cycle_at(block.beats);
            if !self.current.as_ref().is_some_and(|current| current.fits(cycle, conditions)) {
                self.decide(Role::Current, cycle, conditions, link);
            }
        }
        self.collect(link);
    }

    /// A stretch of a block in which the transport rolls.
    pub fn segment(&mut self, segment: &Segment, conditions: &Conditions, link: &mut impl Link) {
        let Some(grid) = self.grid else { return };
        let mut at = segment.first;
        if segment.motion != Motion::Continue {
            self.sounding.flush(at);
        }
        let mut cycle = grid.cycle_at(segment.beats);
        if segment.offset(grid.start_of(cycle.saturating_add(1))) <= i64::from(at) {
            cycle = cycle.saturating_add(1);
        }
        match (segment.motion, self.cycle) {
            // A host that arrives a little early has not gone back to the cycle before.
            (Motion::Continue, Some(playing)) if cycle == playing || cycle == playing - 1 => {
                cycle = playing;
            }
            (Motion::Continue, Some(playing)) if cycle == playing + 1 => {
                self.advance(cycle, segment, at, grid, link);
            }
            (Motion::Wrap, Some(_)) => self.advance(cycle, segment, at, grid, link),
            _ => self.enter(cycle, segment, at, grid, conditions, link),
        }
        self.refresh(cycle, conditions, link);
        while at < segment.end {
            let cycle_end = grid.start_of(cycle.saturating_add(1));
            if segment.offset(cycle_end) <= i64::from(at) {
                cycle = cycle.saturating_add(1);
                self.advance(cycle, segment, at, grid, link);
                continue;
            }
            let mut stop = within(segment, segment.offset(cycle_end));
            let (boundary, following) = match segment.wrap {
                Some((start, end)) if end <= cycle_end + 1e-6 => (end, grid.cycle_at(start + 1e-6)),
                _ => (cycle_end, cycle.saturating_add(1)),
            };
            if segment.offset(boundary - look_ahead(grid.bars)) < i64::from(stop) {
                let decided = self.next.as_ref().is_some_and(|next| {
                    next.cycle == following && next.contents == conditions.contents
                });
                if !decided {
                    self.decide(Role::Next, following, conditions, link);
                }
            }
            self.collect(link);
            if self.arrived {
                if self.stand_in.is_none() {
                    self.join(cycle, segment, at, grid);
                } else {
                    let bar = segment.offset(grid.bar_from(segment, at));
                    if bar <= i64::from(at) {
                        self.sounding.flush(at);
                        discard(self.stand_in.take(), link);
                        self.begin(cycle, segment, at, grid);
                    } else {
                        stop = stop.min(within(segment, bar));
                    }
                }
            }
            self.place(segment, grid, cycle, at, stop, conditions.output);
            at = stop;
        }
        let playing = self.stand_in.as_deref().or(self.current_pattern());
        self.playhead = Some(Playhead {
            cycle,
            beats: (segment.position(at) - grid.start_of(cycle)).max(0.0),
            pattern: playing.map_or(0, Pattern::id),
        });
    }

    fn current_pattern(&self) -> Option<&Pattern> {
        self.current.as_ref()?.pattern.as_deref()
    }

    /// Leaves the rolling state: nothing sounds, nothing is next.
    fn leave(&mut self, link: &mut impl Link) {
        self.flush |= !self.sounding.is_empty();
        self.cycle = None;
        discard(self.stand_in.take(), link);
        if let Some(next) = self.next.take() {
            discard(next.pattern, link);
        }
    }

    fn drop_current(&mut self, link: &mut impl Link) {
        if let Some(current) = self.current.take() {
            discard(current.pattern, link);
        }
    }

    /// Begins playing at a position that nothing led to.
    fn enter(
        &mut self,
        cycle: i64,
        segment: &Segment,
        at: u32,
        grid: Grid,
        conditions: &Conditions,
        link: &mut impl Link,
    ) {
        self.leave(link);
        if !self.current.as_ref().is_some_and(|current| current.fits(cycle, conditions)) {
            self.decide(Role::Current, cycle, conditions, link);
        }
        self.begin(cycle, segment, at, grid);
    }

    /// Goes on into the cycle that was next.
    fn advance(
        &mut self,
        cycle: i64,
        segment: &Segment,
        at: u32,
        grid: Grid,
        link: &mut impl Link,
    ) {
        let before = self.current.take();
        let last = self.stand_in.take();
        self.current = match self.next.take() {
            Some(next) if next.cycle == cycle => Some(next),
            other => {
                if let Some(other) = other {
                    discard(other.pattern, link);
                }
                None
            }
        };
        self.collect(link);
        let before = before.and_then(|before| before.pattern);
        if self.current_pattern().is_none() {
            link.late(cycle);
            self.stand_in = match (before, last) {
                (Some(before), last) => {
                    discard(last, link);
                    Some(before)
                }
                (None, last) => last,
            };
        } else {
            discard(before, link);
            discard(last, link);
        }
        self.begin(cycle, segment, at, grid);
    }

    /// Plays the pattern from the first note that is not past at offset `at`.
    fn begin(&mut self, cycle: i64, segment: &Segment, at: u32, grid: Grid) {
        self.cycle = Some(cycle);
        self.entry = segment.position(at);
        self.arrived = false;
        self.cursor = self.first_note(grid, |within| {
            segment.offset(grid.start_of(cycle) + within) >= i64::from(at)
        });
    }

    /// Plays a pattern that arrives after its cycle was entered: also the notes that would have
    /// started since then, unless that is too long ago.
    fn join(&mut self, cycle: i64, segment: &Segment, at: u32, grid: Grid) {
        self.arrived = false;
        let half_sample = 0.5 / segment.samples_per_beat;
        let from = (self.entry - half_sample).max(segment.position(at) - LATEST_START);
        self.cursor = self.first_note(grid, |within| grid.start_of(cycle) + within >= from);
    }

    /// Index of the first note of the playing pattern whose start, in beats after the start of the
    /// cycle, is `due`.
    fn first_note(&self, grid: Grid, due: impl Fn(f64) -> bool) -> usize {
        self.playing_pattern(grid).map_or(0, |pattern| {
            pattern.notes().partition_point(|note| !due(bar_position(note.start, grid)))
        })
    }

    /// Puts out the events from offset `at` up to, not including, `stop`.
    fn place(
        &mut self,
        segment: &Segment,
        grid: Grid,
        cycle: i64,
        at: u32,
        stop: u32,
        output: bool,
    ) {
        let start = grid.start_of(cycle);
        let clamp = |offset: i64| u32::try_from(offset).unwrap_or(0).max(at);
        loop {
            let end = self
                .sounding
                .next_end(|beats| segment.offset(beats))
                .map(|(index, offset)| (index, clamp(offset)))
                .filter(|&(_, offset)| offset < stop);
            let note = self
                .playing_pattern(grid)
                .and_then(|pattern| pattern.notes().get(self.cursor))
                .map(|note| (*note, clamp(segment.offset(start + bar_position(note.start, grid)))))
                .filter(|&(_, offset)| offset < stop);
            match (end, note) {
                (Some((index, offset)), None) => self.sounding.stop(index, offset),
                (Some((index, offset)), Some((_, on))) if offset <= on => {
                    self.sounding.stop(index, offset);
                }
                (_, Some((note, offset))) => {
                    self.cursor += 1;
                    if let Some((from, to)) = grid.place(note.start, note.end) {
                        let over = segment.offset(start + from) < i64::from(at)
                            && segment.offset(start + to) <= i64::from(at);
                        if output && !over {
                            let end = start + to;
                            self.sounding.start(
                                offset,
                                note.channel,
                                note.pitch,
                                note.velocity,
                                end,
                            );
                        }
                    }
                }
                (None, None) => return,
            }
        }
    }

    fn playing_pattern(&self, grid: Grid) -> Option<&Pattern> {
        let pattern = self.stand_in.as_deref().or(self.current_pattern())?;
        (pattern.bars() == grid.bars).then_some(pattern)
    }

    /// Asks again for the current cycle when nothing plays in it and the slots have changed, or when
    /// it could not be asked for before.
    fn refresh(&mut self, cycle: i64, conditions: &Conditions, link: &mut impl Link) {
        let stale = match &self.current {
            None => true,
            Some(current) => {
                current.contents != conditions.contents
                    && (current.is_silent() || current.pattern.is_none())
            }
        };
        if stale {
            self.decide(Role::Current, cycle, conditions, link);
        }
    }

    fn decide(&mut self, role: Role, cycle: i64, conditions: &Conditions, link: &mut impl Link) {
        let request = Request { id: self.next_id + 1, role, cycle, settings: conditions.settings };
        if !link.request(&request) {
            return;
        }
        self.next_id += 1;
        let decision = Decision {
            id: request.id,
            cycle,
            settings: conditions.settings,
            contents: conditions.contents,
            pattern: None,
        };
        let place = match role {
            Role::Current => &mut self.current,
            Role::Next => &mut self.next,
        };
        if let Some(replaced) = place.replace(decision) {
            discard(replaced.pattern, link);
        }
    }

    /// Takes the answers that are ready; where `process` may wait, those that are to come too.
    fn collect(&mut self, link: &mut impl Link) {
        loop {
            while let Some(pattern) = link.answer() {
                let asks = |decision: &&mut Decision| {
                    decision.id == pattern.id() && decision.pattern.is_none()
                };
                if let Some(current) = self.current.as_mut().filter(asks) {
                    current.pattern = Some(pattern);
                    self.arrived = true;
                } else if let Some(next) = self.next.as_mut().filter(asks) {
                    next.pattern = Some(pattern);
                } else {
                    link.discard(pattern);
                }
            }
            let waiting = |decision: &Option<Decision>| {
                decision.as_ref().is_some_and(|decision| decision.pattern.is_none())
            };
            if !(waiting(&self.current) || waiting(&self.next)) || !link.wait() {
                return;
            }
        }
    }
}

fn discard(pattern: Option<Box<Pattern>>, link: &mut impl Link) {
    if let Some(pattern) = pattern {
        link.discard(pattern);
    }
}

/// An offset, not beyond the end of its segment.
fn within(segment: &Segment, offset: i64) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX).min(segment.end)
}

/// Where a note starts in beats after its cycle's start, as if no bar cut it: grows with `start`.
fn bar_position(start: f64, grid: Grid) -> f64 {
    let bar = (start / crate::transport::PATTERN_BAR_BEATS).floor();
    let within = start - bar * crate::transport::PATTERN_BAR_BEATS;
    bar * grid.bar_beats + within.min(grid.bar_beats)
}
