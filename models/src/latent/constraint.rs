//! Latent constraints (Engel, Hoffman and Roberts 2017): a constraint actor moves codes of the
//! prior to the region of codes of real music, with attributes as requested, as little as possible.
//!
//! `z' = (1 − g) · z + g · d`, where a perceptron of z and the requests computes d and the logits
//! of the gates g. The actor is a file in the model's folder: safetensors with the tensors of the
//! perceptron and, under its only key in the metadata, a JSON list with `name`, `low` and `high` of
//! each range.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use interlude_gradient::perceptron::Trained;
use interlude_gradient::random::generator;
use rand::RngExt;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::files;
use crate::weights::Weights;

use super::prior;

/// Name of the file in a model's folder.
pub const FILE: &str = "constraint.safetensors";
/// Name of the perceptron among the tensors.
pub const ACTOR: &str = "actor";
/// The only key of the metadata.
const FORMAT: &str = "interlude-constraint-1";
/// Largest file that is read; real ones have less than a megabyte.
const LARGEST_FILE: u64 = 16 << 20;
/// Largest number of ranges.
const MOST_RANGES: usize = 64;
/// Longest name.
const LONGEST_NAME: usize = 64;

/// The ranges of an attribute that count as low and as high.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Range {
    /// Name of the attribute.
    pub name: String,
    /// Lower tercile of the training windows, in the attribute's unit.
    pub low: f64,
    /// Upper tercile of the training windows, in the attribute's unit.
    pub high: f64,
}

/// A trained constraint actor.
#[derive(Clone, Debug, PartialEq)]
pub struct Constraint {
    ranges: Vec<Range>,
    latent: usize,
    weights: Weights,
    actor: Trained,
}

/// Why a file is no actor of its model.
#[derive(Debug, Error)]
pub enum ConstraintError {
    /// A file could not be read or written.
    #[error("cannot access `{}`: {source}; run `interlude constrain` to make it", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The content is not that of an actor for the model.
    #[error("`{}` cannot be used ({reason}); run `interlude constrain` again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Widths of an actor's perceptron.
pub fn sizes(latent: usize, ranges: usize, hidden: usize) -> [usize; 4] {
    [latent + ranges, hidden, hidden, 2 * latent]
}

impl Constraint {
    /// An actor for codes of `latent` dimensions from the tensors of its perceptron, whose output
    /// is the logits of the gates, then d.
    ///
    /// # Errors
    /// A phrase that says what is missing, of a wrong shape or not finite.
    pub fn new(ranges: Vec<Range>, latent: usize, weights: Weights) -> Result<Self, String> {
        let named = |range: &Range| {
            !range.name.is_empty() && range.name.len() <= LONGEST_NAME && range.low <= range.high
        };
        if ranges.len() > MOST_RANGES || !ranges.iter().all(named) {
            return Err("its ranges are unusable".to_owned());
        }
        let first = weights.get(&format!("{ACTOR}/0/bias"));
        let hidden = first.map_or(0, |bias| bias.data.len());
        if hidden == 0 || latent == 0 {
            return Err("it has no hidden units".to_owned());
        }
        for (name, tensor) in weights.iter() {
            if tensor.data.iter().any(|value| !value.is_finite()) {
                return Err(format!("`{name}` holds a value that is no finite number"));
            }
        }
        let actor = Trained::of(&weights, ACTOR, &sizes(latent, ranges.len(), hidden))
            .map_err(|name| format!("`{name}` is missing or does not fit the model"))?;
        Ok(Self { ranges, latent, weights, actor })
    }

    /// The attributes that can be requested.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// Moves a code. `wishes` has an entry for each range: −1 for low, 1 for high, 0 for any value.
    ///
    /// # Panics
    /// When the code or the wishes have another size than the actor's.
    pub fn apply(&self, z: &[f32], wishes: &[f32]) -> Vec<f32> {
        assert_eq!((z.len(), wishes.len()), (self.latent, self.ranges.len()), "sizes of one model");
        let output = self.actor.apply(&[z, wishes].concat());
        let (gates, targets) = output.split_at(self.latent);
        let moved = z.iter().zip(gates).zip(targets).map(|((z, gate), target)| {
            let gate = 1.0 / (1.0 + (-gate).exp());
            (1.0 - gate) * z + gate * target
        });
        moved.collect()
    }

    /// A sample of the prior, determined by seed and index, moved by the actor. `wishes` has an
    /// entry for each range; missing ones are drawn: low, high or any, a third each, as in the
    /// data. Otherwise most codes would move to the commonest music.
    pub fn sample(&self, seed: u64, index: u64, wishes: &[Option<f32>]) -> Vec<f32> {
        let mut generator = generator(seed, *b"wishes\0\0", index);
        let mut draw = || [-1.0, 0.0, 1.0][generator.random_range(0..3)];
        let wish = |range: usize| {
            let drawn = draw();
            wishes.get(range).copied().flatten().unwrap_or(drawn)
        };
        let wishes: Vec<f32> = (0..self.ranges.len()).map(wish).collect();
        self.apply(&prior(seed, index, self.latent), &wishes)
    }

