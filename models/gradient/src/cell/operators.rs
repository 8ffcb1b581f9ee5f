//! The cell as two operators for ONNX Runtime, on 32-bit floats in the processor's memory.

use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
    ShapeInferenceContext,
};
use ort::value::TensorElementType::Float32;
use ort::value::{ValueRef, ValueRefMut};
use pulp::Arch;

use super::kernel::{Step, StepBack};
use super::{BACKWARD, DOMAIN, FORWARD};

/// Both operators, for sessions whose graph has them.
///
/// # Errors
/// When ONNX Runtime refuses them.
pub fn operators() -> ort::Result<OperatorDomain> {
    OperatorDomain::new(DOMAIN)?.add(Forward)?.add(Backward)
}

struct Forward;
struct Backward;

impl Forward {
    const OUTPUTS: usize = 7;
    /// The output as wide as the sums.
    const GATES: usize = 4;
}

impl Operator for Forward {
    type Kernel<'attr> = ForwardKernel;

    fn name(&self) -> &str {
        FORWARD
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        [const { OperatorInput::required(Float32) }; 3]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [const { OperatorOutput::required(Float32) }; Self::OUTPUTS]
    }

    fn create_kernel<'attr>(&self, _: &KernelContext<'attr>) -> ort::Result<ForwardKernel> {
        Ok(ForwardKernel(Arch::new()))
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        let inputs = context.inputs();
        let [sums, h, ..] = inputs.as_slice() else { return Err(odd(FORWARD)) };
        for index in 0..Self::OUTPUTS {
            context.set_output(index, if index == Self::GATES { sums } else { h })?;
        }
        Ok(())
    }
}

impl Operator for Backward {
    type Kernel<'attr> = BackwardKernel;

    fn name(&self) -> &str {
        BACKWARD
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let required = [const { OperatorInput::required(Float32) }; 5];
        required.into_iter().chain([OperatorInput::optional(Float32)])
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [const { OperatorOutput::required(Float32) }; 2]
    }

    fn create_kernel<'attr>(&self, _: &KernelContext<'attr>) -> ort::Result<BackwardKernel> {
        Ok(BackwardKernel(Arch::new()))
    }

    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> ort::Result<()> {
        let inputs = context.inputs();
        let [gates, squashed, ..] = inputs.as_slice() else { return Err(odd(BACKWARD)) };
        context.set_output(0, gates)?;
        context.set_output(1, squashed)
    }
}

struct ForwardKernel(Arch);

impl Kernel for ForwardKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let inputs = inputs(context)?;
        let [(wide, sums), (narrow, h), (_, c)] = floats(&inputs, FORWARD)?;
        let size = h.len();
        if sums.len() != 4 * size || c.len() != size {
            return Err(odd(FORWARD));
        }
        let shape = |index| if index == Forward::GATES { wide } else { narrow };
        let mut outputs = (0..Forward::OUTPUTS)
            .map(|index| output(context, index, shape(index)))
            .collect::<ort::Result<Vec<_>>>()?;
        let [next_h, next, again, earlier, gates, squashed, kept] =
            floats_mut(&mut outputs, FORWARD)?;
        earlier.copy_from_slice(h);
        let h = &mut *next_h;
        self.0.dispatch(Step { sums, c, gates, kept, squashed, next, h });
        again.copy_from_slice(next_h);
        Ok(())
    }
}

struct BackwardKernel(Arch);

impl Kernel for BackwardKernel {
    fn compute(&mut self, context: &ComputeContext) -> ort::Result<()> {
        let mut inputs = inputs(context)?;
        let last = (inputs.len() == 6).then(|| inputs.remove(5));
        let own = match &last {
            Some(own) => Some(own.try_extract_tensor::<f32>()?.1),
            None => None,
        };
        let [(wide, gates), (narrow, squashed), (_, kept), (_, dh), (_, dc)] =
            floats(&inputs, BACKWARD)?;
        let size = dc.len();
        let narrows = [squashed, kept, dh, own.unwrap_or(dh)];
        if gates.len() != 4 * size || narrows.iter().any(|values| values.len() != size) {
            return Err(odd(BACKWARD));
        }
        let mut outputs = vec![output(context, 0, wide)?, output(context, 1, narrow)?];
        let [dsums, earlier] = floats_mut(&mut outputs, BACKWARD)?;
        self.0.dispatch(StepBack { gates, squashed, kept, dh, own, dc, dsums, earlier });
        Ok(())
    }
}

fn odd(operator: &str) -> ort::Error {
    ort::Error::new(format!("{operator}: inputs do not fit each other"))
}

fn inputs(context: &ComputeContext) -> ort::Result<Vec<ValueRef<'_>>> {
    let count = context.num_inputs()?;
    (0..count).filter_map(|index| context.input(index).transpose()).collect()
}

fn output<'a>(
    context: &'a ComputeContext,
    index: usize,
    shape: &ort::value::Shape,
) -> ort::Result<ValueRefMut<'a>> {
    let value = context.output(index, shape.clone())?;
    value.ok_or_else(|| ort::Error::new(format!("output {index} has no use")))
}

type Floats<'a> = (&'a ort::value::Shape, &'a [f32]);

fn floats<'a, const N: usize>(
    values: &'a [ValueRef<'_>],
    operator: &str,
) -> ort::Result<[Floats<'a>; N]> {
    let tensors = values.iter().map(|value| value.try_extract_tensor::<f32>());
    let tensors: Vec<Floats<'a>> = tensors.collect::<ort::Result<_>>()?;
    tensors.try_into().map_err(|_| odd(operator))
}

fn floats_mut<'a, const N: usize>(
    values: &'a mut [ValueRefMut<'_>],
    operator: &str,
) -> ort::Result<[&'a mut [f32]; N]> {
    let tensors = values.iter_mut().map(|value| Ok(value.try_extract_tensor_mut::<f32>()?.1));
    let tensors: Vec<&'a mut [f32]> = tensors.collect::<ort::Result<_>>()?;
    tensors.try_into().map_err(|_| odd(operator))
}
