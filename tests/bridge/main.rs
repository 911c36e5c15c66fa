//! Stories of the HTTP bridge, told over raw sockets to the real binary: one file for each. What the bridge refuses before a
//! broker is asked is tested in its own crate.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod http;
mod metrics;
mod produce;
mod replay;
mod survive;

use tidemark_client::{Client, ClientConfig};

/// The binary under test, with HTTP.
fn broker() -> harness::BrokerOptions {
    harness::BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark")).http()
}

/// A Kafka client of it.
async fn client(broker: &harness::Broker) -> Client {
    Client::connect(ClientConfig::new([broker.kafka().to_string()])).await.unwrap()
}
