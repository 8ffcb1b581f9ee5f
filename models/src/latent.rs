//! Operations in latent space: interpolation, samples of the prior, [`attributes`] vectors, and
//! models of codes.

pub mod attributes;
pub mod constraint;
pub mod flow;
pub mod personal;

use interlude_gradient::random::{fill_normal, generator};

/// Sine of the angle below which two codes have the same direction.
const SAME_DIRECTION: f64 = 1e-4;
/// Sine of the angle below which two codes are opposite.
const OPPOSITE: f64 = 0.1;

/// Spherical interpolation from `a` (`t = 0`) to `b` (`t = 1`).
///
/// As the original: `ω = acos(â · b̂)`, `z = sin((1−t)ω)/sin ω · a + sin(tω)/sin ω · b`, with the
/// angle of the normalised and the weights of the unnormalised codes. Where that divides by zero
/// the result stays finite and continuous in `t`: between codes of nearly the same direction, or
/// from and to zero, it is linear; between nearly opposite ones it follows half a circle through an
/// orthogonal direction while its length changes linearly.
///
/// # Panics
/// When the codes differ in size.
pub fn slerp(a: &[f32], b: &[f32], t: f32) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "codes of one model have one size");
    let t = f64::from(t);
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let blend = |weight_a: f64, weight_b: f64| -> Vec<f32> {
        let mix = |(&a, &b): (&f32, &f32)| weight_a * f64::from(a) + weight_b * f64::from(b);
        a.iter().zip(b).map(mix).map(narrow).collect()
    };
    let (length_a, length_b) = (dot(a, a).sqrt(), dot(b, b).sqrt());
    if length_a == 0.0 || length_b == 0.0 {
        return blend(1.0 - t, t);
    }
    let cosine = (dot(a, b) / (length_a * length_b)).clamp(-1.0, 1.0);
    let angle = cosine.acos();
    let sine = angle.sin();
    if cosine > 0.0 && sine < SAME_DIRECTION {
        return blend(1.0 - t, t);
    }
    if cosine > 0.0 || sine > OPPOSITE {
        return blend(((1.0 - t) * angle).sin() / sine, (t * angle).sin() / sine);
    }
    let from: Vec<f64> = a.iter().map(|&a| f64::from(a) / length_a).collect();
    let to: Vec<f64> = b.iter().map(|&b| f64::from(b) / length_b).collect();
    let aside = perpendicular(&from, &to);
    let length = (1.0 - t) * length_a + t * length_b;
    // The angle between the codes is kept, so the way ends at `b` itself.
    let (sine, cosine) = (t * angle).sin_cos();
    let turn = |(from, aside): (&f64, &f64)| length * (cosine * from + sine * aside);
    from.iter().zip(&aside).map(turn).map(narrow).collect()
}

/// A unit vector orthogonal to the unit vector `from`, towards `to` where that is defined.
fn perpendicular(from: &[f64], to: &[f64]) -> Vec<f64> {
    let reject = |vector: &[f64]| -> Vec<f64> {
        let along: f64 = from.iter().zip(vector).map(|(a, b)| a * b).sum();
        from.iter().zip(vector).map(|(a, b)| b - along * a).collect()
    };
    let length = |vector: &[f64]| vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    let mut aside = reject(to);
    if length(&aside) < 1e-7 {
        // The axis that `from` points to least is never along it.
        let least = (0..from.len()).min_by(|&i, &j| from[i].abs().total_cmp(&from[j].abs()));
        let mut axis = vec![0.0; from.len()];
        axis[least.unwrap_or(0)] = 1.0;
        aside = reject(&axis);
    }
    let length = length(&aside);
    if length > 0.0 {
        aside.iter_mut().for_each(|value| *value /= length);
    }
    aside
}

