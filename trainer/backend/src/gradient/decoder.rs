//! The decoder: one core decoder from z, or a conductor whose embeddings start core decoders anew in
//! each segment.
//!
//! With a conductor and given inputs no segment depends on another, so that all are examples of
//! their own: windows are folded to `[steps of a segment, segments·batch]`. What a window's parts
//! are called here are the columns of one step: tokens, or one row of numbers.

use interlude_models::config::{Config, OutputKind};
use interlude_onnx::{Attribute, Graph, Value};

use super::conductor::Conductor;
use super::core_decoder::{Choices, CoreDecoder, CorePass};
use super::output::{Output, Prediction};
use interlude_gradient::dropout::Dropout;
use interlude_gradient::part::Part;
use interlude_gradient::stack::StackPass;
use interlude_gradient::variables::Variables;

/// Conductor and core decoders.
#[derive(Clone, Debug)]
pub struct Decoder {
    conductor: Option<Conductor>,
    /// One, or one for each part.
    cores: Vec<CoreDecoder>,
    /// Steps decoded from one embedding, if not all.
    segment: Option<usize>,
}

/// A batch of windows as the decoder sees it: each part `[steps, batch]` or `[steps, batch, width]`.
#[derive(Clone, Debug)]
pub struct Windows {
    /// Right outputs, part by part.
    pub targets: Vec<Value>,
    /// Outputs before them, part by part; unused with [`Feeding::Sampled`].
    pub previous: Vec<Value>,
    /// Controls.
    pub controls: Option<Value>,
    /// Steps and examples.
    pub sizes: (usize, usize),
    /// Examples that losses are means over.
    pub whole: usize,
}

/// Where the decoder's inputs come from.
#[derive(Clone, Debug)]
pub enum Feeding {
    /// From [`Windows::previous`].
    Given,
    /// From what was decoded, where `sampled` says so.
    Sampled(Choices),
}

/// What the forward pass computed.
#[derive(Clone, Debug)]
pub struct DecoderPass {
    conductor: Option<StackPass>,
    cores: Vec<CorePass>,
    predictions: Vec<Prediction>,
    /// Steps and examples of the cores, and segments.
    folded: (usize, usize),
    segments: usize,
}

impl Decoder {
    /// Declares the variables.
    pub fn declare(graph: &mut Graph, variables: &mut Variables, config: &Config) -> Self {
        let hparams = &config.hparams;
        let units = &hparams.dec_rnn_size;
        let conductor = config.hierarchical_decoder.then(|| {
            Conductor::declare(graph, variables, hparams.z_size, config.conductor_sizes())
        });
        let segment = config.hierarchical_decoder.then(|| config.segment_steps());
        let embedding = conductor.as_ref().map_or(hparams.z_size, Conductor::units);
        let place = if conductor.is_some() { "core_decoder/" } else { "" };
        let vocabularies = config.outputs();
        let outputs: Vec<(String, Output)> = match config.output_kind() {
            OutputKind::SplitCategorical => {
                let part = |(part, &vocabulary): (usize, &usize)| {
                    let prefix = format!("{place}core_decoder_{part}/");
                    (prefix, Output::Categorical(vec![vocabulary]))
                };
                vocabularies.iter().enumerate().map(part).collect()
            }
            kind => {
                let output = match kind {
                    OutputKind::Nade => {
                        let hidden = hparams.nade_num_hidden;
                        Output::nade(graph, variables, config.output_depth(), hidden)
                    }
                    OutputKind::Groove => Output::Groove,
                    OutputKind::Categorical
                    | OutputKind::MultiCategorical
                    | OutputKind::SplitCategorical => Output::Categorical(vocabularies.to_vec()),
                };
                vec![(place.to_owned(), output)]
            }
        };
        let widths = (embedding, config.control_depth());
        let cores = outputs
            .into_iter()
            .map(|(prefix, output)| {
                CoreDecoder::declare(graph, variables, &prefix, output, widths, units)
            })
            .collect();
        Self { conductor, cores, segment }
    }

    /// The parts of a window.
    pub fn parts(&self) -> Vec<Part> {
        self.cores.iter().flat_map(|core| core.output.parts()).collect()
    }

