//! The named configurations of MusicVAE, one table.
//!
//! Source: `magenta/models/music_vae/configs.py` of Magenta 2.1.4, restated as data.

mod overrides;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::families::{ControlKind, Family, Groove, Melody};
pub use crate::families::{DrumMap, DrumRoll, GrooveTask, OutputKind, Scheme};
pub use interlude_gradient::adam::ClipMode;
pub use overrides::HParamsError;

/// How the scheduled-sampling probability grows with the step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SamplingSchedule {
    /// Always `rate`.
    Constant,
    /// `1 − rate^step`.
    Exponential,
    /// `1 − k / (k + exp(step / k))` with `k = rate`.
    InverseSigmoid,
}

/// Hyper-parameters, by the names of the original.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the documented names of the original")]
pub struct HParams {
    pub max_seq_len: usize,
    pub z_size: usize,
    /// Free bits of each example, in bits.
    pub free_bits: f64,
    pub max_beta: f64,
    pub beta_rate: f64,
    pub batch_size: usize,
    pub grad_clip: f64,
    pub clip_mode: ClipMode,
    pub grad_norm_clip_to_zero: f64,
    pub learning_rate: f64,
    pub decay_rate: f64,
    pub min_learning_rate: f64,
    pub dec_rnn_size: Vec<usize>,
    pub enc_rnn_size: Vec<usize>,
    /// Units of the layers of a hierarchical encoder's upper level; empty for those of
    /// `enc_rnn_size`, as in the original.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upper_enc_rnn_size: Vec<usize>,
    /// Units of the layers of a hierarchical decoder's conductor; empty for those of
    /// `dec_rnn_size`, as in the original.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conductor_rnn_size: Vec<usize>,
    pub dropout_keep_prob: f64,
    pub sampling_schedule: SamplingSchedule,
    pub sampling_rate: f64,
    /// Hidden units of the NADE output; ignored for other outputs.
    pub nade_num_hidden: usize,
}

impl Default for HParams {
    fn default() -> Self {
        Self {
            max_seq_len: 32,
            z_size: 32,
            free_bits: 0.0,
            max_beta: 1.0,
            beta_rate: 0.0,
            batch_size: 512,
            grad_clip: 1.0,
            clip_mode: ClipMode::GlobalNorm,
            grad_norm_clip_to_zero: 10_000.0,
            learning_rate: 1e-3,
            decay_rate: 0.9999,
            min_learning_rate: 1e-5,
            dec_rnn_size: vec![512],
            enc_rnn_size: vec![256],
            upper_enc_rnn_size: vec![],
            conductor_rnn_size: vec![],
            dropout_keep_prob: 1.0,
            sampling_schedule: SamplingSchedule::Constant,
            sampling_rate: 0.0,
            nade_num_hidden: 128,
        }
    }
}

/// A model's configuration: what it reads and writes, and how it is built and trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Config {
    /// Name, such as `cat-mel_2bar_small`.
    pub name: String,
    /// The family: how clips become tokens.
    pub scheme: Scheme,
    /// Whether the encoder works on segments, then on their embeddings.
    pub hierarchical_encoder: bool,
    /// Whether a conductor gives each segment its own embedding.
    pub hierarchical_decoder: bool,
    /// Sizes and training settings.
    pub hparams: HParams,
    /// Largest transposition in training, in semitones up and down.
    pub transpose: u8,
}

impl Config {
    /// What the family answers for.
    pub fn family(&self) -> &dyn Family {
        self.scheme.family()
    }

    /// Width of one encoder input step, without controls.
    pub fn input_depth(&self) -> usize {
        self.family().input_depth()
    }

    /// Width of one decoder output step; the sum of [`Config::outputs`].
    pub fn output_depth(&self) -> usize {
        self.outputs().iter().sum()
    }

    /// Width of one control step; 0 without control.
    pub fn control_depth(&self) -> usize {
        self.family().control_kind().map_or(0, ControlKind::depth)
    }

