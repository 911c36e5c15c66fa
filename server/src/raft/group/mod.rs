//! A replica in a Raft group: openraft over the replica's log and the broker's journal.
//!
//! ```text
//! propose ─→ openraft core ─→ LogStore::append ─→ log, journal ─→ (sync thread) IOFlushed ─→ core
//!                  │                                                                          │ majority
//!                  └─→ Peer::stream_append ─→ Carrier ~~> Groups::serve ─→ core      Machine::apply ─→ CommitListener
//! ```
//! One entry is one Kafka batch or one internal frame; its Raft index is the frame's ordinal, its term the leader epoch. The
//! leader numbers batches in `append`, the only place where their order is final, and judges sequences and compare-and-append
//! there again: a loser becomes a void frame. A follower takes frames byte for byte.
//!
//! Tasks: openraft's own. Locks: the replica's, never over an await. Not here: what a replica alone does (`replica`), sockets
//! (below [`Carrier`](super::carrier::Carrier)).

mod caught_up;
mod config;
mod convert;
mod entry;
mod groups;
mod key_log_ids;
mod machine;
mod member;
mod membership;
mod message;
mod peer;
mod proposal;
mod purge;
mod quorum;
mod revive;
mod serve;
mod snapshot;
mod sole;
mod spread;
mod standing;
mod status;
mod store;
mod succession;
mod transfer;
mod write;

#[cfg(test)]
mod tests;

pub use config::GroupTiming;
pub(super) use entry::names_members;
pub(super) use groups::Group;
pub use groups::{GroupError, Groups};
pub(super) use member::{Member, RecoveredMember};
pub(super) use membership::{encode as encode_membership, of_voters};
pub use proposal::{Proposal, Proposed};
pub use serve::ServeError;
pub(super) use snapshot::take_place;
pub(super) use sole::{append_sole, vote_for_itself, voters};
pub use spread::SpreadError;
pub use standing::Standing;
pub use status::{FollowerStatus, GroupStatus};
