//! Checkpoints of ONNX Runtime's training API: a FlatBuffer of parameters and Adam's moments.
//!
//! The tables and the numbers of their fields are those of `ort_training_checkpoint.fbs` and
//! `ort.fbs` of ONNX Runtime 1.19, file identifier `ODTC`, version 2.

use flatbuffers::{
    FlatBufferBuilder, Follow, ForwardsUOffset, InvalidFlatbuffer, Table, TableFinishedWIPOffset,
    VOffsetT, Vector, Verifiable, Verifier, WIPOffset,
};
use interlude_models::weights::{Tensor as Weight, Weights};

use super::super::error::CheckpointError;
use interlude_gradient::adam::{first_moment, second_moment};

/// What the file begins with, after the offset of its root.
const IDENTIFIER: &str = "ODTC";
/// Version of the format.
const VERSION: i32 = 2;
/// `TensorDataType` of 32-bit floats.
const FLOAT: i32 = 1;
/// The one group of parameters that the API knows.
const GROUP: &str = "group0";
/// Names of Adam's moments.
const MOMENTS: [&str; 2] = ["momentum0", "momentum1"];
/// Largest size of a FlatBuffer, with room for names and offsets.
const LARGEST: usize = (1 << 31) - (1 << 24);

/// Where a table keeps the offset of its `index`-th field.
const fn field(index: VOffsetT) -> VOffsetT {
    4 + 2 * index
}

/// Fields of `Tensor`.
mod tensor {
    use super::{VOffsetT, field};
    pub(super) const NAME: VOffsetT = field(0);
    pub(super) const DIMS: VOffsetT = field(2);
    pub(super) const DATA_TYPE: VOffsetT = field(3);
    pub(super) const RAW_DATA: VOffsetT = field(4);
}

/// Fields of `ModuleState`.
mod module {
    use super::{VOffsetT, field};
    pub(super) const REQUIRES_GRAD: VOffsetT = field(0);
    pub(super) const FROZEN: VOffsetT = field(1);
}

/// Fields of `ParameterOptimizerState`.
mod parameter {
    use super::{VOffsetT, field};
    pub(super) const NAME: VOffsetT = field(0);
    pub(super) const MOMENTUMS: VOffsetT = field(1);
}

/// Fields of `OptimizerGroup`.
mod group {
    use super::{VOffsetT, field};
    pub(super) const NAME: VOffsetT = field(0);
    pub(super) const STEP: VOffsetT = field(1);
    pub(super) const INITIAL_LEARNING_RATE: VOffsetT = field(2);
    pub(super) const STATES: VOffsetT = field(3);
}

/// Fields of `Checkpoint`.
mod root {
    use super::{VOffsetT, field};
    pub(super) const VERSION: VOffsetT = field(0);
    pub(super) const MODULE: VOffsetT = field(1);
    pub(super) const GROUPS: VOffsetT = field(2);
}

type Builder = FlatBufferBuilder<'static>;
type Finished = WIPOffset<TableFinishedWIPOffset>;

