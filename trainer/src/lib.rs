//! Training and evaluation of models, tools for their latent space, and the command `interlude`.
//!
//! | module | is |
//! | --- | --- |
//! | [`train`] | a run of training, from a schedule and a dataset to a model |
//! | [`evaluate`] | scores of a model, through the engine that the plug-in uses |
//! | [`attributes`], [`whitening`], [`constrain`], [`prior`] | attribute vectors, whitening, constraint actors, learned priors |
//! | [`generate`] | music from latent codes |
//! | [`commands`] | the command line |
//!
//! Datasets, checkpoints of the original and the steps of training are crates of their own:
//! [`interlude_dataset`], [`interlude_checkpoint`], [`interlude_backend`].
//!
//! ```
//! let arguments = ["interlude", "generate", "sample", "--model", "no/such/folder", "--out", "out"];
//! let error = interlude_trainer::commands::run(arguments).unwrap_err();
//! assert!(error.to_string().contains("no/such/folder"));
//! ```

pub mod attributes;
pub mod commands;
pub mod constrain;
mod entry;
pub mod evaluate;
pub mod generate;
pub mod prior;
pub mod train;
pub mod whitening;
