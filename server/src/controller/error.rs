//! Why the controller refused, one variant per answer that a Kafka client or another broker can tell apart.

use super::log::ProposeError;

/// A refusal; the text is for people, in Kafka's words where it has some.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControllerError {
    /// INVALID_TOPIC_EXCEPTION (17).
    #[error("{0}")]
    InvalidTopic(String),
    /// TOPIC_ALREADY_EXISTS (36).
    #[error("Topic '{0}' already exists.")]
    TopicExists(String),
    /// UNKNOWN_TOPIC_OR_PARTITION (3).
    #[error("This server does not host this topic-partition.")]
    UnknownTopic,
    /// The same, where Kafka names it.
    #[error("The topic '{0}' does not exist.")]
    NoSuchTopic(String),
    /// The same, in the words of the API that asked.
    #[error("{0}")]
    NoSuchPartition(String),
    /// UNKNOWN_TOPIC_ID (100).
    #[error("This server does not host this topic ID.")]
    UnknownTopicId,
    /// INVALID_PARTITIONS (37).
    #[error("{0}")]
    InvalidPartitions(String),
    /// INVALID_REPLICATION_FACTOR (38).
    #[error("{0}")]
    InvalidReplicationFactor(String),
    /// INVALID_REPLICA_ASSIGNMENT (39).
    #[error("{0}")]
    InvalidAssignment(String),
    /// INVALID_CONFIG (40).
    #[error("{0}")]
    InvalidConfig(String),
    /// INVALID_REQUEST (42).
    #[error("{0}")]
    InvalidRequest(String),
    /// POLICY_VIOLATION (44).
    #[error("{0}")]
    PolicyViolation(String),
    /// PREFERRED_LEADER_NOT_AVAILABLE (80).
    #[error("The preferred leader was not available.")]
    PreferredLeaderNotAvailable,
    /// ELIGIBLE_LEADERS_NOT_AVAILABLE (83).
    #[error("Eligible topic partition leaders are not available.")]
    EligibleLeadersNotAvailable,
    /// ELECTION_NOT_NEEDED (84).
    #[error("Leader election not needed for topic partition.")]
    ElectionNotNeeded,
    /// NO_REASSIGNMENT_IN_PROGRESS (85).
    #[error("No partition reassignment is in progress.")]
    NoReassignmentInProgress,
    /// BROKER_ID_NOT_REGISTERED (102).
    #[error("Broker ID {0} is not currently registered")]
    BrokerNotRegistered(i32),
    /// REQUEST_TIMED_OUT (7).
    #[error("{0}")]
    TimedOut(String),
    /// UNSUPPORTED_VERSION (35): the voters of this cluster cannot be changed.
    #[error("{0}")]
    FixedVoters(String),
    /// INCONSISTENT_CLUSTER_ID (104).
    #[error("The cluster has another id.")]
    InconsistentClusterId,
    /// DUPLICATE_VOTER (126).
    #[error("{0}")]
    DuplicateVoter(String),
    /// VOTER_NOT_FOUND (127).
    #[error("{0}")]
    VoterNotFound(String),
    /// KAFKA_STORAGE_ERROR (56) or NOT_CONTROLLER (41), as the log says.
    #[error(transparent)]
    Propose(#[from] ProposeError),
}
