//! Names of files in folders and archives, and the part of a name that determines the split.
//!
//! The name of a file is its path; within an archive or another file that holds several pieces, the
//! path of that, a `!`, and the path inside.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

/// Prefix of the sources of arranged windows.
pub const ARRANGED: &str = "arranged:";
/// What stands between the parts of a name.
pub const SEPARATORS: [char; 3] = ['/', '\\', '!'];
/// What stands between the parts of a path.
const SLASHES: [char; 2] = ['/', '\\'];
/// Ends of the names of archives.
pub const ARCHIVES: [&str; 4] = [".zip", ".tar.gz", ".tgz", ".tar"];
/// Ends of the names of archives that are not read.
pub const OTHER_ARCHIVES: [&str; 7] =
    [".rar", ".7z", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst"];
/// Ends of the names of MIDI files.
pub const MIDI: [&str; 5] = [".mid", ".midi", ".kar", ".smf", ".rmi"];
/// Ends of the names of drum patterns, and of lead sheets.
pub const PATTERNS: [&str; 2] = [".json", ".json.gz"];
/// Ends of the names of lead sheets.
pub const LEAD_SHEETS: [&str; 2] = [".jsonl", ".jsonl.gz"];
/// Part of the names of TensorFlow's records.
pub const RECORDS: &str = ".tfrecord";

/// Whether a name in lower case has one of some ends.
pub fn ends_with(lower: &str, ends: &[&str]) -> bool {
    ends.iter().any(|end| lower.ends_with(end))
}

/// The last part of a name.
pub fn last(name: &str) -> &str {
    name.rsplit(SEPARATORS).next().unwrap_or(name)
}

/// The parts of a path, without those that name no folder.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split(SLASHES).filter(|part| !matches!(*part, "" | "." | ".."))
}

/// The key that determines the split of a file: its path below its source, so that the split is the
/// same wherever the data lies. Archives, and files of several pieces, count as if they were
/// unpacked where they lie. Of the last part, what follows a `!` counts.
pub fn below(name: &str, sources: &[PathBuf]) -> String {
    let name = name.strip_prefix(ARRANGED).unwrap_or(name);
    let mut rest = under(name, sources).unwrap_or_else(|| last(name));
    let mut path: Vec<&str> = Vec::new();
    while let Some((container, inner)) = enter(rest) {
        path.extend(parts(container));
        path.pop();
        rest = inner;
    }
    path.extend(parts(rest));
    if let Some(own) = path.last_mut() {
        let after = own.rsplit('!').next().unwrap_or(own);
        // More than an ending: `Hey!.mid` is not `.mid`.
        if !after.is_empty() && !after.starts_with('.') {
            *own = after;
        }
    }
    path.join("/")
}

/// The part of a name below the longest of the sources that it lies in; of a source that is a file,
/// the last part.
fn under<'a>(name: &'a str, sources: &[PathBuf]) -> Option<&'a str> {
    let rest = sources.iter().filter_map(|source| {
        let source = source.display().to_string();
        let rest = name.strip_prefix(source.as_str())?;
        let inside = source.is_empty() || source.ends_with(SLASHES);
        (rest.is_empty() || inside || rest.starts_with(SEPARATORS)).then_some(rest)
    });
    let rest = rest.min_by_key(|rest| rest.len())?;
    if rest.is_empty() {
        return name.rsplit(SLASHES).next();
    }
    Some(rest.trim_start_matches(SEPARATORS))
}

/// A name inside an archive or another file of several pieces: that file's, and the path inside.
fn enter(name: &str) -> Option<(&str, &str)> {
    name.match_indices('!').map(|(at, _)| (&name[..at], &name[at + 1..])).find(|(container, _)| {
        let lower = container.to_lowercase();
        let own = lower.rsplit(SLASHES).next().unwrap_or(&lower);
        own.contains(RECORDS)
            || [&ARCHIVES[..], &PATTERNS, &LEAD_SHEETS].iter().any(|ends| ends_with(own, ends))
    })
}

/// Whether a name is that of a piece within a file of several, which says what the piece is called.
fn is_titled(name: &str) -> bool {
    let mut rest = name;
    let mut titled = false;
    while let Some((container, inner)) = enter(rest) {
        titled = !ends_with(&container.to_lowercase(), &ARCHIVES);
        rest = inner;
    }
    titled
}

