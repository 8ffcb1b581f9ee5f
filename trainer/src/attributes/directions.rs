//! Directions from latent codes and a number for each.

use nalgebra::{DMatrix, DVector};

/// For each attribute a number, or none, for each code.
pub type Responses = Vec<Vec<Option<f64>>>;

/// Ridge of the regression, as a share of the mean variance of a dimension.
const RIDGE: f64 = 0.1;
/// How far other attributes are held: 0 lets them go along as they do in the data, 1 holds them
/// wholly as far as attributes are linear in the codes, by ever longer ways for those that hardly
/// change alone.
const HOLD: f64 = 0.8;

/// Responses are clipped to this many standard deviations: far from the data melodies leap by
/// octaves, which would outweigh everything nearer.
const LIMIT: f64 = 0.5;

/// Codes less their mean, one in a row.
pub fn centred(codes: &[Vec<f32>]) -> DMatrix<f64> {
    let size = codes.first().map_or(0, Vec::len);
    let mut rows = DMatrix::from_fn(codes.len(), size, |row, column| f64::from(codes[row][column]));
    if !codes.is_empty() {
        let mean = rows.row_mean();
        rows.row_iter_mut().for_each(|mut row| row -= &mean);
    }
    rows
}

/// A code moved by `sign` times a row.
pub fn moved(code: &[f32], moves: &DMatrix<f64>, row: usize, sign: f64) -> Vec<f32> {
    let value =
        |(column, &value): (usize, &f32)| narrow(f64::from(value) + sign * moves[(row, column)]);
    code.iter().enumerate().map(value).collect()
}

/// For each attribute the difference between the mean codes of the quarters with the most and the
/// least of it, divided by the difference of their means; none where quarters do not differ.
pub fn of_means(codes: &DMatrix<f64>, standard: &Responses) -> Vec<Option<Vec<f32>>> {
    let of_one = |values: &Vec<Option<f64>>| {
        let mut order: Vec<(f64, usize)> =
            (0..).zip(values).filter_map(|(row, value)| Some(((*value)?, row))).collect();
        order.sort_by(|a, b| a.0.total_cmp(&b.0));
        let quarter = order.len() / 4;
        if quarter == 0 {
            return None;
        }
        let mean = |part: &[(f64, usize)]| {
            let rows: Vec<usize> = part.iter().map(|(_, row)| *row).collect();
            let value = crate::evaluate::mean(part.iter().map(|(value, _)| *value));
            (codes.select_rows(&rows).row_mean().transpose(), value)
        };
        let (least, low) = mean(&order[..quarter]);
        let (most, high) = mean(&order[order.len() - quarter..]);
        usable((most - least) / (high - low))
    };
    standard.iter().map(of_one).collect()
}

/// For each attribute the way by which it rises by 1 while those that it `holds` stay.
///
/// The gradient `w` of each attribute is found by ridge regression of `responses`, held within
/// `LIMIT`, on `moves`, row by row. With the covariance `C` of `codes`, among all directions `d` with `w · d = 1` that with the
/// smallest `d · C⁻¹ d`, the least unusual among the codes, is `C w` up to its length; with others
/// held it is `C W c`, where `W` are the gradients of all of them and `(Wᵀ C W) c` is 0 but for the
/// attribute itself. The entries of `Wᵀ C W` off its diagonal count `HOLD` times. The length is that for
/// which the gradient of the whole responses gives 1.
pub fn holding(
    moves: &DMatrix<f64>,
    codes: &DMatrix<f64>,
    responses: &Responses,
    holds: &dyn Fn(usize, usize) -> bool,
) -> Vec<Option<Vec<f32>>> {
    let limited = |value: &Option<f64>| value.map(|value| value.clamp(-LIMIT, LIMIT));
    let limited: Responses =
        responses.iter().map(|values| values.iter().map(limited).collect()).collect();
    let both = gradients(moves, &[limited, responses.clone()].concat());
    let gradients = both.columns(0, responses.len());
    let whole = both.columns(responses.len(), responses.len());
    // `C W` without making `C`.
    let spread = codes.tr_mul(&(codes * gradients)) / count(codes.nrows()).max(1.0);
    let together = gradients.tr_mul(&spread);
    let of_one = |one: usize| {
        if together[(one, one)] <= 1e-12 {
            return None;
        }
        let used = |other: &usize| {
            *other == one || (holds(one, *other) && together[(*other, *other)] > 1e-12)
        };
        let set: Vec<usize> = (0..responses.len()).filter(used).collect();
        let matrix = DMatrix::from_fn(set.len(), set.len(), |row, column| {
            let share = if row == column { 1.0 } else { HOLD };
            share * together[(set[row], set[column])]
        });
        let own = DVector::from_fn(set.len(), |row, _| f64::from(u8::from(set[row] == one)));
        let shares = matrix.lu().solve(&own)?;
        let direction = spread.select_columns(&set) * shares;
        let rise = whole.column(one).dot(&direction);
        if rise > 0.0 { usable(direction / rise) } else { None }
    };
    (0..responses.len()).map(of_one).collect()
}

