//! Infers the configuration of a checkpoint from the names and shapes of its tensors.

use std::collections::BTreeMap;

use interlude_models::config::{self, Config, HParamsError, OutputKind, Scheme, UnknownConfig};
use interlude_models::network::{Variable, variables};
use thiserror::Error;

use super::{Checkpoint, ElementType, Entry};

/// Why a checkpoint's configuration cannot be inferred.
#[derive(Debug, Error)]
pub enum GuessError {
    /// The configuration asked for does not exist.
    #[error(transparent)]
    Unknown(#[from] UnknownConfig),
    /// The hyper-parameters asked for do not exist or cannot be so.
    #[error(transparent)]
    HParams(#[from] HParamsError),
    /// The checkpoint is not of the configuration asked for.
    #[error(
        "{place}: {problem}, so it is no checkpoint of `{config}` with these hparams; {remedy}"
    )]
    Unfit {
        /// The checkpoint.
        place: String,
        /// The configuration asked for.
        config: String,
        /// The first difference.
        problem: String,
        /// What to try instead.
        remedy: String,
    },
    /// No configuration fits.
    #[error("{place} fits no configuration of MusicVAE; the nearest is `{nearest}`, but {problem}")]
    None {
        /// The checkpoint.
        place: String,
        /// The configuration with the fewest differences.
        nearest: String,
        /// The first of them.
        problem: String,
    },
    /// Several configurations fit.
    #[error("{place} could be {names}: their tensors look the same; say which with --config NAME")]
    Ambiguous {
        /// The checkpoint.
        place: String,
        /// The configurations.
        names: String,
    },
}

/// What a checkpoint says of its model besides names and shapes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hint {
    /// Schemes it can have.
    pub(crate) schemes: Vec<Scheme>,
    /// Steps of a window.
    pub(crate) max_seq_len: Option<usize>,
}

/// The configuration of a checkpoint, with its layer sizes read off the shapes.
///
/// With a `name` only that configuration is tried; `hparams` (see
/// [`Config::override_hparams`]) win over what the shapes say, and must then fit them. Without a
/// name, what decides among configurations with the same tensors is a name in the path, then equal
/// sizes, then equal numbers of layers.
///
/// # Errors
/// [`GuessError`] names the tensor that does not fit, or the configurations to choose from.
pub fn configure(
    checkpoint: &Checkpoint,
    name: Option<&str>,
    hparams: &str,
) -> Result<Config, GuessError> {
    let entries: BTreeMap<&str, &Entry> = checkpoint.variables().collect();
    let place = checkpoint.place().to_owned();
    let fit = |mut config: Config| -> Result<(Config, Vec<String>), HParamsError> {
        measure(&mut config, |name| entries.get(name).map(|entry| &*entry.shape));
        if let Some(steps) = checkpoint.hint.as_ref().and_then(|hint| hint.max_seq_len) {
            config.override_hparams(&format!("max_seq_len={steps}"))?;
        }
        config.override_hparams(hparams)?;
        // Extents may be anything: those of an empty tensor, say.
        let problems = match config.validate() {
            Ok(()) => problems(&config, &entries),
            Err(absurd) => vec![absurd.to_string()],
        };
        Ok((config, problems))
    };

    // Hyper-parameters that can never be are told first; those that only some configurations
    // refuse leave the others.
    let asked = name.map(config::by_name).transpose()?;
    fit(config::by_name("cat-mel_2bar_small")?)?;
    let hinted = |config: &Config| {
        checkpoint.hint.as_ref().is_none_or(|hint| hint.schemes.contains(&config.scheme))
    };
    let tried: Vec<_> = config::all().into_iter().filter(hinted).flat_map(fit).collect();
    let fitting: Vec<&Config> = tried
        .iter()
        .filter(|(_, problems)| problems.is_empty())
        .map(|(config, _)| config)
        .collect();

    if let Some(asked) = asked {
        let (config, problems) = fit(asked)?;
        let Some(problem) = problems.into_iter().next() else { return Ok(config) };
        let remedy = match (choose(&fitting, &place), fitting.as_slice()) {
            (Some(config), _) => format!("say --config {}, which fits", config.name),
            (None, []) => "check --hparams, or whether it is a checkpoint of MusicVAE".to_owned(),
            (None, several) => format!("it could be {}", list(several)),
        };
        return Err(GuessError::Unfit { place, config: config.name, problem, remedy });
    }
    if fitting.is_empty() {
        let (config, problems) = tried
            .iter()
            .min_by_key(|(_, problems)| problems.len())
            .expect("flat configurations took the hyper-parameters above");
        let problem = problems.first().cloned().unwrap_or_default();
        return Err(GuessError::None { place, nearest: config.name.clone(), problem });
    }
    choose(&fitting, &place)
        .cloned()
        .ok_or_else(|| GuessError::Ambiguous { place, names: list(&fitting) })
}

