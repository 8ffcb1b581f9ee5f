//! The networks of MusicVAE as ONNX graphs, from a configuration and weights.
//!
//! [`variables`] lists the trainable variables of a configuration as the original checkpoints name
//! and lay them out; it is what importing, training and building graphs agree on. [`check`]
//! verifies that weights fit.
//!
//! A model is three or four graphs, see [`interface`]: the encoder, and the decoder cut into what
//! happens once for a window (or segment) and one step, so that music can be sampled, stopped and
//! streamed step by step. Each graph lies in a file of its own with its weights beside it.

mod build;
mod decoder;
mod encoder;
pub mod interface;
mod variables;

use std::io::{self, Write};

use thiserror::Error;

pub(crate) use encoder::SIGMA_KERNEL;
pub use interface::Part;
pub(crate) use variables::embedding_size;
pub use variables::{Init, Variable, conductor_cell, encoder_cell, encoder_levels, variables};

use crate::config::Config;
use crate::weights::Weights;

/// Why weights do not fit a configuration.
#[derive(Debug, Error, PartialEq)]
pub enum NetworkError {
    /// A tensor that is missing.
    #[error("weights for `{config}` lack the tensor `{tensor}` of shape {shape:?}")]
    Missing {
        /// Name of the configuration.
        config: String,
        /// The tensor.
        tensor: String,
        /// The shape it should have.
        shape: Vec<usize>,
    },
    /// A tensor of another shape.
    #[error(
        "tensor `{tensor}` has shape {found:?}, but `{config}` with these hparams needs {expected:?}"
    )]
    Shape {
        /// Name of the configuration.
        config: String,
        /// The tensor.
        tensor: String,
        /// Its shape.
        found: Vec<usize>,
        /// The shape it should have.
        expected: Vec<usize>,
    },
    /// A tensor holds NaN or infinity.
    #[error("tensor `{tensor}` holds {value} at element {index}; the weights are damaged")]
    NotFinite {
        /// The tensor.
        tensor: String,
        /// Row-major position of the first such element.
        index: usize,
        /// The element.
        value: f32,
    },
}

/// Checks that weights hold every variable of a configuration, in its shape, all finite. Tensors
/// beyond those are ignored.
///
/// # Errors
/// [`NetworkError`] names the first tensor that is missing, misshapen or not finite.
pub fn check(config: &Config, weights: &Weights) -> Result<(), NetworkError> {
    for Variable { name, shape, .. } in variables(config) {
        let Some(tensor) = weights.get(&name) else {
            return Err(NetworkError::Missing { config: config.name.clone(), tensor: name, shape });
        };
        if tensor.shape != shape || tensor.data.len() != shape.iter().product::<usize>() {
            return Err(NetworkError::Shape {
                config: config.name.clone(),
                tensor: name,
                found: tensor.shape.clone(),
                expected: shape,
            });
        }
        if let Some(index) = tensor.data.iter().position(|value| !value.is_finite()) {
            let value = tensor.data[index];
            return Err(NetworkError::NotFinite { tensor: name, index, value });
        }
    }
    Ok(())
}

/// Builds a graph: the bytes of [`Part::file`]. Its weights go to `data`, the contents of
/// [`Part::data_file`] beside it.
///
/// # Errors
/// What writing to `data` gives.
///
/// # Panics
/// When the weights do not pass [`check`].
pub fn build(
    config: &Config,
    weights: &Weights,
    part: Part,
    data: &mut dyn Write,
) -> io::Result<Vec<u8>> {
    match part {
        Part::Encoder => encoder::build(config, weights, data),
        Part::Conductor => decoder::build_conductor(config, weights, data),
        Part::Init => decoder::build_init(config, weights, data),
        Part::Step => decoder::build_step(config, weights, data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::weights::Tensor;

    fn small() -> (Config, Weights) {
        let mut config = config::by_name("nade-drums_2bar_reduced").expect("known name");
        config.hparams.z_size = 3;
        config.hparams.enc_rnn_size = vec![2];
        config.hparams.dec_rnn_size = vec![2, 4];
        let mut weights = Weights::default();
        for variable in variables(&config) {
            weights.insert(variable.name, Tensor::zeros(&variable.shape));
        }
        (config, weights)
    }

    // Whole weights pass; each variable that is missing, misshapen or damaged is named.
    #[test]
    fn check_names_what_is_wrong() {
        let (config, weights) = small();
        assert_eq!(check(&config, &weights), Ok(()));
        for Variable { name, .. } in variables(&config) {
            let mut missing = weights.clone();
            missing.0.remove(&name);
            let error = check(&config, &missing).expect_err("missing");
            assert!(matches!(&error, NetworkError::Missing { tensor, .. } if *tensor == name));

            let mut misshapen = weights.clone();
            misshapen.insert(name.clone(), Tensor::zeros(&[1]));
            let error = check(&config, &misshapen).expect_err("misshapen");
            assert!(matches!(&error, NetworkError::Shape { tensor, .. } if *tensor == name));

            let mut damaged = weights.clone();
            if let Some(tensor) = damaged.0.get_mut(&name) {
                tensor.data[0] = f32::NAN;
            }
            let error = check(&config, &damaged).expect_err("damaged");
            assert!(matches!(&error, NetworkError::NotFinite { tensor, .. } if *tensor == name));
        }
    }
}
