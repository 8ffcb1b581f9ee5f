//! Decisions: the patterns requested for the current cycle and the next.

use super::{Conditions, Lane, Link, Pattern, Request, Settings, URGENT, discard, look_ahead};
use crate::transport::Grid;

mod shelf;

pub(super) use shelf::PLACES;
use shelf::Shelf;

/// The end of a cycle, in beats, that nothing is decided for when a loop begins in it.
const LAST_MOMENT: f64 = 0.125;

/// A cycle whose pattern has been asked for.
#[derive(Debug)]
pub(super) struct Decision {
    id: u64,
    lane: Lane,
    pub(super) cycle: i64,
    settings: Settings,
    /// Whether its time had come; until then it is asked for anew when the settings change.
    due: bool,
    pub(super) pattern: Option<Box<Pattern>>,
}

impl Decision {
    /// Whether its answer is, or will be, what a cycle needs under these conditions.
    fn fits(&self, cycle: i64, conditions: &Conditions) -> bool {
        self.serves(cycle, &conditions.settings) && self.is_fresh(conditions)
    }

    /// Whether it has the settings and the noise that a cycle needs.
    fn serves(&self, cycle: i64, settings: &Settings) -> bool {
        self.settings == *settings && (self.cycle == cycle || !settings.sampling.evolve)
    }

    /// Whether it is made of what the slots hold now. An answer that is still to come will be.
    fn is_fresh(&self, conditions: &Conditions) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.contents() >= conditions.contents)
    }

    /// Whether nothing plays: the answer has come and holds no note.
    pub(super) fn is_silent(&self) -> bool {
        self.pattern.as_ref().is_some_and(|pattern| pattern.notes().is_empty())
    }
}

/// Which patterns a position needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// The cycle that the position lies in.
    cycle: i64,
    /// The one that comes next, by time or by the loop.
    pub(super) following: i64,
    /// Where that begins, in beats.
    pub(super) end: f64,
    /// Whether its decision point has passed.
    near: bool,
    /// Whether there is hardly time for its pattern.
    pub(super) urgent: bool,
    /// Whether hardly anything is heard before it.
    brief: bool,
}

impl Wanted {
    /// What a position in a cycle needs, where cycles are decided so many beats ahead.
    pub(super) fn at(
        beats: f64,
        cycle: i64,
        grid: Grid,
        ahead: f64,
        wrap: Option<(f64, f64)>,
    ) -> Self {
        let cycle_end = grid.start_of(cycle.saturating_add(1));
        let (end, following) = match wrap {
            Some((start, end)) if end > beats && end <= cycle_end + 1e-6 => {
                // A cycle whose last moment the loop begins in has no note there.
                (end, grid.cycle_at(start + LAST_MOMENT))
            }
            _ => (cycle_end, cycle.saturating_add(1)),
        };
        let left = end - beats;
        let near = left <= ahead;
        let brief = left < URGENT;
        let urgent = brief || near && ahead > look_ahead(grid.bars);
        Self { cycle, following, end, near, urgent, brief }
    }
}

/// The decisions for the current cycle and the next.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    next_id: u64,
    pub(super) current: Option<Decision>,
    pub(super) next: Option<Decision>,
    /// Whether the current pattern has come after its cycle began and does not play yet.
    pub(super) arrived: bool,
    shelf: Shelf,
    /// Last request whose pattern is not kept once it has played.
    forgotten: u64,
}

impl Decisions {
    /// Gives back all.
    pub(super) fn clear(&mut self, link: &mut impl Link) {
        for decision in [self.current.take(), self.next.take()].into_iter().flatten() {
            discard(decision.pattern, link);
        }
        self.shelf.clear(link);
        self.arrived = false;
    }

    /// Keeps of the patterns on hand, asked for or there, those that fit, and asks for the others;
    /// first for what is heard first.
    pub(super) fn want(&mut self, wanted: &Wanted, conditions: &Conditions, link: &mut impl Link) {
        let mut stock = [self.current.take(), self.next.take()];
        // What is there serves before what is still to come.
        let mut pick = |cycle: i64, itself: bool| {
            let fits = |decision: &Decision| {
                (!itself || decision.cycle == cycle) && decision.fits(cycle, conditions)
            };
            let place = stock
                .iter_mut()
                .filter(|place| place.as_ref().is_some_and(fits))
                .max_by_key(|place| {
                    place
                        .as_ref()
                        .map(|decision| (decision.pattern.is_some(), decision.cycle == cycle))
                })?;
            place.take().map(|decision| Decision { cycle, ..decision })
        };
        if wanted.urgent {
            // A loop may make both the same cycle.
            if wanted.brief || wanted.following != wanted.cycle {
                self.next = pick(wanted.following, true);
            }
            self.current = pick(wanted.cycle, true);
            self.next = self.next.take().or_else(|| pick(wanted.following, false));
        }
        self.current = self.current.take().or_else(|| pick(wanted.cycle, false));
        // A pattern for later is kept too; its time will come, or it is asked for anew.
        self.next = self.next.take().or_else(|| pick(wanted.following, false));
        for decision in stock.into_iter().flatten() {
            self.put_away(decision, link);
        }
        let mut played_before = |cycle| self.shelf.take(cycle, conditions);
        self.current = self.current.take().or_else(|| played_before(wanted.cycle));
        self.next = self.next.take().or_else(|| played_before(wanted.following));
        if wanted.urgent && self.next.is_none() {
            self.decide_next(wanted.following, conditions, link);
        }
        if self.current.is_none() {
            self.decide_current(wanted.cycle, conditions, link);
        }
        if wanted.near && self.next.is_none() {
            self.decide_next(wanted.following, conditions, link);
        }
        self.arrived = false;
    }

