//! A topic's settings, resolved: its own value, else the broker's, else Kafka's default.

use std::collections::BTreeMap;

use super::{key::TopicKey, topic_key};

/// The broker's values: dynamic ones for all brokers, then its file and flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BrokerDefaults {
    /// From the file and flags.
    pub fixed: BTreeMap<String, String>,
}

/// Where a value comes from; the numbers are DescribeConfigs' `config_source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub enum ValueSource {
    /// The topic's own.
    Topic = 1,
    /// A dynamic one of this broker.
    Broker = 2,
    /// A dynamic one of all brokers.
    BrokerDefault = 3,
    /// The broker's file or flags.
    Fixed = 4,
    /// Kafka's.
    Default = 5,
}

/// A value in force and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The text.
    pub text: String,
    /// Its source.
    pub source: ValueSource,
}

/// The value of a key for a topic with these own values.
pub fn effective(
    key: &TopicKey,
    own: &BTreeMap<String, String>,
    dynamic: Option<&BTreeMap<String, String>>,
    broker: &BrokerDefaults,
) -> Value {
    let found = |text: &String, source| Value { text: text.clone(), source };
    if let Some(text) = own.get(key.name) {
        return found(text, ValueSource::Topic);
    }
    if let Some(broker_key) = key.broker_key {
        if let Some(text) = dynamic.and_then(|dynamic| dynamic.get(broker_key)) {
            return found(text, ValueSource::BrokerDefault);
        }
        if let Some(text) = broker.fixed.get(broker_key) {
            return found(text, ValueSource::Fixed);
        }
    }
    Value { text: key.default.to_owned(), source: ValueSource::Default }
}

/// The settings that act, typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// `cleanup.policy` has `delete`.
    pub deletes: bool,
    /// `cleanup.policy` has `compact`.
    pub compacts: bool,
    /// `compression.type`; `producer` keeps the producer's codec.
    pub compression_type: String,
    /// `compression.gzip.level`.
    pub gzip_level: i32,
    /// `compression.zstd.level`.
    pub zstd_level: i32,
    /// `max.message.bytes`.
    pub max_message_bytes: usize,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `segment.bytes`.
    pub segment_bytes: u32,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `retention.ms`.
    pub retention_ms: i64,
    /// `retention.bytes`.
    pub retention_bytes: i64,
    /// `flush.messages`.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `write.caching`.
    pub write_caching: bool,
    /// `tidemark.storage` is `volatile`.
    pub volatile: bool,
}

impl TopicSettings {
    /// Resolves what acts. Values were checked when they were set.
    pub fn resolve(
        own: &BTreeMap<String, String>,
        dynamic: Option<&BTreeMap<String, String>>,
        broker: &BrokerDefaults,
    ) -> Self {
        let text = |name: &str| topic_key(name).map_or(String::new(), |key| effective(key, own, dynamic, broker).text);
        let long = |name: &str| text(name).trim().parse::<i64>().unwrap_or_default();
        let flag = |name: &str| text(name).eq_ignore_ascii_case("true");
        let policy = text("cleanup.policy");
        let has = |word: &str| policy.split(',').any(|item| item.trim() == word);
        let narrow = |name: &str| i32::try_from(long(name)).unwrap_or(i32::MAX);
        Self {
            deletes: has("delete"),
            compacts: has("compact"),
            compression_type: text("compression.type"),
            gzip_level: narrow("compression.gzip.level"),
            zstd_level: narrow("compression.zstd.level"),
            max_message_bytes: usize::try_from(long("max.message.bytes")).unwrap_or(0),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            min_insync_replicas: narrow("min.insync.replicas"),
            segment_bytes: u32::try_from(long("segment.bytes")).unwrap_or(1 << 30),
            segment_ms: long("segment.ms"),
            index_interval_bytes: u32::try_from(long("index.interval.bytes")).unwrap_or(4096),
            retention_ms: long("retention.ms"),
            retention_bytes: long("retention.bytes"),
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
            write_caching: flag("write.caching"),
            volatile: text("tidemark.storage") == "volatile",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            key::{Valid, check_value},
            keys::TOPIC_KEYS,
        },
        *,
    };

    #[test]
    fn the_table_is_sorted_and_its_defaults_are_allowed() {
        assert!(TOPIC_KEYS.windows(2).all(|pair| pair[0].name < pair[1].name));
        for key in TOPIC_KEYS {
            assert_eq!(check_value(key.name, key.kind, key.valid, key.default), Ok(()), "{}", key.name);
        }
        assert!(
            check_value("a", super::super::ConfigKind::Int, Valid::Min(3), "2").unwrap_err().contains("at least 3")
        );
    }

    #[test]
    fn each_acting_key_changes_the_settings() {
        let broker = BrokerDefaults::default();
        let plain = TopicSettings::resolve(&BTreeMap::new(), None, &broker);
        for key in TOPIC_KEYS.iter().filter(|key| key.acts) {
            let other = match key.valid {
                Valid::OneOf(names) | Valid::ListOf(names) => {
                    names.iter().find(|name| **name != key.default).unwrap().to_string()
                }
                _ if key.default == "false" => "true".into(),
                _ => "5".into(),
            };
            let own = BTreeMap::from([(key.name.to_owned(), other.clone())]);
            assert_ne!(TopicSettings::resolve(&own, None, &broker), plain, "{} = {other} is ignored", key.name);
        }
    }

    #[test]
    fn own_beats_dynamic_beats_fixed_beats_default() {
        let key = topic_key("retention.ms").unwrap();
        let map = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let broker = BrokerDefaults { fixed: map("log.retention.ms", "3") };
        let (own, dynamic) = (map("retention.ms", "1"), map("log.retention.ms", "2"));
        let none = BTreeMap::new();
        assert_eq!(effective(key, &own, Some(&dynamic), &broker).text, "1");
        assert_eq!(effective(key, &none, Some(&dynamic), &broker).source, ValueSource::BrokerDefault);
        assert_eq!(effective(key, &none, None, &broker).text, "3");
        assert_eq!(effective(key, &none, None, &BrokerDefaults::default()).text, "604800000");
    }
}
