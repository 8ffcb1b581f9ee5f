//! Quantisation: graphs with int8 weights from graphs with 32-bit floats.
//!
//! Matrices of `Gemm` become unsigned bytes with one scale for each column, and the other factor is
//! brought to bytes as it comes (dynamic quantisation), so that the product is one of integers.
//! Tables of `Gather` and weights of `LSTM` become signed bytes that are turned back into floats when
//! they are used. What is small, or used otherwise, stays as it is.

use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Seek, SeekFrom, Write};

use thiserror::Error;

use super::graph::{external, node};
use super::proto::{GraphProto, ModelProto, NodeProto, TensorProto};
use super::{Attribute, ElementType};

/// Weights with fewer elements stay as they are: there is nothing to gain.
const MIN_ELEMENTS: usize = 1024;
/// Where the unsigned bytes of a matrix have their 0.
pub(super) const ZERO_POINT: f32 = 128.0;
/// Largest multiple of its scale that a weight may be, up and down.
const LARGEST: f32 = 127.0;
/// Weights begin at multiples of this many bytes.
const ALIGNMENT: u64 = 64;
/// Who writes graphs that are understood whole. In others there may be parts that
/// [`super::proto`] leaves out.
const PRODUCER: &str = "interlude";

/// Why a graph cannot be quantised.
#[derive(Debug, Error)]
pub enum QuantiseError {
    /// Written by another program.
    #[error("it was written by `{producer}`; only graphs that Interlude wrote can be quantised")]
    Producer {
        /// The program.
        producer: String,
    },
    /// A weight is not where the graph says.
    #[error("weight `{weight}` {reason}; copy the model again")]
    Weight {
        /// Its name.
        weight: String,
        /// The reason.
        reason: &'static str,
    },
    /// Weights cannot be read or written.
    #[error("its weights cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

/// How a weight is used, which decides how it is stored.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Use {
    /// The second factor `[k, n]` of `Gemm`.
    Factor,
    /// The table `[rows, n]` of `Gather`.
    Table,
    /// A weight `[directions, 4H, n]` of `LSTM`.
    Gates,
    /// Anything else.
    Other,
}

/// Turns the weights of a graph into bytes.
///
/// `source` holds the weights, and `data`, a file called `file`, takes the new ones. The number of
/// weights that became bytes is given too; 0 says that there was nothing to quantise. Memory: the
/// largest weight twice.
///
/// # Errors
/// [`QuantiseError`] names the weight that is not as the graph says.
pub fn quantise(
    model: ModelProto,
    source: &mut (impl Read + Seek),
    file: &str,
    data: &mut dyn Write,
) -> Result<(ModelProto, usize), QuantiseError> {
    if model.producer_name != PRODUCER {
        return Err(QuantiseError::Producer { producer: model.producer_name });
    }
    let mut graph = model.graph.unwrap_or_default();
    let uses = uses(&graph);
    let mut output = Output { file, data, offset: 0 };
    let mut quantised = HashMap::new();
    let mut weights = Vec::new();
    let end = source.seek(SeekFrom::End(0))?;
    for weight in std::mem::take(&mut graph.initializer) {
        let kind = uses.get(&weight.name).copied().unwrap_or(Use::Other);
        match axis(&weight, kind) {
            Some(axis) => {
                let values = floats(&bytes(&weight, source, end)?);
                let (levels, scales) = levels(&weight, &values, axis)?;
                weights.extend(output.quantised(&weight, kind, &levels, &scales)?);
                quantised.insert(weight.name, kind);
            }
            None if weight.data_location == 0 => weights.push(weight),
            None => {
                let content = bytes(&weight, source, end)?;
                weights.push(output.external(weight, &content)?);
            }
        }
    }
    graph.initializer = weights;
    if quantised.values().any(|kind| *kind == Use::Factor) {
        let zero = vec![128];
        graph.initializer.push(TensorProto {
            data_type: ElementType::U8 as i32,
            name: ZERO_NAME.to_owned(),
            raw_data: zero,
            ..TensorProto::default()
        });
    }
    graph.node = rewrite(std::mem::take(&mut graph.node), &quantised);
    Ok((ModelProto { graph: Some(graph), ..model }, quantised.len()))
}

/// Name of the zero point of matrices.
const ZERO_NAME: &str = "quantised/zero";

