//! `docs/training-reference.md` has the options that the commands have.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The reference.
const REFERENCE: &str = include_str!("../../docs/training-reference.md");
/// Options of every command, and words of the section about them.
const SHARED: [&str; 2] = ["--help", "--onnxruntime"];

/// The options in a text that begin with two dashes and a letter.
fn options(text: &str) -> BTreeSet<String> {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter == '-';
    text.match_indices("--")
        .filter(|(at, _)| {
            !text[..*at].ends_with(|before: char| before.is_alphanumeric() || before == '-')
        })
        .map(|(at, _)| text[at..].chars().take_while(|&next| letter(next)).collect::<String>())
        .filter(|option| option.len() > 2 && !option.ends_with('-'))
        .collect()
}

/// What `interlude … --help` says.
fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_interlude"))
        .args(command)
        .arg("--help")
        .output()
        .expect("it starts");
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// The options that a command's help lists.
fn of_command(command: &[&str]) -> BTreeSet<String> {
    let text = help(command);
    let heads = text.lines().map(str::trim).filter(|line| line.starts_with('-'));
    let heads: String =
        heads.map(|line| line.split('<').next().unwrap_or_default().to_owned() + "\n").collect();
    options(&heads)
}

/// The commands below one, or none.
fn below(command: &[&str]) -> Vec<String> {
    let text = help(command);
    let Some((_, list)) = text.split_once("Commands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|&name| name != "help").map(str::to_owned).collect()
}

/// Sections of the reference by their command; those of `generate` are one.
fn sections() -> BTreeMap<String, BTreeSet<String>> {
    let mut sections: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut now = None;
    for line in REFERENCE.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let heading = heading.trim_start_matches('#').trim();
            let command = heading.strip_prefix("`interlude ").map(|rest| {
                rest.split_whitespace()
                    .map(|word| word.trim_end_matches('`'))
                    .take_while(|word| word.chars().all(|letter| letter.is_ascii_lowercase()))
                    .collect::<Vec<_>>()
                    .join(" ")
            });
            now = if heading == "Commands that make music" {
                Some("generate".to_owned())
            } else {
                command
            };
        } else if let (Some(command), Some(row)) = (&now, line.strip_prefix("| `--")) {
            let cell = format!("--{}", row.split(" | ").next().unwrap_or_default());
            sections.entry(command.clone()).or_default().extend(options(&cell));
        }
    }
    sections
}

// Contract: the reference lists, for every command, each option that its help lists, and no other.
#[test]
fn the_reference_has_the_options_of_every_command() {
    let mut expected: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for command in below(&[]) {
        let inner = below(&[&command]);
        let all: Vec<Vec<&str>> = match inner.as_slice() {
            [] => vec![vec![&command]],
            inner => inner.iter().map(|inner| vec![command.as_str(), inner]).collect(),
        };
        for words in all {
            let section = if command == "generate" { command.clone() } else { words.join(" ") };
            let own =
                of_command(&words).into_iter().filter(|option| !SHARED.contains(&option.as_str()));
            expected.entry(section).or_default().extend(own);
        }
    }
    assert!(expected.len() > 10, "{expected:?}");
    for shared in SHARED {
        assert!(REFERENCE.contains(shared), "{shared}");
    }
    let found = sections();
    for (command, options) in &expected {
        let listed = found.get(command).cloned().unwrap_or_default();
        let missing: Vec<_> = options.difference(&listed).collect();
        let gone: Vec<_> = listed.difference(options).collect();
        assert!(
            missing.is_empty() && gone.is_empty(),
            "{command}: missing {missing:?}, gone {gone:?}"
        );
    }
    let unknown: Vec<_> = found.keys().filter(|command| !expected.contains_key(*command)).collect();
    assert!(unknown.is_empty(), "no such command: {unknown:?}");
}
