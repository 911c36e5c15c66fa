//! The shapes of the answers about offsets and producer ids.

use crate::wire::shape::{Field, Kind, Shape, field};

static LIST_OFFSETS_PARTITION_RESPONSE: &[Field] = &[
    field("PartitionIndex", Kind::Int32),
    field("ErrorCode", Kind::Int16),
    field("Timestamp", Kind::Int64),
    field("Offset", Kind::Int64),
    field("LeaderEpoch", Kind::Int32).since(4),
];

static LIST_OFFSETS_TOPIC_RESPONSE: &[Field] =
    &[field("Name", Kind::String), field("Partitions", Kind::Array(LIST_OFFSETS_PARTITION_RESPONSE))];

pub(in crate::wire) static LIST_OFFSETS: Shape = Shape {
    flexible_since: 6,
    fields: &[field("ThrottleTimeMs", Kind::Int32).since(2), field("Topics", Kind::Array(LIST_OFFSETS_TOPIC_RESPONSE))],
};

pub(in crate::wire) static INIT_PRODUCER_ID: Shape = Shape {
    flexible_since: 2,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32),
        field("ErrorCode", Kind::Int16),
        field("ProducerId", Kind::Int64),
        field("ProducerEpoch", Kind::Int16),
        field("OngoingTxnProducerId", Kind::Int64).since(6),
        field("OngoingTxnProducerEpoch", Kind::Int16).since(6),
    ],
};

static DELETE_RECORDS_PARTITION_RESULT: &[Field] =
    &[field("PartitionIndex", Kind::Int32), field("LowWatermark", Kind::Int64), field("ErrorCode", Kind::Int16)];

static DELETE_RECORDS_TOPIC_RESULT: &[Field] =
    &[field("Name", Kind::String), field("Partitions", Kind::Array(DELETE_RECORDS_PARTITION_RESULT))];

pub(in crate::wire) static DELETE_RECORDS: Shape = Shape {
    flexible_since: 2,
    fields: &[field("ThrottleTimeMs", Kind::Int32), field("Topics", Kind::Array(DELETE_RECORDS_TOPIC_RESULT))],
};
