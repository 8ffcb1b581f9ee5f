//! A page of HTML about a run: curves of its metrics, and music from its best model.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use interlude_models::engine::{Engine, EngineOptions};
use interlude_models::package::Package;
use interlude_models::runtime::{Provider, Runtime};
use interlude_models::tokens::{Tokens, to_clip};
use serde_json::Value;

use super::metrics;
use crate::evaluate::{chosen, interpolation, mean, prior, reconstruction};
use interlude_dataset::Windows;
use interlude_picture::{COLOURS, Curve, Picture, as_float, escape};

/// Name of the file in a run's folder.
pub const FILE: &str = "report.html";
/// Points of a curve at most.
const POINTS: usize = 400;
/// Windows that are reconstructed, samples that are drawn.
const EXAMPLES: usize = 6;
/// Temperature of the samples.
const TEMPERATURE: f32 = 0.5;
/// Width of the page's pictures in pixels.
const WIDTH: f64 = 1080.0;

/// What the page of a run shows.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Name of the model in the run's folder.
    pub model: &'a str,
    /// Windows of which some are shown with their reconstructions.
    pub windows: &'a Windows,
    /// What stands above them.
    pub heading: &'a str,
}

/// Writes the page of a run.
///
/// # Errors
/// When the model cannot be run, or a file not be read or written.
pub fn write(
    runtime: &Runtime,
    run: &Path,
    subject: Subject<'_>,
    threads: usize,
) -> anyhow::Result<()> {
    let Subject { model, windows, heading } = subject;
    let lines = lines(&fs::read_to_string(run.join(metrics::FILE))?);
    let package = Package::open(&run.join(model))?;
    let options = EngineOptions { provider: Provider::Cpu, threads };
    let mut engine = Engine::load(runtime, &package, &options)?;
    let config = engine.config().clone();
    let some = chosen(&config, windows, EXAMPLES);
    let back = reconstruction::run(&mut engine, &some, EXAMPLES, &|_| {})?;
    let drawing = prior::Drawing { temperature: TEMPERATURE, seed: 1 };
    let samples = prior::run(&mut engine, &some, EXAMPLES, drawing, EXAMPLES)?;
    let blend = interpolation::run(&mut engine, &some, 1, 1)?;

    let rolls = |rows: &[Vec<(&Tokens, usize)>]| {
        let mut picture = Picture::new(WIDTH, 8.0 + 68.0 * as_float(rows.len()));
        for (row, tokens) in rows.iter().enumerate() {
            let width = WIDTH / as_float(tokens.len().max(1));
            for (column, (tokens, colour)) in tokens.iter().enumerate() {
                let area = [width * as_float(column), 68.0 * as_float(row), width - 12.0, 60.0];
                picture.roll(area, &to_clip(&config, tokens), COLOURS[*colour]);
            }
        }
        picture.svg()
    };
    let pairs: Vec<_> =
        back.examples.iter().map(|[right, free]| vec![(right, 0), (free, 1)]).collect();
    let blends: Vec<_> = blend.example.iter().map(|tokens| vec![(tokens, 2)]).collect();
    let drawn: Vec<_> = samples
        .examples
        .chunks(2)
        .map(|pair| pair.iter().map(|tokens| (tokens, 3)).collect::<Vec<_>>())
        .collect();
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font-family:sans-serif;margin:24px auto;max-width:1100px;color:#26303d}}\
         td{{padding:2px 18px 2px 0}}</style></head><body>\n<h1>{title}</h1>\n{table}\n\
         <h2>Curves</h2>\n{curves}\n\
         <h2>{heading}</h2>\n{pairs}\n\
         <h2>A blend from one window to another</h2>\n{blends}\n\
         <h2>Samples from the prior, temperature {TEMPERATURE}</h2>\n{drawn}\n</body></html>\n",
        title = escape(&format!("{} in {}", config.name, run.display())),
        table = table(&package.info.metrics),
        curves = curves(&lines),
        pairs = rolls(&pairs),
        blends = rolls(&blends),
        drawn = rolls(&drawn),
    );
    interlude_models::files::write(&run.join(FILE), page.as_bytes())?;
    Ok(())
}

