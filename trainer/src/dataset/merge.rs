//! Several datasets as one.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::build::{Count, DESCRIPTION, Description, describe};
use super::{DatasetError, Split, store};

/// Writes the windows of all `datasets` to `out`. A window that several have is kept once, in the
/// split that comes first in [`Split::ALL`].
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
    std::fs::create_dir_all(out)
        .map_err(|source| DatasetError::Io { path: out.to_owned(), source })?;
    let mut seen = HashSet::new();
    let mut duplicates = 0;
    let mut splits = BTreeMap::new();
    for split in Split::ALL {
        let mut kept: Vec<(Vec<u16>, String)> = Vec::new();
        for dataset in datasets {
            store::for_each_row(dataset, split, &mut |window, source| {
                if seen.insert(window.to_vec()) {
                    kept.push((window.to_vec(), source.to_owned()));
                } else {
                    duplicates += 1;
                }
            })?;
        }
        let rows: Vec<store::Row<'_>> =
            kept.iter().map(|(window, source)| (&**window, &**source)).collect();
        let (columns, steps) = first.scheme().unwrap_or_default();
        let length = rows.first().map_or(columns.len() * steps, |(window, _)| window.len());
        store::write(out, split, length, &rows)?;
        let files: HashSet<&str> = rows.iter().map(|(_, source)| *source).collect();
        splits.insert(split, Count { windows: rows.len(), files: files.len() });
    }
    let sum = |of: fn(&Description) -> usize| parts.iter().map(of).sum::<usize>();
    let description = Description {
        sources: parts.iter().flat_map(|part| part.sources.clone()).collect(),
        monophonic: parts.iter().any(|part| part.monophonic),
        least_notes: parts.iter().map(|part| part.least_notes).min().unwrap_or(0),
        roland: parts.iter().find_map(|part| part.roland.clone()),
        arranged: parts.iter().any(|part| part.arranged),
        files: sum(|part| part.files),
        skipped: sum(|part| part.skipped),
        duplicates: duplicates + sum(|part| part.duplicates),
        splits,
        ..first.clone()
    };
    super::build::write_description(out, &description)?;
    Ok(description)
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;
    use crate::dataset::build::write_description;

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
        dataset(&a, "cat-mel_2bar_small", &[(Split::Train, 3), (Split::Test, 4), (Split::Test, 5)]);
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
        assert!(tokens(Split::Validation).is_empty());
        assert_eq!(tokens(Split::Test), [5]);
        assert_eq!(describe(&out).expect("reads"), merged);
        assert!(merge(&[a, c], &out).expect_err("16 bars").to_string().contains("hierdec"));
    }
}