    /// What comes before the first step: each part of `batch` examples, without a steps axis.
    pub fn none(&self, graph: &mut Graph, batch: usize) -> Vec<Value> {
        self.cores.iter().flat_map(|core| core.output.none(graph, batch)).collect()
    }

    /// Decodes all steps and compares them with the targets.
    pub fn forward(
        &self,
        graph: &mut Graph,
        dropout: Dropout,
        z: &Value,
        windows: &Windows,
        feeding: &Feeding,
    ) -> DecoderPass {
        let (steps, batch) = windows.sizes;
        let segments = self.segment.map_or(1, |segment| steps / segment);
        let folded = (steps / segments, segments * batch);
        let conductor =
            self.conductor.as_ref().map(|c| c.forward(graph, dropout, z, (segments, batch)));
        let embedding = conductor.as_ref().map_or(z, |pass| &pass.top).clone();
        let fold = |graph: &mut Graph, part: Part, value: &Value| {
            part.fold(graph, value, segments, (steps, batch))
        };
        let (mut cores, mut predictions) = (Vec::new(), Vec::new());
        let mut first = 0;
        let mut column = 0;
        for core in &self.cores {
            let parts = core.output.parts();
            let own = first..first + parts.len();
            let mut folds = |values: &[Value]| -> Vec<Value> {
                parts.iter().zip(values).map(|(part, v)| fold(graph, *part, v)).collect()
            };
            let targets = folds(&windows.targets[own.clone()]);
            let previous = folds(&windows.previous[own.clone()]);
            let controls = windows.controls.clone();
            let previous = match feeding {
                Feeding::Given => previous,
                Feeding::Sampled(choices) => {
                    let columns = (column, core.output.depth());
                    let choices = self.folded_choices(graph, choices, columns, windows, segments);
                    let start: Vec<Value> =
                        previous.iter().map(|value| first_step(graph, value)).collect();
                    let given = (start.as_slice(), targets.as_slice(), controls.as_ref());
                    core.rollout(graph, &embedding, given, &choices, folded.1).inputs
                }
            };
            let given = (previous.as_slice(), controls.as_ref());
            let pass = core.forward(graph, dropout, &embedding, given, folded);
            predictions.push(core.output.forward(graph, &pass.logits, &targets, windows.whole));
            cores.push(pass);
            first = own.end;
            column += core.output.depth();
        }
        DecoderPass { conductor, cores, predictions, folded, segments }
    }

    /// Choices for the segments of one core, whose outputs are `depth` columns from `column` on.
    fn folded_choices(
        &self,
        graph: &mut Graph,
        choices: &Choices,
        (column, depth): (usize, usize),
        windows: &Windows,
        segments: usize,
    ) -> Choices {
        let whole: usize = self.cores.iter().map(|core| core.output.depth()).sum();
        let uniform = choices.uniform.as_ref().map(|uniform| {
            let own = if depth == whole {
                uniform.clone()
            } else {
                let widths = [column, depth, whole - column - depth];
                let parts: Vec<usize> = widths.into_iter().filter(|&width| width > 0).collect();
                graph.split(uniform, &parts, 2)[usize::from(column > 0)].clone()
            };
            Part::Rows { width: depth }.fold(graph, &own, segments, windows.sizes)
        });
        let sampled = choices.sampled.as_ref().map(|sampled| {
            Part::Tokens { vocabulary: 2 }.fold(graph, sampled, segments, windows.sizes)
        });
        Choices { uniform, sampled }
    }

