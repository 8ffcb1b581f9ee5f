//! Storage: a dataset on disk. `store` holds windows laid out as `layout` says, `splits` and
//! `heldout` assign them, `staging` and `journal` write them whole or not at all.

pub mod description;
pub mod heldout;
pub mod journal;
pub mod layout;
pub mod splits;
pub(crate) mod staging;
pub mod store;
mod table;
