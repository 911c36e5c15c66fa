//! A record as a reader gets it, and its headers. Keys and values are slices of the bytes that came from the broker.

use std::borrow::Cow;

use bytes::Bytes;

/// One record of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: i64,
    /// Milliseconds since 1970, by the topic's `message.timestamp.type`; -1: none.
    pub timestamp_ms: i64,
    /// None is Kafka's null.
    pub key: Option<Bytes>,
    /// None is Kafka's null: a tombstone.
    pub value: Option<Bytes>,
    /// In stored order; names may repeat.
    pub headers: Vec<Header>,
}

/// One header of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// UTF-8 by the protocol; kept as it came, so that a copy is exact.
    pub name: Bytes,
    /// None is Kafka's null.
    pub value: Option<Bytes>,
}

impl Header {
    /// A header with a value.
    pub fn new(name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self { name: name.into().into(), value: Some(value.into()) }
    }

    /// The name as text; bytes that are no UTF-8 become U+FFFD.
    pub fn name_lossy(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.name)
    }
}
