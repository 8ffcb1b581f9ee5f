//! The arithmetic of a cell, vectorised.

use std::ops::Range;

use pulp::{Scalar, Simd, WithSimd};

/// A step forward; each slice has a value for each unit of each example.
pub(super) struct Step<'a> {
    /// Pre-activations of the gates i, j, f, o, one after the other.
    pub(super) sums: &'a [f32],
    /// The cell before.
    pub(super) c: &'a [f32],
    /// Activated gates, as the sums.
    pub(super) gates: &'a mut [f32],
    /// What is kept of the cell before, `f·c`.
    pub(super) kept: &'a mut [f32],
    /// `tanh` of the next cell.
    pub(super) squashed: &'a mut [f32],
    /// The next cell.
    pub(super) next: &'a mut [f32],
    /// The next output.
    pub(super) h: &'a mut [f32],
}

impl WithSimd for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (vectors, rest) = ranges::<S>(self.c.len());
        self.run(simd, vectors);
        self.run(Scalar, rest);
    }
}

impl Step<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, range: Range<usize>) {
        let size = self.c.len();
        let sums = of_gates::<S>(self.sums, size, &range);
        let gates = of_gates_mut::<S>(self.gates, size, &range);
        let c = S::as_simd_f32s(&self.c[range.clone()]).0;
        let kept = S::as_mut_simd_f32s(&mut self.kept[range.clone()]).0;
        let squashed = S::as_mut_simd_f32s(&mut self.squashed[range.clone()]).0;
        let next = S::as_mut_simd_f32s(&mut self.next[range.clone()]).0;
        let h = S::as_mut_simd_f32s(&mut self.h[range]).0;
        for at in 0..c.len() {
            let i = logistic(simd, sums[0][at]);
            let j = tanh(simd, sums[1][at]);
            let f = logistic(simd, sums[2][at]);
            let o = logistic(simd, sums[3][at]);
            let keep = simd.mul_f32s(f, c[at]);
            let cell = simd.add_f32s(keep, simd.mul_f32s(i, j));
            let squash = tanh(simd, cell);
            gates[0][at] = i;
            gates[1][at] = j;
            gates[2][at] = f;
            gates[3][at] = o;
            kept[at] = keep;
            squashed[at] = squash;
            next[at] = cell;
            h[at] = simd.mul_f32s(o, squash);
        }
    }
}

/// A step back.
pub(super) struct StepBack<'a> {
    /// From [`Step`].
    pub(super) gates: &'a [f32],
    /// From [`Step`].
    pub(super) squashed: &'a [f32],
    /// From [`Step`].
    pub(super) kept: &'a [f32],
    /// Gradient of the output.
    pub(super) dh: &'a [f32],
    /// Another one that is added to it.
    pub(super) own: Option<&'a [f32]>,
    /// Gradient of the cell.
    pub(super) dc: &'a [f32],
    /// Gradient of the sums, in the order of the gates.
    pub(super) dsums: &'a mut [f32],
    /// Gradient of the cell before.
    pub(super) earlier: &'a mut [f32],
}

impl WithSimd for StepBack<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let (vectors, rest) = ranges::<S>(self.dc.len());
        self.run(simd, vectors);
        self.run(Scalar, rest);
    }
}

impl StepBack<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, simd: S, range: Range<usize>) {
        let size = self.dc.len();
        let gates = of_gates::<S>(self.gates, size, &range);
        let dsums = of_gates_mut::<S>(self.dsums, size, &range);
        let squashed = S::as_simd_f32s(&self.squashed[range.clone()]).0;
        let kept = S::as_simd_f32s(&self.kept[range.clone()]).0;
        let dh = S::as_simd_f32s(&self.dh[range.clone()]).0;
        let own = self.own.map(|own| S::as_simd_f32s(&own[range.clone()]).0);
        let dc = S::as_simd_f32s(&self.dc[range.clone()]).0;
        let earlier = S::as_mut_simd_f32s(&mut self.earlier[range]).0;
        for at in 0..dc.len() {
            let [i, j, f, o] = [gates[0][at], gates[1][at], gates[2][at], gates[3][at]];
            let dh = match own {
                Some(own) => simd.add_f32s(dh[at], own[at]),
                None => dh[at],
            };
            // h = o·tanh(c), so dc gains dh·o·(1 − tanh²(c)).
            let dho = simd.mul_f32s(dh, o);
            let through = simd.mul_f32s(dho, squashed[at]);
            let gained = less(simd, dho, through, squashed[at]);
            let dc = simd.add_f32s(dc[at], gained);
            // A logistic gate's derivative is g·(1 − g); that of the candidate is 1 − j².
            let dci = simd.mul_f32s(dc, i);
            let dcij = simd.mul_f32s(dci, j);
            let dcf = simd.mul_f32s(dc, kept[at]);
            dsums[0][at] = less(simd, dcij, dcij, i);
            dsums[1][at] = less(simd, dci, dcij, j);
            dsums[2][at] = less(simd, dcf, dcf, f);
            dsums[3][at] = less(simd, through, through, o);
            earlier[at] = simd.mul_f32s(dc, f);
        }
    }
}

