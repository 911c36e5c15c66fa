//! Writes records: queued per partition, sent in batches, acknowledged with their positions.
//!
//! `producer` is the handle; `accumulator` all that is queued, `queue` one partition's batches and the rules of sequences,
//! `batch` one batch, `verdict` what an answer means, `partitioner` the choice of a partition: these are pure. `sender` is
//! the one task that sends; `delivery` is what callers wait on.
//!
//! Locks: the accumulator's, held by a caller while a record is copied into its batch and by the sender while it draws
//! batches; never across an await.

mod accumulator;
mod batch;
mod config;
mod delivery;
mod partitioner;
#[allow(clippy::module_inception)]
mod producer;
mod queue;
mod record;
mod sender;
#[cfg(test)]
mod tests;
mod verdict;

pub use config::{Acks, ProducerConfig};
pub use delivery::{Delivery, RecordPosition};
pub use producer::Producer;
pub use record::ProducerRecord;
