//! `interlude whiten`: a model whose codes lie as the prior says.

use std::path::PathBuf;

use anyhow::bail;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use interlude_models::engine::Posterior;
use interlude_models::network;
use interlude_models::package::Package;

use super::card;
use super::common::{self, Shared};
use super::evaluate::Part;
use super::generate::Model;
use crate::evaluate::mean;
use crate::whitening::Whitening;

/// Make a model's codes lie as the prior says, so that its samples are like the music it knows.
///
/// For models that were trained with a small weight of the divergence. Codes get mean 0 and variance
/// 1 over the windows, independent of each other, and numbers that only hold noise are left out.
/// Weights that lie beside the model, as `interlude train` writes them (`best.safetensors` beside
/// `best`), are taken, else those in its graphs.
/// Music is reconstructed as before. Attributes and actors are to be made again.
#[derive(Args, Debug)]
pub struct Whiten {
    #[command(flatten)]
    model: Model,
    /// Folder of the dataset it was trained on.
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// The model folder to write, its weights beside it; a model that is there already is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Windows of the training split that tell how codes lie, spread evenly over all; 0 takes all.
    #[arg(long, default_value_t = 16384)]
    windows: usize,
}

impl Whiten {
    /// Writes the new model, its weights and its card, each whole or not at all.
    ///
    /// # Errors
    /// When the model, its weights or the dataset cannot be read or do not belong together, and when
    /// all windows have the same code.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.model.open()?;
        let config = &package.info.config;
        let weights = common::weights(&package)?;
        network::check(config, &weights)?;
        let windows = Part::learn(&self.dataset, config, self.windows)?;
        let mut engine = self.model.load(shared, &package)?;
        let bar = ProgressBar::new(windows.len() as u64);
        bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {pos} of {len}, {eta} left")?);
        bar.set_message("windows");
        let codes = super::constrain::encode(&mut engine, &windows, &bar)?;
        bar.finish_and_clear();
        if codes.len() < 2 * config.hparams.z_size {
            bail!(
                "{} windows tell too little of codes of {} numbers; twice as many are needed",
                codes.len(),
                config.hparams.z_size
            );
        }
        let Some(change) = Whitening::of(&codes) else {
            bail!("all windows have the same code, or codes have no noise: there is nothing to do");
        };
        let (new, weights) = change.apply(config, &weights);

        let mut info = package.info.clone();
        let bits = |nats: f64| nats / std::f64::consts::LN_2;
        let told = format!(
            "codes of {} numbers, {:.0} bits of divergence in the mean, were codes of {}, {:.0} bits",
            change.size(),
            bits(change.divergence()),
            config.hparams.z_size,
            bits(mean(codes.iter().map(Posterior::divergence)))
        );
        info.config = new;
        info.provenance.source.push_str("; codes whitened");
        info.metrics.retain(|name, _| name != "kl_bits" && name != "active_units");
        Package::write(&self.out, &info, &weights)?;
        weights.write(&common::weights_beside(&self.out))?;
        let places = [self.model.folder(), &self.dataset, &self.out].map(card::place);
        let [model, dataset, out] = places;
        let section = format!(
            "## Codes\n\nThe latent space was turned and stretched so that over {} windows that the \
             model was trained on, codes have mean 0 and variance 1 with their noise, independent of \
             each other: {told}. Reconstructions stayed the same. Done with\n\n```sh\ninterlude whiten \
             --model {model} --dataset {dataset} --out {out} --windows {}\n```\n",
            codes.len(),
            self.windows
        );
        card::put(&self.out, "whiten", &section)?;
        common::print(&format!("{told}\nwrote {}\n", self.out.display()))
    }
}
