//! A learned prior as a file: safetensors with the network's tensors as 16-bit floats, the classes of
//! its examples as bytes (255 is unknown), and latent space and conditions as metadata.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::files;
use crate::weights::{Tensor, Weights};

use super::{Condition, Conditions, Flow};

/// Name of the file in a model's folder.
pub const FILE: &str = "prior.safetensors";
/// The only key of the metadata, so that equal priors have equal bytes.
const FORMAT: &str = "interlude-prior-1";
/// Largest file that is read.
const LARGEST_FILE: u64 = 64 << 20;
/// Longest name of a latent space.
const LONGEST_NAME: usize = 256;
/// Name of the examples' classes among the tensors.
const EXAMPLES: &str = "examples";
/// The byte of an unknown class.
const UNKNOWN: u8 = u8::MAX;

/// What the metadata say.
#[derive(Serialize, Deserialize)]
struct Header {
    space: String,
    /// Whether it serves blends too.
    #[serde(default = "yes")]
    blends: bool,
    latent: usize,
    conditions: Vec<Condition>,
}

fn yes() -> bool {
    true
}

/// Why a file is no prior of its model.
#[derive(Debug, Error)]
pub enum FlowError {
    /// A file could not be read or written.
    #[error("cannot access `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// The content is not that of a prior.
    #[error(
        "`{}` is no whole prior ({reason}); make it again with `interlude prior`, or remove it",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// It belongs to another model.
    #[error(
        "`{}` was made for `{found}`, not for `{expected}`; make one for this model with `interlude \
         prior`, or remove it",
        path.display()
    )]
    Space {
        /// The file.
        path: PathBuf,
        /// The latent space that is wanted.
        expected: String,
        /// The one it was made for.
        found: String,
    },
}

