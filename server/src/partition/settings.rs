//! A topic's settings as its partitions use them. Not here: names, defaults and parsing (`metadata::topic_config`).

use tidemark_record::Compression;

use crate::{log::LogConfig, metadata::TopicSettings};

/// Bytes that a volatile partition may hold where `retention.bytes` does not say: it is memory.
const VOLATILE_BYTES_MAX: i64 = 64 << 20;
/// Segments that a volatile partition's bytes are spread over, so that the oldest can go.
const VOLATILE_SEGMENTS: i64 = 4;

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

    fn of(settings: &TopicSettings) -> Self {
        match settings.compression_type.as_str() {
            "uncompressed" => Self::Codec(Compression::None, None),
            "gzip" => Self::Codec(Compression::Gzip, (settings.gzip_level >= 0).then_some(settings.gzip_level)),
            "snappy" => Self::Codec(Compression::Snappy, None),
            "lz4" => Self::Codec(Compression::Lz4, None),
            "zstd" => Self::Codec(Compression::Zstd, Some(settings.zstd_level)),
            _ => Self::Producer,
        }
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
    /// `min.insync.replicas`; bounds `acks=all` only.
    pub min_insync_replicas: i32,
    /// `write.caching`: acks from the page cache, no journal.
    pub write_caching: bool,
    /// `tidemark.storage=volatile`: in memory only. Looked at when the partition is made.
    pub volatile: bool,
    /// `flush.messages`: unsynced records at most, under `write.caching`.
    pub flush_messages: i64,
    /// `flush.ms`: milliseconds unsynced at most, under `write.caching`.
    pub flush_ms: i64,
    /// What the log itself is told.
    pub log: LogConfig,
}

impl PartitionSettings {
    /// From a topic's resolved settings and the broker's `producer.id.expiration.ms`.
    pub fn of(settings: &TopicSettings, producer_id_expiration_ms: i64) -> Self {
        let mut log = LogConfig {
            segment_bytes: settings.segment_bytes,
            segment_ms: settings.segment_ms,
            index_interval_bytes: settings.index_interval_bytes,
            retention_ms: settings.retention_ms,
            retention_bytes: settings.retention_bytes,
            producer_id_expiration_ms,
            deletes: settings.deletes,
        };
        if settings.volatile {
            log.deletes = true;
            if log.retention_bytes < 0 {
                log.retention_bytes = VOLATILE_BYTES_MAX;
            }
            let share = u32::try_from(log.retention_bytes / VOLATILE_SEGMENTS).unwrap_or(u32::MAX);
            log.segment_bytes = log.segment_bytes.min(share.max(1));
        }
        Self {
            max_message_bytes: settings.max_message_bytes,
            compression: CompressionSetting::of(settings),
            log_append_time: settings.log_append_time,
            timestamp_before_max_ms: settings.timestamp_before_max_ms,
            timestamp_after_max_ms: settings.timestamp_after_max_ms,
            compacted: settings.compacts,
            deletes: settings.deletes,
            min_insync_replicas: settings.min_insync_replicas,
            write_caching: settings.write_caching && !settings.volatile,
            volatile: settings.volatile,
            flush_messages: settings.flush_messages,
            flush_ms: settings.flush_ms,
            log,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::metadata::topic_config::BrokerDefaults;

    fn settings(own: &[(&str, &str)]) -> PartitionSettings {
        let own: BTreeMap<String, String> =
            own.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        PartitionSettings::of(&TopicSettings::resolve(&own, None, &BrokerDefaults::default()), 1000)
    }

    #[test]
    fn a_volatile_partition_is_bounded_whatever_its_topic_says() {
        let volatile = settings(&[("tidemark.storage", "volatile"), ("cleanup.policy", "compact")]);
        assert!(volatile.log.deletes && volatile.log.retention_bytes == VOLATILE_BYTES_MAX);
        assert_eq!(volatile.log.segment_bytes, 16 << 20);
        let small =
            settings(&[("tidemark.storage", "volatile"), ("retention.bytes", "4000"), ("write.caching", "true")]);
        assert_eq!((small.log.segment_bytes, small.write_caching), (1000, false));
    }

    #[test]
    fn codecs_by_name() {
        let of = |name| settings(&[("compression.type", name)]).compression;
        assert_eq!(of("producer"), CompressionSetting::Producer);
        assert_eq!(of("zstd"), CompressionSetting::Codec(Compression::Zstd, Some(3)));
        assert_eq!(of("gzip"), CompressionSetting::Codec(Compression::Gzip, None));
        assert!(of("uncompressed").differs_from(Some(Compression::Lz4)));
    }
}
