//! Training as ordinary ONNX graphs: layers with a forward and a hand-derived backward pass, Adam's
//! update, and small networks of such layers trained in a session.
//!
//! A layer declares its [`variables`] in a graph; its forward function keeps what its backward function
//! needs, which sets the gradients of the variables. The trainer makes its models of these layers; here
//! they also serve networks so small that the plug-in can train them beside the music.
//!
//! Tensors of sequences are time-major, `[steps, batch, width]`. Parameters have the names and layouts
//! of the original checkpoints, and the gates of a cell come in the order i, j, f, o. From below to
//! above:
//!
//! | module | is |
//! | --- | --- |
//! | [`random`] | random numbers that depend on nothing but their place |
//! | [`tensors`] | short ways to say what graphs need often |
//! | [`variables`] | the trained parameters of a graph, and their gradients |
//! | [`dense`], [`activation`], [`attention`], [`perceptron`], [`residual`], [`transformer`] | layers and networks without memory |
//! | [`state`], [`cell`], [`lstm`] | a recurrent layer's state, a step of it, its recurrence |
//! | [`part`], [`layer`] | what a recurrent layer reads; the layer with its variables |
//! | [`dropout`] | what a layer leaves out of what it reads |
//! | [`stack`] | recurrent layers on top of each other, started from a vector |
//! | [`adam`] | gradients to new weights |
//! | [`fit`] | a small network in training |
//! | [`autoencoder`] | a tiny variational autoencoder of vectors |
//! | [`velocity`], [`flow`], [`field`] | a flow: its network, trained by flow matching, followed from noise to data and back |
//!
//! A graph with one layer, its loss and its gradients becomes a network in training in a few lines:
//!
//! ```
//! use interlude_gradient::{dense::Dense, variables::Variables};
//! use interlude_onnx::{ElementType, Graph};
//!
//! let mut graph = Graph::new("line");
//! let mut variables = Variables::default();
//! let x = graph.input("x", ElementType::F32, &[4.into(), 3.into()]);
//! let layer = Dense::declare(&mut graph, &mut variables, "layer", 3, 2);
//! let y = layer.forward(&mut graph, &x);
//! layer.backward(&mut graph, &mut variables, &x, &y);
//! let found: Vec<_> = variables.with_gradients().map(|(name, ..)| name).collect();
//! assert_eq!(found, ["layer/bias", "layer/kernel"]);
//! ```

pub mod activation;
pub mod adam;
pub mod attention;
pub mod autoencoder;
pub mod cell;
pub mod dense;
pub mod dropout;
pub mod field;
pub mod fit;
pub mod flow;
pub mod layer;
pub mod lstm;
pub mod part;
pub mod perceptron;
pub mod random;
pub mod residual;
#[cfg(test)]
mod slopes;
pub mod stack;
pub mod state;
pub mod tensors;
pub mod transformer;
pub mod variables;
pub mod velocity;
