//! Patterns that have played, kept for when their cycle comes again: after a seek back, and at the
//! start of a loop that the host does not announce.

use super::{Decision, discard};
use crate::player::{Conditions, Link};

/// Patterns that are kept.
pub(in crate::player) const PLACES: usize = 8;

/// Patterns that have played, the latest first.
#[derive(Debug, Default)]
pub(super) struct Shelf([Option<Decision>; PLACES]);

impl Shelf {
    /// Keeps a decision whose pattern is there, in the place of one that serves for the same, or else
    /// of the one that has lain longest.
    pub(super) fn put(&mut self, decision: Decision, link: &mut impl Link) {
        if decision.pattern.is_none() {
            return;
        }
        let is_alike = |other: &Decision| other.serves(decision.cycle, &decision.settings);
        let alike = self.0.iter().position(|place| place.as_ref().is_some_and(is_alike));
        let place = alike.unwrap_or(PLACES - 1);
        if let Some(replaced) = self.0[place].replace(decision) {
            discard(replaced.pattern, link);
        }
        self.0[..=place].rotate_right(1);
    }

    /// Takes what a cycle needs under these conditions.
    pub(super) fn take(&mut self, cycle: i64, conditions: &Conditions) -> Option<Decision> {
        let fits = |place: &&mut Option<Decision>| {
            place.as_ref().is_some_and(|decision| decision.fits(cycle, conditions))
        };
        let decision = self.0.iter_mut().find(fits)?.take()?;
        Some(Decision { cycle, due: false, ..decision })
    }

    /// Gives back all.
    pub(super) fn clear(&mut self, link: &mut impl Link) {
        for decision in self.0.iter_mut().filter_map(Option::take) {
            discard(decision.pattern, link);
        }
    }
}
