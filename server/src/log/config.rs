//! What a log is told about its topic. Not here: names, defaults and parsing of topic configs.

use uuid::Uuid;

/// Settings; each may change while the log is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment is closed before it would grow beyond this (`segment.bytes`).
    pub segment_bytes: u32,
    /// … or when its first record is older than this many milliseconds (`segment.ms`).
    pub segment_ms: i64,
    /// Bytes between two rows of the index (`index.interval.bytes`).
    pub index_interval_bytes: u32,
    /// Records older than this many milliseconds may go; -1 keeps them (`retention.ms`).
    pub retention_ms: i64,
    /// Segments beyond this many bytes may go; -1 keeps them (`retention.bytes`).
    pub retention_bytes: i64,
    /// A producer that was silent this long is forgotten (`producer.id.expiration.ms`).
    pub producer_id_expiration_ms: i64,
    /// Whether retention by time and size applies (`cleanup.policy` has `delete`).
    pub deletes: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 604_800_000,
            index_interval_bytes: 4096,
            retention_ms: 604_800_000,
            retention_bytes: -1,
            producer_id_expiration_ms: 86_400_000,
            deletes: true,
        }
    }
}

/// Which partition a log is; written into every segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogIdentity {
    /// The topic.
    pub topic_id: Uuid,
    /// The partition.
    pub partition: i32,
}
