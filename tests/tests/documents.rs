//! What the documents name exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use interlude_bundler::workspace;

/// All Markdown files of the workspace.
fn documents(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            documents(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            into.push(path);
        }
    }
}

/// The lines of a document that are no code, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        (!code && !fence).then_some((index + 1, line))
    })
}

/// Names by which links reach the headings of a document.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut found = BTreeMap::<String, usize>::new();
    let mut anchors = BTreeSet::new();
    for (_, line) in prose(text).filter(|(_, line)| line.starts_with('#')) {
        let kept = |letter: &char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | ' ');
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let name = heading.chars().filter(kept).collect::<String>().replace(' ', "-");
        let count = found.entry(name.clone()).or_default();
        anchors.insert(if *count == 0 { name } else { format!("{name}-{count}") });
        *count += 1;
    }
    anchors
}

/// Targets of the links in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split(')').next())
}

// Contract: every link of a document to a file, or to a heading, of this repository leads somewhere.
#[test]
fn links_lead_somewhere() {
    let mut files = Vec::new();
    documents(&workspace::root(), &mut files);
    assert!(files.len() > 15, "{} documents", files.len());
    let mut broken = Vec::new();
    let mut checked = 0;
    for file in &files {
        let text = fs::read_to_string(file).expect("text");
        for (number, line) in prose(&text) {
            for link in links(line).filter(|link| !link.contains(':')) {
                let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
                let target =
                    if path.is_empty() { file.clone() } else { file.with_file_name("").join(path) };
                let reached = target.exists()
                    && (anchor.is_empty()
                        || fs::read_to_string(&target)
                            .is_ok_and(|text| anchors(&text).contains(anchor)));
                checked += 1;
                if !reached {
                    broken.push(format!("{}:{number}: {link}", file.display()));
                }
            }
        }
    }
    assert!(checked > 30, "{checked} links");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

// Contract: every path that CONTRIBUTING.md and the documents in docs put in backticks exists, so recipes
// name real files. A path has a slash and ends like a Rust, Markdown or TOML file, or with a slash; it may stand
// for itself or below `src` of a crate. `NAME` and `…` stand for what the reader puts in.
#[test]
fn paths_exist() {
    let root = workspace::root();
    let mut files = vec![root.join("CONTRIBUTING.md"), root.join("README.md")];
    documents(&root.join("docs"), &mut files);
    let mut missing = Vec::new();
    let mut checked = 0;
    for file in &files {
        let text = fs::read_to_string(file).expect("text");
        for (number, line) in prose(&text) {
            for path in line.split('`').skip(1).step_by(2) {
                let kind = [".rs", ".md", ".toml", "/"].iter().any(|end| path.ends_with(end));
                let invented =
                    path.contains(['…', ' ', '*', '<', '$', '~', ':']) || path.contains("NAME");
                if !kind || invented || !path.trim_end_matches('/').contains('/') {
                    continue;
                }
                checked += 1;
                let places =
                    ["", "models/src", "trainer/src", "plugin/src", "bundler/src", "tests/tests"];
                if !places.iter().any(|place| root.join(place).join(path).exists()) {
                    missing.push(format!("{}:{number}: {path}", file.display()));
                }
            }
        }
    }
    assert!(checked > 30, "{checked} paths");
    assert!(missing.is_empty(), "\n{}", missing.join("\n"));
}

// Contract: headings and links are read as a viewer of Markdown reads them, and code is left out.
#[test]
fn documents_are_read_as_shown() {
    let text = "# A `b`, c: 2\n```\n# no [x](y)\n```\n## Again\n## Again\n";
    assert_eq!(anchors(text).into_iter().collect::<Vec<_>>(), ["a-b-c-2", "again", "again-1"]);
    assert_eq!(links("see [a](b.md#c) and [d](e)").collect::<Vec<_>>(), ["b.md#c", "e"]);
    assert_eq!(prose(text).map(|(number, _)| number).collect::<Vec<_>>(), [1, 5, 6]);
}
