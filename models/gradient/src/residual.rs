//! A residual network whose blocks are modulated by a context: each block normalises its input,
//! scales and shifts it by functions of the context (feature-wise linear modulation, FiLM, Perez et
//! al. 2018), and adds the output of two dense layers. Initially its output is zero.
//!
//! With context c: `e = silu(c·E)`, `h = x·I + c·B`; for each block
//! `h ← h + silu(silu(norm(h) · (1 + s) + t)·P)·Q` with `(s, t) = e·F`; the output is `norm(h)·O`.
//! Products stand for dense layers with biases.
//!
//! All that depends on the context alone, [`Sizes::modulation`] numbers a row, is a graph of its own,
//! so that it is computed once for many inputs.

use interlude_onnx::weights::{Tensor, Weights};
use interlude_onnx::{ElementType, Graph, Value};

use super::activation::{Normal, Silu};
use super::dense::Dense;
use super::variables::Variables;

/// Name of the input and of the variables of the layer that reads it.
pub const INPUT: &str = "input";
/// Name of the context.
pub const CONTEXT: &str = "context";
/// Name of the modulation, which one graph gives and the other takes.
pub const MODULATION: &str = "modulation";
/// Name of the output and of the variables of the last layer.
pub const OUTPUT: &str = "output";
/// Share of the usual initial kernels that a block's layers of modulation and output begin with.
const SMALL: f32 = 0.1;

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Numbers of an input, and of an output.
    pub size: usize,
    /// Numbers of a context.
    pub context: usize,
    /// Width of the blocks.
    pub width: usize,
    /// Numbers that the context is reduced to for the blocks.
    pub embedding: usize,
    /// Number of blocks.
    pub blocks: usize,
}

impl Sizes {
    /// Numbers that the context contributes to one evaluation: what is added to the first layer, and
    /// scale and shift of every block.
    pub fn modulation(self) -> usize {
        self.width * (1 + 2 * self.blocks)
    }

    /// Names and shapes of the kernels, inputs first; each has a bias.
    fn kernels(self) -> Vec<(String, [usize; 2])> {
        let Self { size, context, width, embedding, blocks } = self;
        let mut kernels = vec![
            (INPUT.to_owned(), [size, width]),
            ("base".to_owned(), [context, width]),
            ("embedding".to_owned(), [context, embedding]),
            (OUTPUT.to_owned(), [width, size]),
        ];
        for block in 0..blocks {
            kernels.push((format!("{block}/film"), [embedding, 2 * width]));
            kernels.push((format!("{block}/first"), [width, width]));
            kernels.push((format!("{block}/second"), [width, width]));
        }
        kernels
    }

    /// Number of tensors that a network has.
    pub fn tensors(self) -> usize {
        2 * self.kernels().len()
    }

    /// Derives the sizes of a network from its weights. Other tensors are ignored.
    ///
    /// # Errors
    /// The name of a tensor that is missing, of another shape, or not finite.
    pub fn of(weights: &Weights) -> Result<Self, String> {
        let shape = |name: &str| {
            let name = format!("{name}/kernel");
            match weights.get(&name).map(|tensor| tensor.shape.as_slice()) {
                Some(&[inputs, outputs]) if inputs > 0 && outputs > 0 => Ok([inputs, outputs]),
                _ => Err(name),
            }
        };
        let [size, width] = shape(INPUT)?;
        let [context, embedding] = shape("embedding")?;
        let blocks = (0..).take_while(|block| shape(&format!("{block}/film")).is_ok()).count();
        let sizes = Self { size, context, width, embedding, blocks };
        let shapes = sizes.kernels().into_iter().flat_map(|(name, [inputs, outputs])| {
            let kernel = (format!("{name}/kernel"), vec![inputs, outputs]);
            [kernel, (format!("{name}/bias"), vec![outputs])]
        });
        weights.hold(shapes)?;
        Ok(sizes)
    }

    /// Initial weights: normal with variance one over the inputs, smaller where a block is modulated
    /// and where it adds to the others, zero in the last layer. `normal` fills with standard normal
    /// numbers.
    pub fn initial(self, normal: &mut dyn FnMut(&mut [f32])) -> Weights {
        let mut weights = Weights::default();
        for (name, shape) in self.kernels() {
            let mut kernel = Tensor::zeros(&shape);
            if name != OUTPUT {
                normal(&mut kernel.data);
                let small = name.ends_with("/film") || name.ends_with("/second");
                #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
                let scale = if small { SMALL } else { 1.0 } / (shape[0] as f32).sqrt();
                kernel.data.iter_mut().for_each(|value| *value *= scale);
            }
            weights.insert(format!("{name}/kernel"), kernel);
            weights.insert(format!("{name}/bias"), Tensor::zeros(&shape[1..]));
        }
        weights
    }
}

