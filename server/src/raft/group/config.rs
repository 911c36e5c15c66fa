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

/// Milliseconds between two heartbeats of a leader.
pub(super) const HEARTBEAT_MS: u64 = 500;
/// A follower that heard nothing for so long, at least, asks for an election.
const ELECTION_MS_MIN: u64 = 1000;
const ELECTION_MS_MAX: u64 = 1500;
/// Entries that may wait for openraft's core; proposals are bounded by bytes long before.
const QUEUE_ENTRIES: u64 = 8192;

/// The settings of every group.
///
/// # Errors
/// None: the values are constants that go together.
pub(super) fn config() -> Result<Arc<Config>, ConfigError> {
    let config = Config {
        cluster_name: "tidemark".to_owned(),
        heartbeat_interval: HEARTBEAT_MS,
        heartbeat_min_interval: Some(300),
        election_timeout_min: ELECTION_MS_MIN,
        election_timeout_max: ELECTION_MS_MAX,
        enable_pre_vote: Some(true),
        quorum_loss_probe_interval: Some(3000),
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
