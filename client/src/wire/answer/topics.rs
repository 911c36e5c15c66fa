//! The shapes of the answers to changes of topics and configs.

use crate::wire::shape::{Field, Kind, Shape, field};

static CREATABLE_TOPIC_CONFIGS: &[Field] = &[
    field("Name", Kind::String).since(5),
    field("Value", Kind::String).since(5).nullable_since(5),
    field("ReadOnly", Kind::Bool).since(5),
    field("ConfigSource", Kind::Int8).since(5),
    field("IsSensitive", Kind::Bool).since(5),
];

static CREATABLE_TOPIC_RESULT: &[Field] = &[
    field("Name", Kind::String),
    field("TopicId", Kind::Uuid).since(7),
    field("ErrorCode", Kind::Int16),
    field("ErrorMessage", Kind::String).nullable_since(0),
    field("TopicConfigErrorCode", Kind::Int16).since(5).tagged(0),
    field("NumPartitions", Kind::Int32).since(5),
    field("ReplicationFactor", Kind::Int16).since(5),
    field("Configs", Kind::Array(CREATABLE_TOPIC_CONFIGS)).since(5).nullable_since(5),
];

pub(in crate::wire) static CREATE_TOPICS: Shape = Shape {
    flexible_since: 5,
    fields: &[field("ThrottleTimeMs", Kind::Int32), field("Topics", Kind::Array(CREATABLE_TOPIC_RESULT))],
};

static DELETABLE_TOPIC_RESULT: &[Field] = &[
    field("Name", Kind::String).nullable_since(0),
    field("TopicId", Kind::Uuid).since(6),
    field("ErrorCode", Kind::Int16),
    field("ErrorMessage", Kind::String).since(5).nullable_since(5),
];

pub(in crate::wire) static DELETE_TOPICS: Shape = Shape {
    flexible_since: 4,
    fields: &[field("ThrottleTimeMs", Kind::Int32), field("Responses", Kind::Array(DELETABLE_TOPIC_RESULT))],
};

static CREATE_PARTITIONS_TOPIC_RESULT: &[Field] = &[
    field("Name", Kind::String),
    field("ErrorCode", Kind::Int16),
    field("ErrorMessage", Kind::String).nullable_since(0),
];

pub(in crate::wire) static CREATE_PARTITIONS: Shape = Shape {
    flexible_since: 2,
    fields: &[field("ThrottleTimeMs", Kind::Int32), field("Results", Kind::Array(CREATE_PARTITIONS_TOPIC_RESULT))],
};

static DESCRIBE_CONFIGS_SYNONYM: &[Field] =
    &[field("Name", Kind::String), field("Value", Kind::String).nullable_since(0), field("Source", Kind::Int8)];

static DESCRIBE_CONFIGS_RESOURCE_RESULT: &[Field] = &[
    field("Name", Kind::String),
    field("Value", Kind::String).nullable_since(0),
    field("ReadOnly", Kind::Bool),
    field("ConfigSource", Kind::Int8),
    field("IsSensitive", Kind::Bool),
    field("Synonyms", Kind::Array(DESCRIBE_CONFIGS_SYNONYM)),
    field("ConfigType", Kind::Int8).since(3),
    field("Documentation", Kind::String).since(3).nullable_since(3),
];

static DESCRIBE_CONFIGS_RESULT: &[Field] = &[
    field("ErrorCode", Kind::Int16),
    field("ErrorMessage", Kind::String).nullable_since(0),
    field("ResourceType", Kind::Int8),
    field("ResourceName", Kind::String),
    field("Configs", Kind::Array(DESCRIBE_CONFIGS_RESOURCE_RESULT)),
];

pub(in crate::wire) static DESCRIBE_CONFIGS: Shape = Shape {
    flexible_since: 4,
    fields: &[field("ThrottleTimeMs", Kind::Int32), field("Results", Kind::Array(DESCRIBE_CONFIGS_RESULT))],
};

static ALTER_CONFIGS_RESOURCE_RESPONSE: &[Field] = &[
    field("ErrorCode", Kind::Int16),
    field("ErrorMessage", Kind::String).nullable_since(0),
    field("ResourceType", Kind::Int8),
    field("ResourceName", Kind::String),
];

pub(in crate::wire) static INCREMENTAL_ALTER_CONFIGS: Shape = Shape {
    flexible_since: 1,
    fields: &[field("ThrottleTimeMs", Kind::Int32), field("Responses", Kind::Array(ALTER_CONFIGS_RESOURCE_RESPONSE))],
};
