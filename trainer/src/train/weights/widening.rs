//! Weights of narrow layers as those of wider ones.
//!
//! Source: Chen, Goodfellow and Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer"
//! (2016). New units are drawn as in a new model rather than copied, and nothing reads them at first,
//! so that the model computes what it did.

use interlude_models::config::Config;
use interlude_models::network::variables;
use interlude_models::weights::Weights;

use super::initial;
use interlude_checkpoint::measure;

/// The configuration with the sizes that some weights have.
pub fn measured(config: &Config, weights: &Weights) -> Config {
    let mut own = config.clone();
    measure(&mut own, |name| weights.get(name).map(|tensor| &*tensor.shape));
    own
}

/// The configuration with the sizes that some weights have, when it has as many layers, none of them
/// narrower.
pub fn narrower(config: &Config, weights: &Weights) -> Option<Config> {
    let own = measured(config, weights);
    let sizes = |config: &Config| {
        let hparams = &config.hparams;
        let one = [hparams.z_size, hparams.nade_num_hidden];
        [
            hparams.enc_rnn_size.clone(),
            hparams.dec_rnn_size.clone(),
            config.upper_encoder_sizes().to_vec(),
            config.conductor_sizes().to_vec(),
            one.to_vec(),
        ]
    };
    let (small, large) = (sizes(&own), sizes(config));
    let fits = |(small, large): (&Vec<usize>, &Vec<usize>)| {
        small.len() == large.len() && small.iter().zip(large).all(|(small, large)| small <= large)
    };
    (small != large && small.iter().zip(&large).all(fits)).then_some(own)
}

/// Weights of `narrow` as weights of `config`, whose layers are as many and as wide or wider; the
/// new units are drawn with a seed. Codes get new numbers, which the decoder does not read at first.
///
/// # Panics
/// When the weights are not those of `narrow`, or a layer of it is wider.
pub fn widen(weights: &Weights, narrow: &Config, config: &Config, seed: u64) -> Weights {
    let mut wide = initial::weights(config, seed);
    for (from, to) in variables(narrow).into_iter().zip(variables(config)) {
        let source = &weights.get(&from.name).expect("weights of the narrow layers").data;
        let target = &mut wide.0.get_mut(&to.name).expect("it was drawn").data;
        let rows = places(&from.rows, &to.rows);
        let columns = places(&from.columns, &to.columns);
        let width: usize = from.columns.iter().sum();
        for (values, row) in target.chunks_exact_mut(columns.len()).zip(rows) {
            for (value, column) in values.iter_mut().zip(&columns) {
                *value = match (row, column) {
                    (Some(row), Some(column)) => source[row * width + column],
                    (None, Some(_)) => 0.0,
                    (_, None) => *value,
                };
            }
        }
    }
    wide
}

/// Where each row or column of parts of the widths `to` was among parts of the widths `from`; none
/// for new ones, which come last in each part.
fn places(from: &[usize], to: &[usize]) -> Vec<Option<usize>> {
    let mut places = Vec::new();
    let mut begin = 0;
    for (&old, &new) in from.iter().zip(to) {
        assert!(old <= new, "no layer gets narrower");
        places.extend((0..new).map(|place| (place < old).then_some(begin + place)));
        begin += old;
    }
    places
}