/// `x − a·b`, rounded after each operation.
#[inline(always)]
fn less<S: Simd>(simd: S, x: S::f32s, a: S::f32s, b: S::f32s) -> S::f32s {
    simd.sub_f32s(x, simd.mul_f32s(a, b))
}

/// The values that fill vectors, and those that do not.
fn ranges<S: Simd>(size: usize) -> (Range<usize>, Range<usize>) {
    let vectors = size - size % S::F32_LANES;
    (0..vectors, vectors..size)
}

/// A range of each of four gates of `size` values.
#[inline(always)]
fn of_gates<'a, S: Simd>(all: &'a [f32], size: usize, range: &Range<usize>) -> [&'a [S::f32s]; 4] {
    [0, 1, 2, 3].map(|gate| S::as_simd_f32s(&all[gate * size..][range.clone()]).0)
}

/// The same, to be written.
#[inline(always)]
fn of_gates_mut<'a, S: Simd>(
    all: &'a mut [f32],
    size: usize,
    range: &Range<usize>,
) -> [&'a mut [S::f32s]; 4] {
    let (ij, fo) = all.split_at_mut(2 * size);
    let ((i, j), (f, o)) = (ij.split_at_mut(size), fo.split_at_mut(size));
    [i, j, f, o].map(|gate| S::as_mut_simd_f32s(&mut gate[range.clone()]).0)
}

/// Beyond this, [`logistic`] is 0 or 1 in single precision.
const LOGISTIC_LIMIT: f32 = 18.0;
/// Odd powers of the numerator of [`logistic`] less a half, highest first.
const LOGISTIC_ABOVE: [f32; 5] =
    [4.370_31e-11, 1.156_273_2e-7, 6.085_749e-5, 8.513_771e-3, 0.248_287_95];
/// Even powers of its denominator.
const LOGISTIC_BELOW: [f32; 6] =
    [6.102_473_7e-13, 5.761_021_4e-9, 6.291_068e-6, 1.701_988_2e-3, 0.116_817_65, 0.993_151_9];
/// Beyond this, [`tanh`] is ±1 in single precision.
const TANH_LIMIT: f32 = 9.0;
/// Odd powers of the numerator of [`tanh`], highest first.
const TANH_ABOVE: [f32; 7] = [
    -2.760_768_4e-16,
    2.000_188e-13,
    -8.604_672e-11,
    5.122_297_3e-8,
    1.485_722_35e-5,
    6.372_619_5e-4,
    4.893_524_6e-3,
];
/// Even powers of its denominator.
const TANH_BELOW: [f32; 4] = [1.198_258_4e-6, 1.185_347_1e-4, 2.268_434_7e-3, 4.893_525e-3];

// Both functions are the quotients of polynomials that TensorFlow (through Eigen) and ONNX Runtime
// (in MLAS) compute: with others as precise, Adam's first steps take the weights elsewhere where
// gradients nearly vanish.

/// The logistic function.
#[inline(always)]
fn logistic<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = clamp(simd, x, -LOGISTIC_LIMIT, LOGISTIC_LIMIT);
    let value = quotient(simd, x, LOGISTIC_ABOVE, LOGISTIC_BELOW);
    clamp(simd, simd.add_f32s(value, simd.splat_f32s(0.5)), 0.0, 1.0)
}

/// The hyperbolic tangent.
#[inline(always)]
fn tanh<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let x = clamp(simd, x, -TANH_LIMIT, TANH_LIMIT);
    quotient(simd, x, TANH_ABOVE, TANH_BELOW)
}

/// A polynomial of odd powers over one of even powers.
#[inline(always)]
fn quotient<S: Simd, const N: usize, const M: usize>(
    simd: S,
    x: S::f32s,
    above: [f32; N],
    below: [f32; M],
) -> S::f32s {
    let square = simd.mul_f32s(x, x);
    let above = simd.mul_f32s(polynomial(simd, square, above), x);
    simd.div_f32s(above, polynomial(simd, square, below))
}

