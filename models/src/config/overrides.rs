//! Overriding hyper-parameters by a text, as `--hparams` of the original does.

use thiserror::Error;

use super::{
    ClipMode, Config, HParams, InvalidConfig, LARGEST_SIZE, MOST_LAYERS, SamplingSchedule,
};

/// All names, for messages.
const NAMES: &str = "max_seq_len, z_size, free_bits, max_beta, beta_rate, batch_size, grad_clip, \
    clip_mode, grad_norm_clip_to_zero, learning_rate, decay_rate, min_learning_rate, dec_rnn_size, \
    enc_rnn_size, upper_enc_rnn_size, conductor_rnn_size, dropout_keep_prob, sampling_schedule, \
    sampling_rate, nade_num_hidden";

/// Why an override of hyper-parameters is rejected.
#[derive(Debug, Error, PartialEq)]
pub enum HParamsError {
    /// Not of the form `name=value`.
    #[error("hparams: `{text}` is not of the form name=value; lists are written name=[1,2]")]
    Form {
        /// The part that is not.
        text: String,
    },
    /// A name that is not a hyper-parameter.
    #[error("hparams: there is no `{name}`; there are {NAMES}")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// A value out of range.
    #[error("hparams: {name} cannot be `{value}`: {expectation}")]
    Value {
        /// The hyper-parameter.
        name: String,
        /// What was given.
        value: String,
        /// What is expected, as a sentence.
        expectation: &'static str,
    },
    /// Values that do not fit the configuration.
    #[error("hparams: {0}")]
    Config(#[from] InvalidConfig),
}

impl Config {
    /// Changes hyper-parameters by a text such as `z_size=128,dec_rnn_size=[256,256]`. When it
    /// fails nothing is changed.
    ///
    /// # Errors
    /// [`HParamsError`] names the hyper-parameter and what is expected of it.
    pub fn override_hparams(&mut self, text: &str) -> Result<(), HParamsError> {
        let mut changed = self.clone();
        for part in parts(text) {
            let form = || HParamsError::Form { text: part.to_owned() };
            let (name, value) = part.split_once('=').ok_or_else(form)?;
            let (name, value) = (name.trim(), value.trim());
            if name.is_empty() || value.is_empty() {
                return Err(form());
            }
            set(&mut changed.hparams, name, value)?;
        }
        changed.validate()?;
        *self = changed;
        Ok(())
    }
}

/// Splits at commas outside brackets.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0usize;
    text.split(move |letter| {
        match letter {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|part| !part.is_empty())
}

fn set(hparams: &mut HParams, name: &str, value: &str) -> Result<(), HParamsError> {
    let failed = |expectation| HParamsError::Value {
        name: name.to_owned(),
        value: value.to_owned(),
        expectation,
    };
    let size =
        || whole(value, LARGEST_SIZE).ok_or_else(|| failed("it is a whole number from 1 to 65536"));
    let sizes = || {
        let list = value.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(value);
        let list: Option<Vec<usize>> =
            list.split(',').map(|size| whole(size.trim(), LARGEST_SIZE)).collect();
        list.filter(|list| list.len() <= MOST_LAYERS)
            .ok_or_else(|| failed("it is a list of 1 to 64 layer widths, such as [512,512]"))
    };
    let number = |low: f64, high: f64, expectation| {
        value
            .parse::<f64>()
            .ok()
            .filter(|number| (low..=high).contains(number))
            .ok_or_else(|| failed(expectation))
    };
    let positive = || number(f64::MIN_POSITIVE, f64::MAX, "it is a number above 0");
    let not_negative = || number(0.0, f64::MAX, "it is a number not below 0");
    let share = || number(0.0, 1.0, "it is a number from 0 to 1");
    match name {
        "max_seq_len" => hparams.max_seq_len = size()?,
        "z_size" => hparams.z_size = size()?,
        "free_bits" => hparams.free_bits = not_negative()?,
        "max_beta" => hparams.max_beta = not_negative()?,
        "beta_rate" => hparams.beta_rate = share()?,
        "batch_size" => hparams.batch_size = size()?,
        "grad_clip" => hparams.grad_clip = positive()?,
        "clip_mode" => {
            hparams.clip_mode = match value {
                "global_norm" => ClipMode::GlobalNorm,
                "value" => ClipMode::Value,
                _ => return Err(failed("it is global_norm or value")),
            };
        }
        "grad_norm_clip_to_zero" => hparams.grad_norm_clip_to_zero = positive()?,
        "learning_rate" => hparams.learning_rate = positive()?,
        "decay_rate" => hparams.decay_rate = share()?,
        "min_learning_rate" => hparams.min_learning_rate = not_negative()?,
        "dec_rnn_size" => hparams.dec_rnn_size = sizes()?,
        "enc_rnn_size" => hparams.enc_rnn_size = sizes()?,
        "upper_enc_rnn_size" => hparams.upper_enc_rnn_size = sizes()?,
        "conductor_rnn_size" => hparams.conductor_rnn_size = sizes()?,
        "dropout_keep_prob" => {
            hparams.dropout_keep_prob =
                number(f64::MIN_POSITIVE, 1.0, "it is a number above 0 and at most 1")?;
        }
        "sampling_schedule" => {
            hparams.sampling_schedule = match value {
                "constant" => SamplingSchedule::Constant,
                "exponential" => SamplingSchedule::Exponential,
                "inverse_sigmoid" => SamplingSchedule::InverseSigmoid,
                _ => return Err(failed("it is constant, exponential or inverse_sigmoid")),
            };
        }
        "sampling_rate" => hparams.sampling_rate = not_negative()?,
        "nade_num_hidden" => hparams.nade_num_hidden = size()?,
        // The original has these too; no configuration of it uses anything but these values.
        "conditional" => only(value, "True", &failed)?,
        "residual_encoder" | "residual_decoder" => only(value, "False", &failed)?,
        // Says how the original computes, not what.
        "use_cudnn" | "control_preprocessing_rnn_size" => {}
        _ => return Err(HParamsError::Unknown { name: name.to_owned() }),
    }
    Ok(())
}

fn whole(text: &str, high: usize) -> Option<usize> {
    text.parse().ok().filter(|number| (1..=high).contains(number))
}

fn only(
    value: &str,
    supported: &str,
    failed: &dyn Fn(&'static str) -> HParamsError,
) -> Result<(), HParamsError> {
    if value.eq_ignore_ascii_case(supported) {
        Ok(())
    } else if supported == "True" {
        Err(failed("only True is supported"))
    } else {
        Err(failed("only False is supported"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{all, by_name};

    // Numbers, lists and words are set together; what is not named stays.
    #[test]
    fn values_are_set() {
        let mut config = by_name("cat-mel_2bar_small").expect("known name");
        let text = "z_size=12, dec_rnn_size=[3,4] ,enc_rnn_size=5,max_beta=0.5,clip_mode=value,\
                    sampling_schedule=constant,conditional=True,";
        config.override_hparams(text).expect("fits");
        let mut expected = by_name("cat-mel_2bar_small").expect("known name").hparams;
        expected.z_size = 12;
        expected.dec_rnn_size = vec![3, 4];
        expected.enc_rnn_size = vec![5];
        expected.max_beta = 0.5;
        expected.clip_mode = ClipMode::Value;
        expected.sampling_schedule = SamplingSchedule::Constant;
        assert_eq!(config.hparams, expected);
    }

    // What does not fit is named, and then nothing is changed.
    #[test]
    fn what_does_not_fit_is_named() {
        for (text, word) in [
            ("z_size=0", "z_size"),
            ("z_size=99999999999999999999", "z_size"),
            ("z_size=-4", "z_size"),
            ("zsize=4", "zsize"),
            ("z_size", "name=value"),
            ("=4", "name=value"),
            ("dec_rnn_size=[]", "dec_rnn_size"),
            ("dec_rnn_size=[4,0]", "dec_rnn_size"),
            ("dec_rnn_size=[4", "dec_rnn_size"),
            ("conductor_rnn_size=[0]", "conductor_rnn_size"),
            ("upper_enc_rnn_size=[8]", "no such level"),
            ("max_beta=NaN", "max_beta"),
            ("max_beta=inf", "max_beta"),
            ("learning_rate=0", "learning_rate"),
            ("dropout_keep_prob=1.5", "dropout_keep_prob"),
            ("clip_mode=none", "global_norm"),
            ("residual_encoder=True", "residual_encoder"),
            ("max_seq_len=100", "multiple of 16"),
        ] {
            let mut config = by_name("hierdec-mel_16bar").expect("known name");
            let before = config.clone();
            let text = format!("free_bits=1,{text}");
            let message = config.override_hparams(&text).expect_err(&text).to_string();
            assert!(message.contains(word), "{text}: {message}");
            assert_eq!(config, before);
        }
    }

    // Every name that a configuration writes to its file can be set.
    #[test]
    fn every_written_name_can_be_set() {
        for mut config in all() {
            let written = serde_json::to_value(&config.hparams).expect("serialises");
            let values = written.as_object().expect("an object");
            for (name, value) in values {
                let text = format!("{name}={}", value.to_string().replace('"', ""));
                config.override_hparams(&text).expect(&text);
            }
            assert_eq!(serde_json::to_value(&config.hparams).expect("serialises"), written);
        }
    }
}
