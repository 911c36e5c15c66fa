//! How openraft is set up: its types, and its timing. Not here: what the types do.

use std::sync::Arc;

use openraft::{Config, ConfigError, SnapshotPolicy, impls::leader_id_std};

use super::{
    super::node_id::NodeId,
    entry::{Entry, Order, Payload},
    machine::Machine,
    proposal::Answer,
};

/// The types of every group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupTypes;

impl openraft::RaftTypeConfig for GroupTypes {
    type D = Order;
    type R = ();
    type NodeId = NodeId;
    type Node = openraft::EmptyNode;
    type Term = u64;
    /// One leader in a term at most: the term is the leader epoch.
    type LeaderId = leader_id_std::LeaderId<u64, NodeId>;
    type Vote = openraft::Vote<Self::LeaderId>;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = openraft::TokioRuntime;
    type Responder<T>
        = Answer<T>
    where
        T: openraft::OptionalSend + 'static;
    type Batch<T>
        = openraft::batch::InlineBatch<T>
    where
        T: openraft::OptionalSend + 'static;
    type ErrorSource = openraft::impls::BoxedErrorSource;
}

/// One member's openraft.
pub(super) type Raft = openraft::Raft<GroupTypes, Machine>;
pub(super) type LogId = openraft::type_config::alias::LogIdOf<GroupTypes>;
pub(super) type Vote = openraft::type_config::alias::VoteOf<GroupTypes>;
pub(super) type GroupMembership = openraft::Membership<NodeId, openraft::EmptyNode>;
pub(super) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<GroupTypes>;

/// Entries that may wait for openraft's core; proposals are bounded by bytes long before.
const QUEUE_ENTRIES: u64 = 8192;

/// How fast a lost leader is noticed, against what groups cost while they are idle. openraft adds the two times of an election: a
/// follower keeps to a leader that it heard for `election_ms_max` (its lease), and asks for an election an election timeout later.
/// Where the leader's broker is gone for all that is known (`succession`), the lease alone counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupTiming {
    /// Milliseconds between two heartbeats of a leader.
    pub heartbeat_ms: u64,
    /// A follower whose leader's lease is over asks for an election after so many milliseconds, at least …
    pub election_ms_min: u64,
    /// … at most. Also the lease.
    pub election_ms_max: u64,
}

impl GroupTiming {
    /// How long a follower grants nobody its vote after it heard its leader (openraft).
    pub(super) fn lease(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.election_ms_max)
    }

    /// A member that answers nothing for so long is taken to hang.
    pub(super) fn stall(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.heartbeat_ms * 10)
    }
}

impl Default for GroupTiming {
    fn default() -> Self {
        Self { heartbeat_ms: 500, election_ms_min: 750, election_ms_max: 1000 }
    }
}

/// The settings of every group.
///
/// # Errors
/// Times that do not go together.
pub(super) fn config(timing: GroupTiming) -> Result<Arc<Config>, ConfigError> {
    let config = Config {
        cluster_name: "tidemark".to_owned(),
        heartbeat_interval: timing.heartbeat_ms,
        // who was sent entries lately needs no heartbeat; a longer interval would ask for a longer lease
        heartbeat_min_interval: Some(timing.heartbeat_ms / 5),
        election_timeout_min: timing.election_ms_min,
        election_timeout_max: timing.election_ms_max,
        enable_pre_vote: Some(true),
        // a leader that lost its quorum is silent for so long, or its heartbeats would keep the others from electing
        quorum_loss_probe_interval: Some(2 * timing.election_ms_max),
        // a leader that restarts would give the index of an entry that its followers committed to another one
        enable_leader_restore: Some(false),
        // a follower that lost entries under write caching is sent them again; its votes are its incarnation's matter
        allow_log_reversion: Some(true),
        // the log start decides what may go, not the number of entries
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        max_payload_entries: 300,
        // a snapshot is sent in pieces, each with a time of its own
        install_snapshot_timeout: 600_000,
        api_channel_size: Some(QUEUE_ENTRIES),
        notification_channel_size: Some(QUEUE_ENTRIES),
        ..Config::default()
    };
    Ok(Arc::new(config.validate()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_acknowledged_records_safe_is_set() {
        let config = config(GroupTiming::default()).unwrap();
        assert_eq!((config.enable_leader_restore, config.enable_pre_vote), (Some(false), Some(true)));
        assert_eq!((config.heartbeat_interval, config.heartbeat_min_interval), (500, Some(100)));
        assert_eq!((config.election_timeout_min, config.election_timeout_max), (750, 1000));
        assert_eq!((config.quorum_loss_probe_interval, &config.snapshot_policy), (Some(2000), &SnapshotPolicy::Never));
        assert_eq!((config.allow_log_reversion, config.max_in_snapshot_log_to_keep), (Some(true), u64::MAX));
    }
}
