//! One graph of a model, loaded and checked against its interface.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::{DynValue, Outlet, Tensor, TensorElementType, ValueType};
use prost::Message;

use super::{EngineError, EngineOptions};
use interlude_onnx::{Dim, ElementType};

use crate::config::Config;
use crate::network::Part;
use crate::network::interface::Port;
use crate::package::Package;
use crate::runtime::{Runtime, first_line};

/// A loaded graph.
#[derive(Debug)]
pub(super) struct Network {
    session: Session,
    file: PathBuf,
}

impl Network {
    pub(super) fn load(
        runtime: &Runtime,
        package: &Package,
        part: Part,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let file = package.graph(part);
        check_external_data(&file)?;
        let session =
            runtime.session(options.provider, options.threads)?.commit_from_file(&file).map_err(
                |error| EngineError::Load { file: file.clone(), reason: first_line(&error) },
            )?;
        let network = Self { session, file };
        network.check(&package.info.config, part)?;
        Ok(network)
    }

    /// Checks names, element types and shapes.
    fn check(&self, config: &Config, part: Part) -> Result<(), EngineError> {
        let interface = part.interface(config);
        for (ports, outlets, kind) in [
            (&interface.inputs, self.session.inputs(), "input"),
            (&interface.outputs, self.session.outputs(), "output"),
        ] {
            for port in ports {
                let found = outlets.iter().find(|outlet| outlet.name() == port.name);
                let fits = found.is_some_and(|outlet| fits(port, outlet.dtype()));
                if !fits {
                    return Err(EngineError::Interface {
                        file: self.file.clone(),
                        config: config.name.clone(),
                        expected: format!("the {kind} {}", describe(port)),
                        found: found.map_or("none".to_owned(), |outlet| outlet.dtype().to_string()),
                    });
                }
            }
        }
        let known = |outlet: &&Outlet| interface.inputs.iter().any(|p| p.name == outlet.name());
        match self.session.inputs().iter().find(|outlet| !known(outlet)) {
            None => Ok(()),
            Some(unknown) => Err(EngineError::Interface {
                file: self.file.clone(),
                config: config.name.clone(),
                expected: "no further input".to_owned(),
                found: format!("`{}`", unknown.name()),
            }),
        }
    }

    /// Runs the graph.
    pub(super) fn run<'s>(
        &'s mut self,
        inputs: Vec<(Cow<'_, str>, SessionInputValue<'_>)>,
    ) -> Result<Outputs<'s>, EngineError> {
        let file = &self.file;
        match self.session.run(inputs) {
            Ok(values) => Ok(Outputs { values, file }),
            Err(error) => Err(EngineError::Run { file: file.clone(), reason: first_line(&error) }),
        }
    }

    /// A tensor to run the graph on.
    pub(super) fn tensor<T>(&self, shape: &[usize], data: Vec<T>) -> Result<DynValue, EngineError>
    where
        T: ort::value::PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
    {
        Tensor::from_array((shape.to_vec(), data)).map(Tensor::into_dyn).map_err(|error| {
            EngineError::Run { file: self.file.clone(), reason: first_line(&error) }
        })
    }
}

/// The outputs of a run of a graph.
pub(super) struct Outputs<'s> {
    values: SessionOutputs<'s>,
    file: &'s Path,
}

impl Outputs<'_> {
    /// The elements of an output that must have `count` of them.
    pub(super) fn elements<T: ort::value::PrimitiveTensorElementType>(
        &self,
        name: &'static str,
        count: usize,
    ) -> Result<&[T], EngineError> {
        let wrong = |reason: String| EngineError::Run { file: self.file.to_owned(), reason };
        let value = self.values.get(name).ok_or_else(|| wrong(format!("no output `{name}`")))?;
        let (shape, elements) =
            value.try_extract_tensor::<T>().map_err(|error| wrong(error.to_string()))?;
        if elements.len() != count {
            let reason = format!("output `{name}` has shape {shape}, {count} elements are needed");
            return Err(wrong(reason));
        }
        Ok(elements)
    }

    /// Takes an output that must have `count` elements, to feed it to a graph.
    pub(super) fn take(
        &mut self,
        name: &'static str,
        count: usize,
    ) -> Result<DynValue, EngineError> {
        self.elements::<f32>(name, count)?;
        let reason = || format!("no output `{name}`");
        self.values
            .remove(name)
            .ok_or_else(|| EngineError::Run { file: self.file.to_owned(), reason: reason() })
    }
}

