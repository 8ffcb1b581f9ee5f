//! Comparison with the original implementation on the fixtures of this repository.

use std::path::Path;

use anyhow::Result;
use interlude_models::runtime::Runtime;
use interlude_tests::conformance::{self, Fixture, Row};

/// Prints what a comparison finds in every fixture, and fails when anything deviates.
fn check(compare: fn(&Runtime, &Fixture) -> Result<Vec<Row>>) {
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders = conformance::fixture_folders(&root).expect("fixtures");
    assert_eq!(folders.len(), 13, "one folder for each kind of network");
    let mut failed = 0;
    for folder in folders {
        let fixture = Fixture::open(&folder).expect("a fixture");
        for row in compare(runtime, &fixture).expect("comparable") {
            println!("{row}");
            failed += usize::from(!row.passed());
        }
    }
    assert_eq!(failed, 0, "comparisons failed");
}

// Encoders, logits, samples and variables of every configuration's fixture agree with the original.
#[test]
fn networks() {
    check(conformance::networks);
}

// Losses, gradients and steps of Adam by the trainer's graphs agree with the original for every
// configuration's fixture.
#[test]
fn training() {
    check(conformance::training);
}

// The trainer's evaluation finds the original's losses, and free-running what the engine decodes.
#[test]
fn reconstruction() {
    check(conformance::reconstruction);
}
