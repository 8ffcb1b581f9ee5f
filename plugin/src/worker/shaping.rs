//! Moves latent codes to where an attribute of the music is stronger or weaker.

use interlude_models::latent::attributes::Attributes;

use crate::shape::{Attribute, Shape};

/// The directions of a model for the attributes that the plug-in offers.
#[derive(Debug, Default)]
pub(super) struct Shaping([Option<Vec<f32>>; Attribute::ALL.len()]);

impl Shaping {
    /// The directions that a model knows. An attribute of several parts is changed in all of them.
    pub(super) fn of(known: &Attributes) -> Self {
        Self(Attribute::ALL.map(|attribute| {
            let directions = known
                .iter()
                .filter(|known| known.name.rsplit('-').next() == Some(attribute.entry().id))
                .map(|known| known.direction.clone());
            directions.reduce(|mut sum, direction| {
                sum.iter_mut().zip(direction).for_each(|(sum, value)| *sum += value);
                sum
            })
        }))
    }

    /// Which attributes can be changed.
    pub(super) fn offers(&self) -> [bool; Attribute::ALL.len()] {
        self.0.each_ref().map(Option::is_some)
    }

    /// Moves a code.
    pub(super) fn apply(&self, code: &mut [f32], shape: &Shape) {
        for (direction, &amount) in self.0.iter().zip(shape) {
            if let Some(direction) = direction
                && amount != 0.0
            {
                code.iter_mut().zip(direction).for_each(|(code, step)| *code += amount * step);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::latent::attributes;

    use super::*;

    fn known(names: &[(&str, [f32; 2])]) -> Attributes {
        let attribute = |&(name, direction): &(&str, [f32; 2])| attributes::Attribute {
            name: name.to_owned(),
            unit: String::new(),
            mean: 0.0,
            deviation: 1.0,
            direction: direction.to_vec(),
        };
        Attributes::new(names.iter().map(attribute).collect(), 2).expect("sound attributes")
    }

    // An attribute moves a code along its direction, by as much as the shape says; one that the
    // model does not know moves nothing.
    #[test]
    fn codes_move_along_directions() {
        let shaping = Shaping::of(&known(&[("density", [1.0, 0.0]), ("pitch", [0.5, 0.25])]));
        let known = [Attribute::Density, Attribute::Pitch];
        assert_eq!(shaping.offers(), Attribute::ALL.map(|attribute| known.contains(&attribute)));
        let mut code = [1.0, 1.0];
        let mut shape = [2.0; Attribute::ALL.len()];
        shape[Attribute::Density.index()] = -1.0;
        shaping.apply(&mut code, &shape);
        assert_eq!(code, [1.0, 1.5]);
        shaping.apply(&mut code, &Shape::default());
        assert_eq!(code, [1.0, 1.5]);
    }

    // The parts of a trio move together; classes of drums and unlike names are left alone.
    #[test]
    fn parts_move_together() {
        let names = [
            ("melody-density", [1.0, 0.0]),
            ("drums-density", [0.0, 2.0]),
            ("low-tom", [4.0, 4.0]),
            ("mypitch", [8.0, 8.0]),
        ];
        let shaping = Shaping::of(&known(&names));
        assert_eq!(shaping.offers(), Attribute::ALL.map(|it| it == Attribute::Density));
        let mut code = [0.0, 0.0];
        let mut shape = Shape::default();
        shape[Attribute::Density.index()] = 0.5;
        shaping.apply(&mut code, &shape);
        assert_eq!(code, [0.5, 1.0]);
    }
}
