//! Writes records: queued per partition, sent in batches, acknowledged with their positions.
//!
//! `producer` is the handle, `accumulator` the queues and their rules (pure: no IO), `sender` the one task that sends,
//! `partitioner` the choice of a partition.

mod config;
mod delivery;
#[allow(clippy::module_inception)]
mod producer;
mod record;

pub use config::{Acks, ProducerConfig};
pub use delivery::{Delivery, RecordPosition};
pub use producer::Producer;
pub use record::ProducerRecord;
