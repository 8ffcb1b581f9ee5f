//! The search for windows in a sequence: number, order, and bounds of work.

use std::collections::HashSet;
use std::hash::Hash;

use super::order;
use super::place::Place;
use super::quantise::{Stretch, split_on_time_changes};
use super::window::Window;
use crate::clip::STEPS_PER_BAR;
use crate::midi::NoteSequence;

/// Maximum number of windows examined in one section, above that of any piece of music; it bounds
/// time and memory for hostile files.
const MAX_WINDOWS: usize = 1 << 20;
/// Different windows that are kept of one sequence.
const MAX_UNIQUE_WINDOWS: usize = 1 << 16;
/// Steps of a bar.
const BAR: u64 = STEPS_PER_BAR as u64;

/// Where a passage is cut.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Steps of silence that end it.
    pub(super) gap_steps: u64,
    /// Steps after which it is cut off.
    pub(super) max_steps: u64,
}

impl Cut {
    /// One bar of silence; cut off after 100 bars.
    pub(super) const DEFAULT: Self = Self { gap_steps: BAR, max_steps: 100 * BAR };
}

/// How many windows to take from a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// All different windows in the order of their appearance; at most 65,536, of trios 16,384, of
    /// grooves 4,096.
    All,
    /// At most this many, picked and ordered as the original does when it does not train. Its own
    /// limit is [`Limit::ORIGINAL`]; for grooves it has none.
    First(usize),
}

impl Limit {
    /// The limit of the original for one file.
    pub const ORIGINAL: Self = Self::First(5);

    pub(super) fn count(self) -> usize {
        match self {
            Self::All => MAX_UNIQUE_WINDOWS,
            Self::First(count) => count.min(MAX_UNIQUE_WINDOWS),
        }
    }
}

/// Windows section by section, until there are enough; `each` gets the number still wanted.
pub(super) fn of_stretches(
    sequence: &NoteSequence,
    limit: Limit,
    mut of_stretch: impl FnMut(&Stretch, usize) -> Vec<(Window, Place)>,
) -> Vec<(Window, Place)> {
    let mut windows = Vec::new();
    for stretch in split_on_time_changes(sequence) {
        let wanted = limit.count() - windows.len();
        if wanted == 0 {
            break;
        }
        let mut more = of_stretch(&stretch, wanted);
        more.truncate(wanted);
        windows.append(&mut more);
    }
    windows
}

/// Calls `each` with every complete window that begins on a bar, and its first step, until it
/// returns `false`. Returns whether it never did.
pub(super) fn for_each_window<T>(
    events: &[T],
    steps: usize,
    mut each: impl FnMut(u64, &[T]) -> bool,
) -> bool {
    for start in (0..events.len()).step_by(STEPS_PER_BAR) {
        let Some(window) = events.get(start..start + steps) else { break };
        if !each(start as u64, window) {
            return false;
        }
    }
    true
}

/// Different things, each with its first place, in the order in which they came, up to the bounds.
pub(super) struct Unique<T> {
    seen: HashSet<T>,
    pub(super) items: Vec<(T, Place)>,
    looked_at: usize,
}

impl<T: Clone + Eq + Hash> Unique<T> {
    pub(super) fn new() -> Self {
        Self { seen: HashSet::new(), items: Vec::new(), looked_at: 0 }
    }

    pub(super) fn is_full(&self) -> bool {
        self.looked_at >= MAX_WINDOWS || self.items.len() >= MAX_UNIQUE_WINDOWS
    }

    pub(super) fn push(&mut self, item: T, place: Place) {
        self.looked_at += 1;
        if !self.seen.contains(&item) {
            self.seen.insert(item.clone());
            self.items.push((item, place));
        }
    }

    /// The items that `limit` lets through, in its order.
    pub(super) fn limited(self, limit: Limit, hash: impl Fn(&T) -> u64) -> Vec<(T, Place)> {
        match limit {
            Limit::All => self.items,
            Limit::First(count) => {
                let hashes: Vec<u64> = self.items.iter().map(|(item, _)| hash(item)).collect();
                let order = order::set_order(&hashes);
                order.into_iter().take(count).map(|index| self.items[index].clone()).collect()
            }
        }
    }
}

/// Index of the first largest value.
pub(crate) fn largest(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
