//! Music and networks, without host, window or training.
//!
//! Data flows down this list: a [`clip`] is read from [`midi`] or a host, becomes [`tokens`] by a
//! model's [`config`] as its family says ([`families`]); [`onnx`] graphs built by [`network`] lie in a
//! [`package`], are started by [`runtime`] and run by the [`engine`]; [`latent`] blends what it encodes,
//! with small networks that [`gradient`] trains.

pub mod chords;
pub mod clip;
pub mod config;
pub mod engine;
pub mod families;
pub mod files;
pub mod gradient;
pub mod latent;
pub mod midi;
pub mod network;
mod noise;
pub mod onnx;
pub mod package;
mod random;
pub mod runtime;
pub mod tokens;
pub mod weights;
