//! Stories of one broker, told through librdkafka and raw requests to the real binary: one file for each.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod crash;
mod librdkafka;
mod produce_fetch;
mod requests;
mod retention;
mod topic_rules;

/// The binary under test.
fn broker() -> harness::BrokerOptions {
    harness::BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"))
}
