//! Detects offline rendering: how far a host is ahead of the wall clock, and how long `process` may
//! therefore wait.
//!
//! A bounce calls `process` as fast as it can. Not every host declares it where nice-plug reads it,
//! so it is inferred from the clock: the song time of the blocks against the time between their
//! calls.
//!
//! A host in real time is never made to wait. It is behind as often as ahead: what it plays fast to
//! catch up after a stall only pays back what it lost, and what it plays ahead into its buffers, at
//! a start or all the time, is a fraction of a second. Patience begins above that, grows with the
//! headway, and is only used where music would be lost without it.
//!
//! Reading the clock is no system call where the system offers it to programs, as Linux does
//! (`clock_gettime` in the vDSO), macOS and Windows.

use std::time::{Duration, Instant};

/// Lead over the wall clock in seconds from which waiting is allowed: more than drivers and hosts
/// buffer ahead.
const REAL_TIME: f64 = 0.25;
/// Lead in seconds that no host has in real time.
const CERTAIN: f64 = 1.0;
/// Most that a host can be behind, in seconds: it need not play fast for longer than that before it
/// counts as ahead.
const MOST_BEHIND: f64 = 0.5;
/// A pause between two calls, in seconds, after which a new reckoning begins.
const PAUSE: f64 = 1.0;
/// Most headway that is kept, in seconds.
const MOST_AHEAD: f64 = 2.0;
/// A call after at least this share of its block's length is one as in real time.
const UNHURRIED: f64 = 0.8;
/// In calls as in real time, headway fades in this many seconds; so after a bounce it is soon gone.
const FADING: f64 = 0.1;
/// What a host is behind is forgotten in this many seconds: clocks of sound devices are not quite
/// those of computers.
const FORGETTING: f64 = 20.0;
/// Longest wait in a call that is certainly offline.
pub const LONGEST_WAIT: Duration = Duration::from_mins(1);

/// Estimator of a host's lead over the wall clock, see the module's documentation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Headway {
    /// When `process` was called last, and for how many seconds of song time.
    last: Option<(Instant, f64)>,
    /// Seconds.
    ahead: f64,
}

impl Headway {
    /// Begins anew, as after an activation.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// A call of `process` for `seconds` of song time.
    pub fn block(&mut self, now: Instant, seconds: f64) {
        if let Some((then, song)) = self.last.replace((now, seconds)) {
            let wall = now.saturating_duration_since(then).as_secs_f64();
            if wall > song + PAUSE {
                self.ahead = 0.0;
                return;
            }
            if self.ahead < 0.0 {
                self.ahead *= (-song / FORGETTING).exp();
            } else if wall >= UNHURRIED * song {
                self.ahead *= (-wall.min(2.0 * song) / FADING).exp();
            }
            self.ahead = (self.ahead + song - wall).clamp(-MOST_BEHIND, MOST_AHEAD);
        }
    }

    /// The host was made to wait inside the last call; that is not its own time.
    pub fn waited(&mut self, wait: Duration) {
        if self.ahead >= CERTAIN
            && let Some((then, _)) = &mut self.last
        {
            *then += wait;
        }
    }

