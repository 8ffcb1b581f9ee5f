//! Trios combined from unrelated melodies, so that a model is trained on more kinds of lines.
//!
//! Real trios are few, melodies are many. A network that must reconstruct any bass, not only those
//! of the training data, learns that from any line.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use interlude_models::config::{self, Scheme};
use interlude_models::families::line::PITCHES;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::description::{Count, DESCRIPTION, Description, describe, write_description};
use crate::heldout::{self, Rule};
use crate::layout::is_pitch;
use crate::names::{self, ARRANGED};
use crate::staging::Staged;
use crate::{DatasetError, Split, store};

/// Highest mean token of a line that serves as bass: E3.
const BASS_BELOW: u16 = 52 - 19;
/// Semitones of an octave.
const OCTAVE: u16 = 12;

/// Writes the trios of a dataset to `out`, and with those for training `count` windows more, whose
/// melody and bass are each one of the `lines` for training, moved down by octaves for a bass, and whose
/// drums are of a trio for training. Equal seeds give equal windows. Lines of files that the trios have
/// for validation or test are left out.
///
/// # Errors
/// [`DatasetError`] when one cannot be read or written, has no windows for training, or is not of trios
/// or of melodies that are as long.
pub fn combine(
    trios: &Path,
    lines: &Path,
    count: usize,
    seed: u64,
    out: &Path,
) -> Result<Description, DatasetError> {
    let (description, melodies) = (describe(trios)?, describe(lines)?);
    check(trios, &description, |scheme| matches!(scheme, Scheme::Trio), "trios")?;
    check(lines, &melodies, |scheme| matches!(scheme, Scheme::Melody { .. }), "melodies")?;
    if description.steps != melodies.steps {
        let (steps, needed) = (melodies.steps, description.steps);
        let reason = format!("its melodies have {steps} steps, the trios {needed}");
        return Err(DatasetError::Format { path: lines.join(DESCRIPTION), reason });
    }
    let mut rows = BTreeMap::new();
    for split in Split::ALL {
        rows.insert(split, read(trios, split)?);
    }
    let mut notes = description.notes.clone();
    if let Ok(mut config) = config::by_name(&description.config) {
        config.hparams.max_seq_len = description.steps;
        notes.extend(Rule::of(&description, &config).fill(&mut rows, |row| &row.1));
    }
    let mut train = rows.remove(&Split::Train).unwrap_or_default();
    let sources = description.paths();
    let held = rows.values().flatten().map(|(_, source)| names::below(source, &sources));
    let heldout = Files(held.collect());
    let mut tunes = read(lines, Split::Train)?;
    let sources = melodies.paths();
    tunes.retain(|(_, source)| !heldout.have(&names::below(source, &sources)));
    if train.is_empty() || tunes.is_empty() {
        let dataset = if train.is_empty() { trios } else { lines };
        let reason = "it has no windows for training that could be combined".to_owned();
        return Err(DatasetError::Format { path: store::path(dataset, Split::Train), reason });
    }
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    let own = train.len();
    let mut files: HashSet<String> = train.iter().map(|(_, source)| plain(source)).collect();
    for _ in 0..count {
        let (window, sources) = one(&mut generator, &train[..own], &tunes);
        train.push((window, format!("{ARRANGED}{}", sources.join("+"))));
        files.extend(sources);
    }
    let staged = Staged::begin(out)?;
    let mut splits =
        BTreeMap::from([(Split::Train, Count { windows: train.len(), files: files.len() })]);
    write(staged.folder(), Split::Train, &description, &train)?;
    for (split, rows) in rows {
        write(staged.folder(), split, &description, &rows)?;
        let files = heldout::files(rows.iter().map(|(_, source)| source.as_str()));
        splits.insert(split, Count { windows: rows.len(), files });
    }
    let combined = Description {
        sources: description.sources.iter().chain(&melodies.sources).cloned().collect(),
        arranged: true,
        files: description.files + melodies.files,
        skipped: description.skipped + melodies.skipped,
        incomplete: description.incomplete + melodies.incomplete,
        duplicates: description.duplicates + melodies.duplicates,
        splits,
        notes,
        ..description
    };
    write_description(staged.folder(), &combined)?;
    staged.put()?;
    Ok(combined)
}

/// Files by their paths below their sources. Another dataset may have been made from a folder above or
/// below, so paths that end alike are the same.
struct Files(HashSet<String>);

impl Files {
    fn have(&self, path: &str) -> bool {
        let ends_in = |path: &str, end: &str| {
            path.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'))
        };
        let ends =
            std::iter::once(path).chain(path.match_indices('/').map(|(at, _)| &path[at + 1..]));
        ends.into_iter().any(|end| self.0.contains(end))
            || self.0.iter().any(|file| ends_in(file, path))
    }
}

/// A window and its source.
type Owned = (Vec<u16>, String);

/// A window whose three parts are chosen each for itself, and the sources of melody, bass and drums.
fn one(generator: &mut impl Rng, trios: &[Owned], lines: &[Owned]) -> (Vec<u16>, [String; 3]) {
    let mut choose = |from: &[Owned]| from.choose(generator).cloned().expect("there are some");
    let ((mut window, drums), (melody, above), (mut bass, below)) =
        (choose(trios), choose(lines), choose(lines));
    lower(&mut bass);
    for (step, (melody, bass)) in window.chunks_exact_mut(3).zip(melody.into_iter().zip(bass)) {
        (step[0], step[1]) = (melody, bass);
    }
    (window, [above, below, plain(&drums)])
}

/// A source without the mark of windows that were arranged.
fn plain(source: &str) -> String {
    source.strip_prefix(ARRANGED).unwrap_or(source).to_owned()
}

