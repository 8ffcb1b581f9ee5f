//! An evaluation as JSON, as a table and as a picture.

use std::fmt::Write;

use interlude_models::config::Config;
use interlude_models::tokens::{Tokens, to_clip};
use serde::Serialize;

use super::interpolation::Interpolation;
use super::prior::{Character, Prior};
use super::reconstruction::Reconstruction;
use super::scores::Score;
use interlude_picture::{COLOURS, Curve, Picture, as_float};

/// The evaluation of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The model's folder.
    pub model: String,
    /// The dataset's folder.
    pub dataset: String,
    /// Split, or `all`.
    pub split: String,
    /// Name of the model's configuration.
    pub config: String,
    /// Reconstruction of the split's windows.
    #[serde(flatten)]
    pub reconstruction: Reconstruction,
    /// Samples of the prior beside the split's windows.
    pub prior: Prior,
    /// Interpolations between pairs of these windows.
    pub interpolation: Interpolation,
}

impl Report {
    /// Names and numbers of what is a share or a plain number, as the table has them.
    fn rows(&self) -> Vec<(String, String)> {
        let found = &self.reconstruction.scores;
        let mut rows = Vec::new();
        let scores = [
            ("step accuracy, teacher-forced", &found.accuracy_teacher_forced),
            ("step accuracy, free-running", &found.accuracy_free_running),
            ("only steps with an event, teacher-forced", &found.accuracy_teacher_forced_events),
            ("only steps with an event, free-running", &found.accuracy_free_running_events),
            ("steps without an event in the data", &found.holds),
        ];
        for (name, score) in scores {
            rows.push((name.to_owned(), text(score)));
        }
        let mut row = |name: &str, text: String| rows.push((name.to_owned(), text));
        row("windows right in all steps, free-running", format!("{:.4}", found.windows_exact));
        row("KL divergence from the prior, bits", format!("{:.2}", found.kl_bits));
        if let Some(active) = found.active_units {
            row("active latent dimensions", active.to_string());
        }
        if let Some(loss) = found.r_loss {
            row("reconstruction loss, nats", format!("{loss:.3}"));
        }
        if let (Some(velocity), Some(timing)) = (found.velocity_error, found.timing_error) {
            row("error of velocities, of 127", format!("{velocity:.2}"));
            row("error of timing, steps", format!("{timing:.4}"));
        }
        let (prior, blends) = (&self.prior, &self.interpolation);
        let pair = |of: fn(&Character) -> f64| {
            format!("{:.3} (data {:.3})", of(&prior.of_samples), of(&prior.of_data))
        };
        row("samples: empty bars", pair(|character| character.empty_bars));
        row("samples: notes in a bar", pair(|character| character.notes_per_bar));
        if prior.of_data.pitch_range.is_some() {
            row("samples: notes in the data's range", format!("{:.4}", prior.in_range));
            row("samples: notes in a scale", pair(|it| it.in_scale.unwrap_or(0.0)));
        }
        let neighbours =
            format!("{:.3} (shuffled {:.3})", blends.neighbours, blends.neighbours_shuffled);
        row("blends: steps that differ between neighbours", neighbours);
        row("blends: smoothness", format!("{:.3}", blends.smoothness));
        row("blends: away from one end, towards the other", format!("{:.3}", blends.monotonic));
        rows
    }

    /// The table, a line for each number.
    pub fn table(&self) -> String {
        let mut table = format!(
            "{} on {} windows ({}) of {}\n",
            self.config, self.reconstruction.scores.windows, self.split, self.dataset
        );
        for (name, text) in self.rows() {
            let _ = writeln!(table, "{name:>46}  {text}");
        }
        table
    }

    /// The picture: the numbers, windows with their reconstructions, blends, samples.
    pub fn picture(&self, config: &Config) -> Picture {
        const WIDTH: f64 = 1080.0;
        const MARGIN: f64 = 24.0;
        let found = &self.reconstruction.scores;
        let (rolls, blends) = (&self.reconstruction.examples, &self.interpolation.example);
        let samples = &self.prior.examples;
        let height = 420.0
            + 64.0 * as_float(rolls.len())
            + 56.0 * as_float(blends.len())
            + 64.0 * as_float(samples.len().div_ceil(2))
            + 120.0;
        let mut picture = Picture::new(WIDTH, height);
        picture.text(&self.model, [MARGIN, 34.0], 20.0);
        let line = format!("{} on {} windows ({})", self.config, found.windows, self.split);
        picture.text(&line, [MARGIN, 56.0], 13.0);

        let bar = |name: &str, score: &Score| {
            score
                .parts()
                .into_iter()
                .map(|(part, share)| {
                    let name = format!("{name} {part}").trim().to_owned();
                    (name, format!("{:.1} %", 100.0 * share), share)
                })
                .collect::<Vec<_>>()
        };
        let mut bars = bar("teacher-forced", &found.accuracy_teacher_forced);
        bars.extend(bar("free-running", &found.accuracy_free_running));
        bars.extend(bar("events, free-running", &found.accuracy_free_running_events));
        bars.extend(bar("holds in the data", &found.holds));
        bars.extend(bar("whole windows", &Score::One(found.windows_exact)));
        let half = WIDTH / 2.0 - 1.5 * MARGIN;
        picture.text("Reconstruction", [MARGIN, 92.0], 14.0);
        picture.bars([MARGIN, 104.0, half, 250.0], &bars);
        let curve = |name: &str, distances: &[f64]| Curve {
            name: name.to_owned(),
            points: distances.iter().enumerate().map(|(x, &y)| [as_float(x), y]).collect(),
        };
        let curves = [
            curve("to the first window", &self.interpolation.distance_to_first),
            curve("to the last window", &self.interpolation.distance_to_last),
        ];
        let area = [half + 2.0 * MARGIN, 78.0, half, 290.0];
        picture.chart(area, "Blends: share of steps that differ", &curves);

        let mut y = 400.0;
        let roll = |picture: &mut Picture, area, tokens: &Tokens, colour: usize| {
            picture.roll(area, &to_clip(config, tokens), COLOURS[colour]);
        };
        picture.text("Windows and their reconstructions", [MARGIN, y], 14.0);
        y += 10.0;
        for [window, reconstruction] in rolls {
            roll(&mut picture, [MARGIN, y, half, 56.0], window, 0);
            roll(&mut picture, [half + 2.0 * MARGIN, y, half, 56.0], reconstruction, 1);
            y += 64.0;
        }
        y += 26.0;
        picture.text("A blend", [MARGIN, y], 14.0);
        y += 10.0;
        for tokens in blends {
            roll(&mut picture, [MARGIN, y, WIDTH - 2.0 * MARGIN, 48.0], tokens, 2);
            y += 56.0;
        }
        y += 26.0;
        let title = format!("Samples at temperature {}", self.prior.temperature);
        picture.text(&title, [MARGIN, y], 14.0);
        y += 10.0;
        for pair in samples.chunks(2) {
            for (tokens, x) in pair.iter().zip([MARGIN, half + 2.0 * MARGIN]) {
                roll(&mut picture, [x, y, half, 56.0], tokens, 3);
            }
            y += 64.0;
        }
        picture
    }
}

/// A score in a table.
fn text(score: &Score) -> String {
    let part = |(name, number): (&str, f64)| format!("{name} {number:.4}").trim().to_owned();
    score.parts().into_iter().map(part).collect::<Vec<_>>().join(", ")
}
