//! The editor's content and the user's actions, as plain data.

use std::path::PathBuf;

use interlude_models::clip::Clip;

use crate::{
    key::Key,
    provider::Choice,
    shape::{Attribute, Shape},
    slots::{SLOTS, SlotId},
    sound::{Mix, Part},
    table,
};

/// The editor's content at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The slots, in order.
    pub slots: [SlotView; SLOTS],
    /// The pattern that plays, or would play.
    pub pattern: PatternView,
    /// The key that holds the notes of all clips, in words; `None` where none does.
    pub clips_key: Option<String>,
    /// The values of the parameters.
    pub parameters: ParameterView,
    /// Names of the models that can be chosen, as the menu lists them.
    pub models: Vec<String>,
    /// Which of [`View::models`] is in use; `None` while no model is loaded.
    pub model: Option<usize>,
    /// Whether the model has a vector for each attribute; sliders of others are disabled.
    pub attributes: [bool; Attribute::ALL.len()],
    /// The style that new clips are drawn from.
    pub style: StyleView,
    /// Model, execution provider and decoding times.
    pub engine: EngineView,
    /// An error and its remedy, in whole sentences. It is shown until the user closes it; another
    /// text shows it again.
    pub message: Option<String>,
}

/// One slot.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SlotView {
    /// The clip; `None` in an empty slot.
    pub clip: Option<Clip>,
    /// Where the clip came from: a file name or "Captured".
    pub source: String,
    /// State of a capture.
    pub capture: Capture,
    /// What has been played so far, while the slot records.
    pub recording: Option<Clip>,
    /// Whether the slot's last change can be undone.
    pub can_undo: bool,
    /// Whether the model in use cannot read the clip.
    pub unread: bool,
}

/// The state of a slot's capture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Capture {
    /// Not armed.
    #[default]
    Idle,
    /// Armed, waiting for the transport and the next bar.
    Armed,
    /// Armed and recording; `progress` is the share of the window that is past, in `0..=1`.
    Recording {
        /// The share of the window that is past, in `0..=1`.
        progress: f32,
    },
    /// No longer armed: the window that has just ended is in the slot.
    Done,
}

impl Capture {
    /// Whether the slot is armed.
    pub fn is_armed(self) -> bool {
        matches!(self, Self::Armed | Self::Recording { .. })
    }
}

/// The playing pattern and the place of the song position in it.
#[derive(Clone, Debug, PartialEq)]
pub struct PatternView {
    /// The pattern in 4/4 bars; `None` before the first one is made.
    pub clip: Option<Clip>,
    /// Bars in one cycle.
    pub bars: usize,
    /// Quarter notes in one bar of the host's time signature; bar `k` of the pattern plays at
    /// bar `k` of the cycle.
    pub beats_per_bar: f64,
    /// Quarter notes since the cycle began.
    pub position: f64,
    /// The cycle that plays, counted from song position 0.
    pub cycle: i64,
    /// Whether the host's transport rolls.
    pub playing: bool,
}

impl Default for PatternView {
    fn default() -> Self {
        Self { clip: None, bars: 2, beats_per_bar: 4.0, position: 0.0, cycle: 0, playing: false }
    }
}

/// The values of the parameters, in their own units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterView {
    /// The point between A (0) and B (1).
    pub morph: f32,
    /// The sampling temperature, in the range of [`table::TEMPERATURE`].
    pub temperature: f32,
    /// Requested change of each attribute, in `-REACH..=REACH` standard deviations
    /// ([`REACH`](crate::shape::REACH)).
    pub shape: Shape,
    /// The key that notes keep to.
    pub key: Key,
    /// The seed, in the range of [`table::SEED`].
    pub seed: i32,
    /// Whether each cycle has noise of its own.
    pub evolve: bool,
    /// Whether generated notes are sent to the host.
    pub output: bool,
    /// Whether incoming notes are passed on.
    pub thru: bool,
    /// Whether the host bypasses the plug-in.
    pub bypass: bool,
    /// What the preview plays.
    pub sound: Mix,
}

