//! Segments beside Apache Kafka's own dump tool: both read the same files and agree batch by batch and field by field.
//!
//! `broker` has them written by the real binary; `door` writes through the log's door what no client can ask for today.
//! `agreement` runs both tools. Needs Java and shared/kafka.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod agreement;
mod broker;
mod door;