/// The intended configuration, if it can be inferred.
fn choose<'a>(fitting: &[&'a Config], place: &str) -> Option<&'a Config> {
    // The name that occurs last in the path counts, the longer one of two at one place.
    let named = fitting
        .iter()
        .filter_map(|config| Some((place.rfind(&config.name)?, config.name.len(), *config)))
        .max_by_key(|(position, length, _)| (*position, *length));
    if let Some((_, _, config)) = named {
        return Some(config);
    }
    let default = |config: &Config| config::by_name(&config.name).ok();
    // A stated length that is not one of the originals' belongs to the nearest.
    let distance = |config: &Config| {
        default(config)
            .map(|default| default.hparams.max_seq_len.abs_diff(config.hparams.max_seq_len))
    };
    let nearest = fitting.iter().map(|config| distance(config)).min();
    let fitting: Vec<&'a Config> =
        fitting.iter().copied().filter(|config| Some(distance(config)) == nearest).collect();
    let same_sizes = |config: &Config| {
        default(config).is_some_and(|default| {
            default.hparams.z_size == config.hparams.z_size
                && default.hparams.enc_rnn_size == config.hparams.enc_rnn_size
                && default.hparams.dec_rnn_size == config.hparams.dec_rnn_size
        })
    };
    let same_layers = |config: &Config| {
        default(config).is_some_and(|default| {
            default.hparams.enc_rnn_size.len() == config.hparams.enc_rnn_size.len()
                && default.hparams.dec_rnn_size.len() == config.hparams.dec_rnn_size.len()
        })
    };
    let keep = |test: &dyn Fn(&Config) -> bool| -> Vec<&'a Config> {
        fitting.iter().copied().filter(|config| test(config)).collect()
    };
    for kept in [keep(&same_sizes), keep(&same_layers), fitting.clone()] {
        if let Some((first, others)) = kept.split_first() {
            // Small and big ones of a kind differ only in how they are trained.
            let same = |other: &&Config| {
                other.scheme == first.scheme
                    && other.hparams.max_seq_len == first.hparams.max_seq_len
            };
            return others.iter().all(same).then_some(*first);
        }
    }
    None
}

/// Infers the sizes of a model from the shapes of its tensors, as far as they exist.
pub fn measure<'a>(config: &mut Config, shape: impl Fn(&str) -> Option<&'a [usize]>) {
    let extent =
        |name: &str, axis: usize| shape(name)?.get(axis).copied().filter(|&extent| extent > 0);
    let cells = |name: &dyn Fn(usize) -> String| -> Vec<usize> {
        (0..)
            .map_while(|layer| extent(&format!("{}/bias", name(layer)), 0))
            .map(|bias| (bias / 4).max(1))
            .collect()
    };
    let kind = config.output_kind();
    let hparams = &mut config.hparams;
    if let Some(z_size) = extent("encoder/mu/bias", 0) {
        hparams.z_size = z_size;
    }
    let level = if config.hierarchical_encoder { "hierarchical_level_0/" } else { "" };
    let encoder = cells(&|layer| {
        format!("encoder/{level}cell_{layer}/bidirectional_rnn/fw/multi_rnn_cell/cell_0/lstm_cell")
    });
    if !encoder.is_empty() {
        hparams.enc_rnn_size = encoder;
    }
    let core = match (kind, config.hierarchical_decoder) {
        (OutputKind::SplitCategorical, _) => "core_decoder/core_decoder_0/",
        (_, true) => "core_decoder/",
        (_, false) => "",
    };
    let decoder = cells(&|layer| format!("{core}decoder/multi_rnn_cell/cell_{layer}/lstm_cell"));
    if !decoder.is_empty() {
        hparams.dec_rnn_size = decoder;
    }
    if config.hierarchical_encoder {
        let upper = cells(&|layer| {
            let level = "encoder/hierarchical_level_1";
            format!("{level}/cell_{layer}/bidirectional_rnn/fw/multi_rnn_cell/cell_0/lstm_cell")
        });
        hparams.upper_enc_rnn_size = if upper == hparams.enc_rnn_size { vec![] } else { upper };
    }
    if config.hierarchical_decoder {
        let conductor =
            cells(&|layer| format!("decoder/hierarchical_level_0/cell_{layer}/lstm_cell"));
        hparams.conductor_rnn_size =
            if conductor == hparams.dec_rnn_size { vec![] } else { conductor };
    }
    if let Some(hidden) = extent("decoder/nade/w_enc", 2) {
        hparams.nade_num_hidden = hidden;
    }
}

