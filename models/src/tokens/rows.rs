//! Tokens as the numbers that networks read and write.
//!
//! Rows are laid out step by step: `[steps, depth]` in row-major order.

use super::{Controls, TokenError, Tokens, melody};
use crate::config::{Config, GrooveTask, OutputKind, Scheme};

/// Number of drum classes of the reduced map, which trio and groove share.
const REDUCED_CLASSES: usize = 9;
/// Combinations of the 9 classes.
const DRUM_COMBINATIONS: usize = 1 << REDUCED_CLASSES;
/// Melody tokens.
const MELODY_TOKENS: usize = melody::VOCABULARY as usize;
/// The class that a tapped rhythm is put on: open hi-hat.
const TAP_CLASS: usize = 3;
/// The class that `add closed hat` takes away.
const CLOSED_HAT_CLASS: usize = 2;

impl Tokens {
    /// Number of steps.
    pub fn len(&self) -> usize {
        match self {
            Self::Melody(steps) => steps.len(),
            Self::Drums(steps) => steps.len(),
            Self::Trio(steps) => steps.len(),
            Self::Groove(steps) => steps.len(),
        }
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the encoder reads, `[steps, config.input_depth()]`, without controls.
    ///
    /// For groove configurations this is where velocities, offsets or drums are taken away, as the
    /// configuration's task says; see [`Tokens::drop_hits`] for its note dropout.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for tokens of another scheme or out of range.
    pub fn input_rows(&self, config: &Config) -> Result<Vec<f32>, TokenError> {
        self.check(config)?;
        let depth = config.input_depth();
        let mut rows = vec![0.0; self.len() * depth];
        for (step, row) in rows.chunks_exact_mut(depth).enumerate() {
            match self {
                Self::Melody(tokens) => row[usize::from(tokens[step])] = 1.0,
                Self::Drums(classes) => {
                    write_bits(classes[step], row);
                    row[depth - 1] = f32::from(u8::from(classes[step] == 0));
                }
                Self::Trio(parts) => write_trio(parts[step], row),
                Self::Groove(values) => row.copy_from_slice(&groove_input(config, &values[step])),
            }
        }
        Ok(rows)
    }

    /// What the decoder is to write, `[steps, config.output_depth()]`: one-hot for categorical
    /// outputs, bits for NADE, values for groove.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for tokens of another scheme or out of range.
    pub fn output_rows(&self, config: &Config) -> Result<Vec<f32>, TokenError> {
        self.check(config)?;
        let depth = config.output_depth();
        let mut rows = vec![0.0; self.len() * depth];
        for (step, row) in rows.chunks_exact_mut(depth).enumerate() {
            match self {
                Self::Melody(tokens) => row[usize::from(tokens[step])] = 1.0,
                Self::Drums(classes) if config.scheme == Scheme::Drums => {
                    row[usize::try_from(classes[step]).unwrap_or(0)] = 1.0;
                }
                Self::Drums(classes) => write_bits(classes[step], row),
                Self::Trio(parts) => write_trio(parts[step], row),
                Self::Groove(values) => row.copy_from_slice(&values[step]),
            }
        }
        Ok(rows)
    }

    /// The class of each categorical part of the output, `[steps, config.outputs().len()]`.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for tokens of another scheme or out of range, and for NADE and groove
    /// outputs, which have no classes.
    pub fn ids(&self, config: &Config) -> Result<Vec<u16>, TokenError> {
        self.check(config)?;
        match self {
            Self::Melody(tokens) => Ok(tokens.iter().copied().map(u16::from).collect()),
            Self::Drums(classes) if config.scheme == Scheme::Drums => {
                Ok(classes.iter().map(|&bits| u16::try_from(bits).unwrap_or(0)).collect())
            }
            Self::Trio(parts) => Ok(parts.as_flattened().to_vec()),
            _ => Err(shape(config, "its output has no classes")),
        }
    }

    /// Tokens from the class of each categorical part, `[steps, config.outputs().len()]`.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for a length that is no number of steps, classes out of range, and
    /// configurations whose output has no classes.
    pub fn from_ids(config: &Config, ids: &[u16]) -> Result<Self, TokenError> {
        let out_of_range = || shape(config, "a class is out of range");
        let tokens = match config.scheme {
            Scheme::Melody { .. } | Scheme::MelodyChords => Self::Melody(
                ids.iter()
                    .map(|&id| u8::try_from(id).map_err(|_| out_of_range()))
                    .collect::<Result<_, _>>()?,
            ),
            Scheme::Drums => Self::Drums(ids.iter().copied().map(u64::from).collect()),
            Scheme::Trio => match ids.as_chunks::<3>() {
                (parts, []) => Self::Trio(parts.to_vec()),
                _ => return Err(shape(config, "the number of classes is not three a step")),
            },
            Scheme::DrumRoll(_) | Scheme::Groove(_) => {
                return Err(shape(config, "its output has no classes"));
            }
        };
        tokens.check(config)?;
        Ok(tokens)
    }

    /// Tokens from decoder output, `[steps, config.output_depth()]`: the largest of each
    /// categorical part, bits above one half, or the values of a groove held in their ranges.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for a length that is no number of steps.
    pub fn from_output_rows(config: &Config, rows: &[f32]) -> Result<Self, TokenError> {
        let depth = config.output_depth();
        if !rows.len().is_multiple_of(depth) {
            return Err(shape(config, "the number of values is not a number of steps"));
        }
        let steps = rows.chunks_exact(depth);
        match config.output_kind() {
            OutputKind::Nade => Ok(Self::Drums(steps.map(read_bits).collect())),
            OutputKind::Groove => Ok(Self::Groove(steps.map(read_groove).collect())),
            _ => {
                let mut ids = Vec::with_capacity(steps.len() * config.outputs().len());
                for row in steps {
                    let mut rest = row;
                    for width in config.outputs() {
                        let (part, tail) = rest.split_at(*width);
                        ids.push(largest(part));
                        rest = tail;
                    }
                }
                Self::from_ids(config, &ids)
            }
        }
    }

    /// Drops hits of a groove: each with `probability`, soft ones more often. `random` gives
    /// numbers in `0..1`.
    ///
    /// A training example of the note-dropout configuration draws its probability from `0..0.8`
    /// and uses the result as encoder input only. Other tokens stay as they are.
    pub fn drop_hits(&mut self, probability: f32, mut random: impl FnMut() -> f32) {
        let Self::Groove(steps) = self else { return };
        for step in steps {
            for class in 0..REDUCED_CLASSES {
                let weight = (1.0 - step[REDUCED_CLASSES + class]).max(0.2);
                if random() < weight * probability {
                    clear_class(step, class);
                }
            }
        }
    }

    /// Whether the tokens are ones of `config`.
    pub(super) fn check(&self, config: &Config) -> Result<(), TokenError> {
        let in_range = match (self, config.scheme) {
            (Self::Melody(tokens), Scheme::Melody { .. } | Scheme::MelodyChords) => {
                tokens.iter().all(|&token| token < melody::VOCABULARY)
            }
            (Self::Drums(classes), Scheme::Drums) => {
                classes.iter().all(|&bits| bits >> REDUCED_CLASSES == 0)
            }
            (Self::Drums(classes), Scheme::DrumRoll(map)) => {
                classes.iter().all(|&bits| bits >> map.classes() == 0)
            }
            (Self::Trio(parts), Scheme::Trio) => {
                let widths = [MELODY_TOKENS, MELODY_TOKENS, DRUM_COMBINATIONS];
                let fits = |part: &[u16; 3]| {
                    part.iter().zip(widths).all(|(&id, width)| usize::from(id) < width)
                };
                parts.iter().all(fits)
            }
            (Self::Groove(steps), Scheme::Groove(_)) => {
                steps.as_flattened().iter().all(|value| value.is_finite())
            }
            _ => return Err(shape(config, "they belong to another kind of model")),
        };
        if in_range { Ok(()) } else { Err(shape(config, "a value is out of range")) }
    }
}

impl Controls {
    /// Number of steps.
    pub fn len(&self) -> usize {
        match self {
            Self::Chords(steps) => steps.len(),
            Self::Hits(steps) => steps.len(),
        }
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What encoder and decoder read beside the music, `[steps, config.control_depth()]`.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for controls of another scheme or out of range.
    pub fn rows(&self, config: &Config) -> Result<Vec<f32>, TokenError> {
        let depth = config.control_depth();
        let mut rows = vec![0.0; self.len() * depth];
        match (self, config.scheme) {
            (Self::Chords(chords), Scheme::MelodyChords) => {
                for (row, chord) in rows.chunks_exact_mut(depth).zip(chords) {
                    let entry = row.get_mut(usize::from(*chord));
                    *entry.ok_or_else(|| shape(config, "a chord is above 48"))? = 1.0;
                }
            }
            (Self::Hits(hits), Scheme::Groove(GrooveTask::HitsControl)) => {
                for (row, &bits) in rows.chunks_exact_mut(depth).zip(hits) {
                    write_bits(u64::from(bits), row);
                }
            }
            _ => return Err(shape(config, "the controls belong to another kind of model")),
        }
        Ok(rows)
    }

    /// Controls without content: no chord, or no hits. `None` for a configuration without
    /// controls.
    pub fn none(config: &Config, steps: usize) -> Option<Self> {
        match config.scheme {
            Scheme::MelodyChords => Some(Self::Chords(vec![0; steps])),
            Scheme::Groove(GrooveTask::HitsControl) => Some(Self::Hits(vec![0; steps])),
            _ => None,
        }
    }
}

fn shape(config: &Config, what: &str) -> TokenError {
    TokenError::Shape { config: config.name.clone(), what: what.to_owned() }
}

fn write_bits(bits: u64, row: &mut [f32]) {
    for (class, value) in row.iter_mut().enumerate() {
        *value = f32::from(u8::from(bits >> class & 1 == 1));
    }
}

fn read_bits(row: &[f32]) -> u64 {
    row.iter().enumerate().map(|(class, &value)| u64::from(value > 0.5) << class).sum()
}

fn write_trio(parts: [u16; 3], row: &mut [f32]) {
    let [melody, bass, drums] = parts.map(usize::from);
    for hot in [melody, MELODY_TOKENS + bass, 2 * MELODY_TOKENS + drums] {
        row[hot] = 1.0;
    }
}

fn read_groove(row: &[f32]) -> [f32; 27] {
    std::array::from_fn(|index| {
        let value = if row[index].is_nan() { 0.0 } else { row[index] };
        match index / REDUCED_CLASSES {
            0 => f32::from(u8::from(value > 0.5)),
            1 => value.clamp(0.0, 1.0),
            _ => value.clamp(-1.0, 1.0),
        }
    })
}

/// Index of the first largest value.
fn largest(values: &[f32]) -> u16 {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    u16::try_from(best).unwrap_or(0)
}

fn clear_class(step: &mut [f32; 27], class: usize) {
    for part in 0..3 {
        step[part * REDUCED_CLASSES + class] = 0.0;
    }
}

/// One step of a groove as its task lets the encoder see it.
fn groove_input(config: &Config, step: &[f32; 27]) -> [f32; 27] {
    let mut input = *step;
    match config.scheme {
        Scheme::Groove(GrooveTask::Humanize) => input[REDUCED_CLASSES..].fill(0.0),
        Scheme::Groove(GrooveTask::TapFixedVelocity | GrooveTask::TapFixedVelocityNoteDropout) => {
            let velocities = &step[REDUCED_CLASSES..2 * REDUCED_CLASSES];
            let loudest = usize::from(largest(velocities));
            input = [0.0; 27];
            input[TAP_CLASS] = step[loudest];
            input[2 * REDUCED_CLASSES + TAP_CLASS] = step[2 * REDUCED_CLASSES + loudest];
        }
        Scheme::Groove(GrooveTask::AddClosedHat) => clear_class(&mut input, CLOSED_HAT_CLASS),
        _ => {}
    }
    input
}
