//! Follows the position from block to block.
//!
//! Between two anchors (a start, a seek, a loop's wrap) time goes on by the samples of the blocks,
//! not by what the host says: some hosts round their positions to ticks. What they say corrects the
//! position only by what rounding cannot explain, so nothing drifts, and a ramp of the tempo is
//! followed.

use super::{Block, Motion, Segment, TICKS};

/// Song time in beats that a host may play without getting on before it is taken to stand.
const MOST_STALLED: f64 = 1.0 / 16.0;

/// Where the host says no tempo, it is measured over up to so many beats, or else half as many.
const LONGEST_MEASURE: f64 = 1.0;

/// How far a host's exact positions, in beats, may be from getting on by what its blocks are long.
const EXACT: f64 = 1e-8;

/// Tempos of a song that are remembered.
const MOST_CLOCKS: usize = 16;

/// Follows the position from block to block.
#[derive(Clone, Debug, Default)]
pub struct Timeline {
    last: Option<Last>,
    /// Samples in a beat, and the beat that sample 0 of the song would be on at that tempo, as found
    /// while playing or standing: in a song of several tempos a start within one is then exact as well. The
    /// latest come first.
    clocks: [Option<(f64, f64)>; MOST_CLOCKS],
    /// Whether the host's positions in beats go on exactly as its blocks do, so that one that lies on
    /// a tick lies there by chance.
    exact: bool,
}

/// The block before.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// Its last stretch, from where its end is reckoned.
    segment: Segment,
    /// The position that the host gave it.
    reported: f64,
    /// Its length in beats.
    length: f64,
    /// Where the next block starts if the loop wraps between the two.
    wrapped: Option<f64>,
    /// What the host said when it last had got on, and the beats played since.
    stalled: (f64, f64),
    /// What the host said when its tempo began to be measured, and the samples played since.
    measured: (f64, f64),
}

impl Timeline {
    /// Forgets the position: whatever comes next is a jump.
    pub fn reset(&mut self) {
        self.last = None;
    }

    /// Calls `visit` for each stretch of a rolling block, in order. `false`, without a call, for a
    /// block in which nothing can be played: the transport stands, runs backwards or marks time, or
    /// its tempo is not known yet.
    pub fn follow(&mut self, block: &Block, mut visit: impl FnMut(&Segment)) -> bool {
        if !block.rolling {
            self.last = None;
            self.stand(block);
            return false;
        }
        if block.frames == 0 {
            return true;
        }
        let mut block = *block;
        let measured = self.measure(&mut block);
        self.look_for_rounding(&block);
        let (beats, motion) = self.arrive(&block);
        let stalled = match self.last {
            Some(last) if motion == Motion::Continue && last.segment.first == 0 => {
                let (since, played) = (last.stalled.0, last.stalled.1 + last.length);
                let got_on = block.beats - since >= 0.25 * played
                    || played > MOST_STALLED && block.beats - last.reported >= 0.25 * last.length;
                if got_on { (block.beats, 0.0) } else { (since, played) }
            }
            // Steps back by about a block, one after the other, are no seeks; the first may be.
            Some(last)
                if motion == Motion::Jump
                    && is_step_back(last.reported - block.beats, last.length) =>
            {
                let first = last.stalled.1 == 0.0;
                let played = last.stalled.1 + last.length;
                (block.beats, if first { played.min(MOST_STALLED) } else { played })
            }
            _ => (block.beats, 0.0),
        };
        let plays = measured.is_some() && stalled.1 <= MOST_STALLED;
        if let Some(samples) = block.samples.filter(|_| plays && block.has_tempo) {
            self.remember(block.samples_per_beat, beats - samples / block.samples_per_beat);
        }
        let segment = Segment {
            first: 0,
            end: block.frames,
            beats,
            samples_per_beat: block.samples_per_beat,
            motion,
            wrap: None,
        };
        let (segment, wrapped) = if plays {
            stretches(&block, self.rounding(&block), segment, &mut visit)
        } else {
            (segment, None)
        };
        // A loop that wraps at the first sample leaves nothing of where the block began.
        let wrapped_at_once = segment.first == 0 && segment.beats < beats;
        let (reported, stalled) = if wrapped_at_once {
            (segment.beats, (segment.beats, 0.0))
        } else {
            (block.beats, stalled)
        };
        self.last = Some(Last {
            segment,
            reported,
            length: block.length(),
            wrapped,
            stalled,
            measured: measured.unwrap_or((block.beats, 0.0)),
        });
        plays
    }