/// All differences between the tensors and a configuration, one clause each.
fn problems(config: &Config, entries: &BTreeMap<&str, &Entry>) -> Vec<String> {
    let mut left = entries.clone();
    let mut problems = Vec::new();
    for Variable { name, shape, .. } in variables(config) {
        match left.remove(name.as_str()) {
            None => problems.push(format!("tensor `{name}` of shape {shape:?} is missing")),
            Some(Entry { element_type, .. }) if *element_type != ElementType::F32 => {
                problems
                    .push(format!("tensor `{name}` holds {element_type} instead of 32-bit floats"));
            }
            Some(Entry { shape: found, .. }) if *found != shape => {
                problems.push(format!("tensor `{name}` has shape {found:?} instead of {shape:?}"));
            }
            Some(_) => {}
        }
    }
    problems.extend(
        left.into_keys()
            .map(|name| format!("it has a tensor `{name}` that such models do not have")),
    );
    problems
}

fn list(configs: &[&Config]) -> String {
    let names: Vec<_> = configs.iter().map(|config| format!("`{}`", config.name)).collect();
    match names.as_slice() {
        [] => String::new(),
        [name] => name.clone(),
        [names @ .., last] => format!("{} or {last}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use interlude_models::weights::Tensor;

    use super::*;
    use crate::Writer;

    /// Opens a checkpoint of a configuration, called `stem`, with small layers: as many as the
    /// original has.
    fn checkpoint(folder: &Path, stem: &str, name: &str) -> (Checkpoint, Config) {
        let mut config = config::by_name(name).expect("known name");
        config.hparams.z_size = 3;
        if config.output_kind() == OutputKind::Nade {
            config.hparams.nade_num_hidden = 5;
        }
        for (number, size) in config.hparams.enc_rnn_size.iter_mut().enumerate() {
            *size = 2 + number;
        }
        config.hparams.dec_rnn_size.iter_mut().for_each(|size| *size = 2);
        let prefix = folder.join(stem);
        let mut writer = Writer::create(&prefix).expect("created");
        for variable in variables(&config) {
            writer.add(&variable.name, &Tensor::zeros(&variable.shape)).expect("added");
        }
        writer.finish(1).expect("finished");
        (Checkpoint::open(&prefix).expect("opens"), config)
    }

    // With a telling file name every configuration is recognised, its sizes included.
    #[test]
    fn every_configuration_is_recognised() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for original in config::all() {
            let name = &original.name;
            let (checkpoint, expected) = checkpoint(folder.path(), &format!("{name}.ckpt"), name);
            assert_eq!(configure(&checkpoint, None, "").expect(name), expected);
            assert_eq!(configure(&checkpoint, Some(name), "").expect(name), expected);
        }
    }

    // An upper level and a conductor of other widths than encoder and decoder are measured too.
    #[test]
    fn levels_of_other_widths_are_recognised() {
        let sizes = "z_size=3,enc_rnn_size=[2],upper_enc_rnn_size=[4],dec_rnn_size=[2],\
                     conductor_rnn_size=[3,5]";
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = config::by_name("hier-trio_16bar").expect("known name");
        config.override_hparams(sizes).expect("valid");
        let prefix = folder.path().join("hier-trio_16bar.ckpt");
        let mut writer = Writer::create(&prefix).expect("created");
        for variable in variables(&config) {
            writer.add(&variable.name, &Tensor::zeros(&variable.shape)).expect("added");
        }
        writer.finish(1).expect("finished");
        let checkpoint = Checkpoint::open(&prefix).expect("opens");
        assert_eq!(configure(&checkpoint, None, "").expect("it fits"), config);
    }

    // Without one, shapes decide where they can, and otherwise the choice is given.
    #[test]
    fn shapes_decide_or_the_choice_is_given() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for original in config::all() {
            let name = &original.name;
            let (checkpoint, expected) = checkpoint(folder.path(), "model.ckpt", name);
            let guessed = configure(&checkpoint, None, "");
            if name.starts_with("groovae") && !name.contains("hits_control") {
                let message = guessed.expect_err(name).to_string();
                assert!(
                    message.contains(name.as_str()) && message.contains("--config"),
                    "{message}"
                );
            } else {
                assert_eq!(guessed.expect(name), expected);
            }
        }
    }

    // A checkpoint of another configuration is refused with a tensor and the one that fits.
    #[test]
    fn another_configuration_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (checkpoint, _) = checkpoint(folder.path(), "x", "cat-mel_2bar_small");
        let message = configure(&checkpoint, Some("hierdec-mel_16bar"), "").expect_err("unfit");
        let message = message.to_string();
        assert!(
            message.contains("decoder/hierarchical_level_0") && message.contains("is missing"),
            "{message}"
        );
        assert!(message.contains("say --config cat-mel_2bar_small"), "{message}");
        let message = configure(&checkpoint, Some("cat-drums_2bar_small"), "").expect_err("unfit");
        let message = message.to_string();
        assert!(message.contains("[92, 8] instead of [12, 8]"), "{message}");
    }

    // Hyper-parameters win over shapes and must then fit them.
    #[test]
    fn hparams_must_fit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (checkpoint, _) = checkpoint(folder.path(), "x", "cat-mel_2bar_small");
        let config = configure(&checkpoint, None, "max_seq_len=64,z_size=3").expect("fits");
        assert_eq!(config.hparams.max_seq_len, 64);
        let message = configure(&checkpoint, None, "z_size=4").expect_err("unfit").to_string();
        assert!(message.contains("instead of"), "{message}");
        assert!(matches!(configure(&checkpoint, None, "zsize=4"), Err(GuessError::HParams(_))));
        assert!(matches!(configure(&checkpoint, Some("x"), ""), Err(GuessError::Unknown(_))));
    }

    // Extents that no layer can have, such as those of an empty tensor, are refused by name.
    #[test]
    fn absurd_extents_are_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (checkpoint, config) = checkpoint(folder.path(), "x", "cat-mel_2bar_big");
        for (name, setting) in [
            ("encoder/mu/bias", "z_size"),
            (
                "encoder/cell_0/bidirectional_rnn/fw/multi_rnn_cell/cell_0/lstm_cell/bias",
                "enc_rnn_size",
            ),
        ] {
            let prefix = folder.path().join("y");
            let mut writer = Writer::create(&prefix).expect("created");
            for variable in variables(&config) {
                let absurd = Tensor { shape: vec![1 << 60, 0], data: Vec::new() };
                let tensor = checkpoint.read(&variable.name).expect("reads");
                let tensor = if variable.name == name { absurd } else { tensor };
                writer.add(&variable.name, &tensor).expect("added");
            }
            writer.finish(1).expect("finished");
            let absurd = Checkpoint::open(&prefix).expect("opens");
            for asked in [None, Some("cat-mel_2bar_big"), Some("hierdec-mel_16bar")] {
                let message = configure(&absurd, asked, "").expect_err("absurd").to_string();
                assert!(message.contains(setting), "{message}");
            }
        }
    }

    // Tensors that a model of this kind has not are noticed, not ignored.
    #[test]
    fn surplus_tensors_are_noticed() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (checkpoint, config) = checkpoint(folder.path(), "x", "cat-mel_2bar_big");
        let prefix = folder.path().join("y");
        let mut writer = Writer::create(&prefix).expect("created");
        for variable in variables(&config) {
            writer
                .add(&variable.name, &checkpoint.read(&variable.name).expect("reads"))
                .expect("added");
        }
        writer.add("control_preprocessing/kernel", &Tensor::zeros(&[2])).expect("added");
        writer.finish(1).expect("finished");
        let checkpoint = Checkpoint::open(&prefix).expect("opens");
        let error = configure(&checkpoint, None, "").expect_err("unfit").to_string();
        assert!(error.contains("control_preprocessing/kernel"), "{error}");
    }
}