/// A checkpoint of `variables` and their moments out of `weights`.
///
/// # Errors
/// [`CheckpointError::TooLarge`] when they do not fit.
///
/// # Panics
/// When a variable or a moment is missing: a state has all of them.
pub(super) fn write<'a>(
    weights: &Weights,
    variables: impl Iterator<Item = &'a str>,
) -> Result<Vec<u8>, CheckpointError> {
    let bytes = weights.0.values().map(|weight| 4 * weight.data.len()).sum();
    if bytes > LARGEST {
        return Err(CheckpointError::TooLarge { bytes });
    }
    let get = |name: &str| weights.get(name).unwrap_or_else(|| panic!("no tensor {name}"));
    let mut builder = FlatBufferBuilder::with_capacity(bytes + (1 << 16));
    let (mut parameters, mut states) = (Vec::new(), Vec::new());
    for name in variables {
        parameters.push(write_tensor(&mut builder, name, get(name)));
        let moments = [first_moment(name), second_moment(name)];
        let moments: Vec<Finished> = MOMENTS
            .iter()
            .zip(&moments)
            .map(|(moment, tensor)| write_tensor(&mut builder, moment, get(tensor)))
            .collect();
        let name = builder.create_string(name);
        let moments = builder.create_vector(&moments);
        let table = builder.start_table();
        builder.push_slot_always(parameter::NAME, name);
        builder.push_slot_always(parameter::MOMENTUMS, moments);
        states.push(builder.end_table(table));
    }
    let parameters = builder.create_vector(&parameters);
    // The API wants this list even when it is empty.
    let frozen = builder.create_vector::<Finished>(&[]);
    let table = builder.start_table();
    builder.push_slot_always(module::REQUIRES_GRAD, parameters);
    builder.push_slot_always(module::FROZEN, frozen);
    let module = builder.end_table(table);

    let name = builder.create_string(GROUP);
    let states = builder.create_vector(&states);
    let table = builder.start_table();
    builder.push_slot_always(group::NAME, name);
    builder.push_slot_always(group::STEP, 0i64);
    builder.push_slot_always(group::INITIAL_LEARNING_RATE, 0f32);
    builder.push_slot_always(group::STATES, states);
    let group = builder.end_table(table);
    let groups = builder.create_vector(&[group]);

    let table = builder.start_table();
    builder.push_slot_always(root::VERSION, VERSION);
    builder.push_slot_always(root::MODULE, module);
    builder.push_slot_always(root::GROUPS, groups);
    let checkpoint = builder.end_table(table);
    builder.finish(checkpoint, Some(IDENTIFIER));
    let (buffer, begin) = builder.collapse();
    Ok(buffer[begin..].to_vec())
}

fn write_tensor(builder: &mut Builder, name: &str, weight: &Weight) -> Finished {
    let name = builder.create_string(name);
    let dims: Vec<i64> = weight
        .shape
        .iter()
        .map(|&extent| i64::try_from(extent).expect("extents are small"))
        .collect();
    let dims = builder.create_vector(&dims);
    let bytes: Vec<u8> = weight.data.iter().flat_map(|value| value.to_le_bytes()).collect();
    let bytes = builder.create_vector(&bytes);
    let table = builder.start_table();
    builder.push_slot_always(tensor::NAME, name);
    builder.push_slot_always(tensor::DIMS, dims);
    builder.push_slot_always(tensor::DATA_TYPE, FLOAT);
    builder.push_slot_always(tensor::RAW_DATA, bytes);
    builder.end_table(table)
}

/// Declares a view of a table, the fields that are read of it, and their check.
macro_rules! table {
    ($name:ident { $($get:ident: $field:expr => $kind:ty),* $(,)? }) => {
        #[derive(Clone, Copy)]
        struct $name<'a>(Table<'a>);

        impl<'a> Follow<'a> for $name<'a> {
            type Inner = Self;

            unsafe fn follow(buffer: &'a [u8], position: usize) -> Self {
                // SAFETY: the caller has verified that a table lies there.
                Self(unsafe { Table::new(buffer, position) })
            }
        }

        impl<'a> Verifiable for $name<'a> {
            fn run_verifier(
                verifier: &mut Verifier<'_, '_>,
                position: usize,
            ) -> Result<(), InvalidFlatbuffer> {
                verifier
                    .visit_table(position)?
                    $(.visit_field::<$kind>(stringify!($get), $field, false)?)*
                    .finish();
                Ok(())
            }
        }

        impl<'a> $name<'a> {
            $(
                fn $get(self) -> Result<<$kind as Follow<'a>>::Inner, CheckpointError> {
                    // SAFETY: a view exists only of verified tables, with this type of this field.
                    let found = unsafe { self.0.get::<$kind>($field, None) };
                    found.ok_or_else(|| {
                        CheckpointError::Format(concat!("no ", stringify!($get)).to_owned())
                    })
                }
            )*
        }
    };
}

/// A list of tables.
type List<'a, T> = ForwardsUOffset<Vector<'a, ForwardsUOffset<T>>>;

