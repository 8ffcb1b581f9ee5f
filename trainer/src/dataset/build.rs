//! Building a dataset: files to windows, without duplicates, split by file.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use interlude_models::config::{self, Config};
use interlude_models::midi::NoteSequence;
use interlude_models::tokens::{self, Limit};
use rayon::iter::{ParallelBridge, ParallelIterator};
use serde::{Deserialize, Serialize};

use super::arrange::Drums;
use super::source::{self, Content, SourceFile};
use super::splits::{self, Splits};
use super::{DatasetError, Split, layout, monophony, store};

/// Name of the description in a dataset's folder.
pub const DESCRIPTION: &str = "dataset.json";
/// Name of the list of files without a window.
pub const SKIPPED: &str = "skipped.txt";
/// What the sources of windows begin with that were made by rule.
pub const ARRANGED: &str = "arranged:";
/// Files that wait for a thread.
const WAITING: usize = 64;
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

/// What one file gave.
struct Outcome {
    name: String,
    windows: Result<Vec<Vec<u16>>, String>,
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
    let drums = options.drums.as_ref().map(|sources| performances(sources, options));
    let (outcomes, splits) = read_all(options, drums.as_ref(), progress);
    fs::create_dir_all(&options.out)
        .map_err(|source| DatasetError::Io { path: options.out.clone(), source })?;
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
        return Err(DatasetError::Empty { files: outcomes.len(), reasons });
    }
    let description = Description {
        config: options.config.name.clone(),
        steps,
        seed: options.seed,
        sources: options.sources.iter().map(|source| source.display().to_string()).collect(),
        monophonic: options.monophonic,
        least_notes: options.least_notes,
        arranged: drums.is_some(),
        files: outcomes.len(),
        skipped: skipped.len(),
        duplicates,
        splits: counts,
    };
    write_description(&options.out, &description)?;
    Ok(description)
}

/// Writes what a dataset's folder says about it.
pub(super) fn write_description(
    dataset: &Path,
    description: &Description,
) -> Result<(), DatasetError> {
    let text = serde_json::to_string_pretty(description).expect("plain data has a JSON form");
    write_text(&dataset.join(DESCRIPTION), &text)
}

/// Reads the drum performances that pieces are arranged with.
fn performances(sources: &[PathBuf], options: &Options) -> Drums {
    let (sender, receiver) = sync_channel(WAITING);
    let mut splits = Splits::default();
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || source::send_all(sources, &sender));
        for SourceFile { name, content } in receiver {
            match content {
                Ok(Content::Table(bytes)) => {
                    // A table that cannot be read is told of when it is among the sources.
                    let _ = splits.add(&bytes, &options.split_column);
                }
                Ok(Content::Midi(bytes)) => {
                    all.extend(NoteSequence::from_bytes(&bytes).ok().map(|music| (name, music)));
                }
                Ok(Content::Music(music)) => {
                    all.extend(music.into_iter().map(|music| (name.clone(), music)));
                }
                Err(_) => {}
            }
        }
    });
    let mut drums = Drums::default();
    for (name, mut music) in all {
        if is_of_roland(&name, options) {
            tokens::roland_to_general(&mut music);
        }
        drums.add(splits.of(&name).unwrap_or_else(|| split_of(&name, options.seed)), &music);
    }
    drums
}

/// Whether a file has the drum pitches of Roland's kits.
fn is_of_roland(name: &str, options: &Options) -> bool {
    options.roland.as_ref().is_some_and(|roland| name.contains(roland))
}

/// Reads all files: what each of them gave, by name, and the splits that tables among them name.
fn read_all(
    options: &Options,
    drums: Option<&Drums>,
    progress: &(dyn Fn(usize) + Sync),
) -> (Vec<Outcome>, Splits) {
    let done = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel(WAITING);
    let splits = std::sync::Mutex::new(Splits::default());
    let mut outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        scope.spawn(move || source::send_all(&options.sources, &sender));
        receiver
            .into_iter()
            .par_bridge()
            .filter_map(|SourceFile { name, content }| {
                let windows = match content {
                    Ok(Content::Table(bytes)) => {
                        let mut splits = splits.lock().unwrap_or_else(|lock| lock.into_inner());
                        match splits.add(&bytes, &options.split_column) {
                            Ok(_) => return None,
                            Err(reason) => Err(reason),
                        }
                    }
                    Ok(Content::Midi(bytes)) => NoteSequence::from_bytes(&bytes)
                        .map_err(|error| error.to_string())
                        .and_then(|sequence| windows(sequence, &name, options, drums)),
                    Ok(Content::Music(music)) => several(music, &name, options, drums),
                    Err(reason) => Err(reason),
                };
                progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                let name = if drums.is_some() { format!("{ARRANGED}{name}") } else { name };
                Some(Outcome { name, windows })
            })
            .collect()
    });
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    (outcomes, splits.into_inner().unwrap_or_else(|lock| lock.into_inner()))
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
    crate::files::write(path, text.as_bytes())
        .map_err(|source| DatasetError::Io { path: path.to_owned(), source })
}

/// A text without line breaks of its own, which names from archives may have, and one at its end.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ") + "\n"
}

/// The windows of several pieces of music; the error is that of the first when none has any.
fn several(
    music: Vec<NoteSequence>,
    name: &str,
    options: &Options,
    drums: Option<&Drums>,
) -> Result<Vec<Vec<u16>>, String> {
    let (mut found, mut reason) = (Vec::new(), None);
    for sequence in music {
        match windows(sequence, name, options, drums) {
            Ok(mut more) => found.append(&mut more),
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    match reason {
        Some(reason) if found.is_empty() => Err(reason),
        _ => Ok(found),
    }
}

/// The windows of a piece of music that are good enough; the error says why there is none.
fn windows(
    mut sequence: NoteSequence,
    name: &str,
    options: &Options,
    drums: Option<&Drums>,
) -> Result<Vec<Vec<u16>>, String> {
    if let Some(drums) = drums {
        // A table cannot change the split of such a piece: it has the drums of its own.
        let split = split_of(name, options.seed);
        sequence = drums.arrange(&sequence, name, split, options.seed)?;
    }
    if options.monophonic {
        monophony::keep_melodies(&mut sequence);
        if sequence.notes.is_empty() {
            return Err("no part of it plays one note at a time".to_owned());
        }
    }
    if is_of_roland(name, options) {
        tokens::roland_to_general(&mut sequence);
    }
    let found = tokens::extract(&options.config, &sequence, Limit::All)
        .map_err(|error| error.to_string())?;
    let kept: Vec<Vec<u16>> = found
        .iter()
        .step_by(options.every.max(1))
        .filter(|window| layout::notes(window) >= options.least_notes)
        .map(|window| layout::write(&options.config, window))
        .collect();
    if kept.is_empty() {
        let least = options.least_notes;
        return Err(format!("no window has {least} notes that begin in it"));
    }
    Ok(kept)
}
