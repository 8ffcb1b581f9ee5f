//! TensorFlow bundles: index, data, archives.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| interlude_fuzz::bundle::run(bytes));
