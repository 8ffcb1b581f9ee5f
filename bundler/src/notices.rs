//! Collects the licence texts of the Rust crates that are compiled into the plug-in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::workspace::{cargo, output_of};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: String,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// A text with name, version and licence of each crate behind a package built with these features
/// besides its default ones, and their licence files. Files that are equal in many crates are there once.
///
/// # Errors
/// When cargo cannot describe the workspace.
pub fn of_crates(package: &str, features: &[String]) -> Result<String> {
    let target = format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS);
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked", "--quiet"]);
    if !features.is_empty() {
        command.arg("--features").arg(features.join(","));
    }
    if let Some(triple) = host_triple() {
        command.args(["--filter-platform", &triple]);
    }
    let json = output_of(&mut command)?;
    let metadata: Metadata =
        serde_json::from_str(&json).context("cargo describes the workspace in an unknown way")?;
    let crates = reachable(&metadata, package);
    let mut text =
        format!("Rust crates compiled into {package} for {target}, with their licences.\n\n");
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in crates {
        let name = format!("{} {}", package.name, package.version);
        let licence = package.license.as_deref().unwrap_or("see its licence file");
        let home = package.repository.as_deref().unwrap_or("no repository named");
        writeln!(text, "{name}: {licence}, {home}")?;
        if let Some(folder) = Path::new(&package.manifest_path).parent() {
            for file in licence_files(folder) {
                files.entry(file).or_default().push(name.clone());
            }
        }
    }
    for (file, crates) in files {
        write!(text, "\n{}\n{}\n\n{}\n", "-".repeat(80), crates.join(", "), file.trim())?;
    }
    Ok(text)
}

fn host_triple() -> Option<String> {
    let version = output_of(std::process::Command::new("rustc").arg("-vV")).ok()?;
    version.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned)
}

/// The packages from a registry that are linked into a package: no build scripts' and tests' own.
fn reachable<'a>(metadata: &'a Metadata, root: &str) -> Vec<&'a Package> {
    let packages: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let nodes: BTreeMap<_, _> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let mut seen = BTreeSet::new();
    let mut open: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|package| package.name == root)
        .map(|package| package.id.as_str())
        .collect();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(node) = nodes.get(id) else { continue };
        for dependency in &node.deps {
            if dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                open.push(&dependency.pkg);
            }
        }
    }
    let mut found: Vec<_> = seen
        .into_iter()
        .filter_map(|id| packages.get(id).copied())
        .filter(|package| package.source.is_some())
        .collect();
    found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    found
}

/// The texts of the files in a crate's folder that are licences or notices by their names.
fn licence_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = path.file_name().map(|name| name.to_string_lossy().to_uppercase());
            name.is_some_and(|name| {
                ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"]
                    .iter()
                    .any(|start| name.starts_with(start))
            })
        })
        .collect();
    files.sort();
    files.iter().filter_map(|path| fs::read_to_string(path).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linked_crates_are_named_with_their_licence_texts() {
        // Contract: a crate linked into the plug-in is listed with its licence text, one that only
        // builds or tests need is not.
        let text = of_crates("interlude-plugin", &[]).unwrap();
        assert!(text.contains("\nnice-plug 0.4"), "nice-plug is linked");
        assert!(text.contains("Permission is hereby granted"), "texts are there");
        assert!(!text.contains("\nproptest "), "proptest is for tests only");
        assert!(!text.contains("\nclap "), "clap is not in the plug-in");
        let text = of_crates("interlude-plugin", &[crate::play::FEATURE.to_owned()]).unwrap();
        assert!(text.contains("\nclap ") && text.contains("\nmidir "), "but in the program");
    }
}