impl Flow {
    /// The prior with weights as a file keeps them.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        for tensor in self.weights.0.values_mut() {
            tensor.data.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32());
        }
        self
    }

    /// The prior as the bytes of a file.
    ///
    /// # Panics
    /// Never: the tensors are whole.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = Header {
            space: self.space.clone(),
            blends: self.blends,
            latent: self.sizes.size(),
            conditions: self.conditions.list().to_vec(),
        };
        let header = serde_json::to_string(&header).expect("names and finite numbers");
        let metadata = HashMap::from([(FORMAT.to_owned(), header)]);
        let halves = |tensor: &Tensor| -> Vec<u8> {
            tensor.data.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()
        };
        let mut parts: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = self
            .weights
            .iter()
            .map(|(name, tensor)| (name, Dtype::F16, tensor.shape.clone(), halves(tensor)))
            .collect();
        let byte = |class: &Option<usize>| {
            class.and_then(|class| u8::try_from(class).ok()).unwrap_or(UNKNOWN)
        };
        let classes = self.examples.iter().flatten().map(byte).collect();
        let shape = vec![self.examples.len(), self.conditions.list().len()];
        parts.push((EXAMPLES, Dtype::U8, shape, classes));
        let views = parts.iter().map(|(name, dtype, shape, bytes)| {
            (
                *name,
                TensorView::new(*dtype, shape.clone(), bytes).expect("as many as the shape says"),
            )
        });
        safetensors::serialize(views, Some(metadata)).expect("whole tensors")
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// A phrase that says what is wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let header = metadata.metadata().as_ref().and_then(|map| map.get(FORMAT));
        let header = header.ok_or("its metadata does not say so")?;
        let header: Header = serde_json::from_str(header).map_err(|error| error.to_string())?;
        if header.space.len() > LONGEST_NAME {
            return Err("the name of its latent space is too long".to_owned());
        }
        let conditions = Conditions::new(header.conditions, header.latent)?;
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let mut weights = Weights::default();
        let mut examples = None;
        for (name, view) in file.iter() {
            match view.dtype() {
                Dtype::F16 => {
                    let (halves, _) = view.data().as_chunks::<2>();
                    let data = halves.iter().map(|&half| f16::from_le_bytes(half).to_f32());
                    let tensor = Tensor { shape: view.shape().to_vec(), data: data.collect() };
                    weights.insert(name, tensor);
                }
                Dtype::U8 if name == EXAMPLES => {
                    let class = |&byte: &u8| (byte != UNKNOWN).then_some(usize::from(byte));
                    let classes: Vec<_> = view.data().iter().map(class).collect();
                    let rows = classes.chunks(conditions.list().len().max(1));
                    examples = Some(rows.map(<[_]>::to_vec).collect());
                }
                found => return Err(format!("`{name}` holds {found:?}")),
            }
        }
        let examples = examples.ok_or("it has no examples")?;
        let flow = Self::new(header.space, conditions, examples, header.latent, weights)?;
        Ok(flow.with_blends(header.blends))
    }

    /// Reads the prior of a model with this latent space and codes of `latent` numbers.
    ///
    /// # Errors
    /// [`FlowError`] names the file that cannot be read, is damaged, or of another model.
    pub fn read(path: &Path, space: &str, latent: usize) -> Result<Self, FlowError> {
        let wrong = |reason: String| FlowError::Format { path: path.to_owned(), reason };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(|source| FlowError::Io { path: path.to_owned(), source })?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(wrong("it is larger than any".to_owned()));
        }
        let flow = Self::from_bytes(&bytes).map_err(wrong)?;
        if flow.space != space || flow.sizes.size() != latent {
            return Err(FlowError::Space {
                path: path.to_owned(),
                expected: space.to_owned(),
                found: flow.space,
            });
        }
        Ok(flow)
    }

    /// Writes the prior, whole or not at all.
    ///
    /// # Errors
    /// [`FlowError::Io`] when the folder cannot be written to.
    pub fn write(&self, path: &Path) -> Result<(), FlowError> {
        let io = |source| FlowError::Io { path: path.to_owned(), source };
        files::write(path, &self.to_bytes()).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::untrained;
    use super::*;

    /// What is written is read back equal, and nothing else is left in the folder.
    #[test]
    fn reads_what_it_writes() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(FILE);
        untrained().write(&path).expect("written");
        assert_eq!(Flow::read(&path, "a model", 4).expect("read"), untrained());
        let samples = untrained().with_blends(false);
        samples.write(&path).expect("written");
        assert_eq!(Flow::read(&path, "a model", 4).expect("read"), samples);
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
    }

    /// A prior of another model, of another size, or that is not there is named.
    #[test]
    fn other_files_are_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join(FILE);
        let named = |space: &str, latent| {
            let message = Flow::read(&path, space, latent).expect_err("unusable").to_string();
            assert!(message.contains(FILE), "{message}");
            message
        };
        named("a model", 4);
        untrained().write(&path).expect("written");
        assert!(named("another", 4).contains("`a model`, not for `another`"));
        named("a model", 5);
    }

    /// A file that is cut off anywhere is refused.
    #[test]
    fn every_truncation_is_an_error() {
        let whole = untrained().to_bytes();
        for length in (0..whole.len()).step_by(7) {
            assert!(Flow::from_bytes(&whole[..length]).is_err(), "{length}");
        }
    }

    /// A tensor that is missing is named.
    #[test]
    fn missing_tensors_are_named() {
        let flow = untrained();
        for name in flow.weights.0.keys() {
            let mut weights = flow.weights.clone();
            weights.0.remove(name);
            let made = Flow::new(String::new(), flow.conditions.clone(), Vec::new(), 4, weights);
            assert!(made.is_err(), "{name}");
        }
    }

    proptest! {
        /// Changed bytes are refused or give a prior of the same sizes, and never panic.
        #[test]
        fn any_change_is_survived(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = untrained().to_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Ok(flow) = Flow::from_bytes(&bytes) {
                prop_assert_eq!(flow.weight_count(), untrained().weight_count());
            }
        }
    }
}
