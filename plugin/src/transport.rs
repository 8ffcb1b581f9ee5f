//! The host's transport made safe, cut into stretches of even time, and the bar and cycle grid
//! laid over it. Knows no plug-in framework, so that every rule of time can be tested alone.
//!
//! Positions are in beats (quarter notes) from song position 0, offsets in samples from the start
//! of a block. Bars come from the position and the time signature: the bar start that some hosts
//! report is a bar late or missing.

/// Beats in one bar of a pattern; the models know 4/4 only.
pub const PATTERN_BAR_BEATS: f64 = 4.0;

/// Added before an offset is rounded, so that a note exactly between two samples (16ths at 120 BPM
/// and 44.1 kHz are 5512.5 samples long) goes to the same one whatever the host's rounding.
const TIE_BIAS: f64 = 1.0 / 1024.0;

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
    /// Samples in one beat, `> 0`.
    pub samples_per_beat: f64,
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
    /// Without a usable position or tempo nothing can be placed, so such a block does not roll.
    pub fn new(host: &HostTransport, sample_rate: f64, frames: u32) -> Self {
        let tempo = host.tempo.unwrap_or(120.0);
        let samples_per_beat = sample_rate * 60.0 / tempo;
        let usable_tempo =
            (1e-3..=1e4).contains(&tempo) && samples_per_beat.is_finite() && samples_per_beat > 0.0;
        let position = host.beats.filter(|beats| beats.abs() <= FARTHEST_BEAT);
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
            samples_per_beat: if usable_tempo { samples_per_beat } else { 24_000.0 },
            bar_beats,
            cycle_range,
            frames,
        }
    }
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

/// Follows the position from block to block.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    expected: Option<Expected>,
}

#[derive(Clone, Copy, Debug)]
struct Expected {
    /// Where the next block starts if time goes on.
    beats: f64,
    /// Where it starts if the loop wraps exactly between the blocks.
    wrapped: Option<f64>,
    /// How far off, in beats, the host may be and still have gone on evenly.
    tolerance: f64,
}

impl Timeline {
    /// Forgets the position: whatever comes next is a jump.
    pub fn reset(&mut self) {
        self.expected = None;
    }

    /// Calls `visit` for each stretch of a rolling block, in order; a stopped block has none.
    pub fn follow(&mut self, block: &Block, mut visit: impl FnMut(&Segment)) {
        if !block.rolling {
            self.expected = None;
            return;
        }
        if block.frames == 0 {
            return;
        }
        let mut segment = Segment {
            first: 0,
            end: block.frames,
            beats: block.beats,
            samples_per_beat: block.samples_per_beat,
            motion: self.motion(block.beats),
            wrap: None,
        };
        let wrapped = loop {
            segment.wrap = block
                .cycle_range
                .filter(|&(_, end)| segment.offset(end) > i64::from(segment.first));
            let Some((start, end)) = segment.wrap else {
                visit(&segment);
                break None;
            };
            let wrap_offset = segment.offset(end);
            match u32::try_from(wrap_offset) {
                Ok(offset) if offset < block.frames => {
                    segment.end = offset;
                    visit(&segment);
                    // What the loop's end is off the sample grid stays off it after the wrap.
                    segment.beats = start + (segment.position(offset) - end);
                    segment.first = offset;
                    segment.end = block.frames;
                    segment.motion = Motion::Wrap;
                }
                _ => {
                    visit(&segment);
                    let over = segment.position(block.frames) - end;
                    break (wrap_offset == i64::from(block.frames)).then_some(start + over);
                }
            }
        };
        // A host that changes its tempo inside a block, or ramps it, arrives a little off.
        let block_beats = f64::from(block.frames) / block.samples_per_beat;
        self.expected = Some(Expected {
            beats: segment.position(block.frames),
            wrapped,
            tolerance: 1.0 / 32.0 + 0.25 * block_beats,
        });
    }

    fn motion(&self, beats: f64) -> Motion {
        let Some(expected) = self.expected else { return Motion::Jump };
        let near = |target: f64| (beats - target).abs() <= expected.tolerance;
        if expected.wrapped.is_some_and(near) {
            Motion::Wrap
        } else if near(expected.beats) {
            Motion::Continue
        } else {
            Motion::Jump
        }
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

    fn rolling(beats: f64, frames: u32, cycle_range: Option<(f64, f64)>) -> Block {
        let host = HostTransport {
            playing: true,
            beats: Some(beats),
            tempo: Some(120.0),
            signature: Some((4, 4)),
            cycle_range,
        };
        Block::new(&host, 48_000.0, frames)
    }

    fn segments(timeline: &mut Timeline, block: &Block) -> Vec<Segment> {
        let mut found = Vec::new();
        timeline.follow(block, |segment| found.push(*segment));
        found
    }

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
            };
            let block = Block::new(&host, 48_000.0, 64);
            assert!(!block.rolling, "{beats:?} {tempo:?}");
            assert!(block.samples_per_beat > 0.0 && block.bar_beats == 4.0);
            assert_eq!(block.cycle_range, None);
        }
    }

    /// Consecutive blocks continue, a jump is a jump, and a stop makes the next start one.
    #[test]
    fn motion_is_told() {
        let mut timeline = Timeline::default();
        let beats = 64.0 / 24_000.0;
        let motion =
            |timeline: &mut Timeline, at| segments(timeline, &rolling(at, 64, None))[0].motion;
        assert_eq!(motion(&mut timeline, 0.0), Motion::Jump);
        assert_eq!(motion(&mut timeline, beats), Motion::Continue);
        assert_eq!(motion(&mut timeline, 2.0 * beats + 1e-9), Motion::Continue);
        assert_eq!(motion(&mut timeline, 100.0), Motion::Jump);
        assert!(
            segments(&mut timeline, &Block { rolling: false, ..rolling(100.0, 64, None) })
                .is_empty()
        );
        assert_eq!(motion(&mut timeline, 100.0), Motion::Jump);
    }

    /// A loop end inside a block cuts it there, and the host's next position continues.
    #[test]
    fn loops_wrap_inside_a_block() {
        let mut timeline = Timeline::default();
        let block = rolling(4.0 - 100.0 / 24_000.0, 256, Some((0.0, 4.0)));
        let found = segments(&mut timeline, &block);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].first, found[0].end), (0, 100));
        assert_eq!((found[1].first, found[1].end, found[1].motion), (100, 256, Motion::Wrap));
        assert!(found[1].beats.abs() < 1e-9);
        let next = segments(&mut timeline, &rolling(156.0 / 24_000.0, 256, Some((0.0, 4.0))));
        assert_eq!(next[0].motion, Motion::Continue);
    }

    /// A loop end exactly between two blocks is told as a wrap of the second.
    #[test]
    fn loops_wrap_between_blocks() {
        let mut timeline = Timeline::default();
        let block = rolling(4.0 - 256.0 / 24_000.0, 256, Some((2.0, 4.0)));
        assert_eq!(segments(&mut timeline, &block).len(), 1);
        let next = segments(&mut timeline, &rolling(2.0, 256, Some((2.0, 4.0))));
        assert_eq!(next[0].motion, Motion::Wrap);
    }

    /// A position exactly between two samples goes to the later one, also when it is a hair early.
    #[test]
    fn ties_are_stable() {
        let mut timeline = Timeline::default();
        let segment = segments(&mut timeline, &rolling(0.0, 64, None))[0];
        assert_eq!(segment.offset(10.5 / 24_000.0), 11);
        assert_eq!(segment.offset(10.5 / 24_000.0 - 1e-9), 11);
        assert_eq!(segment.offset(10.49 / 24_000.0), 10);
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
