//! Training as an ordinary ONNX graph: forward pass, hand-derived backward pass, clipping, Adam.
//!
//! Each layer is one file with a forward function that keeps what its backward function needs.
//! Tensors are time-major, `[steps, batch, width]`. Parameters have the names and layouts of the
//! original checkpoints, and the gates of a cell come in the order i, j, f, o. [`model`] puts the
//! layers together.

pub mod adam;
pub mod artifacts;
pub mod categorical;
pub mod decoder;
pub mod dense;
pub mod encoder;
pub mod lstm;
pub mod model;
pub mod posterior;
pub mod variables;
