//! When the next frame is painted.
//!
//! Some window systems ask for a frame every few milliseconds whether anything has changed or not,
//! and painting without a graphics card costs as much as decoding. So a frame is painted at once
//! after input, and otherwise when it would look different and not more often than it is worth.

use std::time::{Duration, Instant};

/// Shortest pause between two frames that no input asked for.
const SHORTEST_PAUSE: Duration = Duration::from_millis(16);
/// Longest pause between two frames while something moves, and between two looks at what is shown.
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How many times longer than painting the pause is at least: a fifth of a core is enough.
const PAUSE_FOR_COST: u32 = 4;

/// What asks for the next frame.
#[derive(Debug)]
pub(super) struct Demand {
    /// The user did something, or the system lost the picture.
    at_once: bool,
    /// When the picture moves on by itself.
    wanted: Option<Instant>,
    /// When the last frame was finished.
    painted: Instant,
    pause: Duration,
    /// When the window system was told to ask again.
    look: Option<Instant>,
}

impl Demand {
    /// The demand for a first frame.
    pub(super) fn new(now: Instant) -> Self {
        Self { at_once: true, wanted: None, painted: now, pause: SHORTEST_PAUSE, look: None }
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
    pub(super) fn is_due(&mut self, now: Instant, changed: impl FnOnce() -> bool) -> bool {
        let paced = now >= self.painted + self.pause;
        let wanted = self.wanted.is_some_and(|wanted| wanted <= now);
        let due = self.at_once || (paced && (wanted || changed()));
        if due {
            self.at_once = false;
            self.wanted = None;
        }
        due
    }

    /// Notes that a frame took from `begun` until `now`.
    pub(super) fn painted(&mut self, begun: Instant, now: Instant) {
        self.painted = now;
        let cost = now.saturating_duration_since(begun);
        self.pause = (cost * PAUSE_FOR_COST).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
    }

    /// In how long the window system shall ask again; `None` when it was told so before.
    pub(super) fn next_look(&mut self, now: Instant) -> Option<Duration> {
        let look =
            if self.at_once { now } else { (self.painted + self.pause).max(now + SHORTEST_PAUSE) };
        if self.look.is_some_and(|planned| planned > now && planned <= look) {
            return None;
        }
        self.look = Some(look);
        Some(look.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Nothing is painted while nothing changes; input is painted at once, even right after a frame.
    #[test]
    fn frames_are_painted_when_needed() {
        let start = Instant::now();
        let mut demand = Demand::new(start);
        assert!(demand.is_due(start, || false), "the first frame");
        demand.painted(start, start + 2 * MS);
        for later in [3, 20, 200, 2000] {
            assert!(!demand.is_due(start + later * MS, || false));
        }
        assert!(demand.is_due(start + 2000 * MS, || true));
        demand.painted(start + 2000 * MS, start + 2002 * MS);
        assert!(!demand.is_due(start + 2003 * MS, || true), "too soon for what moves by itself");
        demand.at_once();
        assert_eq!(demand.next_look(start + 2003 * MS), Some(Duration::ZERO));
        assert!(demand.is_due(start + 2003 * MS, || false));
        assert!(!demand.is_due(start + 2003 * MS, || false));
    }

    /// Expensive frames are painted less often, but ten times a second at least.
    #[test]
    fn expensive_frames_are_rare() {
        let start = Instant::now();
        let mut demand = Demand::new(start);
        assert!(demand.is_due(start, || true));
        demand.painted(start, start + 20 * MS);
        demand.at(Some(start + 36 * MS));
        assert!(!demand.is_due(start + 90 * MS, || true));
        assert_eq!(demand.next_look(start + 20 * MS), Some(80 * MS));
        assert_eq!(demand.next_look(start + 90 * MS), None, "a look is planned");
        assert!(demand.is_due(start + 100 * MS, || false), "the wanted frame was not forgotten");
        demand.painted(start, start + 900 * MS);
        assert!(demand.is_due(start + 1000 * MS, || true));
    }
}
