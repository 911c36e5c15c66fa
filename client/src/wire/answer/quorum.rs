//! The shapes of the answers about a cluster of several brokers: its quorum, fenced brokers, moves and elections.

use crate::wire::shape::{Field, Kind, Shape, field};

static DESCRIBE_CLUSTER_BROKER: &[Field] = &[
    field("BrokerId", Kind::Int32),
    field("Host", Kind::String),
    field("Port", Kind::Int32),
    field("Rack", Kind::String).nullable_since(0),
    field("IsFenced", Kind::Bool).since(2),
];

pub(in crate::wire) static DESCRIBE_CLUSTER: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32),
        field("ErrorCode", Kind::Int16),
        field("ErrorMessage", Kind::String).nullable_since(0),
        field("EndpointType", Kind::Int8).since(1),
        field("ClusterId", Kind::String),
        field("ControllerId", Kind::Int32),
        field("Brokers", Kind::Array(DESCRIBE_CLUSTER_BROKER)),
        field("ClusterAuthorizedOperations", Kind::Int32),
    ],
};

static REPLICA_STATE: &[Field] = &[
    field("ReplicaId", Kind::Int32),
    field("ReplicaDirectoryId", Kind::Uuid).since(2),
    field("LogEndOffset", Kind::Int64),
    field("LastFetchTimestamp", Kind::Int64).since(1),
    field("LastCaughtUpTimestamp", Kind::Int64).since(1),
];

static QUORUM_PARTITION: &[Field] = &[
    field("PartitionIndex", Kind::Int32),
    field("ErrorCode", Kind::Int16),
    field("ErrorMessage", Kind::String).since(2).nullable_since(2),
    field("LeaderId", Kind::Int32),
    field("LeaderEpoch", Kind::Int32),
    field("HighWatermark", Kind::Int64),
    field("CurrentVoters", Kind::Array(REPLICA_STATE)),
    field("Observers", Kind::Array(REPLICA_STATE)),
];

static QUORUM_TOPIC: &[Field] = &[field("TopicName", Kind::String), field("Partitions", Kind::Array(QUORUM_PARTITION))];

static QUORUM_LISTENER: &[Field] =
    &[field("Name", Kind::String), field("Host", Kind::String), field("Port", Kind::Uint16)];

static QUORUM_NODE: &[Field] = &[field("NodeId", Kind::Int32), field("Listeners", Kind::Array(QUORUM_LISTENER))];

pub(in crate::wire) static DESCRIBE_QUORUM: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("ErrorCode", Kind::Int16),
        field("ErrorMessage", Kind::String).since(2).nullable_since(2),
        field("Topics", Kind::Array(QUORUM_TOPIC)),
        field("Nodes", Kind::Array(QUORUM_NODE)).since(2),
    ],
};

static ELECTED_PARTITION: &[Field] = &[
    field("PartitionId", Kind::Int32),
    field("ErrorCode", Kind::Int16),
    field("ErrorMessage", Kind::String).nullable_since(0),
];

static ELECTED_TOPIC: &[Field] =
    &[field("Topic", Kind::String), field("PartitionResult", Kind::Array(ELECTED_PARTITION))];

pub(in crate::wire) static ELECT_LEADERS: Shape = Shape {
    flexible_since: 2,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32),
        field("ErrorCode", Kind::Int16).since(1),
        field("ReplicaElectionResults", Kind::Array(ELECTED_TOPIC)),
    ],
};

static REASSIGNED_PARTITION: &[Field] = &[
    field("PartitionIndex", Kind::Int32),
    field("ErrorCode", Kind::Int16),
    field("ErrorMessage", Kind::String).nullable_since(0),
];

static REASSIGNED_TOPIC: &[Field] =
    &[field("Name", Kind::String), field("Partitions", Kind::Array(REASSIGNED_PARTITION))];

pub(in crate::wire) static ALTER_PARTITION_REASSIGNMENTS: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32),
        field("AllowReplicationFactorChange", Kind::Bool).since(1),
        field("ErrorCode", Kind::Int16),
        field("ErrorMessage", Kind::String).nullable_since(0),
        field("Responses", Kind::Array(REASSIGNED_TOPIC)),
    ],
};

static ONGOING_PARTITION: &[Field] = &[
    field("PartitionIndex", Kind::Int32),
    field("Replicas", Kind::List(&Kind::Int32)),
    field("AddingReplicas", Kind::List(&Kind::Int32)),
    field("RemovingReplicas", Kind::List(&Kind::Int32)),
];

static ONGOING_TOPIC: &[Field] = &[field("Name", Kind::String), field("Partitions", Kind::Array(ONGOING_PARTITION))];

pub(in crate::wire) static LIST_PARTITION_REASSIGNMENTS: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32),
        field("ErrorCode", Kind::Int16),
        field("ErrorMessage", Kind::String).nullable_since(0),
        field("Topics", Kind::Array(ONGOING_TOPIC)),
    ],
};

/// UnregisterBroker, AddRaftVoter and RemoveRaftVoter: done, or why not.
pub(in crate::wire) static DONE_OR_NOT: Shape = Shape {
    flexible_since: 0,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32),
        field("ErrorCode", Kind::Int16),
        field("ErrorMessage", Kind::String).nullable_since(0),
    ],
};
