//! Report on attribute vectors: JSON, table, picture and section of the model card.

use std::fmt::Write;

use serde::Serialize;

use super::check::{AMOUNTS, Chosen, FOLLOWS, Outcome};
use super::{Method, Missing};
use interlude_picture::{Picture, as_float};

/// The attribute vectors of a model with their measurements.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The model's folder.
    pub model: String,
    /// The dataset's folder.
    pub dataset: String,
    /// Name of the model's configuration.
    pub config: String,
    /// How the vectors were found.
    pub method: Method,
    /// Number of training windows.
    pub windows: usize,
    /// Split of the clips for the check.
    pub split: String,
    /// Number of these clips.
    pub clips: usize,
    /// Random seed.
    pub seed: u64,
    /// Amounts in standard deviations.
    pub amounts: [f32; 5],
    /// How far codes were moved to find directions.
    pub reaches: Vec<f64>,
    /// Which direction each attribute got.
    pub chosen: Vec<Chosen>,
    /// Effect of each vector. Monotonic ones are stored.
    pub attributes: Vec<Outcome>,
    /// Attributes without a vector.
    pub missing: Vec<Missing>,
}

impl Report {
    fn names(&self) -> Vec<&str> {
        self.attributes.iter().map(|outcome| outcome.name.as_str()).collect()
    }

    /// A sentence for each attribute whose vector is not the first candidate, or that has none in
    /// the model's folder.
    fn remarks(&self) -> Vec<String> {
        let rising = self.attributes.iter().zip(&self.chosen);
        let rising = rising.filter(|(outcome, _)| outcome.monotonic);
        let taken = rising.filter_map(|(outcome, Chosen { stretch, reach })| {
            let other = reach.filter(|reach| self.reaches.first() != Some(reach));
            let other = other.map(|reach| format!("found with codes moved by {reach}"));
            let longer = (*stretch != 1.0).then(|| format!("{stretch} times as long as predicted"));
            let how: Vec<String> = [other, longer].into_iter().flatten().collect();
            let name = &outcome.name;
            (!how.is_empty()).then(|| {
                let how = how.join(" and ");
                format!("`{name}` is {how}: along what was tried before it does not rise.")
            })
        });
        let fails = self.attributes.iter().filter(|outcome| !outcome.monotonic).map(|outcome| {
            let name = &outcome.name;
            format!("`{name}` is not stored: its mean does not rise from each amount to the next.")
        });
        let missing = self.missing.iter();
        let missing = missing.map(|it| format!("`{}` is not stored: {}.", it.name, it.reason));
        taken.chain(fails).chain(missing).collect()
    }

    /// The table: each attribute, and the effect of each vector on all of them.
    pub fn table(&self) -> String {
        let names = self.names();
        let wide = names.iter().map(|name| name.len()).max().unwrap_or(0).max(9);
        let mut text = format!(
            "{}: directions by {} from {} windows, checked on {} clips ({}) of {}\n",
            self.config,
            self.method.name(),
            self.windows,
            self.clips,
            self.split,
            self.dataset
        );
        let amounts: String = AMOUNTS.iter().map(|amount| format!("{amount:>9}")).collect();
        let _ = writeln!(text, "{:>wide$}{amounts}  follows  in", "mean at");
        for outcome in &self.attributes {
            let values: String =
                outcome.values.iter().map(|value| format!("{value:>9.2}")).collect();
            let (name, follows, unit) = (&outcome.name, 100.0 * outcome.follows, &outcome.unit);
            let _ = writeln!(text, "{name:>wide$}{values}  {follows:>5.0} %  {unit}");
        }
        let columns: String = names.iter().map(|name| format!(" {name:>wide$}")).collect();
        let _ = writeln!(text, "{:>wide$}{columns}  change for +1, in deviations", "");
        for outcome in &self.attributes {
            let effects: String = outcome
                .effects
                .iter()
                .map(|effect| format!(" {:>wide$}", number(*effect)))
                .collect();
            let _ = writeln!(text, "{:>wide$}{effects}", outcome.name);
        }
        for (own, outcome) in self.attributes.iter().enumerate() {
            let effect = number(outcome.effects.get(own).copied().flatten());
            let (name, others) = (&outcome.name, outcome.crosstalk(own));
            let _ = writeln!(text, "{name:>wide$} moves itself by {effect}, others by {others:.2}");
        }
        self.remarks().iter().for_each(|remark| text += &format!("{remark}\n"));
        text
    }

