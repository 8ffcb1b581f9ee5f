//! Where the training build of ONNX Runtime enters this library, which it takes for one of custom
//! operators; [`hosted`](interlude_backend::hosted) tells why.

use std::ffi::c_void;
use std::process::ExitCode;

use ort::sys::OrtApiBase;

use crate::commands;
use interlude_backend::hosted;

/// Runs the command line that Python was started with and ends the process.
///
/// # Safety
/// ONNX Runtime calls it with its table of functions.
#[unsafe(no_mangle)]
unsafe extern "system" fn RegisterCustomOps(
    _options: *mut c_void,
    base: *const OrtApiBase,
) -> *mut c_void {
    // SAFETY: ONNX Runtime gave the table.
    let code = match unsafe { hosted::enter(base) } {
        Ok(arguments) => commands::main(arguments),
        Err(error) => {
            eprintln!("interlude: {error}");
            ExitCode::FAILURE
        }
    };
    std::process::exit(i32::from(code != ExitCode::SUCCESS))
}
