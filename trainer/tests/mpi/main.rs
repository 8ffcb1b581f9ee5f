//! Training by several processes under `mpirun`:
//! `cargo test -p interlude-trainer --features mpi --test mpi`.

#[cfg(feature = "mpi")]
mod processes;

// Contract: without the feature the tests of several processes are reported as skipped.
#[cfg(not(feature = "mpi"))]
#[test]
fn several_processes() {
    let reason = "built without the feature `mpi`; `cargo xtask doctor --all` says what it needs, \
                  `cargo test -p interlude-trainer --features mpi --test mpi` runs them";
    assert!(interlude_skip::needs(None::<()>, reason).is_none());
}
