//! A transformer over the parts of a vector, such as the bars of a latent code, modulated by a context.
//!
//! A fixed basis A turns the vector into parts of equal size, of which each means the same in its
//! place, and its inverse turns the output back. Blocks of attention and of two dense layers work on
//! all parts, modulated as those of [`super::residual`]. Initially the output is zero.
//!
//! The context ends with vectors of the same space, the neighbours, each after a number that is one
//! where it is known and zero where not (then the vector is zero too). With the rest c of the context
//! and these numbers: `e = silu(c·E)`; for each part p of x and those b, a of the neighbours
//! `h = p·I + b·B + a·C + place`; for each block
//! `h ← h + attention((norm(h) · (1 + s) + t)·R)·S` and
//! `h ← h + silu((norm(h) · (1 + u) + v)·P)·Q` with `(s, t, u, v) = e·F`; the output is `norm(h)·O`,
//! turned back. Products stand for dense layers with biases.
//!
//! As there, all that depends on the context alone is a graph of its own.

use interlude_onnx::weights::{Tensor, Weights};
use interlude_onnx::{ElementType, Graph, Value, extent};

use super::activation::{Normal, Silu};
use super::attention::{self, Attention};
use super::dense::Dense;
use super::residual::{CONTEXT, INPUT, MODULATION, OUTPUT};
use super::variables::Variables;

/// Name of the fixed matrix from a vector, a row, to its parts one after the other.
pub const BASIS: &str = "basis";
/// Name of its inverse.
pub const INVERSE: &str = "inverse";
/// Name of what is added to each part by its place.
const PLACE: &str = "place";
/// Names of the layers that read the neighbours.
const NEIGHBOURS: [&str; 2] = ["before", "after"];
/// Numbers of a head of attention, if they divide the width.
const DEPTH: usize = 32;
/// Share of the usual initial kernels that a block's layers of modulation and output begin with.
const SMALL: f32 = 0.1;

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Parts of an input, and of an output.
    pub parts: usize,
    /// Numbers of a part.
    pub part: usize,
    /// Numbers of a context, the neighbours among them.
    pub context: usize,
    /// Width of the blocks.
    pub width: usize,
    /// Numbers that the context is reduced to for the blocks.
    pub embedding: usize,
    /// Number of blocks.
    pub blocks: usize,
}

impl Sizes {
    /// Numbers of an input, and of an output.
    pub fn size(self) -> usize {
        self.parts * self.part
    }

    /// Numbers that the context contributes to one evaluation: what is added to each part, and two
    /// scales and shifts of every block.
    pub fn modulation(self) -> usize {
        self.width * (self.parts + 4 * self.blocks)
    }

    /// Numbers of a context that the blocks are told: all but the neighbours' vectors.
    fn told(self) -> usize {
        self.context - NEIGHBOURS.len() * self.size()
    }

    fn attention(self) -> Attention {
        let heads = if self.width.is_multiple_of(DEPTH) { self.width / DEPTH } else { 1 };
        Attention { parts: self.parts, heads, depth: self.width / heads }
    }

    /// Names and shapes of the kernels, inputs first; each has a bias.
    fn kernels(self) -> Vec<(String, [usize; 2])> {
        let Self { part, width, embedding, blocks, .. } = self;
        let mut kernels = vec![
            (INPUT.to_owned(), [part, width]),
            ("embedding".to_owned(), [self.told(), embedding]),
            (OUTPUT.to_owned(), [width, part]),
        ];
        kernels.extend(NEIGHBOURS.map(|name| (name.to_owned(), [part, width])));
        for block in 0..blocks {
            kernels.push((format!("{block}/film"), [embedding, 4 * width]));
            kernels.push((format!("{block}/read"), [width, 3 * width]));
            kernels.push((format!("{block}/heads"), [width, width]));
            kernels.push((format!("{block}/first"), [width, 2 * width]));
            kernels.push((format!("{block}/second"), [2 * width, width]));
        }
        kernels
    }

    /// Names and shapes of all tensors but the basis.
    fn shapes(self) -> Vec<(String, Vec<usize>)> {
        let layers = self.kernels().into_iter().flat_map(|(name, shape)| {
            [(format!("{name}/kernel"), shape.to_vec()), (format!("{name}/bias"), vec![shape[1]])]
        });
        layers.chain([(PLACE.to_owned(), vec![self.parts, self.width])]).collect()
    }

