//! How many numbers of a code tell windows apart: the active units of Burda et al., "Importance
//! Weighted Autoencoders" (2016), section 5.2.

/// Variance over windows from which on the mean of a number's posterior counts as active.
const ACTIVE: f64 = 0.01;

/// Sums over the means of posteriors.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    windows: f64,
    /// Sum and sum of squares of each number.
    sums: Vec<[f64; 2]>,
}

impl Activity {
    /// Adds the mean of a window's posterior, `[z]`.
    pub fn add(&mut self, mean: &[f32]) {
        self.windows += 1.0;
        self.sums.resize(mean.len(), [0.0; 2]);
        for ([sum, squares], &value) in self.sums.iter_mut().zip(mean) {
            *sum += f64::from(value);
            *squares += f64::from(value) * f64::from(value);
        }
    }

    /// How many numbers are active. With none, all windows have the same code: the posterior has
    /// collapsed, and the decoder plays without listening. Of fewer than two windows nothing can be
    /// said.
    pub fn units(&self) -> Option<usize> {
        let windows = self.windows;
        let active =
            |[sum, squares]: &&[f64; 2]| squares / windows - (sum / windows).powi(2) > ACTIVE;
        (windows > 1.0).then(|| self.sums.iter().filter(active).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A number is active when it differs among windows by more than a tenth or so, wherever it lies.
    #[test]
    fn what_differs_is_active() {
        let mut activity = Activity::default();
        activity.add(&[5.0, 0.0, 1.0, 0.05]);
        assert_eq!(activity.units(), None);
        activity.add(&[5.0, 1.0, 1.3, 0.0]);
        assert_eq!(activity.units(), Some(2));
        let mut same = Activity::default();
        (0..3).for_each(|_| same.add(&[0.3, -2.0]));
        assert_eq!(same.units(), Some(0));
    }
}
