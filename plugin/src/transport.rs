//! The host's transport made safe, cut into stretches of even time, and the bar and cycle grid
//! laid over it. Knows no plug-in framework, so that every rule of time can be tested alone.
//!
//! Positions are in beats (quarter notes) from song position 0, offsets in samples from the start
//! of a block. Bars come from the position and the time signature: the bar start that some hosts
//! report is a bar late or missing.

#[cfg(test)]
pub(crate) mod song;
mod timeline;

pub use timeline::Timeline;
#[cfg(test)]
pub(crate) use timeline::{is_step_back, jitter};

/// Beats in one bar of a pattern; the models know 4/4 only.
pub const PATTERN_BAR_BEATS: f64 = 4.0;

/// Added before an offset is rounded, so that a note exactly between two samples (16ths at 120 BPM
/// and 44.1 kHz are 5512.5 samples long) goes to the same one whatever the host's rounding.
pub const TIE_BIAS: f64 = 1.0 / 1024.0;

/// Ticks in a beat of hosts that round what they report: Ardour's, and a multiple of most others'.
const TICKS: f64 = 1920.0;

/// Ticks in a beat of hosts that cut them off and keep single-precision numbers: qtractor's.
const FINE_TICKS: f64 = 7680.0;

/// Shortest loop in beats that is followed sample by sample; jumps of a shorter one are seeks.
const SHORTEST_LOOP: f64 = 0.25;

/// Positions beyond this many beats have no sample precision left in an `f64` and are refused.
const FARTHEST_BEAT: f64 = 1e9;

/// One block of host time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Block {
    /// Whether the transport rolls and a position is known.
    pub rolling: bool,
    /// Position of the first sample, in beats; negative in a pre-roll.
    pub beats: f64,
    /// Position of the first sample, in samples, as the host says it.
    pub samples: Option<f64>,
    /// Samples in one beat, `> 0`.
    pub samples_per_beat: f64,
    /// Whether the host says a tempo.
    pub has_tempo: bool,
    /// Length of a bar in beats, `> 0`.
    pub bar_beats: f64,
    /// Start and end of the active loop in beats.
    pub cycle_range: Option<(f64, f64)>,
    /// Length in samples.
    pub frames: u32,
}

/// What a host says, of which any part may be missing or nonsense.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostTransport {
    /// Whether the transport rolls.
    pub playing: bool,
    /// Position of the first sample, in beats.
    pub beats: Option<f64>,
    /// Position of the first sample, in samples from the start of the song.
    pub samples: Option<f64>,
    /// Tempo in beats per minute.
    pub tempo: Option<f64>,
    /// Numerator and denominator of the time signature.
    pub signature: Option<(i32, i32)>,
    /// Start and end of the active loop in beats.
    pub cycle_range: Option<(f64, f64)>,
}

impl Block {
    /// Makes a block of `frames` samples at `sample_rate` hertz out of what the host says.
    ///
    /// Without a usable position nothing can be placed, so such a block does not roll; nor does one
    /// of a nonsensical tempo. A missing tempo is measured by the [`Timeline`].
    pub fn new(host: &HostTransport, sample_rate: f64, frames: u32) -> Self {
        let tempo = host.tempo.unwrap_or(120.0);
        let samples_per_beat = sample_rate * 60.0 / tempo;
        let usable_tempo =
            (1e-3..=1e4).contains(&tempo) && samples_per_beat.is_finite() && samples_per_beat > 0.0;
        let samples_per_beat = if usable_tempo { samples_per_beat } else { 24_000.0 };
        let unit = if host.tempo.is_some() { quarters(host, samples_per_beat) } else { 1.0 };
        let beats = host.beats.map(|beats| beats * unit);
        let position = beats.filter(|beats| beats.abs() <= FARTHEST_BEAT);
        let bar_beats = match host.signature {
            Some((numerator, denominator)) if numerator > 0 && denominator > 0 => {
                (4.0 * f64::from(numerator) / f64::from(denominator)).clamp(0.25, 256.0)
            }
            _ => PATTERN_BAR_BEATS,
        };
        let cycle_range = host.cycle_range.filter(|(start, end)| {
            start.abs() <= FARTHEST_BEAT
                && end.abs() <= FARTHEST_BEAT
                && end - start >= SHORTEST_LOOP
        });
        Self {
            rolling: host.playing && usable_tempo && position.is_some(),
            beats: position.unwrap_or(0.0),
            samples: host.samples.filter(|samples| samples.is_finite()),
            has_tempo: host.tempo.is_some(),
            samples_per_beat,
            bar_beats,
            cycle_range,
            frames,
        }
    }
}

/// Quarter notes in what a host counts as a beat. It should be one, but qtractor counts beats of the
/// time signature, eighths in 7/8; its position in samples tells, up to where the tempo changes.
fn quarters(host: &HostTransport, samples_per_beat: f64) -> f64 {
    let (Some(beats), Some(samples), Some((_, denominator))) =
        (host.beats, host.samples, host.signature)
    else {
        return 1.0;
    };
    let unit = 4.0 / f64::from(denominator.max(1));
    let apart = |unit: f64| (beats * unit - samples / samples_per_beat).abs();
    if apart(unit) <= 1.0 / TICKS && apart(1.0) > 1.0 / TICKS { unit } else { 1.0 }
}