    /// Reads the actor of a model with codes of `latent` values.
    ///
    /// # Errors
    /// [`ConstraintError`] names the file that cannot be read, is damaged, or of another model.
    pub fn read(path: &Path, latent: usize) -> Result<Self, ConstraintError> {
        let io = |source| ConstraintError::Io { path: path.to_owned(), source };
        let wrong = |reason: String| ConstraintError::Format { path: path.to_owned(), reason };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(io)?;
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(wrong("it is larger than any".to_owned()));
        }
        let (_, metadata) =
            SafeTensors::read_metadata(&bytes).map_err(|error| wrong(error.to_string()))?;
        let list = metadata.metadata().as_ref().and_then(|map| map.get(FORMAT));
        let list = list.ok_or_else(|| wrong("its metadata does not say so".to_owned()))?;
        let ranges = serde_json::from_str(list).map_err(|error| wrong(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        let weights = Weights::of(&file)
            .map_err(|(name, found)| wrong(format!("`{name}` holds {found:?}")))?;
        Self::new(ranges, latent, weights).map_err(wrong)
    }

    /// Writes the actor, whole or not at all.
    ///
    /// # Errors
    /// [`ConstraintError::Io`] when the folder cannot be written to.
    ///
    /// # Panics
    /// Never: names and shapes are those of an actor.
    pub fn write(&self, path: &Path) -> Result<(), ConstraintError> {
        let io = |source| ConstraintError::Io { path: path.to_owned(), source };
        let list = serde_json::to_string(&self.ranges).expect("names and finite numbers");
        let metadata = HashMap::from([(FORMAT.to_owned(), list)]);
        let bytes =
            safetensors::serialize(self.weights.iter(), Some(metadata)).expect("whole tensors");
        files::write(path, &bytes).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use crate::weights::Tensor;

    use super::*;

    fn weights() -> Weights {
        let mut weights = Weights::default();
        let widths = sizes(2, 1, 3);
        for (index, pair) in widths.windows(2).enumerate() {
            let kernel = Tensor::zeros(pair);
            weights.insert(format!("{ACTOR}/{index}/kernel"), kernel);
            weights.insert(format!("{ACTOR}/{index}/bias"), Tensor::zeros(&pair[1..]));
        }
        let last = weights.0.get_mut("actor/2/bias").expect("it was added");
        last.data = vec![0.0, 50.0, 3.0, 5.0];
        weights
    }

    fn ranges() -> Vec<Range> {
        vec![Range { name: "density".to_owned(), low: 2.5, high: 6.0 }]
    }

    // Half of the first value comes from the actor, all of the second; a file keeps that.
    #[test]
    fn gates_blend_codes() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(FILE);
        let actor = Constraint::new(ranges(), 2, weights()).expect("an actor");
        assert_eq!(actor.apply(&[1.0, 1.0], &[1.0]), [2.0, 5.0]);
        actor.write(&path).expect("written");
        let again = Constraint::read(&path, 2).expect("read");
        assert_eq!((again.ranges(), &again), (&ranges()[..], &actor));
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
    }

    // Samples repeat with their seed and index; a wish given is kept, one that is not is drawn.
    #[test]
    fn samples_repeat() {
        let mut weights = weights();
        // Of the inputs the wish alone is passed on, to the second value.
        weights.0.get_mut("actor/0/kernel").expect("it is there").data[6] = 1.0;
        weights.0.get_mut("actor/1/kernel").expect("it is there").data[0] = 1.0;
        weights.0.get_mut("actor/2/kernel").expect("it is there").data[3] = 1.0;
        let actor = Constraint::new(ranges(), 2, weights).expect("an actor");
        assert_eq!(actor.sample(1, 2, &[]), actor.sample(1, 2, &[None]));
        let seconds = |wish: Option<f32>| -> Vec<f32> {
            (0..30).map(|index| actor.sample(1, index, &[wish])[1].round()).collect()
        };
        assert_eq!(seconds(Some(1.0)), vec![6.0; 30]);
        assert_eq!(seconds(Some(0.0)), vec![5.0; 30]);
        let drawn = seconds(None);
        assert!([5.0, 6.0].iter().all(|value| drawn.contains(value)), "{drawn:?}");
    }

    // A file that is cut off, of another model, or that is not there is named.
    #[test]
    fn other_files_are_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(FILE);
        let named = |result: Result<Constraint, ConstraintError>| {
            let message = result.expect_err("unusable").to_string();
            assert!(message.contains(FILE) && message.contains("interlude constrain"), "{message}");
        };
        named(Constraint::read(&path, 2));
        Constraint::new(ranges(), 2, weights()).expect("an actor").write(&path).expect("written");
        named(Constraint::read(&path, 3));
        let whole = std::fs::read(&path).expect("read");
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("cut");
            named(Constraint::read(&path, 2));
        }
    }

    // Tensors and ranges that are missing or no numbers are refused.
    #[test]
    fn unusable_parts_are_refused() {
        for name in weights().0.keys() {
            let (mut missing, mut broken) = (weights(), weights());
            missing.0.remove(name);
            broken.0.get_mut(name).expect("it is there").data[0] = f32::INFINITY;
            for weights in [missing, broken] {
                assert!(Constraint::new(ranges(), 2, weights).is_err(), "{name}");
            }
        }
        let nan = Range { low: f64::NAN, ..ranges().remove(0) };
        assert!(Constraint::new(vec![nan], 2, weights()).is_err());
        assert!(Constraint::new(Vec::new(), 2, weights()).is_err());
    }
}
