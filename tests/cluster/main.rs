//! Stories of one broker, told to the real binary by librdkafka, by our own client and by raw requests: one file for each.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod client;
mod crash;
mod librdkafka;
mod own;
mod produce_fetch;
mod requests;
mod retention;
mod topic_rules;

/// The binary under test.
fn broker() -> harness::BrokerOptions {
    harness::BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"))
}
