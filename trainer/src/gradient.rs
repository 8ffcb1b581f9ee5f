//! Training as an ordinary ONNX graph: forward pass, hand-derived backward pass, clipping, Adam.
//!
//! Each piece is one file with a forward function that keeps what its backward function needs.
//! Tensors are time-major, `[steps, batch, width]`. Parameters have the names and layouts of the
//! original checkpoints, and the gates of a cell come in the order i, j, f, o. From below to above:
//!
//! | module | is |
//! | --- | --- |
//! | [`tensors`] | short ways to say what graphs need often |
//! | [`state`], [`cell`], [`lstm`] | a layer's state, a step of it, its recurrence |
//! | [`part`], [`layer`] | what a layer reads; a layer with its variables |
//! | [`dropout`] | what a layer leaves out of that |
//! | [`stack`] | layers on top of each other, started from a vector |
//! | [`encoder`], [`posterior`] | windows to z |
//! | [`conductor`], [`core_decoder`], [`decoder`] | z to logits |
//! | [`output`] | logits to loss, and to what is fed back |
//! | [`adam`] | gradients to new weights |
//! | [`shape`] | what a training graph is built for |
//! | [`pieces`] | a large batch, a piece at a time |
//! | [`model`] | all of it |
//! | [`artifacts`] | the same for ONNX Runtime's training API |

pub mod artifacts;
pub mod cell;
pub mod conductor;
pub mod core_decoder;
pub mod decoder;
pub mod dropout;
pub mod encoder;
pub mod layer;
pub mod lstm;
pub mod model;
pub mod output;
pub mod part;
pub mod pieces;
pub mod posterior;
pub mod shape;
pub mod stack;
pub mod state;
pub mod tensors;
pub mod update;

pub use interlude_models::gradient::{adam, dense, variables};