    /// Widths of the parts of one output step: vocabularies, or the number of bits or values.
    pub fn outputs(&self) -> &'static [usize] {
        self.family().outputs()
    }

    /// The shape of the decoder's output.
    pub fn output_kind(&self) -> OutputKind {
        self.family().output_kind(self.hierarchical_decoder)
    }

    /// Whether the encoder reads the tokens of the output, one-hot side by side, rather than rows of
    /// its own.
    pub fn encoder_reads_tokens(&self) -> bool {
        self.output_kind().is_tokens() && self.input_depth() == self.output_depth()
    }

    /// Whether encoder or decoder work on segments.
    pub fn is_hierarchical(&self) -> bool {
        self.hierarchical_encoder || self.hierarchical_decoder
    }

    /// Segments of a window in hierarchical models of the family; 1 where there are none.
    pub fn segments(&self) -> usize {
        self.family().segments().unwrap_or(1)
    }

    /// Checks that sizes are within what the original's classes allow and within memory, for
    /// configurations from files or from users.
    ///
    /// # Errors
    /// [`InvalidConfig`] names the setting, its value and what it should be.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        let hparams = &self.hparams;
        let invalid = |setting, value: &dyn std::fmt::Debug, expected: &str| InvalidConfig {
            setting,
            value: format!("{value:?}"),
            expected: String::from(expected),
        };
        let size = |setting, value: usize| match value {
            1..=LARGEST_SIZE => Ok(()),
            _ => Err(invalid(setting, &value, "between 1 and 65536")),
        };
        let layers = |setting, sizes: &Vec<usize>| {
            if sizes.is_empty() || sizes.len() > MOST_LAYERS {
                return Err(invalid(setting, sizes, "a list of 1 to 64 sizes"));
            }
            sizes.iter().try_for_each(|&each| size(setting, each))
        };
        size("max_seq_len", hparams.max_seq_len)?;
        size("z_size", hparams.z_size)?;
        size("batch_size", hparams.batch_size)?;
        size("nade_num_hidden", hparams.nade_num_hidden)?;
        layers("enc_rnn_size", &hparams.enc_rnn_size)?;
        layers("dec_rnn_size", &hparams.dec_rnn_size)?;
        for (setting, sizes, has) in [
            ("upper_enc_rnn_size", &hparams.upper_enc_rnn_size, self.hierarchical_encoder),
            ("conductor_rnn_size", &hparams.conductor_rnn_size, self.hierarchical_decoder),
        ] {
            if !sizes.is_empty() {
                layers(setting, sizes)?;
                if !has {
                    return Err(invalid(
                        setting,
                        sizes,
                        "left out, since this model has no such level",
                    ));
                }
            }
        }
        if self.is_hierarchical() {
            let Some(segments) = self.family().segments() else {
                let expected = "one that has segments, as melody and trio have, for a \
                                hierarchical model";
                return Err(invalid("scheme", &self.scheme, expected));
            };
            if !hparams.max_seq_len.is_multiple_of(segments) {
                return Err(InvalidConfig {
                    setting: "max_seq_len",
                    value: hparams.max_seq_len.to_string(),
                    expected: format!("a multiple of {segments} for a hierarchical model"),
                });
            }
        }
        for (setting, value) in [
            ("free_bits", hparams.free_bits),
            ("max_beta", hparams.max_beta),
            ("beta_rate", hparams.beta_rate),
            ("grad_clip", hparams.grad_clip),
            ("grad_norm_clip_to_zero", hparams.grad_norm_clip_to_zero),
            ("learning_rate", hparams.learning_rate),
            ("decay_rate", hparams.decay_rate),
            ("min_learning_rate", hparams.min_learning_rate),
            ("sampling_rate", hparams.sampling_rate),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return Err(invalid(setting, &value, "a finite number of at least 0"));
            }
        }
        if !(hparams.dropout_keep_prob > 0.0 && hparams.dropout_keep_prob <= 1.0) {
            let expected = "above 0 and at most 1";
            return Err(invalid("dropout_keep_prob", &hparams.dropout_keep_prob, expected));
        }
        Ok(())
    }

    /// Widths of the layers of a hierarchical encoder's upper level.
    pub fn upper_encoder_sizes(&self) -> &[usize] {
        or(&self.hparams.upper_enc_rnn_size, &self.hparams.enc_rnn_size)
    }

    /// Widths of the layers of a hierarchical decoder's conductor.
    pub fn conductor_sizes(&self) -> &[usize] {
        or(&self.hparams.conductor_rnn_size, &self.hparams.dec_rnn_size)
    }

    /// Steps decoded from one embedding: all of them, or one segment of a hierarchical decoder.
    pub fn segment_steps(&self) -> usize {
        if self.hierarchical_decoder {
            self.hparams.max_seq_len / self.segments()
        } else {
            self.hparams.max_seq_len
        }
    }

    /// Length of one window in bars of 4/4.
    pub fn bars(&self) -> usize {
        self.hparams.max_seq_len.div_ceil(crate::clip::STEPS_PER_BAR)
    }
}