/// How a stretch follows on the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Without a gap.
    Continue,
    /// From the loop's end to its start.
    Wrap,
    /// From a stop, or from somewhere else.
    Jump,
}

/// A stretch of a block in which time runs evenly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Offset of its first sample.
    pub first: u32,
    /// Offset after its last sample.
    pub end: u32,
    /// Position of its first sample in beats.
    pub beats: f64,
    /// Samples in one beat.
    pub samples_per_beat: f64,
    /// How it follows on the one before.
    pub motion: Motion,
    /// Start and end of the loop that it will wrap at, in beats; `None` without a loop ahead.
    pub wrap: Option<(f64, f64)>,
}

impl Segment {
    /// Offset of the sample nearest to a position; ties go to the later one.
    #[expect(clippy::cast_possible_truncation, reason = "positions are bounded; floats saturate")]
    pub fn offset(&self, beats: f64) -> i64 {
        let samples = (beats - self.beats) * self.samples_per_beat;
        i64::from(self.first).saturating_add((samples + 0.5 + TIE_BIAS).floor() as i64)
    }

    /// Position in beats of the sample at `offset`.
    pub fn position(&self, offset: u32) -> f64 {
        self.beats + (f64::from(offset) - f64::from(self.first)) / self.samples_per_beat
    }
}

impl Block {
    /// Length in beats.
    fn length(&self) -> f64 {
        f64::from(self.frames) / self.samples_per_beat
    }

    /// What the host's position leaves open, in beats: half a tick where it lies on one and a whole
    /// one where that was cut off, as nearly as a single-precision number tells, half the last place
    /// of such a number that lies elsewhere, and nothing of any other.
    #[expect(clippy::cast_possible_truncation, reason = "what is asked")]
    fn rounding(&self) -> f64 {
        let single = f64::from(self.beats as f32) == self.beats;
        let place = if single { 0.5 * f64::from(f32::EPSILON) * self.beats.abs() } else { 0.0 };
        // Such hosts round more than once on the way to the number.
        let on = |ticks: f64| {
            let at = self.beats * ticks;
            (at - at.round()).abs() < 1e-5 + 2.0 * place * ticks
        };
        if on(TICKS) {
            0.5 / TICKS
        } else if single && on(FINE_TICKS) {
            1.0 / FINE_TICKS + 2.0 * place
        } else {
            place
        }
    }

    /// The position by the host's sample clock, in beats, where it is of use: a song of one tempo
    /// up to here, whose position in beats is rounded.
    fn by_samples(&self) -> Option<f64> {
        let beats = self.samples? / self.samples_per_beat;
        let apart = (beats - self.beats).abs();
        let rounded = self.rounding() > 0.0 || apart > 0.75 / self.samples_per_beat;
        (self.has_tempo && rounded && apart <= 1.0 / TICKS).then_some(beats)
    }
}

/// Bars and cycles over song time: cycle `c` covers bars `c·n` to `(c+1)·n` from song position 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Length of a bar of the host in beats.
    pub bar_beats: f64,
    /// Bars in a cycle, `>= 1`.
    pub bars: u32,
}

impl Grid {
    /// Length of a cycle in beats.
    pub fn cycle_beats(&self) -> f64 {
        self.bar_beats * f64::from(self.bars.max(1))
    }

    /// The cycle that a position lies in.
    #[expect(clippy::cast_possible_truncation, reason = "positions are bounded; floats saturate")]
    pub fn cycle_at(&self, beats: f64) -> i64 {
        (beats / self.cycle_beats()).floor() as i64
    }

    /// Where a cycle starts, in beats.
    #[expect(clippy::cast_precision_loss, reason = "positions are bounded far below 2^53")]
    pub fn start_of(&self, cycle: i64) -> f64 {
        cycle as f64 * self.cycle_beats()
    }

    /// The first bar start at or after a position, in beats, seen from a sample of `segment`: a bar
    /// start that rounds to that sample is not past yet.
    pub fn bar_from(&self, segment: &Segment, offset: u32) -> f64 {
        let bar = (segment.position(offset) / self.bar_beats).floor();
        let start = bar * self.bar_beats;
        if segment.offset(start) >= i64::from(offset) {
            start
        } else {
            (bar + 1.0) * self.bar_beats
        }
    }

    /// Where a note of a pattern starts in beats after its cycle's start, as if no bar cut it: grows
    /// with `start`.
    pub fn onset(&self, start: f64) -> f64 {
        let bar = (start / PATTERN_BAR_BEATS).floor();
        let within = start - bar * PATTERN_BAR_BEATS;
        bar * self.bar_beats + within.min(self.bar_beats)
    }

