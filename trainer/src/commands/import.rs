//! `interlude import`: a checkpoint of the original becomes a model folder.

use std::path::PathBuf;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::config::Config;
use interlude_models::network::variables;
use interlude_models::package::{ModelInfo, Package};
use interlude_models::weights::Weights;

use interlude_checkpoint::{Checkpoint, configure};

/// Convert a checkpoint of MusicVAE to a model folder.
///
/// Reads TensorFlow checkpoints (an archive as Magenta publishes them, the prefix of the files, or
/// the folder of a training run) and folders of Magenta.js. Configuration and layer sizes follow
/// from the tensors; where these fit several configurations, --config decides.
#[derive(Debug, clap::Args)]
pub struct Import {
    /// The checkpoint: a .tar file, a prefix such as model.ckpt-1000, or a folder.
    source: PathBuf,
    /// Configuration, such as cat-mel_2bar_big, where it does not follow from the tensors.
    #[arg(long, value_name = "NAME")]
    config: Option<String>,
    /// Hyper-parameters that differ from the configuration's, as name=value,…
    #[arg(long, value_name = "NAME=VALUE,…", default_value = "")]
    hparams: String,
    /// Model folder to write; an existing model is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Title of the model, shown by the plug-in.
    #[arg(long)]
    title: Option<String>,
}

impl Import {
    /// Writes the model folder, whole or not at all.
    ///
    /// # Errors
    /// One sentence with the file, the tensor and what to do.
    pub fn run(self) -> anyhow::Result<()> {
        let checkpoint = Checkpoint::open(&self.source)?;
        let config = configure(&checkpoint, self.config.as_deref(), &self.hparams)?;
        let step = checkpoint.global_step()?;
        println!(
            "{}: {}, {} parameters{}",
            checkpoint.place(),
            describe(&config),
            parameters(&config),
            step.map_or(String::new(), |step| format!(", step {step}")),
        );
        let weights = read(&checkpoint, &config)?;
        let mut info = ModelInfo::new(config, &source_name(&self.source));
        info.provenance.step = step;
        info.title = self.title;
        let package = Package::write(&self.out, &info, &weights)
            .with_context(|| format!("cannot write the model of {}", checkpoint.place()))?;
        println!("wrote {}", package.dir.display());
        Ok(())
    }
}

/// Reads the tensors that a configuration needs, one after the other, and checks that they are
/// numbers.
fn read(checkpoint: &Checkpoint, config: &Config) -> anyhow::Result<Weights> {
    let progress = ProgressBar::new(parameters(config));
    progress.set_style(ProgressStyle::with_template("{bar:30} {percent:>3} % {wide_msg}")?);
    let mut weights = Weights::default();
    for variable in variables(config) {
        progress.set_message(variable.name.clone());
        let tensor = checkpoint.read(&variable.name)?;
        if let Some(index) = tensor.data.iter().position(|value| !value.is_finite()) {
            bail!(
                "{}: tensor `{}` holds {} at element {index}; the training run that wrote this \
                 checkpoint had failed, take an earlier one",
                checkpoint.place(),
                variable.name,
                tensor.data[index]
            );
        }
        progress.inc(tensor.data.len() as u64);
        weights.insert(variable.name, tensor);
    }
    progress.finish_and_clear();
    Ok(weights)
}

fn parameters(config: &Config) -> u64 {
    variables(config).iter().map(|variable| variable.shape.iter().product::<usize>() as u64).sum()
}

fn describe(config: &Config) -> String {
    let hparams = &config.hparams;
    format!(
        "{} with z {}, encoder {:?}, decoder {:?}, {} steps",
        config.name,
        hparams.z_size,
        hparams.enc_rnn_size,
        hparams.dec_rnn_size,
        hparams.max_seq_len
    )
}

/// The last part of the path, since the rest says something only on this machine.
fn source_name(source: &std::path::Path) -> String {
    source.file_name().unwrap_or(source.as_os_str()).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use interlude_models::config::by_name;
    use interlude_models::weights::Tensor;

    use super::*;
    use interlude_checkpoint::Writer;

    /// Writes a small checkpoint `model.ckpt-5` of cat-mel_2bar_small, its tensors first passed to
    /// `change`.
    fn checkpoint(folder: &Path, change: impl Fn(&str, &mut Tensor)) -> PathBuf {
        let mut config = by_name("cat-mel_2bar_small").expect("known name");
        config.override_hparams("z_size=3,enc_rnn_size=2,dec_rnn_size=[2,2]").expect("fits");
        let prefix = folder.join("model.ckpt-5");
        let mut writer = Writer::create(&prefix).expect("created");
        for variable in variables(&config) {
            let mut tensor = Tensor::zeros(&variable.shape);
            change(&variable.name, &mut tensor);
            writer.add(&variable.name, &tensor).expect("added");
        }
        writer.finish(5).expect("finished");
        prefix
    }

    fn import(source: PathBuf, out: &Path) -> Import {
        Import {
            source,
            config: None,
            hparams: String::new(),
            out: out.to_owned(),
            title: Some("Tiny".to_owned()),
        }
    }

    // A checkpoint becomes a model folder that says where it comes from.
    #[test]
    fn a_checkpoint_becomes_a_model() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("models/tiny");
        import(checkpoint(folder.path(), |_, _| {}), &out).run().expect("imports");
        let info = Package::open(&out).expect("a model").info;
        assert_eq!(info.config.name, "cat-mel_2bar_small");
        assert_eq!(info.config.hparams.dec_rnn_size, [2, 2]);
        assert_eq!(info.provenance.source, "model.ckpt-5");
        assert_eq!(info.provenance.step, Some(5));
        assert_eq!(info.title.as_deref(), Some("Tiny"));
    }

    // When an import fails it says why in one line and leaves nothing behind, and a model that was
    // there stays.
    #[test]
    fn a_failure_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let out = folder.path().join("out");
        let with_nan = checkpoint(folder.path(), |name, tensor| {
            if name == "decoder/output_projection/bias" {
                tensor.data[4] = f32::NAN;
            }
        });
        let before = fs::read_dir(folder.path()).expect("lists").count();
        let refused = |import: Import| {
            let message = format!("{:#}", import.run().expect_err("refused"));
            assert!(!message.contains('\n'), "{message}");
            assert_eq!(fs::read_dir(folder.path()).expect("lists").count(), before, "{message}");
            message
        };
        let message = refused(import(with_nan.clone(), &out));
        assert!(message.contains("output_projection/bias` holds NaN at element 4"), "{message}");
        let other =
            Import { config: Some("hier-mel_16bar".to_owned()), ..import(with_nan.clone(), &out) };
        assert!(refused(other).contains("say --config cat-mel_2bar_small"));
        let hparams = Import { hparams: "z_size=4".to_owned(), ..import(with_nan.clone(), &out) };
        assert!(refused(hparams).contains("encoder/mu/kernel"));
        let hparams = Import { hparams: "zsize=4".to_owned(), ..import(with_nan.clone(), &out) };
        assert!(refused(hparams).contains("there is no `zsize`"));

        import(checkpoint(folder.path(), |_, _| {}), &out).run().expect("imports");
        let shard = folder.path().join("model.ckpt-5.data-00000-of-00001");
        let mut bytes = fs::read(&shard).expect("reads");
        bytes[1000] ^= 1;
        fs::write(&shard, bytes).expect("written");
        let message = format!("{:#}", import(with_nan, &out).run().expect_err("damaged"));
        assert!(message.contains("checksum"), "{message}");
        assert!(Package::open(&out).is_ok());
    }
}
