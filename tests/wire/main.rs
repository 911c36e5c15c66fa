//! Hostile and broken bytes over real sockets: the catalogue's K rows that these APIs meet, and kafka-protocol's attacks.
//!
//! Every case also holds: the process lives, its memory grows by less than 64 MiB, and a bystander's connection is served.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stands outside the seams"
)]

mod attacks;
mod bad_input;
mod bystander;
mod flood;
mod frames;
