//! Attribute vectors: directions in latent space along which an attribute of the music rises, a
//! file in a model's folder.
//!
//! `attributes.safetensors` holds one tensor, `directions`, F32 \[attributes, z\], and under
//! `attributes` in its metadata a JSON list with `name`, `unit`, `mean` and `deviation` of each row.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::files;

/// Name of the file in a model's folder.
pub const FILE: &str = "attributes.safetensors";
/// Name of the tensor, and of the list in the metadata.
const DIRECTIONS: &str = "directions";
const LIST: &str = "attributes";
/// Largest number of attributes of a model.
const MOST: usize = 256;
/// Longest name and unit, in bytes.
const LONGEST: usize = 64;
/// Largest file that is read: real ones have some kilobytes.
const LARGEST: u64 = 16 << 20;

/// An attribute of music with its attribute vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Attribute {
    /// Name: lower-case letters, digits and hyphens.
    pub name: String,
    /// Unit that it is measured in, as text.
    pub unit: String,
    /// Mean over the training windows, in `unit`.
    pub mean: f32,
    /// Standard deviation over the training windows, in `unit`, above 0.
    pub deviation: f32,
    /// The attribute vector, `[z_size]`: added to a latent code it is predicted to raise the
    /// attribute by one `deviation`.
    pub direction: Vec<f32>,
}

impl Attribute {
    /// `z + amount · direction`, `amount` in standard deviations.
    ///
    /// # Panics
    /// When the code has another size than the direction.
    pub fn apply(&self, z: &[f32], amount: f32) -> Vec<f32> {
        assert_eq!(z.len(), self.direction.len(), "codes of one model have one size");
        z.iter().zip(&self.direction).map(|(z, step)| z + amount * step).collect()
    }
}

/// The attributes of a model, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Attributes(Vec<Attribute>);

/// Metadata of an attribute.
#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    unit: String,
    mean: f32,
    deviation: f32,
}

/// Why attributes could not be read or written.
#[derive(Debug, Error)]
pub enum AttributesError {
    /// An error of the file system.
    #[error(
        "cannot access `{}`: {source}; delete it, or make it again by `interlude attributes`",
        path.display()
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A file that is damaged or belongs to another model.
    #[error(
        "`{}` cannot be used: {reason}; delete it, or make it again by `interlude attributes`",
        path.display()
    )]
    Content {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
}

impl Attributes {
    /// Attributes of a model whose latent codes have `z_size` dimensions.
    ///
    /// # Errors
    /// A sentence about what is wrong: a name that is none or comes twice, a number that is not
    /// finite, a deviation that is not above 0, a direction of another size or of length 0.
    pub fn new(attributes: Vec<Attribute>, z_size: usize) -> Result<Self, String> {
        if attributes.len() > MOST {
            return Err(format!("it has {} attributes, {MOST} at most are read", attributes.len()));
        }
        let mut names = BTreeSet::new();
        for attribute in &attributes {
            check(attribute, z_size)?;
            if !names.insert(&attribute.name) {
                return Err(format!("attribute `{}` is there twice", attribute.name));
            }
        }
        Ok(Self(attributes))
    }

    /// Reads a file for a model whose latent codes have `z_size` dimensions.
    ///
    /// # Errors
    /// [`AttributesError`] for a file that cannot be read, is damaged, or is for another model.
    pub fn read(path: &Path, z_size: usize) -> Result<Self, AttributesError> {
        let io = |source| AttributesError::Io { path: path.to_owned(), source };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
            .map_err(io)?;
        parse(&bytes, z_size)
            .map_err(|reason| AttributesError::Content { path: path.to_owned(), reason })
    }

    /// Writes the file, replacing the one at `path` only when all is written.
    ///
    /// # Errors
    /// [`AttributesError`] when the folder cannot be written to, or there is no attribute.
    pub fn write(&self, path: &Path) -> Result<(), AttributesError> {
        let io = |source| AttributesError::Io { path: path.to_owned(), source };
        let bytes = self
            .bytes()
            .map_err(|reason| AttributesError::Content { path: path.to_owned(), reason })?;
        files::write(path, &bytes).map_err(io)
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        let first = self.0.first().ok_or("there is no attribute to write")?;
        let shape = vec![self.0.len(), first.direction.len()];
        let values = self.0.iter().flat_map(|attribute| &attribute.direction);
        let data: Vec<u8> = values.flat_map(|value| value.to_le_bytes()).collect();
        let entry = |attribute: &Attribute| Entry {
            name: attribute.name.clone(),
            unit: attribute.unit.clone(),
            mean: attribute.mean,
            deviation: attribute.deviation,
        };
        let list: Vec<Entry> = self.0.iter().map(entry).collect();
        let list = serde_json::to_string(&list).map_err(|error| error.to_string())?;
        let wrong = |error: SafeTensorError| error.to_string();
        let view = TensorView::new(Dtype::F32, shape, &data).map_err(wrong)?;
        let metadata = HashMap::from([(LIST.to_owned(), list)]);
        safetensors::serialize([(DIRECTIONS, view)], Some(metadata)).map_err(wrong)
    }