fn or<'a>(sizes: &'a [usize], otherwise: &'a [usize]) -> &'a [usize] {
    if sizes.is_empty() { otherwise } else { sizes }
}

/// Largest size of a layer, latent code, batch or window that is accepted; the original's widest
/// layer has 2048 units.
const LARGEST_SIZE: usize = 1 << 16;
/// Most layers of one LSTM stack that are accepted.
const MOST_LAYERS: usize = 64;

/// A setting outside its range.
#[derive(Debug, Error, PartialEq)]
#[error("`{setting}` is {value}, but should be {expected}")]
pub struct InvalidConfig {
    /// Name of the setting.
    pub setting: &'static str,
    /// Its value.
    pub value: String,
    /// What it should be, in words.
    pub expected: String,
}

/// An unknown name.
#[derive(Debug, Error, PartialEq)]
#[error("unknown configuration `{name}`; known are: {known}")]
pub struct UnknownConfig {
    /// The name asked for.
    pub name: String,
    /// All names there are.
    pub known: String,
}

/// The configuration with a name of the original.
///
/// # Errors
/// [`UnknownConfig`] lists the names there are.
pub fn by_name(name: &str) -> Result<Config, UnknownConfig> {
    all().into_iter().find(|config| config.name == name).ok_or_else(|| UnknownConfig {
        name: name.to_owned(),
        known: all().into_iter().map(|config| config.name).collect::<Vec<_>>().join(", "),
    })
}

/// A kind of windows that datasets hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowKind {
    /// Name on the command line: a family and a length.
    pub name: &'static str,
    /// A configuration with such windows.
    pub config: &'static str,
    /// What they are, for people.
    pub about: &'static str,
}

/// The kinds of windows that datasets hold.
pub static WINDOW_KINDS: [WindowKind; 9] = [
    kind(
        "melody-2bar",
        "cat-mel_2bar_small",
        "Melodies of two bars, for cat-mel_2bar_small and cat-mel_2bar_big",
    ),
    kind(
        "melody-16bar",
        "hierdec-mel_16bar",
        "Melodies of 16 bars, for flat-mel_16bar and the hierarchical ones",
    ),
    kind(
        "chords-2bar",
        "cat-mel_2bar_med_chords",
        "Melodies of two bars with chords, for cat-mel_2bar_med_chords",
    ),
    kind(
        "drums-2bar",
        "cat-drums_2bar_small",
        "Drums of two bars, nine kinds of them, for cat-drums_2bar_small and cat-drums_2bar_big",
    ),
    kind("drum-roll-2bar", "nade-drums_2bar_reduced", "The same for nade-drums_2bar_reduced"),
    kind(
        "drum-roll-2bar-full",
        "nade-drums_2bar_full",
        "Drums of two bars, 61 kinds of them, for nade-drums_2bar_full",
    ),
    kind(
        "trio-16bar",
        "hierdec-trio_16bar",
        "Melody, bass and drums of 16 bars, for flat-trio_16bar and the hierarchical ones",
    ),
    kind(
        "groove-2bar",
        "groovae_2bar_humanize",
        "Drum performances of two bars with velocities and timing, for groovae_2bar_humanize and the \
         other ones of two bars",
    ),
    kind("groove-4bar", "groovae_4bar", "The same of four bars, for groovae_4bar"),
];

