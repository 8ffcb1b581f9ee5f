//! The tensors that training changes: variables and their moments, in memory that ONNX Runtime
//! reads and writes in place.

use std::collections::BTreeMap;

use interlude_models::config::Config;
use interlude_models::network::variables;
use interlude_models::weights::{Tensor as Weight, Weights};
use ort::memory::Allocator;
use ort::value::Tensor;
use thiserror::Error;

use interlude_gradient::adam::{first_moment, second_moment};

/// A fault of the state's tensors.
#[derive(Debug, Error)]
pub enum StateError {
    /// A tensor is missing.
    #[error(
        "tensor `{0}` is missing; the checkpoint belongs to another configuration or is cut off"
    )]
    Missing(String),
    /// A tensor has another shape than the configuration says.
    #[error("tensor `{name}` has shape {found:?}, {expected:?} is needed by the configuration")]
    Shape {
        /// Name of the variable or moment.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The right one.
        expected: Vec<usize>,
    },
    /// ONNX Runtime has no memory for a tensor.
    #[error("ONNX Runtime: {0}")]
    Runtime(#[from] ort::Error),
}

/// Variables, first and second moments by name.
#[derive(Debug)]
pub struct State {
    tensors: BTreeMap<String, Tensor<f32>>,
    variables: Vec<String>,
}

impl State {
    /// The state that `weights` hold. Moments that they lack are zeros.
    ///
    /// # Errors
    /// [`StateError`] when a variable is missing or anything has a wrong shape.
    pub fn new(config: &Config, weights: &Weights) -> Result<Self, StateError> {
        let mut state = Self { tensors: BTreeMap::new(), variables: Vec::new() };
        for variable in variables(config) {
            let name = variable.name;
            let values = weights.get(&name).ok_or_else(|| StateError::Missing(name.clone()))?;
            state.put(&name, Some(values), &variable.shape)?;
            for moment in [first_moment(&name), second_moment(&name)] {
                state.put(&moment, weights.get(&moment), &variable.shape)?;
            }
            state.variables.push(name);
        }
        state.variables.sort();
        Ok(state)
    }

    fn put(
        &mut self,
        name: &str,
        values: Option<&Weight>,
        shape: &[usize],
    ) -> Result<(), StateError> {
        let mut tensor = Tensor::<f32>::new(&Allocator::default(), shape.to_vec())?;
        let (_, memory) = tensor.extract_tensor_mut();
        match values {
            Some(values) if values.shape == shape => memory.copy_from_slice(&values.data),
            Some(values) => {
                return Err(StateError::Shape {
                    name: name.to_owned(),
                    found: values.shape.clone(),
                    expected: shape.to_vec(),
                });
            }
            None => memory.fill(0.0),
        }
        self.tensors.insert(name.to_owned(), tensor);
        Ok(())
    }

    /// A variable or moment.
    ///
    /// # Errors
    /// [`StateError::Missing`] when there is none of that name.
    pub fn tensor(&self, name: &str) -> Result<&Tensor<f32>, StateError> {
        self.tensors.get(name).ok_or_else(|| StateError::Missing(name.to_owned()))
    }

    /// A variable or moment, to be bound as an output.
    ///
    /// # Errors
    /// [`StateError::Missing`] when there is none of that name.
    pub fn tensor_mut(&mut self, name: &str) -> Result<&mut Tensor<f32>, StateError> {
        self.tensors.get_mut(name).ok_or_else(|| StateError::Missing(name.to_owned()))
    }

    /// Copies the values of all variables and moments, which stay where they are in memory.
    ///
    /// # Errors
    /// [`StateError`] when one is missing or has a wrong shape.
    pub fn assign(&mut self, weights: &Weights) -> Result<(), StateError> {
        for (name, tensor) in &mut self.tensors {
            let values = weights.get(name).ok_or_else(|| StateError::Missing(name.clone()))?;
            let memory = tensor.extract_tensor_mut().1;
            if memory.len() != values.data.len() {
                return Err(StateError::Shape {
                    name: name.clone(),
                    found: values.shape.clone(),
                    expected: vec![memory.len()],
                });
            }
            memory.copy_from_slice(&values.data);
        }
        Ok(())
    }

    /// A copy of the variables, and of the moments when `moments` says so.
    pub fn weights(&self, moments: bool) -> Weights {
        let mut weights = Weights::default();
        for (name, tensor) in &self.tensors {
            if moments || self.variables.binary_search(name).is_ok() {
                let (shape, data) = tensor.extract_tensor();
                let shape = shape
                    .iter()
                    .map(|&extent| usize::try_from(extent).expect("extents are not negative"))
                    .collect();
                weights.insert(name.clone(), Weight { shape, data: data.to_vec() });
            }
        }
        weights
    }
}