    /// A transport that stands on a quarter of a beat tells where the song's clock is at its tempo: a
    /// start from there, or a little before, is then exact, also behind a change of the tempo.
    fn stand(&mut self, block: &Block) {
        let quarter = (block.beats * 4.0).round() / 4.0;
        let near = (block.beats - quarter).abs() <= block.rounding();
        let known = block.by_samples().or_else(|| self.by_clock(block)).is_some();
        if let Some(samples) = block.samples.filter(|_| near && block.has_tempo && !known) {
            self.remember(block.samples_per_beat, quarter - samples / block.samples_per_beat);
        }
    }

    /// Keeps a clock: samples in a beat, and the beat that sample 0 would be on.
    fn remember(&mut self, samples_per_beat: f64, zero: f64) {
        let same = |clock: &Option<(f64, f64)>| {
            clock.is_none_or(|(other, at)| {
                other == samples_per_beat && (at - zero).abs() < 1.0 / TICKS
            })
        };
        let place = self.clocks.iter().position(same).unwrap_or(MOST_CLOCKS - 1);
        self.clocks[place] = Some((samples_per_beat, zero));
        self.clocks[..=place].rotate_right(1);
    }

    /// Finds the tempo of a host that says none from how far its position gets. `None` as long as
    /// there is nothing to measure; else the state of the measurement.
    fn measure(&self, block: &mut Block) -> Option<(f64, f64)> {
        if block.has_tempo {
            return Some((block.beats, 0.0));
        }
        let last = self.last?;
        let (since, before) = last.measured;
        let frames = f64::from(last.segment.end) + before;
        let samples_per_beat = frames / (block.beats - since);
        let got = block.beats - last.reported;
        // From 8 to 3000 beats per minute at any sample rate; all else is a stop or a seek.
        if !(got > 0.0 && got < 4.0 && (100.0..1e7).contains(&samples_per_beat)) {
            return None;
        }
        block.samples_per_beat = samples_per_beat;
        let measured = block.beats - since;
        let half = measured > LONGEST_MEASURE;
        Some(if half { (since + 0.5 * measured, 0.5 * frames) } else { (since, frames) })
    }

    /// Where a block begins, and how it follows on the one before.
    fn arrive(&self, block: &Block) -> (f64, Motion) {
        let anchor = self.by_clock(block).or_else(|| self.by_samples(block)).unwrap_or(block.beats);
        let Some(last) = self.last else { return (anchor, Motion::Jump) };
        let tolerance = jitter(last.length);
        let near = |target: f64| (block.beats - target).abs() <= tolerance;
        let expected = last.segment.position(last.segment.end);
        let nearer = |a: f64, b: f64| (block.beats - a).abs() < (block.beats - b).abs();
        let wrapped = last.wrapped.filter(|&start| near(start) && nearer(start, expected));
        if let Some(wrapped) = wrapped {
            let found = self.by_clock(block);
            (found.unwrap_or_else(|| self.settle(block, &last, wrapped)), Motion::Wrap)
        } else if near(expected) {
            (self.settle(block, &last, expected), Motion::Continue)
        } else {
            (anchor, Motion::Jump)
        }
    }
}

impl Timeline {
    /// Finds out whether the host rounds its positions.
    fn look_for_rounding(&mut self, block: &Block) {
        let Some(last) = self.last.filter(|_| block.has_tempo && block.rounding() == 0.0) else {
            return;
        };
        let off = (block.beats - last.reported - last.length).abs();
        let same_tempo = last.segment.samples_per_beat == block.samples_per_beat;
        if same_tempo && last.segment.first == 0 && off < jitter(last.length) {
            self.exact = off < EXACT;
        }
    }

    /// What the host's position leaves open, in beats.
    fn rounding(&self, block: &Block) -> f64 {
        if self.exact { 0.0 } else { block.rounding() }
    }