/// Gradients of the responses, one in a column, by ridge regression. Rows without a response count
/// for the covariance of the moves only.
fn gradients(moves: &DMatrix<f64>, responses: &Responses) -> DMatrix<f64> {
    let size = moves.ncols();
    let mut sides = DMatrix::zeros(size, responses.len());
    for (values, mut side) in responses.iter().zip(sides.column_iter_mut()) {
        let there = count(values.iter().flatten().count()).max(1.0);
        let mean = crate::evaluate::mean(values.iter().flatten().copied());
        let values = values.iter().map(|value| value.map_or(0.0, |value| value - mean));
        let values = DVector::from_iterator(moves.nrows(), values);
        side.copy_from(&(moves.tr_mul(&values) / there));
    }
    let mut covariance = moves.tr_mul(moves) / count(moves.nrows()).max(1.0);
    let ridge = RIDGE * covariance.trace() / count(size).max(1.0);
    (0..size).for_each(|index| covariance[(index, index)] += ridge);
    match covariance.cholesky() {
        Some(factors) => factors.solve(&sides),
        // Codes that are all the same: nothing follows from them.
        None => DMatrix::zeros(size, responses.len()),
    }
}

/// A direction as it is stored; `None` where it is zero or not finite.
fn usable(direction: DVector<f64>) -> Option<Vec<f32>> {
    let direction: Vec<f32> = direction.iter().copied().map(narrow).collect();
    let length: f32 = direction.iter().map(|value| value * value).sum();
    (length > 0.0 && length.is_finite()).then_some(direction)
}

fn count(count: usize) -> f64 {
    crate::evaluate::number(count)
}