    /// Decides the next cycle, at its decision point or after it. What was made ready for it holds
    /// if it was made with the settings of this moment.
    pub(super) fn decide_in_time(
        &mut self,
        cycle: i64,
        conditions: &Conditions,
        link: &mut impl Link,
    ) {
        let holds = self.next.as_ref().is_some_and(|next| {
            if next.due {
                next.cycle == cycle && next.is_fresh(conditions)
            } else {
                next.fits(cycle, conditions)
            }
        });
        if !holds {
            match self.shelf.take(cycle, conditions) {
                Some(decision) => {
                    if let Some(replaced) = self.next.replace(decision) {
                        self.put_away(replaced, link);
                    }
                }
                None => self.decide_next(cycle, conditions, link),
            }
        }
        if let Some(next) = &mut self.next {
            (next.cycle, next.due) = (cycle, true);
        }
    }

    /// Decides the next cycle once more, as something has happened that its answer must follow.
    pub(super) fn decide_next_again(&mut self, conditions: &Conditions, link: &mut impl Link) {
        let Some((cycle, due)) = self.next.as_ref().map(|next| (next.cycle, next.due)) else {
            return;
        };
        self.decide_next(cycle, conditions, link);
        if let Some(next) = &mut self.next {
            next.due = due;
        }
    }

    /// Asks for the current cycle again when it could not be asked for before, or when nothing plays
    /// in it and the slots have changed. Takes its answer, and waits for it where `process` may.
    pub(super) fn refresh(&mut self, cycle: i64, conditions: &Conditions, link: &mut impl Link) {
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.is_silent() && !current.is_fresh(conditions))
        {
            self.decide_current(cycle, conditions, link);
        }
        self.await_current(link);
    }

    pub(super) fn decide_current(
        &mut self,
        cycle: i64,
        conditions: &Conditions,
        link: &mut impl Link,
    ) {
        let lane = self.next.as_ref().map_or(Lane::One, |next| next.lane.other());
        let alone = self.next.as_ref().is_none_or(|next| next.pattern.is_some());
        let decision = self.ask(lane, alone, cycle, conditions, link);
        if decision.is_some()
            && let Some(replaced) = std::mem::replace(&mut self.current, decision)
        {
            self.put_away(replaced, link);
        }
    }

    pub(super) fn decide_next(
        &mut self,
        cycle: i64,
        conditions: &Conditions,
        link: &mut impl Link,
    ) {
        let lane = self.current.as_ref().map_or(Lane::One, |current| current.lane.other());
        let alone = self.current.as_ref().is_none_or(|current| current.pattern.is_some());
        let decision = self.ask(lane, alone, cycle, conditions, link);
        if decision.is_some()
            && let Some(replaced) = std::mem::replace(&mut self.next, decision)
        {
            self.put_away(replaced, link);
        }
    }

    fn ask(
        &mut self,
        lane: Lane,
        alone: bool,
        cycle: i64,
        conditions: &Conditions,
        link: &mut impl Link,
    ) -> Option<Decision> {
        let (id, settings) = (self.next_id + 1, conditions.settings);
        if !link.request(&Request { id, lane, alone, cycle, settings }) {
            return None;
        }
        self.next_id = id;
        Some(Decision { id, lane, cycle, settings, due: false, pattern: None })
    }

    /// Whether the next cycle has been decided and is this one.
    pub(super) fn is_next(&self, cycle: i64) -> bool {
        self.next.as_ref().is_some_and(|next| next.cycle == cycle)
    }

    /// Makes the next cycle the current one. Gives the one before, to be kept by
    /// [`Decisions::keep`].
    pub(super) fn advance(&mut self, cycle: i64, link: &mut impl Link) -> Option<Decision> {
        let before = self.current.take();
        let next = self.next.take();
        if next.as_ref().is_some_and(|next| next.cycle == cycle) {
            self.current = next;
        } else if let Some(next) = next {
            self.put_away(next, link);
        }
        self.arrived = false;
        before
    }

    /// Gives back what has played, and keeps nothing of what was asked for up to now: something has
    /// happened that the slots will show only later.
    pub(super) fn forget_played(&mut self, link: &mut impl Link) {
        self.shelf.clear(link);
        self.forgotten = self.next_id;
    }

    fn put_away(&mut self, decision: Decision, link: &mut impl Link) {
        if decision.id > self.forgotten {
            self.shelf.put(decision, link);
        } else {
            discard(decision.pattern, link);
        }
    }

    /// Keeps what has played for when its cycle comes again.
    pub(super) fn keep(&mut self, decision: Option<Decision>, link: &mut impl Link) {
        if let Some(decision) = decision {
            self.put_away(decision, link);
        }
    }

    pub(super) fn current_pattern(&self) -> Option<&Pattern> {
        self.current.as_ref()?.pattern.as_deref()
    }

    /// Takes the answers that are ready.
    pub(super) fn collect(&mut self, link: &mut impl Link) {
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
    }

    /// Takes the answers that are ready; where `process` may wait, also that for the current cycle.
    pub(super) fn await_current(&mut self, link: &mut impl Link) {
        self.collect(link);
        while self.current.as_ref().is_some_and(|current| current.pattern.is_none()) && link.wait()
        {
            self.collect(link);
        }
    }
}