const fn kind(name: &'static str, config: &'static str, about: &'static str) -> WindowKind {
    WindowKind { name, config, about }
}

/// All configurations.
pub fn all() -> Vec<Config> {
    let melody_2bar = Scheme::Melody(Melody { melodic_programs_only: true });
    let melody_16bar = Scheme::Melody(Melody { melodic_programs_only: false });
    let two_bars = HParams {
        sampling_schedule: SamplingSchedule::InverseSigmoid,
        sampling_rate: 1000.0,
        ..HParams::default()
    };
    let small = HParams {
        z_size: 256,
        enc_rnn_size: vec![512],
        dec_rnn_size: vec![256, 256],
        max_beta: 0.2,
        ..two_bars.clone()
    };
    let big = HParams {
        z_size: 512,
        enc_rnn_size: vec![2048],
        dec_rnn_size: vec![2048; 3],
        ..two_bars.clone()
    };
    let nade = HParams {
        z_size: 256,
        enc_rnn_size: vec![1024],
        dec_rnn_size: vec![512, 512],
        free_bits: 48.0,
        max_beta: 0.2,
        ..two_bars
    };
    let flat_16bar = HParams {
        max_seq_len: 256,
        z_size: 512,
        enc_rnn_size: vec![2048, 2048],
        dec_rnn_size: vec![2048; 3],
        free_bits: 256.0,
        max_beta: 0.2,
        ..HParams::default()
    };
    let hierdec = HParams { dec_rnn_size: vec![1024, 1024], ..flat_16bar.clone() };
    let hier = HParams { enc_rnn_size: vec![1024], ..hierdec.clone() };
    let trio = |hparams: &HParams| HParams { batch_size: 256, ..hparams.clone() };
    let groove = HParams {
        z_size: 256,
        enc_rnn_size: vec![512],
        dec_rnn_size: vec![256, 256],
        free_bits: 48.0,
        max_beta: 0.2,
        dropout_keep_prob: 0.3,
        ..HParams::default()
    };
    let chords = HParams {
        z_size: 256,
        enc_rnn_size: vec![1024],
        dec_rnn_size: vec![512; 3],
        ..HParams::default()
    };
    let flat_trio = HParams { free_bits: 0.0, max_beta: 1.0, ..trio(&flat_16bar) };
    let melody_small = HParams { beta_rate: 0.99999, ..small.clone() };
    let melody_big = HParams { max_beta: 0.5, beta_rate: 0.99999, ..big.clone() };
    let drums_small = HParams { free_bits: 48.0, ..small };
    let drums_big = HParams { free_bits: 48.0, max_beta: 0.2, ..big };
    let four_bars = HParams { max_seq_len: 64, ..groove.clone() };

    let of_task = |task| Scheme::Groove(Groove(task));
    vec![
        flat("cat-mel_2bar_small", melody_2bar, melody_small, 5),
        flat("cat-mel_2bar_big", melody_2bar, melody_big, 5),
        flat("cat-mel_2bar_med_chords", Scheme::MelodyChords, chords, 3),
        flat("cat-drums_2bar_small", Scheme::Drums, drums_small, 0),
        flat("cat-drums_2bar_big", Scheme::Drums, drums_big, 0),
        flat(
            "nade-drums_2bar_reduced",
            Scheme::DrumRoll(DrumRoll(DrumMap::Reduced)),
            nade.clone(),
            0,
        ),
        flat("nade-drums_2bar_full", Scheme::DrumRoll(DrumRoll(DrumMap::Full)), nade, 0),
        flat("flat-mel_16bar", melody_16bar, flat_16bar, 0),
        hierarchical("hierdec-mel_16bar", melody_16bar, false, hierdec.clone()),
        hierarchical("hier-mel_16bar", melody_16bar, true, hier.clone()),
        flat("flat-trio_16bar", Scheme::Trio, flat_trio, 0),
        hierarchical("hierdec-trio_16bar", Scheme::Trio, false, trio(&hierdec)),
        hierarchical("hier-trio_16bar", Scheme::Trio, true, trio(&hier)),
        flat("groovae_4bar", of_task(GrooveTask::Reconstruct), four_bars, 0),
        flat("groovae_2bar_humanize", of_task(GrooveTask::Humanize), groove.clone(), 0),
        flat(
            "groovae_2bar_tap_fixed_velocity",
            of_task(GrooveTask::TapFixedVelocity),
            groove.clone(),
            0,
        ),
        flat(
            "groovae_2bar_tap_fixed_velocity_note_dropout",
            of_task(GrooveTask::TapFixedVelocityNoteDropout),
            groove.clone(),
            0,
        ),
        flat("groovae_2bar_add_closed_hh", of_task(GrooveTask::AddClosedHat), groove.clone(), 0),
        flat("groovae_2bar_hits_control_tfds", of_task(GrooveTask::HitsControl), groove, 0),
    ]
}

