//! Scheduling of frames.
//!
//! Painting without a graphics card costs as much as decoding, and even polling for changes wakes a
//! sleeping processor. So a frame is painted at once after input, and otherwise when it would look
//! different and not more often than it is worth; while nothing moves, the window looks a few times
//! a second.

use std::time::{Duration, Instant};

/// Polling interval while nothing moves.
pub(super) const CALM: Duration = Duration::from_millis(100);
/// Shortest pause between two frames that no input asked for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(16);
/// Longest pause between two frames while something moves.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// Minimum ratio of the pause to the time of painting, which limits painting to a fifth of a core.
const PAUSE_FOR_COST: u32 = 4;

/// Reasons for the next frame.
#[derive(Debug)]
pub(super) struct Demand {
    /// The user did something, or the system lost the picture.
    at_once: bool,
    /// When the picture moves on by itself.
    wanted: Option<Instant>,
    /// When the last frame was finished.
    painted: Instant,
    /// When what is shown was looked at last.
    looked: Instant,
    pause: Duration,
    /// Whether it had changed then: it will soon have changed again.
    moves: bool,
    /// When the window system was told to ask again.
    planned: Option<Instant>,
}

impl Demand {
    /// The demand for a first frame.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            at_once: true,
            wanted: None,
            painted: now,
            looked: now,
            pause: SHORTEST_PAUSE,
            moves: false,
            planned: None,
        }
    }

    /// Asks for a frame as soon as possible.
    pub(super) fn at_once(&mut self) {
        self.at_once = true;
    }

    /// Asks for a frame at a time.
    pub(super) fn at(&mut self, time: Option<Instant>) {
        if let Some(time) = time {
            self.wanted = Some(self.wanted.map_or(time, |wanted| wanted.min(time)));
        }
    }

    /// Whether to paint now. `changed` is asked when nothing else decides.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.at_once || (self.is_paced(now) && self.wanted.is_some_and(|wanted| wanted <= now))
    }

    /// Looks whether what is shown has `changed`, when that is worth a look; asks for a frame then.
    pub(super) fn look(&mut self, now: Instant, changed: impl FnOnce() -> bool) {
        let pause = if self.moves { self.pause } else { CALM / 2 };
        if self.at_once || !self.is_paced(now) || now < self.looked + pause {
            return;
        }
        self.looked = now;
        self.moves = changed();
        self.at_once = self.moves;
    }

    fn is_paced(&self, now: Instant) -> bool {
        now >= self.painted + self.pause
    }

    /// Notes that a frame took from `begun` until `now`.
    pub(super) fn painted(&mut self, begun: Instant, now: Instant) {
        self.at_once = false;
        self.wanted = self.wanted.filter(|wanted| *wanted > begun);
        self.painted = now;
        self.looked = now;
        let cost = now.saturating_duration_since(begun);
        self.pause = (cost * PAUSE_FOR_COST).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    }

    /// In how long the window system shall ask again; `None` when it was told so before, or when
    /// nothing moves.
    pub(super) fn next_look(&mut self, now: Instant) -> Option<Duration> {
        let paced = (self.painted + self.pause).max(now + SHORTEST_PAUSE);
        let next = if self.at_once {
            now
        } else {
            let moving = self.moves.then_some(paced);
            let wanted = self.wanted.map(|wanted| wanted.max(paced));
            moving.into_iter().chain(wanted).min()?
        };
        if self.planned.is_some_and(|planned| planned > now && planned <= next) {
            return None;
        }
        self.planned = Some(next);
        Some(next.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn paints(demand: &mut Demand, now: Instant, changed: bool) -> bool {
        demand.look(now, || changed);
        let due = demand.is_due(now);
        if due {
            demand.painted(now, now + MS);
        }
        due
    }

    /// Nothing is painted while nothing changes, and the window system is left alone; input is
    /// painted at once, even right after a frame.
    #[test]
    fn frames_are_painted_when_needed() {
        let start = Instant::now();
        let mut demand = Demand::new(start);
        assert!(paints(&mut demand, start, false), "the first frame");
        for later in [3, 20, 200, 2000] {
            assert!(!paints(&mut demand, start + later * MS, false));
            assert_eq!(demand.next_look(start + later * MS), None);
        }
        assert!(paints(&mut demand, start + 3000 * MS, true));
        assert!(!paints(&mut demand, start + 3003 * MS, true), "too soon for what moves by itself");
        demand.at_once();
        assert_eq!(demand.next_look(start + 3003 * MS), Some(Duration::ZERO));
        assert!(paints(&mut demand, start + 3003 * MS, false));
        assert!(!paints(&mut demand, start + 3003 * MS, false));
    }

    /// What moves is looked at again as soon as a frame is worth it, and a few times a second once
    /// it rests.
    #[test]
    fn what_moves_is_followed_until_it_rests() {
        let start = Instant::now();
        let mut demand = Demand::new(start);
        assert!(paints(&mut demand, start, false));
        assert!(paints(&mut demand, start + 200 * MS, true));
        assert_eq!(demand.next_look(start + 201 * MS), Some(16 * MS));
        assert!(paints(&mut demand, start + 217 * MS, true));
        assert!(!paints(&mut demand, start + 240 * MS, false), "it rests");
        assert_eq!(demand.next_look(start + 240 * MS), None);
        let mut looks = 0;
        for later in 240..1240 {
            demand.look(start + later * MS, || {
                looks += 1;
                false
            });
        }
        assert!((8..=20).contains(&looks), "{looks} looks in a second");
    }

    /// Expensive frames are painted less often, but ten times a second at least.
    #[test]
    fn expensive_frames_are_rare() {
        let start = Instant::now();
        let mut demand = Demand::new(start);
        assert!(demand.is_due(start));
        demand.painted(start, start + 20 * MS);
        demand.at(Some(start + 36 * MS));
        assert!(!demand.is_due(start + 90 * MS));
        assert_eq!(demand.next_look(start + 20 * MS), Some(80 * MS));
        assert_eq!(demand.next_look(start + 90 * MS), None, "a look is planned");
        assert!(demand.is_due(start + 100 * MS), "the wanted frame was not forgotten");
        demand.painted(start, start + 900 * MS);
        demand.at_once();
        assert!(demand.is_due(start + 901 * MS));
        demand.painted(start + 901 * MS, start + 1800 * MS);
        demand.at(Some(start + 1801 * MS));
        assert_eq!(demand.next_look(start + 1801 * MS), Some(99 * MS));
    }
}
