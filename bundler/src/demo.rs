//! `cargo xtask demo`: plays two clips into the release plug-in, writes the morph between them, and
//! measures.

pub(crate) mod clips;
mod performance;
mod picture;
mod report;
mod sound;
pub(crate) mod trace;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use interlude_models::{
    clip::{Clip, Note},
    midi,
    package::Package,
};

use crate::{
    bundle::BundleCommand,
    host::Span,
    runtime::Origin,
    workspace::{self, MODEL, write},
};
use performance::{Performance, SAMPLE_RATE, Score};
use picture::Row;
use report::{Cycle, Percentiles, Report, kept};
use trace::Event;

/// Build and bundle the plug-in, play two clips into it, and write the morph between them.
///
/// Writes `morph.mid`, `morph.wav`, `morph.png` and `report.json`, and prints the report as a table.
/// The sound is that of the plug-in's own preview.
#[derive(clap::Args, Clone, Debug)]
pub struct Demo {
    /// MIDI file for slot A [default: the first two bars of "Ode to Joy"].
    #[arg(long, value_name = "FILE")]
    a: Option<PathBuf>,
    /// MIDI file for slot B [default: the first two bars of "Drowsy Maggie"].
    #[arg(long, value_name = "FILE")]
    b: Option<PathBuf>,
    /// Cycles to play, the first at morph 0 and the last at morph 1.
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(2..=99))]
    cycles: u16,
    /// Beats in a minute, from 20 to 400.
    #[arg(long, default_value_t = 120.0)]
    tempo: f64,
    /// Sampling temperature, from 0.05 to 2.
    #[arg(long, default_value_t = 0.2)]
    temperature: f64,
    /// Seed of the noise.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(0..=9999))]
    seed: u16,
    /// Speed relative to real time, from 0.5 to 8.
    #[arg(long, default_value_t = 2.0)]
    speed: f64,
    /// Folder to write to [default: target/demo].
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// A model folder to play instead of the shipped one.
    #[arg(long, value_name = "FOLDER")]
    model: Option<PathBuf>,
    /// Use a build without optimisation, whose timings are not meaningful.
    #[arg(long)]
    debug: bool,
    /// Where ONNX Runtime comes from.
    #[command(flatten)]
    runtime: Origin,
}

impl Demo {
    /// Runs the demo.
    ///
    /// # Errors
    /// When a clip is unusable (the message names the file and the reason), something cannot be
    /// built or written, or the plug-in was late, left notes sounding or missed the grid.
    pub fn run(&self) -> Result<()> {
        let within = |name: &str, value: f64, low: f64, high: f64| {
            ensure!(
                (low..=high).contains(&value),
                "--{name} {value} is out of range; choose a value from {low} to {high}"
            );
            Ok(())
        };
        within("tempo", self.tempo, 20.0, 400.0)?;
        within("temperature", self.temperature, 0.05, 2.0)?;
        within("speed", self.speed, 0.5, 8.0)?;
        let model = self.model.clone().unwrap_or_else(|| workspace::root().join(MODEL));
        let config = Package::open(&model)?.info.config;
        let default = |name: &str| workspace::root().join("bundler/clips").join(name);
        let paths = [
            self.a.clone().unwrap_or_else(|| default("a.mid")),
            self.b.clone().unwrap_or_else(|| default("b.mid")),
        ];
        let clip_a = clips::load(&paths[0], &config).context("clip A cannot be used")?;
        let clip_b = clips::load(&paths[1], &config).context("clip B cannot be used")?;

        let bundle = BundleCommand {
            debug: self.debug,
            runtime: self.runtime.clone(),
            model: self.model.iter().cloned().collect(),
            ..BundleCommand::release()
        };
        let bundled = bundle.run()?;
        let score = Score {
            clips: [&clip_a, &clip_b],
            bars: u32::try_from(config.bars())?,
            cycles: u32::from(self.cycles),
            tempo: self.tempo,
            temperature: self.temperature,
            seed: u32::from(self.seed),
            speed: self.speed,
        };
        println!(
            "demo: {} cycles of {} bars at {} times real time",
            self.cycles, score.bars, self.speed
        );
        let performance = performance::perform(&bundled.clap_binary, &score)?;
        let rolls = rolls(&performance.spans, &score);
        let report = measure(&performance, &score, &rolls);
        let out = self.out.clone().unwrap_or_else(|| workspace::target().join("demo"));
        let names =
            [name(self.a.as_deref(), "Ode to Joy"), name(self.b.as_deref(), "Drowsy Maggie")];
        save(&out, &report, &score, &rolls, &names)?;
        println!("{}", report.table());
        write(&out.join("morph.wav"), &sound::wav(&performance.audio)?)?;
        let files = "morph.mid, morph.wav, morph.png and report.json";
        println!("wrote {files} to {}", out.display());
        let groove = config.family().is_performed();
        if groove {
            println!("a groove leaves the grid of 16ths on purpose, so its distance is no error");
        }
        if report.late_cycles > 0
            || report.hanging_notes > 0
            || (report.worst_timing_error_samples > 0 && !groove)
            || report.cycles.iter().any(|cycle| cycle.decode_ms.is_none())
        {
            bail!("the plug-in was late, left notes sounding or missed the grid, see above");
        }
        Ok(())
    }
}

