//! What training knows of each family, beside what the families know themselves.

use interlude_models::config::Scheme;

/// How a family is trained when a run is only told how many steps it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Manner {
    /// Learning rate of models of one level.
    pub learning_rate: f64,
    /// Weights of the KL divergence of models of one level, at first and at last.
    pub beta: [f64; 2],
    /// The same of hierarchical models.
    pub hierarchical_beta: [f64; 2],
    /// Share of windows of models of one level that get parts of another one.
    pub mix: f64,
    /// Whether windows can be varied and get parts of others at all.
    pub mixes: bool,
}

/// What holds for melodies, and for what has no values of its own.
const MELODY: Manner = Manner {
    learning_rate: 0.004,
    beta: [0.0, 0.02],
    hierarchical_beta: [0.0, 0.005],
    mix: 0.0,
    mixes: true,
};

impl Manner {
    /// That of a family.
    pub(super) fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Melody(_) => MELODY,
            Scheme::MelodyChords => Self { mixes: false, ..MELODY },
            Scheme::Drums => {
                Self { learning_rate: 0.002, beta: [0.002, 0.015], mix: 0.5, ..MELODY }
            }
            Scheme::DrumRoll(_) => {
                Self { learning_rate: 0.002, beta: [0.002, 0.01], mixes: false, ..MELODY }
            }
            Scheme::Trio => Self {
                learning_rate: 0.002,
                beta: [0.002, 0.01],
                hierarchical_beta: [0.0002, 0.002],
                ..MELODY
            },
            Scheme::Groove(_) => {
                Self { learning_rate: 0.002, beta: [0.002, 0.01], mix: 0.5, ..MELODY }
            }
        }
    }
}
