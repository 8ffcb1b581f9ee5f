//! Music and networks, without host or window.
//!
//! Data flows down this list: a [`clip`] is read from [`midi`] or a host, becomes [`tokens`] by a
//! model's [`config`] as its family says ([`families`]); graphs built by [`network`] from [`weights`] lie
//! in a [`package`], are started by [`runtime`] and run by the [`engine`]; [`latent`] blends what it
//! encodes.
//!
//! ```
//! use interlude_models::clip::{Clip, Note};
//! use interlude_models::{config, tokens};
//!
//! let config = config::by_name("cat-mel_2bar_big")?;
//! let note = Note { start: 0.0, end: 1.0, pitch: 60, velocity: 90, channel: 0, program: 0 };
//! let clip = Clip::new(vec![note], 8.0);
//! let tokens = tokens::from_clip(&config, &clip)?;
//! assert_eq!(tokens.len(), 32);
//! assert_eq!(tokens::to_clip(&config, &tokens).notes.len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod attributes;
pub mod chords;
pub mod clip;
pub mod config;
pub mod engine;
pub mod families;
pub mod latent;
pub mod midi;
pub mod network;
mod noise;
pub mod package;
pub mod scale;
pub mod steering;
pub mod tokens;

pub use interlude_onnx::{files, runtime, weights};
