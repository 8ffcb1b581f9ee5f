//! The slots, and where the morph lies between them.

/// Number of slots.
pub const SLOTS: usize = 2;

/// The most that there are letters for.
const MOST: usize = 4;
const LETTERS: [&str; MOST] = ["A", "B", "C", "D"];
/// Ids of the parameters that arm slots; they are in saved projects and never change.
const CAPTURE_IDS: [&str; MOST] = ["capture_a", "capture_b", "capture_c", "capture_d"];
const CAPTURE_NAMES: [&str; MOST] = ["Capture A", "Capture B", "Capture C", "Capture D"];
/// Ways from one slot to the next.
const LEGS: u8 = LAST.0;
const LAST: SlotId = SlotId::ALL[SLOTS - 1];
const _: () = assert!(1 < SLOTS && SLOTS <= MOST);

/// One of the slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId(u8);

impl SlotId {
    /// The first slot, at morph 0.
    pub const A: Self = Self(0);
    /// The second slot.
    pub const B: Self = Self(1);
    /// All slots, in order.
    pub const ALL: [Self; SLOTS] = {
        let mut all = [Self(0); SLOTS];
        let mut next = 0_u8;
        while (next as usize) < SLOTS {
            all[next as usize] = Self(next);
            next += 1;
        }
        all
    };

    /// The slot at a place in arrays, where there is one.
    pub fn at(index: usize) -> Option<Self> {
        Self::ALL.get(index).copied()
    }

    /// Its place in arrays of [`SLOTS`].
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The letter on the slot.
    pub fn letter(self) -> &'static str {
        LETTERS[self.index()]
    }

    /// Id of the parameter that arms the slot.
    pub const fn capture_id(self) -> &'static str {
        CAPTURE_IDS[self.0 as usize]
    }

    /// Name of the parameter that arms the slot.
    pub const fn capture_name(self) -> &'static str {
        CAPTURE_NAMES[self.0 as usize]
    }

    /// Whether it lies at an end of the morph.
    pub fn is_end(self) -> bool {
        self == Self::A || self == LAST
    }

    /// Where it lies on the morph, in `0..=1`.
    pub fn place(self) -> f32 {
        f32::from(self.0) / f32::from(LEGS)
    }
}

/// A position of the morph: 0 at the first slot, 1 at the last, the others evenly between.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position(f32);

impl Position {
    /// A position, brought into `0..=1`; 0 for what is no number.
    pub fn new(share: f32) -> Self {
        Self(if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) })
    }

    /// The share of the whole way, in `0..=1`.
    pub fn share(self) -> f32 {
        self.0
    }

    /// The slots on both sides, and the share of the way from the first of them to the second.
    pub fn between(self) -> (SlotId, SlotId, f32) {
        let way = self.0 * f32::from(LEGS);
        let mut leg = 0;
        while leg + 1 < LEGS && way >= f32::from(leg + 1) {
            leg += 1;
        }
        (SlotId(leg), SlotId(leg + 1), way - f32::from(leg))
    }

    /// How much of each slot is in the mix; together 1.
    pub fn weights(self) -> [f32; SLOTS] {
        let (low, high, share) = self.between();
        let mut weights = [0.0; SLOTS];
        weights[low.index()] = 1.0 - share;
        weights[high.index()] = share;
        weights
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At each slot's place it alone counts; everywhere at most two neighbours do, together wholly.
    #[test]
    fn weights_are_shared_by_neighbours() {
        for slot in SlotId::ALL {
            let weights = Position::new(slot.place()).weights();
            for other in SlotId::ALL {
                let expected = f32::from(u8::from(other == slot));
                assert!((weights[other.index()] - expected).abs() < 1e-6, "{slot:?} {weights:?}");
            }
        }
        for step in 0..=100_u8 {
            let position = Position::new(f32::from(step) / 100.0);
            let (low, high, share) = position.between();
            assert_eq!(high.index(), low.index() + 1);
            assert!((0.0..=1.0).contains(&share));
            assert!((position.weights().iter().sum::<f32>() - 1.0).abs() < 1e-6);
        }
    }

    /// What is out of range or no number is the nearest end, or the first.
    #[test]
    fn positions_are_clamped() {
        let shares = [-1.0, 0.25, 2.0, f32::NAN].map(|share| Position::new(share).share());
        assert_eq!(shares, [0.0, 0.25, 1.0, 0.0]);
    }

    /// Ids of the slots that projects know stay; letters and places differ.
    #[test]
    fn slots_are_told_apart() {
        assert_eq!([SlotId::A, SlotId::B].map(SlotId::capture_id), ["capture_a", "capture_b"]);
        assert_eq!(SlotId::ALL.map(SlotId::index).to_vec(), (0..SLOTS).collect::<Vec<_>>());
        assert_eq!(SlotId::at(SLOTS), None);
        assert_eq!((SlotId::A.place(), LAST.place()), (0.0, 1.0));
        assert!(SlotId::A.is_end() && LAST.is_end());
    }
}