    /// The position by the host's sample clock, where that is of use.
    fn by_samples(&self, block: &Block) -> Option<f64> {
        block.by_samples().filter(|_| !self.exact)
    }

    /// The position by the sample clock that was found while playing, if the host's own allows it.
    fn by_clock(&self, block: &Block) -> Option<f64> {
        let samples = block.samples.filter(|_| !self.exact)?;
        let same = |samples_per_beat: f64| {
            (samples_per_beat - block.samples_per_beat).abs() <= 1e-9 * samples_per_beat
        };
        let clocks = self.clocks.iter().flatten().filter(|clock| same(clock.0));
        clocks
            .map(|(samples_per_beat, zero)| samples / samples_per_beat + zero)
            .find(|beats| (beats - block.beats).abs() < self.rounding(block) + 1e-9)
    }

    /// The position nearest to the expected one that the host's own, rounded as it may be, allows.
    ///
    /// What follows from the blocks before goes before the sample clock: in a song of several tempos
    /// a position in samples may agree with that in beats by chance.
    fn settle(&self, block: &Block, last: &Last, expected: f64) -> f64 {
        let rounding = self.rounding(block);
        let fits = |beats: &f64| (beats - block.beats).abs() <= rounding + 1e-9;
        let before = last.segment.samples_per_beat;
        if (block.samples_per_beat - before).abs() <= 1e-9 * before {
            if fits(&expected) {
                return expected;
            }
        } else {
            if let Some(beats) = self.by_clock(block) {
                return beats;
            }
            // The tempo has changed inside the last block: most likely on a beat or half of one.
            let mut beat = (last.segment.beats * 2.0).ceil() / 2.0;
            while beat < expected {
                let rest = (expected - beat) * before / block.samples_per_beat;
                if fits(&(beat + rest)) {
                    return beat + rest;
                }
                beat += 0.5;
            }
        }
        let by_samples = self.by_samples(block);
        by_samples.unwrap_or_else(|| expected.clamp(block.beats - rounding, block.beats + rounding))
    }
}

/// How far from where the block before ends, of so many beats, the next one may begin and still go on
/// from there: a host that changes its tempo inside a block, or ramps it, arrives a little off.
pub(crate) fn jitter(length: f64) -> f64 {
    1.0 / 32.0 + 0.25 * length
}

/// Whether a host that goes so many beats back from where the last block began, of so many beats,
/// may be running backwards or marking time.
pub(crate) fn is_step_back(beats: f64, length: f64) -> bool {
    (0.0..MOST_STALLED + 2.0 * length).contains(&beats)
}

/// Visits the stretches of a block from its first on, cut where the loop wraps. Gives the last one,
/// and where the next block starts if the loop wraps between the two.
fn stretches(
    block: &Block,
    rounding: f64,
    mut segment: Segment,
    visit: &mut impl FnMut(&Segment),
) -> (Segment, Option<f64>) {
    loop {
        segment.wrap = block.cycle_range.filter(|&(_, end)| {
            // A block may begin less than half a sample before the loop's end.
            let hair = (1e-9..0.5 / segment.samples_per_beat).contains(&(end - segment.beats));
            segment.offset(end) > i64::from(segment.first)
                || segment.first == 0 && hair && rounding == 0.0
        });
        let Some((start, end)) = segment.wrap else {
            visit(&segment);
            return (segment, None);
        };
        // Hosts round the loop's end to a tick, and to a sample, in their own ways; those that do
        // cut their blocks there.
        let rest = end - segment.position(block.frames);
        let slack = 1.0 / TICKS + 1.5 / segment.samples_per_beat;
        let between = rest.abs() <= slack && rounding > 0.0;
        match u32::try_from(segment.offset(end)) {
            Ok(offset) if offset < block.frames && !between => {
                let begins = offset > segment.first;
                segment.end = offset;
                if begins {
                    visit(&segment);
                }
                // What the loop's end is off the sample grid stays off it after the wrap.
                segment.beats = start + (segment.position(offset) - end);
                segment.first = offset;
                segment.end = block.frames;
                if begins || segment.motion == Motion::Continue {
                    segment.motion = Motion::Wrap;
                }
            }
            _ => {
                visit(&segment);
                return (segment, (rest <= slack).then_some(start - rest.min(0.0)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
