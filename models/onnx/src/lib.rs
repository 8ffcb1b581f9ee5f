//! ONNX graphs, independent of music: built with typed calls, stored, quantised to int8, and run by
//! ONNX Runtime.
//!
//! [`Graph`] collects nodes, initialisers, inputs and outputs and becomes a serialised
//! [`proto::ModelProto`]. Operators are added by name with [`Graph::op`]; the most frequent ones
//! have methods of their own in [`ops`].
//!
//! | module | is |
//! | --- | --- |
//! | [`ops`] | the most frequent operators |
//! | [`proto`] | the messages of an `.onnx` file |
//! | [`stored`] | reading the weights of a graph |
//! | [`mod@quantise`] | a graph with int8 weights |
//! | [`weights`] | tensors by name, and the safetensors file of them |
//! | [`runtime`] | finding and starting ONNX Runtime; its execution providers |
//! | [`files`] | atomic writes of files |
//!
//! ```
//! use interlude_onnx::{ElementType, Graph};
//!
//! let mut graph = Graph::new("double");
//! let x = graph.input("x", ElementType::F32, &[2.into()]);
//! let y = graph.add(&x, &x);
//! graph.output("y", &y, ElementType::F32, &[2.into()]);
//! let bytes = graph.into_model();
//! assert!(!bytes.is_empty());
//! ```

pub mod files;
mod graph;
pub mod ops;
pub mod proto;
pub mod quantise;
pub mod runtime;
pub mod stored;
pub mod weights;

pub use graph::{Attribute, Dim, ElementType, Graph, Value, extent};