/// What decides about the split of each of all files of a dataset: [`below`], and where different
/// files have that in common, as many of the folders and archives above as tell them apart. Pieces
/// that are called alike in different collections stay together.
pub fn keys(names: &BTreeSet<String>, sources: &[PathBuf]) -> HashMap<String, String> {
    let mut groups: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for name in names {
        groups.entry(below(name, sources)).or_default().push(name);
    }
    let mut keys = HashMap::new();
    for (key, group) in groups {
        if group.len() == 1 || group.iter().any(|name| is_titled(name)) {
            keys.extend(group.into_iter().map(|name| (name.clone(), key.clone())));
            continue;
        }
        let paths: Vec<Vec<&str>> = group
            .iter()
            .map(|name| name.split(SEPARATORS).filter(|part| !part.is_empty()).collect())
            .collect();
        let longest = paths.iter().map(Vec::len).max().unwrap_or(0);
        let ends = |count: usize| -> Vec<String> {
            paths.iter().map(|path| path[path.len().saturating_sub(count)..].join("/")).collect()
        };
        let apart = (1..longest)
            .map(ends)
            .find(|ends| ends.iter().collect::<BTreeSet<_>>().len() == ends.len());
        let apart = apart.unwrap_or_else(|| ends(longest));
        keys.extend(group.into_iter().cloned().zip(apart));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    // What decides about the split is the path below the source, the same for a folder, an archive in
    // it, and an archive as source.
    #[test]
    fn the_path_below_the_source_decides() {
        let sources = sources(&["a/tree", "b/songs.zip", "one/x.mid", "all/", "pat.json.gz"]);
        for (name, key) in [
            ("a/tree/song01/melody.mid", "song01/melody.mid"),
            ("a/tree/songs.tar.gz!./song01/melody.mid", "song01/melody.mid"),
            ("b/songs.zip!song01\\melody.mid", "song01/melody.mid"),
            ("b/songs.zip!../x.mid", "x.mid"),
            ("one/x.mid", "x.mid"),
            ("all/deep/part.zip!melody.mid", "deep/melody.mid"),
            ("arranged:a/tree/sheets.jsonl!12 Song", "12 Song"),
            ("a/tree/x.tfrecord-0-of-9!folder/song.mid", "folder/song.mid"),
            ("pat.json.gz!Rock1", "Rock1"),
            ("a/treetop/x.mid", "x.mid"),
            ("a/tree/Oh!_what__7.mid", "_what__7.mid"),
            ("a/tree/Hey!.mid", "Hey!.mid"),
            ("elsewhere/x.mid", "x.mid"),
        ] {
            assert_eq!(below(name, &sources), key, "{name}");
        }
    }

    // Files with one path below several sources are told apart by what is above; pieces of one title
    // in two collections are not.
    #[test]
    fn files_that_are_called_alike_are_told_apart() {
        let all = |names: &[&str], from: &[&str]| -> Vec<String> {
            let set = names.iter().map(|&name| name.to_owned()).collect();
            let keys = keys(&set, &sources(from));
            names.iter().map(|&name| keys[name].clone()).collect()
        };
        let files = ["x/s1/m.mid", "x/s2/m.mid", "x/s2/n.mid"];
        assert_eq!(all(&files, &["x/s1", "x/s2"]), ["s1/m.mid", "s2/m.mid", "n.mid"]);
        assert_eq!(all(&files, &files), ["s1/m.mid", "s2/m.mid", "n.mid"]);
        let packed = ["x/a.zip!m.mid", "x/b.zip!m.mid"];
        assert_eq!(all(&packed, &["x"]), ["a.zip/m.mid", "b.zip/m.mid"]);
        let far = ["a/x/m.mid", "b/x/m.mid"];
        assert_eq!(all(&far, &far), ["a/x/m.mid", "b/x/m.mid"]);
        let titled = ["x/a.json!Rock1", "x/b.json!Rock1"];
        assert_eq!(all(&titled, &["x"]), ["Rock1", "Rock1"]);
    }
}
