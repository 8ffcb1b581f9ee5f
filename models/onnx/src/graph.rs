//! The builder itself: names, constants, inputs, outputs, nested bodies.

use std::collections::HashMap;
use std::fmt;

use prost::Message;

use super::proto::{
    AttributeProto, AttributeType, DimensionProto, DimensionValue, GraphProto, ModelProto,
    NodeProto, OperatorSetIdProto, SequenceTypeProto, StringStringEntryProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Version of the standard operator set that graphs are written against.
const OPSET: i64 = 17;
/// Version of the file format that goes with [`OPSET`].
const IR_VERSION: i64 = 8;
/// The `data_location` of weights that lie in another file.
const EXTERNAL: i32 = 1;
/// Constants up to this size are shared between equal uses.
const SHARED_CONSTANT_BYTES: usize = 256;

/// A value in a graph, known by its name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Value(std::sync::Arc<str>);

impl Value {
    /// An omitted optional input of an operator.
    pub fn none() -> Self {
        Self("".into())
    }

    /// The value with a known name, such as an input or initialiser of an enclosing graph.
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// Element types, numbered as in the ONNX format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
pub enum ElementType {
    /// 32-bit float.
    F32 = 1,
    /// Unsigned byte.
    U8 = 2,
    /// Signed byte.
    I8 = 3,
    /// 32-bit integer.
    I32 = 6,
    /// 64-bit integer.
    I64 = 7,
    /// Boolean.
    Bool = 9,
    /// 16-bit float.
    F16 = 10,
}

/// One extent of a shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Known when the graph is built.
    Size(usize),
    /// Known when the graph runs, such as the batch size.
    Name(&'static str),
}

impl From<usize> for Dim {
    fn from(size: usize) -> Self {
        Self::Size(size)
    }
}

impl From<&'static str> for Dim {
    fn from(name: &'static str) -> Self {
        Self::Name(name)
    }
}

/// The value of a node's attribute.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A float.
    Float(f32),
    /// A string.
    String(&'static str),
    /// A list of strings.
    Strings(Vec<&'static str>),
    /// The body of `Scan`, `Loop` or `If`.
    Graph(GraphProto),
}

impl Attribute {
    fn into_proto(self, name: &str) -> AttributeProto {
        let mut proto = AttributeProto { name: name.to_owned(), ..Default::default() };
        let kind = match self {
            Self::Int(value) => {
                proto.i = value;
                AttributeType::Int
            }
            Self::Ints(values) => {
                proto.ints = values;
                AttributeType::Ints
            }
            Self::Float(value) => {
                proto.f = value;
                AttributeType::Float
            }
            Self::String(value) => {
                proto.s = value.as_bytes().to_vec();
                AttributeType::String
            }
            Self::Strings(values) => {
                proto.strings = values.iter().map(|value| value.as_bytes().to_vec()).collect();
                AttributeType::Strings
            }
            Self::Graph(graph) => {
                proto.g = Some(graph);
                AttributeType::Graph
            }
        };
        proto.set_type(kind);
        proto
    }
}

/// A graph under construction.
///
/// ```
/// use interlude_onnx::{ElementType, Graph};
///
/// let mut graph = Graph::new("double");
/// let x = graph.input("x", ElementType::F32, &["batch".into(), 4.into()]);
/// let two = graph.scalar(2.0);
/// let y = graph.mul(&x, &two);
/// graph.output("y", &y, ElementType::F32, &["batch".into(), 4.into()]);
/// let file: Vec<u8> = graph.into_model();
/// assert!(!file.is_empty());
/// ```
#[derive(Debug)]
pub struct Graph {
    proto: GraphProto,
    prefix: String,
    counter: usize,
    constants: HashMap<(i32, Vec<i64>, Vec<u8>), Value>,
    domains: Vec<String>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str) -> Self {
        Self {
            proto: GraphProto { name: name.to_owned(), ..Default::default() },
            prefix: String::new(),
            counter: 0,
            constants: HashMap::new(),
            domains: Vec::new(),
        }
    }

    /// The same graph for a runtime that also knows the operators of a domain (version 1), besides
    /// standard ones and `com.microsoft`.
    #[must_use]
    pub fn with_domain(mut self, domain: &str) -> Self {
        self.domains.push(domain.to_owned());
        self
    }

    /// Whether the runtime knows the operators of a domain given by [`Self::with_domain`].
    pub fn may_use(&self, domain: &str) -> bool {
        self.domains.iter().any(|known| known == domain)
    }

    /// An empty body for a `Scan` or `Loop` of this graph. Its names differ from all others here,
    /// so it may refer to any value of this graph.
    pub fn body(&mut self, name: &str) -> Self {
        self.counter += 1;
        let mut body = Self::new(name);
        body.prefix = format!("{}{name}{}.", self.prefix, self.counter);
        body.domains.clone_from(&self.domains);
        body
    }

    fn fresh(&mut self, stem: &str) -> Value {
        self.counter += 1;
        Value::named(&format!("{}{stem}.{}", self.prefix, self.counter))
    }

    /// Declares an input. In a body the name is made unique; use the returned value.
    pub fn input(&mut self, name: &str, element: ElementType, shape: &[Dim]) -> Value {
        let name = format!("{}{name}", self.prefix);
        self.proto.input.push(value_info(&name, element, Some(shape)));
        Value::named(&name)
    }

    /// Declares an input that is a sequence of tensors of any shape.
    pub fn sequence_input(&mut self, name: &str, element: ElementType) -> Value {
        let name = format!("{}{name}", self.prefix);
        let mut info = value_info(&name, element, None);
        let sequence = SequenceTypeProto { elem_type: info.r#type.take().map(Box::new) };
        info.r#type = Some(TypeProto { sequence_type: Some(sequence.into()), tensor_type: None });
        self.proto.input.push(info);
        Value::named(&name)
    }

    /// Declares an output called `name` that carries `value`.
    pub fn output(&mut self, name: &str, value: &Value, element: ElementType, shape: &[Dim]) {
        let name = format!("{}{name}", self.prefix);
        self.push("Identity", "", &[value], vec![name.clone()], vec![]);
        self.proto.output.push(value_info(&name, element, Some(shape)));
    }

    /// Declares an output of a body whose shape ONNX is left to infer.
    pub fn body_output(&mut self, value: &Value, element: ElementType) {
        let name = self.fresh("out");
        self.push("Identity", "", &[value], vec![name.name().to_owned()], vec![]);
        self.proto.output.push(value_info(name.name(), element, None));
    }

    /// Declares a value computed in this graph as an output under its own name, without a copy. The
    /// shape may be left to ONNX in a body.
    pub fn expose(&mut self, value: &Value, element: ElementType, shape: Option<&[Dim]>) {
        self.proto.output.push(value_info(value.name(), element, shape));
    }

    /// Declares an input of a body whose shape ONNX is left to infer.
    pub fn body_input(&mut self, name: &str, element: ElementType) -> Value {
        let name = format!("{}{name}", self.prefix);
        self.proto.input.push(value_info(&name, element, None));
        Value::named(&name)
    }

    /// Adds a named weight of 32-bit floats, row-major.
    ///
    /// # Panics
    /// When the number of elements does not fit the shape: a fault of the caller.
    pub fn weight(&mut self, name: &str, shape: &[usize], data: &[f32]) -> Value {
        assert_eq!(shape.iter().product::<usize>(), data.len(), "weight {name} of shape {shape:?}");
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.raw_weight(name, ElementType::F32, shape, bytes)
    }

    /// Adds a named weight from its little-endian bytes, row-major.
    pub fn raw_weight(
        &mut self,
        name: &str,
        element: ElementType,
        shape: &[usize],
        bytes: Vec<u8>,
    ) -> Value {
        let name = format!("{}{name}", self.prefix);
        self.proto.initializer.push(tensor(&name, element, &extents(shape), bytes));
        Value::named(&name)
    }

    /// Adds a named weight whose little-endian elements lie in another file, beside the model.
    pub fn external_weight(
        &mut self,
        name: &str,
        element: ElementType,
        shape: &[usize],
        file: &str,
        range: std::ops::Range<u64>,
    ) -> Value {
        let name = format!("{}{name}", self.prefix);
        let weight = tensor(&name, element, &extents(shape), Vec::new());
        self.proto.initializer.push(external(weight, file, range));
        Value::named(&name)
    }

    fn constant(&mut self, element: ElementType, shape: &[usize], bytes: Vec<u8>) -> Value {
        let key = (element as i32, extents(shape), bytes);
        if let Some(value) = self.constants.get(&key) {
            return value.clone();
        }
        let value = self.fresh("const");
        self.proto.initializer.push(tensor(value.name(), element, &key.1, key.2.clone()));
        if key.2.len() <= SHARED_CONSTANT_BYTES {
            self.constants.insert(key, value.clone());
        }
        value
    }

    /// A constant scalar.
    pub fn scalar(&mut self, value: f32) -> Value {
        self.constant(ElementType::F32, &[], value.to_le_bytes().to_vec())
    }

    /// A constant tensor of floats, row-major.
    pub fn floats(&mut self, shape: &[usize], data: &[f32]) -> Value {
        let bytes = data.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(ElementType::F32, shape, bytes)
    }

    /// A constant list of integers, such as axes, sizes or a shape.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(ElementType::I64, &[values.len()], bytes)
    }

    /// A constant integer scalar.
    pub fn int(&mut self, value: i64) -> Value {
        self.constant(ElementType::I64, &[], value.to_le_bytes().to_vec())
    }

    /// Adds a standard operator with one output.
    pub fn op(&mut self, op: &str, inputs: &[&Value], attributes: &[(&str, Attribute)]) -> Value {
        let output = self.fresh(op);
        self.push(op, "", inputs, vec![output.name().to_owned()], attributes.to_vec());
        output
    }

    /// Adds a standard operator with `count` outputs.
    pub fn op_many(
        &mut self,
        op: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
        count: usize,
    ) -> Vec<Value> {
        self.op_in("", op, inputs, attributes, count)
    }

    /// Adds an operator of another domain, such as `com.microsoft`, with `count` outputs.
    pub fn op_in(
        &mut self,
        domain: &str,
        op: &str,
        inputs: &[&Value],
        attributes: &[(&str, Attribute)],
        count: usize,
    ) -> Vec<Value> {
        let outputs: Vec<Value> = (0..count).map(|_| self.fresh(op)).collect();
        let names = outputs.iter().map(|value| value.name().to_owned()).collect();
        self.push(op, domain, inputs, names, attributes.to_vec());
        outputs
    }

    fn push(
        &mut self,
        op: &str,
        domain: &str,
        inputs: &[&Value],
        outputs: Vec<String>,
        attributes: Vec<(&str, Attribute)>,
    ) {
        let inputs: Vec<&str> = inputs.iter().map(|value| value.name()).collect();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let node = node(op, &inputs, &outputs, &attributes);
        self.proto.node.push(NodeProto { domain: domain.to_owned(), ..node });
    }

    /// The finished body, to be given to `Scan` or `Loop` as [`Attribute::Graph`].
    pub fn into_body(self) -> GraphProto {
        self.proto
    }

    /// The finished graph.
    pub fn into_proto(self) -> ModelProto {
        let imported =
            |domain: &str, version| OperatorSetIdProto { domain: domain.to_owned(), version };
        let mut opset_import = vec![imported("", OPSET), imported("com.microsoft", 1)];
        opset_import.extend(self.domains.iter().map(|domain| imported(domain, 1)));
        ModelProto {
            ir_version: IR_VERSION,
            producer_name: "interlude".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(self.proto),
            opset_import,
        }
    }

    /// The finished graph as the bytes of an `.onnx` file.
    pub fn into_model(self) -> Vec<u8> {
        self.into_proto().encode_to_vec()
    }
}

/// A standard operator, called as its first output.
pub(super) fn node(
    op: &str,
    inputs: &[&str],
    outputs: &[&str],
    attributes: &[(&str, Attribute)],
) -> NodeProto {
    let attributes = attributes.iter().cloned();
    NodeProto {
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: outputs.iter().map(|&name| name.to_owned()).collect(),
        name: outputs[0].to_owned(),
        op_type: op.to_owned(),
        domain: String::new(),
        attribute: attributes.map(|(name, attribute)| attribute.into_proto(name)).collect(),
    }
}

/// A tensor whose elements lie in another file.
pub(super) fn external(
    tensor: TensorProto,
    file: &str,
    range: std::ops::Range<u64>,
) -> TensorProto {
    let entry = |key: &str, value: String| StringStringEntryProto { key: key.into(), value };
    TensorProto {
        external_data: vec![
            entry("location", file.to_owned()),
            entry("offset", range.start.to_string()),
            entry("length", (range.end - range.start).to_string()),
        ],
        data_location: EXTERNAL,
        ..tensor
    }
}

fn extents(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&size| extent(size)).collect()
}

/// An extent as ONNX stores it.
#[expect(clippy::cast_possible_wrap, reason = "no extent in memory exceeds `isize::MAX`")]
pub fn extent(size: usize) -> i64 {
    size as i64
}

fn tensor(name: &str, element: ElementType, dims: &[i64], raw_data: Vec<u8>) -> TensorProto {
    TensorProto {
        dims: dims.to_vec(),
        data_type: element as i32,
        name: name.to_owned(),
        raw_data,
        ..Default::default()
    }
}

fn value_info(name: &str, element: ElementType, shape: Option<&[Dim]>) -> ValueInfoProto {
    let shape = shape.map(|shape| TensorShapeProto {
        dim: shape
            .iter()
            .map(|dim| DimensionProto {
                value: Some(match dim {
                    Dim::Size(size) => DimensionValue::Size(extent(*size)),
                    Dim::Name(name) => DimensionValue::Name((*name).to_owned()),
                }),
            })
            .collect(),
    });
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto { elem_type: element as i32, shape }),
            sequence_type: None,
        }),
        doc_string: String::new(),
    }
}
