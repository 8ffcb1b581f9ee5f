//! Training as an ordinary ONNX graph: forward pass, hand-derived backward pass, gradient clipping,
//! Adam.
//!
//! Each piece is one file with a forward function that keeps what its backward function needs, made
//! of the layers of [`interlude_gradient`]. From below to above:
//!
//! | module | is |
//! | --- | --- |
//! | [`encoder`], [`posterior`] | windows to z |
//! | [`conductor`], [`core_decoder`], [`decoder`] | z to logits |
//! | [`output`] | logits to loss, and to what is fed back |
//! | [`shape`] | what a training graph is built for |
//! | [`pieces`] | a large batch, a piece at a time |
//! | [`model`] | all of it |
//! | [`artifacts`] | the same for ONNX Runtime's training API |

pub mod artifacts;
pub mod conductor;
pub mod core_decoder;
pub mod decoder;
pub mod encoder;
pub mod model;
pub mod output;
pub mod pieces;
pub mod posterior;
pub mod shape;
pub mod update;

pub use interlude_gradient::{adam, dense, variables};
