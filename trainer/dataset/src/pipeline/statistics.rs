//! Statistics of a dataset, as numbers and as a picture.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use interlude_models::clip::Clip;
use interlude_models::config::Config;
use interlude_models::families::ColumnKind;
use interlude_models::families::percussion::CLASS_NAMES;
use interlude_models::tokens::to_clip;
use serde::Serialize;

use crate::{DatasetError, Split, layout, store};
use interlude_picture::{COLOURS, Curve, Picture, as_float, short};

/// Windows that the picture shows.
const EXAMPLES: usize = 6;

/// Counts over all windows of all splits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Windows and different sources of each split.
    pub splits: BTreeMap<Split, [usize; 2]>,
    /// Windows made by rule.
    pub arranged: usize,
    /// Different steps, all columns together.
    pub different_steps: usize,
    /// Share of steps on which nothing begins or ends.
    pub empty_steps: f64,
    /// Windows by the number of notes in them.
    pub notes: BTreeMap<usize, usize>,
    /// Notes by pitch, drums apart.
    pub pitches: BTreeMap<u8, usize>,
    /// Hits by class of drums.
    pub drums: BTreeMap<&'static str, usize>,
    /// Some of the windows.
    #[serde(skip)]
    pub examples: Vec<Clip>,
}

impl Statistics {
    /// Counts what is in a dataset.
    ///
    /// # Errors
    /// [`DatasetError`] when a file is missing or damaged, or holds other windows than it should.
    pub fn of(dataset: &Path, config: &Config) -> Result<Self, DatasetError> {
        let mut found = Self {
            splits: BTreeMap::new(),
            arranged: 0,
            different_steps: 0,
            empty_steps: 0.0,
            notes: BTreeMap::new(),
            pitches: BTreeMap::new(),
            drums: BTreeMap::new(),
            examples: Vec::new(),
        };
        let columns = config.family().columns();
        let width = columns.len();
        // Of steps with velocities and offsets hardly two are alike.
        let counts = columns.iter().all(|column| column.kind != ColumnKind::Value);
        let is_empty = |step: &[u16]| {
            !columns.iter().zip(step).any(|(column, &number)| column.is_event(number))
        };
        let (mut steps, mut empty, mut all) = (HashSet::new(), 0, 0);
        for split in Split::ALL {
            // Numbers beyond their limits are found here.
            let windows = store::read(dataset, split, config)?;
            let mut sources = HashSet::new();
            store::for_each_row(dataset, split, &mut |_, source| {
                found.arranged += usize::from(source.starts_with(crate::names::ARRANGED));
                sources.insert(source.to_owned());
            })?;
            found.splits.insert(split, [windows.len(), sources.len()]);
            let apart = (windows.len() / EXAMPLES).max(1);
            for index in 0..windows.len() {
                let numbers = windows.get(index);
                for step in numbers.chunks_exact(width) {
                    all += 1;
                    empty += usize::from(is_empty(step));
                    if counts && !steps.contains(step) {
                        steps.insert(step.to_vec());
                    }
                }
                let window = layout::read(config, numbers);
                let clip = to_clip(config, &window.tokens);
                *found.notes.entry(clip.notes.len()).or_default() += 1;
                for note in &clip.notes {
                    if note.is_drum() {
                        let class = interlude_models::tokens::drum_class(note.pitch);
                        if let Some(class) = class {
                            *found.drums.entry(CLASS_NAMES[class]).or_default() += 1;
                        }
                    } else {
                        *found.pitches.entry(note.pitch).or_default() += 1;
                    }
                }
                if split == Split::Train && index % apart == 0 && found.examples.len() < EXAMPLES {
                    found.examples.push(clip);
                }
            }
        }
        found.different_steps = steps.len();
        found.empty_steps = as_float(empty) / as_float(all).max(1.0);
        Ok(found)
    }

    /// Mean number of notes in a window.
    pub fn mean_notes(&self) -> f64 {
        let notes: usize = self.notes.iter().map(|(notes, windows)| notes * windows).sum();
        let windows: usize = self.notes.values().sum();
        as_float(notes) / as_float(windows).max(1.0)
    }

    /// Numbers, distributions and some windows.
    pub fn picture(&self, title: &str) -> Picture {
        const WIDTH: f64 = 1080.0;
        const MARGIN: f64 = 24.0;
        let half = WIDTH / 2.0 - 1.5 * MARGIN;
        let rolls = as_float(self.examples.len().div_ceil(2));
        let mut picture = Picture::new(WIDTH, 640.0 + 72.0 * rolls);
        picture.text(title, [MARGIN, 34.0], 20.0);
        let splits: Vec<(String, String, f64)> = self
            .splits
            .iter()
            .map(|(split, [windows, files])| {
                let label = format!("{}, {files} files", split.name());
                (label, short(as_float(*windows)), as_float(*windows))
            })
            .collect();
        picture.text("Windows", [MARGIN, 70.0], 14.0);
        picture.bars([MARGIN, 80.0, half, 90.0], &splits);
        let mut line = format!(
            "{} different steps, {:.1} % of all steps empty",
            self.different_steps,
            100.0 * self.empty_steps
        );
        if self.arranged > 0 {
            line += &format!(", {} windows made by rule", self.arranged);
        }
        picture.text(&line, [MARGIN, 200.0], 12.0);
        let curve = |name: &str, counts: &mut dyn Iterator<Item = (usize, usize)>| Curve {
            name: name.to_owned(),
            points: counts.map(|(at, count)| [as_float(at), as_float(count)]).collect(),
        };
        let notes = curve("windows", &mut self.notes.iter().map(|(&notes, &count)| (notes, count)));
        let area = [half + 2.0 * MARGIN, 56.0, half, 250.0];
        picture.chart(area, "Notes in a window", &[notes]);
        if !self.pitches.is_empty() {
            let mut counts = self.pitches.iter().map(|(&pitch, &count)| (pitch.into(), count));
            let pitches = curve("notes", &mut counts);
            picture.chart([MARGIN, 320.0, half, 250.0], "Pitches", &[pitches]);
        }
        if !self.drums.is_empty() {
            let hits: Vec<(String, String, f64)> = CLASS_NAMES
                .iter()
                .filter_map(|name| Some((name, as_float(*self.drums.get(name)?))))
                .map(|(name, count)| ((*name).to_owned(), short(count), count))
                .collect();
            picture.text("Hits", [half + 2.0 * MARGIN, 334.0], 14.0);
            picture.bars([half + 2.0 * MARGIN, 344.0, half, 226.0], &hits);
        }
        picture.text("Some windows", [MARGIN, 600.0], 14.0);
        for (row, pair) in self.examples.chunks(2).enumerate() {
            for (clip, x) in pair.iter().zip([MARGIN, half + 2.0 * MARGIN]) {
                let y = 612.0 + 72.0 * as_float(row);
                picture.roll([x, y, half, 60.0], clip, COLOURS[0]);
            }
        }
        picture
    }
}
