//! A topic's settings as its partitions use them, resolved once per topic and shared. Not here: names, defaults and
//! parsing (`metadata::topic_config`).

use tidemark_record::Compression;

/// `compression.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionSetting {
    /// Keep the producer's bytes.
    Producer,
    /// Recompress what comes in another codec; with the codec's level.
    Codec(Compression, Option<i32>),
}

impl CompressionSetting {
    /// Whether a batch in `codec` has to be rewritten.
    pub fn differs_from(self, codec: Option<Compression>) -> bool {
        matches!(self, Self::Codec(target, _) if codec != Some(target))
    }
}

/// What append, fetch and retention need to know of a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct PartitionSettings {
    /// `max.message.bytes`: a whole batch, as stored.
    pub max_message_bytes: usize,
    /// `compression.type`.
    pub compression: CompressionSetting,
    /// `message.timestamp.type=LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `cleanup.policy` has `compact`.
    pub compacted: bool,
    /// `cleanup.policy` has `delete`.
    pub deletes: bool,
    /// `write.caching`: acks from the page cache, no journal.
    pub write_caching: bool,
    /// `flush.messages`: unsynced records at most, under `write.caching`.
    pub flush_messages: i64,
    /// `flush.ms`: milliseconds unsynced at most, under `write.caching`.
    pub flush_ms: i64,
}
