//! Measurements of the demo, as `report.json` and as a table.

use std::{fmt::Write as _, time::Duration};

use interlude_models::clip::{BEATS_PER_STEP, Clip};
use serde::Serialize;

/// Measurements of one demo.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Name of the model that played.
    pub(super) model: String,
    /// Execution provider that ran it.
    pub(super) provider: String,
    /// Beats (quarter notes) in a minute.
    pub(super) tempo: f64,
    /// Sampling temperature.
    pub(super) temperature: f64,
    /// Seed of the noise.
    pub(super) seed: u32,
    /// How much faster than real time the song went by.
    pub(super) speed: f64,
    /// Frames in a second.
    pub(super) sample_rate: f64,
    /// The cycles in order.
    pub(super) cycles: Vec<Cycle>,
    /// Cycles that began before their pattern was ready.
    pub(super) late_cycles: usize,
    /// Notes that never ended.
    pub(super) hanging_notes: usize,
    /// Largest distance of a note's beginning from the grid of 16ths, in whole samples.
    pub(super) worst_timing_error_samples: u64,
    /// Wall-clock nanoseconds of the `process` calls of 64 samples at 48 kHz while it played.
    pub(super) process_ns: Percentiles,
    /// The same for a fixed piece of arithmetic just before each of these calls: what the system's
    /// interruptions add to any work on that thread.
    pub(super) control_ns: Percentiles,
    /// Whether the audio thread had a real-time priority, as in a workstation.
    pub(super) realtime_priority: bool,
    /// Whether the processors were kept from idle states, as in a workstation.
    pub(super) processors_awake: bool,
}

/// One cycle as it was played.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cycle {
    /// Index, counted from song position 0.
    pub(super) index: u32,
    /// Morph position, `0.0..=1.0`.
    pub(super) morph: f64,
    /// Milliseconds of decoding; null when no pattern came for it.
    pub(super) decode_ms: Option<f64>,
    /// Number of notes played.
    pub(super) notes: usize,
    /// Share of A's notes that were played, pitch and start both equal, `0.0..=1.0`.
    pub(super) kept_a: f64,
    /// Share of B's notes that were played.
    pub(super) kept_b: f64,
}

/// Order statistics of durations, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Percentiles {
    /// Number of durations.
    pub(super) count: usize,
    /// Median, the 50th percentile.
    pub(super) p50: u128,
    /// 99.9 % are at most this.
    pub(super) p999: u128,
    /// The longest.
    pub(super) max: u128,
}

impl Percentiles {
    /// Takes the statistics by the nearest-rank method.
    pub(super) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort_unstable();
        let count = durations.len();
        let rank = |per_mille: usize| {
            let rank = (count * per_mille).div_ceil(1000).max(1) - 1;
            durations.get(rank).map_or(0, Duration::as_nanos)
        };
        Self { count, p50: rank(500), p999: rank(999), max: rank(1000) }
    }
}

/// Share of the notes of `original` that are in `played`, pitch and start (on the grid of 16ths)
/// both equal. 0 when the original has no notes.
pub(super) fn kept(original: &Clip, played: &Clip) -> f64 {
    let mut left: Vec<_> = played.notes.iter().map(|note| (note.pitch, step(note.start))).collect();
    let mut found = 0_u32;
    for note in &original.notes {
        let wanted = (note.pitch, step(note.start));
        if let Some(place) = left.iter().position(|candidate| *candidate == wanted) {
            left.swap_remove(place);
            found += 1;
        }
    }
    let all = u32::try_from(original.notes.len()).unwrap_or(u32::MAX).max(1);
    f64::from(found) / f64::from(all)
}

/// The 16th nearest to a position in beats.
pub(super) fn step(beats: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "saturates, far beyond any song")]
    let step = (beats / BEATS_PER_STEP).round() as i64;
    step
}

impl Report {
    /// A table for the terminal.
    pub(super) fn table(&self) -> String {
        let mut text = String::from("cycle  morph  decode ms  notes  kept A  kept B\n");
        for cycle in &self.cycles {
            let decode = cycle.decode_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
            let _ = writeln!(
                text,
                "{:>5}  {:>5.3}  {decode:>9}  {:>5}  {:>4.0} %  {:>4.0} %",
                cycle.index,
                cycle.morph,
                cycle.notes,
                cycle.kept_a * 100.0,
                cycle.kept_b * 100.0
            );
        }
        let Percentiles { p50, p999, max, .. } = self.process_ns;
        let control = self.control_ns;
        let _ = write!(
            text,
            "late cycles {}, hanging notes {}, worst timing error {} samples\n\
             process of 64 samples: p50 {:.1} µs, p99.9 {:.1} µs, max {:.1} µs\n\
             for comparison, fixed arithmetic: p50 {:.1} µs, p99.9 {:.1} µs, max {:.1} µs",
            self.late_cycles,
            self.hanging_notes,
            self.worst_timing_error_samples,
            micros(p50),
            micros(p999),
            micros(max),
            micros(control.p50),
            micros(control.p999),
            micros(control.max)
        );
        text
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn micros(nanos: u128) -> f64 {
    nanos as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use interlude_models::clip::Note;

    use super::*;

    fn clip(notes: &[(u8, f64)]) -> Clip {
        let note = |&(pitch, start)| Note {
            start,
            end: start + 0.25,
            pitch,
            velocity: 80,
            channel: 0,
            program: 0,
        };
        Clip::new(notes.iter().map(note).collect(), 8.0)
    }

    #[test]
    fn a_kept_note_has_the_pitch_and_the_start() {
        // Contract: only notes equal in pitch and 16th count, and each played note counts once.
        let original = clip(&[(60, 0.0), (60, 0.5), (62, 1.0), (64, 2.0)]);
        let played = clip(&[(60, 0.0), (60, 0.51), (62, 1.25), (65, 2.0), (64, 2.0)]);
        assert_eq!(kept(&original, &played), 0.75);
        assert_eq!(kept(&clip(&[(60, 0.0), (60, 0.0)]), &clip(&[(60, 0.0)])), 0.5);
        assert_eq!(kept(&clip(&[]), &played), 0.0);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        // Contract: of 1..=1000 ns the median is 500, the 99.9th percentile 999, the maximum 1000.
        let durations = (1..=1000).rev().map(Duration::from_nanos).collect();
        let expected = Percentiles { count: 1000, p50: 500, p999: 999, max: 1000 };
        assert_eq!(Percentiles::of(durations), expected);
        assert_eq!(Percentiles::of(Vec::new()), Percentiles::default());
    }
}
