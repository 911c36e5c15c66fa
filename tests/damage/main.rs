//! A real broker over files that rotted, went missing or belong to somebody else: it says which thing, why and what next,
//! serves what is whole, and loses nothing. One file for refused starts, one for what is served all the same, one
//! for how a broker ends.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod endings;
mod records;
mod refused;
mod served;

/// The binary under test.
fn broker() -> harness::BrokerOptions {
    harness::BrokerOptions::new(env!("CARGO_BIN_EXE_tidemark"))
}
