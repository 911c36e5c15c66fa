//! A cluster that has lost a majority, put on what survives because an operator says so: `tidemark cluster recover`. Offline, over all
//! data directories that are left; never by a broker itself.
//!
//! Of each group that can elect nobody any more the longest log becomes the only voter, and the metadata's log tells which new
//! replicas are to be filled from it. The directories are of another cluster then, as far as brokers are concerned: a copy of one
//! from before is turned away. Each step leaves what can be done again; no broker starts in between.
//!
//! Not here: the bytes (`raft`), how it is shown (the command line).

mod error;
mod group;
mod plan;
mod recovery;

#[cfg(test)]
mod tests;

pub use error::RecoverError;
pub use group::{Fate, Found, Group};
pub use recovery::Recovery;
