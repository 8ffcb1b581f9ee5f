//! Interlude, the CLAP and VST3 instrument.
//!
//! | module | is |
//! | --- | --- |
//! | [`plugin`] | `process` and the plug-in's life |
//! | [`transport`], [`headway`] | song position and tempo of the host; detection of a bounce |
//! | [`keyboard`], [`capture`], [`sketch`] | held keys, recording of armed slots, what the editor shows of it |
//! | [`player`] | requests patterns and plays them on their sample |
//! | [`link`], [`shared`], [`memory`] | rings and atomics between the threads, shared data, memory for the audio thread |
//! | [`worker`] | the thread for everything slow: models, encoding, decoding, files |
//! | [`shape`] | attributes that a user raises or lowers |
//! | [`slots`] | the clips' slots, and where the morph lies between them |
//! | [`params`], [`table`], [`state`] | parameters, what each is, and what a project saves |
//! | [`host`] | notifications of the host |
//! | [`resources`], [`provider`] | ONNX Runtime and models on disk; what is to compute |
//! | [`editor`], [`window`], [`surface`] | the editor as a function of plain data, its connection, its window |
//! | [`standalone`] | a host of one plug-in, for the stand-alone program |

pub mod capture;
pub mod editor;
pub mod headway;
pub mod host;
pub mod key;
pub mod keyboard;
pub mod link;
pub mod memory;
pub mod params;
pub mod player;
pub mod plugin;
pub mod provider;
pub mod resources;
pub mod shape;
pub mod shared;
pub mod sketch;
pub mod slots;
pub mod sound;
pub mod standalone;
pub mod state;
pub mod surface;
pub mod table;
pub mod transport;
pub mod window;
pub mod worker;

pub use plugin::Interlude;
