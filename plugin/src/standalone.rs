//! Interlude as a program of its own: the plug-in with a transport, a clock and MIDI ports.
//!
//! [`clock`] is the transport, [`engine`] runs the plug-in block by block, a [`backend`] calls it
//! and carries its messages, `choice` starts one, [`window`] shows the strip and the editor. What needs the libraries of
//! a sound system is built with the feature `standalone` alone: `jack` is called by a JACK server,
//! sample by sample; `system` uses the MIDI of ALSA, CoreMIDI or Windows with a [`timer`].
//!
//! nice-plug has a stand-alone wrapper, too. Its transport always rolls, its ports are fixed by the
//! command line and its back ends cannot be replaced, so Interlude drives the plug-in itself.

pub mod backend;
mod choice;
pub mod clock;
mod engine;
#[cfg(feature = "standalone")]
mod jack;
mod parameters;
#[cfg(feature = "standalone")]
mod system;
mod timer;
pub mod window;

/// The name of Interlude's client and window in the system.
const NAME: &str = "Interlude";