/// Label of a clip in the picture.
fn name(path: Option<&Path>, default: &str) -> String {
    let stem = path.map_or_else(
        || default.into(),
        |path| path.file_stem().unwrap_or_default().to_string_lossy(),
    );
    // More letters do not fit beside the row.
    stem.chars().take(16).collect()
}

/// Writes `morph.mid`, `morph.png` and `report.json`.
fn save(
    out: &Path,
    report: &Report,
    score: &Score<'_>,
    rolls: &[Clip],
    names: &[String; 2],
) -> Result<()> {
    let [a, b] = score.clips;
    let ends = |clip: &Clip, label: &str, name: &str| Row {
        clip: clip.clone(),
        label: label.to_owned(),
        detail: name.to_owned(),
        kept: None,
    };
    let mut rows = vec![ends(a, "A", &names[0])];
    for (cycle, clip) in report.cycles.iter().zip(rolls) {
        rows.push(Row {
            clip: clip.clone(),
            label: format!("{:.3}", cycle.morph),
            detail: format!("cycle {}", cycle.index),
            kept: Some([cycle.kept_a, cycle.kept_b]),
        });
    }
    rows.push(ends(b, "B", &names[1]));
    let subtitle = format!(
        "{} on {}   tempo {}   temperature {}   seed {}",
        report.model, report.provider, report.tempo, report.temperature, report.seed
    );
    let picture = picture::draw("Interlude: from A to B", &subtitle, &rows)?;

    let length = score.cycle_beats();
    let mut notes = Vec::new();
    for (index, clip) in (0_u32..).zip(rolls) {
        let offset = f64::from(index) * length;
        let moved =
            |note: &Note| Note { start: note.start + offset, end: note.end + offset, ..*note };
        notes.extend(clip.notes.iter().map(moved));
    }
    let song = Clip::new(notes, f64::from(score.cycles) * length);
    let mut json = serde_json::to_vec_pretty(report)?;
    json.push(b'\n');
    write(&out.join("morph.mid"), &midi::to_bytes(&song, score.tempo))?;
    write(&out.join("morph.png"), &picture)?;
    write(&out.join("report.json"), &json)
}

/// The notes of each cycle, in beats from its beginning.
fn rolls(spans: &[Span], score: &Score<'_>) -> Vec<Clip> {
    let length = score.cycle_beats();
    let per_beat = score.frames_per_beat();
    (0..score.cycles)
        .map(|index| {
            let start = f64::from(index) * length;
            let notes = spans
                .iter()
                // Half a frame of slack: positions are rounded to frames.
                .filter(|span| (start..start + length).contains(&(span.beats + 0.5 / per_beat)))
                .map(|span| note(span, start, score))
                .collect();
            Clip::new(notes, length)
        })
        .collect()
}

fn note(span: &Span, cycle_start: f64, score: &Score<'_>) -> Note {
    let start = (span.beats - cycle_start).max(0.0);
    let frames = span.end.unwrap_or(span.start).saturating_sub(span.start).max(1);
    let frames = u32::try_from(frames).unwrap_or(u32::MAX);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and 127"
    )]
    let velocity = (span.velocity * 127.0).round().clamp(1.0, 127.0) as u8;
    Note {
        start,
        end: start + f64::from(frames) / score.frames_per_beat(),
        pitch: span.key,
        velocity,
        channel: span.channel,
        program: 0,
    }
}

