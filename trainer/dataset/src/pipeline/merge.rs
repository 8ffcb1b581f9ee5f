//! Merges datasets.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use interlude_models::config;

use crate::description::{Count, DESCRIPTION, Description, describe, write_description};
use crate::heldout::{self, Rule};
use crate::staging::Staged;
use crate::{DatasetError, Split, store};

/// Writes the windows of all `datasets` to `out`. A window that several have is kept once, in the
/// split that comes first in [`Split::ALL`]; where none is left for validation or test, some are held
/// out. What is at `out` is replaced as a whole, or not at all.
///
/// # Errors
/// [`DatasetError`] when one cannot be read, or was built for another scheme than the first.
///
/// # Panics
/// When there is no dataset.
pub fn merge(datasets: &[PathBuf], out: &Path) -> Result<Description, DatasetError> {
    let parts: Vec<Description> =
        datasets.iter().map(|dataset| describe(dataset)).collect::<Result<_, _>>()?;
    let first = parts.first().expect("the caller gives some");
    if let Some((dataset, other)) =
        datasets.iter().zip(&parts).find(|(_, part)| part.scheme() != first.scheme())
    {
        return Err(DatasetError::Format {
            path: dataset.join(DESCRIPTION),
            reason: format!("it is for `{}`, the first one for `{}`", other.config, first.config),
        });
    }
    let mut seen = HashSet::new();
    let mut duplicates = 0;
    let mut rows: BTreeMap<Split, Vec<(Vec<u16>, String)>> = BTreeMap::new();
    for split in Split::ALL {
        let kept = rows.entry(split).or_default();
        for dataset in datasets {
            store::for_each_row(dataset, split, &mut |window, source| {
                if seen.insert(window.to_vec()) {
                    kept.push((window.to_vec(), source.to_owned()));
                } else {
                    duplicates += 1;
                }
            })?;
        }
    }
    drop(seen);
    let sum = |of: fn(&Description) -> usize| parts.iter().map(of).sum::<usize>();
    let mut notes: Vec<String> = Vec::new();
    for note in parts.iter().flat_map(|part| &part.notes) {
        if !notes.contains(note) {
            notes.push(note.clone());
        }
    }
    let mut description = Description {
        sources: parts.iter().flat_map(|part| part.sources.clone()).collect(),
        monophonic: parts.iter().any(|part| part.monophonic),
        least_notes: parts.iter().map(|part| part.least_notes).min().unwrap_or(0),
        roland: parts.iter().find_map(|part| part.roland.clone()),
        arranged: parts.iter().any(|part| part.arranged),
        listed: parts.iter().any(|part| part.listed),
        shard: None,
        files: sum(|part| part.files),
        skipped: sum(|part| part.skipped),
        incomplete: sum(|part| part.incomplete),
        duplicates: duplicates + sum(|part| part.duplicates),
        splits: BTreeMap::new(),
        notes,
        ..first.clone()
    };
    if let Ok(mut config) = config::by_name(&first.config) {
        config.hparams.max_seq_len = first.steps;
        let filled = Rule::of(&description, &config).fill(&mut rows, |row| &row.1);
        description.notes.extend(filled);
    }
    let staged = Staged::begin(out)?;
    for (split, rows) in rows {
        let rows: Vec<store::Row<'_>> =
            rows.iter().map(|(window, source)| (&**window, &**source)).collect();
        let (columns, steps) = first.scheme().unwrap_or_default();
        let length = rows.first().map_or(columns.len() * steps, |(window, _)| window.len());
        store::write(staged.folder(), split, length, &rows)?;
        let files = heldout::files(rows.iter().map(|row| row.1));
        description.splits.insert(split, Count { windows: rows.len(), files });
    }
    write_description(staged.folder(), &description)?;
    staged.put()?;
    Ok(description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(folder: &Path, config: &str, rows: &[(Split, u16)]) {
        std::fs::create_dir(folder).expect("a folder");
        let steps = config::by_name(config).expect("known").hparams.max_seq_len;
        for split in Split::ALL {
            let windows: Vec<Vec<u16>> =
                rows.iter().filter(|row| row.0 == split).map(|row| vec![row.1; steps]).collect();
            let rows: Vec<store::Row<'_>> =
                windows.iter().map(|window| (&**window, "a.mid")).collect();
            store::write(folder, split, steps, &rows).expect("writes");
        }
        let description = Description::example(folder, config, steps);
        write_description(folder, &description).expect("writes");
    }

    // A window of two datasets is kept once, on the side of training; other schemes are refused.
    #[test]
    fn what_both_have_is_kept_once() {
        let place = tempfile::tempdir().expect("a folder");
        let [a, b, c, out] = ["a", "b", "c", "out"].map(|name| place.path().join(name));
        let rows = [(Split::Train, 3), (Split::Validation, 6), (Split::Test, 4), (Split::Test, 5)];
        dataset(&a, "cat-mel_2bar_small", &rows);
        dataset(&b, "cat-mel_2bar_big", &[(Split::Train, 4), (Split::Validation, 3)]);
        dataset(&c, "hierdec-mel_16bar", &[(Split::Train, 4)]);
        let merged = merge(&[a.clone(), b], &out).expect("merges");
        assert_eq!(merged.duplicates, 2);
        let config = config::by_name("cat-mel_2bar_small").expect("known");
        let tokens = |split| {
            let windows = store::read(&out, split, &config).expect("reads");
            (0..windows.len()).map(|index| windows.get(index)[0]).collect::<Vec<_>>()
        };
        assert_eq!(tokens(Split::Train), [3, 4]);
        assert_eq!(tokens(Split::Validation), [6]);
        assert_eq!(tokens(Split::Test), [5]);
        assert_eq!(describe(&out).expect("reads"), merged);
        assert!(merge(&[a, c], &out).expect_err("16 bars").to_string().contains("hierdec"));
    }
}
