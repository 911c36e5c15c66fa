//! The differences from Apache Kafka 4.3 that are meant, each with its reason. At most 15, and none in an error code.

use crate::compare::Allowed;

/// All of them.
pub const ALLOWED: &[Allowed] = &[
    Allowed {
        case: "ApiVersions*",
        path: "api_keys*",
        reason: "only what is served is listed, up to the versions of Kafka 4.1 that kafka-protocol knows",
    },
    Allowed {
        case: "ApiVersions*",
        path: "*features*",
        reason: "a feature is listed with the APIs that it gates, which come later",
    },
    Allowed {
        case: "*",
        path: "*configs[name=tidemark.storage]*",
        reason: "a topic config of our own: volatile topics",
    },
    Allowed {
        case: "*",
        path: "*configs[name=write.caching]*",
        reason: "a topic config of our own: when acks=all waits for the disk",
    },
    Allowed { case: "*", path: "*configs.len", reason: "the two topic configs of our own are listed too" },
    Allowed {
        case: "*",
        path: "*error_message",
        reason: "the words are ours, and a success needs none: Kafka says NONE's name in some answers",
    },
    Allowed {
        case: "*",
        path: "*configs[name=min.insync.replicas].config_source",
        reason: "Kafka writes it as a setting of the whole cluster when it formats one; here it is a default",
    },
    Allowed {
        case: "DescribeLogDirs*",
        path: "*partition_size",
        reason: "a segment opens with a header frame, and holds internal frames",
    },
    Allowed {
        case: "Produce, packed, *",
        path: "*record_errors*",
        reason: "packed records are judged by their header, so one entry stands for all of them",
    },
    Allowed {
        case: "ListOffsets after all are gone, -3",
        path: "topics[*].partitions[*].*",
        reason: "Kafka names a record below the log start, which nobody can read; here there is none",
    },
    Allowed {
        case: "Produce, wrapping, a duplicate over the edge",
        path: "*log_append_time_ms",
        reason: "Kafka tells the batch's own time as the broker's for a duplicate whose sequences wrap; the topic has no such time",
    },
];