table!(TensorView {
    name: tensor::NAME => ForwardsUOffset<&'a str>,
    dims: tensor::DIMS => ForwardsUOffset<Vector<'a, i64>>,
    data_type: tensor::DATA_TYPE => i32,
    raw_data: tensor::RAW_DATA => ForwardsUOffset<Vector<'a, u8>>,
});
table!(ModuleView { parameters: module::REQUIRES_GRAD => List<'a, TensorView<'a>> });
table!(ParameterView {
    name: parameter::NAME => ForwardsUOffset<&'a str>,
    moments: parameter::MOMENTUMS => List<'a, TensorView<'a>>,
});
table!(GroupView { states: group::STATES => List<'a, ParameterView<'a>> });
table!(CheckpointView {
    module: root::MODULE => ForwardsUOffset<ModuleView<'a>>,
    groups: root::GROUPS => List<'a, GroupView<'a>>,
});

/// Variables and moments of a checkpoint.
///
/// # Errors
/// [`CheckpointError::Format`] when the bytes are no checkpoint.
pub(super) fn read(bytes: &[u8]) -> Result<Weights, CheckpointError> {
    let checkpoint = flatbuffers::root::<CheckpointView<'_>>(bytes)?;
    let mut weights = Weights::default();
    for parameter in checkpoint.module()?.parameters()? {
        weights.insert(parameter.name()?.to_owned(), weight(parameter)?);
    }
    for group in checkpoint.groups()? {
        for state in group.states()? {
            let variable = state.name()?;
            for moment in state.moments()? {
                let name = match moment.name()? {
                    name if name == MOMENTS[0] => first_moment(variable),
                    name if name == MOMENTS[1] => second_moment(variable),
                    other => return Err(CheckpointError::Format(format!("unknown state {other}"))),
                };
                weights.insert(name, weight(moment)?);
            }
        }
    }
    Ok(weights)
}

fn weight(tensor: TensorView<'_>) -> Result<Weight, CheckpointError> {
    let wrong = || CheckpointError::Format("a tensor's size does not fit its shape".to_owned());
    let mut shape = Vec::new();
    for extent in tensor.dims()? {
        shape.push(usize::try_from(extent).map_err(|_| wrong())?);
    }
    let (chunks, rest) = tensor.raw_data()?.bytes().as_chunks::<4>();
    let elements = shape.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
    if tensor.data_type()? != FLOAT || !rest.is_empty() || elements != Some(chunks.len()) {
        return Err(wrong());
    }
    Ok(Weight { shape, data: chunks.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Weights {
        let mut weights = Weights::default();
        for (name, value) in [("a/kernel", 1.0), ("b", -2.5)] {
            for (moment, name) in
                [name.to_owned(), first_moment(name), second_moment(name)].into_iter().enumerate()
            {
                let shape = vec![2, moment + 1];
                let data = (0..2 * (moment + 1)).map(|_| value).collect();
                weights.insert(name, Weight { shape, data });
            }
        }
        weights
    }

    // What is written is read again, and begins as the API expects.
    #[test]
    fn checkpoints_keep_variables_and_moments() {
        let weights = weights();
        let bytes = write(&weights, ["a/kernel", "b"].into_iter()).expect("small");
        assert_eq!(&bytes[4..8], IDENTIFIER.as_bytes());
        assert_eq!(read(&bytes).expect("whole"), weights);
    }

    // A checkpoint that is cut off or damaged anywhere is an error or another checkpoint, never a
    // panic.
    #[test]
    fn damaged_checkpoints_do_no_harm() {
        let bytes = write(&weights(), ["a/kernel", "b"].into_iter()).expect("small");
        for end in 0..bytes.len() {
            let _ = read(&bytes[..end]);
        }
        for position in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut damaged = bytes.clone();
                damaged[position] = value;
                let _ = read(&damaged);
            }
        }
        assert!(read(&bytes[..bytes.len() / 2]).is_err());
        assert!(read(&[]).is_err());
    }
}
