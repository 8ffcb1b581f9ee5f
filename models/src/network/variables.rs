//! The list of trainable variables of a configuration.
//!
//! Source: the graphs of `magenta/models/music_vae/lstm_models.py` and `lstm_utils.py`, as the
//! TensorFlow checkpoints name them.

use crate::config::{Config, OutputKind};

/// Initialisation of a variable.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// Zeros.
    Zeros,
    /// Uniform in `±sqrt(6 / (rows + columns))`, for matrices.
    GlorotUniform,
    /// Normal around 0.
    Normal {
        /// Standard deviation.
        deviation: f32,
    },
    /// Normal around 0, drawn again beyond two standard deviations.
    TruncatedNormal {
        /// Standard deviation before the cut.
        deviation: f32,
    },
}

/// A trainable variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Name in original checkpoints.
    pub name: String,
    /// Extents. Kernels are `[inputs, outputs]`; those of LSTM cells `[inputs + H, 4H]` with the
    /// columns in the order input gate, candidate, forget gate, output gate.
    pub shape: Vec<usize>,
    /// Widths of the layers that its rows read, one below the other. A bias has one row.
    pub rows: Vec<usize>,
    /// Widths of what its columns write, side by side: of an LSTM cell the four gates.
    pub columns: Vec<usize>,
    /// Its initialisation.
    pub init: Init,
}

/// Initial standard deviation of the kernels of posterior and initial states.
const DENSE_DEVIATION: f32 = 0.001;

/// All trainable variables of a configuration: encoder, posterior, conductor, decoders.
pub fn variables(config: &Config) -> Vec<Variable> {
    let mut list = List::default();
    list.encoder(config);
    list.decoder(config);
    list.0
}

/// One LSTM stack with its initial state and output projection.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Core {
    /// What its names begin with: empty, or ends with a slash.
    pub(crate) prefix: String,
    /// Widths of the parts of the output it sees and writes.
    pub(crate) outputs: &'static [usize],
}

/// The decoders of a configuration: one, or one for each part of a split output.
pub(crate) fn cores(config: &Config) -> Vec<Core> {
    let outputs = config.outputs();
    match (config.output_kind(), config.hierarchical_decoder) {
        (OutputKind::SplitCategorical, _) => (0..outputs.len())
            .map(|part| Core {
                prefix: format!("core_decoder/core_decoder_{part}/"),
                outputs: &outputs[part..=part],
            })
            .collect(),
        (_, true) => vec![Core { prefix: "core_decoder/".to_owned(), outputs }],
        (_, false) => vec![Core { prefix: String::new(), outputs }],
    }
}

/// Width of what a core decoder starts from: the latent code, or a segment's embedding.
pub(crate) fn embedding_size(config: &Config) -> usize {
    if config.hierarchical_decoder {
        config.conductor_sizes().last().copied().unwrap_or(0)
    } else {
        config.hparams.z_size
    }
}

/// Prefixes and input widths of the encoder's bidirectional stacks, lowest level first.
pub fn encoder_levels(config: &Config) -> Vec<(String, usize)> {
    let depth = config.input_depth() + config.control_depth();
    if config.hierarchical_encoder {
        let embedding = 2 * config.hparams.enc_rnn_size.last().copied().unwrap_or(0);
        vec![
            ("encoder/hierarchical_level_0".to_owned(), depth),
            ("encoder/hierarchical_level_1".to_owned(), embedding),
        ]
    } else {
        vec![("encoder".to_owned(), depth)]
    }
}

/// Name of one direction (`fw` or `bw`) of an encoder layer, without `/kernel` or `/bias`.
pub fn encoder_cell(level: &str, layer: usize, direction: &str) -> String {
    format!("{level}/cell_{layer}/bidirectional_rnn/{direction}/multi_rnn_cell/cell_0/lstm_cell")
}

/// Name of a core decoder's layer, without `/kernel` or `/bias`.
pub(crate) fn decoder_cell(core: &Core, layer: usize) -> String {
    format!("{}decoder/multi_rnn_cell/cell_{layer}/lstm_cell", core.prefix)
}

/// Name of a conductor's layer, without `/kernel` or `/bias`.
pub fn conductor_cell(layer: usize) -> String {
    format!("decoder/hierarchical_level_0/cell_{layer}/lstm_cell")
}

/// Width of a core decoder's output projection.
pub(crate) fn projection_size(config: &Config, core: &Core) -> usize {
    let outputs: usize = core.outputs.iter().sum();
    match config.output_kind() {
        OutputKind::Nade => config.hparams.nade_num_hidden + outputs,
        OutputKind::Categorical
        | OutputKind::MultiCategorical
        | OutputKind::SplitCategorical
        | OutputKind::Groove => outputs,
    }
}

#[derive(Default)]
struct List(Vec<Variable>);

impl List {
    fn dense(&mut self, name: &str, inputs: &[usize], outputs: &[usize], kernel: Init) {
        let width = outputs.iter().sum();
        self.0.push(Variable {
            name: format!("{name}/kernel"),
            shape: vec![inputs.iter().sum(), width],
            rows: inputs.to_vec(),
            columns: outputs.to_vec(),
            init: kernel,
        });
        self.0.push(Variable {
            name: format!("{name}/bias"),
            shape: vec![width],
            rows: vec![1],
            columns: outputs.to_vec(),
            init: Init::Zeros,
        });
    }