    /// Longest wait allowed in this call.
    pub fn patience(&self) -> Duration {
        if self.ahead >= CERTAIN {
            LONGEST_WAIT
        } else {
            Duration::from_secs_f64((self.ahead - REAL_TIME).max(0.0) / 2.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host: blocks of some seconds each, called when it likes.
    struct Host {
        headway: Headway,
        now: Instant,
        most: Duration,
    }

    impl Host {
        fn new() -> Self {
            Self { headway: Headway::default(), now: Instant::now(), most: Duration::ZERO }
        }

        /// A call after a pause.
        fn call(&mut self, pause: f64, block: f64) -> Duration {
            self.now += Duration::from_secs_f64(pause);
            self.headway.block(self.now, block);
            let patience = self.headway.patience();
            self.most = self.most.max(patience);
            patience
        }
    }

    /// Numbers in `0.0..1.0`.
    fn random() -> impl FnMut() -> f64 {
        let mut state = 1_u32;
        move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        }
    }

    /// In real time nobody waits: with calls that come early and late, a device clock that is off,
    /// buffers filled ahead, blocks cut into pieces, stalls that are caught up, pauses.
    #[test]
    fn real_time_never_waits() {
        for block in [0.000_7, 64.0 / 48_000.0, 256.0 / 48_000.0, 1024.0 / 44_100.0, 0.1] {
            for (fill, pieces, drift) in [(0, 1, 1.0), (3, 1, 0.999), (2, 16, 1.001), (1, 7, 1.0)] {
                let mut random = random();
                let mut host = Host::new();
                for _ in 0..fill {
                    host.call(1e-5, block);
                }
                // When the device takes the next block, against the wall.
                let (mut due, mut wall) = (0.0, 0.0);
                for count in 0..20_000 {
                    due += block * drift;
                    let late = match random() {
                        chance if chance < 0.001 => 0.4 * random(),
                        _ => 0.8 * block * random(),
                    };
                    let at = f64::max(due + late, wall + 1e-5);
                    for piece in 0..pieces {
                        let pause = if piece == 0 { at - wall } else { 1e-5 };
                        host.call(pause, block / f64::from(pieces));
                        wall += pause;
                    }
                    if count % 7001 == 7000 {
                        // The host was asleep.
                        host.call(30.0, block);
                        (wall, due) = (wall + 30.0, due + 30.0);
                    }
                }
                assert_eq!(host.most, Duration::ZERO, "{block} {fill} {pieces} {drift}");
            }
        }
    }

    /// A host that always plays a fifth of a second ahead is in real time too.
    #[test]
    fn playing_ahead_is_real_time() {
        let mut host = Host::new();
        for start in 0..20 {
            for _ in 0..37 {
                host.call(1e-4, 256.0 / 48_000.0);
            }
            for _ in 0..5000 {
                host.call(256.0 / 48_000.0, 256.0 / 48_000.0);
            }
            assert_eq!(host.most, Duration::ZERO, "start {start}");
            host.call(3.0, 256.0 / 48_000.0);
        }
    }

    /// A bounce is known after a quarter of a second of song time and certain after one, also when
    /// it follows on hours of real time, or on a stall; made to wait, it is still a bounce. Back in
    /// real time the patience is soon gone.
    #[test]
    fn a_bounce_waits() {
        for block in [64.0 / 48_000.0, 512.0 / 48_000.0, 16_384.0 / 44_100.0] {
            for hours in [false, true] {
                let mut host = Host::new();
                if hours {
                    for _ in 0..10_000 {
                        host.call(block * 1.000_1, block);
                    }
                    host.call(block + 0.3, block);
                }
                let (mut song, mut waits_from) = (0.0, None);
                while host.headway.patience() < LONGEST_WAIT {
                    song += block;
                    if host.call(5e-5, block) > Duration::ZERO {
                        waits_from.get_or_insert(song);
                    }
                    assert!(song < 2.5, "{block} {hours}");
                }
                let from = waits_from.expect("patience grows");
                assert!(hours || from <= 0.3 + 2.0 * block, "{block}: {from}");
                for _ in 0..10 {
                    let wait = Duration::from_secs(8);
                    host.headway.waited(wait);
                    assert_eq!(host.call(8.0, block), LONGEST_WAIT);
                }
            }
        }
        let mut host = Host::new();
        for _ in 0..3000 {
            host.call(5e-5, 0.01);
        }
        assert_eq!(host.headway.patience(), LONGEST_WAIT);
        for count in 0..3000 {
            let patience = host.call(0.01, 0.01);
            assert!(patience == Duration::ZERO || count < 25, "{count}: {patience:?}");
        }
        host.headway.reset();
        assert_eq!(host.headway.patience(), Duration::ZERO);
    }
}
