//! Building a dataset: files to windows, without duplicates, split by file.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use interlude_models::config::{self, Config};
use serde::{Deserialize, Serialize};

use super::journal::{Journal, Outcome};
use super::{DatasetError, Split, layout, reading, splits, store};

/// Name of the description in a dataset's folder.
pub const DESCRIPTION: &str = "dataset.json";
/// Name of the list of files without a window.
pub const SKIPPED: &str = "skipped.txt";
/// What the sources of windows begin with that were made by rule.
pub const ARRANGED: &str = "arranged:";
/// Share of the files, in thousandths, that validation and test get each.
const HELD_OUT: u32 = 50;

/// What to build.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folders, archives and files.
    pub sources: Vec<PathBuf>,
    /// Configuration whose windows are wanted.
    pub config: Config,
    /// Folder of the dataset.
    pub out: PathBuf,
    /// Seed of the split.
    pub seed: u64,
    /// Whether only parts without chords are read, of any instrument.
    pub monophonic: bool,
    /// Fewest notes that begin in a window; of several parts, in each.
    pub least_notes: usize,
    /// Column of tables among the sources that names the split of a file.
    pub split_column: String,
    /// Files whose path has this text in it have the drum pitches of Roland's kits.
    pub roland: Option<String>,
    /// Drum performances, when the sources are to be arranged as trios with them.
    pub drums: Option<Vec<PathBuf>>,
    /// One window of so many in a row is kept.
    pub every: usize,
    /// Which share of the files is read: number (from 1) and count of the shares.
    pub shard: Option<(u32, u32)>,
}

/// What a dataset's folder says about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Configuration whose windows these are.
    pub config: String,
    /// Steps of a window.
    pub steps: usize,
    /// Seed of the split.
    pub seed: u64,
    /// Where the files are from.
    pub sources: Vec<String>,
    /// Whether only parts without chords were read, of any instrument.
    pub monophonic: bool,
    /// Fewest notes that begin in a window.
    pub least_notes: usize,
    /// Text in the paths of the files that were read as recordings from Roland's kits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roland: Option<String>,
    /// Whether windows were made by rule from music that is no trio; their sources begin with
    /// [`ARRANGED`].
    #[serde(default)]
    pub arranged: bool,
    /// Files read.
    pub files: usize,
    /// Files that gave no window.
    pub skipped: usize,
    /// Windows that were there more than once.
    pub duplicates: usize,
    /// Windows and files of each split.
    pub splits: BTreeMap<Split, Count>,
}

impl Description {
    /// That of a folder with windows of so many steps of a configuration, as tests write them.
    #[cfg(test)]
    pub(super) fn example(folder: &Path, config: &str, steps: usize) -> Self {
        Self {
            config: config.to_owned(),
            steps,
            seed: 1,
            sources: vec![folder.display().to_string()],
            monophonic: false,
            least_notes: 1,
            roland: None,
            arranged: false,
            files: 1,
            skipped: 0,
            duplicates: 0,
            splits: BTreeMap::new(),
        }
    }

    /// Columns of a step and steps of a window, by which datasets are alike.
    pub(super) fn scheme(&self) -> Option<(Vec<u32>, usize)> {
        let config = config::by_name(&self.config).ok()?;
        Some((layout::limits(&config), self.steps))
    }
}

/// Size of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Windows.
    pub windows: usize,
    /// Files they are from.
    pub files: usize,
}

/// The split of a file that no table names: by the last part of its path, so that it is the same
/// wherever the data lies.
pub fn split_of(path: &str, seed: u64) -> Split {
    let seed = crc32c::crc32c(&seed.to_le_bytes());
    match crc32c::crc32c_append(seed, splits::last(path).as_bytes()) % 1000 {
        share if share < HELD_OUT => Split::Validation,
        share if share < 2 * HELD_OUT => Split::Test,
        _ => Split::Train,
    }
}

/// How far a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Files that are done.
    pub files: usize,
    /// Bytes that were read of the sources.
    pub read: u64,
    /// Bytes of all sources.
    pub of: u64,
}

