//! A pure Rust Kafka client: wire, connection, cluster metadata, producer, reader by offset and time, admin.
//!
//! It works against any Kafka-compatible cluster. Not here: consumer groups and transactions (a later issue).
//!
//! ```no_run
//! use std::time::Duration;
//! use tidemark_client::{Client, ClientConfig, Producer, ProducerConfig, ProducerRecord, Reader, ReaderConfig, Start};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(ClientConfig::new(["127.0.0.1:9092"])).await?;
//!
//! let producer = Producer::new(client.clone(), ProducerConfig::default());
//! let position = producer.send(ProducerRecord::new("sensors").key("roof").value(r#"{"t":21.5}"#)).await?;
//! println!("stored at {:?} of partition {}", position.offset, position.partition);
//!
//! let mut reader = Reader::open(client, "sensors", position.partition, Start::Earliest, ReaderConfig::default()).await?;
//! for record in reader.fetch(Duration::from_millis(500)).await?.records() {
//!     let record = record?;
//!     println!("{} {:?}", record.offset, record.value);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Errors are one small enum per operation: [`ClientError`] for what any request may meet, [`ProduceError`] and
//! [`ReadError`] on top of it. Each names its topic and partition, says whether trying again can help (`retryable`), and
//! carries the broker's own code where it gave one (`kafka_error`).
//!
//! Tasks: one per open connection, one per producer. No timer runs while nothing is asked for.

pub mod admin;
mod client;
mod clock;
pub mod cluster;
mod config;
pub mod connection;
mod connector;
pub mod error;
#[cfg(test)]
mod fake_broker;
mod kafka_error;
mod producer;
mod reader;
mod record;
mod retry;
mod tasks;
pub mod wire;

pub use admin::Admin;
pub use client::Client;
pub use config::ClientConfig;
pub use connector::Connector;
pub use error::{ClientError, ProduceError, ReadError};
pub use kafka_error::KafkaError;
pub use producer::{Acks, Delivery, Producer, ProducerConfig, ProducerRecord, RecordPosition};
pub use reader::{Batch, FetchLimits, Fetched, Isolation, Reader, ReaderConfig, Start};
pub use record::{Header, Record};
pub use retry::RetryConfig;
pub use tidemark_record::Compression;