    /// Names and shapes of the matrices of the basis.
    fn basis(self) -> [(&'static str, Vec<usize>); 2] {
        [BASIS, INVERSE].map(|name| (name, vec![self.size(); 2]))
    }

    /// Number of tensors that a network has.
    pub fn tensors(self) -> usize {
        self.shapes().len() + self.basis().len()
    }

    /// Derives the sizes of a network from its weights. Other tensors are ignored.
    ///
    /// # Errors
    /// The name of a tensor that is missing, of another shape, or not finite.
    pub fn of(weights: &Weights) -> Result<Self, String> {
        let shape = |name: &str| match weights.get(name).map(|tensor| tensor.shape.as_slice()) {
            Some(&[rows, columns]) if rows > 0 && columns > 0 => Ok([rows, columns]),
            _ => Err(name.to_owned()),
        };
        let [parts, width] = shape(PLACE)?;
        let [part, _] = shape(&format!("{INPUT}/kernel"))?;
        let [told, embedding] = shape("embedding/kernel")?;
        let film = |block: &usize| shape(&format!("{block}/film/kernel")).is_ok();
        let blocks = (0..).take_while(film).count();
        let size = parts.checked_mul(part).ok_or(PLACE)?;
        let context = size.checked_mul(NEIGHBOURS.len()).and_then(|all| all.checked_add(told));
        let context = context.ok_or(PLACE)?;
        let sizes = Self { parts, part, context, width, embedding, blocks };
        let basis = sizes.basis().map(|(name, shape)| (name.to_owned(), shape));
        weights.hold(sizes.shapes().into_iter().chain(basis))?;
        Ok(sizes)
    }

    /// Initial weights without the basis: normal with variance one over the inputs, smaller where a
    /// block is modulated and where it adds to the others, zero in the last layer. `normal` fills with
    /// standard normal numbers.
    pub fn initial(self, normal: &mut dyn FnMut(&mut [f32])) -> Weights {
        let mut weights = Weights::default();
        for (name, shape) in self.shapes() {
            let mut tensor = Tensor::zeros(&shape);
            let layer = name.strip_suffix("/kernel");
            if name == PLACE || layer.is_some_and(|layer| layer != OUTPUT) {
                normal(&mut tensor.data);
                let small = ["/film", "/heads", "/second"];
                let small = layer.is_none_or(|layer| small.iter().any(|it| layer.ends_with(it)));
                #[expect(clippy::cast_precision_loss, reason = "widths are far below 2^24")]
                let inputs = if layer.is_some() { shape[0] as f32 } else { 1.0 };
                let scale = if small { SMALL } else { 1.0 } / inputs.sqrt();
                tensor.data.iter_mut().for_each(|value| *value *= scale);
            }
            weights.insert(name, tensor);
        }
        weights
    }
}

/// The network in a graph.
#[derive(Clone, Debug)]
pub struct Transformer {
    sizes: Sizes,
    input: Dense,
    place: Value,
    neighbours: [Dense; 2],
    embedding: Dense,
    blocks: Vec<Block>,
    output: Dense,
}

#[derive(Clone, Debug)]
struct Block {
    sizes: Sizes,
    film: Dense,
    read: Dense,
    heads: Dense,
    first: Dense,
    second: Dense,
}

/// What the context says.
#[derive(Clone, Debug)]
struct Modulation {
    /// What the blocks are told.
    told: Value,
    /// The neighbours' parts, `[rows · parts, part]`.
    neighbours: Vec<Value>,
    embedded: Silu,
    /// What is added to each part, `[rows · parts, width]`.
    base: Value,
    /// Scale and shift of attention and of the dense layers of each block.
    films: Vec<[Value; 4]>,
}

/// What the forward pass computed.
#[derive(Clone, Debug)]
pub struct Pass {
    modulation: Modulation,
    evaluation: Evaluation,
}

#[derive(Clone, Debug)]
struct Evaluation {
    /// The input's parts, `[rows · parts, part]`.
    x: Value,
    blocks: Vec<BlockPass>,
    last: Normal,
    /// `[rows, size]`.
    output: Value,
}

#[derive(Clone, Debug)]
struct BlockPass {
    asked: Modulated,
    attention: attention::Pass,
    heard: Modulated,
    hidden: Silu,
}

/// Normalised parts, scaled and shifted alike in all places.
#[derive(Clone, Debug)]
struct Modulated {
    normal: Normal,
    /// `1 + s`, `[rows, 1, width]`.
    scale: Value,
    /// `[rows · parts, width]`.
    output: Value,
}

impl Pass {
    /// The network's output, `[rows, size]`.
    pub fn output(&self) -> &Value {
        &self.evaluation.output
    }
}

impl Transformer {
    fn new(sizes: Sizes, place: Value, mut dense: impl FnMut(&str, [usize; 2]) -> Dense) -> Self {
        let shapes = sizes.kernels();
        let mut layer = |name: &str| {
            let shape = shapes.iter().find(|(known, _)| known == name).map(|(_, shape)| *shape);
            dense(name, shape.expect("one of the kernels"))
        };
        Self {
            sizes,
            input: layer(INPUT),
            place,
            neighbours: NEIGHBOURS.map(&mut layer),
            embedding: layer("embedding"),
            blocks: (0..sizes.blocks)
                .map(|block| Block {
                    sizes,
                    film: layer(&format!("{block}/film")),
                    read: layer(&format!("{block}/read")),
                    heads: layer(&format!("{block}/heads")),
                    first: layer(&format!("{block}/first")),
                    second: layer(&format!("{block}/second")),
                })
                .collect(),
            output: layer(OUTPUT),
        }
    }