pub(super) fn bytes_name(weight: &str) -> String {
    format!("{weight}/bytes")
}

pub(super) fn scale_name(weight: &str) -> String {
    format!("{weight}/scale")
}

/// How each value is used that is an input of a node; [`Use::Other`] where it is used in several
/// ways.
fn uses(graph: &GraphProto) -> HashMap<String, Use> {
    let mut uses: HashMap<String, Use> = HashMap::new();
    let mut note = |name: &str, kind: Use| {
        let known = uses.entry(name.to_owned()).or_insert(kind);
        if *known != kind {
            *known = Use::Other;
        }
    };
    for node in &graph.node {
        for (index, name) in node.input.iter().enumerate() {
            note(name, use_of(node, index));
        }
        for body in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
            names_in(body, &mut |name| note(name, Use::Other));
        }
    }
    for output in &graph.output {
        note(&output.name, Use::Other);
    }
    uses
}

/// Every name that a nested graph reads.
fn names_in(graph: &GraphProto, note: &mut dyn FnMut(&str)) {
    for node in &graph.node {
        node.input.iter().for_each(|name| note(name));
        for body in node.attribute.iter().filter_map(|attribute| attribute.g.as_ref()) {
            names_in(body, note);
        }
    }
}

fn use_of(node: &NodeProto, input: usize) -> Use {
    match (node.domain.as_str(), node.op_type.as_str(), input) {
        // Without attributes it is the plain product and sum.
        ("", "Gemm", 1) if node.attribute.is_empty() => Use::Factor,
        ("", "Gather", 0) if node.attribute.is_empty() => Use::Table,
        ("", "LSTM", 1 | 2) => Use::Gates,
        _ => Use::Other,
    }
}

/// The axis along which scales differ, for a weight that is to be quantised.
fn axis(weight: &TensorProto, kind: Use) -> Option<usize> {
    let rank = match kind {
        Use::Factor | Use::Table => 2,
        Use::Gates => 3,
        Use::Other => return None,
    };
    let fits = weight.data_type == ElementType::F32 as i32 && weight.dims.len() == rank;
    (fits && elements(weight).is_some_and(|count| count >= MIN_ELEMENTS)).then_some(1)
}

fn elements(weight: &TensorProto) -> Option<usize> {
    weight.dims.iter().try_fold(1usize, |count, &extent| {
        usize::try_from(extent).ok().and_then(|extent| count.checked_mul(extent))
    })
}

/// The stored bytes of a weight, wherever they lie.
pub(super) fn bytes(
    weight: &TensorProto,
    source: &mut (impl Read + Seek),
    end: u64,
) -> Result<Vec<u8>, QuantiseError> {
    let wrong = |reason| QuantiseError::Weight { weight: weight.name.clone(), reason };
    if weight.data_location == 0 {
        return Ok(weight.raw_data.clone());
    }
    let number = |key: &str| {
        let entry = weight.external_data.iter().find(|entry| entry.key == key);
        entry.and_then(|entry| entry.value.parse::<u64>().ok())
    };
    let range = number("offset").zip(number("length"));
    let (offset, length) = range.ok_or_else(|| wrong("has no place in the file"))?;
    if offset.checked_add(length).is_none_or(|last| last > end) {
        return Err(wrong("lies beyond the end of the file"));
    }
    let length = usize::try_from(length).map_err(|_| wrong("is larger than memory"))?;
    source.seek(SeekFrom::Start(offset))?;
    let mut content = vec![0; length];
    source.read_exact(&mut content)?;
    Ok(content)
}

pub(super) fn floats(bytes: &[u8]) -> Vec<f32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|&word| f32::from_le_bytes(word)).collect()
}

/// Multiples of the scale of their place along `axis`, in `-127..=127`, and the scales.
fn levels(
    weight: &TensorProto,
    values: &[f32],
    axis: usize,
) -> Result<(Vec<f32>, Vec<f32>), QuantiseError> {
    let wrong = |reason| QuantiseError::Weight { weight: weight.name.clone(), reason };
    if elements(weight) != Some(values.len()) {
        return Err(wrong("has not as many bytes as its shape needs"));
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(wrong("holds what is no number"));
    }
    let extents: Vec<usize> =
        weight.dims.iter().map(|&extent| usize::try_from(extent).unwrap_or(0)).collect();
    let places = extents[axis].max(1);
    let inner: usize = extents[axis + 1..].iter().product::<usize>().max(1);
    let place = |index: usize| index / inner % places;
    let mut scales = vec![0.0f32; places];
    for (index, value) in values.iter().enumerate() {
        let scale = &mut scales[place(index)];
        *scale = scale.max(value.abs());
    }
    // A column of zeros, or of numbers next to them, has any scale.
    scales.iter_mut().for_each(|scale| *scale = (*scale / LARGEST).max(f32::MIN_POSITIVE));
    let levels = values.iter().enumerate().map(|(index, value)| {
        (value / scales[place(index)]).round_ties_even().clamp(-LARGEST, LARGEST)
    });
    Ok((levels.collect(), scales))
}

