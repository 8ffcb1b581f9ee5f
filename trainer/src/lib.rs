//! Making models: reading checkpoints of the original, datasets, training, and the commands.

pub mod checkpoint;
