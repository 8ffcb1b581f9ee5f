//! The order in which the original hands out windows: that of a CPython set.
//!
//! Windows are made unique through a `set` there and the first five of its iteration are used, so
//! the outcome depends on the hashes and the table of CPython 3.8 and later, restated here. Only
//! conformance needs it; musically any order is as good.

use std::num::Wrapping;

type Word = Wrapping<u64>;

const PRIME_1: Word = Wrapping(11_400_714_785_074_694_791);
const PRIME_2: Word = Wrapping(14_029_467_366_897_019_727);
const PRIME_5: Word = Wrapping(2_870_177_450_012_600_261);
/// Slots scanned one after the other before the probe jumps.
const LINEAR_PROBES: usize = 9;
/// Slots of an empty set.
const MIN_SLOTS: usize = 8;

/// `hash(int)` for small integers: -1 is reserved and hashes like -2.
pub(super) fn int_hash(value: i64) -> u64 {
    if value == -1 { -2i64 } else { value }.cast_unsigned()
}

/// `hash(tuple)` from the hashes of its items.
pub(super) fn tuple_hash(items: impl ExactSizeIterator<Item = u64>) -> u64 {
    let length = Wrapping(items.len() as u64);
    let mut sum = PRIME_5;
    for item in items {
        sum += Wrapping(item) * PRIME_2;
        sum = Wrapping(sum.0.rotate_left(31)) * PRIME_1;
    }
    sum += length ^ (PRIME_5 ^ Wrapping(3_527_539));
    if sum.0 == u64::MAX { 1_546_275_796 } else { sum.0 }
}

/// `hash(frozenset)` from the hashes of its items.
pub(super) fn frozenset_hash(items: impl Iterator<Item = u64>) -> u64 {
    let mut hash = Wrapping(0);
    let mut length = Wrapping(0u64);
    for item in items {
        let item = Wrapping(item);
        hash ^= ((item ^ Wrapping(89_869_747)) ^ (item << 16)) * Wrapping(3_644_798_167);
        length += 1;
    }
    hash ^= (length + Wrapping(1)) * Wrapping(1_927_868_237);
    hash ^= (hash >> 11) ^ (hash >> 25);
    hash = hash * Wrapping(69_069) + Wrapping(907_133_923);
    if hash.0 == u64::MAX { 590_923_713 } else { hash.0 }
}

/// The order in which a set gives back distinct items with these hashes, inserted one by one:
/// indices into `hashes`.
pub(super) fn set_order(hashes: &[u64]) -> Vec<usize> {
    let mut slots = vec![None; MIN_SLOTS];
    for (index, hash) in hashes.iter().enumerate() {
        insert(&mut slots, index, *hash);
        let used = index + 1;
        if used * 5 >= (slots.len() - 1) * 3 {
            let wanted = if used > 50_000 { used * 2 } else { used * 4 };
            let mut grown = vec![None; (wanted + 1).next_power_of_two().max(MIN_SLOTS)];
            for index in slots.iter().flatten() {
                insert(&mut grown, *index, hashes[*index]);
            }
            slots = grown;
        }
    }
    slots.into_iter().flatten().collect()
}

fn insert(slots: &mut [Option<usize>], index: usize, hash: u64) {
    let mask = slots.len() as u64 - 1;
    let mut perturb = Wrapping(hash);
    let mut probe = Wrapping(hash & mask);
    loop {
        let start = usize::try_from(probe.0).expect("masked to the number of slots");
        let last = if start + LINEAR_PROBES < slots.len() { start + LINEAR_PROBES } else { start };
        if let Some(free) = slots[start..=last].iter_mut().find(|slot| slot.is_none()) {
            *free = Some(index);
            return;
        }
        perturb >>= 5;
        probe = (probe * Wrapping(5) + Wrapping(1) + perturb) & Wrapping(mask);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers come out of a CPython set by slot: `list({9, 1, 8})` is `[8, 9, 1]`.
    #[test]
    fn small_integers_lie_in_their_slots() {
        let order = set_order(&[9, 1, 8].map(int_hash));
        assert_eq!(order, [2, 0, 1]);
    }

    /// Hashes equal those that CPython 3.11 prints.
    #[test]
    fn hashes_equal_those_of_cpython() {
        assert_eq!(int_hash(-1), int_hash(-2));
        let pair = tuple_hash([1, 2].map(int_hash).into_iter());
        assert_eq!(pair.cast_signed(), -3_550_055_125_485_641_917);
        assert_eq!(tuple_hash(std::iter::empty()).cast_signed(), 5_740_354_900_026_072_187);
        assert_eq!(frozenset_hash(std::iter::empty()), 133_146_708_735_736);
        let classes = frozenset_hash([0, 3, 5].map(int_hash).into_iter());
        assert_eq!(classes, 1_350_576_471_733_947_541);
    }
}
