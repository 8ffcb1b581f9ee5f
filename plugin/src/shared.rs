//! What host, editor, worker and audio thread share.

use std::{collections::VecDeque, path::PathBuf, sync::Arc};

use interlude_models::clip::Clip;
use parking_lot::Mutex;

use crate::{
    link::Signals,
    player::Settings,
    provider::Choice,
    resources::InstalledModel,
    shape::Attribute,
    slots::{SLOTS, SlotId},
    state::Song,
};

/// Patterns kept for the editor; more than the player can have in use.
const PATTERNS_SHOWN: usize = 8;
/// The request that a [`Command::Preview`] is answered as.
pub const PREVIEW: u64 = u64::MAX;

/// What the editor asks of the worker.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Load a MIDI file into a slot.
    LoadFile(SlotId, PathBuf),
    /// Write the pattern that answered a request to a MIDI file.
    Export(u64, PathBuf),
    /// Learn a style from MIDI files.
    LearnFiles(Vec<PathBuf>),
    /// Learn a style from the clips in the slots.
    LearnSlots,
    /// Stop learning; the style is what it was.
    StopLearning,
    /// Put a new clip into a slot, drawn from the style, or from all that the model knows. The number
    /// decides which.
    Draw(SlotId, u64),
    /// Remember the folder of the file browser for the user's next editor.
    RememberFolder(PathBuf),
    /// Compute with what the user of this machine has chosen, and remember it.
    Compute(Choice),
    /// Look again which models there are.
    ListModels,
    /// Show what a cycle would play, where the host does not ask: its number, and what it would be
    /// made from.
    Preview(i64, Settings),
    /// Try to load the project's model again.
    Retry,
}

/// What the worker tells the editor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Status {
    /// The models that can be chosen.
    pub models: Vec<InstalledModel>,
    /// The model that is loaded, as the project names it.
    pub model: Option<String>,
    /// The execution provider that really runs; empty while none does.
    pub provider: String,
    /// What the user of this machine has chosen to compute with.
    pub provider_choice: Choice,
    /// Why the CPU computes in place of what was chosen, and how to mend it.
    pub provider_problem: Option<String>,
    /// Version of ONNX Runtime; empty while none is started.
    pub runtime: String,
    /// Which attributes the model can change.
    pub attributes: [bool; Attribute::ALL.len()],
    /// Whether a model is being loaded.
    pub loading: bool,
    /// How long the last pattern took, in milliseconds.
    pub decode_ms: Option<f32>,
    /// How far learning is, in `0..=1`; `None` while nothing is learnt.
    pub learning: Option<f32>,
    /// Whether the project's style was learnt with the model that is loaded.
    pub style_fits: bool,
    /// What is wrong with the model or the runtime, and how to mend it.
    pub model_problem: Option<String>,
    /// What is wrong with the clip in each slot for the model in use, and what would work.
    pub slot_problems: [Option<String>; SLOTS],
    /// Whether the model in use cannot read the clip in a slot.
    pub unread: [bool; SLOTS],
    /// Why the preview does not sound, and how to mend it.
    pub sound_problem: Option<String>,
    /// What was wrong with the latest clip or file, and how to mend it.
    pub clip_problem: Option<String>,
    /// The folder in which the user chose a file last, in any editor.
    pub folder: Option<PathBuf>,
    /// The latest patterns with the requests that they answer.
    pub patterns: VecDeque<(u64, Arc<Clip>)>,
}

impl Status {
    /// What the user should know: what was wrong with the latest clip, is wrong with those in the
    /// slots, with the model, with what computes, and with the preview.
    pub fn message(&self) -> Option<String> {
        let problems: Vec<&str> = std::iter::once(&self.clip_problem)
            .chain(&self.slot_problems)
            .chain([&self.model_problem, &self.provider_problem, &self.sound_problem])
            .flatten()
            .map(String::as_str)
            .collect();
        (!problems.is_empty()).then(|| problems.join("\n"))
    }

    /// Remembers a pattern for the editor.
    pub fn show_pattern(&mut self, request: u64, clip: Arc<Clip>) {
        self.patterns.truncate(PATTERNS_SHOWN - 1);
        self.patterns.push_front((request, clip));
    }

    /// The pattern that answers a request, or else the latest one.
    pub fn pattern(&self, request: u64) -> Option<&Arc<Clip>> {
        self.patterns
            .iter()
            .find(|(id, _)| *id == request)
            .or_else(|| self.patterns.front())
            .map(|(_, clip)| clip)
    }
}

/// The shared parts. The audio thread touches nothing but [`Shared::signals`].
#[derive(Debug)]
pub struct Shared {
    /// What the project saves.
    pub song: Song,
    /// The atomics.
    pub signals: Arc<Signals>,
    /// What the worker tells the editor.
    pub status: Mutex<Status>,
}

impl Shared {
    /// The shared parts around a project's state.
    pub fn new(song: Song) -> Arc<Self> {
        Arc::new(Self { song, signals: Arc::default(), status: Mutex::default() })
    }
}
