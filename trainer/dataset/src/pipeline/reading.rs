//! Reading the sources of a dataset on all cores.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use interlude_models::midi::{self, NoteSequence, Warning};
use interlude_models::tokens::{self, Limit};
use rayon::iter::{ParallelBridge, ParallelIterator};

use super::options::{Done, Options};
use crate::arrange::Drums;
use crate::journal::{Journal, Outcome};
use crate::names::{self, ARRANGED};
use crate::source::{self, Content, SourceFile};
use crate::splits::{SplitError, Splits, split_of};
use crate::{layout, monophony};

/// Most warnings that are kept of one damaged file.
const LOSSES: usize = 3;
/// Files that wait for a thread.
const WAITING: usize = 64;

/// Reads the drum performances that pieces are arranged with.
///
/// # Errors
/// [`SplitError`] when a table among them cannot be obeyed.
pub(crate) fn performances(sources: &[PathBuf], options: &Options) -> Result<Drums, SplitError> {
    let mut splits = Splits::default();
    let mut all = Vec::new();
    for_each(sources, |SourceFile { name, content }| match content {
        Ok(Content::Table(bytes)) => {
            // A table that cannot be read is told of when it is among the sources.
            let _ = splits.add(&name, &bytes, &options.split_column);
        }
        Ok(Content::Midi(bytes)) => {
            all.extend(NoteSequence::from_bytes(&bytes).ok().map(|music| (name, vec![music])));
        }
        Ok(Content::Music(music)) => all.push((name, music)),
        Err(_) => {}
    });
    let files: BTreeSet<String> = all.iter().map(|(name, _)| name.clone()).collect();
    let listed = splits.assign(&files, sources, &options.split_column)?;
    let keys = names::keys(&files, sources);
    let mut drums = Drums::default();
    for (name, mut music) in all {
        if is_of_roland(&name, options) {
            music.iter_mut().for_each(tokens::roland_to_general);
        }
        let split = listed.of(&name).unwrap_or_else(|| split_of(&keys[&name], options.seed));
        drums.add(split, &music);
    }
    Ok(drums)
}

/// Calls `each` with all files of some sources, in the order of their names.
fn for_each(sources: &[PathBuf], each: impl FnMut(SourceFile)) {
    let (sender, receiver) = sync_channel(WAITING);
    std::thread::scope(|scope| {
        scope.spawn(move || source::send_all(sources, &sender, &AtomicU64::new(0)));
        receiver.into_iter().for_each(each);
    });
}

/// Whether a file has the drum pitches of Roland's kits.
fn is_of_roland(name: &str, options: &Options) -> bool {
    options.roland.as_ref().is_some_and(|roland| name.contains(roland))
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What each file gave, by name.
    pub(crate) outcomes: Vec<Outcome>,
    /// The names of all files, those of other shares too.
    pub(crate) names: BTreeSet<String>,
    /// Tables among the files.
    pub(crate) tables: Splits,
}

/// Reads all files. What the journal knows is not read again.
///
/// # Errors
/// When the journal cannot be written.
pub(crate) fn read_all(
    options: &Options,
    drums: Option<&Drums>,
    journal: &mut Journal,
    progress: &(dyn Fn(Done) + Sync),
) -> io::Result<Reading> {
    let journal = Mutex::new(journal);
    let found = Mutex::new((BTreeSet::new(), Splits::default()));
    let (done, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let size = source::size(&options.sources);
    // The drums of a piece are of its split, so the splits must be known before.
    let keys = drums.map(|_| {
        let mut names = BTreeSet::new();
        for_each(&options.sources, |file| {
            names.insert(file.name);
        });
        names::keys(&names, &options.sources)
    });
    let (sender, receiver) = sync_channel(WAITING);
    let read = |SourceFile { name, content }: SourceFile| -> Option<io::Result<Outcome>> {
        {
            let (names, tables) = &mut *found.lock().unwrap_or_else(PoisonError::into_inner);
            if let Ok(Content::Table(bytes)) = &content {
                let reason = tables.add(&name, bytes, &options.split_column).err()?;
                return Some(Ok(Outcome { name, windows: Err(reason), losses: Vec::new() }));
            }
            names.insert(name.clone());
        }
        if options.shard.is_some_and(|shard| !is_in(&name, options, shard)) {
            return None;
        }
        let full = if drums.is_some() { format!("{ARRANGED}{name}") } else { name.clone() };
        let known = journal.lock().unwrap_or_else(PoisonError::into_inner).take(&full);
        let result = match known {
            Some(outcome) => Ok(outcome),
            None => {
                let key = keys.as_ref().and_then(|keys| keys.get(&name)).map(String::as_str);
                let drums = drums.zip(key);
                let mut losses = Vec::new();
                let windows = match content {
                    Ok(Content::Midi(bytes)) => midi::from_bytes(&bytes)
                        .map_err(|error| error.to_string())
                        .and_then(|(sequence, warnings)| {
                            losses = lost(&warnings);
                            windows(sequence, &name, options, drums)
                        }),
                    Ok(Content::Music(music)) => several(music, &name, options, drums),
                    Ok(Content::Table(_)) => unreachable!("tables are taken out above"),
                    Err(reason) => Err(reason),
                };
                let outcome = Outcome { name: full, windows, losses };
                let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
                journal.add(&outcome).map(|()| outcome)
            }
        };
        let files = done.fetch_add(1, Ordering::Relaxed) + 1;
        progress(Done { files, read: bytes.load(Ordering::Relaxed), of: size });
        Some(result)
    };
    let outcomes: io::Result<Vec<Outcome>> = std::thread::scope(|scope| {
        let bytes = &bytes;
        scope.spawn(move || source::send_all(&options.sources, &sender, bytes));
        receiver.into_iter().par_bridge().filter_map(read).collect()
    });
    let mut outcomes = outcomes?;
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    let (names, tables) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Reading { outcomes, names, tables })
}

/// What music is missing of a file, in few phrases.
fn lost(warnings: &[Warning]) -> Vec<String> {
    let all: Vec<&Warning> = warnings.iter().filter(|warning| warning.is_loss()).collect();
    let mut told: Vec<String> = all.iter().take(LOSSES).map(ToString::to_string).collect();
    if let more @ 1.. = all.len().saturating_sub(LOSSES) {
        told.push(format!("and {more} more like these"));
    }
    told
}

/// Whether a file is in a share of all, by its path below its source.
fn is_in(name: &str, options: &Options, (number, count): (u32, u32)) -> bool {
    let key = names::below(name, &options.sources);
    crc32c::crc32c(key.as_bytes()) % count.max(1) + 1 == number
}

/// The windows of several pieces of music; the error is that of the first when none has any.
fn several(
    music: Vec<NoteSequence>,
    name: &str,
    options: &Options,
    drums: Option<(&Drums, &str)>,
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

/// The windows of a piece of music that have enough notes; the error says why there is none.
fn windows(
    mut sequence: NoteSequence,
    name: &str,
    options: &Options,
    drums: Option<(&Drums, &str)>,
) -> Result<Vec<Vec<u16>>, String> {
    if let Some((drums, key)) = drums {
        let split = split_of(key, options.seed);
        sequence = drums.arrange(&sequence, key, split, options.seed)?;
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
        .filter(|window| layout::notes(&options.config, window) >= options.least_notes)
        .map(|window| layout::write(&options.config, window))
        .collect();
    if kept.is_empty() {
        let least = options.least_notes;
        return Err(format!("no window has {least} notes that begin in it"));
    }
    Ok(kept)
}
