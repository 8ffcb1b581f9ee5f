//! The inputs of a training graph that change from step to step, in tensors that are filled in
//! place.

use std::collections::BTreeMap;

use interlude_onnx::ElementType;
use interlude_onnx::proto::{DimensionValue, ModelProto, ValueInfoProto};
use ort::memory::Allocator;
use ort::session::{IoBinding, SessionInputValue};
use ort::value::Tensor;
use prost::Message;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::batch::{Batch, columns};
use interlude_gradient::dropout;

/// A tensor for each input that a batch fills.
#[derive(Debug, Default)]
pub struct Inputs {
    /// Names in the order of the graph.
    names: Vec<String>,
    integers: BTreeMap<String, Tensor<i64>>,
    floats: BTreeMap<String, Tensor<f32>>,
    truths: BTreeMap<String, Tensor<bool>>,
}

impl Inputs {
    /// Tensors for the inputs of a graph, given as the bytes of an `.onnx` file, that `chosen`
    /// picks by name. They have the types and shapes that the graph declares.
    ///
    /// # Errors
    /// When ONNX Runtime has no memory for a tensor.
    ///
    /// # Panics
    /// When the bytes are no graph, or an input has a type or extent that no batch has: graphs are
    /// built by this crate.
    pub fn of(model: &[u8], chosen: impl Fn(&str) -> bool) -> Result<Self, ort::Error> {
        let model = ModelProto::decode(model).expect("the graph was built here");
        let graph = model.graph.expect("a model has a graph");
        let allocator = Allocator::default();
        let mut inputs = Self::default();
        for input in graph.input.into_iter().filter(|input| chosen(&input.name)) {
            let (element, shape) = type_of(&input);
            let name = input.name;
            inputs.names.push(name.clone());
            if element == ElementType::I64 as i32 {
                inputs.integers.insert(name, Tensor::new(&allocator, shape)?);
            } else if element == ElementType::F32 as i32 {
                inputs.floats.insert(name, Tensor::new(&allocator, shape)?);
            } else if element == ElementType::Bool as i32 {
                inputs.truths.insert(name, Tensor::new(&allocator, shape)?);
            } else {
                panic!("input {name} has an element type that no batch has");
            }
        }
        Ok(inputs)
    }

    /// Copies a batch into the tensors.
    ///
    /// # Panics
    /// When a part of the batch has another size than the graph was built for, or the graph has an
    /// input that is not part of a batch.
    pub fn fill(&mut self, batch: &Batch) {
        for (name, tensor) in &mut self.integers {
            let values = match name.as_str() {
                "tokens" => &batch.tokens,
                "inputs" => &batch.inputs,
                _ => panic!("input {name} is not part of a batch"),
            };
            tensor.extract_tensor_mut().1.copy_from_slice(values);
        }
        let mut generator = ChaCha8Rng::seed_from_u64(batch.dropout_seed);
        for (name, tensor) in &mut self.floats {
            let values = match name.as_str() {
                "encoder_inputs" => &batch.encoder_inputs,
                "targets" => &batch.targets,
                "controls" => &batch.controls,
                "noise" => &batch.noise[..],
                "uniform" => &batch.uniform,
                "beta" => &[batch.beta],
                "clip" => &[batch.clip],
                "step_size" => &[batch.step_size],
                name if name.starts_with(dropout::NOISE) => {
                    let (shape, memory) = tensor.extract_tensor_mut();
                    let width =
                        shape.last().map_or(1, |&width| usize::try_from(width).unwrap_or(1));
                    let Some((examples, whole)) = &batch.part else {
                        memory.fill_with(|| generator.random());
                        continue;
                    };
                    // `[steps, batch, width]` with the steps and the width of the part.
                    let mut noise = vec![0.0f32; memory.len() / examples.len() * whole];
                    noise.fill_with(|| generator.random());
                    let rows = noise.len() / width / whole;
                    memory.copy_from_slice(&columns(&noise, examples, (rows, *whole)));
                    continue;
                }
                _ => panic!("input {name} is not part of a batch"),
            };
            tensor.extract_tensor_mut().1.copy_from_slice(values);
        }
        for tensor in self.truths.values_mut() {
            tensor.extract_tensor_mut().1.copy_from_slice(&batch.sampled);
        }
    }

    /// Binds all tensors to a session's inputs.
    ///
    /// # Errors
    /// When ONNX Runtime refuses one.
    pub fn bind(&self, binding: &mut IoBinding) -> Result<(), ort::Error> {
        for (name, tensor) in &self.integers {
            binding.bind_input(name, tensor)?;
        }
        for (name, tensor) in &self.floats {
            binding.bind_input(name, tensor)?;
        }
        for (name, tensor) in &self.truths {
            binding.bind_input(name, tensor)?;
        }
        Ok(())
    }

    /// All tensors in the order of the graph's inputs.
    pub fn values(&self) -> impl Iterator<Item = SessionInputValue<'_>> {
        self.names.iter().map(|name| {
            let integers = self.integers.get(name).map(SessionInputValue::from);
            let floats = || self.floats.get(name).map(SessionInputValue::from);
            let truths = || self.truths.get(name).map(SessionInputValue::from);
            integers.or_else(floats).or_else(truths).expect("each name has a tensor")
        })
    }
}

/// Element type and extents of an input.
fn type_of(input: &ValueInfoProto) -> (i32, Vec<usize>) {
    let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let tensor = tensor.expect("inputs of training graphs are tensors");
    let dims = tensor.shape.as_ref().map_or(&[][..], |shape| &shape.dim);
    let extents = dims.iter().map(|dim| match &dim.value {
        Some(DimensionValue::Size(size)) => usize::try_from(*size).expect("extents are positive"),
        _ => panic!("input {} has an extent without a size", input.name),
    });
    (tensor.elem_type, extents.collect())
}
