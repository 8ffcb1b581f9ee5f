//! What families are described in: kinds of output, voices, walks, words, columns, training.

/// Segments of the windows of hierarchical models of melodies and trios, one for each of 16 bars.
pub const SEGMENTS: usize = 16;

/// The shape of the decoder's output at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputKind {
    /// One token out of a vocabulary.
    Categorical,
    /// Several tokens, each out of its own vocabulary, from one LSTM stack.
    MultiCategorical,
    /// Several tokens, each from an LSTM stack of its own.
    SplitCategorical,
    /// Bits that depend on each other in order.
    Nade,
    /// Hits, velocities and offsets of each class of drums.
    Groove,
}

impl OutputKind {
    /// Whether a step consists of tokens rather than bits or values.
    pub const fn is_tokens(self) -> bool {
        match self {
            Self::Categorical | Self::MultiCategorical | Self::SplitCategorical => true,
            Self::Nade | Self::Groove => false,
        }
    }
}

/// A voice: a part of a family's music, such as melody, bass or drums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// Name, one lower-case word.
    pub name: &'static str,
    /// Zero-based MIDI channel of its notes.
    pub channel: u8,
    /// Whether it is drums; else it plays one note at a time.
    pub is_drums: bool,
}

/// How windows are placed in a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walk {
    /// In each section of constant tempo and time signature, a window may begin at any bar.
    Bars,
    /// The sequence is read as a whole, and a window begins where the one before ends.
    Windows,
}

impl Walk {
    /// Windows of `bars` bars after one of them that share bars with it.
    pub const fn overlap(self, bars: usize) -> usize {
        match self {
            Self::Bars => bars.saturating_sub(1),
            Self::Windows => 0,
        }
    }
}

/// What a family reads, as parts of a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of a file: "it needs …".
    pub of_file: &'static str,
    /// Of a clip: "it needs …".
    pub of_clip: &'static str,
    /// A further condition for a passage to be long enough, after the number of its bars.
    pub of_passage: &'static str,
}

/// How models of a family are trained where a run is only told how many steps it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Training {
    /// Learning rate of models of one level.
    pub learning_rate: f64,
    /// Weights of the KL divergence of models of one level, at the beginning and the end.
    pub beta: [f64; 2],
    /// The same of hierarchical models.
    pub hierarchical_beta: [f64; 2],
    /// Share of windows of models of one level that are mixed with others.
    pub mix: f64,
    /// Whether windows can be varied and mixed at all.
    pub mixes: bool,
}

impl Training {
    /// Settings of melodies, the default of others.
    pub const MELODY: Self = Self {
        learning_rate: 0.004,
        beta: [0.0, 0.02],
        hierarchical_beta: [0.0, 0.005],
        mix: 0.0,
        mixes: true,
    };
}

/// A converter of Magenta.js, as a model's `config.json` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Converter<'a> {
    /// Its type.
    pub name: &'a str,
    /// The encoder of chords, if there is one.
    pub chord_encoder: Option<&'a str>,
    /// Number of its classes of drums, if it names them.
    pub drum_classes: Option<usize>,
    /// Whether the encoder's input is a tapped rhythm.
    pub tapify: bool,
    /// Whether the encoder's input has neither velocities nor timing.
    pub humanize: bool,
}

impl Converter<'_> {
    /// Whether it has a type, and no chords.
    pub(super) fn is_plain(&self, name: &str) -> bool {
        self.name == name && self.chord_encoder.is_none()
    }
}

/// A column of the steps of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    /// Meaning of its numbers.
    pub kind: ColumnKind,
    /// Exclusive upper limit of its numbers.
    pub limit: u32,
}

impl Column {
    /// Whether a number means that a note begins or ends.
    pub const fn is_event(&self, number: u16) -> bool {
        match self.kind {
            ColumnKind::Melody | ColumnKind::Drums | ColumnKind::Hit => number != 0,
            ColumnKind::Chord | ColumnKind::Value => false,
        }
    }
}

/// Meaning of the numbers in a dataset's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Number of melody tokens.
    Melody,
    /// Classes of chords.
    Chord,
    /// Bits of drum classes, the first lowest.
    Drums,
    /// 1 for a hit of one class of drums, else 0.
    Hit,
    /// A velocity or offset that goes with a hit.
    Value,
}
