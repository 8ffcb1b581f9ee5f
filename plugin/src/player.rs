//! The player: plays patterns in time with the host. It decides which cycle is next, when its
//! pattern is requested, and which note falls on which sample.
//!
//! The player is independent of plug-in framework and threads. It asks for patterns through a
//! [`Link`] and is handed them whenever they are ready. Its rules:
//!
//! - A cycle's pattern is decided [`look_ahead`] before the cycle begins, with the settings of that
//!   moment: one beat for two bars. A loop's wrap is known in advance, so the cycle at the loop's
//!   start is decided as long before the loop's end.
//! - While the transport stands, the cycle at its position is kept ready, and the one after it when
//!   it begins within the look-ahead. Hosts start a little before the position that they show: a
//!   pattern on hand is kept for whichever cycle it fits, and what is heard next is asked for first.
//! - The last patterns that played are kept: a cycle that comes again, after a seek back or in a loop
//!   that the host does not announce, begins at once.
//! - A pattern that is not there when its cycle begins is late: the last one plays again, from the
//!   next bar line on the late one takes over. After a start or a seek there is no last one; then
//!   the pattern plays as soon as it comes, with what has not been heard of its first notes.
//! - After a change of the model the last pattern plays on in the same way, on its own cycle, until
//!   the new model's is there.
//! - Each note starts and ends on the sample nearest to its place. A note due exactly at a block's
//!   end belongs to the next block. Notes are taken in order from a cursor, so a host whose
//!   positions jitter neither doubles nor loses one.
//! - Every note-on gets its note-off: on stop, seek, loop wrap, reset, change of model and switching
//!   the output off, all that sounds ends.

use crate::transport::{Block, Grid, Motion, Segment, TIE_BIAS};

mod decisions;
mod pattern;
mod sounding;
#[cfg(test)]
mod tests;

use decisions::{Decision, Decisions, Wanted};
pub use pattern::{Lane, Pattern, Request, Sampling, Settings, Source};
pub use sounding::{Event, MOST_EVENTS, Sounding};

/// Patterns that the player holds at most: the current one, the next, one that stands in, and those
/// that have played.
pub const MOST_PATTERNS: usize = 3 + decisions::PLACES;

/// Look-ahead in beats at which the pattern of a cycle of this many bars is requested; longer
/// patterns take longer to decode.
pub fn look_ahead(bars: u32) -> f64 {
    0.5 * f64::from(bars)
}

/// A note that should have started up to this many beats ago, when its pattern arrives after a
/// start or a seek, still starts.
const LATEST_START: f64 = 1.0;

/// A cycle that begins within so many beats of a start or a seek is asked for before the current
/// one. It has no time for a stand-in either: when it is late, its own first note comes late.
const URGENT: f64 = 0.5;

/// The player's connection to the worker. In real time no method may allocate, lock or block.
pub trait Link {
    /// Requests a pattern; `false` when the ring is full and the player must repeat the request.
    fn request(&mut self, request: &Request) -> bool;
    /// The next pattern that is ready.
    fn answer(&mut self) -> Option<Box<Pattern>>;
    /// Returns a pattern to be freed.
    fn discard(&mut self, pattern: Box<Pattern>);
    /// Tells that a cycle began without its pattern.
    fn late(&mut self, cycle: i64);
    /// Waits a moment for an answer. `false`, at once, when `process` must not wait.
    fn wait(&mut self) -> bool;
}

/// State of the plug-in that the player needs in a block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Conditions {
    /// The settings as they are now.
    pub settings: Settings,
    /// Revision of the model.
    pub model: u32,
    /// Grows with every change of the slots and of the model.
    pub contents: u64,
    /// Whether notes go out.
    pub output: bool,
}

/// State of the player for the editor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Playhead {
    /// The cycle being played.
    pub cycle: i64,
    /// Beats of the host since the cycle began.
    pub beats: f64,
    /// Request whose answer plays; 0 before the first.
    pub pattern: u64,
}

/// The last pattern, in the place of the current one that is late.
#[derive(Debug)]
struct StandIn {
    pattern: Box<Pattern>,
    /// The cycle that it is in. Its length is its own: it may be of the model before.
    cycle: i64,
}

/// The pattern that plays, and where: its grid and its cycle.
struct Playing<'a> {
    pattern: &'a Pattern,
    grid: Grid,
    cycle: i64,
}

impl Playing<'_> {
    fn start(&self) -> f64 {
        self.grid.start_of(self.cycle)
    }
}

