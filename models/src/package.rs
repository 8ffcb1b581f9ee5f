//! A model on disk: a folder with `model.json`, the graphs and their weights.
//!
//! ```text
//! model.json                 what the model is and where it comes from
//! encoder.onnx               graphs, see `network::interface`,
//! encoder.onnx.data          each with its weights beside it
//! decoder_conductor.onnx     only for hierarchical decoders
//! decoder_init.onnx
//! decoder_step.onnx
//! attributes.safetensors     not in every model, see `latent::attributes`
//! constraint.safetensors     not in every model, see `latent::constraint`
//! prior.safetensors          not in every model, see `latent::flow`
//! ```
//!
//! [`Package`] is the only door to all of this; weights are recovered from the graphs.

mod recover;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use interlude_onnx::proto::ModelProto;
use interlude_onnx::quantise::quantise;
use interlude_onnx::stored;
use prost::Message;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{Config, InvalidConfig};
use crate::latent::attributes::{self, Attributes, AttributesError};
use crate::latent::constraint::{self, Constraint, ConstraintError};
use crate::latent::flow::{self, Flow, FlowError};
use crate::network::{self, NetworkError, Part};
use crate::weights::Weights;

/// Name of the file that describes a model.
pub const INFO_FILE: &str = "model.json";
/// Name of the model card, a text in Markdown.
pub const CARD_FILE: &str = "README.md";
/// Version of the folder's layout that is written, and the newest that is read.
pub const FORMAT: u32 = 1;
/// Largest description that is read; real ones have a few kilobytes.
const LARGEST_INFO: u64 = 1 << 20;

/// What `model.json` says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// Version of the folder's layout, [`FORMAT`].
    pub format: u32,
    /// Title, shown to users.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Configuration: token scheme, networks, training settings.
    pub config: Config,
    /// Where the weights come from.
    #[serde(default)]
    pub provenance: Provenance,
    /// Measurements by name, such as `reconstruction_accuracy`, 0 to 1.
    #[serde(default)]
    pub metrics: BTreeMap<String, f64>,
}

/// Where weights come from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// The checkpoint or the training data, in words.
    #[serde(default)]
    pub source: String,
    /// Schedule of the training, if it did not follow the configuration's hyper-parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<serde_json::Value>,
    /// Training step of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// Licence of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<String>,
}

impl ModelInfo {
    /// A description with nothing but a configuration and a source.
    pub fn new(config: Config, source: &str) -> Self {
        Self {
            format: FORMAT,
            title: None,
            config,
            provenance: Provenance { source: source.to_owned(), ..Provenance::default() },
            metrics: BTreeMap::new(),
        }
    }

    /// Name of the model's latent space: configuration and training step, which other trainings
    /// rarely share.
    pub fn latent_space(&self) -> String {
        match self.provenance.step {
            Some(step) => format!("{}, step {step}", self.config.name),
            None => self.config.name.clone(),
        }
    }
}

/// A model on disk: a folder whose description was read and whose files exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Package {
    /// The folder.
    pub dir: PathBuf,
    /// The content of its `model.json`.
    pub info: ModelInfo,
}

