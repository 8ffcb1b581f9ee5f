//! Weights of a network: tensors by name, in memory and as a safetensors file.
//!
//! Names, shapes and layouts are those of the original checkpoints, as
//! `interlude_models::network::variables` lists them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, View};
use thiserror::Error;

use crate::files;

/// A dense tensor of 32-bit floats, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensor {
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// As many elements as the product of the extents.
    pub data: Vec<f32>,
}

impl Tensor {
    /// A tensor of this shape, or `None` when the number of elements does not fit.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Option<Self> {
        (element_count(&shape)? == data.len()).then_some(Self { shape, data })
    }

    /// A tensor of zeros.
    ///
    /// # Panics
    /// When the product of the extents exceeds `usize`.
    pub fn zeros(shape: &[usize]) -> Self {
        let count = element_count(shape).expect("the shape has fewer elements than memory");
        Self { shape: shape.to_vec(), data: vec![0.0; count] }
    }
}

fn element_count(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent))
}

/// Tensors by name, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(pub BTreeMap<String, Tensor>);

/// Why weights could not be read or written.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The file could not be opened, read, written or renamed.
    #[error("cannot access the weights file `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file that is not a safetensors file, or is truncated.
    #[error("`{}` is not a whole safetensors file ({source}); fetch or write it again", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: SafeTensorError,
    },
    /// A tensor has another element type.
    #[error(
        "tensor `{tensor}` in `{}` holds {found:?}; convert it to 32-bit floats (F32)",
        path.display()
    )]
    ElementType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its element type.
        found: Dtype,
    },
}

impl Weights {
    /// The tensor with a name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// Adds a tensor, or replaces the one with this name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.0.insert(name.into(), tensor);
    }

    /// All tensors in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Checks that it holds tensors of these names and shapes, of finite numbers.
    ///
    /// # Errors
    /// The name of the first that is missing, of another shape, or not finite.
    pub fn hold(
        &self,
        shapes: impl IntoIterator<Item = (String, Vec<usize>)>,
    ) -> Result<(), String> {
        for (name, shape) in shapes {
            let tensor = self.get(&name).filter(|tensor| tensor.shape == shape);
            if !tensor.is_some_and(|it| it.data.iter().all(|value| value.is_finite())) {
                return Err(name);
            }
        }
        Ok(())
    }

    /// Reads a safetensors file in which every tensor is F32.
    ///
    /// # Errors
    /// [`WeightsError`] for a file that cannot be read, is damaged, or holds other element types.
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        let bytes =
            fs::read(path).map_err(|source| WeightsError::Io { path: path.to_owned(), source })?;
        let file = SafeTensors::deserialize(&bytes)
            .map_err(|source| WeightsError::Format { path: path.to_owned(), source })?;
        Self::of(&file).map_err(|(tensor, found)| WeightsError::ElementType {
            path: path.to_owned(),
            tensor,
            found,
        })
    }

    /// Takes all tensors of a safetensors file; otherwise the name and type of one that is not F32.
    ///
    /// # Errors
    /// The tensor's name and element type.
    pub fn of(file: &SafeTensors<'_>) -> Result<Self, (String, Dtype)> {
        let mut weights = Self::default();
        for (name, view) in file.iter() {
            if view.dtype() != Dtype::F32 {
                return Err((name.to_owned(), view.dtype()));
            }
            let (words, _) = view.data().as_chunks::<4>();
            let data = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
            weights.insert(name, Tensor { shape: view.shape().to_vec(), data });
        }
        Ok(weights)
    }

    /// Writes a safetensors file, replacing the one at `path` only when all is written.
    ///
    /// # Errors
    /// [`WeightsError::Io`] when the folder cannot be written to.
    pub fn write(&self, path: &Path) -> Result<(), WeightsError> {
        let io = |source| WeightsError::Io { path: path.to_owned(), source };
        let temporary = files::beside(path).map_err(io)?;
        safetensors::serialize_to_file(self.iter(), None, temporary.path()).map_err(|source| {
            match source {
                SafeTensorError::IoError(source) => io(source),
                source => WeightsError::Format { path: path.to_owned(), source },
            }
        })?;
        temporary.persist(path).map_err(|error| io(error.error))?;
        Ok(())
    }
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.data.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        self.data.len() * size_of::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Weights {
        let mut weights = Weights::default();
        weights.insert(
            "a/kernel",
            Tensor { shape: vec![2, 3], data: vec![0.5, -1.0, 2.0, 3.0, 4.0, f32::MIN] },
        );
        weights.insert("a/bias", Tensor { shape: vec![0], data: vec![] });
        weights.insert("step", Tensor { shape: vec![], data: vec![7.0] });
        weights
    }

    // What is written is read back equal, bit for bit.
    #[test]
    fn reads_what_it_writes() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("weights.safetensors");
        example().write(&path).expect("written");
        assert_eq!(Weights::read(&path).expect("read"), example());
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1, "no temporary left");
    }

    // A file cut off anywhere is an error that names it, never a panic.
    #[test]
    fn every_truncation_is_an_error() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("weights.safetensors");
        example().write(&path).expect("written");
        let whole = fs::read(&path).expect("read");
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).expect("cut");
            let message = Weights::read(&path).expect_err("cut off").to_string();
            assert!(message.contains("weights.safetensors"), "{message}");
        }
    }

    // A missing file is an error that names it.
    #[test]
    fn a_missing_file_is_named() {
        let message = Weights::read(Path::new("nowhere.safetensors")).expect_err("missing");
        assert!(message.to_string().contains("nowhere.safetensors"));
    }

    // The elements must fit the shape, whatever the extents are.
    #[test]
    fn a_tensor_fits_its_shape() {
        assert!(Tensor::new(vec![2, 2], vec![0.0; 4]).is_some());
        assert!(Tensor::new(vec![2, 2], vec![0.0; 3]).is_none());
        assert!(Tensor::new(vec![usize::MAX, 2], vec![]).is_none());
    }
}
