//! Reconstruction of windows from their posterior mean.

use interlude_models::config::{Config, OutputKind};
use interlude_models::engine::{Engine, EngineError, Sample};
use interlude_models::tokens::{Tokens, Window};
use serde::Serialize;

use super::activity::Activity;
use super::{BATCH, Score, controls, mean, most_probable, number, symbols};

/// Scores of a reconstruction. Accuracies are shares of steps, `0..=1`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconstruction {
    /// Windows that were reconstructed.
    pub windows: usize,
    /// Teacher-forced step accuracy: the decoder reads the right output before each step.
    pub accuracy_teacher_forced: Score,
    /// Free-running step accuracy: the decoder reads its own output.
    pub accuracy_free_running: Score,
    /// Teacher-forced accuracy on steps on which something begins or ends.
    pub accuracy_teacher_forced_events: Score,
    /// Free-running accuracy on these steps.
    pub accuracy_free_running_events: Score,
    /// Share of steps on which nothing begins or ends: the accuracy of a model that always holds.
    pub holds: Score,
    /// Windows whose steps are all right in all parts, free-running.
    pub windows_exact: f64,
    /// KL divergence of the posterior from the prior in bits, mean over the windows.
    pub kl_bits: f64,
    /// Active latent dimensions (Burda et al. 2016), [`Activity::units`]; none for a single window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_units: Option<usize>,
    /// Reconstruction loss of a window in nats, teacher-forced, z the posterior's mean. For grooves
    /// it holds the squares of errors, as in training; drum rolls have none here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r_loss: Option<f64>,
    /// Mean error of the velocity of hits that are right, in MIDI's 127ths, teacher-forced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub velocity_error: Option<f64>,
    /// The same of their timing, in steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timing_error: Option<f64>,
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
    let mut kept = Vec::new();
    let mut divergences = Vec::with_capacity(windows.len());
    let mut activity = Activity::default();
    for (index, windows) in windows.chunks(BATCH).enumerate() {
        let tokens: Vec<Tokens> = windows.iter().map(|window| window.tokens.clone()).collect();
        let posteriors = engine.encode(&tokens, controls(windows).as_deref())?;
        for posterior in &posteriors {
            activity.add(&posterior.mu, &posterior.sigma);
            divergences.push(posterior.divergence());
        }
        let codes: Vec<Vec<f32>> = posteriors.into_iter().map(|posterior| posterior.mu).collect();
        let forced = forced(engine, &codes, windows, &mut tally)?;
        let free = most_probable(engine, &codes, controls(windows))?;
        for ((right, forced), free) in tokens.into_iter().zip(&forced).zip(free) {
            tally.count(&config, &right, forced, &free);
            if kept.len() < examples {
                kept.push([right, free]);
            }
        }
        progress(index * BATCH + windows.len());
    }
    let shares = |counts: &[f64], of: &[f64]| {
        let shares = counts.iter().zip(of).map(|(count, of)| count / of.max(1.0));
        Score::of_parts(&config, &shares.collect::<Vec<_>>())
    };
    let count = number(windows.len()).max(1.0);
    let groove = config.output_kind() == OutputKind::Groove;
    Ok(Reconstruction {
        windows: windows.len(),
        accuracy_teacher_forced: shares(&tally.forced, &tally.steps),
        accuracy_free_running: shares(&tally.free, &tally.steps),
        accuracy_teacher_forced_events: shares(&tally.forced_events, &tally.events),
        accuracy_free_running_events: shares(&tally.free_events, &tally.events),
        holds: {
            let holds = tally.steps.iter().zip(&tally.events).map(|(steps, events)| steps - events);
            shares(&holds.collect::<Vec<_>>(), &tally.steps)
        },
        windows_exact: tally.exact / count,
        kl_bits: mean(divergences) / std::f64::consts::LN_2,
        active_units: activity.units(),
        r_loss: (config.output_kind() != OutputKind::Nade).then_some(tally.loss / count),
        velocity_error: groove.then(|| 127.0 * tally.velocity / tally.hits.max(1.0)),
        timing_error: groove.then(|| tally.offset / tally.hits.max(1.0) / 2.0),
        examples: kept,
    })
}

