//! Interlude, the CLAP and VST3 instrument.

pub mod editor;