/// The point `(x, y)` between four codes: `corners` are those at (0, 0), (1, 0), (0, 1), (1, 1).
///
/// # Panics
/// When the codes differ in size.
pub fn bilinear(corners: [&[f32]; 4], x: f32, y: f32) -> Vec<f32> {
    let [a, b, c, d] = corners;
    slerp(&slerp(a, b, x), &slerp(c, d, x), y)
}

/// A sample of the prior, the standard normal distribution in `size` dimensions, determined by seed
/// and index.
pub fn prior(seed: u64, index: u64, size: usize) -> Vec<f32> {
    let mut code = vec![0.0; size];
    fill_normal(&mut generator(seed, *b"prior\0\0\0", index), &mut code);
    code
}

#[expect(clippy::cast_possible_truncation, reason = "codes are 32-bit floats")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
    }

    fn length(a: &[f32]) -> f32 {
        distance(a, &vec![0.0; a.len()])
    }

    // At right angles the halfway point has equal weights of sin 45° / sin 90°.
    #[test]
    fn slerp_follows_its_formula() {
        let middle = slerp(&[1.0, 0.0], &[0.0, 2.0], 0.5);
        let weight = std::f32::consts::FRAC_1_SQRT_2;
        assert!(distance(&middle, &[weight, 2.0 * weight]) < 1e-6);
    }

    // Opposite codes are joined by half a circle, not through the origin.
    #[test]
    fn opposite_codes_keep_their_length() {
        for t in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let code = slerp(&[3.0, 0.0, 0.0], &[-3.0, 0.0, 0.0], t);
            assert!((length(&code) - 3.0).abs() < 1e-5, "{code:?}");
        }
    }

    proptest! {
        // Ends are met, all values are finite, and small steps in t are small steps in space,
        // also for codes that are equal, opposite or zero.
        #[test]
        fn slerp_is_continuous(
            a in proptest::collection::vec(-3.0f32..3.0, 4),
            b in proptest::collection::vec(-3.0f32..3.0, 4),
            kind in 0..5,
        ) {
            let b: Vec<f32> = match kind {
                0 => b,
                1 => a.clone(),
                2 => a.iter().map(|a| -1.5 * a).collect(),
                3 => a.iter().zip(&b).map(|(a, b)| -a + 1e-4 * b).collect(),
                _ => vec![0.0; 4],
            };
            prop_assert!(distance(&slerp(&a, &b, 0.0), &a) < 1e-3);
            prop_assert!(distance(&slerp(&a, &b, 1.0), &b) < 1e-3);
            let mut last = a.clone();
            for step in 1..=1000u16 {
                let code = slerp(&a, &b, f32::from(step) / 1000.0);
                prop_assert!(code.iter().all(|value| value.is_finite()));
                let bound = 1e-4 + 0.04 * (length(&a) + length(&b));
                prop_assert!(distance(&last, &code) < bound, "jump at {step}");
                last = code;
            }
        }
    }

    // The corners of the square are the codes themselves.
    #[test]
    fn bilinear_meets_its_corners() {
        let corners = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [0.3, -1.0]];
        for (index, corner) in corners.iter().enumerate() {
            let (x, y) = ([0.0, 1.0][index % 2], [0.0, 1.0][index / 2]);
            let code = bilinear(corners.each_ref().map(|c| c.as_slice()), x, y);
            assert!(distance(&code, corner) < 1e-5);
        }
    }

    // Codes from the prior have mean 0 and variance 1, and depend on seed and index alone.
    #[test]
    fn the_prior_is_standard_normal() {
        let code = prior(7, 3, 100_001);
        let count = 100_001.0;
        let mean = code.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let square = code.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / count;
        assert!(mean.abs() < 0.01 && (square - 1.0).abs() < 0.02, "{mean} {square}");
        assert_eq!(code, prior(7, 3, 100_001));
        assert_ne!(prior(7, 3, 8), prior(7, 4, 8));
        assert_ne!(prior(7, 3, 8), prior(8, 3, 8));
    }
}