    /// The section of the model card, as Markdown, which names model and dataset as in `places`.
    pub fn section(&self, places: &[String; 2]) -> String {
        let mut text = format!(
            "## Attributes\n\n`attributes.safetensors` holds attribute vectors: directions in latent \
             space, each as long as is predicted to raise its attribute by one standard deviation. They \
             were computed from {} training windows. To check them, codes of {} clips of the {} files \
             were moved along them and decoded with the likeliest token at each step; a clip follows when amount and attribute have a rank correlation of at least {FOLLOWS}.\n\n",
            self.windows, self.clips, self.split
        );
        text += "| attribute | unit | mean, standard deviation | decoded at −2, −1, 0, +1, +2 | clips that follow |\n\
                 | --- | --- | --- | --- | --- |\n";
        for outcome in &self.attributes {
            let values: Vec<String> =
                outcome.values.iter().map(|value| format!("{value:.2}")).collect();
            let _ = writeln!(
                text,
                "| {} | {} | {:.2}, {:.2} | {} | {:.0} % |",
                outcome.name,
                outcome.unit,
                outcome.mean,
                outcome.deviation,
                values.join(", "),
                100.0 * outcome.follows
            );
        }
        let names = self.names();
        let _ = write!(
            text,
            "\nCrosstalk: change of each attribute for +1 along each vector, in standard deviations of \
             the data:\n\n| vector | {} |\n|{}\n",
            names.join(" | "),
            " --- |".repeat(names.len() + 1)
        );
        for outcome in &self.attributes {
            let effects: Vec<String> =
                outcome.effects.iter().map(|effect| number(*effect)).collect();
            let _ = writeln!(text, "| {} | {} |", outcome.name, effects.join(" | "));
        }
        let remarks = self.remarks();
        if !remarks.is_empty() {
            text += &format!("\n{}\n", remarks.join(" "));
        }
        let reaches: Vec<String> = self.reaches.iter().map(f64::to_string).collect();
        let reach = match &reaches[..] {
            [one] if one == "1" => String::new(),
            all => format!(" --reach {}", all.join(",")),
        };
        let _ = write!(
            text,
            "\nMeasured with\n\n```sh\ninterlude attributes --model {} --dataset {} --windows {} \
             --clips {} --split {} --method {}{} --seed {}\n```\n",
            places[0],
            places[1],
            self.windows,
            self.clips,
            self.split,
            self.method.name(),
            reach,
            self.seed
        );
        text
    }

    /// The picture: the crosstalk matrix as a heat map.
    pub fn picture(&self) -> Picture {
        const MARGIN: f64 = 24.0;
        const ROW: f64 = 34.0;
        let names = self.names();
        let longest = as_float(names.iter().map(|name| name.len()).max().unwrap_or(0));
        let column = (12.0 + 7.0 * longest).max(64.0);
        let width = 2.0 * MARGIN + 10.0 + 7.0 * longest + column * as_float(names.len());
        let height = 130.0 + ROW * as_float(names.len());
        let mut picture = Picture::new(width.max(560.0), height);
        picture.text(&self.model, [MARGIN, 34.0], 20.0);
        let line = format!(
            "Change of each attribute (columns) for +1 along each direction (rows), on {} clips ({})",
            self.clips, self.split
        );
        picture.text(&line, [MARGIN, 56.0], 12.0);
        let rows: Vec<_> = self.attributes.iter().map(|outcome| outcome.effects.clone()).collect();
        picture.heat_map([MARGIN, 76.0], [column, ROW], &names, &rows);
        picture
    }
}

impl Method {
    fn name(self) -> &'static str {
        match self {
            Self::Response => "response",
            Self::Regression => "regression",
            Self::Means => "means",
        }
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:+.2}"))
}