/// Moves a melody down by octaves until it lies where basses do, or cannot be any lower.
fn lower(melody: &mut [u16]) {
    let pitches = || melody.iter().copied().filter(|&token| is_pitch(token));
    let notes = pitches().count();
    let sum: usize = pitches().map(usize::from).sum();
    let lowest = pitches().min().unwrap_or(0);
    let mut down = 0;
    while sum > usize::from(BASS_BELOW + down) * notes
        && lowest >= u16::from(*PITCHES.start()) + down + OCTAVE
    {
        down += OCTAVE;
    }
    melody.iter_mut().filter(|token| is_pitch(**token)).for_each(|token| *token -= down);
}

fn check(
    dataset: &Path,
    description: &Description,
    fits: impl Fn(Scheme) -> bool,
    what: &str,
) -> Result<(), DatasetError> {
    match config::by_name(&description.config) {
        Ok(config) if fits(config.scheme) => Ok(()),
        _ => Err(DatasetError::Format {
            path: dataset.join(DESCRIPTION),
            reason: format!("it is for `{}`, {what} are needed", description.config),
        }),
    }
}

fn read(dataset: &Path, split: Split) -> Result<Vec<Owned>, DatasetError> {
    let mut rows = Vec::new();
    store::for_each_row(dataset, split, &mut |window, source| {
        rows.push((window.to_vec(), source.to_owned()));
    })?;
    Ok(rows)
}

fn write(
    out: &Path,
    split: Split,
    description: &Description,
    rows: &[Owned],
) -> Result<(), DatasetError> {
    let rows: Vec<store::Row<'_>> =
        rows.iter().map(|(window, source)| (&**window, &**source)).collect();
    let columns = description.scheme().map_or(3, |(columns, _)| columns.len());
    store::write(out, split, columns * description.steps, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dataset whose windows are the same number in all columns, with a source each.
    fn dataset(folder: &Path, config: &str, rows: &[(Split, u16, &str)]) {
        std::fs::create_dir(folder).expect("a folder");
        let steps = 256;
        let description = Description::example(folder, config, steps);
        let width = description.scheme().expect("known").0.len();
        for split in Split::ALL {
            let of_split = rows.iter().filter(|row| row.0 == split);
            let rows: Vec<Owned> = of_split
                .map(|&(_, token, source)| (vec![token; steps * width], source.to_owned()))
                .collect();
            write(folder, split, &description, &rows).expect("writes");
        }
        write_description(folder, &description).expect("writes");
    }

    // Combined windows have a melody, another one moved to where basses lie, and drums of a trio; they
    // are for training only, come from no file that is held out, and from equal seeds alike.
    #[test]
    fn lines_become_melody_and_bass() {
        use Split::{Test, Train, Validation};
        let place = tempfile::tempdir().expect("a folder");
        let [trios, lines, out, again] =
            ["trios", "lines", "out", "again"].map(|name| place.path().join(name));
        let rows = [(Train, 5, "x.mid"), (Validation, 6, "v.mid"), (Test, 7, "t.mid")];
        dataset(&trios, "hierdec-trio_16bar", &rows);
        let rows = [(Train, 60, "a.mid"), (Train, 70, "b.mid"), (Train, 80, "in!t.mid")];
        dataset(&lines, "hierdec-mel_16bar", &rows);
        let combined = combine(&trios, &lines, 40, 1, &out).expect("combines");
        assert_eq!(combined.splits[&Train], Count { windows: 41, files: 3 });
        let train = read(&out, Train).expect("reads");
        assert_eq!(train[0], (vec![5; 768], "x.mid".to_owned()));
        for (window, source) in &train[1..] {
            let [melody, bass, drums] = window[765..] else { panic!("three parts") };
            assert!([60, 70].contains(&melody) && [24, 22].contains(&bass), "{melody} {bass}");
            assert_eq!(drums, 5);
            assert!(source.starts_with(ARRANGED) && source.ends_with("+x.mid"), "{source}");
        }
        let different: HashSet<&Vec<u16>> = train.iter().map(|(window, _)| window).collect();
        assert_eq!(different.len(), 5, "each line serves as either");
        assert_eq!(read(&out, Validation).expect("reads"), [(vec![6; 768], "v.mid".to_owned())]);
        assert_eq!(read(&out, Test).expect("reads"), [(vec![7; 768], "t.mid".to_owned())]);
        combine(&trios, &lines, 40, 1, &again).expect("combines");
        assert_eq!(read(&again, Train).expect("reads"), train);
    }

    // Datasets that do not fit are refused by name: melodies as trios, melodies of two bars, and
    // melodies of files that are all held out.
    #[test]
    fn what_does_not_fit_is_refused() {
        let place = tempfile::tempdir().expect("a folder");
        let [trios, lines, out] = ["trios", "lines", "out"].map(|name| place.path().join(name));
        let rows = [(Split::Train, 5, "x.mid"), (Split::Test, 5, "a.mid")];
        dataset(&trios, "hierdec-trio_16bar", &rows);
        dataset(&lines, "hierdec-mel_16bar", &[(Split::Train, 60, "a.mid")]);
        let error = combine(&lines, &lines, 1, 1, &out).expect_err("no trios").to_string();
        assert!(error.contains("trios are needed"), "{error}");
        let error = combine(&trios, &trios, 1, 1, &out).expect_err("no melodies").to_string();
        assert!(error.contains("melodies are needed"), "{error}");
        let error = combine(&trios, &lines, 1, 1, &out).expect_err("held out").to_string();
        assert!(error.contains("lines") && error.contains("combined"), "{error}");
    }
}