    fn cell(&mut self, name: &str, inputs: &[usize], hidden: usize) {
        let inputs = [inputs, &[hidden]].concat();
        self.dense(name, &inputs, &[hidden; 4], Init::GlorotUniform);
    }

    fn encoder(&mut self, config: &Config) {
        let hparams = &config.hparams;
        let mut inputs = vec![config.input_depth() + config.control_depth()];
        let sizes = [&hparams.enc_rnn_size[..], config.upper_encoder_sizes()];
        for ((level, _), sizes) in encoder_levels(config).into_iter().zip(sizes) {
            for (layer, &hidden) in sizes.iter().enumerate() {
                for direction in ["fw", "bw"] {
                    self.cell(&encoder_cell(&level, layer, direction), &inputs, hidden);
                }
                inputs = vec![hidden; 2];
            }
        }
        let init = Init::Normal { deviation: DENSE_DEVIATION };
        self.dense("encoder/mu", &inputs, &[hparams.z_size], init);
        self.dense("encoder/sigma", &inputs, &[hparams.z_size], init);
    }

    fn decoder(&mut self, config: &Config) {
        let hparams = &config.hparams;
        let state =
            |sizes: &[usize]| -> Vec<usize> { sizes.iter().flat_map(|&size| [size; 2]).collect() };
        let init = Init::Normal { deviation: DENSE_DEVIATION };
        if config.hierarchical_decoder {
            let initial = "decoder/hierarchical_level_0/initial_state";
            let sizes = config.conductor_sizes();
            self.dense(initial, &[hparams.z_size], &state(sizes), init);
            let mut inputs = 1;
            for (layer, &hidden) in sizes.iter().enumerate() {
                self.cell(&conductor_cell(layer), &[inputs], hidden);
                inputs = hidden;
            }
        }
        let embedding = embedding_size(config);
        for core in cores(config) {
            let initial = format!("{}decoder/z_to_initial_state", core.prefix);
            self.dense(&initial, &[embedding], &state(&hparams.dec_rnn_size), init);
            let outputs: usize = core.outputs.iter().sum();
            let mut inputs = vec![outputs, embedding, config.control_depth()];
            for (layer, &hidden) in hparams.dec_rnn_size.iter().enumerate() {
                self.cell(&decoder_cell(&core, layer), &inputs, hidden);
                inputs = vec![hidden];
            }
            let projection = format!("{}decoder/output_projection", core.prefix);
            let width = projection_size(config, &core);
            self.dense(&projection, &inputs, &[width - outputs, outputs], Init::GlorotUniform);
        }
        if config.output_kind() == OutputKind::Nade {
            let (bits, hidden) = (config.output_depth(), hparams.nade_num_hidden);
            #[expect(clippy::cast_precision_loss, reason = "there are at most 61 bits")]
            let init = Init::TruncatedNormal { deviation: 1.0 / (bits as f32).sqrt() };
            self.0.push(Variable {
                name: "decoder/nade/w_enc".to_owned(),
                shape: vec![bits, 1, hidden],
                rows: vec![bits],
                columns: vec![hidden],
                init,
            });
            self.0.push(Variable {
                name: "decoder/nade/w_dec_t".to_owned(),
                shape: vec![bits, hidden, 1],
                rows: vec![hidden; bits],
                columns: vec![1],
                init,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    // Millions of parameters of the original models: the lists are complete, the shapes right.
    #[test]
    fn parameter_counts() {
        let millions = |name| {
            let config = config::by_name(name).expect("a configuration of the table");
            let sizes = variables(&config).into_iter().map(|v| v.shape.iter().product::<usize>());
            (sizes.sum::<usize>() + 500_000) / 1_000_000
        };
        assert_eq!(millions("cat-mel_2bar_big"), 135);
        assert_eq!(millions("hierdec-mel_16bar"), 176);
        assert_eq!(millions("hierdec-trio_16bar"), 231);
    }

    // Rows and columns are all of a variable, in this order.
    #[test]
    fn rows_and_columns_make_the_shape() {
        for config in config::all() {
            for Variable { name, shape, rows, columns, .. } in variables(&config) {
                let sizes = [rows, columns].map(|widths| widths.iter().sum::<usize>());
                assert_eq!(sizes[0] * sizes[1], shape.iter().product::<usize>(), "{name}");
                if let [rows, columns] = shape[..] {
                    assert_eq!(sizes, [rows, columns], "{name}");
                }
            }
        }
    }

    // No configuration lists a name twice, and none has an empty extent.
    #[test]
    fn names_are_unique_and_shapes_real() {
        for config in config::all() {
            let list = variables(&config);
            let names: std::collections::BTreeSet<_> = list.iter().map(|v| &v.name).collect();
            assert_eq!(names.len(), list.len(), "{}", config.name);
            assert!(list.iter().all(|v| v.shape.iter().all(|&n| n > 0)), "{}", config.name);
        }
    }
}
