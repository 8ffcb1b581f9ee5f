//! What a decoding keeps to: a scale, a range of pitches, and what is kept of a pattern (its rhythm,
//! the order of its pitches, some of its bars, some of its voices).
//!
//! A decoder draws one step after the other and reads what it drew. Steering says before each step
//! which tokens are allowed, so that the rest of the music fits what is kept; probabilities of what
//! is left are as they were to each other. Of notes outside a scale or a range the draw is repeated
//! among the notes within (see [`Run::drew`]), and what no mask can say of bits is settled after
//! the draw (see [`Run::settle`]); the next step reads either.
//!
//! Wishes may contradict each other. Then the one that comes first in this list wins: kept bars and
//! voices, kept rhythm, kept order of pitches, scale and range. A token is always left.

mod plan;
mod run;

use std::ops::RangeInclusive;

use thiserror::Error;

use crate::config::Config;
use crate::families::line;
use crate::scale::Scale;
use crate::tokens::Tokens;
use plan::Plan;
pub(crate) use run::Run;

/// What a decoding keeps to. The default leaves all free.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steering {
    /// The scale of all notes but drums.
    pub scale: Option<Scale>,
    /// Lowest and highest MIDI pitch of all notes but drums.
    pub range: Option<RangeInclusive<u8>>,
    /// What is kept of a pattern.
    pub kept: Option<Kept>,
}

/// What is kept of a pattern of the model's family and length.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The pattern.
    pub pattern: Tokens,
    /// What is kept of it; all of these together.
    pub locks: Vec<Lock>,
    /// Chooses the steps of locks that keep only some.
    pub seed: u64,
}

/// One thing that is kept of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub enum Lock {
    /// Where notes begin, last and end, on this share of the steps; `0..=1`.
    Rhythm(f32),
    /// Which note, or which drums together, follow on which, for this share of them; `0..=1`.
    Pitch(f32),
    /// Bars, counted from 0, note for note.
    Bars(Vec<usize>),
    /// Voices of the family by their place among [`crate::families::Family::voices`].
    Voices(Vec<usize>),
    /// Classes of drums, as bits.
    Drums(u64),
}

/// Why a decoding cannot be steered so.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SteeringError {
    /// The kept pattern is of another kind or length than the model's windows.
    #[error("the pattern to keep has {found} steps, `{config}` makes {expected} of its own kind")]
    Pattern {
        /// Name of the configuration.
        config: String,
        /// Steps that the model makes.
        expected: usize,
        /// Steps of the pattern.
        found: usize,
    },
    /// A pattern without a note, of which nothing can be kept.
    #[error("the pattern to keep has no notes")]
    Silent,
    /// A bar that a window does not have.
    #[error("there is no bar {bar}; `{config}` makes bars 1 to {bars}")]
    Bar {
        /// Name of the configuration.
        config: String,
        /// The bar, from 1.
        bar: usize,
        /// Bars of a window.
        bars: usize,
    },
    /// A voice that the family does not have, or drums of a family without drums.
    #[error("`{config}` has no such part")]
    Voice {
        /// Name of the configuration.
        config: String,
    },
    /// A scale without a note in the range.
    #[error(
        "no note of {scale} lies between the pitches {low} and {high}; widen the range to an octave"
    )]
    NoNote {
        /// The scale.
        scale: Scale,
        /// Lowest pitch.
        low: u8,
        /// Highest pitch.
        high: u8,
    },
}

impl Steering {
    /// Whether nothing is asked for.
    pub fn is_free(&self) -> bool {
        *self == Self::default()
    }

    /// Begins to steer a decoding of so many steps.
    ///
    /// # Errors
    /// [`SteeringError`] for what the model cannot make.
    pub(crate) fn begin(&self, config: &Config, steps: usize) -> Result<Run, SteeringError> {
        let allows = |pitch: u8| {
            self.scale.is_none_or(|scale| scale.holds(pitch))
                && self.range.as_ref().is_none_or(|range| range.contains(&pitch))
        };
        let range = self.range.clone().unwrap_or(0..=127);
        if let Some(scale) = self.scale
            && !range.clone().any(|pitch| scale.holds(pitch))
        {
            return Err(SteeringError::NoNote { scale, low: *range.start(), high: *range.end() });
        }
        let plan = match &self.kept {
            Some(kept) => Plan::new(kept, config, steps)?,
            None => Plan::free(config, steps),
        };
        let tokens = 0..line::VOCABULARY;
        let in_key =
            tokens.map(|token| u8::try_from(token).ok().and_then(line::pitch).is_none_or(allows));
        Ok(Run::new(plan, in_key.collect(), config))
    }
}
