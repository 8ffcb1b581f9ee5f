//! Conversion of tokens to the numbers that networks read and write.
//!
//! Rows are laid out step by step: `[steps, depth]` in row-major order.

use super::{Controls, TokenError, Tokens};
use crate::config::Config;
use crate::families::largest;

impl Tokens {
    /// What the encoder reads, `[steps, config.input_depth()]`, without controls.
    ///
    /// For groove configurations the parts that the task removes (velocities, offsets or drums) are
    /// removed here; see [`Tokens::drop_hits`] for its note dropout.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for tokens of another family or out of range.
    pub fn input_rows(&self, config: &Config) -> Result<Vec<f32>, TokenError> {
        self.check(config)?;
        let depth = config.input_depth();
        let mut rows = vec![0.0; self.len() * depth];
        for (step, row) in rows.chunks_exact_mut(depth).enumerate() {
            config.family().write_input(self, step, row);
        }
        Ok(rows)
    }

    /// The decoder's target, `[steps, config.output_depth()]`: one-hot for categorical outputs,
    /// bits for NADE, values for groove.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for tokens of another family or out of range.
    pub fn output_rows(&self, config: &Config) -> Result<Vec<f32>, TokenError> {
        self.check(config)?;
        let depth = config.output_depth();
        let mut rows = vec![0.0; self.len() * depth];
        for (step, row) in rows.chunks_exact_mut(depth).enumerate() {
            config.family().write_output(self, step, row);
        }
        Ok(rows)
    }

    /// The class of each categorical part of the output, `[steps, config.outputs().len()]`.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for tokens of another family or out of range, and for NADE and groove
    /// outputs, which have no classes.
    pub fn ids(&self, config: &Config) -> Result<Vec<u16>, TokenError> {
        self.check(config)?;
        config.family().ids(self).map_err(|what| shape(config, what))
    }

    /// Tokens from the class of each categorical part, `[steps, config.outputs().len()]`.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for a length that is no number of steps, classes out of range, and
    /// configurations whose output has no classes.
    pub fn from_ids(config: &Config, ids: &[u16]) -> Result<Self, TokenError> {
        let tokens = config.family().tokens_of_ids(ids).map_err(|what| shape(config, what))?;
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
        if !config.output_kind().is_tokens() {
            return config.family().tokens_of_values(rows).map_err(|what| shape(config, what));
        }
        let mut ids = Vec::with_capacity(rows.len() / depth * config.outputs().len());
        for row in rows.chunks_exact(depth) {
            let mut rest = row;
            for width in config.outputs() {
                let (part, tail) = rest.split_at(*width);
                ids.push(u16::try_from(largest(part)).unwrap_or(u16::MAX));
                rest = tail;
            }
        }
        Self::from_ids(config, &ids)
    }

    /// Whether the tokens are ones of `config`.
    fn check(&self, config: &Config) -> Result<(), TokenError> {
        match config.family().holds(self) {
            Some(true) => Ok(()),
            Some(false) => Err(shape(config, "a value is out of range")),
            None => Err(shape(config, "they belong to another kind of model")),
        }
    }
}

impl Controls {
    /// The controls as encoder and decoder read them, `[steps, config.control_depth()]`.
    ///
    /// # Errors
    /// [`TokenError::Shape`] for controls of another family or out of range.
    pub fn rows(&self, config: &Config) -> Result<Vec<f32>, TokenError> {
        if config.family().control_kind() != Some(self.kind()) {
            return Err(shape(config, "the controls belong to another kind of model"));
        }
        self.hot().ok_or_else(|| shape(config, "a control is out of range"))
    }
}

fn shape(config: &Config, what: &str) -> TokenError {
    TokenError::Shape { config: config.name.clone(), what: what.to_owned() }
}
