//! Model folders: `model.json` and what is derived from it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| interlude_fuzz::package::run(bytes));