    /// Sets the gradients of all variables and returns that of z.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &DecoderPass,
    ) -> Value {
        let mut embedding: Option<Value> = None;
        for ((core, own), prediction) in self.cores.iter().zip(&pass.cores).zip(&pass.predictions) {
            let logits = core.output.backward(graph, variables, prediction);
            let found = core.backward(graph, variables, own, &logits, pass.folded);
            embedding = Some(match embedding {
                Some(sum) => graph.add(&sum, &found),
                None => found,
            });
        }
        let embedding = embedding.expect("a decoder has a core");
        match (&self.conductor, &pass.conductor) {
            (Some(conductor), Some(own)) => {
                let sizes = (pass.segments, pass.folded.1 / pass.segments);
                conductor.backward(graph, variables, own, &embedding, sizes)
            }
            _ => embedding,
        }
    }

    /// The most probable outputs of a forward pass, part by part as the windows are given.
    pub fn forced(
        &self,
        graph: &mut Graph,
        pass: &DecoderPass,
        sizes: (usize, usize),
    ) -> Vec<Value> {
        let mut all = Vec::new();
        for (core, own) in self.cores.iter().zip(&pass.cores) {
            let decoded = core.output.decode(graph, &own.logits, None);
            for (part, value) in core.output.parts().into_iter().zip(decoded) {
                all.push(part.unfold(graph, &value, pass.segments, sizes));
            }
        }
        all
    }

    /// What comes when each step is fed the most probable output of the one before, also across
    /// segments; part by part as the windows are given.
    pub fn free(
        &self,
        graph: &mut Graph,
        pass: &DecoderPass,
        z: &Value,
        windows: &Windows,
    ) -> Vec<Value> {
        let (steps, batch) = windows.sizes;
        let mut all = Vec::new();
        let mut first = 0;
        for core in &self.cores {
            let parts = core.output.parts();
            let targets = &windows.targets[first..first + parts.len()];
            first += parts.len();
            let start = core.output.none(graph, batch);
            let choices = Choices::default();
            let Some(conductor) = &pass.conductor else {
                let given = (start.as_slice(), targets, windows.controls.as_ref());
                all.extend(core.rollout(graph, z, given, &choices, batch).decoded);
                continue;
            };
            // One iteration a segment: its embedding and the length of its targets go in.
            let element = core.output.element();
            let segments = pass.segments;
            let width = i64::try_from(self.embedding()).expect("widths are small");
            let count = i64::try_from(segments).expect("there are 16");
            let embeddings = graph.reshape(&conductor.top, &[count, -1, width]);
            let mut body = graph.body("segment");
            let fed: Vec<Value> = (0..parts.len())
                .map(|part| body.body_input(&format!("fed{part}"), element))
                .collect();
            let embedding = body.body_input("embedding", interlude_onnx::ElementType::F32);
            let own: Vec<Value> = (0..parts.len())
                .map(|part| body.body_input(&format!("target{part}"), element))
                .collect();
            let given = (fed.as_slice(), own.as_slice(), None);
            let rollout = core.rollout(&mut body, &embedding, given, &choices, batch);
            rollout.next.iter().for_each(|value| body.expose(value, element, None));
            rollout.decoded.iter().for_each(|value| body.expose(value, element, None));
            let cut: Vec<Value> = targets
                .iter()
                .map(|value| {
                    graph.reshape(value, &[count, -1, i64::try_from(batch).expect("small")])
                })
                .collect();
            let mut inputs: Vec<&Value> = start.iter().collect();
            inputs.push(&embeddings);
            inputs.extend(&cut);
            let outputs = graph.op_many(
                "Scan",
                &inputs,
                &[
                    ("body", Attribute::Graph(body.into_body())),
                    ("num_scan_inputs", Attribute::Int(i64::try_from(1 + cut.len()).expect("few"))),
                ],
                2 * parts.len(),
            );
            for (part, value) in parts.iter().zip(&outputs[parts.len()..]) {
                all.push(part.shaped(graph, value, (steps, batch)));
            }
        }
        all
    }

    /// Width of what the cores start from.
    fn embedding(&self) -> usize {
        self.conductor.as_ref().map_or(0, Conductor::units)
    }
}

impl DecoderPass {
    /// Loss in nats, and accuracy, mean of the parts: scalars.
    pub fn quality(&self, graph: &mut Graph) -> (Value, Value) {
        let losses: Vec<&Value> = self.predictions.iter().map(|p| &p.loss).collect();
        let accuracies: Vec<&Value> = self.predictions.iter().map(|p| &p.accuracy).collect();
        (graph.op("Sum", &losses, &[]), graph.op("Mean", &accuracies, &[]))
    }
}

/// The first step of a part.
fn first_step(graph: &mut Graph, value: &Value) -> Value {
    let first = graph.int(0);
    graph.gather(value, &first)
}