    /// Declares the variables of a network that is to be trained. The basis is fixed: its matrices,
    /// by name in `basis`, become a part of the graph.
    pub fn declare(
        graph: &mut Graph,
        variables: &mut Variables,
        sizes: Sizes,
        basis: &Weights,
    ) -> Self {
        for (name, shape) in sizes.basis() {
            let tensor = basis.get(name).filter(|tensor| tensor.shape == shape);
            let tensor = tensor.unwrap_or_else(|| panic!("no {name} of these sizes"));
            graph.weight(name, &tensor.shape, &tensor.data);
        }
        let place = variables.declare(graph, PLACE, &[sizes.parts, sizes.width]);
        Self::new(sizes, place, |name, [inputs, outputs]| {
            Dense::declare(graph, variables, name, inputs, outputs)
        })
    }

    /// A vector `[rows, size]` as its parts, `[rows · parts, part]`.
    fn parts(&self, graph: &mut Graph, x: &Value) -> Value {
        let x = graph.matmul(x, &Value::named(BASIS));
        graph.reshape(&x, &[-1, extent(self.sizes.part)])
    }

    fn modulation(&self, graph: &mut Graph, context: &Value) -> Modulation {
        let Sizes { parts, width, .. } = self.sizes;
        let size = self.sizes.size();
        let cuts = [self.sizes.told() - NEIGHBOURS.len(), 1, size, 1, size];
        let cut = graph.split(context, &cuts, 1);
        let told = graph.concat(&[&cut[0], &cut[1], &cut[3]], 1);
        let embedded = self.embedding.forward(graph, &told);
        let embedded = Silu::forward(graph, &embedded);
        let neighbours: Vec<Value> =
            [&cut[2], &cut[4]].map(|code| self.parts(graph, code)).to_vec();
        let [before, after] =
            [0, 1].map(|index| self.neighbours[index].forward(graph, &neighbours[index]));
        let base = graph.add(&before, &after);
        let base = graph.reshape(&base, &[-1, extent(parts), extent(width)]);
        let base = graph.add(&base, &self.place);
        let base = graph.reshape(&base, &[-1, extent(width)]);
        let mut film = |block: &Block| {
            let all = block.film.forward(graph, &embedded.output);
            let all = graph.split(&all, &[width; 4], 1);
            std::array::from_fn(|index| all[index].clone())
        };
        let films = self.blocks.iter().map(&mut film).collect();
        Modulation { told, neighbours, embedded, base, films }
    }

