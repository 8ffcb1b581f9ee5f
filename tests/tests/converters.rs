//! Tokens and MIDI files equal those of the original.

use std::path::Path;

use interlude_tests::conformance::converters;

/// Every converter fixture passes: notes read, windows, their order, and the way back.
#[test]
fn converters_agree_with_the_original() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/converters");
    let fixtures = converters::find(&dir).expect("the folder is in the repository");
    assert_eq!(fixtures.len(), 10);
    let rows: Vec<_> = fixtures.iter().flat_map(|path| converters::check(path)).collect();
    assert_eq!(rows.len(), 10 * 9, "notes and eight converters each");
    let failed: Vec<String> =
        rows.iter().filter(|row| !row.passed()).map(ToString::to_string).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
