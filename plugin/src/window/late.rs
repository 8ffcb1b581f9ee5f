//! For how long a late cycle matters.

use std::time::{Duration, Instant};

/// How long the count of late cycles stays after the last one.
const STAYS: Duration = Duration::from_secs(20);
/// How long it takes to fade then.
const FADES: Duration = Duration::from_secs(8);
/// Steps of the fading: each is a frame to paint.
const STEPS: f32 = 16.0;

/// The late cycles that the user should know of.
#[derive(Debug, Default)]
pub(super) struct Late {
    /// All that there were.
    total: Option<u64>,
    count: u64,
    last: Option<Instant>,
}

impl Late {
    /// Takes the number of late cycles since the plug-in was made; returns how many matter now, and
    /// how much, in `0..=1`.
    pub(super) fn follow(&mut self, total: u64, now: Instant) -> (u64, f32) {
        // Those from before the window was there matter as much as those from long ago.
        let before = self.total.replace(total).unwrap_or(total);
        if total > before {
            self.count += total - before;
            self.last = Some(now);
        }
        let Some(last) = self.last else { return (0, 1.0) };
        let fading = now.saturating_duration_since(last).saturating_sub(STAYS);
        if fading >= FADES {
            self.count = 0;
            self.last = None;
            return (0, 1.0);
        }
        let glow = 1.0 - fading.as_secs_f32() / FADES.as_secs_f32();
        (self.count, (glow * STEPS).ceil() / STEPS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Late cycles are counted while they come, fade when none comes any more, and are forgotten.
    #[test]
    fn late_cycles_fade() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut late = Late::default();
        assert_eq!(late.follow(7, at(0)), (0, 1.0), "what was before the window is past");
        assert_eq!(late.follow(8, at(1)), (1, 1.0));
        assert_eq!(late.follow(10, at(10)), (3, 1.0));
        assert_eq!(late.follow(10, at(29)), (3, 1.0));
        let (count, glow) = late.follow(10, at(34));
        assert!(count == 3 && (0.4..0.7).contains(&glow), "{glow}");
        assert_eq!(late.follow(10, at(38)), (0, 1.0));
        assert_eq!(late.follow(11, at(60)), (1, 1.0), "counted anew");
    }
}
