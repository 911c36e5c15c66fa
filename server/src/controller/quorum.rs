//! The replicas of the metadata's log, as DescribeQuorum tells them. Not here: how they agree.

/// One replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumReplica {
    /// Its broker.
    pub broker_id: i32,
    /// Offset after its last record, as the leader knows; -1: unknown.
    pub log_end_offset: i64,
    /// When the leader last heard from it, milliseconds since 1970; -1: unknown.
    pub last_fetch_ms: i64,
    /// When it last had all that the leader had; -1: unknown.
    pub last_caught_up_ms: i64,
}

/// All of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The broker that leads; -1: nobody is known to.
    pub leader_id: i32,
    /// Since which epoch.
    pub leader_epoch: i32,
    /// Offset after the last committed record.
    pub high_watermark: i64,
    /// Who votes.
    pub voters: Vec<QuorumReplica>,
    /// Who only follows.
    pub observers: Vec<QuorumReplica>,
}
