//! Making models: checkpoints of the original, data sets, training, and the commands over them.

pub mod attributes;
pub mod commands;
pub mod constrain;
mod entry;
pub mod evaluate;
pub mod generate;
pub mod prior;
pub mod train;
pub mod whitening;
