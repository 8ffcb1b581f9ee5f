//! No test is skipped unseen: what looks like a skip in the sources has to report itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use interlude_bundler::workspace;

/// What a source file does that hides a test, with the number of the line.
fn hidden(file: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let functions = functions(&lines);
    let mentions =
        |range: &Function, name: &str| lines[range.lines()].iter().any(|line| line.contains(name));
    let reporting: BTreeSet<&str> = functions
        .iter()
        .filter(|function| mentions(function, "interlude_skip::"))
        .map(|function| function.name)
        .collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let mut say = |what: &str| found.push(format!("{file}:{}: {what}", index + 1));
        if line.starts_with("#[ignore") && !line.contains("= \"") {
            say("an ignored test gives no reason");
        }
        if line.starts_with("#![cfg(feature") {
            say("a feature hides this whole file; add a test without it that reports a skip");
        }
        if let Some(feature) = line.strip_prefix("#[cfg(feature = ")
            && file.split(['/', '\\']).any(|folder| folder == "tests")
            && !text.contains(&format!("not(feature = {feature}").replace(")]", ")"))
        {
            say("a feature hides tests; add one without it that reports a skip");
        }
    }
    for function in functions.iter().filter(|function| function.test) {
        let leaves = lines[function.lines()].iter().any(|line| is_return(line));
        let reports = |name: &&str| mentions(function, &format!("{name}("));
        if leaves && !mentions(function, "interlude_skip::") && !reporting.iter().any(reports) {
            found.push(format!(
                "{file}:{}: `{}` returns early without `interlude_skip::needs`",
                function.begin + 1,
                function.name
            ));
        }
    }
    found
}

/// Whether a line leaves a function without a value.
fn is_return(line: &str) -> bool {
    line == "return;"
        || line.ends_with("{ return };")
        || line.ends_with("{ return; }")
        || line == "return Ok(());"
}

/// A function by its lines, the first of them that of its name.
struct Function<'a> {
    name: &'a str,
    test: bool,
    begin: usize,
    end: usize,
}

impl Function<'_> {
    fn lines(&self) -> std::ops::Range<usize> {
        self.begin..self.end
    }
}

/// The functions of a formatted file; a function ends where the next one begins.
fn functions<'a>(lines: &[&'a str]) -> Vec<Function<'a>> {
    let mut functions: Vec<Function<'a>> = Vec::new();
    let mut test = false;
    for (index, line) in lines.iter().enumerate() {
        let head = ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn "];
        if let Some(rest) = head.iter().find_map(|head| line.strip_prefix(head)) {
            if let Some(last) = functions.last_mut() {
                last.end = index;
            }
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            functions.push(Function { name, test, begin: index, end: lines.len() });
            test = false;
        }
        test |= *line == "#[test]";
    }
    functions
}

/// All Rust files of the workspace.
fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in folder.read_dir().expect("a folder").flatten() {
        let path = entry.path();
        let name = entry.file_name();
        if path.is_dir() && name != "target" && !name.to_string_lossy().starts_with('.') {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

// Contract: in all sources an ignored test gives its reason, no feature hides a file of tests, and a test
// that returns early reports a skip.
#[test]
fn no_test_is_skipped_unseen() {
    let root = workspace::root();
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 100, "{} files in {}", files.len(), root.display());
    let found: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let text = fs::read_to_string(path).expect("text");
            hidden(&path.strip_prefix(&root).expect("below").to_string_lossy(), &text)
        })
        .collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

// Contract: each way to hide a test is found, and a test that reports its skip, itself or through a
// function beside it, is not blamed.
#[test]
fn hidden_tests_are_found() {
    let head = "#[test]\nfn a() {\n    if !there() {\n        return;\n    }\n}\n";
    assert_eq!(hidden("x.rs", head), ["x.rs:2: `a` returns early without `interlude_skip::needs`"]);
    let there =
        "fn there() -> bool {\n    interlude_skip::needs(None::<()>, \"no\").is_some()\n}\n";
    assert_eq!(hidden("x.rs", &format!("{head}{there}")), [""; 0]);
    let own = "#[test]\nfn a() {\n    let Some(x) = interlude_skip::needs(find(), \"no\") else { return };\n}\n";
    assert_eq!(hidden("x.rs", own), [""; 0]);
    assert_eq!(hidden("x.rs", "fn helper() {\n    return;\n}\n"), [""; 0]);
    for (text, what) in [
        ("#[test]\n#[ignore]\nfn a() {}\n", "no reason"),
        ("#![cfg(feature = \"mpi\")]\n", "hides"),
    ] {
        let found = hidden("x.rs", text);
        assert!(found.len() == 1 && found[0].contains(what), "{found:?}");
    }
}