/// Why a model's folder could not be read or written.
#[derive(Debug, Error)]
pub enum PackageError {
    /// The folder is not there.
    #[error("there is no model folder `{}`", dir.display())]
    Absent {
        /// The folder.
        dir: PathBuf,
    },
    /// A file that is missing.
    #[error(
        "the model folder `{}` lacks `{file}`; import, train or copy the model again", dir.display()
    )]
    MissingFile {
        /// The folder.
        dir: PathBuf,
        /// The file.
        file: String,
    },
    /// The description cannot be understood.
    #[error("`{}` cannot be understood: {reason}", path.display())]
    Info {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The description's sizes are not usable.
    #[error("`{}`: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Which setting.
        source: InvalidConfig,
    },
    /// The model was made by a newer version.
    #[error(
        "`{}` has format {found}, this program knows up to {FORMAT}; update Interlude",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The weights do not fit the configuration.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A graph that cannot be quantised.
    #[error("`{}` cannot be quantised: {reason}", path.display())]
    Quantise {
        /// The graph.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The weights could not be recovered from the graphs.
    #[error("the weights of `{}` cannot be read: {reason}; import, train or copy it again", path.display())]
    Weights {
        /// The graph, or the model's folder.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The target exists and is not a model.
    #[error("`{}` exists and is no model folder; choose another place", dir.display())]
    Occupied {
        /// The place.
        dir: PathBuf,
    },
    /// A file could not be read or written.
    #[error("cannot access `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Package {
    /// Reads a model's description and checks that its graphs exist; they are not read yet.
    ///
    /// # Errors
    /// [`PackageError`] for a folder or file that is missing, and a description that is damaged,
    /// too new, or has absurd sizes.
    pub fn open(dir: &Path) -> Result<Self, PackageError> {
        if !dir.is_dir() {
            return Err(PackageError::Absent { dir: dir.to_owned() });
        }
        let path = dir.join(INFO_FILE);
        let missing =
            |file: &str| PackageError::MissingFile { dir: dir.to_owned(), file: file.to_owned() };
        if !path.is_file() {
            return Err(missing(INFO_FILE));
        }
        let mut text = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(LARGEST_INFO + 1).read_to_end(&mut text))
            .map_err(|source| PackageError::Io { path: path.clone(), source })?;
        let info = parse_info(&text, &path)?;
        let parts = Part::all(&info.config);
        if let Some(part) = parts.into_iter().find(|part| !dir.join(part.file()).is_file()) {
            return Err(missing(part.file()));
        }
        Ok(Self { dir: dir.to_owned(), info })
    }

    /// Builds the graphs of a model and writes its folder, whole or not at all. An existing model
    /// is replaced.
    ///
    /// # Errors
    /// [`PackageError`] when weights or sizes do not fit, or the place cannot be written to.
    pub fn write(dir: &Path, info: &ModelInfo, weights: &Weights) -> Result<Self, PackageError> {
        let path = dir.join(INFO_FILE);
        let config = &info.config;
        config.validate().map_err(|source| PackageError::Config { path, source })?;
        network::check(config, weights)?;
        Self::replace(dir, info, |new| {
            for part in Part::all(config) {
                let data = new.join(part.data_file());
                let mut writer = BufWriter::new(File::create(&data).map_err(io(&data))?);
                let graph =
                    network::build(config, weights, part, &mut writer).map_err(io(&data))?;
                writer.flush().map_err(io(&data))?;
                let file = new.join(part.file());
                fs::write(&file, graph).map_err(io(&file))?;
            }
            Ok(())
        })
    }

    /// Writes this model with int8 weights to another folder, whole or not at all, with `info` and
    /// a model card. Attribute vectors, actor and learned prior are copied.
    ///
    /// # Errors
    /// [`PackageError::Quantise`] names the graph that cannot be quantised, or is already; others
    /// as for [`Package::write`].
    pub fn quantise(&self, dir: &Path, info: &ModelInfo, card: &str) -> Result<Self, PackageError> {
        Self::replace(dir, info, |new| {
            let mut count = 0;
            for part in Part::all(&info.config) {
                let file = self.graph(part);
                let graph = fs::read(&file).map_err(io(&file))?;
                let wrong = |reason: String| PackageError::Quantise { path: file.clone(), reason };
                let model = ModelProto::decode(graph.as_slice())
                    .map_err(|error| wrong(format!("it is no whole ONNX file ({error})")))?;
                let data = self.dir.join(part.data_file());
                let mut source = BufReader::new(File::open(&data).map_err(io(&data))?);
                let data = new.join(part.data_file());
                let mut writer = BufWriter::new(File::create(&data).map_err(io(&data))?);
                let (model, quantised) =
                    quantise(model, &mut source, &part.data_file(), &mut writer)
                        .map_err(|error| wrong(error.to_string()))?;
                writer.flush().map_err(io(&data))?;
                let path = new.join(part.file());
                fs::write(&path, model.encode_to_vec()).map_err(io(&path))?;
                count += quantised;
            }
            if count == 0 {
                let reason = "no weight is left to quantise".to_owned();
                return Err(PackageError::Quantise { path: self.dir.clone(), reason });
            }
            for name in [attributes::FILE, constraint::FILE, flow::FILE] {
                if let Some(beside) = self.beside(name) {
                    fs::copy(&beside, new.join(name)).map_err(io(&beside))?;
                }
            }
            let path = new.join(CARD_FILE);
            fs::write(&path, card).map_err(io(&path))
        })
    }

    /// The weights that the model's graphs hold, by the names of [`network::variables`]; int8
    /// weights are dequantised.
    ///
    /// # Errors
    /// [`PackageError::Weights`] for graphs that are damaged, or that another program wrote in its
    /// own way.
    pub fn weights(&self) -> Result<Weights, PackageError> {
        let read = |part| {
            let path = self.graph(part);
            let wrong = |reason: String| PackageError::Weights { path: path.clone(), reason };
            let graph = fs::read(&path).map_err(io(&path))?;
            let graph = ModelProto::decode(graph.as_slice())
                .map_err(|error| wrong(format!("it is no whole ONNX file ({error})")))?;
            let data = self.dir.join(part.data_file());
            let mut source = BufReader::new(File::open(&data).map_err(io(&data))?);
            stored::weights(graph, &mut source).map_err(|error| wrong(error.to_string()))
        };
        let wrong = |reason| PackageError::Weights { path: self.dir.clone(), reason };
        recover::recover(&self.info.config, read, wrong)
    }

    /// Lets `fill` write a new folder, and renames it, with its description, to `dir`.
    fn replace(
        dir: &Path,
        info: &ModelInfo,
        fill: impl FnOnce(&Path) -> Result<(), PackageError>,
    ) -> Result<Self, PackageError> {
        let occupied = dir.exists() && !is_replaceable(dir);
        if occupied {
            return Err(PackageError::Occupied { dir: dir.to_owned() });
        }
        let parent = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent).map_err(io(parent))?;
        let temporary = tempfile::Builder::new()
            .prefix(".interlude-model-")
            .tempdir_in(parent)
            .map_err(io(parent))?;
        let new = temporary.path().join("new");
        fs::create_dir(&new).map_err(io(&new))?;
        fill(&new)?;
        let path = dir.join(INFO_FILE);
        let text = serde_json::to_string_pretty(info)
            .map_err(|error| PackageError::Info { path, reason: error.to_string() })?;
        let file = new.join(INFO_FILE);
        fs::write(&file, text + "\n").map_err(io(&file))?;
        if dir.exists() {
            fs::rename(dir, temporary.path().join("old")).map_err(io(dir))?;
        }
        fs::rename(&new, dir).map_err(io(dir))?;
        Ok(Self { dir: dir.to_owned(), info: info.clone() })
    }

    /// The model's attribute vectors; none when it has no file of them.
    ///
    /// # Errors
    /// [`AttributesError`] for a file that is damaged or of another model.
    pub fn attributes(&self) -> Result<Option<Attributes>, AttributesError> {
        let read = |path: PathBuf| Attributes::read(&path, self.info.config.hparams.z_size);
        self.beside(attributes::FILE).map(read).transpose()
    }

    /// The model's constraint actor; none when it has no file of it.
    ///
    /// # Errors
    /// [`ConstraintError`] for a file that is damaged or of another model.
    pub fn constraint(&self) -> Result<Option<Constraint>, ConstraintError> {
        let read = |path: PathBuf| Constraint::read(&path, self.info.config.hparams.z_size);
        self.beside(constraint::FILE).map(read).transpose()
    }

    /// The model's learned prior; none when it has no file of it.
    ///
    /// # Errors
    /// [`FlowError`] for a file that is damaged or of another model.
    pub fn prior(&self) -> Result<Option<Flow>, FlowError> {
        let size = self.info.config.hparams.z_size;
        let read = |path: PathBuf| Flow::read(&path, &self.info.latent_space(), size);
        self.beside(flow::FILE).map(read).transpose()
    }

    /// Where a file lies that not every model has. One that cannot be reached, such as a link to
    /// nowhere, counts as there: reading it then tells why.
    fn beside(&self, name: &str) -> Option<PathBuf> {
        let path = self.dir.join(name);
        match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            _ => Some(path),
        }
    }

    /// Where one of the model's graphs lies.
    pub fn graph(&self, part: Part) -> PathBuf {
        self.dir.join(part.file())
    }
}

