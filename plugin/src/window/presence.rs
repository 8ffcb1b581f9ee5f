//! Whether the host calls `process`, and what is shown when it does not.

use std::time::{Duration, Instant};

use crate::player::Settings;

/// Without a block for so long, the host has stopped calling: longer than any block lasts.
const LONGEST_BLOCK: Duration = Duration::from_millis(800);
/// The pause between two patterns that the editor asks for itself.
const PAUSE: Duration = Duration::from_millis(150);

/// What a pattern is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Subject {
    pub(super) cycle: i64,
    pub(super) settings: Settings,
    /// Grows with every change of the slots and of the model.
    pub(super) contents: u64,
    pub(super) model: u32,
}

/// The host, as the editor meets it.
#[derive(Debug, Default)]
pub(super) struct Presence {
    blocks: u64,
    last: Option<Instant>,
    asked: Option<(Subject, Instant)>,
}

impl Presence {
    /// Takes the number of blocks that were processed; says whether the host still calls.
    pub(super) fn follow(&mut self, blocks: u64, now: Instant) -> bool {
        if std::mem::replace(&mut self.blocks, blocks) != blocks {
            self.last = Some(now);
        }
        let calls = self.last.is_some_and(|last| now < last + LONGEST_BLOCK);
        if calls {
            self.asked = None;
        }
        calls
    }

    /// Whether the editor has to ask for the pattern itself: nobody else does, and what was asked
    /// for last is another one.
    pub(super) fn asks(&mut self, subject: Subject, now: Instant) -> bool {
        let asks = self.asked.is_none_or(|(last, then)| last != subject && now >= then + PAUSE);
        if asks {
            self.asked = Some((subject, now));
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host calls as long as blocks come, and again when they come again.
    #[test]
    fn hosts_are_missed() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut presence = Presence::default();
        assert!(!presence.follow(0, at(0)), "none has come yet");
        assert!(presence.follow(1, at(10)));
        assert!(presence.follow(1, at(500)), "blocks can be long");
        assert!(!presence.follow(1, at(1000)));
        assert!(presence.follow(2, at(5000)));
    }

    /// The same pattern is asked for once, another one after a pause, and all again after the host
    /// has called.
    #[test]
    fn patterns_are_asked_for_once() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut presence = Presence::default();
        let subject =
            |morph| Subject { cycle: 0, settings: Settings::at(morph), contents: 1, model: 1 };
        assert!(presence.asks(subject(0.0), at(0)));
        assert!(!presence.asks(subject(0.0), at(1000)));
        assert!(presence.asks(subject(0.1), at(1000)));
        assert!(!presence.asks(subject(0.2), at(1010)));
        assert!(presence.asks(subject(0.2), at(1200)));
        assert!(presence.follow(1, at(2000)));
        assert!(presence.asks(subject(0.2), at(4000)));
    }
}
