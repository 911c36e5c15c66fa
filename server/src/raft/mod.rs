//! Replicas: the only room that writes log plus journal, and the data directory as a whole.
//!
//! ```text
//! <data>/.lock  meta.properties      who owns the directory, and which format it has
//! <data>/boot.properties             whether what was not synced may be lost
//! <data>/journal/                    one stream for all replicas
//! <data>/<topic>-<partition>/        one log each; `…-stray`: not in the metadata; `…-delete`: on its way out
//! ```
//! A partition with one replica is *solo*: no Raft machinery, commit = synced here, the epoch rises at every start. One with
//! more is a *group*: openraft decides, over the same log and journal (`group`). An
//! append writes the log and the journal under the replica's lock, in that order; the journal's sync thread then moves the
//! high watermark and calls the [`CommitListener`]. One thread, `checkpoint`, syncs segments behind the appends and
//! looks for rot in those that are sealed.
//!
//! Locks, in the order they may nest: a replica's log or the list of replicas, then the journal's. Not here: Kafka's rules for
//! batches, topics, APIs.

mod boot;
mod captured;
mod carrier;
mod checkpoint;
mod commit;
mod error;
mod flush;
mod group;
mod meta_properties;
mod node_id;
mod recovery;
mod reopen;
mod replica;
mod role;
mod room;
mod scrub;
mod storage;
mod survivor;
mod whole_file;

#[cfg(test)]
mod tests;

pub use carrier::{Carrier, CarrierError, Lane};
pub use commit::CommitListener;
pub use error::{ReplicaError, StorageError};
pub use group::{
    FollowerStatus, GroupError, GroupStatus, GroupTiming, Groups, Proposal, Proposed, ServeError, SpreadError, Standing,
};
pub use meta_properties::{MetaProperties, random_id, random_incarnation};
pub use node_id::NodeId;
pub use replica::{Appending, Durability, Replica};
pub use role::Role;
pub use storage::{ReplicaKey, ReplicaKind, Storage, StorageConfig};
pub use survivor::{Remains, Sole};
