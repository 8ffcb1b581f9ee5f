//! How a test or a check reports that it is skipped, and why.
//!
//! The test harness shows nothing that a passing test prints, so a test that returns early looks like
//! one that passed. [`needs`] writes past the harness, and to a list that `cargo xtask test` and
//! `.ci/run` print at their end.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::panic::Location;
use std::path::{Path, PathBuf};

/// Environment variable that names the list of what is skipped, a file that grows by a line for each.
pub const LIST: &str = "INTERLUDE_SKIPPED";

/// What the calling test cannot run without. `None` reports the test as skipped; it then returns:
///
/// ```no_run
/// # fn find() -> Option<std::path::PathBuf> { None }
/// let Some(build) = interlude_skip::needs(find(), "no training build is installed") else {
///     return;
/// };
/// # drop(build);
/// ```
///
/// # Panics
/// When the list cannot be written: a skip that nobody sees is a failure.
#[track_caller]
pub fn needs<T>(found: Option<T>, reason: &str) -> Option<T> {
    if found.is_none() {
        let thread = std::thread::current();
        let place = Location::caller();
        report(&format!("{} ({})", thread.name().unwrap_or("a test"), place.file()), reason);
    }
    found
}

/// Reports that something is skipped: on standard error, and in the list if there is one.
///
/// # Panics
/// When the list cannot be written.
pub fn report(what: &str, reason: &str) {
    match env::var_os(LIST).map(PathBuf::from) {
        Some(list) => {
            if let Err(error) = add(&list, what, reason) {
                panic!("cannot note in {} that {what} is skipped: {error}", list.display());
            }
        }
        None => show(&line(what, reason)),
    }
}

/// Reports that something is skipped: on standard error, and in a list, which is made if it is not there.
///
/// # Errors
/// When the list cannot be written.
pub fn add(list: &Path, what: &str, reason: &str) -> io::Result<()> {
    let line = line(what, reason);
    show(&line);
    // One call, so that lines of several processes do not mix.
    OpenOptions::new().create(true).append(true).open(list)?.write_all(line.as_bytes())
}

fn line(what: &str, reason: &str) -> String {
    format!("skipped: {what}: {}\n", reason.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn show(line: &str) {
    // Not `eprint!`, which the harness captures. A closed standard error is no reason to fail.
    let _ = io::stderr().write_all(line.as_bytes());
}
