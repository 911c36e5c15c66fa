//! Partitions as the APIs see them: append, fetch, waits, lookups, and the registry that follows the metadata image.
//!
//! No task per partition: an append runs on the connection's own task, in a short synchronous section under the
//! replica's lock (`raft::replica`); commits arrive from the journal's sync thread and wake whoever waits. An idle partition
//! is one allocation, without a timer. (One owner task per partition was the alternative: it costs a wake-up and a
//! channel hop on each append; a bench decides again when there is reason to.)
//!
//! ```text
//! log start offset <= last stable offset <= high watermark <= log end offset
//! ```
//! Consumers see what lies below the high watermark. `acks=all` is answered when it passes the batch, `acks=1` when the
//! batch is in the log and in the journal's page cache.
//!
//! Locks: the replica's (append, read), the waiters' (never held together with a call out). None is held over an await.
//! Not here: the wire, topics' metadata, segments' bytes.

mod append;
mod damaged;
mod delete_records;
mod fetch;
mod groups;
mod leadership;
mod min_insync;
mod offsets;
#[allow(clippy::module_inception, reason = "the room's main type, named as the room")]
mod partition;
mod partitions;
mod presence;
mod retention;
mod settings;
mod validate;
mod waiters;

#[cfg(test)]
mod tests;

pub use append::{AckLevel, Append, AppendError, AppendOptions, AppendOrigin, Appended, Proposing};
pub use damaged::renew_metadata;
pub use delete_records::{DeleteRecordsError, DeletedRecords};
pub use fetch::{FetchError, FetchParams, Fetched, FetchedRecords, RecordSlice};
pub use leadership::{Follower, Leadership};
pub use offsets::{FoundOffset, OffsetError, OffsetSpec};
pub use partition::{Partition, ProducerDescription};
pub use partitions::{LogDir, METADATA_LOG, PartitionSize, Partitions, PartitionsConfig};
pub use retention::ClockTrust;
pub use settings::{CompressionSetting, PartitionSettings};
pub use validate::RecordErrors;
pub use waiters::{CommitError, Committed, FetchWaiter};