    /// Where a note of a pattern starts and ends in beats after its cycle's start, or `None` when
    /// the host's shorter bar leaves it out.
    ///
    /// Bar `k` of the pattern plays at bar `k` of the cycle. A longer bar is filled up with
    /// silence; a shorter one cuts the pattern's bar.
    pub fn place(&self, start: f64, end: f64) -> Option<(f64, f64)> {
        let bar = (start / PATTERN_BAR_BEATS).floor();
        let within = start - bar * PATTERN_BAR_BEATS;
        if !(within < self.bar_beats && bar >= 0.0 && bar < f64::from(self.bars)) {
            return None;
        }
        let bar_start = bar * self.bar_beats;
        let last = (end / PATTERN_BAR_BEATS).ceil() - 1.0;
        let end = if last > bar && self.bar_beats <= PATTERN_BAR_BEATS {
            last * self.bar_beats + (end - last * PATTERN_BAR_BEATS).min(self.bar_beats)
        } else {
            bar_start + (end - bar * PATTERN_BAR_BEATS).min(self.bar_beats).min(PATTERN_BAR_BEATS)
        };
        let end = end.min(self.cycle_beats());
        (end > bar_start + within).then_some((bar_start + within, end))
    }

    /// Turns beats after a window's first bar start into beats of a pattern, the other way round
    /// than [`Grid::place`]; what a longer bar has after its fourth beat falls on the next bar line.
    pub fn pattern_beat(&self, beats: f64) -> f64 {
        let bar = (beats / self.bar_beats).floor();
        bar * PATTERN_BAR_BEATS + (beats - bar * self.bar_beats).min(PATTERN_BAR_BEATS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nonsense from the host leaves a block that stands still and divides by nothing.
    #[test]
    fn nonsense_does_not_roll() {
        for (beats, tempo) in [
            (Some(f64::NAN), Some(120.0)),
            (Some(0.0), Some(0.0)),
            (Some(0.0), Some(f64::NAN)),
            (Some(0.0), Some(-120.0)),
            (Some(f64::INFINITY), Some(120.0)),
            (None, Some(120.0)),
        ] {
            let host = HostTransport {
                playing: true,
                beats,
                tempo,
                signature: Some((0, -4)),
                cycle_range: Some((f64::NAN, 4.0)),
                ..HostTransport::default()
            };
            let block = Block::new(&host, 48_000.0, 64);
            assert!(!block.rolling, "{beats:?} {tempo:?}");
            assert!(block.samples_per_beat > 0.0 && block.bar_beats == 4.0);
            assert_eq!(block.cycle_range, None);
        }
    }

    /// A host that counts eighths in 7/8 is understood where its position in samples tells it; one
    /// that counts quarter notes, or says no samples, is left as it is.
    #[test]
    fn beats_of_the_signature_become_quarters() {
        for (beats, samples, signature, expected) in [
            (42.0, Some(504_000.0), (7, 8), 21.0),
            (21.0, Some(504_000.0), (7, 8), 21.0),
            (10.5, Some(504_000.0), (3, 2), 21.0),
            (21.0, Some(504_000.0), (3, 4), 21.0),
            (42.0, None, (7, 8), 42.0),
            (42.0, Some(777_000.0), (7, 8), 42.0),
        ] {
            let host = HostTransport {
                playing: true,
                beats: Some(beats),
                samples,
                tempo: Some(120.0),
                signature: Some(signature),
                ..HostTransport::default()
            };
            assert_eq!(Block::new(&host, 48_000.0, 64).beats, expected, "{host:?}");
        }
    }

    /// In 4/4 notes are where the pattern has them; in 3/4 bars are cut, in 5/4 followed by silence.
    #[test]
    fn bars_of_other_lengths() {
        let four = Grid { bar_beats: 4.0, bars: 2 };
        assert_eq!(four.place(3.5, 4.5), Some((3.5, 4.5)));
        assert_eq!(four.place(7.5, 9.0), Some((7.5, 8.0)));
        assert_eq!(four.place(8.0, 9.0), None);
        assert_eq!(four.place(0.0, 8.0), Some((0.0, 8.0)));
        let three = Grid { bar_beats: 3.0, bars: 2 };
        assert_eq!(three.place(3.5, 4.5), None);
        assert_eq!(three.place(2.5, 3.5), Some((2.5, 3.0)));
        assert_eq!(three.place(2.0, 5.0), Some((2.0, 4.0)));
        assert_eq!(three.place(4.0, 5.0), Some((3.0, 4.0)));
        let five = Grid { bar_beats: 5.0, bars: 2 };
        assert_eq!(five.place(3.5, 4.5), Some((3.5, 4.0)));
        assert_eq!(five.place(4.0, 5.0), Some((5.0, 6.0)));
        assert_eq!(five.pattern_beat(5.5), 4.5);
        assert_eq!(three.pattern_beat(5.5), 6.5);
        assert_eq!(five.pattern_beat(4.5), 4.0);
    }

    /// Cycles count from song position 0, backwards before it.
    #[test]
    fn cycles_count_from_zero() {
        let grid = Grid { bar_beats: 4.0, bars: 2 };
        assert_eq!(grid.cycle_at(-0.1), -1);
        assert_eq!(grid.cycle_at(7.9), 0);
        assert_eq!(grid.cycle_at(8.0), 1);
        assert_eq!(grid.start_of(-1), -8.0);
    }
}
