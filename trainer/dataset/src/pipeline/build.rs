//! Builds a dataset: files to windows, without duplicates, split by file.

use std::collections::{BTreeMap, HashSet};
use std::io::ErrorKind;

use super::reading::{self, Reading};
use crate::description::{write_description, write_text};
use crate::heldout::{self, Rule};
use crate::journal::{self, Journal, Outcome};
use crate::splits::split_of;
use crate::staging::Staged;
use crate::{DatasetError, Split, layout, names, source, store};

pub use super::options::{Done, Options};
pub use crate::description::{Count, DESCRIPTION, Description, INCOMPLETE, SKIPPED, describe};

/// Files that are named of those of which music is missing.
const NAMED: usize = 3;

/// Builds a dataset. `progress` is called after each file.
///
/// A window that several files share is kept once, in the split that comes first in
/// [`Split::ALL`]: what is held out was never trained on. A build that fails leaves the folder as it
/// was.
///
/// # Errors
/// [`DatasetError`] when a source is not there, no window comes out, a table of splits cannot be
/// obeyed, or the folder cannot be written.
pub fn build(
    options: &Options,
    progress: &(dyn Fn(Done) + Sync),
) -> Result<Description, DatasetError> {
    for path in options.sources.iter().chain(options.drums.iter().flatten()) {
        match std::fs::metadata(path) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(DatasetError::Missing { path: path.clone() });
            }
            Err(source) => return Err(DatasetError::Io { path: path.clone(), source }),
        }
    }
    let staged = Staged::begin(&options.out)?;
    let in_journal = |source| DatasetError::Io { path: options.out.join(journal::FILE), source };
    let mut journal = Journal::open(&options.out, &options.key()).map_err(in_journal)?;
    let built = write(options, &staged, &mut journal, progress);
    // What was read serves another attempt when the disk is full, and else no one.
    if !matches!(built, Err(DatasetError::Io { .. })) {
        journal.remove().map_err(in_journal)?;
    }
    let description = built?;
    staged.put()?;
    Ok(description)
}

/// Reads the sources and writes the files of the dataset beside their place.
fn write(
    options: &Options,
    staged: &Staged,
    journal: &mut Journal,
    progress: &(dyn Fn(Done) + Sync),
) -> Result<Description, DatasetError> {
    let in_journal = |source| DatasetError::Io { path: options.out.join(journal::FILE), source };
    let drums = match &options.drums {
        Some(sources) => Some(reading::performances(sources, options)?),
        None => None,
    };
    let Reading { outcomes, names, tables } =
        reading::read_all(options, drums.as_ref(), journal, progress).map_err(in_journal)?;
    // A table cannot change the split of an arranged piece: it has the drums of its own.
    let listed = match &drums {
        Some(_) => crate::splits::Listed::default(),
        None => tables.assign(&names, &options.sources, &options.split_column)?,
    };
    let keys = names::keys(&names, &options.sources);
    let of = |name: &str| {
        let plain = name.strip_prefix(names::ARRANGED).unwrap_or(name);
        let key = keys.get(plain).map_or(plain, String::as_str);
        listed.of(plain).unwrap_or_else(|| split_of(key, options.seed))
    };

    let mut seen = HashSet::<&[u16]>::new();
    let mut duplicates = 0;
    let mut rows: BTreeMap<Split, Vec<store::Row<'_>>> = BTreeMap::new();
    for split in Split::ALL {
        let rows = rows.entry(split).or_default();
        let own = outcomes.iter().filter(|outcome| of(&outcome.name) == split);
        for Outcome { name, windows, .. } in own {
            for window in windows.iter().flatten() {
                if seen.insert(window) {
                    rows.push((&**window, &**name));
                } else {
                    duplicates += 1;
                }
            }
        }
    }
    let skipped: Vec<(&str, &str)> = outcomes
        .iter()
        .filter_map(|outcome| Some((&*outcome.name, outcome.windows.as_ref().err()?.as_str())))
        .collect();
    if rows.values().all(Vec::is_empty) {
        return Err(nothing(options, outcomes.len(), &skipped));
    }
    let lossy: Vec<(&str, String)> = outcomes
        .iter()
        .filter(|outcome| !outcome.losses.is_empty())
        .map(|outcome| (&*outcome.name, outcome.losses.join("; ")))
        .collect();
    let mut notes = listed.notes.clone();
    notes.extend(told(&lossy));
    let rule = Rule {
        seed: options.seed,
        sources: options.sources.clone(),
        overlap: heldout::overlap(&options.config),
        listed: !listed.is_empty(),
    };
    // Shares of a dataset are completed when they are put together.
    if options.shard.is_none() {
        notes.extend(rule.fill(&mut rows, |row| row.1));
    }

    let lines: String =
        skipped.iter().map(|(name, reason)| one_line(&format!("{name}: {reason}"))).collect();
    write_text(&staged.folder().join(SKIPPED), &lines)?;
    if !lossy.is_empty() {
        let lines: String =
            lossy.iter().map(|(name, losses)| one_line(&format!("{name}: {losses}"))).collect();
        write_text(&staged.folder().join(INCOMPLETE), &lines)?;
    }
    let (steps, width) =
        (options.config.hparams.max_seq_len, layout::limits(&options.config).len());
    let mut splits = BTreeMap::new();
    for (split, rows) in &rows {
        store::write(staged.folder(), *split, steps * width, rows)?;
        let files = heldout::files(rows.iter().map(|row| row.1));
        splits.insert(*split, Count { windows: rows.len(), files });
    }
    let description = Description {
        config: options.config.name.clone(),
        steps,
        seed: options.seed,
        sources: options.sources.iter().map(|source| source.display().to_string()).collect(),
        monophonic: options.monophonic,
        least_notes: options.least_notes,
        roland: options.roland.clone(),
        arranged: drums.is_some(),
        listed: rule.listed,
        shard: options.shard,
        files: outcomes.len(),
        skipped: skipped.len(),
        incomplete: lossy.len(),
        duplicates,
        splits,
        notes,
    };
    write_description(staged.folder(), &description)?;
    Ok(description)
}

/// Summary of damaged files that were read in part: their number, and the first few with what each lacks.
fn told(lossy: &[(&str, String)]) -> Option<String> {
    let first: Vec<String> = lossy
        .iter()
        .take(NAMED)
        .map(|(name, losses)| one_line(&format!("{name}: {losses}")).trim_end().to_owned())
        .collect();
    let more = match lossy.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more, see {INCOMPLETE}"),
    };
    let files = if lossy.len() == 1 { "1 file" } else { &format!("{} files", lossy.len()) };
    let first = first.join("; ");
    (!lossy.is_empty()).then(|| format!("tracks are missing of {files}: {first}{more}"))
}

/// Why no window came out.
fn nothing(options: &Options, files: usize, skipped: &[(&str, &str)]) -> DatasetError {
    let reasons = if files == 0 {
        let sources: Vec<String> =
            options.sources.iter().map(|source| format!("`{}`", source.display())).collect();
        format!("{} looked for in {}", source::looked_for(), sources.join(", "))
    } else {
        let first: Vec<String> =
            skipped.iter().take(3).map(|(name, reason)| format!("{name}: {reason}")).collect();
        format!("the first reasons are: {}", first.join("; "))
    };
    DatasetError::Empty { files, reasons }
}

/// A text without line breaks of its own, which names from archives may have, and one at its end.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ") + "\n"
}
