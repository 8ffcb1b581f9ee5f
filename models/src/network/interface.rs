//! Inputs and outputs of each graph of a model: names, element types, shapes.
//!
//! The graphs are built from these lists and every loaded file is checked against them, so a model
//! exported by another program works when it conforms to them. `batch` is any number of examples.
//!
//! | file | inputs | outputs |
//! | --- | --- | --- |
//! | `encoder.onnx` | `inputs` \[batch, steps, depth\], `lengths` \[batch\] int32, with controls `controls` \[batch, steps, control depth\] | `mu`, `sigma` \[batch, z\] |
//! | `decoder_conductor.onnx` (hierarchical only) | `z` \[batch, z\] | `embeddings` \[batch, segments, embedding\] |
//! | `decoder_init.onnx` | `embedding` \[batch, embedding or z\] | `state` \[batch, state\], `context` \[batch, context\] |
//! | `decoder_step.onnx` | `previous`, `context`, `state`, `noise` \[batch, noise\], `temperature` \[\], with controls `control` \[batch, control depth\] | `sample`, `logits` \[batch, logits\], `next_state` |
//!
//! `previous` and `sample` are alike: for categorical outputs \[batch, parts\] int64, one token of
//! each part, where the size of the vocabulary stands for "none yet"; for bits and grooves
//! \[batch, depth\] floats, all zeros for "none yet".

use super::variables::{Core, cores, embedding_size, projection_size};
use interlude_onnx::{Dim, ElementType};

use crate::config::{Config, OutputKind};
use crate::families::percussion;

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name of the graph's input or output.
    pub name: &'static str,
    /// Element type.
    pub element: ElementType,
    /// Extents; a named one may be any.
    pub shape: Vec<Dim>,
}

/// One of the graphs of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// Window to posterior.
    Encoder,
    /// Latent code to the embeddings of segments; only in hierarchical decoders.
    Conductor,
    /// Latent code, or embedding of a segment, to initial states.
    Init,
    /// One step.
    Step,
}

impl Part {
    /// The graphs of a configuration's model.
    pub fn all(config: &Config) -> Vec<Self> {
        let mut parts = vec![Self::Encoder, Self::Conductor, Self::Init, Self::Step];
        parts.retain(|&part| part != Self::Conductor || config.hierarchical_decoder);
        parts
    }

    /// Name of the file in a model's folder.
    pub fn file(self) -> &'static str {
        match self {
            Self::Encoder => "encoder.onnx",
            Self::Conductor => "decoder_conductor.onnx",
            Self::Init => "decoder_init.onnx",
            Self::Step => "decoder_step.onnx",
        }
    }

    /// Name of the file with the weights, where [`super::build`] puts them.
    pub fn data_file(self) -> String {
        format!("{}.data", self.file())
    }

    /// Its inputs and outputs.
    pub fn interface(self, config: &Config) -> Interface {
        match self {
            Self::Encoder => encoder(config),
            Self::Conductor => conductor(config),
            Self::Init => init(config),
            Self::Step => step(config),
        }
    }
}

/// The inputs and outputs of one graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Interface {
    /// Inputs; all are required, there are no others.
    pub inputs: Vec<Port>,
    /// Outputs; a file may have more.
    pub outputs: Vec<Port>,
}

const BATCH: Dim = Dim::Name("batch");

fn floats(name: &'static str, shape: Vec<Dim>) -> Port {
    Port { name, element: ElementType::F32, shape }
}

fn encoder(config: &Config) -> Interface {
    let steps = if config.hierarchical_encoder {
        Dim::Size(config.hparams.max_seq_len)
    } else {
        Dim::Name("steps")
    };
    let mut inputs = vec![
        floats("inputs", vec![BATCH, steps.clone(), Dim::Size(config.input_depth())]),
        Port { name: "lengths", element: ElementType::I32, shape: vec![BATCH] },
    ];
    if config.control_depth() > 0 {
        inputs.push(floats("controls", vec![BATCH, steps, Dim::Size(config.control_depth())]));
    }
    let posterior = vec![BATCH, Dim::Size(config.hparams.z_size)];
    Interface { inputs, outputs: vec![floats("mu", posterior.clone()), floats("sigma", posterior)] }
}

fn conductor(config: &Config) -> Interface {
    let embeddings = vec![BATCH, Dim::Size(config.segments()), Dim::Size(embedding_size(config))];
    Interface {
        inputs: vec![floats("z", vec![BATCH, Dim::Size(config.hparams.z_size)])],
        outputs: vec![floats("embeddings", embeddings)],
    }
}

fn init(config: &Config) -> Interface {
    let widths = Widths::of(config);
    Interface {
        inputs: vec![floats("embedding", vec![BATCH, Dim::Size(embedding_size(config))])],
        outputs: vec![
            floats("state", vec![BATCH, Dim::Size(widths.state)]),
            floats("context", vec![BATCH, Dim::Size(widths.context)]),
        ],
    }
}

fn step(config: &Config) -> Interface {
    let widths = Widths::of(config);
    let sample = |name| {
        if categorical(config) {
            let shape = vec![BATCH, Dim::Size(config.outputs().len())];
            Port { name, element: ElementType::I64, shape }
        } else {
            floats(name, vec![BATCH, Dim::Size(config.output_depth())])
        }
    };
    let mut inputs = vec![
        sample("previous"),
        floats("context", vec![BATCH, Dim::Size(widths.context)]),
        floats("state", vec![BATCH, Dim::Size(widths.state)]),
        floats("noise", vec![BATCH, Dim::Size(widths.noise)]),
        floats("temperature", vec![]),
    ];
    if config.control_depth() > 0 {
        inputs.push(floats("control", vec![BATCH, Dim::Size(config.control_depth())]));
    }
    Interface {
        inputs,
        outputs: vec![
            sample("sample"),
            floats("logits", vec![BATCH, Dim::Size(widths.logits)]),
            floats("next_state", vec![BATCH, Dim::Size(widths.state)]),
        ],
    }
}

/// Whether a step's output is made of tokens rather than of bits or values.
pub fn categorical(config: &Config) -> bool {
    config.output_kind().is_tokens()
}

/// Widths of what passes between the decoder's graphs, for one example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Widths {
    /// All cell and hidden states, `c_0, h_0, c_1, h_1, …` of each core decoder in turn.
    pub state: usize,
    /// What the embedding adds to the gates of layer 0, `4 · H_0` of each core decoder in turn.
    pub context: usize,
    /// Random numbers that one step needs: Gumbel for each token, logistic for each bit.
    pub noise: usize,
    /// Output of the projections, all core decoders in turn.
    pub logits: usize,
}

impl Widths {
    /// The widths of a configuration.
    pub fn of(config: &Config) -> Self {
        let cores = cores(config);
        let sizes = &config.hparams.dec_rnn_size;
        Self {
            state: cores.len() * 2 * sizes.iter().sum::<usize>(),
            context: cores.len() * 4 * sizes.first().copied().unwrap_or(0),
            noise: match config.output_kind() {
                // Its hits are drawn, its values are not.
                OutputKind::Groove => percussion::CLASSES,
                OutputKind::Categorical
                | OutputKind::MultiCategorical
                | OutputKind::SplitCategorical
                | OutputKind::Nade => config.output_depth(),
            },
            logits: cores.iter().map(|core: &Core| projection_size(config, core)).sum(),
        }
    }
}
