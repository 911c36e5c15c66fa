//! Reads one partition by offset or time, without a group. Not here: offsets that are kept anywhere.
//!
//! `reader` is the place that moves, `fetch` one question to the leader, `fetched` what came back and how records are
//! taken out of it.

mod fetch;
mod fetched;
mod limits;
#[allow(clippy::module_inception)]
mod reader;
#[cfg(test)]
mod tests;

pub(crate) use fetch::fetch_once;
pub use fetched::{Batch, Fetched};
pub use limits::{FetchLimits, Isolation};
pub use reader::{Reader, ReaderConfig, Start};
