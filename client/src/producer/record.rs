//! A record that is to be written.

use bytes::Bytes;

use crate::record::Header;

/// A record for a topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProducerRecord {
    /// Where it goes.
    pub topic: String,
    /// None: by the key's hash as Kafka's own clients do, or, without a key, one partition a batch.
    pub partition: Option<i32>,
    /// None is Kafka's null.
    pub key: Option<Bytes>,
    /// None is Kafka's null: a tombstone.
    pub value: Option<Bytes>,
    /// In this order; names may repeat.
    pub headers: Vec<Header>,
    /// Milliseconds since 1970; None: now.
    pub timestamp_ms: Option<i64>,
}

impl ProducerRecord {
    /// A record with nothing but a topic.
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), ..Self::default() }
    }

    /// Sets the partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Bytes>) -> Self {
        self.value = Some(value.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push(Header::new(name, value));
        self
    }

    /// Sets the timestamp, in milliseconds since 1970.
    #[must_use]
    pub fn timestamp_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }
}