/// The network in a graph.
#[derive(Clone, Debug)]
pub struct Residual {
    sizes: Sizes,
    input: Dense,
    base: Dense,
    embedding: Dense,
    blocks: Vec<Block>,
    output: Dense,
}

#[derive(Clone, Debug)]
struct Block {
    film: Dense,
    first: Dense,
    second: Dense,
}

/// What the context says.
#[derive(Clone, Debug)]
struct Modulation {
    embedded: Silu,
    /// What is added to the first layer.
    base: Value,
    /// Scale and shift of each block.
    films: Vec<[Value; 2]>,
}

/// What the forward pass computed.
#[derive(Clone, Debug)]
pub struct Pass {
    embedded: Silu,
    evaluation: Evaluation,
}

#[derive(Clone, Debug)]
struct Evaluation {
    blocks: Vec<BlockPass>,
    last: Normal,
    /// `[rows, size]`.
    output: Value,
}

#[derive(Clone, Debug)]
struct BlockPass {
    normal: Normal,
    /// `1 + s`.
    scale: Value,
    first: Silu,
    second: Silu,
}

impl Pass {
    /// The network's output, `[rows, size]`.
    pub fn output(&self) -> &Value {
        &self.evaluation.output
    }
}

impl Residual {
    fn new(sizes: Sizes, mut dense: impl FnMut(&str, [usize; 2]) -> Dense) -> Self {
        let shapes = sizes.kernels();
        let mut layer = |name: &str| {
            let shape = shapes.iter().find(|(known, _)| known == name).map(|(_, shape)| *shape);
            dense(name, shape.expect("one of the kernels"))
        };
        Self {
            sizes,
            input: layer(INPUT),
            base: layer("base"),
            embedding: layer("embedding"),
            blocks: (0..sizes.blocks)
                .map(|block| Block {
                    film: layer(&format!("{block}/film")),
                    first: layer(&format!("{block}/first")),
                    second: layer(&format!("{block}/second")),
                })
                .collect(),
            output: layer(OUTPUT),
        }
    }

    /// Declares the variables of a network that is to be trained.
    pub fn declare(graph: &mut Graph, variables: &mut Variables, sizes: Sizes) -> Self {
        Self::new(sizes, |name, [inputs, outputs]| {
            Dense::declare(graph, variables, name, inputs, outputs)
        })
    }

    fn modulation(&self, graph: &mut Graph, context: &Value) -> Modulation {
        let base = self.base.forward(graph, context);
        let embedded = self.embedding.forward(graph, context);
        let embedded = Silu::forward(graph, &embedded);
        let width = self.sizes.width;
        let mut film = |block: &Block| {
            let both = block.film.forward(graph, &embedded.output);
            let parts = graph.split(&both, &[width, width], 1);
            [parts[0].clone(), parts[1].clone()]
        };
        let films = self.blocks.iter().map(&mut film).collect();
        Modulation { embedded, base, films }
    }

    fn evaluation(
        &self,
        graph: &mut Graph,
        x: &Value,
        base: &Value,
        films: &[[Value; 2]],
    ) -> Evaluation {
        let own = self.input.forward(graph, x);
        let mut h = graph.add(&own, base);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (block, film) in self.blocks.iter().zip(films) {
            let (pass, added) = block.forward(graph, &h, film, self.sizes.width);
            h = graph.add(&h, &added);
            blocks.push(pass);
        }
        let last = Normal::forward(graph, &h, self.sizes.width);
        let output = self.output.forward(graph, &last.output);
        Evaluation { blocks, last, output }
    }

    /// `x` `[rows, size]` and `context` `[rows, context]` to `[rows, size]`.
    pub fn forward(&self, graph: &mut Graph, x: &Value, context: &Value) -> Pass {
        let Modulation { embedded, base, films } = self.modulation(graph, context);
        Pass { embedded, evaluation: self.evaluation(graph, x, &base, &films) }
    }

