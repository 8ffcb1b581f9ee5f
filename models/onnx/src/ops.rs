//! The operators that graphs here use most, as methods.

use super::graph::extent;
use super::{Attribute, Graph, Value};

impl Graph {
    /// `a + b`, broadcast.
    pub fn add(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Add", &[a, b], &[])
    }

    /// `a - b`, broadcast.
    pub fn sub(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Sub", &[a, b], &[])
    }

    /// `a · b` element by element, broadcast.
    pub fn mul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Mul", &[a, b], &[])
    }

    /// `a / b` element by element, broadcast.
    pub fn div(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Div", &[a, b], &[])
    }

    /// The logistic function.
    pub fn sigmoid(&mut self, x: &Value) -> Value {
        self.op("Sigmoid", &[x], &[])
    }

    /// The hyperbolic tangent.
    pub fn tanh(&mut self, x: &Value) -> Value {
        self.op("Tanh", &[x], &[])
    }

    /// The matrix product of `[m, k]` and `[k, n]`.
    pub fn matmul(&mut self, a: &Value, b: &Value) -> Value {
        self.op("MatMul", &[a, b], &[])
    }

    /// `a · b + c` for matrices `[m, k]`, `[k, n]` and a `c` that broadcasts to `[m, n]`.
    pub fn gemm(&mut self, a: &Value, b: &Value, c: &Value) -> Value {
        self.op("Gemm", &[a, b, c], &[])
    }

    /// `aᵀ · b` for matrices `[k, m]` and `[k, n]`.
    pub fn gemm_tn(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Gemm", &[a, b], &[("transA", Attribute::Int(1))])
    }

    /// `a · bᵀ` for matrices `[m, k]` and `[n, k]`.
    pub fn gemm_nt(&mut self, a: &Value, b: &Value) -> Value {
        self.op("Gemm", &[a, b], &[("transB", Attribute::Int(1))])
    }

    /// `aᵀ · bᵀ` for matrices `[k, m]` and `[n, k]`.
    pub fn gemm_tt(&mut self, a: &Value, b: &Value) -> Value {
        let turned = Attribute::Int(1);
        self.op("Gemm", &[a, b], &[("transA", turned.clone()), ("transB", turned)])
    }

    /// Joins values along an axis.
    pub fn concat(&mut self, values: &[&Value], axis: i64) -> Value {
        self.op("Concat", values, &[("axis", Attribute::Int(axis))])
    }

    /// Cuts a value along an axis into parts of the given sizes.
    pub fn split(&mut self, x: &Value, sizes: &[usize], axis: i64) -> Vec<Value> {
        let lengths: Vec<i64> = sizes.iter().map(|&size| extent(size)).collect();
        let lengths = self.ints(&lengths);
        self.op_many("Split", &[x, &lengths], &[("axis", Attribute::Int(axis))], sizes.len())
    }

    /// The elements `from..to` along an axis; a negative bound counts from the end.
    pub fn slice(&mut self, x: &Value, from: i64, to: i64, axis: i64) -> Value {
        let (from, to, axis) = (self.ints(&[from]), self.ints(&[to]), self.ints(&[axis]));
        self.op("Slice", &[x, &from, &to, &axis], &[])
    }

    /// The same elements in another shape; `-1` stands for what is left, `0` for "as before".
    pub fn reshape(&mut self, x: &Value, shape: &[i64]) -> Value {
        let shape = self.ints(shape);
        self.op("Reshape", &[x, &shape], &[])
    }

    /// Inserts axes of extent 1.
    pub fn unsqueeze(&mut self, x: &Value, axes: &[i64]) -> Value {
        let axes = self.ints(axes);
        self.op("Unsqueeze", &[x, &axes], &[])
    }

    /// Removes axes of extent 1.
    pub fn squeeze(&mut self, x: &Value, axes: &[i64]) -> Value {
        let axes = self.ints(axes);
        self.op("Squeeze", &[x, &axes], &[])
    }

    /// Permutes axes.
    pub fn transpose(&mut self, x: &Value, permutation: &[i64]) -> Value {
        self.op("Transpose", &[x], &[("perm", Attribute::Ints(permutation.to_vec()))])
    }

    /// Rows (or sub-tensors along the first axis) of `table` by index.
    pub fn gather(&mut self, table: &Value, indices: &Value) -> Value {
        self.op("Gather", &[table, indices], &[])
    }

    /// Sums over axes, which disappear.
    pub fn reduce_sum(&mut self, x: &Value, axes: &[i64]) -> Value {
        let axes = self.ints(axes);
        self.op("ReduceSum", &[x, &axes], &[("keepdims", Attribute::Int(0))])
    }

    /// Repeats a value up to a shape given as a value.
    pub fn expand(&mut self, x: &Value, shape: &Value) -> Value {
        self.op("Expand", &[x, shape], &[])
    }
}
