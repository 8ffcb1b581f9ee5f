//! Learned priors: [`pieces`] takes windows of a dataset in their order, [`conditions`] says what they
//! are, [`bars`] tells the bars of their codes apart, [`codes`] encodes them, and [`run`] trains a flow on the codes with checkpoints.

pub mod bars;
pub mod codes;
pub mod conditions;
pub mod pieces;
pub mod run;
