//! Building a dataset: files to windows, without duplicates, split by file.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use interlude_models::config::{Config, Scheme};
use interlude_models::midi::NoteSequence;
use interlude_models::tokens::{self, Limit, Tokens};
use rayon::iter::{ParallelBridge, ParallelIterator};
use serde::{Deserialize, Serialize};

use super::{DatasetError, Split, monophony, source, store};

/// Name of the description in a dataset's folder.
pub const DESCRIPTION: &str = "dataset.json";
/// Name of the list of files without a window.
pub const SKIPPED: &str = "skipped.txt";
/// Files that wait for a thread.
const WAITING: usize = 64;
/// Share of the files, in thousandths, that validation and test get each.
const HELD_OUT: u32 = 50;
/// Lowest melody token that is a pitch.
const FIRST_PITCH: u8 = 2;

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
    /// Fewest notes that begin in a window.
    pub least_notes: usize,
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
    /// Files read.
    pub files: usize,
    /// Files that gave no window.
    pub skipped: usize,
    /// Windows that were there more than once.
    pub duplicates: usize,
    /// Windows and files of each split.
    pub splits: BTreeMap<Split, Count>,
}

/// Size of a split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Windows.
    pub windows: usize,
    /// Files they are from.
    pub files: usize,
}

/// What one file gave.
struct Outcome {
    name: Arc<str>,
    windows: Result<Vec<Vec<u8>>, String>,
}

/// The split of a file, by its name alone.
pub fn split_of(name: &str, seed: u64) -> Split {
    let hash = crc32c::crc32c_append(crc32c::crc32c(&seed.to_le_bytes()), name.as_bytes());
    match hash % 1000 {
        share if share < HELD_OUT => Split::Validation,
        share if share < 2 * HELD_OUT => Split::Test,
        _ => Split::Train,
    }
}

/// Builds a dataset. `progress` hears how many files are done.
///
/// A window that several files share is kept once, in the split that comes first in
/// [`Split::ALL`]: what is held out was never trained on.
///
/// # Errors
/// [`DatasetError`] when no window comes out or the folder cannot be written.
pub fn build(
    options: &Options,
    progress: &(dyn Fn(usize) + Sync),
) -> Result<Description, DatasetError> {
    let Scheme::Melody { .. } = options.config.scheme else {
        return Err(DatasetError::Unsupported(options.config.name.clone()));
    };
    let done = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel(WAITING);
    let mut outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        scope.spawn(move || source::send_all(&options.sources, &sender));
        receiver
            .into_iter()
            .par_bridge()
            .map(|file| {
                let windows = file.content.and_then(|bytes| windows(&bytes, options));
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                Outcome { name: file.name.into(), windows }
            })
            .collect()
    });
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));

    fs::create_dir_all(&options.out)
        .map_err(|source| DatasetError::Io { path: options.out.clone(), source })?;
    let skipped: Vec<(&str, &str)> = outcomes
        .iter()
        .filter_map(|outcome| Some((&*outcome.name, outcome.windows.as_ref().err()?.as_str())))
        .collect();
    let lines: String =
        skipped.iter().map(|(name, reason)| format!("{name}: {reason}\n")).collect();
    write_text(&options.out.join(SKIPPED), &lines)?;

    let mut seen = HashSet::new();
    let mut duplicates = 0;
    let mut splits = BTreeMap::new();
    for split in Split::ALL {
        let mut rows = Vec::new();
        let mut count = Count::default();
        for outcome in &outcomes {
            let Ok(windows) = &outcome.windows else { continue };
            if split_of(&outcome.name, options.seed) != split {
                continue;
            }
            let before = rows.len();
            for window in windows {
                if seen.insert(window.clone()) {
                    rows.push((window.clone(), outcome.name.clone()));
                } else {
                    duplicates += 1;
                }
            }
            count.files += usize::from(rows.len() > before);
        }
        count.windows = rows.len();
        store::write(&options.out, split, options.config.hparams.max_seq_len, &rows)?;
        splits.insert(split, count);
    }
    if splits.values().all(|count| count.windows == 0) {
        let reasons: Vec<String> =
            skipped.iter().take(3).map(|(name, reason)| format!("{name}: {reason}")).collect();
        let reasons = reasons.join("; ");
        return Err(DatasetError::Empty { files: outcomes.len(), reasons });
    }
    let description = Description {
        config: options.config.name.clone(),
        steps: options.config.hparams.max_seq_len,
        seed: options.seed,
        sources: options.sources.iter().map(|source| source.display().to_string()).collect(),
        monophonic: options.monophonic,
        least_notes: options.least_notes,
        files: outcomes.len(),
        skipped: skipped.len(),
        duplicates,
        splits,
    };
    let text = serde_json::to_string_pretty(&description).expect("plain data has a JSON form");
    write_text(&options.out.join(DESCRIPTION), &text)?;
    Ok(description)
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
    let io = |source| DatasetError::Io { path: path.to_owned(), source };
    let folder = path.parent().expect("files of a dataset lie in its folder");
    let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    std::io::Write::write_all(&mut temporary, text.as_bytes()).map_err(io)?;
    temporary.persist(path).map_err(|error| io(error.error))?;
    Ok(())
}

/// The windows of one file that are good enough; the error says why there is none.
fn windows(bytes: &[u8], options: &Options) -> Result<Vec<Vec<u8>>, String> {
    let mut sequence = NoteSequence::from_bytes(bytes).map_err(|error| error.to_string())?;
    if options.monophonic {
        monophony::keep_melodies(&mut sequence);
        if sequence.notes.is_empty() {
            return Err("no part of it plays one note at a time".to_owned());
        }
    }
    let found = tokens::extract(&options.config, &sequence, Limit::All)
        .map_err(|error| error.to_string())?;
    let kept: Vec<Vec<u8>> = found
        .into_iter()
        .filter_map(|window| match window.tokens {
            Tokens::Melody(melody) => Some(melody),
            _ => None,
        })
        .filter(|melody| {
            let notes = melody.iter().filter(|&&token| token >= FIRST_PITCH).count();
            notes >= options.least_notes
        })
        .collect();
    if kept.is_empty() {
        let least = options.least_notes;
        return Err(format!("no window has {least} notes that begin in it"));
    }
    Ok(kept)
}
