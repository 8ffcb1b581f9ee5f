//! A personal model as a file: safetensors with the name of its latent space as metadata.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use interlude_gradient::perceptron::Trained;
use safetensors::tensor::SafeTensors;
use thiserror::Error;

use crate::files;
use crate::weights::Weights;

use super::{Personal, Sizes};

/// The only key of the metadata, so that equal models have equal bytes; the latent space is its value.
const FORMAT: &str = "interlude-personal-1";
/// Largest file that is read; those of the default sizes have a tenth of a megabyte.
const LARGEST_FILE: u64 = 8 << 20;
/// Longest name of a latent space.
const LONGEST_NAME: usize = 256;

/// Why a personal model could not be read or written.
#[derive(Debug, Error)]
pub enum PersonalError {
    /// The bytes are no personal model.
    #[error("this is no personal model ({0}); make it again with `interlude personal`")]
    Format(String),
    /// It belongs to another model.
    #[error(
        "the personal model was made for `{found}`, not for `{expected}`; choose that model, or make \
         it again"
    )]
    Space {
        /// The latent space that is wanted.
        expected: String,
        /// The one it was made for.
        found: String,
    },
    /// A file could not be read or written.
    #[error("cannot access `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file that is no personal model.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: Box<PersonalError>,
    },
}

impl Personal {
    /// The model that some weights are: `mean` `[latent]`, `scale` (above 0), and kernel and bias of
    /// `encoder/0`, `encoder/1` and `decoder/0`, `decoder/1`, all finite.
    ///
    /// # Errors
    /// [`PersonalError::Format`] names a tensor that is missing or unusable.
    pub fn of(space: String, weights: Weights) -> Result<Self, PersonalError> {
        let wrong = |what: &str| PersonalError::Format(format!("`{what}` is missing or unusable"));
        let shape = |name: &str| {
            let tensor = weights.get(name).filter(|tensor| !tensor.shape.contains(&0));
            tensor.map(|tensor| tensor.shape.as_slice()).ok_or_else(|| wrong(name))
        };
        let &[latent] = shape("mean")? else { return Err(wrong("mean")) };
        let &[code, hidden] = shape("decoder/0/kernel")? else {
            return Err(wrong("decoder/0/kernel"));
        };
        let scale = weights.get("scale").filter(|scale| scale.shape.is_empty());
        if scale.is_none_or(|scale| scale.data.iter().any(|&scale| scale <= 0.0)) {
            return Err(wrong("scale"));
        }
        for (name, tensor) in weights.iter() {
            if tensor.data.iter().any(|value| !value.is_finite()) {
                return Err(wrong(name));
            }
        }
        let sizes = Sizes { latent, hidden, code };
        let part = |name: &str, sizes: &[usize]| {
            Trained::of(&weights, name, sizes).map_err(|missing| wrong(&missing))
        };
        let encoder = part("encoder", &sizes.encoder())?;
        let decoder = part("decoder", &sizes.decoder())?;
        Ok(Self { space, sizes, weights, encoder, decoder })
    }

    /// The model as the bytes of a file.
    ///
    /// # Panics
    /// Never: the shapes are those of a model.
    pub fn to_bytes(&self) -> Vec<u8> {
        let metadata = HashMap::from([(FORMAT.to_owned(), self.space.clone())]);
        safetensors::serialize(self.weights.iter(), Some(metadata)).expect("the tensors are whole")
    }

