//! A pure Rust Kafka client: wire, connection, cluster metadata, producer, reader by offset and time, admin.
//!
//! It works against any Kafka-compatible cluster. Not here: consumer groups and transactions (a later issue).

pub mod wire;
