//! Reading a fixture folder.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use interlude_checkpoint::Checkpoint;
use interlude_models::config::{self, Config};
use interlude_models::weights::Weights;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;

/// A dense array of what the original computed, as 32-bit floats.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents.
    pub shape: Vec<usize>,
    /// Elements, row-major.
    pub data: Vec<f32>,
}

impl Array {
    /// The parts along the first axis.
    pub fn rows(&self) -> std::slice::ChunksExact<'_, f32> {
        let count = self.shape.first().copied().unwrap_or(1).max(1);
        self.data.chunks_exact((self.data.len() / count).max(1))
    }

    /// The elements as sizes.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lengths")]
    pub fn sizes(&self) -> Vec<usize> {
        self.data.iter().map(|&value| value as usize).collect()
    }
}

/// A fixture folder.
#[derive(Debug)]
pub struct Fixture {
    /// Name of the folder.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// The configuration with the fixture's own sizes.
    pub config: Config,
    /// `meta.json`.
    pub meta: Value,
    tensors: Vec<u8>,
    trace: Option<(Value, Vec<u8>)>,
}

/// The arrays of one file.
#[derive(Debug)]
pub struct Arrays<'a>(SafeTensors<'a>);

impl Arrays<'_> {
    /// The array with a name, if there is one.
    ///
    /// # Errors
    /// When it has an unknown element type.
    pub fn get(&self, name: &str) -> Result<Option<Array>> {
        let Ok(view) = self.0.tensor(name) else { return Ok(None) };
        let bytes = view.data();
        let data = match view.dtype() {
            Dtype::F32 => {
                bytes.as_chunks().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
            }
            Dtype::U8 => bytes.iter().map(|&byte| f32::from(byte)).collect(),
            Dtype::I32 => {
                let words = bytes.as_chunks().0.iter().map(|&word| i32::from_le_bytes(word));
                #[expect(clippy::cast_precision_loss, reason = "tokens and lengths are small")]
                words.map(|value| value as f32).collect()
            }
            other => bail!("array `{name}` has element type {other:?}"),
        };
        Ok(Some(Array { shape: view.shape().to_vec(), data }))
    }

    /// The array with a name.
    ///
    /// # Errors
    /// As [`Arrays::get`], and when it is not there.
    pub fn need(&self, name: &str) -> Result<Array> {
        self.get(name)?.with_context(|| format!("there is no array `{name}`"))
    }

    /// How many names begin with a prefix.
    pub fn count(&self, prefix: &str) -> usize {
        self.0.names().iter().filter(|name| name.starts_with(prefix)).count()
    }
}

impl Fixture {
    /// Reads a folder.
    ///
    /// # Errors
    /// When a file is missing or its contents are not as described.
    pub fn open(folder: &Path) -> Result<Self> {
        let name = folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into());
        let meta = json(&folder.join("meta.json"))?;
        let configuration = meta["config"].as_str().context("meta.json names no config")?;
        let mut config = config::by_name(configuration)?;
        let mut hparams = serde_json::to_value(&config.hparams)?;
        let given = meta["hparams"].as_object().context("meta.json has no hparams")?;
        for (key, value) in hparams.as_object_mut().context("hparams are an object")? {
            if let Some(given) = given.get(key) {
                *value = given.clone();
            }
        }
        config.hparams = serde_json::from_value(hparams).context("hparams of meta.json")?;
        let tensors = read(&folder.join("io.safetensors"))?;
        let log = folder.join("train_trace.json");
        let trace = if log.is_file() {
            Some((json(&log)?, read(&folder.join("train_trace.safetensors"))?))
        } else {
            None
        };
        Ok(Self { name, folder: folder.to_owned(), config, meta, tensors, trace })
    }

    /// The array with a name, if the fixture has it.
    ///
    /// # Errors
    /// When `io.safetensors` is damaged or the array has an unknown element type.
    pub fn array(&self, name: &str) -> Result<Option<Array>> {
        self.arrays()?.get(name)
    }

    /// The array with a name.
    ///
    /// # Errors
    /// As [`Fixture::array`], and when it is not there.
    pub fn need(&self, name: &str) -> Result<Array> {
        self.arrays()?.need(name)
    }

    /// What the original computed with the weights of the fixture.
    ///
    /// # Errors
    /// When `io.safetensors` is damaged.
    pub fn arrays(&self) -> Result<Arrays<'_>> {
        Ok(Arrays(SafeTensors::deserialize(&self.tensors)?))
    }

    /// What the original logged in steps of training that began with the weights of the fixture,
    /// what went into them and what came out; many fixtures have none.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn trace(&self) -> Result<Option<(&Value, Arrays<'_>)>> {
        let Some((log, bytes)) = &self.trace else { return Ok(None) };
        Ok(Some((log, Arrays(SafeTensors::deserialize(bytes)?))))
    }

    /// The weights in the fixture's archive; they must equal those of the loose files.
    ///
    /// # Errors
    /// When the checkpoint cannot be read.
    pub fn weights(&self) -> Result<Weights> {
        let read = |kind: &str| -> Result<Weights> {
            let name = self.meta["files"][kind].as_str();
            let name = name.with_context(|| format!("meta.json names no file for `{kind}`"))?;
            Ok(Checkpoint::open(&self.folder.join(name))?.weights()?)
        };
        let (archive, loose) = (read("tar")?, read("checkpoint_prefix")?);
        ensure!(archive == loose, "the archive of `{}` differs from its loose files", self.name);
        Ok(archive)
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

fn json(path: &Path) -> Result<Value> {
    serde_json::from_slice(&read(path)?)
        .with_context(|| format!("cannot understand `{}`", path.display()))
}
