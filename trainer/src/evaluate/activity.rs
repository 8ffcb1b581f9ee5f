//! Active latent dimensions (active units in Burda et al., "Importance Weighted Autoencoders",
//! 2016, section 5.2).

/// A latent dimension is active when the variance of its posterior mean over windows exceeds this
/// share of its mean posterior variance. Burda et al. compare with 0.01 itself, for dimensions that
/// otherwise have the variance of the prior.
const ACTIVE: f64 = 0.01;

/// Sums over the posteriors of windows.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    windows: f64,
    /// Of each number: sum and sum of squares of its means, sum of its variances.
    sums: Vec<[f64; 3]>,
}

impl Activity {
    /// Adds a window's posterior: mean and standard deviation, each `[z]`.
    pub fn add(&mut self, mu: &[f32], sigma: &[f32]) {
        self.windows += 1.0;
        self.sums.resize(mu.len(), [0.0; 3]);
        for (sums, (&mu, &sigma)) in self.sums.iter_mut().zip(mu.iter().zip(sigma)) {
            let (mu, sigma) = (f64::from(mu), f64::from(sigma));
            for (sum, value) in sums.iter_mut().zip([mu, mu * mu, sigma * sigma]) {
                *sum += value;
            }
        }
    }

    /// Number of active latent dimensions. With 0 the posterior has collapsed: all windows have the
    /// same code, and the decoder ignores it. `None` for fewer than two windows.
    pub fn units(&self) -> Option<usize> {
        let active = |sums: &&[f64; 3]| {
            let [mean, squares, noise] = sums.map(|sum| sum / self.windows);
            squares - mean * mean > ACTIVE * noise
        };
        (self.windows > 1.0).then(|| self.sums.iter().filter(active).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A number is active when it differs among windows by more than a tenth of its noise or so,
    // wherever it lies.
    #[test]
    fn what_differs_is_active() {
        let sigma = [1.0, 1.0, 0.1, 1.0];
        let mut activity = Activity::default();
        activity.add(&[5.0, 0.0, 1.00, 0.05], &sigma);
        assert_eq!(activity.units(), None);
        activity.add(&[5.0, 1.0, 1.03, 0.0], &sigma);
        assert_eq!(activity.units(), Some(2));
        let mut same = Activity::default();
        (0..3).for_each(|_| same.add(&[0.3, -2.0], &[0.5, 0.001]));
        assert_eq!(same.units(), Some(0));
    }
}
