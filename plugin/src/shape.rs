//! Attributes that a user raises or lowers in the music that is generated.

use interlude_models::attributes::{self, OFFERED};

/// An attribute that has a parameter, where a model knows a direction for it: one of those that
/// [`attributes::offered`] lists, in that order.
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
    /// All attributes, in the order of a [`Shape`]. An attribute that gets a hint in the table needs
    /// an entry here.
    pub const ALL: [Self; OFFERED] =
        [Self::Density, Self::Pitch, Self::Range, Self::Interval, Self::Syncopation];

    /// The place in a [`Shape`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// All that there is to know of it.
    pub fn entry(self) -> &'static attributes::Attribute {
        attributes::offered().nth(self.index()).expect("as many as the table offers")
    }
}

/// Requested change of each attribute, in standard deviations of the training set; 0 leaves it.
pub type Shape = [f32; Attribute::ALL.len()];

/// Largest requested change of an attribute, in standard deviations; model cards have measurements
/// up to it.
pub const REACH: f32 = 2.0;

#[cfg(test)]
mod tests {
    use nice_plug::prelude::*;

    use super::*;
    use crate::params::InterludeParams;

    /// The parameter of each attribute has the id and the name that the table gives.
    #[test]
    fn parameters_are_those_of_the_table() {
        let parameters = InterludeParams::default();
        let ids = parameters.param_map();
        for (index, attribute) in Attribute::ALL.into_iter().enumerate() {
            let entry = attribute.entry();
            let of_id = ids.iter().find(|(id, ..)| id == entry.id).expect(entry.id);
            assert_eq!(of_id.1, parameters.shape[attribute.index()].as_ptr(), "{}", entry.id);
            assert_eq!(parameters.shape[attribute.index()].name(), entry.name);
            assert_eq!(attribute.index(), index);
        }
    }
}