    /// Sets the gradients of all layers from that of the output. `x` and `context` are those of the
    /// forward pass; their gradients are not computed.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        (x, context): (&Value, &Value),
        pass: &Pass,
        output_gradient: &Value,
    ) {
        let (g, Pass { embedded, evaluation }) = (graph, pass);
        let last = &evaluation.last;
        let gradient = self.output.backward(g, variables, &last.output, output_gradient);
        let mut gradient = last.backward(g, &gradient);
        let mut of_embedded: Option<Value> = None;
        for (block, done) in self.blocks.iter().zip(&evaluation.blocks).rev() {
            let (through, film) = block.backward(g, variables, done, &gradient);
            let more = block.film.backward(g, variables, &embedded.output, &film);
            of_embedded = Some(match of_embedded {
                Some(sum) => g.add(&sum, &more),
                None => more,
            });
            gradient = g.add(&gradient, &through);
        }
        if let Some(gradient) = of_embedded {
            let gradient = embedded.backward(g, &gradient);
            self.embedding.backward_first(g, variables, context, &gradient);
        }
        self.input.backward_first(g, variables, x, &gradient);
        self.base.backward_first(g, variables, context, &gradient);
    }
}

impl Block {
    /// What the block adds to `h`.
    fn forward(
        &self,
        graph: &mut Graph,
        h: &Value,
        [scale, shift]: &[Value; 2],
        width: usize,
    ) -> (BlockPass, Value) {
        let one = graph.scalar(1.0);
        let normal = Normal::forward(graph, h, width);
        let scale = graph.add(scale, &one);
        let scaled = graph.mul(&normal.output, &scale);
        let modulated = graph.add(&scaled, shift);
        let first = Silu::forward(graph, &modulated);
        let hidden = self.first.forward(graph, &first.output);
        let second = Silu::forward(graph, &hidden);
        let added = self.second.forward(graph, &second.output);
        (BlockPass { normal, scale, first, second }, added)
    }

    /// The gradients of `h` through the block and of scale and shift, `[rows, 2 · width]`.
    fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &BlockPass,
        gradient: &Value,
    ) -> (Value, Value) {
        let gradient = self.second.backward(graph, variables, &pass.second.output, gradient);
        let gradient = pass.second.backward(graph, &gradient);
        let gradient = self.first.backward(graph, variables, &pass.first.output, &gradient);
        let shift = pass.first.backward(graph, &gradient);
        let scale = graph.mul(&shift, &pass.normal.output);
        let film = graph.concat(&[&scale, &shift], 1);
        let normal = graph.mul(&shift, &pass.scale);
        (pass.normal.backward(graph, &normal), film)
    }
}

/// The network with known weights; only variables that are `wanted` are added to the graph.
fn known(graph: &mut Graph, sizes: Sizes, weights: &Weights, wanted: fn(&str) -> bool) -> Residual {
    for (name, tensor) in weights.iter().filter(|(name, _)| wanted(name)) {
        graph.weight(name, &tensor.shape, &tensor.data);
    }
    Residual::new(sizes, |name, _| Dense::named(name))
}

/// Whether a variable serves the context alone.
fn of_context(name: &str) -> bool {
    let layer = name.rsplit_once('/').map_or(name, |(layer, _)| layer);
    layer == "base" || layer == "embedding" || layer.ends_with("/film")
}

/// The graph from [`CONTEXT`] `[rows, context]` to [`MODULATION`] `[rows, modulation]`, for weights
/// of these sizes.
pub fn modulation_graph(sizes: Sizes, weights: &Weights) -> Graph {
    let mut graph = Graph::new(MODULATION);
    let g = &mut graph;
    let network = known(g, sizes, weights, of_context);
    let context = g.input(CONTEXT, ElementType::F32, &["rows".into(), sizes.context.into()]);
    let Modulation { base, films, .. } = network.modulation(g, &context);
    let parts: Vec<&Value> = std::iter::once(&base).chain(films.iter().flatten()).collect();
    let all = g.concat(&parts, 1);
    g.output(MODULATION, &all, ElementType::F32, &["rows".into(), sizes.modulation().into()]);
    graph
}

/// The graph from [`INPUT`] `[rows, size]` and [`MODULATION`] `[rows, modulation]` to [`OUTPUT`]
/// `[rows, size]`, for weights of these sizes.
pub fn evaluation_graph(sizes: Sizes, weights: &Weights) -> Graph {
    let mut graph = Graph::new(OUTPUT);
    let g = &mut graph;
    let network = known(g, sizes, weights, |name| !of_context(name));
    let matrix = |g: &mut Graph, name, columns: usize| {
        g.input(name, ElementType::F32, &["rows".into(), columns.into()])
    };
    let x = matrix(g, INPUT, sizes.size);
    let modulation = matrix(g, MODULATION, sizes.modulation());
    let parts = g.split(&modulation, &vec![sizes.width; 1 + 2 * sizes.blocks], 1);
    let (films, _) = parts[1..].as_chunks::<2>();
    let output = network.evaluation(g, &x, &parts[0], films).output;
    g.output(OUTPUT, &output, ElementType::F32, &["rows".into(), sizes.size.into()]);
    graph
}
