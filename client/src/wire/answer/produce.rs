//! The shape of the answer to Produce.

use crate::wire::shape::{Field, Kind, Shape, field};

static BATCH_INDEX_AND_ERROR_MESSAGE: &[Field] = &[
    field("BatchIndex", Kind::Int32).since(8),
    field("BatchIndexErrorMessage", Kind::String).since(8).nullable_since(8),
];

static LEADER_ID_AND_EPOCH: &[Field] =
    &[field("LeaderId", Kind::Int32).since(10), field("LeaderEpoch", Kind::Int32).since(10)];

static PARTITION_PRODUCE_RESPONSE: &[Field] = &[
    field("Index", Kind::Int32),
    field("ErrorCode", Kind::Int16),
    field("BaseOffset", Kind::Int64),
    field("LogAppendTimeMs", Kind::Int64),
    field("LogStartOffset", Kind::Int64).since(5),
    field("RecordErrors", Kind::Array(BATCH_INDEX_AND_ERROR_MESSAGE)).since(8),
    field("ErrorMessage", Kind::String).since(8).nullable_since(8),
    field("CurrentLeader", Kind::Struct(LEADER_ID_AND_EPOCH)).since(10).tagged(0),
];

static TOPIC_PRODUCE_RESPONSE: &[Field] = &[
    field("Name", Kind::String).until(12),
    field("TopicId", Kind::Uuid).since(13),
    field("PartitionResponses", Kind::Array(PARTITION_PRODUCE_RESPONSE)),
];

static NODE_ENDPOINT: &[Field] = &[
    field("NodeId", Kind::Int32).since(10),
    field("Host", Kind::String).since(10),
    field("Port", Kind::Int32).since(10),
    field("Rack", Kind::String).since(10).nullable_since(10),
];

pub(in crate::wire) static PRODUCE: Shape = Shape {
    flexible_since: 9,
    fields: &[
        field("Responses", Kind::Array(TOPIC_PRODUCE_RESPONSE)),
        field("ThrottleTimeMs", Kind::Int32),
        field("NodeEndpoints", Kind::Array(NODE_ENDPOINT)).since(10).tagged(0),
    ],
};