    fn evaluation(
        &self,
        graph: &mut Graph,
        x: &Value,
        base: &Value,
        films: &[[Value; 4]],
    ) -> Evaluation {
        let x = self.parts(graph, x);
        let own = self.input.forward(graph, &x);
        let mut h = graph.add(&own, base);
        let mut blocks = Vec::with_capacity(self.blocks.len());
        for (block, film) in self.blocks.iter().zip(films) {
            let (pass, next) = block.forward(graph, &h, film);
            h = next;
            blocks.push(pass);
        }
        let last = Normal::forward(graph, &h, self.sizes.width);
        let output = self.output.forward(graph, &last.output);
        let output = graph.reshape(&output, &[-1, extent(self.sizes.size())]);
        let output = graph.matmul(&output, &Value::named(INVERSE));
        Evaluation { x, blocks, last, output }
    }

    /// `x` `[rows, size]` and `context` `[rows, context]` to `[rows, size]`.
    pub fn forward(&self, graph: &mut Graph, x: &Value, context: &Value) -> Pass {
        let modulation = self.modulation(graph, context);
        let evaluation = self.evaluation(graph, x, &modulation.base, &modulation.films);
        Pass { modulation, evaluation }
    }

    /// Sets the gradients of all variables from that of the output. Those of input and context are not
    /// computed.
    pub fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &Pass,
        output_gradient: &Value,
    ) {
        let Sizes { part, parts, width, .. } = self.sizes;
        let (g, Pass { modulation, evaluation }) = (graph, pass);
        let gradient = g.gemm_nt(output_gradient, &Value::named(INVERSE));
        let gradient = g.reshape(&gradient, &[-1, extent(part)]);
        let last = &evaluation.last;
        let gradient = self.output.backward(g, variables, &last.output, &gradient);
        let mut gradient = last.backward(g, &gradient);
        let mut of_embedded: Option<Value> = None;
        for (block, done) in self.blocks.iter().zip(&evaluation.blocks).rev() {
            let (through, film) = block.backward(g, variables, done, &gradient);
            gradient = through;
            let embedded = &modulation.embedded.output;
            let more = block.film.backward(g, variables, embedded, &film);
            of_embedded = Some(match of_embedded {
                Some(sum) => g.add(&sum, &more),
                None => more,
            });
        }
        if let Some(gradient) = of_embedded {
            let gradient = modulation.embedded.backward(g, &gradient);
            self.embedding.backward_first(g, variables, &modulation.told, &gradient);
        }
        self.input.backward_first(g, variables, &evaluation.x, &gradient);
        for (layer, parts) in self.neighbours.iter().zip(&modulation.neighbours) {
            layer.backward_first(g, variables, parts, &gradient);
        }
        let gradient = g.reshape(&gradient, &[-1, extent(parts), extent(width)]);
        let place = g.reduce_sum(&gradient, &[0]);
        variables.set_gradient(PLACE, place);
    }
}

impl Block {
    /// The parts that come after `h`.
    fn forward(&self, graph: &mut Graph, h: &Value, film: &[Value; 4]) -> (BlockPass, Value) {
        let [scale, shift, second_scale, second_shift] = film;
        let asked = Modulated::forward(graph, h, [scale, shift], self.sizes);
        let all = self.read.forward(graph, &asked.output);
        let attention = self.sizes.attention().forward(graph, &all);
        let added = self.heads.forward(graph, &attention.output);
        let h = graph.add(h, &added);
        let heard = Modulated::forward(graph, &h, [second_scale, second_shift], self.sizes);
        let hidden = self.first.forward(graph, &heard.output);
        let hidden = Silu::forward(graph, &hidden);
        let added = self.second.forward(graph, &hidden.output);
        let next = graph.add(&h, &added);
        (BlockPass { asked, attention, heard, hidden }, next)
    }

    /// The gradients of `h` and of scales and shifts, `[rows, 4 · width]`.
    fn backward(
        &self,
        graph: &mut Graph,
        variables: &mut Variables,
        pass: &BlockPass,
        gradient: &Value,
    ) -> (Value, Value) {
        let g = graph;
        let inner = self.second.backward(g, variables, &pass.hidden.output, gradient);
        let inner = pass.hidden.backward(g, &inner);
        let inner = self.first.backward(g, variables, &pass.heard.output, &inner);
        let (through, [second_scale, second_shift]) = pass.heard.backward(g, &inner, self.sizes);
        let gradient = g.add(gradient, &through);
        let inner = self.heads.backward(g, variables, &pass.attention.output, &gradient);
        let inner = self.sizes.attention().backward(g, &pass.attention, &inner);
        let inner = self.read.backward(g, variables, &pass.asked.output, &inner);
        let (through, [scale, shift]) = pass.asked.backward(g, &inner, self.sizes);
        let film = g.concat(&[&scale, &shift, &second_scale, &second_shift], 1);
        (g.add(&gradient, &through), film)
    }
}