/// The file of weights that is written.
struct Output<'o> {
    file: &'o str,
    data: &'o mut dyn Write,
    offset: u64,
}

impl Output<'_> {
    /// Writes the bytes of a weight and tells where they are.
    fn external(&mut self, weight: TensorProto, content: &[u8]) -> io::Result<TensorProto> {
        let start = self.offset.next_multiple_of(ALIGNMENT);
        for _ in self.offset..start {
            self.data.write_all(&[0])?;
        }
        self.data.write_all(content)?;
        self.offset = start + content.len() as u64;
        Ok(external(weight, self.file, start..self.offset))
    }

    /// The levels as bytes, and the scales.
    fn quantised(
        &mut self,
        weight: &TensorProto,
        kind: Use,
        levels: &[f32],
        scales: &[f32],
    ) -> io::Result<[TensorProto; 2]> {
        #[expect(clippy::cast_possible_truncation, reason = "whole numbers in -127..=127")]
        #[expect(clippy::cast_sign_loss, reason = "in 1..=255 after the zero point")]
        let byte = |level: &f32| match kind {
            Use::Factor => (level + ZERO_POINT) as u8,
            _ => (*level as i8).cast_unsigned(),
        };
        let element = if kind == Use::Factor { ElementType::U8 } else { ElementType::I8 };
        let tensor = |name: String, dims: Vec<i64>, element: ElementType| TensorProto {
            dims,
            data_type: element as i32,
            name,
            ..TensorProto::default()
        };
        let content: Vec<u8> = levels.iter().map(byte).collect();
        let bytes = tensor(bytes_name(&weight.name), weight.dims.clone(), element);
        let bytes = self.external(bytes, &content)?;
        let content: Vec<u8> = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
        let extent = super::extent(scales.len());
        let scale = tensor(scale_name(&weight.name), vec![extent], ElementType::F32);
        Ok([bytes, self.external(scale, &content)?])
    }
}

/// The nodes with those that use bytes in the place of those that used floats.
fn rewrite(nodes: Vec<NodeProto>, quantised: &HashMap<String, Use>) -> Vec<NodeProto> {
    let mut written = Vec::new();
    let mut restored = HashSet::new();
    let mut activations = HashSet::new();
    for mut old in nodes {
        let is = |index: usize, kind: Use| {
            let name = old.input.get(index);
            name.is_some_and(|name| quantised.get(name) == Some(&kind))
        };
        if is(1, Use::Factor) && old.op_type == "Gemm" {
            product(&mut written, &old, &mut activations);
        } else if is(0, Use::Table) && old.op_type == "Gather" {
            let table = old.input[0].clone();
            let result = std::mem::replace(&mut old.output[0], format!("{}/row", old.name));
            let row = old.output[0].clone();
            old.name.clone_from(&row);
            old.input[0] = bytes_name(&table);
            written.push(old);
            let scale = scale_name(&table);
            // Whatever the shape of the indices, a row's elements lie along the last axis.
            let along = [("axis", Attribute::Int(-1))];
            written.push(node("DequantizeLinear", &[&row, &scale], &[&result], &along));
        } else {
            for input in &mut old.input {
                if quantised.get(input) == Some(&Use::Gates) {
                    let floats = format!("{input}/floats");
                    if restored.insert(floats.clone()) {
                        let along = [("axis", Attribute::Int(1))];
                        let from = [&*bytes_name(input), &*scale_name(input)];
                        written.push(node("DequantizeLinear", &from, &[&floats], &along));
                    }
                    *input = floats;
                }
            }
            written.push(old);
        }
    }
    written
}

