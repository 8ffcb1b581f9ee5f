//! Synthesis: trios made by rule, `arrange` from lead sheets and scores, `combine` from windows of
//! single parts.

pub mod arrange;
pub mod combine;