fn fits(port: &Port, found: &ValueType) -> bool {
    let ValueType::Tensor { ty, shape, .. } = found else { return false };
    let element = match port.element {
        ElementType::F32 => TensorElementType::Float32,
        ElementType::I32 => TensorElementType::Int32,
        ElementType::I64 => TensorElementType::Int64,
        ElementType::U8 => TensorElementType::Uint8,
        ElementType::I8 => TensorElementType::Int8,
        ElementType::Bool => TensorElementType::Bool,
        ElementType::F16 => TensorElementType::Float16,
    };
    *ty == element
        && shape.len() == port.shape.len()
        && shape.iter().zip(&port.shape).all(|(&found, expected)| match expected {
            Dim::Size(size) => found < 0 || usize::try_from(found) == Ok(*size),
            Dim::Name(_) => found < 0,
        })
}

fn describe(port: &Port) -> String {
    let extents: Vec<String> = port
        .shape
        .iter()
        .map(|dim| match dim {
            Dim::Size(size) => size.to_string(),
            Dim::Name(name) => (*name).to_owned(),
        })
        .collect();
    format!("`{}` of type {:?} and shape [{}]", port.name, port.element, extents.join(", "))
}

/// Checks where a graph says its weights lie before the runtime reads them: an untrusted file must
/// not make it read outside the model's folder, and a truncated file gets a clear error.
fn check_external_data(file: &Path) -> Result<(), EngineError> {
    let load = |reason: String| EngineError::Load { file: file.to_owned(), reason };
    let bytes = std::fs::read(file).map_err(|error| load(error.to_string()))?;
    let model = scan::Model::decode(bytes.as_slice())
        .map_err(|error| load(format!("it is no whole ONNX file ({error})")))?;
    let mut ranges = Vec::new();
    if let Some(graph) = &model.graph {
        scan::ranges(graph, &mut ranges);
    }
    for scan::Range { location, end } in ranges {
        if !scan::is_plain(location) {
            let reason = format!("it refers to weights outside its folder, in `{location}`");
            return Err(load(reason));
        }
        let found = std::fs::metadata(file.with_file_name(location)).map_or(0, |data| data.len());
        if found < end {
            return Err(load(format!(
                "its weights in `{location}` end at byte {end}, but there are {found} bytes; \
                 copy the model again"
            )));
        }
    }
    Ok(())
}

/// The fields of an ONNX file that say where weights lie; all others are skipped.
mod scan {
    use std::path::{Component, Path};

    use prost::Message;

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Model {
        #[prost(message, optional, tag = "7")]
        pub(super) graph: Option<Graph>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Graph {
        #[prost(message, repeated, tag = "1")]
        nodes: Vec<Node>,
        #[prost(message, repeated, tag = "5")]
        initializers: Vec<Tensor>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Node {
        #[prost(message, repeated, tag = "5")]
        attributes: Vec<Attribute>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Attribute {
        #[prost(message, optional, tag = "5")]
        tensor: Option<Tensor>,
        #[prost(message, optional, tag = "6")]
        graph: Option<Graph>,
        #[prost(message, repeated, tag = "10")]
        tensors: Vec<Tensor>,
        #[prost(message, repeated, tag = "11")]
        graphs: Vec<Graph>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Tensor {
        #[prost(message, repeated, tag = "13")]
        external_data: Vec<Entry>,
    }

    #[derive(Clone, PartialEq, Message)]
    pub(super) struct Entry {
        #[prost(string, tag = "1")]
        key: String,
        #[prost(string, tag = "2")]
        value: String,
    }

    /// Where a weight lies in another file.
    pub(super) struct Range<'m> {
        /// The other file, as the graph names it.
        pub(super) location: &'m str,
        /// The byte after its last, if the graph says.
        pub(super) end: u64,
    }

    /// Collects the ranges of all weights, those of nested graphs too.
    pub(super) fn ranges<'m>(graph: &'m Graph, found: &mut Vec<Range<'m>>) {
        let attributes = || graph.nodes.iter().flat_map(|node| &node.attributes);
        let tensors = graph
            .initializers
            .iter()
            .chain(attributes().flat_map(|attribute| &attribute.tensor))
            .chain(attributes().flat_map(|attribute| &attribute.tensors));
        for tensor in tensors {
            let entries = || tensor.external_data.iter();
            let number = |key: &str| {
                let entry = entries().find(|entry| entry.key == key);
                entry.and_then(|entry| entry.value.parse::<u64>().ok()).unwrap_or(0)
            };
            let end = number("offset").saturating_add(number("length"));
            let locations = entries().filter(|entry| entry.key == "location");
            found.extend(locations.map(|entry| Range { location: &entry.value, end }));
        }
        for inner in
            attributes().flat_map(|attribute| attribute.graph.iter().chain(&attribute.graphs))
        {
            ranges(inner, found);
        }
    }

    /// Whether a location is the name of a file in the same folder.
    pub(super) fn is_plain(location: &str) -> bool {
        let mut components = Path::new(location).components();
        let plain = matches!(components.next(), Some(Component::Normal(_)));
        plain && components.next().is_none() && !location.contains(['\\', ':'])
    }
}
