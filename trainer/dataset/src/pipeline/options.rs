//! Options and progress of a build.

use std::path::PathBuf;

use interlude_models::config::Config;

/// Options of a build.
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
    /// Minimum number of notes that begin in a window; with several parts, in each.
    pub least_notes: usize,
    /// Column of tables among the sources that names the split of a file. Another one than
    /// [`crate::splits::COLUMN`] has to be there.
    pub split_column: String,
    /// Files whose path has this text in it have the drum pitches of Roland's kits.
    pub roland: Option<String>,
    /// Drum performances, when the sources are to be arranged as trios with them.
    pub drums: Option<Vec<PathBuf>>,
    /// One of this many consecutive windows is kept.
    pub every: usize,
    /// Shard of the files that is read: number (from 1) and count.
    pub shard: Option<(u32, u32)>,
}

impl Options {
    /// The options that determine the windows of a file; a journal of a build with others is not
    /// used.
    pub(crate) fn key(&self) -> String {
        let Self { config, seed, monophonic, least_notes, roland, drums, every, .. } = self;
        let version = env!("CARGO_PKG_VERSION");
        let (name, steps) = (&config.name, config.hparams.max_seq_len);
        // Tables decide which drums a piece is arranged with, but not what other windows are.
        let column = drums.as_ref().map(|_| &self.split_column);
        format!(
            "{version} {name} {steps} {seed} {monophonic} {least_notes} {roland:?} {drums:?} \
             {column:?} {every}"
        )
    }
}

/// Progress of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    /// Files that are done.
    pub files: usize,
    /// Bytes that were read of the sources.
    pub read: u64,
    /// Bytes of all sources.
    pub of: u64,
}
