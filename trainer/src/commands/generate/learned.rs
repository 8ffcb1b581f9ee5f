//! What generation does with the learned prior of a model, where there is one.

use anyhow::{Context, anyhow, bail};
use clap::Args;
use interlude_models::latent::flow::{Place, Prior};
use interlude_models::latent::{prior, slerp};
use interlude_models::package::Package;
use interlude_models::runtime::Runtime;

use super::Shared;
use crate::generate::{grid, line, shares};

/// Whether the learned prior is used.
#[derive(Debug, Args)]
pub(super) struct Learned {
    /// Ignore the model's learned prior: codes are drawn from the standard normal distribution and
    /// interpolated directly.
    #[arg(long)]
    plain: bool,
}

/// Conditions of the learned prior.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// Condition the learned prior, such as key=G, density=high or pitch=60; conditions not given
    /// are as in the data. May be repeated.
    #[arg(
        long,
        value_name = "NAME=VALUE",
        conflicts_with_all = ["personal", "constrained", "plain"]
    )]
    ask: Vec<String>,
    /// Classifier-free guidance of the learned prior: 1 samples as varied as the data, larger
    /// values plainer examples of what is asked for [default: 2, over bars 4].
    #[arg(long, value_parser = guidance)]
    guidance: Option<f32>,
}

/// The codes of a generation: of the learned prior, or of none.
pub(super) struct Codes(Option<Prior>);

impl Learned {
    /// Starts the model's prior, if it has one that is to be used.
    pub(super) fn start(&self, shared: &Shared, package: &Package) -> anyhow::Result<Codes> {
        if self.plain {
            return Ok(Codes(None));
        }
        let Some(flow) = package.prior()? else { return Ok(Codes(None)) };
        let runtime = Runtime::start(shared.onnxruntime.as_deref())?;
        let prior = flow.start(runtime).context("the learned prior cannot be started")?;
        Ok(Codes(Some(prior)))
    }
}

impl Asked {
    /// The class that is asked for of each condition.
    fn classes(
        &self,
        package: &Package,
        prior: Option<&Prior>,
    ) -> anyhow::Result<Vec<Option<usize>>> {
        let Some(prior) = prior else {
            if self.ask.is_empty() {
                return Ok(Vec::new());
            }
            let folder = package.dir.display();
            bail!("`{folder}` has no learned prior to --ask; make one by `interlude prior`");
        };
        let list = prior.flow().conditions().list();
        let mut classes = vec![None; list.len()];
        for asked in &self.ask {
            let (name, value) = asked.split_once('=').unwrap_or((asked, ""));
            let Some(index) = list.iter().position(|condition| condition.name == name) else {
                let names: Vec<&str> = list.iter().map(|it| it.name.as_str()).collect();
                bail!("the model's prior knows no `{name}`; it knows {}", names.join(", "));
            };
            let class = list[index].parse(value);
            let class = class.map_err(|can| anyhow!("--ask {asked}: {name} is {can}"))?;
            classes[index] = Some(class);
        }
        Ok(classes)
    }
}

impl Codes {
    /// The learned prior, if it serves blends.
    fn blending(&mut self) -> Option<&mut Prior> {
        self.0.as_mut().filter(|learned| learned.flow().blends())
    }

    /// Whether blends go through a learned prior.
    pub(super) fn blends(&mut self) -> bool {
        self.blending().is_some()
    }

    /// Codes with some indices under a seed.
    pub(super) fn samples(
        &mut self,
        package: &Package,
        asked: &Asked,
        seed: u64,
        indices: &[u64],
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let classes = asked.classes(package, self.0.as_ref())?;
        let size = package.info.config.hparams.z_size;
        Ok(match &mut self.0 {
            Some(learned) => {
                let guidance = asked.guidance.unwrap_or(learned.flow().guidance());
                learned.samples(seed, indices, &classes, guidance)?
            }
            None => indices.iter().map(|&index| prior(seed, index, size)).collect(),
        })
    }

    /// `count` codes from one code to another, both included.
    pub(super) fn line(
        &mut self,
        [a, b]: [&[f32]; 2],
        count: usize,
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let Some(learned) = self.blending() else {
            return Ok(line(a, b, count));
        };
        let [a, b] = [learned.origin(a)?, learned.origin(b)?];
        let places: Vec<_> = shares(count).map(|t| Place::between(&a, &b, t)).collect();
        Ok(learned.visit(&places)?)
    }

    /// Codes of a grid between four, row by row, as [`grid`] lays them out.
    pub(super) fn grid(
        &mut self,
        ends: [&[f32]; 4],
        columns: usize,
        rows: usize,
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let Some(learned) = self.blending() else { return Ok(grid(ends, columns, rows)) };
        let mut origin = |code| learned.origin(code);
        let [a, b, c, d] = ends;
        let [a, b, c, d] = [origin(a)?, origin(b)?, origin(c)?, origin(d)?];
        let points = shares(rows).flat_map(|y| shares(columns).map(move |x| (x, y)));
        let places: Vec<_> = points.map(|(x, y)| Place::inside([&a, &c, &b, &d], x, y)).collect();
        Ok(learned.visit(&places)?)
    }

    /// Codes that resemble one: 1 is the code itself, 0 is unlike it.
    pub(super) fn around(
        &mut self,
        centre: &[f32],
        similarity: f32,
        seed: u64,
        indices: &[u64],
    ) -> anyhow::Result<Vec<Vec<f32>>> {
        let drawn: Vec<_> = indices.iter().map(|&index| prior(seed, index, centre.len())).collect();
        let Some(learned) = self.blending() else {
            return Ok(drawn.iter().map(|drawn| slerp(drawn, centre, similarity)).collect());
        };
        let origin = learned.origin(centre)?;
        let places: Vec<_> =
            drawn.iter().map(|drawn| Place::towards(drawn, &origin, similarity)).collect();
        Ok(learned.visit(&places)?)
    }
}

fn guidance(text: &str) -> Result<f32, String> {
    super::number(text, 20.0)
}