impl Modulated {
    fn forward(graph: &mut Graph, h: &Value, film: [&Value; 2], sizes: Sizes) -> Self {
        let normal = Normal::forward(graph, h, sizes.width);
        let [scale, shift] = film.map(|it| graph.unsqueeze(it, &[1]));
        let one = graph.scalar(1.0);
        let scale = graph.add(&scale, &one);
        let rows = by_row(graph, &normal.output, sizes);
        let scaled = graph.mul(&rows, &scale);
        let shifted = graph.add(&scaled, &shift);
        let output = graph.reshape(&shifted, &[-1, extent(sizes.width)]);
        Self { normal, scale, output }
    }

    /// The gradients of what was normalised and of scale and shift.
    fn backward(&self, graph: &mut Graph, gradient: &Value, sizes: Sizes) -> (Value, [Value; 2]) {
        let gradient = by_row(graph, gradient, sizes);
        let shift = graph.reduce_sum(&gradient, &[1]);
        let rows = by_row(graph, &self.normal.output, sizes);
        let scale = graph.mul(&gradient, &rows);
        let scale = graph.reduce_sum(&scale, &[1]);
        let normal = graph.mul(&gradient, &self.scale);
        let normal = graph.reshape(&normal, &[-1, extent(sizes.width)]);
        (self.normal.backward(graph, &normal), [scale, shift])
    }
}

/// `[rows · parts, width]` as `[rows, parts, width]`.
fn by_row(graph: &mut Graph, x: &Value, sizes: Sizes) -> Value {
    graph.reshape(x, &[-1, extent(sizes.parts), extent(sizes.width)])
}

/// The network with known weights; only variables that are `wanted` are added to the graph.
fn known(
    graph: &mut Graph,
    sizes: Sizes,
    weights: &Weights,
    wanted: fn(&str) -> bool,
) -> Transformer {
    for (name, tensor) in weights.iter().filter(|(name, _)| wanted(name)) {
        graph.weight(name, &tensor.shape, &tensor.data);
    }
    Transformer::new(sizes, Value::named(PLACE), |name, _| Dense::named(name))
}

/// Whether a variable serves the context alone.
fn of_context(name: &str) -> bool {
    let layer = name.rsplit_once('/').map_or(name, |(layer, _)| layer);
    layer == PLACE
        || layer == "embedding"
        || NEIGHBOURS.contains(&layer)
        || layer.ends_with("/film")
}

/// The graph from [`CONTEXT`] `[rows, context]` to [`MODULATION`] `[rows, modulation]`, for weights
/// of these sizes.
pub fn modulation_graph(sizes: Sizes, weights: &Weights) -> Graph {
    let mut graph = Graph::new(MODULATION);
    let g = &mut graph;
    let network = known(g, sizes, weights, |name| name == BASIS || of_context(name));
    let context = g.input(CONTEXT, ElementType::F32, &["rows".into(), sizes.context.into()]);
    let Modulation { base, films, .. } = network.modulation(g, &context);
    let base = g.reshape(&base, &[-1, extent(sizes.parts * sizes.width)]);
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
    let x = matrix(g, INPUT, sizes.size());
    let modulation = matrix(g, MODULATION, sizes.modulation());
    let mut cuts = vec![sizes.parts * sizes.width];
    cuts.resize(1 + 4 * sizes.blocks, sizes.width);
    let cut = g.split(&modulation, &cuts, 1);
    let base = g.reshape(&cut[0], &[-1, extent(sizes.width)]);
    let (films, _) = cut[1..].as_chunks::<4>();
    let output = network.evaluation(g, &x, &base, films).output;
    g.output(OUTPUT, &output, ElementType::F32, &["rows".into(), sizes.size().into()]);
    graph
}
