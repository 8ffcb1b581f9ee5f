//! `interlude whiten`: a change of basis of the latent space that fits the aggregate posterior to
//! the prior.

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
use crate::evaluate::{mean, posteriors};
use crate::whitening::Whitening;

/// Whiten a model's latent space, so that samples of the prior resemble the training data.
///
/// For models that were trained with a small weight on the KL divergence. An affine change of basis
/// gives the aggregate posterior mean 0 and covariance 1 over the windows; latent dimensions that
/// hold only noise are removed. Reconstructions stay the same. Attribute vectors, actors and priors
/// have to be made again.
#[derive(Args, Debug)]
pub struct Whiten {
    #[command(flatten)]
    model: Model,
    /// Folder of the dataset it was trained on.
    #[arg(long, value_name = "DIR")]
    dataset: PathBuf,
    /// Model folder to write; an existing model is replaced.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Training windows that mean and covariance are estimated from, spread evenly over all; 0
    /// takes all.
    #[arg(long, default_value_t = 16384)]
    windows: usize,
}

impl Whiten {
    /// Writes the new model and its card, each whole or not at all.
    ///
    /// # Errors
    /// When the model, its weights or the dataset cannot be read or do not belong together, and when
    /// all windows have the same code.
    pub fn run(self, shared: &Shared) -> anyhow::Result<()> {
        let package = self.model.open()?;
        let config = &package.info.config;
        let weights = package.weights()?;
        network::check(config, &weights)?;
        let windows = Part::learn(&self.dataset, config, self.windows)?;
        let mut engine = self.model.load(shared, &package)?;
        let bar = ProgressBar::new(windows.len() as u64);
        bar.set_style(ProgressStyle::with_template("{msg} {bar:30} {pos} of {len}, {eta} left")?);
        bar.set_message("windows");
        let codes = posteriors(&mut engine, &windows, &mut |count| bar.inc(count as u64))?;
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
            "{} latent dimensions and a mean KL divergence of {:.0} bits, before {} and {:.0}",
            change.size(),
            bits(change.divergence()),
            config.hparams.z_size,
            bits(mean(codes.iter().map(Posterior::divergence)))
        );
        info.config = new;
        info.provenance.source.push_str("; codes whitened");
        info.metrics.retain(|name, _| name != "kl_bits" && name != "active_units");
        Package::write(&self.out, &info, &weights)?;
        let places = [self.model.folder(), &self.dataset, &self.out].map(card::place);
        let [model, dataset, out] = places;
        let section = format!(
            "## Codes\n\nThe basis of the latent space was changed (whitening) so that over {} training \
             windows the aggregate posterior has mean 0 and covariance 1: {told}. Reconstructions are \
             the same. Made with\n\n```sh\ninterlude whiten --model {model} --dataset {dataset} --out {out} --windows {}\n```\n",
            codes.len(),
            self.windows
        );
        card::put(&self.out, "whiten", &section)?;
        common::print(&format!("{told}\nwrote {}\n", self.out.display()))
    }
}
