//! Interlude as a program of its own, with JACK, ALSA or the system's audio and MIDI.

fn main() {
    nice_plug::prelude::nice_export_standalone::<interlude_plugin::Interlude>();
}
