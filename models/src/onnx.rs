//! A typed ONNX graph builder; it knows nothing of music.
//!
//! [`Graph`] collects nodes, initialisers, inputs and outputs and becomes a serialised
//! [`proto::ModelProto`]. Operators are added by name with [`Graph::op`]; the most frequent ones
//! have methods of their own in [`ops`].

mod graph;
mod ops;
pub mod proto;
pub mod quantise;
pub mod stored;

pub(crate) use graph::extent;
pub use graph::{Attribute, Dim, ElementType, Graph, Value};