/// Distance of a note's beginning from the nearest 16th, in whole samples: a note can begin only
/// between samples, so less than one is none.
fn timing_error(span: &Span, score: &Score<'_>) -> u64 {
    let step = score.frames_per_beat() * interlude_models::clip::BEATS_PER_STEP;
    let position = span.beats * score.frames_per_beat();
    let distance = (position - (position / step).round() * step).abs();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and at most half a 16th"
    )]
    // The song position comes from fixed-point beats; a thousandth of a sample is their rounding.
    let samples = (distance + 1e-3).floor() as u64;
    samples
}

fn measure(performance: &Performance, score: &Score<'_>, rolls: &[Clip]) -> Report {
    let [a, b] = score.clips;
    let within = |cycle: i64| u32::try_from(cycle).is_ok_and(|cycle| cycle < score.cycles);
    let decode_ms = |wanted: u32| {
        performance.trace.iter().rev().find_map(|event| match event {
            Event::Decoded { cycle, decode_ms } if *cycle == i64::from(wanted) => Some(*decode_ms),
            _ => None,
        })
    };
    let cycles = (0..score.cycles)
        .zip(rolls)
        .map(|(index, clip)| Cycle {
            index,
            morph: score.morph(index),
            decode_ms: decode_ms(index),
            notes: clip.notes.len(),
            kept_a: kept(a, clip),
            kept_b: kept(b, clip),
        })
        .collect();
    let late: std::collections::BTreeSet<i64> = performance
        .trace
        .iter()
        .filter_map(|event| match event {
            Event::Late { cycle } if within(*cycle) => Some(*cycle),
            _ => None,
        })
        .collect();
    let played = performance.spans.iter().filter(|span| span.beats > -1e-6);
    Report {
        model: performance.model.clone(),
        provider: performance.provider.clone(),
        tempo: score.tempo,
        temperature: score.temperature,
        seed: score.seed,
        speed: score.speed,
        sample_rate: SAMPLE_RATE,
        cycles,
        late_cycles: late.len(),
        hanging_notes: performance.spans.iter().filter(|span| span.end.is_none()).count(),
        worst_timing_error_samples: played.map(|span| timing_error(span, score)).max().unwrap_or(0),
        process_ns: Percentiles::of(performance.times.clone()),
        control_ns: Percentiles::of(performance.control.clone()),
        realtime_priority: performance.realtime_priority,
        processors_awake: performance.processors_awake,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timing_is_measured_against_the_nearest_sixteenth() {
        // Contract: a note within a sample of a 16th has no error, one 3 samples off has 3, also
        // when 16ths fall between samples.
        let clip = Clip::default();
        let score = Score { tempo: 131.0, ..Score::of(&clip) };
        let span = |frame: f64| Span {
            channel: 0,
            key: 60,
            velocity: 1.0,
            start: 0,
            end: None,
            beats: frame / score.frames_per_beat(),
        };
        let step = score.frames_per_beat() / 4.0;
        for index in [0.0, 1.0, 7.0, 31.0] {
            assert_eq!(timing_error(&span((index * step).ceil()), &score), 0);
            assert_eq!(timing_error(&span((index * step).floor()), &score), 0);
            assert_eq!(timing_error(&span(index * step - 3.0), &score), 3);
        }
    }

    #[test]
    fn notes_belong_to_the_cycle_they_begin_in() {
        // Contract: a note on the border belongs to the later cycle, pre-roll to none.
        let clip = Clip::default();
        let score = Score { cycles: 2, ..Score::of(&clip) };
        let span = |beats: f64| Span {
            channel: 0,
            key: 60,
            velocity: 0.5,
            start: 0,
            end: Some(12_000),
            beats,
        };
        let rolls =
            rolls(&[span(-0.5), span(0.0), span(7.75), span(7.999_999_9), span(16.0)], &score);
        let starts: Vec<Vec<f64>> =
            rolls.iter().map(|clip| clip.notes.iter().map(|note| note.start).collect()).collect();
        assert_eq!(starts, [vec![0.0, 7.75], vec![0.0]]);
        assert!((rolls[0].notes[0].end - 0.5).abs() < 1e-9);
    }
}