impl Default for ParameterView {
    fn default() -> Self {
        Self {
            morph: table::MORPH.default,
            temperature: table::TEMPERATURE.default,
            shape: Shape::default(),
            key: Key::at(table::KEY.default),
            seed: table::SEED.default,
            evolve: table::EVOLVE.default,
            output: table::OUTPUT.default,
            thru: table::THRU.default,
            bypass: table::BYPASS.default,
            sound: table::mix(),
        }
    }
}

/// A style learnt from clips, and the learning of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StyleView {
    /// What the style was learnt from; `None` without one.
    pub source: Option<String>,
    /// Whether it was learnt with the model in use, and counts.
    pub fits: bool,
    /// Progress of training, in `0..=1`; `None` while none runs.
    pub learning: Option<f32>,
}

impl StyleView {
    /// Whether new ideas come from a style.
    pub(super) fn counts(&self) -> bool {
        self.source.is_some() && self.fits
    }
}

/// Model, execution provider and decoding times.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineView {
    /// The execution provider in use: "CPU", "CUDA"; empty while none runs.
    pub provider: String,
    /// The providers that can be chosen; empty where there is nothing to choose.
    pub choices: Vec<Choice>,
    /// What was chosen to compute.
    pub chosen: Choice,
    /// The version of ONNX Runtime: "1.32.0"; empty while none is started.
    pub runtime: String,
    /// Whether a model is being loaded.
    pub loading: bool,
    /// How long the last pattern took to decode, in milliseconds.
    pub decode_ms: Option<f32>,
    /// Recent cycles that began before their pattern was ready.
    pub late_cycles: u64,
    /// Prominence of that warning, in `0..=1`, fading with time.
    pub late_glow: f32,
}

impl Default for EngineView {
    fn default() -> Self {
        Self {
            provider: String::new(),
            choices: Vec::new(),
            chosen: Choice::default(),
            runtime: String::new(),
            loading: false,
            decode_ms: None,
            late_cycles: 0,
            late_glow: 1.0,
        }
    }
}

/// A change of a continuous parameter. Hosts record automation between `Begin` and `End`; every
/// `Set` lies between the two.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gesture<T> {
    /// A gesture begins.
    Begin,
    /// The parameter's new value, in its own unit.
    Set(T),
    /// The gesture ends.
    End,
}

/// An action of the user.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Move the point between A (0) and B (1).
    Morph(Gesture<f32>),
    /// Change the temperature.
    Temperature(Gesture<f32>),
    /// Change an attribute.
    Shape(Attribute, Gesture<f32>),
    /// Choose the key.
    Key(Key),
    /// Change the seed.
    Seed(Gesture<i32>),
    /// Switch new noise for each cycle on or off.
    Evolve(bool),
    /// Switch generated notes on or off.
    Output(bool),
    /// Switch the passing on of incoming notes on or off.
    Thru(bool),
    /// Switch the preview on or off.
    Sound(bool),
    /// Choose the sound of a part, a position in [`SOUND_NAMES`](crate::sound::SOUND_NAMES).
    SoundOf(Part, usize),
    /// Change the level of a part of the preview, in decibels.
    SoundLevel(Part, Gesture<f32>),
    /// Silence (`true`) a part of the preview, or let it sound.
    SoundMute(Part, bool),
    /// Arm (`true`) or disarm the capture of a slot.
    Capture(SlotId, bool),
    /// Load a MIDI file into a slot.
    LoadFile(SlotId, PathBuf),
    /// Empty a slot.
    Clear(SlotId),
    /// Bring back the slot's clip from before the last change.
    Undo(SlotId),
    /// Exchange the slots.
    Swap,
    /// Put a new clip into a slot, drawn from the style or from the model's prior.
    Draw(SlotId),
    /// Learn a style from MIDI files.
    LearnFiles(Vec<PathBuf>),
    /// Learn a style from the clips in the slots.
    LearnSlots,
    /// Stop learning.
    StopLearning,
    /// Remove the style: draw from the model's prior again.
    ForgetStyle,
    /// Use another model: its position in [`View::models`].
    ChooseModel(usize),
    /// Compute with another provider, for all projects on this machine.
    Compute(Choice),
    /// Write the playing pattern to a MIDI file.
    ExportPattern(PathBuf),
}
