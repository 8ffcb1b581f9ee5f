//! Comparison with the original implementation on the fixtures of this repository.

use std::path::Path;

use interlude_models::runtime::Runtime;
use interlude_tests::conformance::{self, Fixture};

// Encoders, logits, samples and variables of every configuration's fixture agree with the original.
#[test]
fn networks() {
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders = conformance::fixture_folders(&root).expect("fixtures");
    assert_eq!(folders.len(), 13, "one folder for each kind of network");
    let mut failed = 0;
    for folder in folders {
        let fixture = Fixture::open(&folder).expect("a fixture");
        for row in conformance::networks(runtime, &fixture).expect("comparable") {
            println!("{row}");
            failed += usize::from(!row.passed());
        }
    }
    assert_eq!(failed, 0, "comparisons failed");
}

// Losses, gradients and steps of Adam by the trainer's graphs agree with the original for every
// configuration's fixture.
#[test]
fn training() {
    let runtime = Runtime::start(None).expect("an ONNX Runtime");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let folders = conformance::fixture_folders(&root).expect("fixtures");
    assert_eq!(folders.len(), 13, "one folder for each kind of network");
    let mut failed = 0;
    for folder in folders {
        let fixture = Fixture::open(&folder).expect("a fixture");
        for row in conformance::training(runtime, &fixture).expect("comparable") {
            println!("{row}");
            failed += usize::from(!row.passed());
        }
    }
    assert_eq!(failed, 0, "comparisons failed");
}