/// The lines of metrics that can be read.
fn lines(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The scores of a model.
fn table(scores: &BTreeMap<String, f64>) -> String {
    let row = |(name, value): (&String, &f64)| {
        format!("<tr><td>{}</td><td>{value:.4}</td></tr>", escape(name))
    };
    format!("<table>{}</table>", scores.iter().map(row).collect::<String>())
}

/// Charts of losses, divergence, accuracy and learning rate by step.
fn curves(lines: &[Value]) -> String {
    let curve = |label: &str, path: &[&str]| {
        let number = |line: &Value| {
            let value = path.iter().fold(line, |value, key| &value[*key]);
            // Of several parts their mean.
            let parts = value.as_object().map(|parts| parts.values().collect());
            let parts: Vec<f64> =
                parts.unwrap_or(vec![value]).into_iter().filter_map(Value::as_f64).collect();
            let value = (!parts.is_empty()).then(|| mean(parts))?;
            Some([line["step"].as_f64()?, value])
        };
        let all: Vec<[f64; 2]> = lines.iter().filter_map(number).collect();
        let apart = all.len().div_ceil(POINTS).max(1);
        // Means of neighbours, so that no more points are drawn than can be seen.
        let middle =
            |points: &[[f64; 2]]| [0, 1].map(|axis| mean(points.iter().map(|point| point[axis])));
        Curve { name: label.to_owned(), points: all.chunks(apart).map(middle).collect() }
    };
    let charts = [
        (
            "Loss in nats",
            vec![
                curve("loss", &["loss"]),
                curve("reconstruction", &["r_loss"]),
                curve("validation", &["validation", "r_loss"]),
            ],
        ),
        (
            "KL divergence in bits",
            vec![curve("training", &["kl_bits"]), curve("validation", &["validation", "kl_bits"])],
        ),
        (
            "Step accuracy",
            vec![
                curve("training", &["accuracy"]),
                curve("teacher-forced", &["validation", "accuracy_teacher_forced"]),
                curve("free-running", &["validation", "accuracy_free_running"]),
            ],
        ),
        ("Learning rate", vec![curve("rate", &["lr"])]),
    ];
    let mut picture = Picture::new(WIDTH, 560.0);
    for (index, (title, curves)) in charts.iter().enumerate() {
        let (x, y) = (as_float(index % 2) * WIDTH / 2.0, as_float(index / 2) * 280.0);
        picture.chart([x, y, WIDTH / 2.0 - 20.0, 260.0], title, curves);
    }
    picture.svg()
}

#[cfg(test)]
mod tests {
    use super::*;

    // Long runs are drawn with few points, and evaluations beside training.
    #[test]
    fn curves_are_thinned() {
        let text: String = (0..10_000)
            .map(|step| format!("{{\"step\": {step}, \"loss\": {}}}\n", 1.0 / f64::from(step + 1)))
            .chain([
                "{\"step\": 9, \"validation\": {\"r_loss\": 2.0}}\n".to_owned(),
                // A trio's parts are drawn as their mean.
                "{\"step\": 9, \"validation\": {\"accuracy_free_running\": \
                 {\"bass\": 0.25, \"drums\": 0.75}}}\n"
                    .to_owned(),
                "{".to_owned(),
            ])
            .collect();
        let svg = curves(&lines(&text));
        let longest = svg.lines().map(|line| line.matches(',').count()).max();
        assert!(longest.is_some_and(|points| points > 300 && points <= 2 * POINTS), "{longest:?}");
        assert!(
            svg.contains("validation") && svg.contains("free-running") && svg.contains("0.500")
        );
    }
}
