//! Clips to steps of a model and back.

use serde::{Deserialize, Serialize};

/// One window of a model's input or output: the same music for all schemes, as compact as each
/// allows. The outer length is the number of steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tokens {
    /// Melody tokens: 0 no event, 1 note off, `p − 19` for pitch `p` in `21..=108`.
    Melody(Vec<u8>),
    /// Bit `k` is set when drum class `k` sounds (9 or 61 classes).
    Drums(Vec<u64>),
    /// Melody token, bass token, and the drum classes as bits.
    Trio(Vec<[u16; 3]>),
    /// 9 hits (0 or 1), 9 velocities (`0..=1`), 9 offsets (`-1..=1`, early positive).
    Groove(Vec<[f32; 27]>),
}