    /// The attribute with a name.
    pub fn get(&self, name: &str) -> Option<&Attribute> {
        self.0.iter().find(|attribute| attribute.name == name)
    }

    /// All attributes.
    pub fn iter(&self) -> std::slice::Iter<'_, Attribute> {
        self.0.iter()
    }

    /// Number of attributes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn check(attribute: &Attribute, z_size: usize) -> Result<(), String> {
    let Attribute { name, unit, mean, deviation, direction } = attribute;
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > LONGEST || !name.bytes().all(letter) {
        return Err(format!(
            "an attribute's name has 1 to {LONGEST} small letters, digits and hyphens, unlike {:?}",
            name.chars().take(LONGEST).collect::<String>()
        ));
    }
    if unit.len() > LONGEST || unit.chars().any(char::is_control) {
        return Err(format!("the unit of `{name}` is longer than a line of {LONGEST} letters"));
    }
    if !(mean.is_finite() && deviation.is_finite() && *deviation > 0.0) {
        return Err(format!("`{name}` has the mean {mean} and the deviation {deviation}"));
    }
    if direction.len() != z_size {
        let found = direction.len();
        return Err(format!("`{name}` moves {found} dimensions, the model has {z_size}"));
    }
    let length = direction.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if !(length > 0.0 && length.is_finite()) {
        return Err(format!("the direction of `{name}` has the length {length}"));
    }
    Ok(())
}

