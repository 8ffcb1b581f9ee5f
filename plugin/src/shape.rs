//! Attributes that a user raises or lowers in the music that is generated.

/// An attribute that the plug-in can change, where the model has an attribute vector for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// Notes in a bar.
    Density,
    /// Mean key.
    Pitch,
    /// From the lowest to the highest key.
    Range,
    /// Mean distance from one key to the next.
    Interval,
    /// Notes off the beat.
    Syncopation,
}

impl Attribute {
    /// All attributes, in the order of a [`Shape`].
    pub const ALL: [Self; 5] =
        [Self::Density, Self::Pitch, Self::Range, Self::Interval, Self::Syncopation];

    /// The place in a [`Shape`].
    pub fn index(self) -> usize {
        match self {
            Self::Density => 0,
            Self::Pitch => 1,
            Self::Range => 2,
            Self::Interval => 3,
            Self::Syncopation => 4,
        }
    }

    /// The name that people read.
    pub fn name(self) -> &'static str {
        match self {
            Self::Density => "Density",
            Self::Pitch => "Pitch",
            Self::Range => "Range",
            Self::Interval => "Interval",
            Self::Syncopation => "Syncopation",
        }
    }

    /// The name in a model's folder; of a trio each part has its own, such as `bass-density`.
    pub fn id(self) -> &'static str {
        match self {
            Self::Density => "density",
            Self::Pitch => "pitch",
            Self::Range => "range",
            Self::Interval => "interval",
            Self::Syncopation => "syncopation",
        }
    }
}

/// Requested change of each attribute, in standard deviations of the training set; 0 leaves it.
pub type Shape = [f32; Attribute::ALL.len()];

/// Largest requested change of an attribute, in standard deviations; model cards have measurements
/// up to it.
pub const REACH: f32 = 2.0;
