//! Replicas: the only room that writes log plus journal, and the data directory as a whole.
//!
//! ```text
//! <data>/.lock  meta.properties      who owns the directory, and which format it has
//! <data>/journal/                    one stream for all replicas
//! <data>/<topic>-<partition>/        one log each; `…-stray`: not in the metadata; `…-delete`: on its way out
//! ```
//! A partition with one replica is *solo*: no Raft machinery, commit = synced here, the epoch rises at every start. An
//! append writes the log and the journal under the replica's lock, in that order; the journal's sync thread then moves the
//! high watermark and calls the [`CommitListener`]. One thread, `checkpoint`, syncs segments behind the appends and
//! looks for rot in those that are sealed.
//!
//! Locks, in the order they may nest: a replica's log or the list of replicas, then the journal's. Not here: Kafka's rules for batches, topics, APIs. Groups (openraft) are the next issue.

mod checkpoint;
mod commit;
mod error;
mod meta_properties;
mod recovery;
mod reopen;
mod room;
mod scrub;
mod solo;
mod storage;

#[cfg(test)]
mod tests;

pub use commit::CommitListener;
pub use error::{ReplicaError, StorageError};
pub use meta_properties::MetaProperties;
pub use solo::{Appending, Durability, Solo};
pub use storage::{ReplicaKey, Storage, StorageConfig};