/// Builds a dataset. `progress` hears how far it is after each file.
///
/// A window that several files share is kept once, in the split that comes first in
/// [`Split::ALL`]: what is held out was never trained on.
///
/// # Errors
/// [`DatasetError`] when no window comes out or the folder cannot be written.
pub fn build(
    options: &Options,
    progress: &(dyn Fn(Done) + Sync),
) -> Result<Description, DatasetError> {
    fs::create_dir_all(&options.out)
        .map_err(|source| DatasetError::Io { path: options.out.clone(), source })?;
    let drums = options.drums.as_ref().map(|sources| reading::performances(sources, options));
    let in_journal =
        |source| DatasetError::Io { path: options.out.join(super::journal::FILE), source };
    let (mut journal, known) = Journal::open(&options.out, &options.key()).map_err(in_journal)?;
    let (outcomes, splits) =
        reading::read_all(options, drums.as_ref(), (&mut journal, known), progress)
            .map_err(in_journal)?;
    let skipped: Vec<(&str, &str)> = outcomes
        .iter()
        .filter_map(|outcome| Some((&*outcome.name, outcome.windows.as_ref().err()?.as_str())))
        .collect();
    let lines: String =
        skipped.iter().map(|(name, reason)| one_line(&format!("{name}: {reason}"))).collect();
    write_text(&options.out.join(SKIPPED), &lines)?;

    let (steps, width) =
        (options.config.hparams.max_seq_len, layout::limits(&options.config).len());
    let mut seen = HashSet::<&[u16]>::new();
    let mut duplicates = 0;
    let mut counts = BTreeMap::new();
    for split in Split::ALL {
        let mut rows = Vec::new();
        let mut count = Count::default();
        for Outcome { name, windows } in &outcomes {
            let Ok(windows) = windows else { continue };
            let listed = splits.of(name).filter(|_| drums.is_none());
            if listed.unwrap_or_else(|| split_of(name, options.seed)) != split {
                continue;
            }
            let before = rows.len();
            for window in windows {
                if seen.insert(window) {
                    rows.push((&**window, &**name));
                } else {
                    duplicates += 1;
                }
            }
            count.files += usize::from(rows.len() > before);
        }
        count.windows = rows.len();
        store::write(&options.out, split, steps * width, &rows)?;
        counts.insert(split, count);
    }
    if counts.values().all(|count| count.windows == 0) {
        let reasons: Vec<String> =
            skipped.iter().take(3).map(|(name, reason)| format!("{name}: {reason}")).collect();
        let reasons = reasons.join("; ");
        journal.remove().map_err(in_journal)?;
        return Err(DatasetError::Empty { files: outcomes.len(), reasons });
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
        files: outcomes.len(),
        skipped: skipped.len(),
        duplicates,
        splits: counts,
    };
    write_description(&options.out, &description)?;
    journal.remove().map_err(in_journal)?;
    Ok(description)
}

impl Options {
    /// What decides about the windows of a file: a journal of another build is of no use.
    fn key(&self) -> String {
        let Self { config, seed, monophonic, least_notes, roland, drums, every, .. } = self;
        let version = env!("CARGO_PKG_VERSION");
        let (name, steps) = (&config.name, config.hparams.max_seq_len);
        format!(
            "{version} {name} {steps} {seed} {monophonic} {least_notes} {roland:?} {drums:?} {every}"
        )
    }
}

/// Writes what a dataset's folder says about it.
pub(super) fn write_description(
    dataset: &Path,
    description: &Description,
) -> Result<(), DatasetError> {
    let text = serde_json::to_string_pretty(description).expect("plain data has a JSON form");
    write_text(&dataset.join(DESCRIPTION), &text)
}

/// Reads what a dataset's folder says about it.
///
/// # Errors
/// [`DatasetError`] when the description is missing or damaged.
pub fn describe(dataset: &Path) -> Result<Description, DatasetError> {
    let path = dataset.join(DESCRIPTION);
    let text = fs::read_to_string(&path)
        .map_err(|source| DatasetError::Io { path: path.clone(), source })?;
    serde_json::from_str(&text)
        .map_err(|error| DatasetError::Format { path, reason: error.to_string() })
}

fn write_text(path: &Path, text: &str) -> Result<(), DatasetError> {
    interlude_models::files::write(path, text.as_bytes())
        .map_err(|source| DatasetError::Io { path: path.to_owned(), source })
}

/// A text without line breaks of its own, which names from archives may have, and one at its end.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ") + "\n"
}
