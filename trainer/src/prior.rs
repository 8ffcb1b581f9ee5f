//! Learned priors: [`pieces`] takes windows of a dataset in their order, [`conditions`] says what they
//! are, [`codes`] encodes them, and [`run`] trains a flow on the codes with checkpoints.

pub mod codes;
pub mod conditions;
pub mod pieces;
pub mod run;
