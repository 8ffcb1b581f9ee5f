//! `interlude generate attribute`.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;

use super::{Centre, Making, Pieces, Shared};

/// Largest change of an attribute, in standard deviations.
const FARTHEST: f32 = 100.0;

/// Generate variations of a MIDI file with more or less of an attribute, such as density.
///
/// The model needs attribute vectors, see `interlude attributes`. With --temperature 0 the pieces
/// differ by the attribute alone.
#[derive(Debug, Args)]
pub(super) struct Attribute {
    #[command(flatten)]
    making: Making,
    /// A MIDI file with exactly one window of the model's length.
    #[arg(long, value_name = "MIDI")]
    input: PathBuf,
    /// The attribute's name.
    #[arg(long, value_name = "NAME")]
    attribute: String,
    /// Requested change of the attribute for each piece, in standard deviations of the training
    /// set.
    #[arg(
        long,
        value_delimiter = ',',
        allow_hyphen_values = true,
        default_value = "-2,-1,0,1,2",
        value_parser = amount
    )]
    amounts: Vec<f32>,
    /// Take velocities from the file instead of 80 for every note.
    #[arg(long)]
    keep_velocities: bool,
}

impl Attribute {
    pub(super) fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.making.model.open()?;
        let attributes = package.attributes()?.unwrap_or_default();
        let Some(attribute) = attributes.get(&self.attribute) else {
            if attributes.is_empty() {
                let folder = package.dir.display();
                bail!("`{folder}` has no attributes; find some by `interlude attributes`");
            }
            let names: Vec<&str> = attributes.iter().map(|it| it.name.as_str()).collect();
            bail!("the model has no `{}`; it has {}", self.attribute, names.join(", "));
        };
        let pieces = Pieces::new(&self.attribute, self.making.seed());
        let centre = Centre { path: &self.input, keep_velocities: self.keep_velocities };
        let (engine, mut pieces, centre) = self.making.around(shared, &package, centre, pieces)?;
        let code = |&amount: &f32| attribute.apply(&centre, amount);
        pieces.codes = self.amounts.iter().map(code).collect();
        self.making.make(engine, pieces)
    }
}

fn amount(text: &str) -> Result<f32, String> {
    let number = text.parse::<f32>().ok().filter(|number| number.abs() <= FARTHEST);
    number.ok_or_else(|| format!("it is a number from -{FARTHEST} to {FARTHEST}"))
}
