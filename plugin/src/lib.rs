//! Interlude, the CLAP and VST3 instrument.
//!
//! `process` in [`plugin`] reads the host's [`transport`] and notes; [`keyboard`] resolves them,
//! [`capture`] records armed slots, [`player`] asks for patterns and plays them. Everything slow
//! happens on the [`worker`]'s thread, reached through [`link`]; [`shared`] is what all sides see.
//! [`host`] is what the host is told besides, [`sketch`] what the editor sees of a recording.
//! [`headway`] tells a bounce from real time.
//! [`memory`] is what the audio thread may use, [`shape`] how the music is bent. [`state`] and [`params`] are what a project saves, [`resources`] finds runtime and models.
//! [`editor`] draws from plain data, [`window`] connects it, [`surface`] is its place in the host.
//! [`standalone`] is a host of one, for the program without one.

pub mod capture;
pub mod editor;
pub mod headway;
pub mod host;
pub mod keyboard;
pub mod link;
pub mod memory;
pub mod params;
pub mod player;
pub mod plugin;
pub mod resources;
pub mod shape;
pub mod shared;
pub mod sketch;
pub mod standalone;
pub mod state;
pub mod surface;
pub mod transport;
pub mod window;
pub mod worker;

pub use plugin::Interlude;