fn io(path: &Path) -> impl FnOnce(io::Error) -> PackageError {
    let path = path.to_owned();
    move |source| PackageError::Io { path, source }
}

/// Whether a folder is a model or empty.
fn is_replaceable(dir: &Path) -> bool {
    dir.join(INFO_FILE).is_file()
        || fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_none())
}

fn parse_info(text: &[u8], path: &Path) -> Result<ModelInfo, PackageError> {
    /// What all formats share.
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }

    let wrong = |reason: String| PackageError::Info { path: path.to_owned(), reason };
    if text.len() as u64 > LARGEST_INFO {
        return Err(wrong("it is larger than a megabyte".to_owned()));
    }
    let head: Head = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
    if head.format > FORMAT {
        return Err(PackageError::Format { path: path.to_owned(), found: head.format });
    }
    let info: ModelInfo = serde_json::from_slice(text).map_err(|error| wrong(error.to_string()))?;
    info.config
        .validate()
        .map_err(|source| PackageError::Config { path: path.to_owned(), source })?;
    Ok(info)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    // What lies beside the graphs is none where there is no file; a file that is damaged, or a link to
    // nowhere, is never taken for that: the error names it and what to do.
    #[test]
    fn what_is_damaged_is_not_absent() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = config::by_name("cat-mel_2bar_small").expect("known");
        let info = ModelInfo::new(config, "nothing");
        let package = Package { dir: folder.path().to_owned(), info };
        assert_eq!(package.attributes().expect("absent"), None);
        assert_eq!(package.constraint().expect("absent"), None);
        assert_eq!(package.prior().expect("absent"), None);

        type Read = fn(&Package) -> Option<String>;
        let readers: [(&str, &str, Read); 3] = [
            (attributes::FILE, "interlude attributes", |it| {
                it.attributes().err().map(|error| error.to_string())
            }),
            (constraint::FILE, "interlude constrain", |it| {
                it.constraint().err().map(|error| error.to_string())
            }),
            (flow::FILE, "interlude prior", |it| it.prior().err().map(|error| error.to_string())),
        ];
        for (file, remedy, read) in readers {
            let path = folder.path().join(file);
            fs::write(&path, b"no tensors").expect("written");
            let told = read(&package).expect("damaged");
            assert!(told.contains(file) && told.contains(remedy), "{told}");
            fs::remove_file(&path).expect("removed");
            #[cfg(unix)]
            {
                std::os::unix::fs::symlink("no/such/file", &path).expect("a link");
                let told = read(&package).expect("a link to nowhere");
                assert!(told.contains(file), "{told}");
                fs::remove_file(&path).expect("removed");
            }
        }
    }
}
