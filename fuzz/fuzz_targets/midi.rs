//! MIDI files, and the tokens of every scheme.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| interlude_fuzz::midi::run(bytes));