fn parse(bytes: &[u8], z_size: usize) -> Result<Attributes, String> {
    if bytes.len() as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    let wrong = |error: SafeTensorError| format!("it is no whole safetensors file ({error})");
    let (_, head) = SafeTensors::read_metadata(bytes).map_err(wrong)?;
    let file = SafeTensors::deserialize(bytes).map_err(wrong)?;
    let list = head.metadata().as_ref().and_then(|metadata| metadata.get(LIST));
    let list = list.ok_or_else(|| format!("its metadata has no list `{LIST}`"))?;
    let list: Vec<Entry> =
        serde_json::from_str(list).map_err(|error| format!("its list `{LIST}`: {error}"))?;
    let tensor = file.tensor(DIRECTIONS).map_err(|_| format!("it has no tensor `{DIRECTIONS}`"))?;
    if tensor.dtype() != Dtype::F32 || tensor.shape() != [list.len(), z_size] {
        return Err(format!(
            "`{DIRECTIONS}` is {:?} {:?}, the model needs F32 [{}, {z_size}]",
            tensor.dtype(),
            tensor.shape(),
            list.len()
        ));
    }
    let (words, _) = tensor.data().as_chunks::<4>();
    let values: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    let directions = values.chunks_exact(z_size.max(1));
    let attribute = |(entry, direction): (Entry, &[f32])| Attribute {
        name: entry.name,
        unit: entry.unit,
        mean: entry.mean,
        deviation: entry.deviation,
        direction: direction.to_vec(),
    };
    Attributes::new(list.into_iter().zip(directions).map(attribute).collect(), z_size)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn example() -> Attributes {
        let attribute = |name: &str, direction: &[f32]| Attribute {
            name: name.to_owned(),
            unit: "notes in a bar".to_owned(),
            mean: 5.5,
            deviation: 2.25,
            direction: direction.to_vec(),
        };
        let list =
            vec![attribute("density", &[1.0, 0.0, -0.5]), attribute("kick", &[0.0, 2.0, 0.1])];
        Attributes::new(list, 3).expect("good")
    }

    /// A file with a list in the metadata and three numbers for each of `rows`.
    fn file(list: &str, rows: &[[f32; 3]]) -> Vec<u8> {
        let data: Vec<u8> =
            rows.as_flattened().iter().flat_map(|value| value.to_le_bytes()).collect();
        let view = TensorView::new(Dtype::F32, vec![rows.len(), 3], &data).expect("fits");
        let metadata = HashMap::from([(LIST.to_owned(), list.to_owned())]);
        safetensors::serialize([(DIRECTIONS, view)], Some(metadata)).expect("written")
    }

    // What is written is read back equal, and nothing else is left in the folder.
    #[test]
    fn reads_what_it_writes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        example().write(&path).expect("written");
        example().write(&path).expect("written over");
        let read = Attributes::read(&path, 3).expect("read");
        assert_eq!(read, example());
        assert_eq!((read.len(), read.get("kick")), (2, read.iter().nth(1)));
        assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 1);
        assert!(Attributes::default().write(&path).is_err(), "nothing to write");
        assert_eq!(Attributes::read(&path, 3).expect("kept"), example());
    }

    // An amount adds so many times the direction, also below 0.
    #[test]
    fn codes_move_along_the_direction() {
        let attributes = example();
        let density = attributes.get("density").expect("there");
        assert_eq!(density.apply(&[1.0, 1.0, 1.0], -2.0), [-1.0, 1.0, 2.0]);
        assert_eq!(density.apply(&[1.0, 1.0, 1.0], 0.0), [1.0, 1.0, 1.0]);
    }

    // What is wrong with a file is told in a sentence with the file and what to do.
    #[test]
    fn hostile_files_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join(FILE);
        let good = r#"{"name":"a","unit":"u","mean":1,"deviation":2}"#;
        let one = |entry: &str| format!("[{entry}]");
        let row = [0.0, 1.0, 0.0];
        let cases = [
            (file(&format!("[{good},{good}]"), &[row, row]), "twice"),
            (file(&one(good), &[row, row]), "[1, 3]"),
            (file(&one(good), &[[0.0; 3]]), "length 0"),
            (file(&one(good), &[[0.0, f32::NAN, 0.0]]), "length NaN"),
            (file(&one(good), &[[0.0, f32::INFINITY, 0.0]]), "length inf"),
            (file(&one(&good.replace("\"a\"", "\"../a\"")), &[row]), "../a"),
            (file(&one(&good.replace("\"a\"", "\"\"")), &[row]), "name"),
            (file(&one(&good.replace("\"u\"", "\"\\n\"")), &[row]), "unit"),
            (file(&one(&good.replace('2', "0")), &[row]), "deviation 0"),
            (file(&one(&good.replace('2', "-1")), &[row]), "deviation -1"),
            (file(&one(&good.replace('2', "1e39")), &[row]), "list `attributes`"),
            (file(&one(&good.replace('2', "\"2\"")), &[row]), "list `attributes`"),
            (file("[", &[row]), "list `attributes`"),
            (example_without_metadata(), "metadata"),
            (vec![0xff; 100], "safetensors"),
            (vec![], "safetensors"),
        ];
        for (bytes, word) in cases {
            fs::write(&path, bytes).expect("written");
            let message = Attributes::read(&path, 3).expect_err(word).to_string();
            assert!(message.contains(word), "no `{word}` in {message}");
            assert!(message.contains(FILE) && message.contains("delete it"), "{message}");
        }
        example().write(&path).expect("written");
        let message = Attributes::read(&path, 4).expect_err("another model").to_string();
        assert!(message.contains("[2, 4]"), "{message}");
        let huge = File::create(&path).expect("made");
        huge.set_len(LARGEST + 2).expect("a hole");
        let message = Attributes::read(&path, 3).expect_err("large").to_string();
        assert!(message.contains("16 MiB"), "{message}");
        fs::remove_file(&path).expect("removed");
        assert!(Attributes::read(&path, 3).expect_err("gone").to_string().contains(FILE));
    }

    fn example_without_metadata() -> Vec<u8> {
        let data = [0; 12];
        let view = TensorView::new(Dtype::F32, vec![1, 3], &data).expect("fits");
        safetensors::serialize([(DIRECTIONS, view)], None).expect("written")
    }

    proptest! {
        // A file with bytes changed, or cut off, is read or refused, and never panics.
        #[test]
        fn damaged_files_are_read_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
            length in any::<prop::sample::Index>(),
        ) {
            let mut bytes = example().bytes().expect("written");
            for (place, byte) in changes {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(attributes) = parse(&bytes, 3) {
                prop_assert!(attributes.iter().all(|attribute| attribute.deviation > 0.0));
            }
            bytes.truncate(length.index(bytes.len()));
            prop_assert!(parse(&bytes, 3).is_err());
        }
    }
}
