//! Making models: checkpoints of the original, data sets, training, and the commands over them.

pub mod attributes;
pub mod checkpoint;
pub mod commands;
pub mod constrain;
pub mod dataset;
mod entry;
pub mod evaluate;
pub mod generate;
pub mod gradient;
pub mod picture;
pub mod prior;
pub mod train;
pub mod whitening;
