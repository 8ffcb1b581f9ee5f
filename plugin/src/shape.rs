//! How a user bends what is generated: more or less of an attribute of the music.

/// An attribute that the plug-in can change, where a model knows a direction for it.
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

/// For each attribute how much more of it there shall be, in standard deviations of the music that
/// a model's directions were found with; 0 changes nothing.
pub type Shape = [f32; Attribute::ALL.len()];

/// Largest change of an attribute. Models are measured up to here, see the cards.
pub const REACH: f32 = 2.0;
