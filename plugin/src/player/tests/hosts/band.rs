//! What random hosts play with: a worker that takes its time, its music, the dice, and what is on
//! which side of an edge.

use std::collections::VecDeque;

use interlude_models::clip::Clip;

use super::*;

/// A worker that answers one request after the other.
#[derive(Default)]
pub(super) struct Band {
    pub(super) bars: u32,
    /// Samples that a pattern takes.
    pub(super) decode: u64,
    now: u64,
    queue: VecDeque<Request>,
    busy: Option<(u64, Request)>,
    ready: VecDeque<Request>,
}

impl Band {
    pub(super) fn new(bars: u32, decode: u64) -> Self {
        Self { bars, decode, ..Self::default() }
    }

    pub(super) fn run(&mut self, now: u64) {
        self.now = now;
        while let Some((done, request)) = self.busy.filter(|&(done, _)| done <= now) {
            self.ready.push_back(request);
            self.busy = self.queue.pop_front().map(|request| (done + self.decode, request));
        }
    }
}

impl Link for Band {
    fn request(&mut self, request: &Request) -> bool {
        self.queue.retain(|older| !request.supersedes(older));
        self.busy = self.busy.filter(|(_, older)| !request.supersedes(older));
        self.queue.push_back(*request);
        if self.busy.is_none() {
            // The worker looks every 2 ms.
            self.busy = self.queue.pop_front().map(|first| (self.now + 96 + self.decode, first));
        }
        true
    }

    fn answer(&mut self) -> Option<Box<Pattern>> {
        let request = self.ready.pop_front()?;
        Some(Box::new(Pattern::new(request.id, self.bars, 1, &music(&request, self.bars))))
    }

    fn discard(&mut self, _pattern: Box<Pattern>) {}

    fn late(&mut self, _cycle: i64) {}

    fn wait(&mut self) -> bool {
        false
    }
}

/// Sixteenths; the key tells the step, the channel the parity of the cycle.
fn music(request: &Request, bars: u32) -> Clip {
    let cycle = if request.settings.sampling.evolve { request.cycle } else { 0 };
    let channel = u8::from(cycle.rem_euclid(2) == 1);
    let at = |step: u32| f64::from(step) * 0.25;
    let notes = (0..bars * 16).map(|step| Note {
        channel,
        ..note(at(step), at(step + 1), u8::try_from(step % 64).expect("small"))
    });
    Clip::new(notes.collect(), f64::from(bars) * 4.0)
}

/// Random numbers.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn next(&mut self) -> f64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        #[expect(clippy::cast_precision_loss, reason = "53 bits")]
        let unit = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    /// A whole number in `0..below`.
    pub(super) fn below(&mut self, below: u32) -> u32 {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let number = (self.next() * f64::from(below)) as u32;
        number
    }
}

/// Samples that may be missing to a tie between two, what hosts round put on top of the bias of ties.
pub(super) const TIE: f64 = 0.1;

/// Where a note falls of an edge.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Side {
    Before,
    After,
    /// The note or the edge is as near to one sample as to another.
    Either,
}

/// The side of an edge on which the sample nearest to a note is, both in samples of the clock: the
/// sample nearest to the edge is the first after it.
pub(super) fn side(note: f64, edge: f64) -> Side {
    let nearest = |at: f64| (at + 0.5).floor();
    if nearest(note + TIE) < nearest(edge - TIE) {
        Side::Before
    } else if nearest(note - TIE) >= nearest(edge + TIE) {
        Side::After
    } else {
        Side::Either
    }
}
