//! Pieces of training graphs: variables, layers with a forward and a hand-derived backward pass,
//! Adam's update, and small networks of such layers trained in a session.
//!
//! The trainer builds its models of these and of its own; here they serve networks so small that the
//! plug-in can train them beside the music.

pub mod activation;
pub mod adam;
pub mod dense;
pub mod field;
pub mod fit;
pub mod flow;
pub mod perceptron;
pub mod residual;
pub mod variables;