    /// Reads the bytes of a file.
    ///
    /// # Errors
    /// [`PersonalError::Format`] for anything but a personal model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PersonalError> {
        let wrong = PersonalError::Format;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(wrong("it is larger than any".to_owned()));
        }
        let (_, metadata) =
            SafeTensors::read_metadata(bytes).map_err(|error| wrong(error.to_string()))?;
        let space = metadata.metadata().as_ref().and_then(|map| map.get(FORMAT));
        let space = space.filter(|space| space.len() <= LONGEST_NAME);
        let space = space.ok_or_else(|| wrong("its metadata does not say so".to_owned()))?.clone();
        let file = SafeTensors::deserialize(bytes).map_err(|error| wrong(error.to_string()))?;
        let weights = Weights::of(&file)
            .map_err(|(name, found)| wrong(format!("`{name}` holds {found:?}")))?;
        Self::of(space, weights)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`PersonalError`] names the file that cannot be read or is no personal model.
    pub fn read(path: &Path) -> Result<Self, PersonalError> {
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST_FILE + 1).read_to_end(&mut bytes))
            .map_err(|source| PersonalError::Io { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes).map_err(|source| PersonalError::File {
            path: path.to_owned(),
            source: Box::new(source),
        })
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// [`PersonalError::Io`] when the folder cannot be written to.
    pub fn write(&self, path: &Path) -> Result<(), PersonalError> {
        let io = |source| PersonalError::Io { path: path.to_owned(), source };
        files::write(path, &self.to_bytes()).map_err(io)
    }

    /// Whether it belongs to a latent space of that name and size.
    pub fn fits(&self, space: &str, latent_size: usize) -> bool {
        self.space == space && self.sizes.latent == latent_size
    }

    /// The model, when it belongs to a latent space of that name and size.
    ///
    /// # Errors
    /// [`PersonalError::Space`] when it does not.
    pub fn fitting(self, space: &str, latent_size: usize) -> Result<Self, PersonalError> {
        if self.fits(space, latent_size) {
            return Ok(self);
        }
        Err(PersonalError::Space { expected: space.to_owned(), found: self.space })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::weights::Tensor;

    use super::*;

    /// The tensors of a model of 3 dimensions, with 2 hidden units and a code of 1.
    fn weights() -> Weights {
        let mut weights = Weights::default();
        let shapes: [(&str, &[usize]); 10] = [
            ("mean", &[3]),
            ("scale", &[]),
            ("encoder/0/kernel", &[3, 2]),
            ("encoder/0/bias", &[2]),
            ("encoder/1/kernel", &[2, 2]),
            ("encoder/1/bias", &[2]),
            ("decoder/0/kernel", &[1, 2]),
            ("decoder/0/bias", &[2]),
            ("decoder/1/kernel", &[2, 3]),
            ("decoder/1/bias", &[3]),
        ];
        for (name, shape) in shapes {
            let data = vec![0.5; shape.iter().product()];
            weights.insert(name, Tensor { shape: shape.to_vec(), data });
        }
        weights
    }

    fn model() -> Personal {
        Personal::of("a model".to_owned(), weights()).expect("a model")
    }

    // What is written is read back equal; decoding follows the formula.
    #[test]
    fn reads_what_it_writes() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("mine.safetensors");
        model().write(&path).expect("written");
        assert_eq!(Personal::read(&path).expect("read"), model());
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 1);
        // 0.5 + 0.5 · (0.5 + 2 · 0.5 · max(0.5 + 0.5 · 3, 0))
        assert_eq!(model().decode(&[3.0]), vec![1.75; 3]);
        assert_eq!(model().decode(&[-3.0]), vec![0.75; 3]);
        assert_eq!((model().latent_size(), model().code_size()), (3, 1));
    }

    // A model of another latent space is refused by name.
    #[test]
    fn models_belong_to_a_latent_space() {
        assert_eq!(model().fitting("a model", 3).expect("it fits"), model());
        let message = model().fitting("another", 3).expect_err("another model").to_string();
        assert!(message.contains("`a model`") && message.contains("`another`"), "{message}");
        assert!(model().fitting("a model", 4).is_err());
    }

    // Tensors that are missing, of a wrong shape or no numbers are named.
    #[test]
    fn unusable_tensors_are_named() {
        for name in weights().0.keys() {
            let tensor = &weights().0[name];
            let longer = Tensor { shape: vec![4, 5], data: vec![0.1; 20] };
            let mut broken = tensor.clone();
            broken.data[0] = f32::NAN;
            let empty = Tensor { shape: vec![0], data: vec![] };
            for unusable in [None, Some(longer), Some(broken), Some(empty)] {
                let mut weights = weights();
                weights.0.remove(name);
                weights.0.extend(unusable.map(|tensor| (name.clone(), tensor)));
                assert!(Personal::of(String::new(), weights).is_err(), "{name}");
            }
        }
        let mut weights = weights();
        weights.insert("scale", Tensor { shape: vec![], data: vec![0.0] });
        let message = Personal::of(String::new(), weights).expect_err("no scale").to_string();
        assert!(message.contains("`scale`"), "{message}");
    }

    // A file cut off anywhere, or of other content, is an error that names it.
    #[test]
    fn other_files_are_named() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("mine.safetensors");
        let whole = model().to_bytes();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).expect("cut");
            let message = Personal::read(&path).expect_err("cut off").to_string();
            assert!(message.contains("mine.safetensors"), "{message}");
        }
        let plain = safetensors::serialize(weights().iter(), None).expect("whole");
        assert!(Personal::from_bytes(&plain).is_err());
    }

    proptest! {
        // Changed bytes are refused or give a model that decodes, and never panic.
        #[test]
        fn any_change_is_survived(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = model().to_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            if let Ok(model) = Personal::from_bytes(&bytes) {
                prop_assert_eq!(model.decode(&vec![0.1; model.code_size()]).len(), model.latent_size());
            }
        }
    }
}