fn flat(name: &str, scheme: Scheme, hparams: HParams, transpose: u8) -> Config {
    Config {
        name: name.to_owned(),
        scheme,
        hierarchical_encoder: false,
        hierarchical_decoder: false,
        hparams,
        transpose,
    }
}

fn hierarchical(name: &str, scheme: Scheme, encoder: bool, hparams: HParams) -> Config {
    Config {
        hierarchical_encoder: encoder,
        hierarchical_decoder: true,
        ..flat(name, scheme, hparams, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Every configuration has a kind of windows: one of its family and length.
    #[test]
    fn all_windows_have_a_kind() {
        let like = |config: &Config| (config.family().columns(), config.hparams.max_seq_len);
        let kinds = WINDOW_KINDS.map(|kind| like(&by_name(kind.config).expect("a known name")));
        for config in all() {
            assert!(kinds.contains(&like(&config)), "{}", config.name);
        }
    }

    // Every configuration of the table is valid, and absurd sizes are refused by name.
    #[test]
    fn validation() {
        for config in all() {
            assert_eq!(config.validate(), Ok(()), "{}", config.name);
        }
        let mut config = by_name("hierdec-mel_16bar").expect("known name");
        config.hparams.max_seq_len = 100;
        assert_eq!(config.validate().expect_err("no multiple").setting, "max_seq_len");
        config.hparams.max_seq_len = 256;
        config.hparams.dec_rnn_size = vec![usize::MAX, 1];
        assert_eq!(config.validate().expect_err("too large").setting, "dec_rnn_size");
        config.hparams.dec_rnn_size = vec![];
        assert_eq!(config.validate().expect_err("no layer").setting, "dec_rnn_size");
    }

    // Upper level and conductor have layers of their own only where they are, and otherwise those of
    // encoder and decoder.
    #[test]
    fn levels_have_their_sizes() {
        let mut config = by_name("hierdec-mel_16bar").expect("known name");
        assert_eq!(config.conductor_sizes(), config.hparams.dec_rnn_size);
        config.hparams.conductor_rnn_size = vec![17];
        assert_eq!((config.validate(), config.conductor_sizes()), (Ok(()), &[17][..]));
        config.hparams.upper_enc_rnn_size = vec![16];
        assert_eq!(config.validate().expect_err("one level").setting, "upper_enc_rnn_size");
        let mut config = by_name("hier-mel_16bar").expect("known name");
        assert_eq!(config.upper_encoder_sizes(), config.hparams.enc_rnn_size);
        config.hparams.upper_enc_rnn_size = vec![16];
        assert_eq!((config.validate(), config.upper_encoder_sizes()), (Ok(()), &[16][..]));
        config.hparams.conductor_rnn_size = vec![0];
        assert_eq!(config.validate().expect_err("too small").setting, "conductor_rnn_size");
    }
}