/// As codes and files hold it.
#[expect(clippy::cast_possible_truncation, reason = "codes are 32-bit floats")]
pub(super) fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use interlude_models::latent::prior;

    use super::*;

    const SIZE: usize = 8;

    /// Codes whose dimensions have the deviations 1, 2, 1, 2, …
    fn codes(seed: u64) -> DMatrix<f64> {
        let rows: Vec<Vec<f32>> = (0..3000)
            .map(|index| {
                let code = prior(seed, index, SIZE).into_iter().zip([1.0, 2.0].into_iter().cycle());
                code.map(|(value, deviation)| value * deviation).collect()
            })
            .collect();
        centred(&rows)
    }

    fn responses(moves: &DMatrix<f64>, gradients: &[[f64; SIZE]]) -> Responses {
        let of_one = |gradient: &[f64; SIZE]| {
            let gradient = DVector::from_row_slice(gradient);
            (moves * gradient).iter().map(|value| Some(*value)).collect()
        };
        gradients.iter().map(of_one).collect()
    }

    fn rise(direction: &[f32], gradient: &[f64; SIZE]) -> f64 {
        direction.iter().zip(gradient).map(|(d, w)| f64::from(*d) * w).sum()
    }

    const PITCH: [f64; SIZE] = [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    const RANGE: [f64; SIZE] = [0.25, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];

    // Of two attributes that are linear and correlated each direction raises its own by about 1, and
    // the other by far less than a direction that does not hold it.
    #[test]
    fn others_are_held() {
        let (codes, moves) = (codes(1), codes(2));
        let responses = responses(&moves, &[PITCH, RANGE]);
        let held = holding(&moves, &codes, &responses, &|_, _| true);
        let free = holding(&moves, &codes, &responses, &|_, _| false);
        for (one, other, index) in [(PITCH, RANGE, 0), (RANGE, PITCH, 1)] {
            let held = held[index].as_ref().expect("a direction");
            let free = free[index].as_ref().expect("a direction");
            // The ridge makes gradients a little smaller, and so effects larger.
            for direction in [held, free] {
                assert!((0.9..1.3).contains(&rise(direction, &one)), "{direction:?}");
            }
            let (held, free) = (rise(held, &other).abs(), rise(free, &other).abs());
            assert!(held < 0.5 * free, "{held} {free}");
        }
    }

    // Without others the direction prefers dimensions in which codes differ much.
    #[test]
    fn directions_follow_the_codes() {
        let (codes, moves) = (codes(3), codes(4));
        let found = holding(&moves, &codes, &responses(&moves, &[RANGE]), &|_, _| true);
        let direction = found[0].as_ref().expect("a direction");
        // Variances 1 and 4; the ridge takes more of the gradient where codes differ less.
        assert!((3.5..5.5).contains(&(direction[1] / direction[0])), "{direction:?}");
        assert!(direction[2..].iter().all(|value| value.abs() < 0.1), "{direction:?}");
    }

    // Rows without a number are left out, and an attribute that never responds has no direction.
    #[test]
    fn rows_without_a_number_do_not_count() {
        let (codes, moves) = (codes(5), codes(6));
        let mut responses = responses(&moves, &[PITCH, [0.0; SIZE], RANGE]);
        let whole = holding(&moves, &codes, &responses, &|_, _| true);
        assert!(whole[1].is_none());
        responses[0].iter_mut().step_by(3).for_each(|value| *value = None);
        responses[2].fill(None);
        let found = holding(&moves, &codes, &responses, &|_, _| false);
        assert!(found[2].is_none());
        assert!((rise(found[0].as_ref().expect("a direction"), &PITCH) - 1.0).abs() < 0.25);
    }

    // The difference of means points along the attribute, and its length is that of one deviation.
    #[test]
    fn means_differ_along_the_attribute() {
        let codes = codes(7);
        let found =
            of_means(&codes, &responses(&codes, &[[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]]));
        let direction = found[0].as_ref().expect("a direction");
        assert!((direction[0] - 1.0).abs() < 1e-3, "{direction:?}");
        assert!(direction[1..].iter().all(|value| value.abs() < 0.25), "{direction:?}");
        assert_eq!(of_means(&codes, &vec![vec![Some(1.0); 3000]]), [None], "nothing to tell apart");
    }

    // Few codes, codes that are all the same and no codes give directions or none, never a panic.
    #[test]
    fn little_data_is_no_harm() {
        for rows in [0, 1, 2, 3] {
            let codes: Vec<Vec<f32>> = (0..rows).map(|index| prior(1, index, SIZE)).collect();
            let same = vec![vec![0.5; SIZE]; codes.len()];
            for codes in [centred(&codes), centred(&same)] {
                let responses: Responses =
                    vec![(0..codes.nrows()).map(|row| Some(count(row))).collect()];
                for found in [
                    holding(&codes, &codes, &responses, &|_, _| true),
                    of_means(&codes, &responses),
                ] {
                    let finite =
                        |direction: &Vec<f32>| direction.iter().all(|value| value.is_finite());
                    assert!(found.iter().flatten().all(finite));
                }
            }
        }
    }
}
