//! The shapes of the answers about the cluster: versions, metadata, brokers, log directories.

use crate::wire::shape::{Field, Kind, Shape, field};

static API_VERSION: &[Field] =
    &[field("ApiKey", Kind::Int16), field("MinVersion", Kind::Int16), field("MaxVersion", Kind::Int16)];

static SUPPORTED_FEATURE_KEY: &[Field] = &[
    field("Name", Kind::String).since(3),
    field("MinVersion", Kind::Int16).since(3),
    field("MaxVersion", Kind::Int16).since(3),
];

static FINALIZED_FEATURE_KEY: &[Field] = &[
    field("Name", Kind::String).since(3),
    field("MaxVersionLevel", Kind::Int16).since(3),
    field("MinVersionLevel", Kind::Int16).since(3),
];

pub(in crate::wire) static API_VERSIONS: Shape = Shape {
    flexible_since: 3,
    fields: &[
        field("ErrorCode", Kind::Int16),
        field("ApiKeys", Kind::Array(API_VERSION)),
        field("ThrottleTimeMs", Kind::Int32).since(1),
        field("SupportedFeatures", Kind::Array(SUPPORTED_FEATURE_KEY)).since(3).tagged(0),
        field("FinalizedFeaturesEpoch", Kind::Int64).since(3).tagged(1),
        field("FinalizedFeatures", Kind::Array(FINALIZED_FEATURE_KEY)).since(3).tagged(2),
        field("ZkMigrationReady", Kind::Bool).since(3).tagged(3),
    ],
};

static METADATA_RESPONSE_BROKER: &[Field] = &[
    field("NodeId", Kind::Int32),
    field("Host", Kind::String),
    field("Port", Kind::Int32),
    field("Rack", Kind::String).since(1).nullable_since(1),
];

static METADATA_RESPONSE_PARTITION: &[Field] = &[
    field("ErrorCode", Kind::Int16),
    field("PartitionIndex", Kind::Int32),
    field("LeaderId", Kind::Int32),
    field("LeaderEpoch", Kind::Int32).since(7),
    field("ReplicaNodes", Kind::List(&Kind::Int32)),
    field("IsrNodes", Kind::List(&Kind::Int32)),
    field("OfflineReplicas", Kind::List(&Kind::Int32)).since(5),
];

static METADATA_RESPONSE_TOPIC: &[Field] = &[
    field("ErrorCode", Kind::Int16),
    field("Name", Kind::String).nullable_since(0),
    field("TopicId", Kind::Uuid).since(10),
    field("IsInternal", Kind::Bool).since(1),
    field("Partitions", Kind::Array(METADATA_RESPONSE_PARTITION)),
    field("TopicAuthorizedOperations", Kind::Int32).since(8),
];

pub(in crate::wire) static METADATA: Shape = Shape {
    flexible_since: 9,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32).since(3),
        field("Brokers", Kind::Array(METADATA_RESPONSE_BROKER)),
        field("ClusterId", Kind::String).since(2).nullable_since(2),
        field("ControllerId", Kind::Int32).since(1),
        field("Topics", Kind::Array(METADATA_RESPONSE_TOPIC)),
        field("ClusterAuthorizedOperations", Kind::Int32).since(8).until(10),
        field("ErrorCode", Kind::Int16).since(13),
    ],
};

static DESCRIBE_LOG_DIRS_PARTITION: &[Field] = &[
    field("PartitionIndex", Kind::Int32),
    field("PartitionSize", Kind::Int64),
    field("OffsetLag", Kind::Int64),
    field("IsFutureKey", Kind::Bool),
];

static DESCRIBE_LOG_DIRS_TOPIC: &[Field] =
    &[field("Name", Kind::String), field("Partitions", Kind::Array(DESCRIBE_LOG_DIRS_PARTITION))];

static DESCRIBE_LOG_DIRS_RESULT: &[Field] = &[
    field("ErrorCode", Kind::Int16),
    field("LogDir", Kind::String),
    field("Topics", Kind::Array(DESCRIBE_LOG_DIRS_TOPIC)),
    field("TotalBytes", Kind::Int64).since(4),
    field("UsableBytes", Kind::Int64).since(4),
];

pub(in crate::wire) static DESCRIBE_LOG_DIRS: Shape = Shape {
    flexible_since: 2,
    fields: &[
        field("ThrottleTimeMs", Kind::Int32),
        field("ErrorCode", Kind::Int16).since(3),
        field("Results", Kind::Array(DESCRIBE_LOG_DIRS_RESULT)),
    ],
};
