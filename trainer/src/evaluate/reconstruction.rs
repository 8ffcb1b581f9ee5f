//! Reconstruction of windows from their posterior mean.

use interlude_models::config::OutputKind;
use interlude_models::engine::{Engine, EngineError, Sample};
use interlude_models::families::percussion::CLASSES;
use interlude_models::tokens::{Tokens, Window};
use serde::Serialize;

use super::scores::{Scores, Tally};
use super::{BATCH, controls, most_probable, number, symbols};

/// A reconstruction by the engine that the plug-in uses.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconstruction {
    /// How well the windows came back.
    #[serde(flatten)]
    pub scores: Scores,
    /// Windows and their free-running reconstructions.
    #[serde(skip)]
    pub examples: Vec<[Tokens; 2]>,
}

/// Reconstructs windows. `progress` is called with the number done; `examples` are kept.
///
/// # Errors
/// [`EngineError`] when a graph fails.
pub fn run(
    engine: &mut Engine,
    windows: &[Window],
    examples: usize,
    progress: &dyn Fn(usize),
) -> Result<Reconstruction, EngineError> {
    let config = engine.config().clone();
    let mut tally = Tally::new(&config);
    let mut loss = 0.0;
    let mut kept = Vec::new();
    for (index, windows) in windows.chunks(BATCH).enumerate() {
        let tokens: Vec<Tokens> = windows.iter().map(|window| window.tokens.clone()).collect();
        let posteriors = engine.encode(&tokens, controls(windows).as_deref())?;
        posteriors.iter().for_each(|posterior| tally.posterior(posterior));
        let codes: Vec<Vec<f32>> = posteriors.into_iter().map(|posterior| posterior.mu).collect();
        let forced = forced(engine, &codes, windows, &mut tally, &mut loss)?;
        let free = most_probable(engine, &codes, controls(windows))?;
        for ((right, forced), free) in tokens.into_iter().zip(&forced).zip(free) {
            let [right_symbols, forced, free_symbols] =
                [&right, forced, &free].map(|tokens| symbols(&config, tokens));
            tally.window(&right_symbols, &forced, &free_symbols);
            if kept.len() < examples {
                kept.push([right, free]);
            }
        }
        progress(index * BATCH + windows.len());
    }
    let has_loss = config.output_kind() != OutputKind::Nade;
    let r_loss = has_loss.then(|| loss / number(windows.len()).max(1.0));
    Ok(Reconstruction { scores: tally.scores(r_loss), examples: kept })
}

/// Decodes while each step reads the right output of the one before. Adds the loss in nats, and the
/// hits of grooves to the tally.
fn forced(
    engine: &mut Engine,
    codes: &[Vec<f32>],
    windows: &[Window],
    tally: &mut Tally,
    loss: &mut f64,
) -> Result<Vec<Tokens>, EngineError> {
    let config = engine.config().clone();
    let steps = config.hparams.max_seq_len;
    let depth = config.control_depth();
    let (parts, width) = (config.outputs().len(), config.output_depth());
    let tokens = config.output_kind().is_tokens();
    let mut ids = Vec::new();
    let mut rows = Vec::new();
    let mut controls = Vec::new();
    for window in windows {
        if tokens {
            ids.push(window.tokens.ids(&config)?);
        } else {
            rows.push(window.tokens.output_rows(&config)?);
        }
        if let Some(window) = &window.controls {
            controls.push(window.rows(&config)?);
        }
    }
    let (mut found_ids, mut found_rows) =
        (vec![Vec::new(); windows.len()], vec![Vec::new(); windows.len()]);
    let mut decoder = engine.begin(codes)?;
    for step in 0..steps {
        if step > 0 {
            decoder.force(if tokens {
                let step = |ids: &Vec<u16>| ids[(step - 1) * parts..step * parts].to_vec();
                Sample::Tokens(ids.iter().flat_map(step).map(i64::from).collect())
            } else {
                let step = |row: &Vec<f32>| row[(step - 1) * width..step * width].to_vec();
                Sample::Values(rows.iter().flat_map(step).collect())
            });
        }
        let control = |rows: &Vec<f32>| rows[step * depth..(step + 1) * depth].to_vec();
        let control = (depth > 0).then(|| controls.iter().flat_map(control).collect());
        decoder.step(1.0, None, control)?;
        let logits = decoder.logits();
        match decoder.sample() {
            Sample::Tokens(sample) => {
                for (found, sample) in found_ids.iter_mut().zip(sample.chunks_exact(parts)) {
                    found.extend(sample.iter().map(|&id| u16::try_from(id).unwrap_or(u16::MAX)));
                }
                for (logits, ids) in logits.chunks_exact(width).zip(&ids) {
                    let right = &ids[step * parts..(step + 1) * parts];
                    *loss += cross_entropy(logits, config.outputs(), right);
                }
            }
            Sample::Values(sample) => {
                for (found, sample) in found_rows.iter_mut().zip(sample.chunks_exact(width)) {
                    found.extend_from_slice(sample);
                }
                if config.output_kind() == OutputKind::Groove {
                    let examples = logits.chunks_exact(width).zip(sample.chunks_exact(width));
                    for ((logits, sample), rows) in examples.zip(&rows) {
                        *loss += groove(logits, sample, &rows[step * width..][..width], tally);
                    }
                }
            }
        }
    }
    let decoded = if tokens {
        found_ids.iter().map(|ids| Tokens::from_ids(&config, ids)).collect::<Result<_, _>>()
    } else {
        found_rows.iter().map(|rows| Tokens::from_output_rows(&config, rows)).collect()
    };
    Ok(decoded?)
}

/// Cross-entropy of the right tokens in nats, summed over the parts.
fn cross_entropy(logits: &[f32], widths: &[usize], right: &[u16]) -> f64 {
    let (mut sum, mut rest) = (0.0, logits);
    for (&width, &right) in widths.iter().zip(right) {
        let (part, tail) = rest.split_at(width);
        let largest = part.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let total: f64 = part.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
        sum += total.ln() - f64::from(part[usize::from(right)] - largest);
        rest = tail;
    }
    sum
}

/// The loss of a step of a groove. Its hits that are right go to the tally.
fn groove(logits: &[f32], sample: &[f32], right: &[f32], tally: &mut Tally) -> f64 {
    let mut loss = 0.0;
    for class in 0..CLASSES {
        let (logit, hit) = (f64::from(logits[class]), f64::from(right[class]));
        loss += logit.max(0.0) - logit * hit + (-logit.abs()).exp().ln_1p();
        let error = |column: usize| sample[column] - right[column];
        let (velocity, offset) = (error(CLASSES + class), error(2 * CLASSES + class));
        loss += f64::from(velocity).powi(2) + f64::from(offset).powi(2);
        if right[class] > 0.5 && sample[class] > 0.5 {
            tally.hit(velocity, offset);
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    // Equal logits give the logarithm of the vocabulary, a certain one nothing; parts add up.
    #[test]
    fn cross_entropies() {
        let even = cross_entropy(&[1.0; 6], &[2, 4], &[0, 3]);
        assert!((even - 8f64.ln()).abs() < 1e-9);
        assert!(cross_entropy(&[0.0, 200.0], &[2], &[1]) < 1e-9);
        assert!((cross_entropy(&[0.0, 200.0], &[2], &[0]) - 200.0).abs() < 1e-9);
    }
}