/// `a · B + c` with bytes: `a` is brought to bytes once for all products that it is in.
fn product(written: &mut Vec<NodeProto>, gemm: &NodeProto, activations: &mut HashSet<String>) {
    let (a, b, result) = (&gemm.input[0], &gemm.input[1], &gemm.output[0]);
    let name = |what: &str| format!("{result}/{what}");
    let of = |what: &str| format!("{a}/{what}");
    let (bytes, scale, zero) = (of("bytes"), of("scale"), of("zero"));
    if activations.insert(a.clone()) {
        written.push(node("DynamicQuantizeLinear", &[a], &[&bytes, &scale, &zero], &[]));
    }
    let (whole, float, scales) = (name("whole"), name("float"), name("scale"));
    let factors = [&*bytes, &*bytes_name(b), &*zero, ZERO_NAME];
    written.push(node("MatMulInteger", &factors, &[&whole], &[]));
    let to = [("to", Attribute::Int(ElementType::F32 as i64))];
    written.push(node("Cast", &[&whole], &[&float], &to));
    written.push(node("Mul", &[&scale, &scale_name(b)], &[&scales], &[]));
    match gemm.input.get(2).filter(|c| !c.is_empty()) {
        Some(c) => {
            let product = name("product");
            written.push(node("Mul", &[&float, &scales], &[&product], &[]));
            written.push(node("Add", &[&product, c], &[result], &[]));
        }
        None => written.push(node("Mul", &[&float, &scales], &[result], &[])),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use prost::Message;

    use super::*;
    use crate::Graph;

    /// A graph whose only weight, `[32, 64]`, lies in 8192 bytes of another file.
    fn model() -> ModelProto {
        let mut graph = Graph::new("one");
        let x = graph.input("x", ElementType::F32, &["batch".into(), 32.into()]);
        let w = graph.external_weight("w", ElementType::F32, &[32, 64], "one.data", 0..8192);
        let c = graph.floats(&[64], &[0.0; 64]);
        let y = graph.gemm(&x, &w, &c);
        graph.output("y", &y, ElementType::F32, &["batch".into(), 64.into()]);
        graph.into_proto()
    }

    fn content(value: f32) -> Vec<u8> {
        value.to_le_bytes().repeat(2048)
    }

    /// A quarter of the bytes is left, scales apart, and what stands for the weight is within half
    /// a step of it.
    #[test]
    fn bytes_stand_for_floats() {
        let mut data = Vec::new();
        let mut source = Cursor::new(content(-0.5));
        let (quantised, count) = quantise(model(), &mut source, "new", &mut data).unwrap();
        assert_eq!(count, 1);
        assert_eq!(data.len(), 2048 + 4 * 64);
        assert!(data[..2048].iter().all(|byte| *byte == 1));
        let scale = f32::from_le_bytes(data[2048..2052].try_into().unwrap());
        assert!((scale * -127.0 - -0.5).abs() < 1e-6);
        let graph = quantised.graph.unwrap();
        let operators: Vec<_> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
        let expected =
            ["DynamicQuantizeLinear", "MatMulInteger", "Cast", "Mul", "Mul", "Add", "Identity"];
        assert_eq!(operators, expected);
        let again = ModelProto { graph: Some(graph), ..model() };
        let mut source = Cursor::new(data);
        assert_eq!(quantise(again, &mut source, "x", &mut Vec::new()).unwrap().1, 0);
    }

    /// Weights that are cut off, no numbers, or of another program are refused by name.
    #[test]
    fn damaged_weights_are_refused() {
        let refused = |model: ModelProto, content: Vec<u8>| {
            let result = quantise(model, &mut Cursor::new(content), "new", &mut Vec::new());
            result.unwrap_err().to_string()
        };
        assert!(refused(model(), vec![0; 8191]).contains("`w` lies beyond the end"));
        assert!(refused(model(), content(f32::NAN)).contains("`w` holds what is no number"));
        let mut other = model();
        other.producer_name = "pytorch".to_owned();
        assert!(refused(other, content(0.0)).contains("written by `pytorch`"));
        let mut shaped = model();
        shaped.graph.as_mut().unwrap().initializer[0].dims = vec![64, 64];
        assert!(refused(shaped, content(0.0)).contains("not as many bytes"));
        let decoded = ModelProto::decode(model().encode_to_vec().as_slice()).unwrap();
        assert_eq!(decoded, model());
    }
}
