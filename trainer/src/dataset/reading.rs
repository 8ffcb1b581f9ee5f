//! Reading the sources of a dataset on all cores.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Mutex, PoisonError};

use interlude_models::midi::NoteSequence;
use interlude_models::tokens::{self, Limit};
use rayon::iter::{ParallelBridge, ParallelIterator};

use super::arrange::Drums;
use super::build::{ARRANGED, Done, Options, split_of};
use super::journal::{Journal, Outcome};
use super::source::{self, Content, SourceFile};
use super::splits::{self, Splits};
use super::{layout, monophony};

/// Files that wait for a thread.
const WAITING: usize = 64;

/// Reads the drum performances that pieces are arranged with.
pub(super) fn performances(sources: &[PathBuf], options: &Options) -> Drums {
    let (sender, receiver) = sync_channel(WAITING);
    let mut splits = Splits::default();
    let mut all = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(move || source::send_all(sources, &sender, &AtomicU64::new(0)));
        for SourceFile { name, content } in receiver {
            match content {
                Ok(Content::Table(bytes)) => {
                    // A table that cannot be read is told of when it is among the sources.
                    let _ = splits.add(&bytes, &options.split_column);
                }
                Ok(Content::Midi(bytes)) => {
                    all.extend(
                        NoteSequence::from_bytes(&bytes).ok().map(|music| (name, vec![music])),
                    );
                }
                Ok(Content::Music(music)) => all.push((name, music)),
                Err(_) => {}
            }
        }
    });
    let mut drums = Drums::default();
    for (name, mut music) in all {
        if is_of_roland(&name, options) {
            music.iter_mut().for_each(tokens::roland_to_general);
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
/// What the journal knows is not read again.
///
/// # Errors
/// When the journal cannot be written.
pub(super) fn read_all(
    options: &Options,
    drums: Option<&Drums>,
    (journal, known): (&mut Journal, HashMap<String, Vec<Outcome>>),
    progress: &(dyn Fn(Done) + Sync),
) -> io::Result<(Vec<Outcome>, Splits)> {
    let journal = Mutex::new((journal, known));
    let splits = Mutex::new(Splits::default());
    let (done, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
    let size = source::size(&options.sources);
    let (sender, receiver) = sync_channel(WAITING);
    let read = |SourceFile { name, content }: SourceFile| -> Option<io::Result<Outcome>> {
        if let Ok(Content::Table(bytes)) = &content {
            let mut splits = splits.lock().unwrap_or_else(PoisonError::into_inner);
            let reason = splits.add(bytes, &options.split_column).err()?;
            return Some(Ok(Outcome { name, windows: Err(reason) }));
        }
        if options.shard.is_some_and(|shard| !is_in(&name, shard)) {
            return None;
        }
        let full = if drums.is_some() { format!("{ARRANGED}{name}") } else { name.clone() };
        let known = {
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.1.get_mut(&full).and_then(Vec::pop)
        };
        let result = match known {
            Some(outcome) => Ok(outcome),
            None => {
                let windows = match content {
                    Ok(Content::Midi(bytes)) => NoteSequence::from_bytes(&bytes)
                        .map_err(|error| error.to_string())
                        .and_then(|sequence| windows(sequence, &name, options, drums)),
                    Ok(Content::Music(music)) => several(music, &name, options, drums),
                    Ok(Content::Table(_)) => unreachable!("tables are taken out above"),
                    Err(reason) => Err(reason),
                };
                let outcome = Outcome { name: full, windows };
                let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
                journal.0.add(&outcome).map(|()| outcome)
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
    Ok((outcomes, splits.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

/// Whether a file is in a share of all, by the last part of its path.
fn is_in(name: &str, (number, count): (u32, u32)) -> bool {
    crc32c::crc32c(splits::last(name).as_bytes()) % count.max(1) + 1 == number
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