/// The player. See the module's documentation.
#[derive(Debug, Default)]
pub struct Player {
    sounding: Sounding,
    decisions: Decisions,
    /// The cycle being played; `None` while the transport stands.
    cycle: Option<i64>,
    stand_in: Option<StandIn>,
    /// Index of the next note of the playing pattern.
    cursor: usize,
    /// Where the current pattern is heard from, in beats of the song.
    entry: f64,
    /// Whether the cycle that comes next was entered too late to be decided in time.
    hurried: bool,
    /// Whether all must end before anything else.
    flush: bool,
    grid: Option<Grid>,
    model: u32,
    /// Whether the model has changed since the last stretch while a pattern plays on.
    other_model: bool,
    playhead: Option<Playhead>,
}

impl Player {
    /// Starts a block. [`Player::stand`] or [`Player::segment`] follow, then [`Player::events`].
    pub fn begin_block(&mut self, grid: Grid, conditions: &Conditions, link: &mut impl Link) {
        self.sounding.begin_block();
        let other_model = self.model != conditions.model
            || self.grid.is_some_and(|before| before.bars != grid.bars);
        let other_bars = self.grid.is_none_or(|before| before.bar_beats != grid.bar_beats);
        if other_model && !other_bars {
            self.change_model(link);
        } else if other_bars {
            self.leave(link);
        }
        if other_model {
            self.decisions.clear(link);
        }
        self.model = conditions.model;
        self.grid = Some(grid);
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

    /// What plays, or would play first while the transport stands.
    pub fn playhead(&self) -> Option<Playhead> {
        self.playhead
    }

    /// Ends all notes at the start of the next block and forgets the position.
    pub fn reset(&mut self) {
        self.flush = true;
        self.cycle = None;
    }

    /// A block in which the transport stands: silence, and the patterns for a start at its position
    /// are kept ready.
    pub fn stand(&mut self, block: &Block, conditions: &Conditions, link: &mut impl Link) {
        self.sounding.flush(0);
        self.leave(link);
        let Some(grid) = self.grid else { return };
        let cycle = grid.cycle_at(block.beats);
        let ahead = ahead(grid, block.frames, block.samples_per_beat);
        let wanted = Wanted::at(block.beats, cycle, grid, ahead, block.cycle_range);
        self.decisions.want(&wanted, conditions, link);
        self.decisions.collect(link);
        self.playhead = Some(Playhead {
            cycle,
            beats: (block.beats - grid.start_of(cycle)).max(0.0),
            pattern: self.decisions.current_pattern().map_or(0, Pattern::id),
        });
    }

    /// A recording that ends at a position has been sent to the worker: what comes after it is asked
    /// for with it, so that its first note is there in time.
    pub fn take_ends(&mut self, end: f64, conditions: &Conditions, link: &mut impl Link) {
        self.decisions.forget_played(link);
        let (Some(grid), Some(cycle)) = (self.grid, self.cycle) else { return };
        if self.decisions.current.as_ref().is_none_or(Decision::is_silent) {
            // Nothing of it is heard before the recording is over.
            self.entry = self.entry.max(end);
            if end < grid.start_of(cycle.saturating_add(1)) - 1e-6 {
                self.decisions.decide_current(cycle, conditions, link);
            }
        }
        self.decisions.decide_next_again(conditions, link);
    }

    /// A stretch of a block in which the transport rolls.
    pub fn segment(&mut self, segment: &Segment, conditions: &Conditions, link: &mut impl Link) {
        let Some(grid) = self.grid else { return };
        let mut at = segment.first;
        if segment.motion != Motion::Continue {
            self.sounding.flush(at);
        }
        let mut cycle = cycle_at(grid, segment, at);
        let other_model = std::mem::take(&mut self.other_model);
        match (segment.motion, self.cycle) {
            (Motion::Continue, Some(_)) if other_model => {
                self.cycle = Some(cycle);
                self.entry = segment.position(at);
            }
            // A host that arrives a little early has not gone back to the cycle before.
            (Motion::Continue, Some(playing)) if cycle == playing || cycle == playing - 1 => {
                cycle = playing;
            }
            (Motion::Continue, Some(playing)) if cycle == playing + 1 => {
                self.advance(cycle, segment, at, grid, link);
            }
            (Motion::Wrap, Some(_)) if self.decisions.is_next(cycle) => {
                self.advance(cycle, segment, at, grid, link);
            }
            _ => self.enter(cycle, segment, at, grid, conditions, link),
        }
        self.decisions.refresh(cycle, conditions, link);
        let ahead = ahead(grid, segment.end, segment.samples_per_beat);
        while at < segment.end {
            let cycle_end = grid.start_of(cycle.saturating_add(1));
            if segment.offset(cycle_end) <= i64::from(at) {
                cycle = cycle.saturating_add(1);
                self.advance(cycle, segment, at, grid, link);
                self.decisions.refresh(cycle, conditions, link);
                continue;
            }
            let mut stop = within(segment, segment.offset(cycle_end));
            let wanted = Wanted::at(segment.position(at), cycle, grid, ahead, segment.wrap);
            if segment.offset(wanted.end - ahead) < i64::from(stop) {
                self.decisions.decide_in_time(wanted.following, conditions, link);
            }
            self.decisions.collect(link);
            if self.decisions.arrived {
                stop = stop.min(self.take_over(cycle, segment, at, grid, link));
            }
            if let Some(end) = self.stand_in_end(segment, at, grid) {
                stop = stop.min(end);
            }
            self.place(segment, grid, at, stop, conditions.output);
            at = stop;
        }
        let playing = self.playing(grid);
        self.playhead = Some(Playhead {
            cycle: playing.as_ref().map_or(cycle, |playing| playing.cycle),
            beats: (segment.position(at)
                - playing.as_ref().map_or(grid.start_of(cycle), Playing::start))
            .max(0.0),
            pattern: playing.map_or(0, |playing| playing.pattern.id()),
        });
    }

    /// Leaves the rolling state: nothing sounds. The patterns on hand are kept for a start.
    fn leave(&mut self, link: &mut impl Link) {
        self.flush |= !self.sounding.is_empty();
        self.cycle = None;
        self.hurried = false;
        self.other_model = false;
        self.drop_stand_in(link);
    }

    fn drop_stand_in(&mut self, link: &mut impl Link) {
        if let Some(stand_in) = self.stand_in.take() {
            link.discard(stand_in.pattern);
        }
    }

    /// The pattern that plays goes on until one of the new model is there.
    fn change_model(&mut self, link: &mut impl Link) {
        let Some(cycle) = self.cycle else { return };
        if self.stand_in.is_none() {
            let current = self.decisions.current.as_mut();
            let pattern = current.and_then(|current| current.pattern.take());
            self.stand_in = pattern.map(|pattern| StandIn { pattern, cycle });
        }
        if self.stand_in.is_some() {
            self.other_model = true;
        } else {
            self.leave(link);
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
        let ahead = ahead(grid, segment.end, segment.samples_per_beat);
        let wanted = Wanted::at(segment.position(at), cycle, grid, ahead, segment.wrap);
        self.hurried = wanted.urgent;
        self.decisions.want(&wanted, conditions, link);
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
        let before = self.decisions.advance(cycle, link);
        self.decisions.await_current(link);
        let hurried = std::mem::take(&mut self.hurried);
        if self.decisions.current_pattern().is_some() {
            self.drop_stand_in(link);
            self.decisions.keep(before, link);
        } else {
            link.late(cycle);
            if hurried {
                self.decisions.keep(before, link);
            } else if let Some(pattern) = before.and_then(|before| before.pattern) {
                self.drop_stand_in(link);
                self.stand_in = Some(StandIn { pattern, cycle });
            }
        }
        if let Some(stand_in) = &mut self.stand_in {
            let own = Grid { bars: stand_in.pattern.bars(), ..grid };
            stand_in.cycle = cycle_at(own, segment, at);
        }
        self.begin(cycle, segment, at, grid);
    }

    /// Plays the pattern from the first note that is not past at offset `at`.
    fn begin(&mut self, cycle: i64, segment: &Segment, at: u32, grid: Grid) {
        self.cycle = Some(cycle);
        self.entry = segment.position(at);
        self.decisions.arrived = false;
        self.cursor = self.first_note(grid, |beats| segment.offset(beats) >= i64::from(at));
    }

    /// Lets a pattern play that has arrived after its cycle began: at once where nothing plays, also
    /// the notes that would have started since then, unless that is too long ago; at the next bar
    /// line where another one does. Gives the offset up to which things stay as they are.
    fn take_over(
        &mut self,
        cycle: i64,
        segment: &Segment,
        at: u32,
        grid: Grid,
        link: &mut impl Link,
    ) -> u32 {
        if self.stand_in.is_some() {
            let bar = segment.offset(grid.bar_from(segment, at));
            if bar > i64::from(at) {
                return within(segment, bar);
            }
            self.sounding.flush(at);
            self.drop_stand_in(link);
            self.begin(cycle, segment, at, grid);
        } else {
            self.decisions.arrived = false;
            // What is nearest to the sample that it was entered on is not past.
            let half_sample = (0.5 + TIE_BIAS) / segment.samples_per_beat;
            let from = (self.entry - half_sample).max(segment.position(at) - LATEST_START);
            self.cursor = self.first_note(grid, |beats| beats >= from);
        }
        segment.end
    }

    /// Where a stand-in's own cycle ends, if one plays; there it begins again.
    fn stand_in_end(&mut self, segment: &Segment, at: u32, grid: Grid) -> Option<u32> {
        let stand_in = self.stand_in.as_mut()?;
        let own = Grid { bars: stand_in.pattern.bars(), ..grid };
        let mut end = segment.offset(own.start_of(stand_in.cycle.saturating_add(1)));
        if end <= i64::from(at) {
            stand_in.cycle = cycle_at(own, segment, at);
            self.cursor = 0;
            end = segment.offset(own.start_of(stand_in.cycle.saturating_add(1)));
        }
        Some(within(segment, end))
    }

    /// Index of the first note of the playing pattern whose start, in beats of the song, is `due`.
    fn first_note(&self, grid: Grid, due: impl Fn(f64) -> bool) -> usize {
        self.playing(grid).map_or(0, |playing| {
            let start = playing.start();
            let notes = playing.pattern.notes();
            notes.partition_point(|note| !due(start + playing.grid.onset(note.start)))
        })
    }

    /// Puts out the events from offset `at` up to, not including, `stop`.
    fn place(&mut self, segment: &Segment, grid: Grid, at: u32, stop: u32, output: bool) {
        let clamp = |offset: i64| u32::try_from(offset).unwrap_or(0).max(at);
        loop {
            let end = self
                .sounding
                .next_end(|beats| segment.offset(beats))
                .map(|(index, offset)| (index, clamp(offset)))
                .filter(|&(_, offset)| offset < stop);
            let Some(playing) = self.playing(grid) else {
                let Some((index, offset)) = end else { return };
                self.sounding.stop(index, offset);
                continue;
            };
            let (own, start) = (playing.grid, playing.start());
            let offset_of = |note: f64| segment.offset(start + own.onset(note));
            let mut notes = playing.pattern.notes().iter().skip(self.cursor);
            let note = notes.next().map(|note| (*note, clamp(offset_of(note.start))));
            let note = note.filter(|&(_, offset)| offset < stop);
            match (end, note) {
                (Some((index, offset)), None) => self.sounding.stop(index, offset),
                (Some((index, offset)), Some((_, on))) if offset <= on => {
                    self.sounding.stop(index, offset);
                }
                (_, Some((note, offset))) => {
                    let following = notes.find(|other| other.start > note.start);
                    // Of notes that come too late even to end, the last are still heard.
                    let is_last = following
                        .is_none_or(|following| offset_of(following.start) > i64::from(at));
                    self.cursor += 1;
                    let Some((from, to)) = own.place(note.start, note.end) else { continue };
                    let is_over = segment.offset(start + from) < i64::from(at)
                        && segment.offset(start + to) <= i64::from(at);
                    let end = if is_over { segment.position(at) + to - from } else { start + to };
                    if output && (is_last || !is_over) {
                        self.sounding.start(offset, note.channel, note.pitch, note.velocity, end);
                    }
                }
                (None, None) => return,
            }
        }
    }

    fn playing(&self, grid: Grid) -> Option<Playing<'_>> {
        if let Some(StandIn { pattern, cycle }) = &self.stand_in {
            let grid = Grid { bars: pattern.bars(), ..grid };
            return Some(Playing { pattern, grid, cycle: *cycle });
        }
        let pattern = self.decisions.current_pattern()?;
        let cycle = self.cycle?;
        (pattern.bars() == grid.bars).then_some(Playing { pattern, grid, cycle })
    }
}

fn discard(pattern: Option<Box<Pattern>>, link: &mut impl Link) {
    if let Some(pattern) = pattern {
        link.discard(pattern);
    }
}

/// Beats before a cycle at which it is decided where blocks have so many samples: the answer must
/// be there in the block before the cycle begins.
fn ahead(grid: Grid, frames: u32, samples_per_beat: f64) -> f64 {
    look_ahead(grid.bars).max(2.0 * f64::from(frames) / samples_per_beat)
}

/// An offset, not beyond the end of its segment.
fn within(segment: &Segment, offset: i64) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX).min(segment.end)
}

/// The cycle that the sample at an offset lies in: one that begins on this sample has begun.
fn cycle_at(grid: Grid, segment: &Segment, at: u32) -> i64 {
    let cycle = grid.cycle_at(segment.position(at));
    let following = cycle.saturating_add(1);
    if segment.offset(grid.start_of(following)) <= i64::from(at) { following } else { cycle }
}
