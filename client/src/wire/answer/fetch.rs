//! The shape of the answer to Fetch.

use crate::wire::shape::{Field, Kind, Shape, field};

static EPOCH_END_OFFSET: &[Field] = &[field("Epoch", Kind::Int32).since(12), field("EndOffset", Kind::Int64).since(12)];

static LEADER_ID_AND_EPOCH: &[Field] =
    &[field("LeaderId", Kind::Int32).since(12), field("LeaderEpoch", Kind::Int32).since(12)];

static SNAPSHOT_ID: &[Field] = &[field("EndOffset", Kind::Int64), field("Epoch", Kind::Int32)];

static ABORTED_TRANSACTION: &[Field] = &[field("ProducerId", Kind::Int64), field("FirstOffset", Kind::Int64)];

static PARTITION_DATA: &[Field] = &[
    field("PartitionIndex", Kind::Int32),
    field("ErrorCode", Kind::Int16),
    field("HighWatermark", Kind::Int64),
    field("LastStableOffset", Kind::Int64),
    field("LogStartOffset", Kind::Int64).since(5),
    field("DivergingEpoch", Kind::Struct(EPOCH_END_OFFSET)).since(12).tagged(0),
    field("CurrentLeader", Kind::Struct(LEADER_ID_AND_EPOCH)).since(12).tagged(1),
    field("SnapshotId", Kind::Struct(SNAPSHOT_ID)).since(12).tagged(2),
    field("AbortedTransactions", Kind::Array(ABORTED_TRANSACTION)).nullable_since(0),
    field("PreferredReadReplica", Kind::Int32).since(11),
    field("Records", Kind::Records).nullable_since(0),
];

static FETCHABLE_TOPIC_RESPONSE: &[Field] = &[
    field("Topic", Kind::String).until(12),
    field("TopicId", Kind::Uuid).since(13),
    field("Partitions", Kind::Array(PARTITION_DATA)),
];

static NODE_ENDPOINT: &[Field] = &[
    field("NodeId", Kind::Int32).since(16),
    field("Host", Kind::String).since(16),
    field("Port", Kind::Int32).since(16),
    field("Rack", Kind::String).since(16).nullable_since(16),
];

pub(in crate::wire) static FETCH: Shape = Shape {
    flexible_since: 12,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32),
        field("ErrorCode", Kind::Int16).since(7),
        field("SessionId", Kind::Int32).since(7),
        field("Responses", Kind::Array(FETCHABLE_TOPIC_RESPONSE)),
        field("NodeEndpoints", Kind::Array(NODE_ENDPOINT)).since(16).tagged(0),
    ],
};