/// Decodes while each step reads the right output of the one before. The loss goes to the tally.
fn forced(
    engine: &mut Engine,
    codes: &[Vec<f32>],
    windows: &[Window],
    tally: &mut Tally,
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
                    tally.loss += cross_entropy(logits, config.outputs(), right);
                }
            }
            Sample::Values(sample) => {
                for (found, sample) in found_rows.iter_mut().zip(sample.chunks_exact(width)) {
                    found.extend_from_slice(sample);
                }
                if config.output_kind() == OutputKind::Groove {
                    let examples = logits.chunks_exact(width).zip(sample.chunks_exact(width));
                    for ((logits, sample), rows) in examples.zip(&rows) {
                        tally.groove(logits, sample, &rows[step * width..(step + 1) * width]);
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

/// Sums over windows, for each part.
struct Tally {
    steps: Vec<f64>,
    events: Vec<f64>,
    forced: Vec<f64>,
    free: Vec<f64>,
    forced_events: Vec<f64>,
    free_events: Vec<f64>,
    exact: f64,
    loss: f64,
    hits: f64,
    velocity: f64,
    offset: f64,
}

impl Tally {
    fn new(config: &Config) -> Self {
        let zeros = vec![0.0; config.outputs().len()];
        Self {
            steps: zeros.clone(),
            events: zeros.clone(),
            forced: zeros.clone(),
            free: zeros.clone(),
            forced_events: zeros.clone(),
            free_events: zeros,
            exact: 0.0,
            loss: 0.0,
            hits: 0.0,
            velocity: 0.0,
            offset: 0.0,
        }
    }

    fn count(&mut self, config: &Config, right: &Tokens, forced: &Tokens, free: &Tokens) {
        let parts = config.outputs().len();
        let [right, forced, free] = [right, forced, free].map(|tokens| symbols(config, tokens));
        for (index, ((right, forced), free)) in right.iter().zip(&forced).zip(&free).enumerate() {
            let (part, event) = (index % parts, *right != 0);
            let one = |is: bool| f64::from(u8::from(is));
            self.steps[part] += 1.0;
            self.events[part] += one(event);
            self.forced[part] += one(right == forced);
            self.free[part] += one(right == free);
            self.forced_events[part] += one(event && right == forced);
            self.free_events[part] += one(event && right == free);
        }
        self.exact += f64::from(u8::from(right == free));
    }

    /// Adds a step of a groove: its loss, and the errors of its hits.
    fn groove(&mut self, logits: &[f32], sample: &[f32], right: &[f32]) {
        for class in 0..9 {
            let (logit, hit) = (f64::from(logits[class]), f64::from(right[class]));
            self.loss += logit.max(0.0) - logit * hit + (-logit.abs()).exp().ln_1p();
            let error = |column: usize| f64::from(sample[column] - right[column]);
            let (velocity, offset) = (error(9 + class), error(18 + class));
            self.loss += velocity * velocity + offset * offset;
            if right[class] > 0.5 && sample[class] > 0.5 {
                self.hits += 1.0;
                self.velocity += velocity.abs();
                self.offset += offset.abs();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use interlude_models::config;

    use super::*;

    // Accuracies count steps by part, events leave holds out, and a window is exact only whole.
    #[test]
    fn shares_are_counted_by_part() {
        let config = config::by_name("hierdec-trio_16bar").expect("known");
        let mut tally = Tally::new(&config);
        let right = Tokens::Trio(vec![[5, 0, 0], [0, 7, 3]]);
        let free = Tokens::Trio(vec![[5, 0, 0], [1, 7, 2]]);
        tally.count(&config, &right, &right, &free);
        tally.count(&config, &right, &right, &right);
        assert_eq!(tally.steps, [4.0, 4.0, 4.0]);
        assert_eq!(tally.events, [2.0, 2.0, 2.0]);
        assert_eq!(tally.forced, tally.steps);
        assert_eq!(tally.free, [3.0, 4.0, 3.0]);
        assert_eq!(tally.free_events, [2.0, 2.0, 1.0]);
        assert_eq!(tally.exact, 1.0);
    }

    // Equal logits give the logarithm of the vocabulary, a certain one nothing; parts add up.
    #[test]
    fn cross_entropies() {
        let even = cross_entropy(&[1.0; 6], &[2, 4], &[0, 3]);
        assert!((even - 8f64.ln()).abs() < 1e-9);
        assert!(cross_entropy(&[0.0, 200.0], &[2], &[1]) < 1e-9);
        assert!((cross_entropy(&[0.0, 200.0], &[2], &[0]) - 200.0).abs() < 1e-9);
    }
}