/// A polynomial, highest power first.
#[inline(always)]
fn polynomial<S: Simd, const N: usize>(simd: S, x: S::f32s, coefficients: [f32; N]) -> S::f32s {
    let mut sum = simd.splat_f32s(coefficients[0]);
    for next in &coefficients[1..] {
        sum = simd.mul_add_f32s(sum, x, simd.splat_f32s(*next));
    }
    sum
}

/// Clamps `x`. NaN is kept, so that it reaches the loss and is reported there.
#[inline(always)]
fn clamp<S: Simd>(simd: S, x: S::f32s, low: f32, high: f32) -> S::f32s {
    let (low, high) = (simd.splat_f32s(low), simd.splat_f32s(high));
    let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
    simd.select_f32s(simd.greater_than_f32s(x, high), high, x)
}

#[cfg(test)]
mod tests {
    use pulp::Arch;

    use super::*;

    /// Values from -2 to 2, different for each seed.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let value =
            |index: usize| f32::from(u8::try_from((index * 37 + seed) % 241).expect("a byte"));
        (0..count).map(|index| value(index) / 60.0 - 2.0).collect()
    }

    fn close(found: f32, expected: f64) {
        let error = (f64::from(found) - expected).abs();
        assert!(error <= 2e-6, "{found} for {expected}");
    }

    // Both functions err by less than 6e-7 of the largest value, stay in their range, and keep what is
    // not a number.
    #[test]
    fn functions_are_precise() {
        for index in -30_000i16..=30_000 {
            let x = f32::from(index) / 1500.0;
            let (found, expected) = (tanh(Scalar, x), f64::from(x).tanh());
            assert!((f64::from(found) - expected).abs() <= 6e-7, "tanh {x}: {found}");
            let (found, expected) = (logistic(Scalar, x), 1.0 / (1.0 + f64::from(-x).exp()));
            assert!((f64::from(found) - expected).abs() <= 6e-7, "logistic {x}: {found}");
            assert!((0.0..=1.0).contains(&found), "logistic {x}: {found}");
        }
        for x in [f32::INFINITY, f32::NEG_INFINITY] {
            assert!((tanh(Scalar, x).abs() - 1.0).abs() < 6e-7, "tanh {x}");
        }
        assert!(tanh(Scalar, f32::NAN).is_nan());
        assert!(logistic(Scalar, f32::NAN).is_nan());
    }

    // Both steps follow the formulas of the cell, whether or not a vector is full.
    #[test]
    fn steps_follow_the_formulas() {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        for size in [1, 7, 16, 33, 70] {
            let (sums, c) = (values(4 * size, 3), values(size, 11));
            let mut gates = vec![0.0; 4 * size];
            let [mut kept, mut squashed, mut next, mut h] = [const { Vec::new() }; 4];
            for output in [&mut kept, &mut squashed, &mut next, &mut h] {
                output.resize(size, 0.0);
            }
            Arch::new().dispatch(Step {
                sums: &sums,
                c: &c,
                gates: &mut gates,
                kept: &mut kept,
                squashed: &mut squashed,
                next: &mut next,
                h: &mut h,
            });
            let (dh, own, dc) = (values(size, 5), values(size, 90), values(size, 140));
            let (mut dsums, mut earlier) = (vec![0.0; 4 * size], vec![0.0; size]);
            Arch::new().dispatch(StepBack {
                gates: &gates,
                squashed: &squashed,
                kept: &kept,
                dh: &dh,
                own: Some(&own),
                dc: &dc,
                dsums: &mut dsums,
                earlier: &mut earlier,
            });
            for at in 0..size {
                let sum = |gate: usize| f64::from(sums[gate * size + at]);
                let (i, j) = (logistic(sum(0)), sum(1).tanh());
                let (f, o) = (logistic(sum(2)), logistic(sum(3)));
                let before = f64::from(c[at]);
                let cell = f * before + i * j;
                close(next[at], cell);
                close(h[at], o * cell.tanh());
                let dh = f64::from(dh[at]) + f64::from(own[at]);
                let dc = f64::from(dc[at]) + dh * o * (1.0 - cell.tanh().powi(2));
                close(dsums[at], dc * j * i * (1.0 - i));
                close(dsums[size + at], dc * i * (1.0 - j * j));
                close(dsums[2 * size + at], dc * before * f * (1.0 - f));
                close(dsums[3 * size + at], dh * cell.tanh() * o * (1.0 - o));
                close(earlier[at], dc * f);
            }
        }
    }
}
