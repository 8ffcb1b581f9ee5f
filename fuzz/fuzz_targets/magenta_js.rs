//! Folders of Magenta.js.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| interlude_fuzz::magenta_js::run(bytes));
